"""What was called "not me" for a subject, for an operator to see: ids, states and dates, no vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlmodel import Session, col, select

from alerts.tables import IncidentFinding
from monitor import lookalikes
from monitor.tables import Dismissal, Lookalike

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from monitor.values import SubjectId


@dataclass(frozen=True, slots=True)
class Dismissed:
    """One finding that was called "not me". `expires_at` is empty where nothing is kept of it."""

    incident_id: str
    finding_id: str
    state: str
    reason: str
    since: datetime
    lookalikes: int
    models: tuple[str, ...]
    expires_at: datetime | None

    def told(self) -> dict[str, Any]:
        """Say it as JSON values."""
        return {
            "incident_id": self.incident_id,
            "finding_id": self.finding_id,
            "state": self.state,
            "reason": self.reason or None,
            "since": self.since.isoformat(timespec="seconds"),
            "lookalikes": self.lookalikes,
            "models": list(self.models),
            "expires_at": self.expires_at.isoformat(timespec="seconds") if self.expires_at else None,
        }


def dismissed(session: Session, subject_id: SubjectId) -> list[Dismissed]:
    """List the findings of a subject that were called "not me", newest first, and what is kept of each."""
    rows = session.exec(
        select(Dismissal, IncidentFinding.incident_id)
        .join(IncidentFinding, col(IncidentFinding.finding_id) == col(Dismissal.finding_id))
        .where(Dismissal.subject_id == subject_id)
        .order_by(col(Dismissal.at).desc(), Dismissal.finding_id)
    ).all()
    kept: dict[str, list[Lookalike]] = {}
    for lookalike in lookalikes.of_subject(session, subject_id):
        kept.setdefault(lookalike.finding_id, []).append(lookalike)
    return [_dismissed(row, incident_id, kept.get(row.finding_id, [])) for row, incident_id in rows]


def _dismissed(row: Dismissal, incident_id: str, kept: Sequence[Lookalike]) -> Dismissed:
    return Dismissed(
        incident_id=incident_id,
        finding_id=row.finding_id,
        state=row.state,
        reason=row.reason,
        since=row.at,
        lookalikes=len(kept),
        models=tuple(sorted({one.model_id for one in kept})),
        expires_at=max((one.expires_at for one in kept), default=None),
    )
