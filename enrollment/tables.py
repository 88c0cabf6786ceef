"""The rows of the enrolled. What says who they are is sealed with their own key before it comes here.

    subject ── account            of whoever came by the web form
       │          ├── passkey, web_session, one_time_code      how they come in
       │          ├── consent                                  what they agreed to
       │          ├── given_sample, challenge                  what they gave, and proved
       │          ├── hold ── hold_vote                        what an operator must look at
       │          ├── delegate                                 whom they let see
       │          ├── search_term                              what they ask the crawlers to look for
       │          └── export                                   a copy of everything, for a day
       └── reference              samples that are kept

    letter, rate_count, login_use, seen_clip and operator_account hang on nobody, or outlive them.

Digests named `lookup` are keyed (enrollment/lookups.py): without the service's secret they tell nothing.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from monitor.db import UtcDateTime, utc_now
from monitor.tables import SUBJECT, moment, of_subject


class Subject(SQLModel, table=True):
    """One person who is watched for, or is on the way to it, or a delegate of one.

    `status` is a value of enrollment/standing.py; only of `active` ones are there templates and messages.
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


class Account(SQLModel, table=True):
    """What a person who enrolled by the web form has beside a subject: a way in, and dates.

    `told_from` is when the cooling-off ends, `proved_until` when the proof must be given again. None:
    not yet. `phone_at` is when a code that went to the phone came back. `reminded_at` is when the person
    was last reminded that the proof is due.
    """

    __tablename__ = "account"
    subject_id: str = Field(sa_column=Column(ForeignKey(SUBJECT, ondelete="CASCADE"), primary_key=True))
    email_lookup: str = Field(unique=True)
    language: str = "en"
    phone_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    told_from: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    proved_until: datetime | None = Field(default=None, sa_column=moment(nullable=True, index=True))
    reminded_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    seen_at: datetime = Field(default_factory=utc_now, sa_column=moment(index=True))
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())


class Passkey(SQLModel, table=True):
    """One passkey (WebAuthn credential) of a person. `id` is the credential's id, base64url."""

    __tablename__ = "passkey"
    id: str = Field(primary_key=True)
    subject_id: str = Field(sa_column=of_subject())
    public_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    sign_count: int = 0
    name: str
    used_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())


class WebSession(SQLModel, table=True):
    """A browser that is signed in. `id` is the SHA-256 of its cookie; deleting the row signs it out.

    `second_at` is when a second factor was last shown in it; `browser` is a short name for the person.
    """

    __tablename__ = "web_session"
    id: str = Field(primary_key=True)
    subject_id: str = Field(sa_column=of_subject())
    browser: str
    second_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    seen_at: datetime = Field(default_factory=utc_now, sa_column=moment())
    expires_at: datetime = Field(sa_column=moment(index=True))
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())


class OneTimeCode(SQLModel, table=True):
    """A code that was sent, or a WebAuthn challenge that was given; one of each purpose per subject.

    `lookup` is its keyed digest. `sealed` holds what the code is about, such as the new phone number.
    """

    __tablename__ = "one_time_code"
    subject_id: str = Field(sa_column=Column(ForeignKey(SUBJECT, ondelete="CASCADE"), primary_key=True))
    purpose: str = Field(primary_key=True)
    lookup: str
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    tries: int = 0
    expires_at: datetime = Field(sa_column=moment(index=True))


class LoginUse(SQLModel, table=True):
    """A link of an e-mail that was used up: it opens nothing a second time."""

    __tablename__ = "login_use"
    id: str = Field(primary_key=True)
    expires_at: datetime = Field(sa_column=moment(index=True))


class RateCount(SQLModel, table=True):
    """How often something was asked in one window of time: by a keyed digest of who or what asked."""

    __tablename__ = "rate_count"
    lookup: str = Field(primary_key=True)
    window: datetime = Field(sa_column=Column(UtcDateTime(), primary_key=True))
    count: int = 0


class Letter(SQLModel, table=True):
    """A message that is no alert: a link, a code, a warning, a reminder. See enrollment/letters.py.

    `sealed` is sealed to the service (HPKE): address, words. `subject_id` is None for an address that
    belongs to nobody yet.
    """

    __tablename__ = "letter"
    id: str = Field(primary_key=True)
    subject_id: str | None = Field(default=None, sa_column=of_subject(nullable=True))
    kind: str
    channel: str
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    state: str = Field(default="due", index=True)
    reason: str = ""
    tries: int = 0
    due_at: datetime = Field(default_factory=utc_now, sa_column=moment(index=True))
    sending_since: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())


class Consent(SQLModel, table=True):
    """One answer to one question. The newest of a purpose is in force; older ones stay as its history.

    `record` is what the person can download: the words agreed to, the answer, when; signed by the service.
    """

    __tablename__ = "consent"
    id: str = Field(primary_key=True)
    subject_id: str = Field(sa_column=of_subject())
    purpose: str = Field(index=True)
    version: str
    given: bool
    record: str
    at: datetime = Field(default_factory=utc_now, sa_column=moment(index=True))


class GivenSample(SQLModel, table=True):
    """One sample that came by the web form: sealed to the subject's own key, judged by the worker.

    `state` is waiting, judging, usable, refused, failed, or enrolled. `sealed_said` is what the person
    reads about it, `sealed_vector` the vector that becomes a template; both sealed with the subject's
    key. `clip_lookup` is the keyed digest of the bytes. `blob_id` is None once the bytes were deleted: of
    what was refused nothing is kept. `id` is the id that the sample has as a Reference too.
    """

    __tablename__ = "given_sample"
    id: str = Field(primary_key=True)
    subject_id: str = Field(sa_column=of_subject())
    modality: str
    blob_id: str | None = Field(
        default=None, sa_column=Column(ForeignKey("blob.id", ondelete="SET NULL"), nullable=True)
    )
    clip_lookup: str = Field(index=True)
    state: str = Field(default="waiting", index=True)
    code: str = ""
    sealed_said: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    sealed_vector: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    model_id: str = ""
    quality: float = 0.0
    tries: int = 0
    judging_since: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())


class Challenge(SQLModel, table=True):
    """One challenge: what was drawn, the clip that answered it, and what became of it.

    `state` is a value of enrollment/identity/verdict.py. `drawn` is JSON (turns, digits, language; all empty
    where an operator attested in place of a clip). `sealed_report` is what the checks found, for an operator:
    sealed with the subject's key.
    """

    __tablename__ = "challenge"
    id: str = Field(primary_key=True)
    subject_id: str = Field(sa_column=of_subject())
    drawn: str
    state: str = Field(default="drawn", index=True)
    blob_id: str | None = Field(
        default=None, sa_column=Column(ForeignKey("blob.id", ondelete="SET NULL"), nullable=True)
    )
    sealed_report: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    tries: int = 0
    judging_since: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    drawn_at: datetime = Field(default_factory=utc_now, sa_column=moment())
    expires_at: datetime = Field(sa_column=moment(index=True))
    ended_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class SeenClip(SQLModel, table=True):
    """A clip or sample that was given once, by keyed digest: given again, it is a replay. It expires."""

    __tablename__ = "seen_clip"
    lookup: str = Field(primary_key=True)
    expires_at: datetime = Field(sa_column=moment(index=True))


class Hold(SQLModel, table=True):
    """How one start was answered: an enrolment that a person must look at, or one that was let in at once.

    `state` is clear (let in at once, so that both leave the same number of rows), open, approved or
    rejected; `acted_at` is when the worker did what was decided. `reasons` are codes, comma-separated.
    `sealed_report` is what an operator sees (see enrollment/holds.py), sealed with the subject's key.
    """

    __tablename__ = "hold"
    id: str = Field(primary_key=True)
    subject_id: str = Field(sa_column=of_subject())
    reasons: str
    state: str = Field(default="open", index=True)
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())
    sealed_report: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    decided_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    acted_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class HoldVote(SQLModel, table=True):
    """What one operator said of one hold. Letting somebody in takes two of them.

    `sealed_why` is their reason, sealed with the subject's key.
    """

    __tablename__ = "hold_vote"
    hold_id: str = Field(sa_column=Column(ForeignKey("hold.id", ondelete="CASCADE"), primary_key=True))
    operator: str = Field(primary_key=True)
    approve: bool
    sealed_why: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    at: datetime = Field(default_factory=utc_now, sa_column=moment())


class Delegate(SQLModel, table=True):
    """Somebody whom a person let see their findings. `state` is invited, active, declined or ended.

    `sealed` holds the address and the name that the person wrote, sealed with the person's key.
    """

    __tablename__ = "delegate"
    __table_args__ = (UniqueConstraint("subject_id", "email_lookup"),)
    id: str = Field(primary_key=True)
    subject_id: str = Field(sa_column=of_subject())
    email_lookup: str = Field(index=True)
    delegate_id: str | None = Field(default=None, sa_column=of_subject(nullable=True))
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    state: str = Field(default="invited", index=True)
    invited_at: datetime = Field(default_factory=utc_now, sa_column=moment())
    answered_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class SearchTerm(SQLModel, table=True):
    """A name, handle or hashtag that the subject asks the crawlers to look for.

    `sealed` holds its kind and text under the subject's key; `lookup` keeps the same one from coming twice.
    """

    __tablename__ = "search_term"
    __table_args__ = (UniqueConstraint("subject_id", "lookup"),)
    id: str = Field(primary_key=True)
    subject_id: str = Field(sa_column=of_subject())
    lookup: str
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())


class Export(SQLModel, table=True):
    """A copy of everything about a person, made by the worker, taken once, gone after a day.

    `state` is waiting, making, ready, taken or failed. `blob_ids` is a JSON list: the parts of the zip file
    in their order, each sealed with the subject's key.
    """

    __tablename__ = "export"
    id: str = Field(primary_key=True)
    subject_id: str = Field(sa_column=of_subject())
    state: str = Field(default="waiting", index=True)
    blob_ids: str = "[]"
    size_bytes: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    tries: int = 0
    making_since: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())
    expires_at: datetime = Field(sa_column=moment(index=True))


class OperatorAccount(SQLModel, table=True):
    """Somebody who may look at held enrolments. `token_digest`: SHA-256 of 256 random bits."""

    __tablename__ = "operator_account"
    name: str = Field(primary_key=True)
    token_digest: str
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())
    revoked_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
