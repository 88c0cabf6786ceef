"""What the dial promises set against what happened.

The verb, the operator's page, /metrics and the alarm read it here. Counts about everybody together: nothing
here is about one subject.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlmodel import col

from monitor import drift
from monitor.allowance import DAYS
from monitor.budget import standing_of
from monitor.live_scores import WINDOW, edge
from monitor.tables import Finding, Template
from monitor.values import TALLY_BINS, Band

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlmodel import Session

    from monitor.allowance import Allowance
    from monitor.budget import Dialled, Half, Standing
    from monitor.drift import Drift
    from monitor.ml.interfaces import Thresholds
    from monitor.values import Modality

DISMISSED = "dismissed"
"""What the state of a finding is that a person or an operator called false."""


@dataclass(frozen=True, slots=True)
class Side:
    """One recogniser. Numbers that only a calibration could tell are None where there is none.

    `raised` is by how much live scores raised the alert. `counts` and `expected` are strangers' scores of 30
    days by bin, counted and as the calibration has them. `share` is the false match rate of an alert, the
    mean over the enrolled; `beyond` says that it is smaller than any that was counted when measuring.
    """

    modality: Modality
    thresholds: Thresholds
    raised: float
    beyond: bool
    enrolled: int
    comparisons: int
    counts: tuple[int, ...]
    expected: tuple[float, ...] | None
    share: float | None
    share_reviewed: float | None
    drift: Drift

    @property
    def expected_alerts(self) -> float | None:
        """False alerts that the comparisons of the last 30 days should have brought."""
        return None if self.share is None else self.share * self.comparisons

    @property
    def expected_reviews(self) -> float | None:
        """Strangers that they should have brought to a human look."""
        return None if self.share_reviewed is None else self.share_reviewed * self.comparisons


@dataclass(frozen=True, slots=True)
class Balance:
    """The dial, what follows from it and what came of it in the last 30 days."""

    allowance: Allowance
    enrolled: int
    tightened: int
    sides: tuple[Side, ...]
    false_alerts: int
    false_reviews: int
    drift_of_alerts: Drift

    @property
    def drifts(self) -> tuple[Drift, ...]:
        """Everything that the alarm looks at."""
        return (*(side.drift for side in self.sides), self.drift_of_alerts)

    @property
    def expected_alerts(self) -> float | None:
        """False alerts that the last 30 days should have brought, everybody and both recognisers together."""
        return _sum(side.expected_alerts for side in self.sides)

    @property
    def expected_reviews(self) -> float | None:
        """The same of human looks."""
        return _sum(side.expected_reviews for side in self.sides)

    @property
    def expected_a_month(self) -> float | None:
        """False alerts that one person should get in a month at the dial's number of faces, on average."""
        shares = [side.share for side in self.sides if side.share is not None]
        return max(shares) * DAYS * self.allowance.faces_per_day if shares else None

    @property
    def expected_in_all(self) -> float | None:
        """The same of all the enrolled together."""
        each = self.expected_a_month
        return None if each is None else each * self.enrolled


def balance_of(session: Session, halves: Iterable[Half], now: datetime) -> Balance:
    """Draw the balance."""
    standing = standing_of(session, halves, now)
    enrolled = {
        one.half.modality: _enrolled(session, {one.half.model_id}) for one in standing.halves.values()
    }
    sides = tuple(_side(one, standing, enrolled[one.half.modality]) for one in standing.halves.values())
    dismissed = _dismissed(session, now - WINDOW)
    false_alerts = dismissed.get(Band.ALERT, 0)
    expected = _sum(side.expected_alerts for side in sides)
    return Balance(
        allowance=standing.allowance,
        enrolled=_enrolled(session, {one.half.model_id for one in standing.halves.values()}),
        tightened=len(standing.tighter),
        sides=sides,
        false_alerts=false_alerts,
        false_reviews=dismissed.get(Band.REVIEW, 0),
        drift_of_alerts=drift.of_alerts(false_alerts, expected),
    )


def _side(one: Dialled, standing: Standing, enrolled: int) -> Side:
    half, live = one.half, one.live
    calibration = half.calibration
    expected = None
    if calibration is not None:
        shares = [calibration.fmr(edge(number)) for number in range(TALLY_BINS + 1)]
        expected = tuple(live.comparisons * (low - top) for low, top in pairwise(shares))
    share = _mean_share(one, standing, enrolled)
    reached = one.fmr(one.review)
    return Side(
        modality=half.modality,
        thresholds=one.thresholds,
        raised=one.thresholds.alert - one.measured_alert,
        beyond=calibration is not None and one.allowance.alert_fmr < calibration.measured_to,
        enrolled=enrolled,
        comparisons=live.comparisons,
        counts=live.counts,
        expected=expected,
        share=share,
        share_reviewed=None if share is None or reached is None else max(0.0, reached - share),
        drift=drift.of_scores(half.modality.value, calibration, live, one.review, one.enrolled),
    )


def _mean_share(one: Dialled, standing: Standing, enrolled: int) -> float | None:
    """Give the false match rate of an alert, the mean over the enrolled: some have tightened their budget."""
    general = one.fmr(one.thresholds.alert)
    if general is None or not standing.tighter:
        return general
    own = [
        one.fmr(one.thresholds_at(standing.allowance.tightened(number)).alert) or 0.0
        for number in standing.tighter.values()
    ]
    others = max(0, enrolled - len(own))
    return (others * general + sum(own)) / (others + len(own))


def _dismissed(session: Session, since: datetime) -> dict[str, int]:
    """Count the findings that somebody called false, by band."""
    asked = (
        select(col(Finding.band), func.count())
        .where(col(Finding.state) == DISMISSED, col(Finding.created_at) >= since)
        .group_by(col(Finding.band))
    )
    return {str(band): int(count) for band, count in session.connection().execute(asked)}


def _enrolled(session: Session, models: set[str]) -> int:
    asked = select(func.count(col(Template.subject_id).distinct())).where(col(Template.model_id).in_(models))
    return int(session.connection().execute(asked).scalar_one())


def _sum(numbers: Iterable[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
