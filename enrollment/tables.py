"""The rows of the enrolled. What says who they are is sealed with their own key before it comes here."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, ForeignKey, LargeBinary
from sqlmodel import Field, SQLModel

from monitor.db import utc_now
from monitor.tables import SUBJECT, moment, of_subject


class Subject(SQLModel, table=True):
    """One person who is watched for.

    `sealed_profile` holds name, e-mail, phone and how identity was checked. `reference_public` is the
    subject's own HPKE key: whoever holds it can put a reference in and open none, because its private
    half is sealed with the subject's key and dies with it. `asked_for_pack` names the pack of models for
    which the subject was asked for new samples, since none were kept.
    """

    __tablename__ = "subject"
    id: str = Field(sa_column=Column(ForeignKey(SUBJECT, ondelete="CASCADE"), primary_key=True))
    status: str = Field(default="active", index=True)
    sealed_profile: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    reference_public: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    sealed_reference_private: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    asked_for_pack: str | None = None
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())


class Reference(SQLModel, table=True):
    """One sample that the subject agreed to keep, so that a new model can read it again."""

    __tablename__ = "reference"
    id: str = Field(primary_key=True)
    subject_id: str = Field(sa_column=of_subject())
    modality: str
    blob_id: str = Field(
        sa_column=Column(ForeignKey("blob.id", ondelete="CASCADE"), nullable=False, unique=True)
    )
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())


class Erasure(SQLModel, table=True):
    """One erasure: what is still to be deleted, then the signed receipt.

    It outlives its subject on purpose (no foreign key) and holds an opaque id, counts and dates only.
    `blobs_left` is a JSON list of blob ids: a process killed between the key and the files leaves them
    here, and the next `erase` of the same subject goes on from there.
    """

    __tablename__ = "erasure"
    subject_id: str = Field(primary_key=True)
    counts: str
    blobs_left: str
    receipt: str | None = None
    at: datetime = Field(default_factory=utc_now, sa_column=moment())
