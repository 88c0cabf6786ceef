"""What follows from taking a consent back: done at once, in the transaction that keeps the answer.

    biometrics    the watch stops: templates, vectors, samples, clips and originals are deleted, and so
                  are the keys that opened samples and clips: what a disk still has of them opens no more
    references    the kept samples are deleted; the watch goes on
    scores        nothing is counted from now on; there is nothing to delete

Files go after the commit: a crash between the two leaves sealed bytes that no row names, and jobs.sweep
takes those. Then the tables are scrubbed (scrubbing.py), since a deleted row's bytes rest in its file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import update
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, delete, select

from enrollment import consent, references
from enrollment.consent_texts import Purpose
from enrollment.scrubbing import scrub
from enrollment.standing import Standing
from enrollment.tables import Account, Challenge, GivenSample, Hold, Reference, Subject
from monitor import log as logs
from monitor import lookalikes
from monitor.gallery_rows import pause as leave_galleries
from monitor.gallery_rows import unpause
from monitor.originals.tables import KnownOriginal
from monitor.tables import BlobRow, Lookalike, Template
from monitor.values import BlobId

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine
    from sqlmodel import Session

    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys, Signer
    from monitor.values import SubjectId

log = logs.get(__name__)

MEASURED: Final = (Template, GivenSample, Challenge, Hold, KnownOriginal, Lookalike, Subject)
"""Tables whose rows hold what was measured of a face or voice, or the key that opened a sample."""

SCRUB_WAIT_S: Final = 5
"""How long somebody who takes a consent back waits for readers of these tables; a read takes milliseconds."""


@dataclass(frozen=True, slots=True)
class Gone:
    """What is to be done after the commit: files to delete, and tables whose deleted rows are scrubbed."""

    blob_ids: tuple[BlobId, ...] = ()
    tables: tuple[type[Any], ...] = ()


def withdraw(
    session: Session,
    keys: tuple[Signer, KeyEncryptionKeys],
    subject_id: SubjectId,
    purpose: Purpose,
    now: datetime,
) -> Gone:
    """Keep a no to one question and do what follows, in the caller's transaction.

    Gives what `forget` must do after the commit.
    """
    signer, keks = keys
    consent.answer(session, signer, subject_id, {purpose: False}, now)
    match purpose:
        case Purpose.REFERENCES:
            return Gone(tuple(_without_references(session, subject_id)))
        case Purpose.BIOMETRICS:
            references.renew_pair(session, keks, subject_id)
            return Gone(tuple(_without_biometrics(session, subject_id, now)), MEASURED)
        case Purpose.SCORES:
            return Gone()


def forget(engine: Engine, blobs: BlobStore, gone: Gone) -> None:
    """Delete the files, then scrub the tables. Raises StorageError; jobs.sweep takes what is left then.

    Where somebody reads a table all the time its deleted rows stay in its file, sealed, until it is vacuumed:
    that is logged, and keeps nobody waiting.
    """
    for blob_id in gone.blob_ids:
        blobs.delete(blob_id)
    if not gone.tables:
        return
    try:
        done = scrub(engine, gone.tables, SCRUB_WAIT_S)
    except DBAPIError:
        done = False
    if not done:
        log.warning("withdrawn_rows_not_scrubbed", tables=[one.__tablename__ for one in gone.tables])


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
    for table in (Template, GivenSample, Hold, KnownOriginal):
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
