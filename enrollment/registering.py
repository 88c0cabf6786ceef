"""The worker registers originals: opens each in memory, reads what its copies are known by, seals both.

`register_due` is one step of the desk. What ends the worker each time is left alone after MOST_TRIES.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from enrollment import originals, sample_words
from enrollment.desk import MOST_TRIES
from enrollment.desk_queue import Queue
from enrollment.given import Said
from enrollment.originals import State
from monitor import log as logs
from monitor import subject_keys
from monitor.db import reading, writing
from monitor.errors import LikenessError, MediaError, SubjectErased
from monitor.originals import known, shelf
from monitor.originals.marks import MOST_S, Marks, limited, marks_of
from monitor.originals.tables import KnownOriginal
from monitor.tables import BlobRow
from monitor.values import BlobId, MediaKind, SubjectId

if TYPE_CHECKING:
    from sqlmodel import Session

    from enrollment.desk import Desk

log = logs.get(__name__)

AT_ONCE: Final = 1
"""Originals of one round: a long video takes most of a minute, and the other steps of the desk wait."""

FEWEST_POINTS: Final = 40
"""Points that stand out in a picture, below which a crop of it is hardly known again."""

QUEUE = Queue(KnownOriginal, "created_at")


@dataclass(frozen=True, slots=True)
class Claimed:
    """One original in hand."""

    original_id: str
    subject_id: SubjectId
    tries: int


def register_due(desk: Desk) -> int:
    """Register what waits, oldest first; give how many were dealt with. Killed half-way it is done again."""
    _leave_alone(desk)
    done = 0
    while done < AT_ONCE and (row := QUEUE.claim(desk)) is not None:
        done += 1
        try:
            _register(desk, Claimed(row.id, SubjectId(row.subject_id), row.tries))
        except SubjectErased:
            log.info("original_gone", original=row.id)
    return done


def _register(desk: Desk, claimed: Claimed) -> None:
    """Read one original and write what became of it. Raises SubjectErased."""
    try:
        data, marks = _read(desk, claimed)
    except SubjectErased:
        raise
    except LikenessError as exc:
        refused = isinstance(exc, MediaError) and not exc.retryable
        if not refused and claimed.tries < MOST_TRIES:
            log.warning("original_not_read", original=claimed.original_id, code=exc.code)
            QUEUE.put_back(desk, claimed.original_id, claimed.tries)
            return
        said = Said(_sentence(exc), exc.hint) if refused else sample_words.NOT_ABLE
        _refuse(desk, claimed, exc.code, said)
        return
    if not (len(marks.at_s) or len(marks.sound)):
        _refuse(
            desk,
            claimed,
            "nothing_to_compare",
            Said("There is nothing in it to compare with.", "Give another one."),
        )
        return
    _keep(desk, claimed, data, marks)


def _read(desk: Desk, claimed: Claimed) -> tuple[bytes, Marks]:
    with reading(desk.engine) as session:
        data = originals.opened(session, desk.keks, desk.blobs, claimed.subject_id, claimed.original_id)
    if data is None:
        msg = "the person or the bytes are gone"
        raise SubjectErased(msg)
    decoder = desk.reader.decoder
    with decoder.start(data, signals=False, limits=limited(decoder.limits)) as clip:
        return data, marks_of(clip)


def _keep(desk: Desk, claimed: Claimed, data: bytes, marks: Marks) -> None:
    """Seal the bytes and the marks with the subject's key; delete what waited."""
    with reading(desk.engine) as session:
        key = subject_keys.key_of(session, desk.keks, claimed.subject_id)
    sealed, sealed_key = shelf.sealed_media(key, claimed.subject_id, claimed.original_id, data)
    blob_id = desk.blobs.put(sealed)
    with desk.blobs.deleted_on_failure(blob_id), writing(desk.engine) as session:
        row = QUEUE.in_hand(session, claimed.original_id, claimed.tries)
        if row is None:
            msg = "the original was taken back meanwhile"
            raise SubjectErased(msg)
        session.add(shelf.blob_row(claimed.subject_id, blob_id, len(sealed)))
        session.flush()  # the original points at this row
        before, row.blob_id = row.blob_id, blob_id
        row.state, row.judging_since, row.kind = State.READY, None, marks.kind.value
        row.sealed_key = sealed_key
        row.sealed_marks = known.sealed_marks(key, claimed.subject_id, row.id, marks)
        name = originals.name_of(key, row)
        row.sealed_said = originals.seal_said(key, row.subject_id, row.id, name, _said(marks))
        _without(session, before)
    if before is not None:
        desk.blobs.delete(BlobId(before))


def _refuse(desk: Desk, claimed: Claimed, code: str, said: Said) -> None:
    gone = None
    with writing(desk.engine) as session:
        row = QUEUE.in_hand(session, claimed.original_id, claimed.tries)
        if row is not None:
            gone = _refused(session, desk, row, code, said)
    if gone is not None:
        desk.blobs.delete(gone)


def _refused(session: Session, desk: Desk, row: KnownOriginal, code: str, said: Said) -> BlobId | None:
    """Mark an original as refused and take its bytes off; give the file to delete after the commit."""
    key = subject_keys.key_of(session, desk.keks, SubjectId(row.subject_id))
    row.state, row.code, row.judging_since = State.REFUSED, code, None
    row.sealed_said = originals.seal_said(key, row.subject_id, row.id, originals.name_of(key, row), said)
    blob_id, row.blob_id = row.blob_id, None
    _without(session, blob_id)
    return None if blob_id is None else BlobId(blob_id)


def _without(session: Session, blob_id: str | None) -> None:
    session.flush()
    blob = session.get(BlobRow, blob_id) if blob_id is not None else None
    if blob is not None:
        session.delete(blob)


def _leave_alone(desk: Desk) -> None:
    gone: list[BlobId | None] = []

    def give_up(session: Session, row: KnownOriginal) -> None:
        gone.append(_refused(session, desk, row, "worker_died", sample_words.NOT_ABLE))

    QUEUE.leave_alone(desk, give_up)
    for blob_id in gone:
        if blob_id is not None:
            desk.blobs.delete(blob_id)


def _said(marks: Marks) -> Said:
    """Say what an original is good for."""
    notes = []
    if marks.seconds > MOST_S:
        notes.append(f"Only its first {MOST_S / 60:.0f} minutes are compared.")
    if marks.kind is MediaKind.IMAGE and len(marks.points[0].xy) < FEWEST_POINTS:
        notes.append(
            "There is little in it that stands out. A copy that is only a part of it may not be known."
        )
    return Said("It is ready: copies of it that show you are compared with it.", notes=tuple(notes))


def _sentence(error: LikenessError) -> str:
    return f"It cannot be used: {error.message}."
