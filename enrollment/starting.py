"""From the last click to being watched for: the checks before it, and what an operator decided afterwards.

    start        the web: nothing but the standing and the dates; the same answer whatever comes next
    start_due    the worker: consent, proof, samples, and who is there already ──┬─> active
                                                                                └─> held, with its reasons
    act_due      the worker: two operators said yes ──> active; one said no ──> new, samples deleted

Whoever is let in and whoever is held leaves the same number of rows and files behind, and nothing that the
person can see differs before the cooling-off is over (standing.shown_standing).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from sqlmodel import col, select

from enrollment import arrivals, holds, letters, warned
from enrollment.consent import is_agreed
from enrollment.consent_texts import Purpose
from enrollment.crops import best_crop
from enrollment.given import GOOD, UNJUDGED
from enrollment.given import State as Given
from enrollment.holds import Reason, Report
from enrollment.proofs import is_fresh, proof_of
from enrollment.sets import SAME_PERSON
from enrollment.standing import Standing, is_cooling_off
from enrollment.subjects import profile_of
from enrollment.tables import Account, Challenge, GivenSample, Hold, Subject
from enrollment.taking_in import drop, enrol, keep_or_drop
from enrollment.warned import Warner
from monitor import audit
from monitor import log as logs
from monitor.db import reading, writing
from monitor.errors import LikenessError, SubjectErased, Tampered
from monitor.gallery import models_of
from monitor.values import BlobId, Modality, SubjectId

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlmodel import Session

    from enrollment.arrivals import Arrival, Near
    from enrollment.desk import Desk

AT_ONCE = 20
"""Newcomers of one round."""

ACTOR = "worker"

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Checked:
    """What the worker found of one newcomer: the vectors of their samples, and what speaks against them."""

    found: tuple[Arrival, ...]
    near: tuple[Near, ...] = ()
    reasons: tuple[Reason, ...] = ()
    jpeg: bytes = b""


def start_due(desk: Desk) -> int:
    """Let in, or hold, whoever pressed the last button; give how many."""
    with reading(desk.engine) as session:
        query = select(Subject.id).where(Subject.status == Standing.STARTING)
        due = list(session.exec(query.order_by(col(Subject.created_at), col(Subject.id)).limit(AT_ONCE)))
    return sum(_safely(desk, SubjectId(one), _start) for one in due)


def act_due(desk: Desk) -> int:
    """Do what operators decided; give how many it was about. A no waits until the cooling-off is over."""
    with reading(desk.engine) as session:
        query = (
            select(Hold.subject_id)
            .join(Subject, col(Subject.id) == col(Hold.subject_id))
            .where(
                Subject.status == Standing.HELD,
                col(Hold.state).in_((holds.State.APPROVED, holds.State.REJECTED)),
                col(Hold.acted_at).is_(None),
            )
        )
        due = list(session.exec(query.order_by(col(Hold.decided_at)).limit(AT_ONCE)))
    return sum(_safely(desk, SubjectId(one), _act) for one in due)


def _safely(desk: Desk, subject_id: SubjectId, do: Callable[[Desk, SubjectId], bool]) -> int:
    """Do it for one person; what fails is tried again in the next round, and stops nobody else's."""
    try:
        return int(do(desk, subject_id))
    except SubjectErased:
        return 0
    except LikenessError as exc:
        log.warning("not_started", subject_id=subject_id, code=exc.code)
        return 0


def _start(desk: Desk, subject_id: SubjectId) -> bool:
    # 1  what was given: judged, by the models in force, agreed to and proved
    with reading(desk.engine) as session:
        rows = _samples(session, subject_id)
        if any(row.state in UNJUDGED for row in rows):
            return False
        ready = _is_ready(session, subject_id, desk.now())
        proof = proof_of(session, subject_id)
    if not ready or proof is None:
        return _back_to_new(desk, subject_id)
    if any(_is_of_another_pack(desk, row) for row in rows):
        return _read_again(desk, subject_id)
    # 2  what speaks against it
    checked = _check(desk, subject_id, proof.state)
    sealer = letters.sealer_of(desk.engine, desk.keks)
    # 3  in one transaction, unless the person went or somebody else was quicker
    with writing(desk.engine) as session:
        row = session.get(Subject, subject_id, with_for_update=True)
        if row is None or row.status != Standing.STARTING:
            return False
        unwanted = _settle(session, Warner(desk, sealer, desk.now()), subject_id, checked)
    for blob_id in unwanted:
        desk.blobs.delete(blob_id)
    return True


def _check(desk: Desk, subject_id: SubjectId, proof: str) -> Checked:
    """Open the vectors, compare them, and for a hold cut a small picture. Raises GalleryNotReady."""
    reasons = [Reason.PROOF] if proof == "held" else []
    try:
        with reading(desk.engine) as session:
            found = tuple(arrivals.vectors_of(desk.keks, session, _samples(session, subject_id)))
    except Tampered:
        return Checked((), (), (Reason.DAMAGED,))
    near = arrivals.near(desk, subject_id, found)
    reasons += sorted({holds.NEAR[one.modality] for one in near})
    if not _is_one_person(desk, found):
        reasons.append(Reason.SAMPLES_DIFFER)
    return Checked(found, near, tuple(reasons), best_crop(desk, subject_id, found) if reasons else b"")


def _settle(session: Session, warner: Warner, subject_id: SubjectId, checked: Checked) -> list[BlobId]:
    """Write the end of one start; give the files to delete after the commit."""
    desk, now = warner.desk, warner.now
    account = session.get_one(Account, subject_id)
    account.proved_until = now + timedelta(days=desk.settings.proof_days)
    unwanted = keep_or_drop(session, subject_id, _samples(session, subject_id))
    report = Report(
        tuple(holds.near_as_dict(one) for one in checked.near), base64.b64encode(checked.jpeg).decode()
    )
    hold = holds.write(session, desk.keks, subject_id, checked.reasons, report)
    if not checked.reasons:
        _activate(session, desk, subject_id, checked.found)
        hold.acted_at = now
        audit.record(session, ACTOR, "enrolment.started", subject_id)
        return unwanted
    session.get_one(Subject, subject_id).status = Standing.HELD
    audit.record(
        session,
        ACTOR,
        "enrolment.held",
        subject_id,
        hold=hold.id,
        reasons=[str(one) for one in checked.reasons],
    )
    warner.warn(session, subject_id, checked.near)
    return unwanted


def _activate(session: Session, desk: Desk, subject_id: SubjectId, found: Sequence[Arrival]) -> None:
    enrol(session, desk, subject_id, found)
    session.get_one(Subject, subject_id).status = Standing.ACTIVE


def _act(desk: Desk, subject_id: SubjectId) -> bool:
    """Let in, or send back, one held newcomer, as it was decided."""
    sealer = letters.sealer_of(desk.engine, desk.keks)
    now = desk.now()
    with writing(desk.engine) as session:
        subject = session.get(Subject, subject_id, with_for_update=True)
        hold = session.exec(
            select(Hold)
            .where(Hold.subject_id == subject_id, col(Hold.acted_at).is_(None))
            .order_by(col(Hold.created_at).desc())
        ).first()
        account = session.get(Account, subject_id)
        if subject is None or subject.status != Standing.HELD or hold is None or account is None:
            return False
        over = not is_cooling_off(account, now)
        found = _usable(session, desk, subject_id) if hold.state == holds.State.APPROVED else None
        if not over and found is None:
            return False  # until then nobody may see that there was a hold
        hold.acted_at = now
        email = profile_of(session, desk.keks, subject_id).email
        if found is not None:
            _activate(session, desk, subject_id, found)
            unwanted: list[BlobId] = []
            words = warned.let_in() if over else None
        else:
            unwanted = _empty(session, subject_id)
            subject.status, account.told_from, account.proved_until = Standing.NEW, None, None
            words = warned.sent_back(f"{desk.settings.public_url.rstrip('/')}/enrol")
        if email and words is not None:
            letters.write(session, sealer, email, words, kind="answer", now=now, subject_id=subject_id)
    for blob_id in unwanted:
        desk.blobs.delete(blob_id)
    return True


def _usable(session: Session, desk: Desk, subject_id: SubjectId) -> list[Arrival] | None:
    """Open what an approved newcomer gave; None where the models changed since, or it does not open."""
    rows = _samples(session, subject_id)
    if any(_is_of_another_pack(desk, row) for row in rows):
        return None
    try:
        return arrivals.vectors_of(desk.keks, session, rows)
    except Tampered:
        return None


def _empty(session: Session, subject_id: SubjectId) -> list[BlobId]:
    """Delete what a rejected newcomer gave, and let no challenge count; give the files to delete."""
    for proof in session.exec(select(Challenge).where(Challenge.subject_id == subject_id)):
        proof.state = "expired"
    return drop(session, _samples(session, subject_id))


def _is_ready(session: Session, subject_id: SubjectId, now: datetime) -> bool:
    """Say whether what the click stood on still holds: somebody may have taken it back since."""
    agreed = is_agreed(session, subject_id, Purpose.BIOMETRICS)
    there = bool(_samples(session, subject_id))
    return agreed and there and is_fresh(session, subject_id, now)


def _back_to_new(desk: Desk, subject_id: SubjectId) -> bool:
    with writing(desk.engine) as session:
        row = session.get(Subject, subject_id, with_for_update=True)
        account = session.get(Account, subject_id)
        if row is None or account is None or row.status != Standing.STARTING:
            return False
        row.status, account.told_from = Standing.NEW, None
    return True


def _is_of_another_pack(desk: Desk, row: GivenSample) -> bool:
    models = models_of(desk.reader.pack)
    modality = Modality(row.modality)
    return modality in models and models[modality][0] != row.model_id


def _read_again(desk: Desk, subject_id: SubjectId) -> bool:
    """Let the samples be judged once more, since the models changed; who started goes on waiting."""
    with writing(desk.engine) as session:
        for row in _samples(session, subject_id):
            if _is_of_another_pack(desk, row) and row.blob_id is not None:
                row.state, row.tries = Given.WAITING, 0
    return True


def _samples(session: Session, subject_id: SubjectId) -> list[GivenSample]:
    """Give the samples that count, or are about to, oldest first."""
    query = select(GivenSample).where(
        GivenSample.subject_id == subject_id, col(GivenSample.state).in_((*GOOD, *UNJUDGED))
    )
    return list(session.exec(query.order_by(col(GivenSample.created_at), col(GivenSample.id))))


def _is_one_person(desk: Desk, found: Sequence[Arrival]) -> bool:
    """Say whether all faces are alike, and all voices: one that crept in beside the others is no proof's."""
    for modality in Modality:
        vectors = [one.vector for one in found if one.modality is modality]
        half = desk.reader.pack.faces if modality is Modality.FACE else desk.reader.pack.voices
        if half is None or not vectors:
            continue
        pairs = np.stack(vectors) @ np.stack(vectors).T
        if float(pairs[int(np.argmax(pairs.sum(axis=1)))].min()) < SAME_PERSON * half.thresholds.review:
            return False
    return True
