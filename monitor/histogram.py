"""Strangers' scores as a picture: live counts as bars, what was expected as a line, the thresholds marked.

SVG of our own, made of numbers only and put into a page by its template: no script, no font, no image.
Heights are logarithms, since one bin holds millions and the one that matters three.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log10
from typing import TYPE_CHECKING

from monitor.live_scores import edge
from monitor.values import TALLY_BINS

if TYPE_CHECKING:
    from monitor.balance import Side

WIDTH, HEIGHT = 700, 300
LEFT, RIGHT, TOP, BOTTOM = 95, 10, 30, 50
"""Size of the picture and its margins, in its own units."""

LEAST_EXPECTED = 0.5
"""Expected counts below this are drawn and listed as nothing."""


@dataclass(frozen=True, slots=True)
class Row:
    """One bin as text. `mark` names the thresholds that lie in it."""

    low: float
    count: int
    expected: float | None
    mark: str

    @property
    def height(self) -> float:
        """0 for nothing, 1 for one, and 1 more for each tenfold."""
        return _height(self.count)


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A line at a place on an axis, with its words."""

    at: float
    words: str
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class Picture:
    """What the template draws. `line` holds the points of the expected counts, empty where none are known."""

    width: int
    height: int
    left: int
    right: int
    top: int
    base: int
    bars: tuple[Bar, ...]
    line: str
    thresholds: tuple[Mark, ...]
    scores: tuple[Mark, ...]
    counts: tuple[Mark, ...]


def rows_of(side: Side) -> tuple[Row, ...]:
    """List the bins from the first to the last that holds something; none without comparisons."""
    if not side.comparisons:
        return ()
    expected = side.expected or (None,) * TALLY_BINS
    rows = [
        Row(edge(number), count, wanted, _mark(side, number))
        for number, (count, wanted) in enumerate(zip(side.counts, expected, strict=True))
    ]
    full = [n for n, row in enumerate(rows) if row.count or row.mark or (row.expected or 0) >= LEAST_EXPECTED]
    return tuple(rows[full[0] : full[-1] + 1])


def picture_of(side: Side) -> Picture | None:
    """Lay the picture out; None where nothing was compared yet."""
    rows = rows_of(side)
    if not rows:
        return None
    highest = max(3, *(int(_height(max(row.count, row.expected or 0)) + 1) for row in rows))
    low, high = rows[0].low, rows[-1].low + edge(1)

    def across(score: float) -> float:
        return round(LEFT + (score - low) / (high - low) * (WIDTH - LEFT - RIGHT), 1)

    def up(count: float) -> float:
        return round(HEIGHT - BOTTOM - _height(count) / highest * (HEIGHT - TOP - BOTTOM), 1)

    wide = round(across(low + edge(1)) - across(low) - 1, 1)
    base = HEIGHT - BOTTOM
    bars = [Bar(across(row.low) + 0.5, up(row.count), wide, round(base - up(row.count), 1)) for row in rows]
    points = [(row.low + edge(1) / 2, row.expected or 0.0) for row in rows]
    known = side.expected is not None
    return Picture(
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=WIDTH - RIGHT,
        top=TOP,
        base=base,
        bars=tuple(bar for bar in bars if bar.height > 0),
        line=" ".join(f"{across(score)},{up(count)}" for score, count in points) if known else "",
        thresholds=(
            Mark(across(side.thresholds.review), "human look", "end"),
            Mark(
                across(min(side.thresholds.alert, high)), "alert", _anchor(side.thresholds.alert, low, high)
            ),
        ),
        scores=tuple(Mark(across(row.low), f"{row.low:.1f}") for row in rows if _is_tenth(row.low)),
        counts=tuple(Mark(up(10.0**n), f"{10**n:,}", "end") for n in range(highest)),
    )


def _mark(side: Side, number: int) -> str:
    marks = {"human look": side.thresholds.review, "alert": side.thresholds.alert}
    return ", ".join(name for name, at in marks.items() if edge(number) <= at < edge(number + 1))


def _anchor(score: float, low: float, high: float) -> str:
    """Write to the left of a line that is near the right end."""
    return "end" if score > low + 0.9 * (high - low) else "start"


def _height(count: float) -> float:
    return log10(count) + 1 if count >= 1 else max(0.0, count)


def _is_tenth(score: float) -> bool:
    return abs(score * 10 - round(score * 10)) < 1e-6
