"""What a signal found second by second, as a drawing and as a table that says the same.

A drawing is numbers for an inline SVG: no script, no style of its own. Upwards and filled is for it being
made, downwards and hollow against it, so nobody needs to tell colours apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from alerts.synthetic_words import strength
from alerts.words import clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.values import Moment

MOST_BARS: Final = 60
"""Bars of one drawing and rows of one table. A longer clip has bars of several seconds."""

WIDTH: Final = 600
HALF: Final = 50
"""Units of the drawing: its width, and the height of each half."""

FULL: Final = math.log(100)
"""The llr that fills a half: from there on the words are the same."""

LEAST_HEIGHT: Final = 2.0
"""Units of the smallest bar, so that a second without a sign is not taken for one that was not looked at."""

MARKED: Final = 3
"""Bars that are marked: the moments which weigh most."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar. `x`, `y`, `width` and `height` are units of the drawing; `at` is when, `says` what it says."""

    x: float
    y: float
    width: float
    height: float
    speaks_for: bool
    marked: bool
    at: str
    says: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """A drawing and its table. `strongest` names the moments that weigh most, `says` all in one sentence."""

    bars: tuple[Bar, ...]
    until: str
    step_s: int
    strongest: tuple[str, ...]
    says: str
    width: int = WIDTH
    height: int = 2 * HALF


def timeline(moments: Sequence[Moment]) -> Timeline | None:
    """Draw what was found when; None where it is not known when, or there is but one moment."""
    if len(moments) < 2:
        return None
    end = max(1, math.ceil(max(one.span.end_s for one in moments)))
    step = math.ceil(end / MOST_BARS)
    weights = _weights(moments, step, end)
    most = sorted(weights, key=lambda slot: -abs(weights[slot]))[:MARKED]
    bars = tuple(_bar(slot, llr, step, end, marked=slot in most) for slot, llr in sorted(weights.items()))
    strongest = [bar.at for bar in bars if bar.marked]
    up = sum(bar.speaks_for for bar in bars)
    says = (
        f"From 0:00 to {clock(end)}, {len(bars)} {'stretch' if len(bars) == 1 else 'stretches'}: "
        f"{up} for it being made or changed, {len(bars) - up} against. "
        f"What weighed most: {', '.join(strongest)}."
    )
    return Timeline(bars, clock(end), step, tuple(strongest), says)


def _weights(moments: Sequence[Moment], step: int, end: int) -> dict[int, float]:
    """Give what weighs most in each slot of `step` seconds that was looked at."""
    weights: dict[int, float] = {}
    for one in moments:
        first = max(0, int(one.span.start_s // step))
        last = max(first, math.ceil(min(one.span.end_s, end) / step) - 1)
        for slot in range(first, last + 1):
            if slot not in weights or abs(one.llr) > abs(weights[slot]):
                weights[slot] = one.llr
    return weights


def _bar(slot: int, llr: float, step: int, end: int, *, marked: bool) -> Bar:
    height = max(LEAST_HEIGHT, min(1.0, abs(llr) / FULL) * (HALF - 2))
    x, width = slot * step / end * WIDTH, min(step, end - slot * step) / end * WIDTH
    up = llr > 0
    return Bar(
        x=round(x, 1),
        y=round(HALF - height if up else HALF, 1),
        width=round(max(1.0, width - 1), 1),
        height=round(height, 1),
        speaks_for=up,
        marked=marked,
        at=clock(slot * step),
        says=strength(llr),
    )
