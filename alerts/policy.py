"""How much is too much: a budget of messages per person and channel, and a cap on what SMS may cost.

Nothing is dropped here. A message over the budget waits for its turn, and everything stands on the page
behind the messages that did go out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlmodel import Session, col, func, select

from alerts.tables import Alert, AlertBudget, MessageStop

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from monitor.values import SubjectId

BURST = 20
"""Messages at once per person and channel. Each is an incident of its own, not a copy: a person with more
than twenty new incidents in an hour is under attack, and her phone must stay usable."""

PER_HOUR = 1.0
"""Messages an hour per person and channel once the burst is used: at most 24 more in a day."""

SMS_PER_DAY = 200
"""SMS in 24 hours to all people together. SMS costs money, and attackers earn by making others send it."""

DAY = timedelta(hours=24)
HOUR = timedelta(hours=1)

SPENT = ("sending", "sent", "uncertain")
"""States of an alert that has cost money, or may have."""


def nothing_elsewhere(_session: Session, _now: datetime) -> int:
    """Count no SMS but those of alerts."""
    return 0


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits in force. `sms_elsewhere` counts the SMS of 24 hours that are no alerts and cost as much."""

    burst: int = BURST
    per_hour: float = PER_HOUR
    sms_per_day: int = SMS_PER_DAY
    sms_elsewhere: Callable[[Session, datetime], int] = nothing_elsewhere


def is_stopped(session: Session, subject_id: str, channel: str) -> bool:
    """Say whether the subject asked for no messages by this channel."""
    return session.get(MessageStop, (subject_id, channel)) is not None


def stop(session: Session, subject_id: SubjectId, channel: str, now: datetime) -> None:
    """Send this subject nothing more by this channel. Idempotent."""
    if not is_stopped(session, subject_id, channel):
        session.add(MessageStop(subject_id=subject_id, channel=channel, since=now))


def resume(session: Session, subject_id: SubjectId, channel: str) -> None:
    """Send this subject messages again. Idempotent; what was found in the meantime is not sent late."""
    row = session.get(MessageStop, (subject_id, channel))
    if row is not None:
        session.delete(row)


def wait_before(session: Session, alert: Alert, policy: Policy, now: datetime) -> timedelta | None:
    """Take one message out of the budget: None if it may go now, otherwise how long to wait.

    The caller's transaction holds the alert's row and commits the budget together with `sending`.
    """
    if alert.channel == "sms" and _is_spent(session, policy, now):
        return HOUR
    budget = session.get(AlertBudget, (alert.subject_id, alert.channel), with_for_update=True)
    if budget is None:
        budget = AlertBudget(
            subject_id=alert.subject_id, channel=alert.channel, tokens=float(policy.burst), at=now
        )
        session.add(budget)
    tokens = _refilled(budget, policy, now)
    if tokens < 1:
        return HOUR * ((1 - tokens) / policy.per_hour)
    budget.tokens, budget.at = tokens - 1, now
    return None


def _refilled(budget: AlertBudget, policy: Policy, now: datetime) -> float:
    hours = max(0.0, (now - budget.at) / HOUR)
    return min(float(policy.burst), budget.tokens + hours * policy.per_hour)


def _is_spent(session: Session, policy: Policy, now: datetime) -> bool:
    return sms_of_a_day(session, now) + policy.sms_elsewhere(session, now) >= policy.sms_per_day


def sms_of_a_day(session: Session, now: datetime) -> int:
    """Count the alerts of the last 24 hours that cost money as an SMS, or may have."""
    return session.exec(
        select(func.count())
        .select_from(Alert)
        .where(Alert.channel == "sms", col(Alert.state).in_(SPENT), col(Alert.sending_since) > now - DAY)
    ).one()
