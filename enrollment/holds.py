"""Held enrolments: what an operator sees of one, and the rule by which somebody is let in after all.

    open ──┬─> approved      two different operators said yes, each with a reason
           └─> rejected      one said no

Deciding is all that happens here: the worker acts on it (enrollment/starting.py), on a no only when the
cooling-off is over, since until then the newcomer must not learn that there was a hold. Every look and
every vote is on record, and shown to the newcomer after that time.
"""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlmodel import col, select

from enrollment import operators
from enrollment.identity.challenges import report_of
from enrollment.subjects import profile_of
from enrollment.tables import Challenge, Hold, HoldVote, Reference
from monitor import audit, crypto, subject_keys
from monitor.errors import KeysError, NotFound, VoteRefused
from monitor.values import Modality, SubjectId

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlmodel import Session

    from enrollment.arrivals import Near
    from monitor.crypto import KeyEncryptionKeys

YES_NEEDED = 2
"""Operators who must say yes: one who is deceived, bribed or in love lets nobody in."""

LONGEST_WHY = 500
"""Characters of a reason; a record of facts has as many (audit.LONGEST_TEXT)."""

REPORT, WHY = "hold-report", "hold-why"
"""Kinds in the context of what is sealed with the subject's key."""


class State(StrEnum):
    """What became of one start."""

    CLEAR = "clear"
    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"


class Reason(StrEnum):
    """Why somebody is held."""

    PROOF = "proof"
    FACE_NEAR = "face_near"
    VOICE_NEAR = "voice_near"
    SAMPLES_DIFFER = "samples_differ"
    DAMAGED = "damaged"
    MORE = "more_samples"
    UNBOUND = "unbound"


WORDS = {
    Reason.PROOF: "The clip of the challenge could not be judged for sure.",
    Reason.FACE_NEAR: "A face like this one is here already.",
    Reason.VOICE_NEAR: "A voice like this one is here already.",
    Reason.SAMPLES_DIFFER: "The samples do not all show the same person.",
    Reason.DAMAGED: "What was given does not open: it was changed, or the disk is damaged.",
    Reason.MORE: "Somebody who is enrolled already gave more samples; the earlier ones stay in any case.",
    Reason.UNBOUND: "Nothing of the person is left that they could be compared with: the models changed.",
}
"""What an operator reads."""

NEAR = {Modality.FACE: Reason.FACE_NEAR, Modality.VOICE: Reason.VOICE_NEAR}


@dataclass(frozen=True, slots=True)
class Report:
    """What is sealed of a hold: who is like the newcomer, and a small picture of the newcomer's face."""

    near: tuple[dict[str, Any], ...] = ()
    jpeg: str = ""


@dataclass(frozen=True, slots=True)
class HoldView:
    """One hold in the list: nothing that says who it is. `voted` are the operators who said yes so far."""

    hold_id: str
    since: datetime
    reasons: tuple[Reason, ...]
    voted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NearView:
    """Somebody like the newcomer, as an operator sees them: no name and no picture.

    `kept`: whether samples of theirs were kept, which nobody is shown.
    """

    subject_id: SubjectId
    modality: Modality
    score: float
    enrolled: bool
    kept: bool


@dataclass(frozen=True, slots=True)
class HoldDetail:
    """One hold as an operator sees it who opened it. `checks` are what the challenge found, as it said it."""

    view: HoldView
    state: State
    subject_id: SubjectId
    name: str
    email: str
    born: str
    near: tuple[NearView, ...]
    checks: tuple[tuple[str, str], ...]
    has_picture: bool
    votes: tuple[tuple[str, bool, str, datetime], ...]


@dataclass(frozen=True, slots=True)
class Vote:
    """What one operator says of a hold. `operator` is a name whose token was checked."""

    operator: str
    approve: bool
    why: str


def write(
    session: Session,
    keks: KeyEncryptionKeys,
    subject_id: SubjectId,
    reasons: Sequence[Reason],
    report: Report,
) -> Hold:
    """Write how a start was answered, in the caller's transaction. Without a reason it is a clear one."""
    hold_id = uuid.uuid4().hex
    with subject_keys.held_key(session, keks, subject_id) as key:
        sealed = crypto.seal(
            key, json.dumps(asdict(report)).encode(), crypto.Context(subject_id, hold_id, REPORT)
        )
    row = Hold(
        id=hold_id,
        subject_id=subject_id,
        reasons=",".join(reasons),
        state=State.OPEN if reasons else State.CLEAR,
        sealed_report=sealed,
    )
    session.add(row)
    session.flush()
    return row


def near_as_dict(near: Near) -> dict[str, Any]:
    """Write one likeness as it is sealed in a report."""
    return {
        "subject": near.subject_id,
        "modality": near.modality,
        "score": round(near.score, 4),
        "enrolled": near.enrolled,
    }


def listing(session: Session) -> list[HoldView]:
    """List what waits for a decision, oldest first. Nothing is opened for it."""
    query = select(Hold).where(Hold.state == State.OPEN)
    rows = session.exec(query.order_by(col(Hold.created_at), col(Hold.id))).all()
    return [_view(session, row) for row in rows]


def show(session: Session, keks: KeyEncryptionKeys, hold_id: str, operator: str) -> HoldDetail:
    """Open one hold for an operator: audited, for the newcomer and for whoever is like them.

    `session` is a writing one. Raises NotFound, SubjectErased.
    """
    row = _row(session, hold_id)
    subject_id = SubjectId(row.subject_id)
    profile = profile_of(session, keks, subject_id)
    report = _report(session, keks, row)
    actor = f"operator:{operator}"
    audit.record(session, actor, "enrolment.looked_at", subject_id, hold=row.id)
    near = tuple(_near_view(session, one) for one in report.near)
    for other in sorted({one.subject_id for one in near if one.enrolled}):
        audit.record(session, actor, "enrolment.like_you_looked_at", other)
    return HoldDetail(
        view=_view(session, row),
        state=State(row.state),
        subject_id=subject_id,
        name=profile.name,
        email=profile.email,
        born=profile.born,
        near=near,
        checks=_checks(session, keks, subject_id),
        has_picture=bool(report.jpeg),
        votes=_votes(session, keks, row),
    )


def picture(session: Session, keks: KeyEncryptionKeys, hold_id: str, operator: str) -> bytes:
    """Give the small picture (JPEG) of the newcomer's face, audited. Raises NotFound, SubjectErased."""
    row = _row(session, hold_id)
    report = _report(session, keks, row)
    if not report.jpeg:
        raise _no_such_hold(hold_id)
    audit.record(
        session, f"operator:{operator}", "enrolment.looked_at", row.subject_id, hold=row.id, picture=True
    )
    return base64.b64decode(report.jpeg)


def vote(session: Session, keks: KeyEncryptionKeys, hold_id: str, said: Vote, now: datetime) -> State:
    """Take one operator's yes or no, audited; give the state of the hold after it.

    `session` is a writing one. Raises VoteRefused without a reason, for a hold that is decided, and where
    this operator voted before; NotFound, SubjectErased.
    """
    why, operator, approve = said.why.strip(), said.operator, said.approve
    if not 0 < len(why) <= LONGEST_WHY:
        msg = f"a reason of 1 to {LONGEST_WHY} characters is needed"
        raise VoteRefused(msg, hint="Say what you checked, and how.")
    row = session.get(Hold, hold_id, with_for_update=True)
    if row is None or row.state == State.CLEAR:
        raise _no_such_hold(hold_id)
    if row.state != State.OPEN:
        msg = f"this enrolment is {row.state} already"
        raise VoteRefused(msg)
    if session.get(HoldVote, (hold_id, operator)) is not None:
        msg = f"{operator} has voted on this enrolment already"
        raise VoteRefused(msg, hint="Letting somebody in takes a second operator.")
    subject_id, actor = SubjectId(row.subject_id), f"operator:{operator}"
    if approve and _has_attested(session, keks, subject_id, actor):
        msg = f"{operator} attested the proof of this person, and cannot say yes as well"
        raise VoteRefused(msg, hint="Two others decide.")
    with subject_keys.held_key(session, keks, subject_id) as key:
        sealed = crypto.seal(key, why.encode(), _why_context(row, operator))
    session.add(HoldVote(hold_id=hold_id, operator=operator, approve=approve, sealed_why=sealed, at=now))
    session.flush()
    audit.record(session, actor, "enrolment.vote", subject_id, hold=hold_id, approve=approve)
    if not approve:
        row.state, row.decided_at = State.REJECTED, now
        audit.record(session, actor, "enrolment.rejected", subject_id, hold=hold_id)
    elif len(_yes(session, hold_id)) >= YES_NEEDED:
        row.state, row.decided_at = State.APPROVED, now
        audit.record(session, actor, "enrolment.approved", subject_id, hold=hold_id)
    return State(row.state)


def resolve(session: Session, typed: str) -> str:
    """Turn the first characters of a hold's id into the id. Raises NotFound for none, or more than one."""
    query = select(Hold.id).where(col(Hold.id).startswith(typed, autoescape=True), Hold.state != State.CLEAR)
    found = session.exec(query.limit(2)).all()
    if not typed or len(found) != 1:
        raise _no_such_hold(typed)
    return found[0]


def _yes(session: Session, hold_id: str) -> list[str]:
    """Name who said yes and still is an operator."""
    said = session.exec(
        select(HoldVote.operator).where(HoldVote.hold_id == hold_id, col(HoldVote.approve).is_(True))
    ).all()
    return sorted(set(said) & operators.live_names(session))


def _view(session: Session, row: Hold) -> HoldView:
    reasons = tuple(Reason(one) for one in row.reasons.split(",") if one)
    return HoldView(row.id, row.created_at, reasons, tuple(_yes(session, row.id)))


def _row(session: Session, hold_id: str) -> Hold:
    row = session.get(Hold, hold_id)
    if row is None or row.state == State.CLEAR:
        raise _no_such_hold(hold_id)
    return row


def _report(session: Session, keks: KeyEncryptionKeys, row: Hold) -> Report:
    if row.sealed_report is None:
        return Report()
    with subject_keys.held_key(session, keks, SubjectId(row.subject_id)) as key:
        plain = crypto.unseal(key, row.sealed_report, crypto.Context(row.subject_id, row.id, REPORT))
    read = json.loads(plain)
    return Report(tuple(read["near"]), read["jpeg"])


def _near_view(session: Session, one: dict[str, Any]) -> NearView:
    kept = session.exec(
        select(Reference.id)
        .where(Reference.subject_id == one["subject"], Reference.modality == one["modality"])
        .limit(1)
    ).first()
    return NearView(
        SubjectId(one["subject"]), Modality(one["modality"]), one["score"], one["enrolled"], kept is not None
    )


def _checks(session: Session, keks: KeyEncryptionKeys, subject_id: SubjectId) -> tuple[tuple[str, str], ...]:
    """Say what the newest challenge's checks found, each as a name and a finding."""
    try:
        read = _challenge_report(session, keks, subject_id)
        signs = [
            (sign["check"], f"{sign['outcome']}: {sign['code']} ({sign['score']:.2f})")
            for sign in read.get("signs", ())
        ]
    except (KeysError, ValueError, KeyError, TypeError):
        return (("report", "it does not open"),)
    attested = [("attested", f"by {read['attested by']}: {read['how']}")] if "attested by" in read else []
    return (*attested, *signs, *((one, "could not be assessed") for one in read.get("not assessed", ())))


def _challenge_report(session: Session, keks: KeyEncryptionKeys, subject_id: SubjectId) -> dict[str, Any]:
    """Open what the newest challenge's checks found; empty without one. Raises KeysError, ValueError."""
    row = session.exec(
        select(Challenge)
        .where(Challenge.subject_id == subject_id, col(Challenge.sealed_report).is_not(None))
        .order_by(col(Challenge.drawn_at).desc())
    ).first()
    read: dict[str, Any] = json.loads((report_of(session, keks, row) if row is not None else None) or b"{}")
    return read


def _has_attested(session: Session, keks: KeyEncryptionKeys, subject_id: SubjectId, actor: str) -> bool:
    """Say whether this operator attested the proof itself: they cannot be one of the two as well."""
    try:
        return _challenge_report(session, keks, subject_id).get("attested by") == actor
    except (KeysError, ValueError):
        return False


def _votes(
    session: Session, keks: KeyEncryptionKeys, row: Hold
) -> tuple[tuple[str, bool, str, datetime], ...]:
    query = select(HoldVote).where(HoldVote.hold_id == row.id).order_by(col(HoldVote.at))
    with subject_keys.held_key(session, keks, SubjectId(row.subject_id)) as key:
        return tuple(
            (
                one.operator,
                one.approve,
                crypto.unseal(key, one.sealed_why, _why_context(row, one.operator)).decode(),
                one.at,
            )
            for one in session.exec(query)
        )


def _why_context(row: Hold, operator: str) -> crypto.Context:
    return crypto.Context(row.subject_id, f"{row.id}.{operator}", WHY)


def _no_such_hold(hold_id: str) -> NotFound:
    msg = f"there is no one held enrolment {hold_id!r}"
    return NotFound(msg, hint="`likeness subject review` lists them all.")
