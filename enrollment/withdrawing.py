"""What follows from taking a consent back: done at once, in the transaction that keeps the answer.

    biometrics    the watch stops: templates and vectors are deleted, samples and clips too
    references    the kept samples are deleted; the watch goes on
    scores        nothing is counted from now on; there is nothing to delete

Files go after the commit: a crash between the two leaves sealed bytes that no row names, and jobs.sweep
takes those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import update
from sqlmodel import col, delete, select

from enrollment import consent
from enrollment.consent_texts import Purpose
from enrollment.standing import Standing
from enrollment.tables import Account, Challenge, GivenSample, Hold, Reference, Subject
from monitor import lookalikes
from monitor.gallery_rows import pause as leave_galleries
from monitor.gallery_rows import unpause
from monitor.tables import BlobRow, Template
from monitor.values import BlobId

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel import Session

    from monitor.blobs import BlobStore
    from monitor.crypto import Signer
    from monitor.values import SubjectId


def withdraw(
    session: Session, signer: Signer, subject_id: SubjectId, purpose: Purpose, now: datetime
) -> list[BlobId]:
    """Keep a no to one question and do what follows, in the caller's transaction.

    Gives the files that `forget` must delete after the commit.
    """
    consent.answer(session, signer, subject_id, {purpose: False}, now)
    match purpose:
        case Purpose.REFERENCES:
            return _without_references(session, subject_id)
        case Purpose.BIOMETRICS:
            return _without_biometrics(session, subject_id, now)
        case Purpose.SCORES:
            return []


def forget(blobs: BlobStore, gone: list[BlobId]) -> None:
    """Delete the files. Raises StorageError; jobs.sweep takes what is left then."""
    for blob_id in gone:
        blobs.delete(blob_id)


def _without_references(session: Session, subject_id: SubjectId) -> list[BlobId]:
    own = col(Template.subject_id) == subject_id
    session.connection().execute(update(Template).where(own).values(reference_id=None))
    kept = select(Reference.blob_id).where(Reference.subject_id == subject_id)
    return _without_blobs(session, list(session.exec(kept)))


def _without_biometrics(session: Session, subject_id: SubjectId, now: datetime) -> list[BlobId]:
    # 1  out of every gallery, and nothing comes back when the pause that this is ends
    leave_galleries(session, subject_id, now)
    lookalikes.forget(session, lookalikes.of_subject(session, subject_id))
    connection = session.connection()
    for table in (Template, GivenSample, Hold):
        connection.execute(delete(table).where(col(table.subject_id) == subject_id))
    unpause(session, subject_id)
    # 2  clips and samples
    clips = select(BlobRow.id).where(
        BlobRow.subject_id == subject_id, col(BlobRow.kind).not_in(("original", "export"))
    )
    gone = _without_blobs(session, list(session.exec(clips)))
    connection.execute(delete(Challenge).where(col(Challenge.subject_id) == subject_id))
    # 3  as if nothing had been given: whoever comes back begins anew
    session.get_one(Subject, subject_id).status = Standing.NEW
    account = session.get(Account, subject_id)
    if account is not None:
        account.told_from = account.proved_until = account.reminded_at = None
    return gone


def _without_blobs(session: Session, blob_ids: list[str]) -> list[BlobId]:
    """Delete the rows of these files; what names them goes with them, or names nothing any more."""
    for blob_id in blob_ids:
        session.connection().execute(delete(BlobRow).where(col(BlobRow.id) == blob_id))
    return [BlobId(one) for one in blob_ids]
