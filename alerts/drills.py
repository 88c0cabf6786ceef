"""A fire drill in the outbox: told like the real thing by every channel, and in words that say what it is.

Its incident joins no other, real ones never join it, and at the end of the drill it goes with its messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import Session, col, delete, select

from alerts.tables import Alert, Incident, IncidentFinding
from monitor import drills
from monitor.db import reading, writing
from monitor.tables import Drill, Finding, MediaItem

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine
    from sqlmodel.sql.expression import SelectOfScalar

    from monitor.crypto import KeyEncryptionKeys

KIND = "drill"
"""The kind of an alert of a drill."""

SERVICE = "service:alerts"

WAITS = ("due", "sending")


def incidents() -> SelectOfScalar[str]:
    """Give a query of the ids of all incidents that are drills."""
    return (
        select(IncidentFinding.incident_id)
        .join(Finding, col(Finding.id) == col(IncidentFinding.finding_id))
        .join(MediaItem, col(MediaItem.id) == col(Finding.media_id))
        .join(
            Drill,
            (col(Drill.sha256) == col(MediaItem.sha256)) & (col(Drill.subject_id) == col(Finding.subject_id)),
        )
    )


def is_drill(session: Session, incident_id: str) -> bool:
    """Say whether an incident is a drill."""
    return session.exec(incidents().where(IncidentFinding.incident_id == incident_id)).first() is not None


def note_told(session: Session, alert_id: str, now: datetime) -> None:
    """Write down that a message was handed over, if it is of a drill; the first one counts."""
    query = (
        select(Drill)
        .join(MediaItem, col(MediaItem.sha256) == col(Drill.sha256))
        .join(Finding, col(Finding.media_id) == col(MediaItem.id))
        .join(IncidentFinding, col(IncidentFinding.finding_id) == col(Finding.id))
        .join(Alert, col(Alert.incident_id) == col(IncidentFinding.incident_id))
        .where(Alert.id == alert_id, Alert.kind == KIND, Drill.subject_id == Alert.subject_id)
    )
    for row in session.exec(query):
        row.told_at = row.told_at or now


def still_telling(session: Session, drill_id: str) -> bool:
    """Say whether a message of this drill still waits or is on its way."""
    query = (
        incidents()
        .join(Alert, col(Alert.incident_id) == col(IncidentFinding.incident_id))
        .where(Drill.id == drill_id, col(Alert.state).in_(WAITS))
    )
    return session.exec(query).first() is not None


def end(engine: Engine, keks: KeyEncryptionKeys, drill_id: str, actor: str, now: datetime) -> Drill:
    """End a drill: findings, evidence, incident and messages go, the measured times stay. Idempotent.

    Raises NotFound, where the subject was erased meanwhile.
    """
    with writing(engine) as session:
        own = list(session.exec(incidents().where(Drill.id == drill_id)))
        drills.end(session, keks, drill_id, actor, now)
        session.exec(delete(Incident).where(col(Incident.id).in_(own)))
    with reading(engine) as session:
        return session.get_one(Drill, drill_id)


def end_due(engine: Engine, keks: KeyEncryptionKeys, now: datetime) -> int:
    """End the drills that are over by themselves, and drop what was found of ended ones; give how many."""
    with reading(engine) as session:
        due = dict.fromkeys([*drills.over(session, now), *drills.late(session)])
    for drill_id in due:
        end(engine, keks, drill_id, SERVICE, now)
    return len(due)
