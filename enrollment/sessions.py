"""The browser sessions of people who enrolled themselves: kept by the server, revocable, listed to them.

The cookie is 256 random bits and means nothing by itself; the table holds its SHA-256. A session ends
after a while without a visit, after a week in any case, and when the person says so.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlmodel import col, delete, select

from enrollment.standing import is_unopened
from enrollment.tables import Account, Passkey, Subject, WebSession
from monitor import audit
from monitor.values import SubjectId

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel import Session

IDLE = timedelta(hours=12)
"""A session without a visit ends: a day's break is over, and so is the evening at a shared computer."""

LONGEST = timedelta(days=7)
"""A session ends however busy it is."""

SECOND_LASTS = timedelta(minutes=30)
"""How long a second factor opens findings: as long as the page behind a message's link stays open."""

SEEN_EVERY = timedelta(minutes=1)
"""A visit is noted at most this often, so that looking at pages hardly writes."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is signed in: whose pages they may see, and by which session.

    `second`: a second factor was shown in this session, not long ago.
    """

    subject_id: SubjectId
    session_id: str
    second: bool


@dataclass(frozen=True, slots=True)
class SessionView:
    """One session as its person sees it."""

    session_id: str
    browser: str
    created_at: datetime
    seen_at: datetime
    current: bool


def begin(session: Session, subject_id: SubjectId, browser: str, now: datetime) -> str:
    """Sign a browser in; give the cookie. `browser` is a short name (see `browser_name`)."""
    cookie = secrets.token_urlsafe(32)
    session.add(
        WebSession(
            id=_id_of(cookie),
            subject_id=subject_id,
            browser=browser,
            seen_at=now,
            created_at=now,
            expires_at=now + LONGEST,
        )
    )
    return cookie


def person_of(session: Session, cookie: str, now: datetime) -> Person | None:
    """Say who is behind a cookie; None where nobody is, or not any more. Changes nothing."""
    row = session.get(WebSession, _id_of(cookie)) if cookie else None
    if row is None or row.expires_at <= now or now - row.seen_at > IDLE:
        return None
    second = row.second_at is not None and now - row.second_at <= SECOND_LASTS
    return Person(SubjectId(row.subject_id), row.id, second)


def is_note_due(session: Session, person: Person, now: datetime) -> bool:
    """Say whether this visit is to be noted (`note`)."""
    row = session.get(WebSession, person.session_id)
    return row is not None and now - row.seen_at > SEEN_EVERY


def note(session: Session, person: Person, now: datetime) -> None:
    """Note a visit. A session that was ended in the meantime stays ended."""
    row = session.get(WebSession, person.session_id)
    if row is not None:
        row.seen_at = now
    account = session.get(Account, person.subject_id)
    if account is not None:
        account.seen_at = now


def show_second(session: Session, person: Person, now: datetime) -> None:
    """Note that a second factor was shown in this session. The first one opens an invited one's page."""
    session.get_one(WebSession, person.session_id).second_at = now
    account, subject = session.get(Account, person.subject_id), session.get(Subject, person.subject_id)
    if account is not None and subject is not None and is_unopened(subject.status, account):
        account.told_from = now
        audit.record(session, "subject", "account.open", person.subject_id)


def has_second(session: Session, subject_id: SubjectId) -> bool:
    """Say whether somebody has a second factor that they could show: a passkey, or a phone."""
    account = session.get(Account, subject_id)
    passkey = session.exec(select(Passkey.id).where(Passkey.subject_id == subject_id)).first()
    return passkey is not None or (account is not None and account.phone_at is not None)


def forget_second(session: Session, person: Person) -> None:
    """Ask for a second factor again in this session."""
    session.get_one(WebSession, person.session_id).second_at = None


def listing(session: Session, person: Person, now: datetime) -> list[SessionView]:
    """List the sessions of a person, the newest visit first."""
    query = select(WebSession).where(
        WebSession.subject_id == person.subject_id,
        col(WebSession.expires_at) > now,
        col(WebSession.seen_at) >= now - IDLE,
    )
    return [
        SessionView(row.id, row.browser, row.created_at, row.seen_at, row.id == person.session_id)
        for row in session.exec(query.order_by(col(WebSession.seen_at).desc(), col(WebSession.id)))
    ]


def end(session: Session, person: Person, session_id: str) -> None:
    """End one session of a person. Idempotent; a session of somebody else is left alone."""
    session.connection().execute(
        delete(WebSession).where(
            col(WebSession.id) == session_id, col(WebSession.subject_id) == person.subject_id
        )
    )


def end_others(session: Session, person: Person) -> None:
    """End every session of a person but the one in hand."""
    session.connection().execute(
        delete(WebSession).where(
            col(WebSession.subject_id) == person.subject_id, col(WebSession.id) != person.session_id
        )
    )


def forget_ended(session: Session, now: datetime) -> None:
    """Delete the rows of sessions that are over."""
    session.connection().execute(
        delete(WebSession).where((col(WebSession.expires_at) <= now) | (col(WebSession.seen_at) < now - IDLE))
    )


BROWSERS = ("Firefox", "Edg", "OPR", "SamsungBrowser", "Chrome", "Safari")
"""Looked for in this order: later ones stand in the names of earlier ones too."""

SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Mac OS X", "Linux")
SPOKEN = {"Edg": "Edge", "OPR": "Opera", "SamsungBrowser": "Samsung Internet", "Mac OS X": "a Mac"}


def browser_name(user_agent: str) -> str:
    """Make a short name of a User-Agent, such as "Firefox on Android", for the person to know it by."""
    browser = next((one for one in BROWSERS if one in user_agent), "")
    system = next((one for one in SYSTEMS if one in user_agent), "")
    named = SPOKEN.get(browser, browser) or "A browser"
    return f"{named} on {SPOKEN.get(system, system)}" if system else named


def _id_of(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
