"""How many false alerts a month are allowed: the operator's number and the subjects' own.

A subject may tighten the operator's number and never loosen it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from monitor.errors import BudgetInvalid, NotFound
from monitor.ml.calibration import REVIEW_TIMES
from monitor.tables import Budget, SubjectBudget, SubjectKey

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel import Session

    from monitor.values import SubjectId

DAYS = 30
"""Days of a month."""

ALERT_MOST = 1e-4
"""Largest false match rate of an alert, however few faces a day there are. Few faces are also few of the
subject's own: a score that one stranger in ten thousand reaches says little then."""

REVIEW_MOST = 1e-3
"""Largest false match rate of a human look. Beyond it nearly all that a human would be shown is somebody
else."""

MOST_ALERTS = 1000.0
MOST_FACES = 10**9
"""Larger numbers on the dial are slips of the hand."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """At most so many false alerts a month for each person, at so many faces a day."""

    false_alerts_per_month: float = 1.0
    faces_per_day: int = 10_000

    @property
    def alert_fmr(self) -> float:
        """False match rate of one comparison that an alert may have."""
        return min(ALERT_MOST, self.false_alerts_per_month / (DAYS * self.faces_per_day))

    @property
    def review_fmr(self) -> float:
        """False match rate of one comparison that a human look may have: one a day for an alert a month."""
        return min(REVIEW_MOST, REVIEW_TIMES * self.alert_fmr)

    def tightened(self, false_alerts_per_month: float | None) -> Allowance:
        """Give the allowance of a subject who asked for so many: never more than the operator's."""
        if false_alerts_per_month is None:
            return self
        return replace(self, false_alerts_per_month=min(false_alerts_per_month, self.false_alerts_per_month))


def set_budget(session: Session, allowance: Allowance, now: datetime) -> None:
    """Turn the operator's dial, in the caller's transaction. Raises BudgetInvalid."""
    _check_alerts(allowance.false_alerts_per_month)
    if not 1 <= allowance.faces_per_day <= MOST_FACES:
        msg = f"{allowance.faces_per_day} faces a day is not between 1 and {MOST_FACES:,}"
        raise BudgetInvalid(msg, hint="Give the faces and turns of speech that you look at on a day.")
    session.merge(
        Budget(
            id=1,
            false_alerts_per_month=allowance.false_alerts_per_month,
            faces_per_day=allowance.faces_per_day,
            at=now,
        )
    )


def tighten(
    session: Session, subject_id: SubjectId, false_alerts_per_month: float | None, now: datetime
) -> None:
    """Set a subject's own dial, or with None give it back to the operator's, in the caller's transaction.

    Raises NotFound without such a subject, BudgetInvalid for a number that is none or that would loosen.
    """
    if session.get(SubjectKey, subject_id) is None:
        msg = f"there is no subject {subject_id}"
        raise NotFound(msg, hint="`likeness subject list` shows who is enrolled.")
    row = session.get(SubjectBudget, subject_id)
    if false_alerts_per_month is None:
        if row is not None:
            session.delete(row)
        return
    _check_alerts(false_alerts_per_month)
    allowed = allowance_of(session).false_alerts_per_month
    if false_alerts_per_month > allowed:
        msg = f"{false_alerts_per_month:g} a month is more than the {allowed:g} that the operator allows"
        raise BudgetInvalid(msg, hint="A subject may tighten the budget and never loosen it.")
    session.merge(SubjectBudget(subject_id=subject_id, false_alerts_per_month=false_alerts_per_month, at=now))


def allowance_of(session: Session) -> Allowance:
    """Read the operator's dial."""
    row = session.get(Budget, 1)
    return Allowance() if row is None else Allowance(row.false_alerts_per_month, row.faces_per_day)


def _check_alerts(number: float) -> None:
    if not (math.isfinite(number) and 0 < number <= MOST_ALERTS):
        msg = f"{number} false alerts a month is not above 0 and up to {MOST_ALERTS:g}"
        raise BudgetInvalid(msg, hint="Fractions are welcome: 0.1 is one in ten months.")
