"""The rows of originals: what people gave to have changed copies of it known."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, ForeignKey, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from monitor.db import utc_now
from monitor.tables import moment, of_subject


class KnownOriginal(SQLModel, table=True):
    """One authentic picture, video or sound of a subject.

    `state` is waiting, judging, ready or refused. The bytes are sealed to the subject's own public key while
    they wait, and from `ready` on with a key of their own, `sealed_key`; of a refused one they are deleted.
    `sealed_marks` is what its copies are known by (marks.py), sealed too: a hash of a private picture is not
    for everybody. `sealed_said` holds what the person called it and what became of it; `lookup` keeps the
    same file from coming twice.
    """

    __tablename__ = "known_original"
    __table_args__ = (UniqueConstraint("subject_id", "lookup"),)
    id: str = Field(primary_key=True)
    subject_id: str = Field(sa_column=of_subject())
    kind: str
    lookup: str
    blob_id: str | None = Field(
        default=None, sa_column=Column(ForeignKey("blob.id", ondelete="CASCADE"), nullable=True, unique=True)
    )
    state: str = Field(default="waiting", index=True)
    code: str = ""
    tries: int = 0
    judging_since: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    sealed_said: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    sealed_key: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    sealed_marks: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())
