"""Times and sizes, the way people write and read them."""

from __future__ import annotations

from typing import Final

import typer

UNITS: Final = (("d", 86400), ("h", 3600), ("m", 60))


def seconds_of(text: str) -> int:
    """Read `90`, `90s`, `30m`, `6h` or `1d` as seconds. Raises typer.BadParameter."""
    units = {"s": 1, **dict(UNITS)}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    if not number.isdigit():
        msg = f"{text!r} is no time; write 30m, 6h or 1d"
        raise typer.BadParameter(msg)
    return int(number) * units[unit]


def span(seconds: float) -> str:
    """Write a time the way `seconds_of` reads it where it is a whole one, else roughly."""
    whole = round(seconds)
    for unit, size in UNITS:
        if whole and whole % size == 0 and whole < 120 * size:
            return f"{whole // size}{unit}"
    for unit, size in UNITS:
        if whole >= 2 * size:
            return f"{whole / size:.1f}{unit}"
    return f"{whole}s"


def size(count: int) -> str:
    """Write a number of bytes."""
    number = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"
