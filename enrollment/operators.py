"""The named operators: those who look at held enrolments, each with a name and a token of their own.

A decision about a person has a name on it, so the one token of /metrics does not do here. A token is 256
random bits and is shown once; what is kept is its SHA-256, which nobody can try their way back from.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel import col, select

from enrollment.tables import OperatorAccount
from monitor import audit
from monitor.errors import NotFound, OperatorRefused

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel import Session

TOKEN_BYTES = 32
"""256 bits: nothing needs to limit guesses."""

NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,38}[a-z0-9])?")
"""A name that needs no quoting anywhere, and has one spelling only."""

NOBODY = hashlib.sha256(secrets.token_bytes(TOKEN_BYTES)).hexdigest()
"""What the token of an unknown name is compared with, so that the answer takes as long."""


@dataclass(frozen=True, slots=True)
class OperatorView:
    """One operator as the list shows them."""

    name: str
    created_at: datetime
    revoked_at: datetime | None


def add(session: Session, name: str, actor: str, now: datetime) -> str:
    """Make an operator, audited; give the token, which is shown this once.

    Raises OperatorRefused for a name that cannot be used, or was used before: a name on an old decision
    must not become somebody else's.
    """
    if NAME.fullmatch(name) is None:
        msg = f"{name!r} cannot be the name of an operator"
        raise OperatorRefused(msg, hint="Small letters, digits, and . _ - inside: for example a.lovelace")
    if session.get(OperatorAccount, name) is not None:
        msg = f"there is, or was, an operator {name!r}"
        raise OperatorRefused(msg, hint="Names are not used twice; take another one.")
    token = secrets.token_urlsafe(TOKEN_BYTES)
    session.add(OperatorAccount(name=name, token_digest=_digest(token), created_at=now))
    audit.record(session, actor, "operator.add", operator=name)
    return token


def revoke(session: Session, name: str, actor: str, now: datetime) -> None:
    """Take an operator's token away, audited. Idempotent. Raises NotFound.

    What they said yes to and is not decided yet counts no more.
    """
    row = session.get(OperatorAccount, name)
    if row is None:
        msg = f"there is no operator {name!r}"
        raise NotFound(msg, hint="`likeness operator list` names them all.")
    if row.revoked_at is None:
        row.revoked_at = now
        audit.record(session, actor, "operator.revoke", operator=name)


def listing(session: Session) -> list[OperatorView]:
    """List everybody who is or was one, by name."""
    rows = session.exec(select(OperatorAccount).order_by(col(OperatorAccount.name)))
    return [OperatorView(row.name, row.created_at, row.revoked_at) for row in rows]


def is_anybody(session: Session) -> bool:
    """Say whether there is an operator at all who could come in."""
    query = select(OperatorAccount.name).where(col(OperatorAccount.revoked_at).is_(None)).limit(1)
    return session.exec(query).first() is not None


def authenticated(session: Session, name: str, token: str) -> str:
    """Give the operator's name. Raises OperatorRefused, the same for a wrong name and a wrong token."""
    row = session.get(OperatorAccount, name)
    known = row is not None and row.revoked_at is None
    fits = hmac.compare_digest(_digest(token), row.token_digest if row is not None and known else NOBODY)
    if row is None or not (known and fits):
        msg = "no operator has this name and token"
        raise OperatorRefused(msg, hint="Ask whoever runs the service for `likeness operator add`.")
    return row.name


def live_names(session: Session) -> set[str]:
    """Give the names of those whose token has not been taken away."""
    return set(session.exec(select(OperatorAccount.name).where(col(OperatorAccount.revoked_at).is_(None))))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
