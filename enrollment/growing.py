"""More samples of somebody who is watched for already, given later on a page of their own.

    given ──judged──> usable ──┬─> enrolled        as like the enrolled set as a finding must be
                               ├─> held            not quite, or like somebody else: two operators look
                               ├─> waits           nothing enrolled to hold it against: the clip must show it
                               └─> deleted         no proof within a week, the consent taken back, or a no

Judging has refused before what is unlike the enrolled set (judging.py). Whatever becomes of the new samples,
the old ones stay as they are: somebody who came in as the person can add nobody else's face, and take no
face away. Nothing of an answer says that somebody else is enrolled: taken in and held leave one record, and
look the same on the page.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from sqlmodel import col, select

from enrollment import arrivals, holds, letters, taking_in, warned
from enrollment.consent import is_agreed
from enrollment.consent_texts import Purpose
from enrollment.crops import best_crop
from enrollment.given import UNJUDGED, State
from enrollment.holds import Reason, Report
from enrollment.proofs import covering
from enrollment.standing import WATCHED
from enrollment.subjects import Ledger, own_set, profile_of
from enrollment.tables import GivenSample, Hold, Subject
from enrollment.warned import Warner
from monitor import audit
from monitor import log as logs
from monitor.db import reading, writing
from monitor.errors import LikenessError, SubjectErased, Tampered
from monitor.gallery import models_of
from monitor.values import Modality, SubjectId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sqlmodel import Session

    from enrollment.arrivals import Arrival
    from enrollment.desk import Desk

AT_ONCE: Final = 20
"""People of one round."""

ACTOR: Final = "worker"

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class _Looked:
    """What was found of new samples. `waits`: a proof must come first."""

    found: tuple[Arrival, ...] = ()
    near: tuple[arrivals.Near, ...] = ()
    reasons: tuple[Reason, ...] = ()
    jpeg: bytes = b""
    waits: bool = False


def grow_due(desk: Desk) -> int:
    """Take in, hold or drop what people gave later; give how many people it was about. Idempotent."""
    query = (
        select(GivenSample.subject_id)
        .join(Subject, col(Subject.id) == col(GivenSample.subject_id))
        .where(col(Subject.status).in_(WATCHED), GivenSample.state == State.USABLE)
        .distinct()
        .limit(AT_ONCE)
    )
    with reading(desk.engine) as session:
        due = [SubjectId(one) for one in session.exec(query)]
    done = 0
    for subject_id in due:
        try:
            done += _grow(desk, subject_id)
        except SubjectErased:
            continue
        except LikenessError as exc:  # tried again in the next round; stops nobody else's
            log.warning("not_grown", subject_id=subject_id, code=exc.code)
    return done


def _grow(desk: Desk, subject_id: SubjectId) -> bool:
    with reading(desk.engine) as session:
        rows = _usable(session, subject_id)
        hold = _hold_of(session, subject_id)
        unjudged = select(GivenSample.id).where(
            GivenSample.subject_id == subject_id, col(GivenSample.state).in_(UNJUDGED)
        )
        busy = session.exec(unjudged.limit(1)).first() is not None
        agreed = is_agreed(session, subject_id, Purpose.BIOMETRICS)
    if busy or (hold is not None and hold.state == holds.State.OPEN):
        return False
    if not agreed:
        return _settle(desk, subject_id, rows, hold, None)
    if _read_again(desk, rows):
        return True
    if hold is not None:
        rows = [row for row in rows if row.created_at <= hold.created_at]
        return _settle(desk, subject_id, rows, hold, _decided(desk, rows, hold))
    looked = _look(desk, subject_id, rows)
    return not looked.waits and _settle(desk, subject_id, rows, None, looked)


def _look(desk: Desk, subject_id: SubjectId, rows: Sequence[GivenSample]) -> _Looked:
    """Hold new samples against the enrolled set, the proof, and everybody else. Raises GalleryNotReady."""
    ledger = Ledger(desk.engine, desk.keks, desk.blobs, ACTOR)
    own = own_set(ledger, subject_id, models_of(desk.reader.pack))
    comparable = [row for row in rows if Modality(row.modality) in own]
    reasons: set[Reason] = set()
    if not comparable:  # what can be compared is settled first; the rest needs the clip
        with reading(desk.engine) as session:
            proof = covering(session, subject_id, rows, desk.now())
        if proof is None:
            return _Looked(waits=True)
        reasons |= {Reason.PROOF} if proof.state == "held" else set()
        reasons |= {Reason.UNBOUND} if not own else set()
    try:
        found = _opened(desk, comparable or rows).found
    except Tampered:
        return _Looked(reasons=(Reason.DAMAGED,))
    if any(_differ(desk, modality, found, vectors) for modality, vectors in own.items()):
        reasons.add(Reason.SAMPLES_DIFFER)
    near = arrivals.near(desk, subject_id, found)
    reasons |= {holds.NEAR[one.modality] for one in near}
    jpeg = best_crop(desk, subject_id, found) if reasons else b""
    return _Looked(found, near, tuple(sorted(reasons)), jpeg)


def _differ(desk: Desk, modality: Modality, found: Sequence[Arrival], own: NDArray[np.float32]) -> bool:
    """Say whether one of the new samples is less like the set than what a person must look at. (n, d)."""
    half = desk.reader.pack.faces if modality is Modality.FACE else desk.reader.pack.voices
    vectors = [one.vector for one in found if one.modality is modality]
    if half is None or not vectors:
        return False
    centre = own.mean(axis=0)
    alike = np.stack(vectors) @ (centre / np.linalg.norm(centre))
    return float(alike.min()) < half.thresholds.review


def _settle(
    desk: Desk, subject_id: SubjectId, rows: Sequence[GivenSample], hold: Hold | None, looked: _Looked | None
) -> bool:
    """Write what becomes of new samples, in one transaction; None as what was found deletes them."""
    sealer, now, unwanted = letters.sealer_of(desk.engine, desk.keks), desk.now(), []
    with writing(desk.engine) as session:
        subject = session.get(Subject, subject_id, with_for_update=True)
        if subject is None or subject.status not in WATCHED:
            return False
        there = [
            row
            for one in rows
            if (row := session.get(GivenSample, one.id)) is not None and row.state == State.USABLE
        ]
        if hold is not None:
            session.get_one(Hold, hold.id).acted_at = now
        if looked is None:
            unwanted = taking_in.drop(session, there)
            email = profile_of(session, desk.keks, subject_id).email
            if hold is not None and email:
                words = warned.not_added()
                letters.write(session, sealer, email, words, kind="answer", now=now, subject_id=subject_id)
        elif looked.reasons:
            _hold(session, Warner(desk, sealer, now), subject_id, looked)
        else:
            ids = {row.id for row in there}
            found = [one for one in looked.found if one.sample_id in ids]
            taken = {one.sample_id for one in found}
            unwanted = taking_in.keep_or_drop(session, subject_id, [row for row in there if row.id in taken])
            taking_in.enrol(session, desk, subject_id, found)
            if any(one.modality is Modality.FACE for one in found):
                subject.asked_for_pack = None
        audit.record(session, ACTOR, "samples.settled", subject_id)
    for blob_id in unwanted:
        desk.blobs.delete(blob_id)
    return True


def _hold(session: Session, warner: Warner, subject_id: SubjectId, looked: _Looked) -> None:
    """Let two operators look, and warn whoever the new samples are like."""
    near = tuple(holds.near_as_dict(one) for one in looked.near)
    report = Report(near, base64.b64encode(looked.jpeg).decode())
    reasons = (Reason.MORE, *looked.reasons)
    holds.write(session, warner.desk.keks, subject_id, reasons, report).created_at = warner.now
    warner.warn(session, subject_id, looked.near)


def _decided(desk: Desk, rows: Sequence[GivenSample], hold: Hold) -> _Looked | None:
    """Give what two operators let in; None where one of them did not, or it does not open."""
    try:
        return _opened(desk, rows) if hold.state == holds.State.APPROVED else None
    except Tampered:
        return None


def _opened(desk: Desk, rows: Sequence[GivenSample]) -> _Looked:
    with reading(desk.engine) as session:
        return _Looked(tuple(arrivals.vectors_of(desk.keks, session, rows)))


def _read_again(desk: Desk, rows: Sequence[GivenSample]) -> bool:
    """Let samples be judged once more where the models changed since; say whether there were any."""
    models = models_of(desk.reader.pack)
    old = [row.id for row in rows if models.get(Modality(row.modality), (row.model_id,))[0] != row.model_id]
    if not old:
        return False
    with writing(desk.engine) as session:
        for one in old:
            row = session.get(GivenSample, one, with_for_update=True)
            if row is not None and row.state == State.USABLE:
                row.state, row.tries = State.WAITING, 0
    return True


def _usable(session: Session, subject_id: SubjectId) -> list[GivenSample]:
    query = select(GivenSample).where(GivenSample.subject_id == subject_id, GivenSample.state == State.USABLE)
    return list(session.exec(query.order_by(col(GivenSample.created_at), col(GivenSample.id))))


def _hold_of(session: Session, subject_id: SubjectId) -> Hold | None:
    """Give the hold of samples that were given later, while nobody acted on it."""
    query = select(Hold).where(
        Hold.subject_id == subject_id,
        col(Hold.acted_at).is_(None),
        col(Hold.reasons).startswith(Reason.MORE),
    )
    return session.exec(query.order_by(col(Hold.created_at))).first()
