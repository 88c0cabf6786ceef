"""The last click, and whether the proof before it still holds.

The web's side of a start: it looks at rows only, and changes the standing and the dates alone.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlmodel import col, select

from enrollment.given import GOOD, UNJUDGED, State
from enrollment.standing import Standing
from enrollment.steps import Step, progress_of
from enrollment.tables import Account, Challenge, GivenSample, Subject
from monitor import audit
from monitor.tables import Template

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlmodel import Session

    from monitor.crypto import KeyEncryptionKeys
    from monitor.settings import Settings
    from monitor.values import SubjectId

PROOF_HOLDS = timedelta(days=7)
"""How long after the challenge the last button can be pressed: whoever came back after a holiday is still the
one who sat there, and a browser that was left open for months is anybody's."""

PROVED = ("passed", "held")


def proof_of(session: Session, subject_id: SubjectId) -> Challenge | None:
    """Give the challenge that counts: the newest one that was passed, or is for a person to judge."""
    query = select(Challenge).where(
        Challenge.subject_id == subject_id,
        col(Challenge.state).in_(PROVED),
        col(Challenge.ended_at).is_not(None),
    )
    return session.exec(query.order_by(col(Challenge.ended_at).desc(), col(Challenge.id))).first()


def is_fresh(session: Session, subject_id: SubjectId, now: datetime) -> bool:
    """Say whether the proof holds: not old, and every sample was there when its challenge was drawn.

    A sample that was given afterwards was never held against the clip: it may be anybody's.
    """
    proof = proof_of(session, subject_id)
    if proof is None or proof.ended_at is None or now - proof.ended_at > PROOF_HOLDS:
        return False
    later = select(GivenSample.id).where(
        GivenSample.subject_id == subject_id,
        col(GivenSample.state).in_((*GOOD, *UNJUDGED)),
        col(GivenSample.created_at) > proof.drawn_at,
    )
    return session.exec(later.limit(1)).first() is None


def covering(
    session: Session, subject_id: SubjectId, rows: Sequence[GivenSample], now: datetime
) -> Challenge | None:
    """Give the challenge that shows that all of these samples are the person's; None where none does.

    It was drawn after the last of them was given, and has ended not long ago.
    """
    proof = proof_of(session, subject_id)
    if proof is None or proof.ended_at is None or now - proof.ended_at > PROOF_HOLDS:
        return None
    return proof if all(row.created_at <= proof.drawn_at for row in rows) else None


def needs_proof(session: Session, subject_id: SubjectId, now: datetime) -> bool:
    """Say whether samples of somebody who is watched for wait for a challenge.

    Nothing is enrolled that they could be held against: after a change of models, or a first recording.
    """
    usable = select(GivenSample).where(
        GivenSample.subject_id == subject_id, GivenSample.state == State.USABLE
    )
    enrolled = select(Template.modality, Template.model_id).where(Template.subject_id == subject_id)
    sets = set(session.exec(enrolled))
    alone = [row for row in session.exec(usable) if (row.modality, row.model_id) not in sets]
    return bool(alone) and covering(session, subject_id, alone, now) is None


def ahead(session: Session, keks: KeyEncryptionKeys, subject_id: SubjectId, now: datetime) -> Step | None:
    """Give the step that is still to be done before the last button; None where all are.

    Raises NotFound, SubjectErased.
    """
    progress = progress_of(session, keks, subject_id)
    missing = next((one for one in Step if one is not Step.START and one not in progress.done), None)
    if missing is None and not is_fresh(session, subject_id, now):
        return Step.PROOF
    return missing


def start(
    session: Session, keks: KeyEncryptionKeys, settings: Settings, subject_id: SubjectId, now: datetime
) -> Step | None:
    """Take the last click, in the caller's transaction; give the step that is missing, None where it counts.

    Only somebody who is new can start; for anybody else it changes nothing and gives None, so that a button
    pressed twice does what one press does. A proof that holds no more is marked as expired: its step is open
    again. Raises NotFound, SubjectErased.
    """
    row = session.get(Subject, subject_id, with_for_update=True)
    if row is not None and row.status != Standing.NEW:
        return None
    missing = ahead(session, keks, subject_id, now)
    if missing is Step.PROOF:
        for old in session.exec(
            select(Challenge).where(Challenge.subject_id == subject_id, col(Challenge.state).in_(PROVED))
        ):
            old.state = "expired"
    if missing is not None or row is None:
        return missing
    row.status = Standing.STARTING
    account = session.get_one(Account, subject_id)
    account.told_from = now + timedelta(hours=settings.cooling_off_hours)
    audit.record(session, "subject", "enrolment.asked", subject_id)
    return None
