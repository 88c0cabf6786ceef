"""The rows of the voice: what was grouped, what was told, which links were used, who wants quiet.

Every row hangs on the subject's key, directly or through its incident, so an erasure takes all of
them. No row holds an address, a name, a picture or a score; those are opened when they are needed.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, ForeignKey, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from monitor.db import UtcDateTime, utc_now
from monitor.tables import SUBJECT, moment, of_subject


def _of(target: str) -> Column[str]:
    return Column(ForeignKey(target, ondelete="CASCADE"), nullable=False, index=True)


class Incident(SQLModel, table=True):
    """One thing that happened to one subject, however many copies of it are found.

    `state` is `open` (the subject is told), `held` (an operator looks first), `dismissed` (an operator said:
    not this person) or `not_me` (the subject said so). `looked_at` is when an operator decided, empty if none
    did.
    """

    __tablename__ = "incident"
    id: str = Field(primary_key=True)
    subject_id: str = Field(sa_column=of_subject())
    state: str = Field(index=True)
    opened_at: datetime = Field(default_factory=utc_now, sa_column=moment(index=True))
    looked_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class IncidentFinding(SQLModel, table=True):
    """Which incident a finding belongs to: exactly one."""

    __tablename__ = "incident_finding"
    finding_id: str = Field(
        sa_column=Column(ForeignKey("finding.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    incident_id: str = Field(sa_column=_of("incident.id"))
    joined_at: datetime = Field(default_factory=utc_now, sa_column=moment())


class Alert(SQLModel, table=True):
    """One message about one incident by one channel: the outbox.

    `kind` is `incident`, `link` (a fresh link that the subject asked for) or `drill` (see drills.py).
    `state` is due, sending, sent, failed, uncertain or stopped; see outbox.py for how one becomes the other.
    The unique idempotency key is what makes a second message about the same thing impossible.
    """

    __tablename__ = "alert"
    __table_args__ = (
        UniqueConstraint("idempotency_key"),
        Index("ix_alert_due", "state", "next_at"),
    )
    id: str = Field(primary_key=True)
    incident_id: str = Field(sa_column=_of("incident.id"))
    subject_id: str = Field(sa_column=of_subject())
    channel: str
    kind: str = "incident"
    state: str = "due"
    attempts: int = 0
    next_at: datetime = Field(sa_column=moment())
    sending_since: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    created_at: datetime = Field(sa_column=moment())
    sent_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    idempotency_key: str
    reference: str | None = None
    error_code: str | None = None
    error_reason: str | None = None


class AlertBudget(SQLModel, table=True):
    """The token bucket of one subject and channel; see policy.py."""

    __tablename__ = "alert_budget"
    subject_id: str = Field(
        sa_column=Column(ForeignKey(SUBJECT, ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    channel: str = Field(primary_key=True)
    tokens: float
    at: datetime = Field(sa_column=Column(UtcDateTime(), nullable=False))


class MessageStop(SQLModel, table=True):
    """This subject wants no messages by this channel. The watch goes on; only the voice is quiet."""

    __tablename__ = "message_stop"
    subject_id: str = Field(
        sa_column=Column(ForeignKey(SUBJECT, ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    channel: str = Field(primary_key=True)
    since: datetime = Field(sa_column=moment())


class LinkUse(SQLModel, table=True):
    """A link that was opened. The primary key makes a second opening impossible, also in a race."""

    __tablename__ = "link_use"
    alert_id: str = Field(
        sa_column=Column(ForeignKey("alert.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    used_at: datetime = Field(sa_column=moment())


class FindingSession(SQLModel, table=True):
    """A browser that opened a link may see that one incident for a short while.

    Only the SHA-256 of the cookie is kept, so that a copy of the database opens no page.
    """

    __tablename__ = "finding_session"
    cookie_sha256: str = Field(primary_key=True)
    subject_id: str = Field(sa_column=of_subject())
    incident_id: str = Field(sa_column=_of("incident.id"))
    expires_at: datetime = Field(sa_column=moment(index=True))
