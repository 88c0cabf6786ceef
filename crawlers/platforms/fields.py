"""Reads what strangers wrote: JSON that may be anything, dates that may be wrong. No type is trusted."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from monitor.errors import ConfigError, FetchWrongType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crawlers.platforms.interfaces import Answer

LOOKS: Final = frozenset({"all", "terms"})

LONGEST_S: Final = 30 * 86400.0
"""Seconds. Nobody asks us to wait longer than a month."""

LARGEST_MOMENT: Final = 32_503_680_000
"""Seconds since 1970 at the year 3000: a larger number is milliseconds, or no date."""


def parsed(answer: Answer) -> Any:  # noqa: ANN401 - JSON is anything
    """Read an answer as JSON. Raises FetchWrongType when it is none."""
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as exc:
        msg = "the answer is not the JSON that was asked for"
        raise FetchWrongType(msg) from exc


def at(value: object, *path: str | int) -> Any:  # noqa: ANN401 - JSON is anything
    """Give what lies under these names and numbers, or None where one of them leads nowhere."""
    for part in path:
        if isinstance(value, dict) and isinstance(part, str):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and -len(value) <= part < len(value):
            value = value[part]
        else:
            return None
    return value


def text(value: object, *path: str | int) -> str:
    """Give a text, or an empty one. Halves of letters, which JSON can name, become question marks."""
    found = at(value, *path)
    return found.encode(errors="replace").decode() if isinstance(found, str) else ""


def whole(value: object, *path: str | int) -> int | None:
    """Give a whole number, also one that is written as a text, or None."""
    found = at(value, *path)
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 20:
        return int(found)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def rows(value: object, *path: str | int) -> list[dict[str, Any]]:
    """Give the objects in a list, or among the values of an object; nothing else of it."""
    found = at(value, *path)
    if isinstance(found, dict):
        found = list(found.values())
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def moment(given: object) -> datetime | None:
    """Read a date: ISO 8601, RFC 5322, or seconds or milliseconds since 1970; None where it is none.

    One without a time zone is in UTC.
    """
    try:
        if isinstance(given, int | float) and not isinstance(given, bool):
            return datetime.fromtimestamp(given if given < LARGEST_MOMENT else given / 1000, UTC)
        if not isinstance(given, str) or not given:
            return None
        found = datetime.fromisoformat(given) if given[:1].isdigit() else parsedate_to_datetime(given)
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def address(base: str, parameters: Mapping[str, str | int]) -> str:
    """Give an address with parameters."""
    return f"{base}?{urlencode(parameters)}"


def with_parameters(url: str, parameters: Mapping[str, str | int]) -> str:
    """Give an address with these parameters instead of its own of the same names."""
    base, _, query = url.partition("?")
    kept = dict(parse_qsl(query, keep_blank_values=True))
    return address(base, kept | dict(parameters))


def seconds(written: str) -> float | None:
    """Give a number of seconds as headers write it, or None."""
    try:
        found = float(written)
    except ValueError:
        return None
    return found if 0 <= found < LONGEST_S else None


def root_of(url: str) -> str:
    """Give scheme, host and port of an address, without a slash at the end."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def check_options(options: Mapping[str, str], allowed: frozenset[str]) -> None:
    """Raise ConfigError for an option that the kind of source does not have."""
    unknown = sorted(set(options) - allowed)
    if unknown:
        msg = f"this kind of source has no option {unknown[0][:40]!r}"
        raise ConfigError(msg, hint=f"It has {', '.join(sorted(allowed)) or 'none'}.")


def check_look(options: Mapping[str, str]) -> None:
    """Raise ConfigError where `look` is neither `all` nor `terms` (only what people asked us to look for)."""
    if options.get("look", "all") not in LOOKS:
        msg = "look is 'all', or 'terms' for only what people asked us to look for"
        raise ConfigError(msg)


def check_whole(options: Mapping[str, str], name: str, least: int, most: int) -> None:
    """Raise ConfigError where an option is given and is no whole number within limits."""
    given = options.get(name)
    if given is not None and not (given.isascii() and given.isdigit() and least <= int(given) <= most):
        msg = f"{name} is a whole number from {least} to {most}"
        raise ConfigError(msg)
