"""The originals of one subject, opened for the worker that compares: of that subject, and of nobody else.

Whoever registers media as theirs has it compared with sightings of themselves only: every question here
names the subject, and the subject is bound to every sealed value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlmodel import col, select

from monitor import crypto, subject_keys
from monitor import log as logs
from monitor.db import reading
from monitor.errors import BlobMissing, LikenessError
from monitor.originals.marks import Marks, packed, unpacked
from monitor.originals.shelf import opened
from monitor.originals.tables import KnownOriginal
from monitor.values import MediaKind

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.values import SubjectId

READY: Final = "ready"

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Known:
    """One original that can be compared with. `kind` is that of the media."""

    original_id: str
    subject_id: SubjectId
    kind: MediaKind
    marks: Marks


@dataclass(frozen=True, slots=True)
class Shelf:
    """Opens originals for the worker that compares."""

    engine: Engine
    keks: KeyEncryptionKeys
    blobs: BlobStore

    def known(self, subject_id: SubjectId) -> tuple[Known, ...]:
        """Give what one subject registered, oldest first; damaged ones are left out, and logged.

        Raises SubjectErased.
        """
        query = (
            select(KnownOriginal)
            .where(KnownOriginal.subject_id == subject_id, KnownOriginal.state == READY)
            .order_by(col(KnownOriginal.created_at), col(KnownOriginal.id))
        )
        with reading(self.engine) as session:
            rows = session.exec(query).all()
            if not rows:
                return ()
            key = subject_keys.key_of(session, self.keks, subject_id)
        found = []
        for row in rows:
            if row.blob_id is None or row.sealed_marks is None:
                continue
            try:
                marks = unpacked(crypto.unseal(key, row.sealed_marks, marks_context(subject_id, row.id)))
            except LikenessError as exc:
                log.warning("original_not_opened", original=row.id, code=exc.code)
                continue
            found.append(Known(row.id, subject_id, MediaKind(row.kind), marks))
        return tuple(found)

    def data(self, known: Known) -> bytes:
        """Open an original's bytes. Raises SubjectErased, Tampered, BlobMissing."""
        with reading(self.engine) as session:
            row = session.get(KnownOriginal, known.original_id)
            key = subject_keys.key_of(session, self.keks, known.subject_id)
        if row is None or row.subject_id != known.subject_id:
            msg = f"the original {known.original_id} was taken back"
            raise BlobMissing(msg)
        return opened(key, self.blobs, row)


def sealed_marks(key: bytes, subject_id: SubjectId, original_id: str, marks: Marks) -> bytes:
    """Seal what its copies are known by."""
    return crypto.seal(key, packed(marks), marks_context(subject_id, original_id))


def marks_context(subject_id: str, original_id: str) -> crypto.Context:
    """Give what is bound to the sealed marks."""
    return crypto.Context(subject_id, original_id, "known-original-marks")
