"""How originals rest: each sealed with a key of its own, and that one with the key of its subject."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor import crypto
from monitor.errors import BlobMissing
from monitor.tables import BlobRow
from monitor.values import BlobId

if TYPE_CHECKING:
    from monitor.blobs import BlobStore
    from monitor.originals.tables import KnownOriginal
    from monitor.values import SubjectId

BLOB: Final = "known_original"
"""Kind of the blobs, waiting ones and those that are ready."""


def opened(key: bytes, blobs: BlobStore, row: KnownOriginal) -> bytes:
    """Open the bytes of an original that is ready; `key` is its subject's. Raises Tampered, BlobMissing."""
    if row.blob_id is None or row.sealed_key is None:
        msg = f"the bytes of original {row.id} are gone"
        raise BlobMissing(msg)
    own = crypto.unseal(key, row.sealed_key, key_context(row.subject_id, row.id))
    return crypto.unseal(own, blobs.get(BlobId(row.blob_id)), media_context(row.subject_id, row.id))


def sealed_media(key: bytes, subject_id: SubjectId, original_id: str, data: bytes) -> tuple[bytes, bytes]:
    """Seal the bytes of an original with a new key of its own; give them, and that key sealed for the row.

    Who takes an original back deletes its row, and a copy of the disk opens no more.
    """
    own = crypto.new_key()
    sealed_key = crypto.seal(key, own, key_context(subject_id, original_id))
    return crypto.seal(own, data, media_context(subject_id, original_id)), sealed_key


def media_context(subject_id: str, original_id: str) -> crypto.Context:
    """Give what is bound to the sealed bytes."""
    return crypto.Context(subject_id, original_id, "known-original")


def key_context(subject_id: str, original_id: str) -> crypto.Context:
    """Give what is bound to an original's own key."""
    return crypto.Context(subject_id, original_id, "known-original-key")


def blob_row(subject_id: SubjectId, blob_id: BlobId, size: int) -> BlobRow:
    """Make the row by which an erasure finds the bytes."""
    return BlobRow(id=blob_id, subject_id=subject_id, kind=BLOB, size_bytes=size)
