"""Where originals rest, sealed with their subject's own key: what opens them again, and only theirs.

Whoever registers media as theirs has it compared with sightings of themselves and of nobody else: every
question here names the subject, and the subject is bound to every sealed value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlmodel import col, select

from monitor import crypto, subject_keys
from monitor import log as logs
from monitor.db import reading
from monitor.errors import LikenessError
from monitor.originals.marks import Marks, packed, unpacked
from monitor.originals.tables import KnownOriginal
from monitor.tables import BlobRow
from monitor.values import BlobId, MediaKind

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.values import SubjectId

BLOB: Final = "known_original"
"""Kind of the blobs, waiting ones and those that are ready."""

READY: Final = "ready"

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Known:
    """One original that can be compared with. `kind` is that of the media."""

    original_id: str
    subject_id: SubjectId
    kind: MediaKind
    blob_id: BlobId
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
            found.append(Known(row.id, subject_id, MediaKind(row.kind), BlobId(row.blob_id), marks))
        return tuple(found)

    def data(self, known: Known) -> bytes:
        """Open an original's bytes. Raises SubjectErased, Tampered, BlobMissing."""
        with reading(self.engine) as session:
            key = subject_keys.key_of(session, self.keks, known.subject_id)
        return opened(key, self.blobs, known.subject_id, known.original_id, known.blob_id)


def opened(key: bytes, blobs: BlobStore, subject_id: SubjectId, original_id: str, blob_id: BlobId) -> bytes:
    """Open the bytes of an original that is ready. Raises Tampered, BlobMissing."""
    return crypto.unseal(key, blobs.get(blob_id), media_context(subject_id, original_id))


def sealed_media(key: bytes, subject_id: SubjectId, original_id: str, data: bytes) -> bytes:
    """Seal the bytes of an original with its subject's key."""
    return crypto.seal(key, data, media_context(subject_id, original_id))


def sealed_marks(key: bytes, subject_id: SubjectId, original_id: str, marks: Marks) -> bytes:
    """Seal what its copies are known by."""
    return crypto.seal(key, packed(marks), marks_context(subject_id, original_id))


def media_context(subject_id: str, original_id: str) -> crypto.Context:
    """Give what is bound to the sealed bytes."""
    return crypto.Context(subject_id, original_id, "known-original")


def marks_context(subject_id: str, original_id: str) -> crypto.Context:
    """Give what is bound to the sealed marks."""
    return crypto.Context(subject_id, original_id, "known-original-marks")


def blob_row(subject_id: SubjectId, blob_id: BlobId, size: int) -> BlobRow:
    """Make the row by which an erasure finds the bytes."""
    return BlobRow(id=blob_id, subject_id=subject_id, kind=BLOB, size_bytes=size)
