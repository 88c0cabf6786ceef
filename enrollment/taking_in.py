"""What becomes of samples that are taken in: kept or deleted as it was agreed, and their vectors enrolled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import select

from enrollment import references
from enrollment.consent import is_agreed
from enrollment.consent_texts import Purpose
from enrollment.given import State
from enrollment.tables import Reference
from monitor.gallery import add_template
from monitor.tables import BlobRow
from monitor.values import BlobId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmodel import Session

    from enrollment.arrivals import Arrival
    from enrollment.desk import Desk
    from enrollment.tables import GivenSample
    from monitor.values import SubjectId


def keep_or_drop(session: Session, subject_id: SubjectId, rows: Sequence[GivenSample]) -> list[BlobId]:
    """Keep these samples where that was agreed to, else give their files to delete after the commit."""
    keep = is_agreed(session, subject_id, Purpose.REFERENCES)
    unwanted = []
    for row in rows:
        if row.blob_id is not None and not keep:
            unwanted.append(BlobId(row.blob_id))
            row.blob_id = None
        elif row.blob_id is not None and session.get(Reference, row.id) is None:
            references.keep(session, row)
        row.state = State.ENROLLED
    session.flush()
    for blob_id in unwanted:
        session.delete(session.get_one(BlobRow, blob_id))
    return unwanted


def enrol(session: Session, desk: Desk, subject_id: SubjectId, found: Sequence[Arrival]) -> None:
    """Make a template of each vector, in the caller's transaction. Raises SubjectErased."""
    for one in found:
        kept = session.get(Reference, one.sample_id)
        what = (one.modality, one.model_id, one.vector, one.quality, kept.id if kept is not None else None)
        add_template(session, desk.keks, subject_id, *what)


def drop(session: Session, rows: Sequence[GivenSample]) -> list[BlobId]:
    """Delete samples that are not taken in, and what was kept of them; give the files to delete."""
    unwanted = [BlobId(row.blob_id) for row in rows if row.blob_id is not None]
    for row in rows:
        for kept in session.exec(select(Reference).where(Reference.id == row.id)):
            session.delete(kept)
        session.delete(row)
    session.flush()
    for blob_id in unwanted:
        session.delete(session.get_one(BlobRow, blob_id))
    return unwanted
