"""Once a year the person shows again that it is them: by a new challenge, as at the beginning.

A month before the day they get a letter, and more later. Where the day passes without a proof, the watch
goes on and its messages wait (Standing.LAPSED): whoever took over a mailbox learns nothing more, and the
person misses nothing. A challenge that passes ends that. One that is in doubt is held, like an enrolment
(holds.py), and ends it when two operators said yes.

`remind_due` is a step of the desk: it is idempotent, and does a row at a time.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlmodel import col, select

from enrollment import holds, letters
from enrollment.identity.verdict import State as Proof
from enrollment.letter_words import Button, letter
from enrollment.standing import Standing
from enrollment.subjects import profile_of
from enrollment.tables import Account, Challenge, Hold, Subject
from monitor import audit
from monitor.db import reading, writing
from monitor.values import SubjectId

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel import Session

    from enrollment.desk import Desk
    from enrollment.letter_words import Words
    from monitor.crypto import IntakeSealer

AHEAD = timedelta(days=30)
"""How long before the day the proof can be given, and the first letter goes out."""

LETTERS = (-AHEAD, timedelta(days=-7), timedelta(), timedelta(days=30), timedelta(days=90))
"""When letters go out, counted from the day. After the last one the person is left in peace."""

ACTOR = "service:reproof"

ASKED = (Standing.ACTIVE, Standing.LAPSED)
"""Who is asked for a proof. Nobody who paused is: they are asked when they go on."""


def ahead(proof_days: int) -> timedelta:
    """Say from how long before the day a proof counts: never more than half of the time it lasts."""
    return min(AHEAD, timedelta(days=proof_days) / 2)


def is_due(account: Account, proof_days: int, now: datetime) -> bool:
    """Say whether a proof would be taken now."""
    return account.proved_until is not None and now >= account.proved_until - ahead(proof_days)


def remind_due(desk: Desk) -> int:
    """Take proofs that were given, mark those that are overdue, and write the letters that are due."""
    now, done = desk.now(), 0
    for subject_id in _looked_for(desk, now):
        with writing(desk.engine) as session:
            account = session.get(Account, subject_id, with_for_update=True)
            subject = session.get(Subject, subject_id)
            if account is None or subject is None or account.proved_until is None:
                continue  # erased, or begun anew, meanwhile
            done += _renew(session, desk, account, subject) or _lapse(session, account, subject, now)
            done += _hold(session, desk, account)
        done += _write(desk, subject_id, now)
    return done


def _looked_for(desk: Desk, now: datetime) -> list[SubjectId]:
    query = (
        select(Account.subject_id)
        .join(Subject, col(Subject.id) == col(Account.subject_id))
        .where(
            col(Account.proved_until) <= now + ahead(desk.settings.proof_days), col(Subject.status).in_(ASKED)
        )
    )
    with reading(desk.engine) as session:
        return [SubjectId(one) for one in session.exec(query)]


def _renew(session: Session, desk: Desk, account: Account, subject: Subject) -> int:
    """Take the newest challenge that passed since the proof was due, or was held and let pass."""
    passed, held = (_newest(session, desk, account, state) for state in (Proof.PASSED, Proof.HELD))
    hold = None if held is None else _hold_of(session, held)
    taken = passed or (held if hold is not None and hold.state == holds.State.APPROVED else None)
    ended_at = None if taken is None else taken.ended_at
    if ended_at is None:
        return 0
    if hold is not None:  # nobody needs to look any more
        hold.acted_at = desk.now()
        hold.state = holds.State.CLEAR if hold.state == holds.State.OPEN else hold.state
    account.proved_until, account.reminded_at = ended_at + timedelta(days=desk.settings.proof_days), None
    subject.status = Standing.ACTIVE
    audit.record(session, ACTOR, "proof.renewed", subject.id)
    return 1


def _hold(session: Session, desk: Desk, account: Account) -> int:
    """Let operators look at a challenge that is in doubt, once."""
    held = _newest(session, desk, account, Proof.HELD)
    if held is None or _hold_of(session, held) is not None:
        return 0
    subject_id = SubjectId(account.subject_id)
    row = holds.write(session, desk.keks, subject_id, (holds.Reason.PROOF,), holds.Report())
    row.created_at = desk.now()
    audit.record(session, ACTOR, "proof.held", subject_id, hold=row.id)
    return 1


def _newest(session: Session, desk: Desk, account: Account, state: Proof) -> Challenge | None:
    """Give the newest challenge with this end since the proof was due."""
    if account.proved_until is None:
        return None
    query = select(Challenge).where(
        Challenge.subject_id == account.subject_id,
        Challenge.state == state,
        col(Challenge.ended_at) >= account.proved_until - ahead(desk.settings.proof_days),
    )
    return session.exec(query.order_by(col(Challenge.ended_at).desc())).first()


def _hold_of(session: Session, held: Challenge) -> Hold | None:
    """Give the hold that was written for a challenge in doubt: the newest one after it."""
    query = select(Hold).where(
        Hold.subject_id == held.subject_id,
        col(Hold.reasons) == holds.Reason.PROOF,
        col(Hold.created_at) >= held.ended_at,
    )
    return session.exec(query.order_by(col(Hold.created_at).desc())).first()


def _lapse(session: Session, account: Account, subject: Subject, now: datetime) -> int:
    assert account.proved_until is not None  # noqa: S101 - as above
    if subject.status != Standing.ACTIVE or account.proved_until > now:
        return 0
    subject.status = Standing.LAPSED
    audit.record(session, ACTOR, "proof.lapsed", subject.id)
    return 1


def _write(desk: Desk, subject_id: SubjectId, now: datetime) -> int:
    with reading(desk.engine) as session:
        account = session.get(Account, subject_id)
        if account is None or not _is_letter_due(account, desk.settings.proof_days, now):
            return 0
    sealer = letters.sealer_of(desk.engine, desk.keks)
    with writing(desk.engine) as session:
        return _write_one(session, desk, sealer, subject_id, now)


def _write_one(
    session: Session, desk: Desk, sealer: IntakeSealer, subject_id: SubjectId, now: datetime
) -> int:
    account = session.get(Account, subject_id, with_for_update=True)
    if account is None or not _is_letter_due(account, desk.settings.proof_days, now):
        return 0
    assert account.proved_until is not None  # noqa: S101 - a letter is due
    to = profile_of(session, desk.keks, subject_id).email
    words = _words(account.proved_until, now, f"{desk.settings.public_url}/account/proof")
    letters.write(session, sealer, to, words, kind="proof", now=now, subject_id=subject_id)
    account.reminded_at = now
    return 1


def _is_letter_due(account: Account, proof_days: int, now: datetime) -> bool:
    """Say whether a moment for a letter has passed since the last one."""
    if account.proved_until is None:
        return False
    first = account.proved_until - ahead(proof_days)
    passed = [at for one in LETTERS if first <= (at := account.proved_until + one) <= now]
    passed += [first] if first <= now else []
    return bool(passed) and (account.reminded_at is None or account.reminded_at < max(passed))


def _words(until: datetime, now: datetime, url: str) -> Words:
    day = f"{until.day} {until:%B %Y}"
    if until > now:
        paragraphs: tuple[str, ...] = (
            f"once a year we ask you to show again that it is you. Please do so by {day}.",
            "It takes about a minute: a short clip, as at the beginning.",
        )
    else:
        paragraphs = (
            f"the time to show again that it is you ended on {day}.",
            "Until you do, our messages to you wait. Nothing is lost, and you can do it at any time.",
        )
    return letter(paragraphs, button=Button("Go to the page", url))
