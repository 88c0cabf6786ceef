"""The people watched for: enrol, list and show. What says who they are is opened only here."""

from __future__ import annotations

import json
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import func
from sqlmodel import col, select

from enrollment import references
from enrollment.profiles import Profile
from enrollment.standing import Standing
from enrollment.tables import Erasure, Reference, Subject
from monitor import audit, crypto, subject_keys
from monitor.db import reading, writing
from monitor.errors import ContactInvalid, NotFound, SubjectErased
from monitor.gallery_rows import add_template, opened, rows_of
from monitor.tables import SubjectKey, Template
from monitor.values import BlobId, Modality, SubjectId

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray
    from sqlalchemy import Engine
    from sqlmodel import Session

    from enrollment.references import Kept
    from enrollment.samples import Sample
    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.gallery_rows import Models

SHORTEST_PREFIX = 4
"""Characters of an id that are enough for an operator to type, when only one subject begins with them."""


@dataclass(frozen=True, slots=True)
class SampleView:
    """One enrolled sample as an operator sees it. `kept`: whether the sample itself is there, sealed."""

    modality: Modality
    quality: float
    created_at: datetime
    kept: bool


@dataclass(frozen=True, slots=True)
class SubjectView:
    """One subject as an operator sees them: the profile opened, the rest counted.

    `asked_for_pack` names the pack that has no face of theirs: they must give new samples.
    """

    subject_id: SubjectId
    status: str
    created_at: datetime
    profile: Profile
    faces: int
    voices: int
    references: int
    asked_for_pack: str = ""
    samples: tuple[SampleView, ...] = ()


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where enrolment writes, and who writes. `actor` is `operator:NAME`."""

    engine: Engine
    keks: KeyEncryptionKeys
    blobs: BlobStore
    actor: str


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
    with (
        _references(ledger.blobs, subject_id, public, samples if keep else ()) as kept,
        writing(ledger.engine) as session,
    ):
        create(session, ledger.keks, subject_id, profile, pair=(public, private))
        _write_samples(session, ledger, subject_id, samples, kept)
        _audit(session, ledger.actor, "subject.add", subject_id, samples, len(kept), attested=True)
    return subject_id


def add_samples(
    ledger: Ledger,
    subject_id: SubjectId,
    samples: Sequence[Sample],
    *,
    attested: str = "",
    keep: bool = False,
) -> None:
    """Add samples to somebody who is enrolled; all of it in one transaction, audited.

    `attested` says how it was checked that they are this person's, and is added to the sealed profile; who
    calls without it has held them against the subject's own set. Raises ContactInvalid when there is no
    sample, NotFound, SubjectErased, StorageFull or StorageError.
    """
    if not samples:
        msg = "there is nothing to add"
        raise ContactInvalid(msg, hint="Give at least one --face or --voice.")
    with reading(ledger.engine) as session:
        profile_of(session, ledger.keks, subject_id)  # raises what tells the erased from the unknown
        public = session.get_one(Subject, subject_id).reference_public
    with (
        _references(ledger.blobs, subject_id, public, samples if keep else ()) as kept,
        writing(ledger.engine) as session,
    ):
        if attested:
            _attest_more(session, ledger, subject_id, attested)
        if any(one.modality is Modality.FACE for one in samples):
            session.get_one(Subject, subject_id).asked_for_pack = None
        _write_samples(session, ledger, subject_id, samples, kept)
        _audit(
            session,
            ledger.actor,
            "subject.add_samples",
            subject_id,
            samples,
            len(kept),
            attested=bool(attested),
        )


def _attest_more(session: Session, ledger: Ledger, subject_id: SubjectId, attested: str) -> None:
    row = session.get_one(Subject, subject_id)
    key = subject_keys.key_of(session, ledger.keks, subject_id)
    profile = _opened(key, subject_id, row.sealed_profile)
    more = replace(profile, attested=f"{profile.attested}; of later samples: {attested}")
    row.sealed_profile = _sealed(key, subject_id, more)
    session.add(row)


def create(  # noqa: PLR0913 - what a new subject has
    session: Session,
    keks: KeyEncryptionKeys,
    subject_id: SubjectId,
    profile: Profile,
    *,
    standing: Standing = Standing.ACTIVE,
    pair: tuple[bytes, bytes] | None = None,
) -> None:
    """Make the key and the row of a new subject, in the caller's transaction.

    `pair` is the HPKE pair that samples are kept with: public, private; a new one where none is given.
    """
    public, private = pair or crypto.new_intake_pair()
    key = subject_keys.create(session, keks, subject_id)
    row = Subject(
        id=subject_id,
        status=standing,
        sealed_profile=_sealed(key, subject_id, profile),
        reference_public=public,
        sealed_reference_private=crypto.seal(key, private, references.pair_context(subject_id)),
    )
    session.add(row)
    session.flush()  # what is kept points at this row


def rewrite_profile(
    session: Session, keks: KeyEncryptionKeys, subject_id: SubjectId, profile: Profile
) -> None:
    """Seal a profile anew, in the caller's transaction. Raises SubjectErased."""
    key = subject_keys.key_of(session, keks, subject_id)
    session.get_one(Subject, subject_id).sealed_profile = _sealed(key, subject_id, profile)


@contextmanager
def _references(
    blobs: BlobStore, subject_id: SubjectId, public: bytes, samples: Sequence[Sample]
) -> Iterator[Mapping[int, Kept]]:
    """Keep these samples, sealed: place -> what was kept. Where the block fails, their files go again."""
    kept: dict[int, Kept] = {}
    with ExitStack() as stack:
        for place, one in enumerate(samples):
            kept[place] = references.put(blobs, subject_id, public, one.modality, one.data)
            stack.enter_context(blobs.deleted_on_failure(kept[place].blob_id))
        yield kept


def _write_samples(
    session: Session,
    ledger: Ledger,
    subject_id: SubjectId,
    samples: Sequence[Sample],
    kept: Mapping[int, Kept],
) -> None:
    references.write(session, subject_id, list(kept.values()))
    for place, one in enumerate(samples):
        reference_id = kept[place].reference_id if place in kept else None
        what = (one.modality, one.model_id, one.vector, one.quality, reference_id)
        add_template(session, ledger.keks, subject_id, *what)


def _audit(  # noqa: PLR0913, PLR0917 - a record has these parts
    session: Session,
    actor: str,
    action: str,
    subject_id: SubjectId,
    samples: Sequence[Sample],
    kept: int,
    *,
    attested: bool,
) -> None:
    count = {m: sum(one.modality is m for one in samples) for m in Modality}
    audit.record(
        session,
        actor,
        action,
        subject_id,
        faces=count[Modality.FACE],
        voices=count[Modality.VOICE],
        references_kept=kept,
        identity_attested=attested,  # the words themselves may name people: they are sealed in the profile
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
        opener = references.opener(session, ledger.keks, subject)
        audit.record(session, ledger.actor, "reference.open", subject_id, reference=reference_id)
    return opener.open(ledger.blobs.get(blob_id), references.info(subject_id, reference_id))


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
        view = next(_views(session, ledger.keks, subject_id))
        return replace(view, samples=_samples_of(session, subject_id))


def own_set(ledger: Ledger, subject_id: SubjectId, models: Models) -> dict[Modality, NDArray[np.float32]]:
    """Open one subject's vectors of these models: modality -> (n, d) float32, rows of length 1."""
    with reading(ledger.engine) as session:
        query = select(Template.id).where(Template.subject_id == subject_id)
        rows = rows_of(session, models, list(session.exec(query)))
    found: dict[Modality, list[NDArray[np.float32]]] = {}
    for row in opened(ledger.keks, models, rows):
        found.setdefault(row.modality, []).append(row.vector.copy())
    return {modality: np.stack(vectors) for modality, vectors in found.items()}


def _samples_of(session: Session, subject_id: SubjectId) -> tuple[SampleView, ...]:
    query = select(Template).where(Template.subject_id == subject_id)
    rows = session.exec(query.order_by(col(Template.modality), col(Template.created_at), col(Template.id)))
    return tuple(
        SampleView(Modality(row.modality), row.quality, row.created_at, row.reference_id is not None)
        for row in rows
    )


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
        asked = row.asked_for_pack or ""
        yield SubjectView(subject_id, row.status, row.created_at, profile, faces, voices, kept, asked)


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


def _sealed(key: bytes, subject_id: str, profile: Profile) -> bytes:
    return crypto.seal(key, json.dumps(asdict(profile)).encode(), _context(subject_id, "profile"))


def _context(subject_id: str, kind: str) -> crypto.Context:
    return crypto.Context(subject_id, subject_id, kind)
