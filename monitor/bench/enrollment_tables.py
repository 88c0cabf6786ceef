"""The tables of `likeness bench enrollment`: what became of each kind of attack, and of each variation.

They are made of the figures alone, so that README shows what the kept result says.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from monitor.bench.enrollment_trials import ATTACK_KINDS, GENUINE_KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.bench.frame import Figure

STATES: Final = ("active", "held", "refused")
"""What can become of one who came."""

SAID: Final = (
    "This is a small test, simulated by those who made the checks: no attack was tried on a real camera, or "
    "by anybody skilled, and the genuine clips are photographs that were made to turn and speak. Whoever has "
    "a program that does this as well, and feeds its pictures in place of a camera's, is as genuine as they."
)


def name_of(kind: str, state: str, *, is_attack: bool) -> str:
    """Name the figure of one kind and one state."""
    slug = re.sub(r"[^a-z]+", "_", kind.lower().replace("'", "")).strip("_")
    return f"enrollment.{'attack' if is_attack else 'genuine'}.{slug}.{state}"


def tables(figures: Mapping[str, Figure]) -> str:
    """Make both tables, with what they are."""
    parts = [
        SAID,
        _summary(figures),
        _table("attack (species of instrument)", ATTACK_KINDS, figures, is_attack=True),
        _table("genuine, but", GENUINE_KINDS, figures, is_attack=False),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _summary(figures: Mapping[str, Figure]) -> str:
    lines = ["| | value | 95 % interval | n |", "|---|---|---|---|"]
    for name, words in SUMMARY.items():
        if (figure := figures.get(name)) is not None:
            interval = "" if figure.low == figure.high else f"{figure.low:.3f} to {figure.high:.3f}"
            value = f"{figure.value:.3f}" if isinstance(figure.value, float) else str(figure.value)
            lines.append(f"| {words} (`{name}`) | {value} | {interval} | {figure.n} |")
    return "\n".join(lines)


SUMMARY: Final = {
    "enrollment.apcer": "Attacks that became active, of all (APCER)",
    "enrollment.apcer_worst": "The same, of the worst species",
    "enrollment.attacks_held": "Attacks that a person looks at",
    "enrollment.bpcer": "Genuine people refused, of all (BPCER)",
    "enrollment.bona_fide_held": "Genuine people at whom a person looks",
    "enrollment.searchable_p99_s": "Seconds from the last click to being found, p99",
    "enrollment.erased_p99_s": "Seconds from an erasure to being unmatched, p99",
    "enrollment.minutes": "Minutes of one enrolment in Chromium",
}


def _table(title: str, kinds: Sequence[str], figures: Mapping[str, Figure], *, is_attack: bool) -> str:
    lines = [f"| {title} | tried | active | a person looks | refused |", "|---|---:|---:|---:|---:|"]
    for kind in kinds:
        found = [figures.get(name_of(kind, state, is_attack=is_attack)) for state in STATES]
        if None not in found:
            counts = [round(one.value * one.n) for one in found if one is not None]
            lines.append(f"| {kind} | {sum(counts)} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)
