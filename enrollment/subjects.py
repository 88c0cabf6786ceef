"""The people watched for: enrol, list and show. What says who they are is opened only here."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from sqlalchemy import func
from sqlmodel import col, select

from enrollment.tables import Erasure, Reference, Subject
from monitor import audit, crypto, subject_keys
from monitor.db import reading, writing
from monitor.errors import ContactInvalid, NotFound, SubjectErased
from monitor.gallery_rows import add_template
from monitor.tables import BlobRow, SubjectKey, Template
from monitor.values import BlobId, Modality, SubjectId

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Engine
    from sqlmodel import Session

    from enrollment.samples import Sample
    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys

SHORTEST_PREFIX = 4
"""Characters of an id that are enough for an operator to type, when only one subject begins with them."""

REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class Profile:
    """Who a subject is. `email` or `phone` may be empty; `attested` says how identity was checked."""

    name: str
    email: str = ""
    phone: str = ""
    attested: str = ""


@dataclass(frozen=True, slots=True)
class SubjectView:
    """One subject as an operator sees them: the profile opened, the rest counted."""

    subject_id: SubjectId
    status: str
    created_at: datetime
    profile: Profile
    faces: int
    voices: int
    references: int


@dataclass(frozen=True, slots=True)
class Kept:
    """One sample whose sealed bytes are in the store, and whose rows are about to be written."""

    reference_id: str
    modality: Modality
    blob_id: BlobId
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where enrolment writes, and who writes. `actor` is `operator:NAME`."""

    engine: Engine
    keks: KeyEncryptionKeys
    blobs: BlobStore
    actor: str


def checked_profile(name: str, email: str, phone: str, attested: str) -> Profile:
    """Put an address and a number into their one spelling.

    Raises ContactInvalid when the e-mail address is not one, or the number is not a valid one in
    international form (+49 ...). Whether mail arrives there is for enrolment to prove, not for this.
    """
    if not name.strip() or not attested.strip():
        msg = "a name, and how identity was checked, are needed"
        raise ContactInvalid(msg, hint='For example: --attest "passport seen in person, J. Weber, 3 May".')
    return Profile(name.strip(), _email(email), _phone(phone), attested.strip())


def _email(text: str) -> str:
    if not text:
        return ""
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as exc:
        msg = f"the e-mail address is not valid: {exc}"
        raise ContactInvalid(msg, hint="It looks like name@example.org.") from exc


def _phone(text: str) -> str:
    if not text:
        return ""
    hint = "Give it in international form, with + and the country: +49 30 123456."
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException as exc:
        msg = "the phone number is not one in international form"
        raise ContactInvalid(msg, hint=hint) from exc
    if not phonenumbers.is_valid_number(number):
        msg = "no such phone number can exist in that country"
        raise ContactInvalid(msg, hint=hint)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def add(ledger: Ledger, profile: Profile, samples: Sequence[Sample], *, keep: bool = False) -> SubjectId:
    """Enrol one person with samples that were read before; all of it in one transaction, audited.

    `keep` keeps the samples themselves, sealed so that only this subject's key opens them. Raises
    ContactInvalid when there is no sample at all, StorageFull or StorageError when they cannot be kept.
    """
    if not samples:
        msg = "nobody can be found without a face or a voice"
        raise ContactInvalid(msg, hint="Give at least one --face or --voice.")
    subject_id = SubjectId(uuid.uuid4().hex)
    public, private = crypto.new_intake_pair()
    kept: list[Kept] = []
    try:
        for one in samples if keep else ():
            kept.append(_put_reference(ledger.blobs, subject_id, public, one))  # noqa: PERF401 - known if the next fails
        with writing(ledger.engine) as session:
            _write(session, ledger, (subject_id, profile), (public, private), samples)
            _write_references(session, subject_id, kept)
            _audit_add(session, ledger.actor, subject_id, samples, len(kept))
    except BaseException:
        for one_kept in kept:
            ledger.blobs.delete(one_kept.blob_id)
        raise
    return subject_id


def _write(
    session: Session,
    ledger: Ledger,
    who: tuple[SubjectId, Profile],
    pair: tuple[bytes, bytes],
    samples: Sequence[Sample],
) -> None:
    subject_id, profile = who
    key = subject_keys.create(session, ledger.keks, subject_id)
    row = Subject(
        id=subject_id,
        sealed_profile=crypto.seal(
            key, json.dumps(asdict(profile)).encode(), _context(subject_id, "profile")
        ),
        reference_public=pair[0],
        sealed_reference_private=crypto.seal(key, pair[1], _context(subject_id, "reference-key")),
    )
    session.add(row)
    for one in samples:
        add_template(session, ledger.keks, subject_id, one.modality, one.model_id, one.vector, one.quality)


def _put_reference(blobs: BlobStore, subject_id: SubjectId, public: bytes, one: Sample) -> Kept:
    reference_id = uuid.uuid4().hex
    sealed = crypto.IntakeSealer(public).seal(one.data, _reference_info(subject_id, reference_id))
    return Kept(reference_id, one.modality, blobs.put(sealed), len(sealed))


def _write_references(session: Session, subject_id: SubjectId, kept: Sequence[Kept]) -> None:
    for one in kept:
        session.add(BlobRow(id=one.blob_id, subject_id=subject_id, kind=REFERENCE, size_bytes=one.size_bytes))
    session.flush()  # the references point at these rows
    for one in kept:
        session.add(
            Reference(id=one.reference_id, subject_id=subject_id, modality=one.modality, blob_id=one.blob_id)
        )


def _audit_add(
    session: Session, actor: str, subject_id: SubjectId, samples: Sequence[Sample], kept: int
) -> None:
    count = {m: sum(one.modality is m for one in samples) for m in Modality}
    audit.record(
        session,
        actor,
        "subject.add",
        subject_id,
        faces=count[Modality.FACE],
        voices=count[Modality.VOICE],
        references_kept=kept,
        identity_attested=True,  # the words themselves may name people: they are sealed in the profile
    )


def open_reference(ledger: Ledger, reference_id: str) -> bytes:
    """Open one kept sample, audited. Raises NotFound, SubjectErased, BlobMissing, Tampered."""
    with writing(ledger.engine) as session:
        row = session.get(Reference, reference_id)
        subject = session.get(Subject, row.subject_id) if row is not None else None
        if row is None or subject is None:
            msg = f"there is no reference {reference_id}"
            raise NotFound(msg)
        subject_id, blob_id = SubjectId(row.subject_id), BlobId(row.blob_id)
        key = subject_keys.key_of(session, ledger.keks, subject_id)
        audit.record(session, ledger.actor, "reference.open", subject_id, reference=reference_id)
    private = crypto.unseal(key, subject.sealed_reference_private, _context(subject_id, "reference-key"))
    sealed = ledger.blobs.get(blob_id)
    return crypto.IntakeOpener(private).open(sealed, _reference_info(subject_id, reference_id))


def profile_of(session: Session, keks: KeyEncryptionKeys, subject_id: SubjectId) -> Profile:
    """Open one profile. Raises SubjectErased after an erasure, NotFound when nobody has that id."""
    row = session.get(Subject, subject_id)
    if row is None and session.get(Erasure, subject_id) is not None:
        msg = f"subject {subject_id} was erased"
        raise SubjectErased(msg)
    if row is None:
        raise _nobody(subject_id)
    return _opened(subject_keys.key_of(session, keks, subject_id), subject_id, row.sealed_profile)


def listing(ledger: Ledger) -> list[SubjectView]:
    """List everybody, oldest first, audited: whoever looks leaves a trace."""
    with writing(ledger.engine) as session:
        audit.record(session, ledger.actor, "subject.list")
    with reading(ledger.engine) as session:
        return list(_views(session, ledger.keks))


def show(ledger: Ledger, subject_id: SubjectId) -> SubjectView:
    """Show one subject, audited. Raises NotFound, SubjectErased."""
    with writing(ledger.engine) as session:
        profile_of(session, ledger.keks, subject_id)  # raises first: nothing was shown
        audit.record(session, ledger.actor, "subject.show", subject_id)
        return next(_views(session, ledger.keks, subject_id))


def with_email(engine: Engine, keks: KeyEncryptionKeys, email: str) -> list[SubjectId]:
    """Find who gave this address. Addresses are sealed, so every profile is opened for it."""
    if not email:
        return []
    with reading(engine) as session:
        return [found for found, _, profile in _profiles(session, keks) if profile.email == email]


def resolve(engine: Engine, typed: str) -> SubjectId:
    """Turn an id, or the first characters of one, into the id; of the erased too, for their receipt.

    Raises NotFound when nobody, or more than one, begins with it.
    """
    with reading(engine) as session:
        found: set[str] = set()
        for ids in (col(Subject.id), col(Erasure.subject_id)):
            query = select(ids).where(ids.startswith(typed, autoescape=True)).limit(2)
            found.update(one for (one,) in session.connection().execute(query))
    if typed in found:
        return SubjectId(typed)
    if len(found) != 1 or len(typed) < SHORTEST_PREFIX:
        raise _nobody(typed)
    return SubjectId(found.pop())


def _nobody(typed: str) -> NotFound:
    msg = f"there is no one subject {typed!r}"
    return NotFound(msg, hint="`likeness subject list` names them all, with their ids.")


def _views(session: Session, keks: KeyEncryptionKeys, only: SubjectId | None = None) -> Iterator[SubjectView]:
    templates = _counts(session, Template, only)
    references = _counts(session, Reference, only)
    for subject_id, row, profile in _profiles(session, keks, only):
        kept = sum(references.get((subject_id, modality), 0) for modality in Modality)
        faces, voices = (templates.get((subject_id, modality), 0) for modality in Modality)
        yield SubjectView(subject_id, row.status, row.created_at, profile, faces, voices, kept)


def _profiles(
    session: Session, keks: KeyEncryptionKeys, only: SubjectId | None = None
) -> Iterator[tuple[SubjectId, Subject, Profile]]:
    query = select(Subject, SubjectKey).join(SubjectKey, col(SubjectKey.subject_id) == col(Subject.id))
    if only is not None:
        query = query.where(col(Subject.id) == only)
    for subject, wrapped in session.exec(query.order_by(col(Subject.created_at), col(Subject.id))):
        key = keks.unwrap(wrapped.wrapped, wrapped.kek_id, subject_keys.subject_context(subject.id))
        yield SubjectId(subject.id), subject, _opened(key, subject.id, subject.sealed_profile)


def _counts(session: Session, table: Any, only: SubjectId | None) -> dict[tuple[str, str], int]:  # noqa: ANN401 - a table class
    query = select(table.subject_id, table.modality, func.count()).group_by(table.subject_id, table.modality)
    if only is not None:
        query = query.where(table.subject_id == only)
    return {(who, modality): count for who, modality, count in session.connection().execute(query)}


def _opened(key: bytes, subject_id: str, sealed: bytes) -> Profile:
    return Profile(**json.loads(crypto.unseal(key, sealed, _context(subject_id, "profile"))))


def _context(subject_id: str, kind: str) -> crypto.Context:
    return crypto.Context(subject_id, subject_id, kind)


def _reference_info(subject_id: str, reference_id: str) -> bytes:
    return crypto.bind(b"likeness-watch/reference/1", subject_id, reference_id)
