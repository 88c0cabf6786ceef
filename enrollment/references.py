"""Samples as they rest: sealed to their subject's own public key, so that putting in opens nothing.

A sample that was given by the web form rests in the same way as one that is kept: to keep it is to add
its Reference row.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from enrollment.tables import GivenSample, Reference, Subject
from monitor import crypto, subject_keys
from monitor.tables import BlobRow
from monitor.values import BlobId, Modality, SubjectId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmodel import Session

    from monitor.blobs import BlobStore
    from monitor.crypto import IntakeOpener, KeyEncryptionKeys

REFERENCE, GIVEN = "reference", "given"
"""Kinds of the blobs: kept because the subject agreed to it, and given by the web form."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One sample whose sealed bytes are in the store, and whose rows are about to be written."""

    reference_id: str
    modality: Modality
    blob_id: BlobId
    size_bytes: int


def put(blobs: BlobStore, subject_id: SubjectId, public: bytes, modality: Modality, data: bytes) -> Kept:
    """Seal one sample to a subject's public key, and store it. Raises StorageFull, StorageError."""
    reference_id = uuid.uuid4().hex
    sealed = crypto.IntakeSealer(public).seal(data, info(subject_id, reference_id))
    return Kept(reference_id, modality, blobs.put(sealed), len(sealed))


def write(session: Session, subject_id: SubjectId, kept: Sequence[Kept]) -> None:
    """Write the rows of samples that are kept, in the caller's transaction."""
    for one in kept:
        session.add(blob_row(subject_id, one, REFERENCE))
    session.flush()  # the references point at these rows
    for one in kept:
        session.add(
            Reference(id=one.reference_id, subject_id=subject_id, modality=one.modality, blob_id=one.blob_id)
        )


def keep(session: Session, given: GivenSample) -> str:
    """Make a sample that was given one that is kept, in the caller's transaction; give the reference's id.

    The sample must still have its blob.
    """
    if given.blob_id is None:
        msg = f"the bytes of sample {given.id} are gone"
        raise ValueError(msg)
    session.get_one(BlobRow, given.blob_id).kind = REFERENCE
    row = Reference(id=given.id, subject_id=given.subject_id, modality=given.modality, blob_id=given.blob_id)
    session.add(row)
    session.flush()
    return row.id


def blob_row(subject_id: SubjectId, kept: Kept, kind: str) -> BlobRow:
    """Make the row by which an erasure finds the bytes."""
    return BlobRow(id=kept.blob_id, subject_id=subject_id, kind=kind, size_bytes=kept.size_bytes)


def opener(session: Session, keks: KeyEncryptionKeys, subject: Subject) -> IntakeOpener:
    """Give what opens a subject's samples. Raises SubjectErased, Tampered."""
    key = subject_keys.key_of(session, keks, SubjectId(subject.id))
    return crypto.IntakeOpener(crypto.unseal(key, subject.sealed_reference_private, pair_context(subject.id)))


def renew_pair(session: Session, keks: KeyEncryptionKeys, subject_id: SubjectId) -> None:
    """Put a new pair in place of a subject's, in the caller's transaction. What was sealed opens no more.

    For somebody whose samples and clips are all deleted. Raises SubjectErased.
    """
    subject = session.get_one(Subject, subject_id, with_for_update=True)
    key = subject_keys.key_of(session, keks, subject_id)
    subject.reference_public, private = crypto.new_intake_pair()
    subject.sealed_reference_private = crypto.seal(key, private, pair_context(subject_id))
    session.flush()


def pair_context(subject_id: str) -> crypto.Context:
    """Give what is bound to the sealed half of a subject's pair."""
    return crypto.Context(subject_id, subject_id, "reference-key")


def info(subject_id: str, reference_id: str) -> bytes:
    """Give what is bound to a sealed sample, for opening too."""
    return crypto.bind(b"likeness-watch/reference/1", subject_id, reference_id)
