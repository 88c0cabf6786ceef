"""How long what is kept: the schedule as data, the same for the public page and for the job that enforces it.

A line of the page and a function that deletes stand in one Rule, so that neither can change alone.
`enforce_due` is a step of the desk: it goes through the whole schedule every few minutes, in one worker.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, update
from sqlmodel import col, delete, or_, select

from enrollment import accounts, erasure, export, letters, limits, sessions
from enrollment.given import State
from enrollment.holds import State as HoldState
from enrollment.identity.verdict import State as Proof
from enrollment.proofs import PROOF_HOLDS
from enrollment.standing import Standing
from enrollment.tables import (
    Account,
    Challenge,
    Delegate,
    Export,
    GivenSample,
    Hold,
    Letter,
    OneTimeCode,
    Reference,
    SeenClip,
    Subject,
)
from enrollment.taking_in import drop
from monitor import log as logs
from monitor.claims import WORKER
from monitor.db import reading, writing
from monitor.errors import StorageError
from monitor.tables import BlobRow, Lease
from monitor.values import BlobId, SubjectId

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmodel import Session

    from enrollment.desk import Desk

log = logs.get(__name__)

UNFINISHED = timedelta(days=30)
"""From the last visit. Somebody who wants to finish comes back within a month."""

JUDGED = timedelta(days=7)
"""For what a refused sample leaves behind, a reason and no picture: long enough to read it and try again."""

CLIPS = timedelta(days=7)
"""From the decision: somebody who was refused may ask why, and is answered within days."""

HELD_CLIPS = timedelta(days=30)
"""Two operators must look, and one may be on holiday."""

UNSENT = timedelta(days=14)
"""For a letter that could not be sent because the channel was switched off."""

INVITATIONS = timedelta(days=30)
"""For an invitation that nobody answered, and for one that is over."""

EVERY = timedelta(minutes=10)
"""How often the schedule is gone through. No line of it is shorter than a day but those of files."""

LEASE = "retention"
ACTOR = "service:retention"

LATER = (Standing.ACTIVE, Standing.LAPSED, Standing.PAUSED)
"""Whose samples are either enrolled, or were given later."""

DECIDED = (Proof.PASSED, Proof.REFUSED, Proof.FAILED, Proof.EXPIRED, Proof.DRAWN)
"""States of a challenge that nobody waits for any more; `drawn` counts from when it ran out."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line: what is kept, why, and how long in words. `enforce` deletes what is due and gives how many.

    Where `enforce` is None, `by` says in words what ends it.
    """

    key: str
    what: str
    why: str
    how_long: str
    enforce: Callable[[Desk], int] | None = None


def enforce_due(desk: Desk) -> int:
    """Go through the schedule where it is time, in one worker; give how much was deleted. Idempotent."""
    now = desk.now()
    with reading(desk.engine) as session:
        lease = session.get(Lease, LEASE)
        if lease is not None and now < lease.until <= now + EVERY:
            return 0
    with writing(desk.engine) as session:
        session.merge(Lease(name=LEASE, owner="desk", until=now + EVERY))
    return enforce(desk)


def enforce(desk: Desk) -> int:
    """Go through the whole schedule now; one rule that fails keeps no other one from its turn."""
    done = 0
    for rule in SCHEDULE:
        if rule.enforce is not None:
            try:
                done += rule.enforce(desk)
            except StorageError as exc:
                log.warning("retention_failed", rule=rule.key, code=exc.code)
    return done


def _unfinished(desk: Desk) -> int:
    """Erase accounts that were not finished, unless somebody lets them see their findings."""
    delegate = select(Delegate.id).where(
        Delegate.delegate_id == Account.subject_id, Delegate.state == "active"
    )
    query = (
        select(Account.subject_id)
        .join(Subject, col(Subject.id) == col(Account.subject_id))
        .where(
            Subject.status == Standing.NEW,
            col(Account.seen_at) < desk.now() - UNFINISHED,
            ~delegate.exists(),
        )
    )
    with reading(desk.engine) as session:
        due = [SubjectId(one) for one in session.exec(query)]
    for subject_id in due:
        erasure.erase(desk.engine, desk.keks, desk.blobs, subject_id, ACTOR)
    return len(due)


def _judged(desk: Desk) -> int:
    ended = col(GivenSample.state).in_((State.REFUSED, State.FAILED))
    old = col(GivenSample.created_at) < desk.now() - JUDGED
    return _deleted(desk, GivenSample, ended & old)


def _not_to_be_kept(desk: Desk) -> int:
    """Delete the bytes of samples that are enrolled, where nobody said that they are to be kept."""
    kept = select(Reference.id).where(Reference.id == GivenSample.id)
    query = select(GivenSample).where(
        GivenSample.state == State.ENROLLED, col(GivenSample.blob_id).is_not(None), ~kept.exists()
    )
    with writing(desk.engine) as session:
        rows = session.exec(query).all()
        gone = [_let_go(session, row) for row in rows]
    return _forgotten(desk, gone)


def _not_shown_to_be_theirs(desk: Desk) -> int:
    """Delete what somebody gave later and did not prove, unless two operators still look at it."""
    looked_at = select(Hold.id).where(Hold.subject_id == GivenSample.subject_id, Hold.state == HoldState.OPEN)
    query = (
        select(GivenSample)
        .join(Subject, col(Subject.id) == col(GivenSample.subject_id))
        .where(
            GivenSample.state == State.USABLE,
            col(Subject.status).in_(LATER),
            col(GivenSample.created_at) < desk.now() - PROOF_HOLDS,
            ~looked_at.exists(),
        )
    )
    with reading(desk.engine) as session:
        if session.exec(query.limit(1)).first() is None:
            return 0
    with writing(desk.engine) as session:
        gone = drop(session, session.exec(query).all())
    return _forgotten(desk, gone)


def _clips(desk: Desk) -> int:
    now = desk.now()
    over = or_(
        col(Challenge.state).in_(DECIDED) & (_ended() < now - CLIPS),
        (col(Challenge.state) == Proof.HELD) & (_ended() < now - HELD_CLIPS),
    )
    with writing(desk.engine) as session:
        rows = session.exec(select(Challenge).where(over, col(Challenge.blob_id).is_not(None))).all()
        gone = [_let_go(session, row) for row in rows]
        reports = col(Challenge.sealed_report).is_not(None)
        session.connection().execute(update(Challenge).where(over, reports).values(sealed_report=None))
        drawn = col(Challenge.state).in_((Proof.DRAWN, Proof.EXPIRED))
        session.connection().execute(delete(Challenge).where(drawn, over))
    return _forgotten(desk, gone)


def _ended() -> Any:  # noqa: ANN401 - an expression of SQL
    """The moment from which a challenge's clip is kept."""
    return func.coalesce(col(Challenge.ended_at), col(Challenge.expires_at))


def _letters(desk: Desk) -> int:
    with writing(desk.engine) as session:
        done = letters.forget_sent(session, desk.now())
    return done + _deleted(desk, Letter, col(Letter.created_at) < desk.now() - UNSENT)


def _sessions(desk: Desk) -> int:
    with writing(desk.engine) as session:
        sessions.forget_ended(session, desk.now())
    return 0


def _codes(desk: Desk) -> int:
    return _deleted(desk, OneTimeCode, col(OneTimeCode.expires_at) <= desk.now())


def _links(desk: Desk) -> int:
    with writing(desk.engine) as session:
        accounts.forget_used(session, desk.now())
    return 0


def _counts(desk: Desk) -> int:
    with writing(desk.engine) as session:
        limits.forget_old(session, desk.now())
    return 0


def _seen_clips(desk: Desk) -> int:
    return _deleted(desk, SeenClip, col(SeenClip.expires_at) <= desk.now())


def _exports(desk: Desk) -> int:
    over = col(Export.expires_at) <= desk.now()
    with reading(desk.engine) as session:
        due = list(session.exec(select(Export.id).where(over)))
    for export_id in due:
        export.discard(desk.engine, desk.blobs, export_id)
    return len(due)


def _invitations(desk: Desk) -> int:
    before = desk.now() - INVITATIONS
    unanswered = (col(Delegate.state) == "invited") & (col(Delegate.invited_at) < before)
    over = col(Delegate.state).in_(("declined", "ended")) & (col(Delegate.answered_at) < before)
    return _deleted(desk, Delegate, or_(unanswered, over))


def _signs_of_life(desk: Desk) -> int:
    dead = col(Lease.name).startswith(WORKER) & (col(Lease.until) < desk.now() - timedelta(days=1))
    return _deleted(desk, Lease, dead)


def _deleted(desk: Desk, table: type[Any], which: Any) -> int:  # noqa: ANN401 - a table, and an expression of SQL
    """Delete rows, and write only where there are any: SQLite has one writer at a time."""
    with reading(desk.engine) as session:
        if session.exec(select(table).where(which).limit(1)).first() is None:
            return 0
    with writing(desk.engine) as session:
        return int(session.connection().execute(delete(table).where(which)).rowcount)


def _let_go(session: Session, row: GivenSample | Challenge) -> BlobId:
    blob_id = str(row.blob_id)
    row.blob_id = None
    session.flush()
    session.connection().execute(delete(BlobRow).where(col(BlobRow.id) == blob_id))
    return BlobId(blob_id)


def _forgotten(desk: Desk, gone: list[BlobId]) -> int:
    for blob_id in gone:
        desk.blobs.delete(blob_id)
    return len(gone)


def _days(lasts: timedelta) -> str:
    days = lasts.days
    return (
        f"{days} {'day' if days == 1 else 'days'}" if days else f"{int(lasts.total_seconds() // 3600)} hours"
    )


SCHEDULE: tuple[Rule, ...] = (
    Rule(
        "templates",
        "The measurements of your face and voice",
        "to compare what is found with them",
        "until you erase your account or take your consent back; then the key is destroyed at once",
    ),
    Rule(
        "profile",
        "Your name, date of birth, e-mail address and telephone number",
        "to reach you, and not to enrol children",
        "until you erase your account; then they go at once",
    ),
    Rule(
        "findings",
        "What was found of you, and its evidence",
        "so that you can act on it",
        "until you erase your account",
    ),
    Rule(
        "search_terms",
        "Names, handles and hashtags that you asked us to look for",
        "to know where to look",
        "until you take them away or erase your account; then they go at once",
    ),
    Rule(
        "originals",
        "Pictures, videos and recordings of yours that you gave so that changed copies can be known",
        "to show what was changed in a copy",
        "until you take them back, take your consent back or erase your account; then they go at once",
    ),
    Rule(
        "unfinished",
        "Everything of an account that was not finished, or whose watch you stopped for good",
        "so that you can go on where you were",
        f"{_days(UNFINISHED)} after your last visit; then it is erased by itself",
        _unfinished,
    ),
    Rule(
        "refused_samples",
        "Pictures and recordings that cannot be used",
        "only to look at them once",
        f"until we have looked at them; the reason why they cannot be used stays {_days(JUDGED)}",
        _judged,
    ),
    Rule(
        "samples",
        "Pictures and recordings that were used, where you did not agree that they are kept",
        "to make the measurements and to decide your enrolment",
        "until your enrolment is decided; then within minutes",
        _not_to_be_kept,
    ),
    Rule(
        "later_samples",
        "Pictures and recordings that you gave later, while nothing shows yet that they are yours",
        "to ask you to show it",
        f"{_days(PROOF_HOLDS)}, or until two people of ours have decided",
        _not_shown_to_be_theirs,
    ),
    Rule(
        "clips",
        "The clip by which you showed that it is you, and what the program saw in it",
        "to answer you when it was refused",
        f"{_days(CLIPS)} after the decision, or {_days(HELD_CLIPS)} where a person must look at it",
        _clips,
    ),
    Rule(
        "letters",
        "Our e-mails and text messages to you that are no findings",
        "to send them",
        f"their words until they are sent, that there was one {_days(letters.KEPT)}; one that cannot be sent "
        f"{_days(UNSENT)}",
        _letters,
    ),
    Rule(
        "sessions",
        "That a browser is signed in",
        "so that you need no link for every page",
        f"{_days(sessions.IDLE)} after your last visit in it, at most {_days(sessions.LONGEST)}",
        _sessions,
    ),
    Rule(
        "codes",
        "Codes that we sent you",
        "to compare what you type",
        "until they run out, within the hour",
        _codes,
    ),
    Rule(
        "links",
        "That a link of ours was used",
        "so that it opens nothing a second time",
        f"{_days(accounts.AGAIN_FOR)} after it ran out",
        _links,
    ),
    Rule(
        "counts",
        "How often something was asked for, by a digest and not by name",
        "so that nobody floods a mailbox or tries codes",
        f"{_days(2 * limits.LONGEST)}",
        _counts,
    ),
    Rule(
        "seen_clips",
        "A digest of each clip, from which nothing can be made again",
        "to know a clip that is given a second time",
        "400 days",
        _seen_clips,
    ),
    Rule(
        "exports",
        "The copy of everything that you asked for",
        "so that you can take it",
        f"until you took it, at most {_days(export.LASTS)}",
        _exports,
    ),
    Rule(
        "invitations",
        "Invitations of people who may see your findings, when nobody answered or when they ended",
        "so that you see that it was so",
        f"{_days(INVITATIONS)}",
        _invitations,
    ),
    Rule(
        "leases",
        "That a computer of ours was at work",
        "to know whether all of them have forgotten somebody who left",
        "1 day",
        _signs_of_life,
    ),
    Rule(
        "consents",
        "What you agreed to, signed",
        "to prove it, to you and by you",
        "until you erase your account; you can download it before",
    ),
    Rule(
        "audit",
        "Who looked at your data and when, without names or addresses",
        "so that no look can be hidden from you or from those who check us",
        "as long as the service runs; after an erasure it leads to nobody",
    ),
)
"""Every line of the public page, in its order."""
