"""The rows of the watch. Anything about a person's body is sealed before it comes here.

Everything that belongs to a subject hangs on `SubjectKey` by a foreign key with ON DELETE CASCADE,
also in the sibling packages: deleting that one row is the erasure, and the database does the rest.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from monitor.db import UtcDateTime, utc_now

SUBJECT = "subject_key.subject_id"
SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")


def moment(*, nullable: bool = False, index: bool = False) -> Column[datetime]:
    """Make a column that holds a moment in UTC."""
    return Column(UtcDateTime(), nullable=nullable, index=index)


def of_subject(*, nullable: bool = False) -> Column[str]:
    """Make a column that ties a row to its subject: it goes when the subject's key goes."""
    return Column(ForeignKey(SUBJECT, ondelete="CASCADE"), nullable=nullable, index=True)


class SubjectKey(SQLModel, table=True):
    """The data key of one subject, wrapped by a key-encryption key. No row: erased, for good.

    While `paused_at` is set nobody is compared with this subject: no gallery holds them (gallery_rows.py).
    """

    __tablename__ = "subject_key"
    subject_id: str = Field(primary_key=True)
    wrapped: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    kek_id: str = Field(index=True)
    paused_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())


class ServiceKey(SQLModel, table=True):
    """A key of the service: `intake` (HPKE: put in, not open), `receipts` (Ed25519), `lookups` (a secret).

    `public` of the last is its fingerprint.
    """

    __tablename__ = "service_key"
    name: str = Field(primary_key=True)
    public: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    wrapped_private: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    kek_id: str = Field(index=True)
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())


class Template(SQLModel, table=True):
    """One enrolled vector, sealed with the subject's key."""

    __tablename__ = "template"
    __table_args__ = (Index("ix_template_model", "modality", "model_id"),)
    id: str = Field(primary_key=True)
    subject_id: str = Field(sa_column=of_subject())
    modality: str
    model_id: str
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    quality: float
    reference_id: str | None = Field(default=None, index=True)
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())


class Lookalike(SQLModel, table=True):
    """A negative template: somebody whom a subject called "not me", sealed with a key of its own.

    `wrapped` is that key under a key-encryption key; deleting the row destroys it. `expires_at` is when that
    happens by itself.
    """

    __tablename__ = "lookalike"
    id: str = Field(primary_key=True)
    subject_id: str = Field(sa_column=of_subject())
    finding_id: str = Field(
        sa_column=Column(ForeignKey("finding.id", ondelete="CASCADE"), nullable=False, index=True)
    )
    modality: str
    model_id: str
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    wrapped: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    kek_id: str = Field(index=True)
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())
    expires_at: datetime = Field(sa_column=moment(index=True))


class Dismissal(SQLModel, table=True):
    """A finding that its subject called "not me". `state` is due, learnt, nothing_to_learn or undone."""

    __tablename__ = "dismissal"
    finding_id: str = Field(sa_column=Column(ForeignKey("finding.id", ondelete="CASCADE"), primary_key=True))
    subject_id: str = Field(sa_column=of_subject())
    state: str = Field(default="due", index=True)
    reason: str = ""
    at: datetime = Field(default_factory=utc_now, sa_column=moment(index=True))


class ScoreCount(SQLModel, table=True):
    """How many scores of people who were not taken for a subject fell into one bin on one day.

    Counts only: no vector, no subject, no item. `bin` -1 counts all comparisons of that day.
    """

    __tablename__ = "score_count"
    day: str = Field(primary_key=True)
    modality: str = Field(primary_key=True)
    model_id: str = Field(primary_key=True)
    bin: int = Field(primary_key=True)
    count: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))


class Budget(SQLModel, table=True):
    """The dial that the operator set, in one row: `id` is 1. No row: the default of monitor/budget.py."""

    __tablename__ = "budget"
    id: int = Field(default=1, primary_key=True)
    false_alerts_per_month: float
    faces_per_day: int = Field(sa_column=Column(BigInteger, nullable=False))
    at: datetime = Field(default_factory=utc_now, sa_column=moment())


class SubjectBudget(SQLModel, table=True):
    """The tighter dial of one subject."""

    __tablename__ = "subject_budget"
    subject_id: str = Field(sa_column=Column(ForeignKey(SUBJECT, ondelete="CASCADE"), primary_key=True))
    false_alerts_per_month: float
    at: datetime = Field(default_factory=utc_now, sa_column=moment())


class ModelSwitch(SQLModel, table=True):
    """One change of the models, from pack to pack. `state` is running, done or cancelled.

    The two models are the packs' face recognisers: packs differ in nothing else that makes templates.
    """

    __tablename__ = "model_switch"
    id: str = Field(primary_key=True)
    from_pack: str
    to_pack: str
    from_model: str
    to_model: str
    state: str = Field(default="running", index=True)
    started_at: datetime = Field(default_factory=utc_now, sa_column=moment())
    ended_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class NotRenewed(SQLModel, table=True):
    """A kept sample that could not be read by the new model of a switch; `code` says why."""

    __tablename__ = "not_renewed"
    switch_id: str = Field(
        sa_column=Column(ForeignKey("model_switch.id", ondelete="CASCADE"), primary_key=True)
    )
    reference_id: str = Field(primary_key=True)
    subject_id: str = Field(sa_column=of_subject())
    code: str


class GalleryEvent(SQLModel, table=True):
    """What the galleries of all processes follow.

    `add` and `drop` of a template, `erase` and `pause` of a subject, `learn` and `unlearn` of a lookalike,
    named by `template_id`.
    Written in the same transaction as the change. No foreign keys: an erasure must outlive its subject.
    """

    __tablename__ = "gallery_event"
    seq: int | None = Field(default=None, sa_column=Column(SEQUENCE, primary_key=True, autoincrement=True))
    kind: str
    subject_id: str
    template_id: str | None = None
    at: datetime = Field(default_factory=utc_now, sa_column=moment(index=True))


class BlobRow(SQLModel, table=True):
    """One file of sealed bytes that belongs to a subject, so that erasure finds it."""

    __tablename__ = "blob"
    id: str = Field(primary_key=True)
    subject_id: str = Field(sa_column=of_subject())
    kind: str
    size_bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())


class MediaItem(SQLModel, table=True):
    """One content digest, looked at once. See intake.py and claims.py for its life.

    `state` is the last finished step: received, decoded, detected, embedded, matched, scored, done; or
    failed with `failed_stage` and `failed_code`. `blob_id` is empty once the bytes are forgotten.
    `gallery_seq` is how far the gallery had read when the item was matched. `copy_of` is the item whose look
    served for this one, since both show the same (looks.py).
    """

    __tablename__ = "media_item"
    __table_args__ = (Index("ix_media_due", "state", "lease_until"),)
    id: str = Field(primary_key=True)
    sha256: str = Field(unique=True)
    perceptual_hash: str | None = Field(default=None, index=True)
    kind: str
    size_bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    blob_id: str | None = None
    state: str = "received"
    failed_stage: str | None = None
    failed_code: str | None = None
    failed_reason: str | None = None
    attempts: int = 0
    lease_owner: str | None = None
    lease_until: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    gallery_seq: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    faces_seen: int | None = None
    turns_seen: int | None = None
    not_looked: str | None = None
    copy_of: str | None = Field(default=None, index=True)
    received_at: datetime = Field(default_factory=utc_now, sa_column=moment(index=True))
    done_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class MediaOrigin(SQLModel, table=True):
    """One place where an item was seen. A copy found elsewhere adds a row here, not a look."""

    __tablename__ = "media_origin"
    __table_args__ = (UniqueConstraint("media_id", "kind", "url"),)
    id: int | None = Field(default=None, primary_key=True)
    media_id: str = Field(
        sa_column=Column(ForeignKey("media_item.id", ondelete="CASCADE"), nullable=False, index=True)
    )
    kind: str
    url: str | None = None
    page_url: str | None = None
    title: str | None = None
    source_id: str | None = Field(default=None, index=True)
    seen_at: datetime = Field(sa_column=moment())


class MediaHash(SQLModel, table=True):
    """How one item looks: perceptual hashes of a picture, or of frames of a video at `at_s` seconds.

    A hash says how light and dark lie in the whole frame. It holds no biometrics and cannot be turned back.
    """

    __tablename__ = "media_hash"
    seq: int | None = Field(default=None, sa_column=Column(SEQUENCE, primary_key=True, autoincrement=True))
    media_id: str = Field(
        sa_column=Column(ForeignKey("media_item.id", ondelete="CASCADE"), nullable=False, index=True)
    )
    kind: str
    at_s: float | None = None
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class StageRun(SQLModel, table=True):
    """How long one step of one item took and what it said; `likeness item show` prints these."""

    __tablename__ = "stage_run"
    id: int | None = Field(default=None, primary_key=True)
    media_id: str = Field(
        sa_column=Column(ForeignKey("media_item.id", ondelete="CASCADE"), nullable=False, index=True)
    )
    stage: str
    model_id: str = ""
    seconds: float
    outcome: str
    at: datetime = Field(default_factory=utc_now, sa_column=moment())


class Finding(SQLModel, table=True):
    """One subject seen in one item. Idempotent on (media, subject, model).

    `sealed` holds the FindingDetail of findings.py under the subject's key. `state` is due, told, held
    or dismissed.
    """

    __tablename__ = "finding"
    __table_args__ = (UniqueConstraint("media_id", "subject_id", "model_id"),)
    id: str = Field(primary_key=True)
    subject_id: str = Field(sa_column=of_subject())
    media_id: str = Field(
        sa_column=Column(ForeignKey("media_item.id", ondelete="CASCADE"), nullable=False, index=True)
    )
    model_id: str
    band: str
    state: str = Field(default="due", index=True)
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())


class Drill(SQLModel, table=True):
    """One fire drill: a marked picture of a subject, put where a real one could be, and when it was told of.

    `path` is `crawl:SOURCE`, `feed:FEED`, or `door` for one that the subject asked for. `asked_by` is
    `subject` or `operator:NAME`. `state` is asked, running, ended, or failed with a `code`. `sha256` is of
    the picture, empty until it is made. A time that is None has not come so far. See drills.py.
    """

    __tablename__ = "drill"
    id: str = Field(primary_key=True)
    path: str
    subject_id: str = Field(sa_column=of_subject())
    asked_by: str
    state: str = Field(default="asked", index=True)
    code: str | None = None
    sha256: str = Field(default="", index=True)
    asked_at: datetime = Field(default_factory=utc_now, sa_column=moment())
    planted_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    taken_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    found_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    told_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    ended_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class Evidence(SQLModel, table=True):
    """The evidence of one finding, sealed with the subject's key, linked into EvidenceLink."""

    __tablename__ = "evidence"
    id: str = Field(primary_key=True)
    finding_id: str = Field(
        sa_column=Column(ForeignKey("finding.id", ondelete="CASCADE"), nullable=False, unique=True)
    )
    subject_id: str = Field(sa_column=of_subject())
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    record_sha256: str
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())


class EvidenceLink(SQLModel, table=True):
    """One link of the evidence chain: digests only, so it outlives an erasure unbroken."""

    __tablename__ = "evidence_link"
    seq: int | None = Field(default=None, sa_column=Column(SEQUENCE, primary_key=True, autoincrement=True))
    record_sha256: str
    previous: str
    link: str = Field(unique=True)
    at: datetime = Field(sa_column=moment())


class AuditEvent(SQLModel, table=True):
    """Who did what, hash-chained. `detail` is JSON without names, addresses or biometrics."""

    __tablename__ = "audit_event"
    seq: int | None = Field(default=None, sa_column=Column(SEQUENCE, primary_key=True, autoincrement=True))
    at: datetime = Field(sa_column=moment())
    actor: str
    action: str
    subject_id: str | None = Field(default=None, index=True)
    detail: str
    previous: str
    link: str = Field(unique=True)


class Lease(SQLModel, table=True):
    """Until when a process holds a name, or was last known to live.

    `scheduler` and `crawl:SOURCE` are held by one process at a time (crawlers/lease.py); `worker:OWNER` is
    a worker's sign of life (claims.heartbeat), and `gallery_seq` how far its gallery has followed. Items are
    held by a lease in their own row instead, because claiming one and changing it is then one statement.
    """

    __tablename__ = "lease"
    name: str = Field(primary_key=True)
    owner: str
    until: datetime = Field(sa_column=moment())
    gallery_seq: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
