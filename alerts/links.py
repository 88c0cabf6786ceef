"""The links in messages: signed, single-use, short-lived; and the browser session behind an opened one.

A token is an alert's id with a time and a signature, and so says nothing about anybody. It is read from
the address of a page; reading it never changes anything. Only `redeem`, called on a POST, does.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from itsdangerous import BadSignature, TimestampSigner
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, delete

from alerts.interfaces import OWNER
from alerts.tables import Alert, FindingSession, LinkUse
from monitor.db import reading, utc_now, writing
from monitor.errors import ConfigError, LinkInvalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from monitor.settings import Settings

SHORTEST_SECRET = 32
"""Characters. 32 random base64 characters are 192 bits; nobody guesses that offline."""

OPEN_FOR = timedelta(hours=72)
"""How long the link of a notice opens it. Long enough for a weekend, short for a mailbox that is read by
somebody else later; after it, the same link asks for a fresh message to the same address."""

STOP_FOR = timedelta(days=365)
"""How long a link to stop messages works. It reveals nothing and only makes things quieter."""

SESSION_FOR = timedelta(minutes=30)
"""How long an opened page stays open in one browser. Libraries and shared computers exist."""


class Purpose(StrEnum):
    """What a token is for; a token of one purpose is not valid for another."""

    OPEN = "open"
    STOP = "stop"


LIFETIMES = {Purpose.OPEN: OPEN_FOR, Purpose.STOP: STOP_FOR}


@dataclass(frozen=True, slots=True)
class Token:
    """A token whose signature is right. An expired one may still ask for a fresh link."""

    alert_id: str
    expired: bool


@dataclass(frozen=True, slots=True)
class Visit:
    """A browser that opened a link, or is signed in: whose page it may see, which one, and who looks."""

    subject_id: str
    incident_id: str
    actor: str = OWNER
    signed_in: bool = False


@dataclass(frozen=True, slots=True)
class Links:
    """Makes and reads the links of messages. `now` is the clock."""

    secret: str = field(repr=False)
    public_url: str
    now: Callable[[], datetime] = utc_now

    def __post_init__(self) -> None:
        if len(self.secret) < SHORTEST_SECRET:
            msg = f"LIKENESS_LINK_SECRET is shorter than {SHORTEST_SECRET} characters"
            raise ConfigError(msg)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make it from the settings. Raises ConfigError where the secret is missing or short."""
        if settings.link_secret is None:
            msg = "LIKENESS_LINK_SECRET is missing: the links in messages cannot be signed"
            raise ConfigError(
                msg, hint="python -c 'import secrets; print(secrets.token_urlsafe(32))' makes one."
            )
        return cls(settings.link_secret.get_secret_value(), settings.public_url.rstrip("/"))

    def open_url(self, alert_id: str) -> str:
        """Make the address that leads to the notice."""
        return f"{self.public_url}/m/{self.token(Purpose.OPEN, alert_id)}"

    def stop_url(self, alert_id: str) -> str:
        """Make the address where messages can be stopped."""
        return f"{self.public_url}/stop/{self.token(Purpose.STOP, alert_id)}"

    def token(self, purpose: Purpose, alert_id: str) -> str:
        """Sign an alert's id for one purpose, with the present time."""
        return self._signer(purpose).sign(alert_id).decode()

    def read(self, purpose: Purpose, token: str) -> Token:
        """Check the signature. Raises LinkInvalid where this is no token of ours for this purpose."""
        try:
            alert_id, signed_at = self._signer(purpose).unsign(token, return_timestamp=True)
        except BadSignature as exc:
            raise _invalid() from exc
        return Token(alert_id.decode(), self.now() - signed_at > LIFETIMES[purpose])

    def _signer(self, purpose: Purpose) -> TimestampSigner:
        return _Signer(self.now, self.secret, purpose)


class _Signer(TimestampSigner):
    """itsdangerous with SHA-256 and with our clock."""

    def __init__(self, now: Callable[[], datetime], secret: str, purpose: Purpose) -> None:
        super().__init__(secret, salt=f"likeness-watch.{purpose}", digest_method=hashlib.sha256)
        self._now = now

    def get_timestamp(self) -> int:
        """Give the present second."""
        return int(self._now().astimezone(UTC).timestamp())


def alert_of(engine: Engine, token: Token) -> Alert:
    """Find the alert of a token. Raises LinkInvalid where it is gone, for example by an erasure."""
    with reading(engine) as session:
        alert = session.get(Alert, token.alert_id)
    if alert is None:
        raise _invalid()
    return alert


def redeem(engine: Engine, links: Links, text: str) -> tuple[str, Visit]:
    """Use a link up and open a session: gives the cookie and what it may see.

    Raises LinkInvalid where the token is wrong, too old, used before, or its alert is gone. The answer is
    the same for all of them.
    """
    token = links.read(Purpose.OPEN, text)
    if token.expired:
        raise _invalid()
    alert, cookie, now = alert_of(engine, token), secrets.token_urlsafe(32), links.now()
    try:
        with writing(engine) as session:
            session.exec(delete(FindingSession).where(col(FindingSession.expires_at) < now))
            session.add(LinkUse(alert_id=alert.id, used_at=now))
            session.add(
                FindingSession(
                    cookie_sha256=_digest(cookie),
                    subject_id=alert.subject_id,
                    incident_id=alert.incident_id,
                    expires_at=now + SESSION_FOR,
                )
            )
    except IntegrityError as exc:  # used before, or erased in this very moment
        raise _invalid() from exc
    return cookie, Visit(alert.subject_id, alert.incident_id)


def visit_of(engine: Engine, links: Links, cookie: str, incident_id: str) -> Visit:
    """Find the session of a cookie for one incident. Raises LinkInvalid where there is none."""
    with reading(engine) as session:
        row = session.get(FindingSession, _digest(cookie)) if cookie else None
    if row is None or row.incident_id != incident_id or row.expires_at < links.now():
        raise _invalid()
    return Visit(row.subject_id, row.incident_id)


def end_visit(engine: Engine, cookie: str) -> None:
    """Close a session. Idempotent."""
    with writing(engine) as session:
        session.exec(delete(FindingSession).where(col(FindingSession.cookie_sha256) == _digest(cookie)))


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()


def _invalid() -> LinkInvalid:
    return LinkInvalid("this link is wrong, was used before, or is too old")
