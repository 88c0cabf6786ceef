"""What strangers really score here: counts by day and score, and how far they lie above the calibration.

Counts only: no vector, no subject, no item. A count is of pairs that were not taken for a match, so what is
counted may hold a subject who was not recognised, or what somebody pushed to be counted. Such pairs can only
raise a threshold; nothing here ever lowers one. Copies of one picture count each, so one lookalike in a clip
that is everywhere looks like many.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import floor, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert as insert_on_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_on_sqlite
from sqlmodel import col

from monitor.db import writing
from monitor.tables import ScoreCount
from monitor.values import TALLY_BINS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sqlalchemy import Engine
    from sqlmodel import Session

    from monitor.ml.calibration import Calibration
    from monitor.values import Tally

ALL = -1
"""The bin that counts all comparisons of a day."""

WINDOW = timedelta(days=30)
"""How far back live scores are read: long enough for rare scores, short enough to follow the web."""

KEPT = timedelta(days=400)
"""How long a day's counts are kept: a year, to compare with the same month of the last one."""

LEAST_COMPARISONS = 100_000
"""Comparisons from which on live scores count at all. Of so many, 100 are of one stranger in a thousand."""

LEAST_COUNT = 100
"""Live scores above a reference from which on their share is believed: it is known to a tenth then (the
standard deviation of a Poisson count is its root)."""

SURELY = 2.33
"""Standard deviations by which the live tail must lie above the calibration's to be more than chance: one
month in a hundred otherwise."""

MOST_FMR = 1e-2
"""References lie where at most this share of strangers scores: what is above tells of the tail."""

NEAREST_COUNTED = 4.0
"""Strangers of one probe that a reference may have above it. The match scores several subjects for each probe
and no more, so where more than these few are expected the counts have gaps."""

STEEPEST = 1.5
"""Most by which a live tail may be stretched: a few bins are no ground for more."""

MOST_RAISED = 0.2
"""Most by which live counts raise a threshold, in cosine. Beyond it a person must look: the drift alarm calls
one. Without an end somebody who pushes lookalikes could switch all alerts off."""


class Place(NamedTuple):
    """Where a count belongs: `day` is YYYY-MM-DD in UTC, `bin` is of a Tally, or ALL."""

    day: str
    modality: str
    model_id: str
    bin: int


@dataclass(frozen=True, slots=True)
class LiveScores:
    """What was counted of one model in the window. `counts` has TALLY_BINS numbers, or none at all."""

    comparisons: int = 0
    counts: tuple[int, ...] = (0,) * TALLY_BINS

    def between(self, low: int, top: int) -> int:
        """Count the scores from bin `low` up to and without bin `top`."""
        return sum(self.counts[low:top])


NOTHING_YET = LiveScores()
"""Where nobody has been compared yet."""


@dataclass(frozen=True, slots=True)
class Lift:
    """Where a share of strangers that the calibration has at x stands live: at slope * x + shift."""

    slope: float = 1.0
    shift: float = 0.0

    def raised(self, score: float) -> float:
        """Give the cosine that keeps a threshold's promise live; never a lower one, and 1 at most."""
        above = self.slope * score + self.shift - score
        return min(1.0, score + min(MOST_RAISED, max(0.0, above)))

    def measured(self, score: float) -> float:
        """Give the cosine that as many strangers reached when it was measured; never a higher one."""
        return min(score, (score - self.shift) / self.slope)


LEVEL = Lift()
"""No lift: the calibration as it is."""


def places(tallies: Iterable[Tally], at: datetime) -> dict[Place, int]:
    """Sort the counts of one item into their places, leaving out the empty ones."""
    counts: dict[Place, int] = {}
    day = day_of(at)
    for tally in tallies:
        for number, count in ((ALL, tally.comparisons), *enumerate(tally.counts)):
            if count:
                place = Place(day, tally.modality.value, tally.model_id, number)
                counts[place] = counts.get(place, 0) + count
    return counts


def day_of(at: datetime) -> str:
    """Name the day of a moment in UTC, so that the order of names is that of days."""
    return f"{at:%Y-%m-%d}"


def add(engine: Engine, counts: Mapping[Place, int]) -> None:
    """Add to what is counted already, all or nothing. Raises SQLAlchemyError and StorageFull."""
    if not counts:
        return
    rows = [{**place._asdict(), "count": counts[place]} for place in sorted(counts)]  # one order: no deadlock
    with writing(engine) as session:
        insert: Any = insert_on_postgresql if engine.dialect.name == "postgresql" else insert_on_sqlite
        adding = insert(ScoreCount)
        more = {"count": ScoreCount.__table__.c.count + adding.excluded.count}  # type: ignore[attr-defined]
        session.connection().execute(
            adding.on_conflict_do_update(index_elements=list(Place._fields), set_=more), rows
        )


def prune(session: Session, now: datetime) -> int:
    """Delete days older than KEPT and say how many rows that were. Doing it twice does nothing more."""
    old = delete(ScoreCount).where(col(ScoreCount.day) < day_of(now - KEPT))
    return int(session.connection().execute(old).rowcount)


def lift_of(calibration: Calibration, live: LiveScores, review: float, enrolled: int) -> Lift:
    """Say how far the live tail lies above the calibration's; LEVEL if it does not, or little is known.

    Only bins wholly below `review`, the lowest threshold in force, are looked at: what scores more is taken
    for a match and counted nowhere. At each edge the live share is set against the cosine at which the
    calibration has that share (a Q-Q plot), and a line through these points, weighted by counts, tells the
    rest.
    """
    top = whole_bins_below(review)
    low = lowest_reference(calibration, top, enrolled)
    if live.comparisons < LEAST_COMPARISONS:
        return LEVEL
    counted = [(number, live.between(number, top)) for number in range(low, top)]
    counted = [(number, count) for number, count in counted if count >= LEAST_COUNT]
    if not any(_surely_above(calibration, live, number, top, count) for number, count in counted):
        return LEVEL
    lift = LEVEL
    for _ in range(4):  # what lies above `top` is not seen but told by the line, which it moves a little
        above = calibration.fmr(lift.measured(edge(top)))
        shares = [count / live.comparisons + above for _, count in counted]
        at = [calibration.score_at(min(share, 0.5)) for share in shares]
        lift = _line(at, [edge(number) for number, _ in counted], [count for _, count in counted])
    return lift


def whole_bins_below(score: float) -> int:
    """Give the number of bins that lie wholly below a cosine."""
    return min(TALLY_BINS, max(0, floor(score * TALLY_BINS + 1e-9)))


def lowest_reference(calibration: Calibration, top: int, enrolled: int) -> int:
    """Give the lowest bin from which on the counts are whole and tell of the tail; `top` if none is."""
    most = min(MOST_FMR, NEAREST_COUNTED / max(1, enrolled))
    return next((n for n in range(1, top) if calibration.fmr(edge(n)) <= most), top)


def edge(number: int) -> float:
    """Give the cosine at which a bin begins."""
    return number / TALLY_BINS


def _surely_above(calibration: Calibration, live: LiveScores, number: int, top: int, count: int) -> bool:
    expected = live.comparisons * (calibration.fmr(edge(number)) - calibration.fmr(edge(top)))
    return count - SURELY * sqrt(count) > expected


def _line(at: list[float], live: list[float], weights: list[int]) -> Lift:
    """Fit live = slope * at + shift, with a slope from 1 to STEEPEST."""
    x, y, w = np.array(at), np.array(live), np.array(weights, float)
    x_mean, y_mean = float(np.average(x, weights=w)), float(np.average(y, weights=w))
    spread = float(np.average((x - x_mean) ** 2, weights=w))
    together = float(np.average((x - x_mean) * (y - y_mean), weights=w))
    slope = min(STEEPEST, max(1.0, together / spread)) if spread > 0 else 1.0
    return Lift(slope, y_mean - slope * x_mean)
