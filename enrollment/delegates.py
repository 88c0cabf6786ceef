"""Delegates: people whom somebody lets see what was found of them. Family, a friend, a lawyer, an agent.

    invite ──letter──> invited ──┬─> active ──> ended       by either side, at once
                                 └─> declined

Only the person invites, and only by the address of the other one, who accepts with an account of their own.
A delegate sees findings and changes nothing. Both see at any time that it is so; each look is audited.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel import col, func, or_, select

from enrollment.tables import Account, Delegate
from monitor import audit, crypto, subject_keys
from monitor.errors import DelegateRefused, NotFound
from monitor.values import SubjectId

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel import Session

    from enrollment.lookups import Lookups
    from monitor.crypto import KeyEncryptionKeys

MOST = 5
"""People whom one person can let see at a time. More is not help any more."""

LONGEST_NAME = 80

INVITED, ACTIVE, DECLINED, ENDED = "invited", "active", "declined", "ended"
OPEN = (INVITED, ACTIVE)

SEALED = "delegate"

ACTOR = "subject"


@dataclass(frozen=True, slots=True)
class DelegateView:
    """One delegate as the person sees it, by the name and address that they wrote."""

    delegate_id: str
    name: str
    email: str
    state: str
    invited_at: datetime
    answered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Entrusted:
    """One person who lets the reader see, or asks to: by the id of the invitation."""

    invitation_id: str
    subject_id: SubjectId
    state: str
    invited_at: datetime


def may_see(session: Session, viewer_id: str, subject_id: str) -> bool:
    """Say whether somebody may see the findings of a subject: their own, or as an active delegate."""
    if viewer_id == subject_id:
        return True
    query = select(Delegate.id).where(
        Delegate.subject_id == subject_id, Delegate.delegate_id == viewer_id, Delegate.state == ACTIVE
    )
    return session.exec(query).first() is not None


def invite(  # noqa: PLR0913, PLR0917 - who invites whom, and what it takes
    session: Session,
    keks: KeyEncryptionKeys,
    lookups: Lookups,
    subject_id: SubjectId,
    who: tuple[str, str],
    now: datetime,
) -> bool:
    """Note an invitation of (name, address) in the caller's transaction; say whether a letter is to go.

    The address is in its one spelling. Who was invited already gets no second letter. Raises
    DelegateRefused for one's own address, and beyond MOST.
    """
    name, email = who
    lookup = lookups.email(email)
    account = session.get(Account, subject_id)
    if account is not None and account.email_lookup == lookup:
        msg = "that is your own address"
        raise DelegateRefused(msg, hint="Give the address of the person who is to see your findings.")
    row = session.exec(
        select(Delegate).where(Delegate.subject_id == subject_id, Delegate.email_lookup == lookup)
    ).first()
    if row is not None and row.state in OPEN:
        return False
    counted = select(func.count()).where(
        col(Delegate.subject_id) == subject_id, col(Delegate.state).in_(OPEN)
    )
    if session.exec(counted).one() >= MOST:
        msg = f"no more than {MOST} people can see your findings at a time"
        raise DelegateRefused(msg, hint="End one of the others first.")
    if row is not None:
        session.delete(row)
        session.flush()
    invitation_id = uuid.uuid4().hex
    key = subject_keys.key_of(session, keks, subject_id)
    plain = json.dumps({"name": name[:LONGEST_NAME], "email": email}).encode()
    sealed = crypto.seal(key, plain, crypto.Context(subject_id, invitation_id, SEALED))
    session.add(
        Delegate(id=invitation_id, subject_id=subject_id, email_lookup=lookup, sealed=sealed, invited_at=now)
    )
    audit.record(session, ACTOR, "delegate.invite", subject_id, invitation=invitation_id)
    return True


def answer(
    session: Session,
    viewer_id: SubjectId,
    invitation_id: str,
    now: datetime,
    *,
    accept: bool,
) -> None:
    """Accept or decline an invitation to the viewer's own address; audited. Raises NotFound."""
    row = session.get(Delegate, invitation_id, with_for_update=True)
    account = session.get(Account, viewer_id)
    if row is None or account is None or row.email_lookup != account.email_lookup or row.state != INVITED:
        raise _no_such()
    row.state, row.answered_at = (ACTIVE if accept else DECLINED), now
    row.delegate_id = viewer_id if accept else None
    action = "delegate.accept" if accept else "delegate.decline"
    audit.record(session, "delegate", action, row.subject_id, invitation=row.id)


def end(session: Session, person_id: SubjectId, invitation_id: str, now: datetime) -> None:
    """End what somebody may see, at once, by either side; audited. Raises NotFound."""
    row = session.get(Delegate, invitation_id, with_for_update=True)
    if row is None or person_id not in {row.subject_id, row.delegate_id} or row.state not in OPEN:
        raise _no_such()
    row.state, row.answered_at, row.delegate_id = ENDED, now, None
    actor = ACTOR if person_id == row.subject_id else "delegate"
    audit.record(session, actor, "delegate.end", row.subject_id, invitation=row.id)


def listing(session: Session, keks: KeyEncryptionKeys, subject_id: SubjectId) -> list[DelegateView]:
    """List whom a person invited, the newest first."""
    key = subject_keys.key_of(session, keks, subject_id)
    query = select(Delegate).where(Delegate.subject_id == subject_id)
    rows = session.exec(query.order_by(col(Delegate.invited_at).desc(), col(Delegate.id)))
    return [_view(key, row) for row in rows]


def entrusted(session: Session, viewer_id: SubjectId) -> list[Entrusted]:
    """List who lets the viewer see their findings, or asks to, the newest first."""
    account = session.get(Account, viewer_id)
    own = [col(Delegate.delegate_id) == viewer_id]
    if account is not None:
        asked = (col(Delegate.email_lookup) == account.email_lookup) & (col(Delegate.state) == INVITED)
        own.append(asked)
    query = select(Delegate).where(or_(*own), col(Delegate.state).in_(OPEN))
    return [
        Entrusted(row.id, SubjectId(row.subject_id), row.state, row.invited_at)
        for row in session.exec(query.order_by(col(Delegate.invited_at).desc(), col(Delegate.id)))
    ]


def _view(key: bytes, row: Delegate) -> DelegateView:
    plain = crypto.unseal(key, row.sealed, crypto.Context(row.subject_id, row.id, SEALED))
    who = json.loads(plain)
    return DelegateView(row.id, who["name"], who["email"], row.state, row.invited_at, row.answered_at)


def _no_such() -> NotFound:
    return NotFound("there is no such invitation")
