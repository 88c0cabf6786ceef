"""Originals: authentic pictures, videos and recordings of a person, by which changed copies are known.

    give       judged by its first bytes, sealed at once to the person's own public key (web, or an operator)
    register   the worker decodes it in a child process, reads what its copies are known by, and seals both
               with the person's key (registering.py)
    compare    sightings of this person are laid over it (monitor/originals/scorer.py): of nobody else
    remove     bytes, marks and row, at once

Nobody checks that an original is authentic, or shows the person at all. So it says nothing about anybody but
the one who gave it: not who they are, and nothing of sightings of others.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sqlalchemy import func
from sqlmodel import col, select

from enrollment import references
from enrollment.files import kind_of_file
from enrollment.given import Said
from enrollment.tables import Subject
from monitor import audit, crypto, subject_keys
from monitor.db import reading, writing
from monitor.errors import GivenBefore, NotFound, TooManySamples
from monitor.originals import shelf
from monitor.originals.tables import KnownOriginal
from monitor.tables import BlobRow
from monitor.values import BlobId, MediaKind, SubjectId

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel import Session

    from enrollment.given import Givers
    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys

MOST: Final = 60
"""Originals of one person: as many as one sighting is laid over (scorer.MOST_ORIGINALS)."""

LONGEST_NAME: Final = 60
"""Characters of the name by which the person knows it again."""

SAID: Final = "known-original-said"

SUBJECT: Final = "subject"


class State(StrEnum):
    """What became of an original."""

    WAITING = "waiting"
    JUDGING = "judging"
    READY = "ready"
    REFUSED = "refused"


UNREAD: Final = frozenset({State.WAITING, State.JUDGING})


@dataclass(frozen=True, slots=True)
class OriginalView:
    """One original as its person sees it. `name` is what they called it."""

    original_id: str
    name: str
    kind: MediaKind
    state: State
    code: str
    said: Said
    created_at: datetime


def give(  # noqa: PLR0913, PLR0917 - what, whose, and who says so
    givers: Givers,
    keks: KeyEncryptionKeys,
    subject_id: SubjectId,
    name: str,
    data: bytes,
    actor: str,
    now: datetime,
) -> str:
    """Take one original in: sealed to its person's own key before this returns; give its id. Audited.

    Raises:
        EmptyMedia, TooLarge, NotMedia, HeicPicture: it is not taken, by its first bytes.
        GivenBefore, TooManySamples: it is not taken, whatever it is.
        NotFound: nobody has that id.
        StorageFull, StorageError: the sealed bytes could not be stored; nothing is.
    """
    # 1. judge it by size and first bytes
    kind = kind_of_file(data, givers.max_bytes, "a picture, a video or a recording")
    # 2. know it again
    lookup = givers.lookups.digest(f"original.{subject_id}", hashlib.sha256(data).digest())
    with reading(givers.engine) as session:
        subject = session.get(Subject, subject_id)
        if subject is None:
            msg = "there is nobody to give an original to"
            raise NotFound(msg)
        _refuse_more(session, subject_id, lookup)
        public = subject.reference_public
    # 3. seal and store the bytes, then write the rows; a second tab may have been first
    original_id = uuid.uuid4().hex
    sealed = crypto.IntakeSealer(public).seal(data, info(subject_id, original_id))
    blob_id = givers.blobs.put(sealed)
    with givers.blobs.deleted_on_failure(blob_id), writing(givers.engine) as session:
        session.get(Subject, subject_id, with_for_update=True)
        _refuse_more(session, subject_id, lookup)
        key = subject_keys.key_of(session, keks, subject_id)
        session.add(shelf.blob_row(subject_id, blob_id, len(sealed)))
        session.flush()  # the original points at this row
        said = seal_said(key, subject_id, original_id, name[:LONGEST_NAME], Said("We are looking at it."))
        session.add(
            KnownOriginal(
                id=original_id,
                subject_id=subject_id,
                kind=kind.value,
                lookup=lookup,
                blob_id=blob_id,
                sealed_said=said,
                created_at=now,
            )
        )
        audit.record(session, actor, "original.add", subject_id, kind=kind.value)
    return original_id


def listing(session: Session, keks: KeyEncryptionKeys, subject_id: SubjectId) -> list[OriginalView]:
    """List a person's originals, in the order given. Raises SubjectErased."""
    query = select(KnownOriginal).where(KnownOriginal.subject_id == subject_id)
    rows = session.exec(query.order_by(col(KnownOriginal.created_at), col(KnownOriginal.id))).all()
    if not rows:
        return []
    key = subject_keys.key_of(session, keks, subject_id)
    return [_view(key, row) for row in rows]


def remove(givers: Givers, subject_id: SubjectId, original_id: str, actor: str) -> None:
    """Take one original away, bytes and all, audited. Raises NotFound for one that is not this person's."""
    with writing(givers.engine) as session:
        row = session.get(KnownOriginal, original_id, with_for_update=True)
        if row is None or row.subject_id != subject_id:
            msg = "there is no such original"
            raise NotFound(msg)
        blob_id = row.blob_id
        session.delete(row)
        session.flush()
        blob = session.get(BlobRow, blob_id) if blob_id is not None else None
        if blob is not None:
            session.delete(blob)
        audit.record(session, actor, "original.remove", subject_id)
    if blob_id is not None:
        givers.blobs.delete(BlobId(blob_id))


def owner_of(session: Session, original_id: str) -> SubjectId:
    """Say whose original this is, for an operator. Raises NotFound."""
    row = session.get(KnownOriginal, original_id)
    if row is None:
        msg = f"there is no original {original_id}"
        raise NotFound(msg, hint="`likeness original list SUBJECT` names them.")
    return SubjectId(row.subject_id)


def opened(
    session: Session, keks: KeyEncryptionKeys, blobs: BlobStore, subject_id: SubjectId, original_id: str
) -> bytes | None:
    """Open an original's bytes, for the worker alone; None where they are gone.

    Raises KeysError, BlobMissing.
    """
    row = session.get(KnownOriginal, original_id)
    if row is None or row.subject_id != subject_id or row.blob_id is None:
        return None
    if row.state == State.READY:
        key = subject_keys.key_of(session, keks, subject_id)
        return shelf.opened(key, blobs, row)
    opener = references.opener(session, keks, session.get_one(Subject, subject_id))
    return opener.open(blobs.get(BlobId(row.blob_id)), info(subject_id, original_id))


def seal_said(key: bytes, subject_id: str, original_id: str, name: str, said: Said) -> bytes:
    """Seal what the person reads about an original."""
    plain = json.dumps({"name": name, **asdict(said)}).encode()
    return crypto.seal(key, plain, crypto.Context(subject_id, original_id, SAID))


def name_of(key: bytes, row: KnownOriginal) -> str:
    """Open what the person called it. Raises Tampered."""
    return _view(key, row).name


def info(subject_id: str, original_id: str) -> bytes:
    """Give what is bound to an original that waits, for opening too."""
    return crypto.bind(b"likeness-watch/known-original/1", subject_id, original_id)


def _view(key: bytes, row: KnownOriginal) -> OriginalView:
    read = json.loads(crypto.unseal(key, row.sealed_said, crypto.Context(row.subject_id, row.id, SAID)))
    said = Said(read["sentence"], read["hint"], tuple(read["notes"]))
    return OriginalView(
        row.id, read["name"], MediaKind(row.kind), State(row.state), row.code, said, row.created_at
    )


def _refuse_more(session: Session, subject_id: SubjectId, lookup: str) -> None:
    own = col(KnownOriginal.subject_id) == subject_id
    if session.exec(select(KnownOriginal.id).where(own, KnownOriginal.lookup == lookup)).first() is not None:
        msg = "you gave this very file already"
        raise GivenBefore(msg, hint="It is on the list.")
    if session.exec(select(func.count()).select_from(KnownOriginal).where(own)).one() >= MOST:
        msg = f"there are {MOST} on the list already"
        raise TooManySamples(msg, hint="Remove some first, if you want to give others.")
