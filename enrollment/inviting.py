"""Somebody whom an operator enrolled gets an account of their own, if they want one.

    invite     the operator: a letter with a link goes to the address that is in the profile; nothing changes
    enter      the reader opens the link and presses its button: an account, and a session (accounts.py)
    open       the first second factor: the page opens (sessions.show_second), and from then on findings need
               it; until then it is shut, and messages and their links go on as before (standing.is_unopened)

So the address is confirmed twice: by the operator who checked who it is, and by whoever reads its mail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import select

from enrollment import letters, limits, subjects
from enrollment.standing import ENROLLED
from enrollment.tables import Account, Subject
from monitor import audit
from monitor.db import reading, writing
from monitor.errors import AccountThere, ContactInvalid, NotFound, TooOften

if TYPE_CHECKING:
    from sqlmodel import Session

    from enrollment.accounts import Accounts
    from enrollment.subjects import Ledger
    from monitor.values import SubjectId

PER_DAY = 3
"""Invitations of one person in a day: enough for one that went into the wrong folder."""


def invite(accounts: Accounts, ledger: Ledger, subject_id: SubjectId) -> str:
    """Write the letter, audited; give the address that it goes to.

    Raises NotFound, SubjectErased; ContactInvalid without an e-mail address; AccountThere where the person,
    or the address, has an account; TooOften.
    """
    with reading(ledger.engine) as session:
        email = subjects.profile_of(session, ledger.keks, subject_id).email
        _refuse(session, accounts, subject_id, email)
    sealer, words = letters.sealer_of(ledger.engine, ledger.keks), accounts.invitation(subject_id, email)
    now = accounts.now()
    with writing(ledger.engine) as session:
        allowed = limits.take(
            session, accounts.lookups, "invite", subject_id, per=limits.DAY, most=PER_DAY, now=now
        )
        if allowed:
            letters.write(session, sealer, email, words, kind="invitation", now=now, subject_id=subject_id)
            audit.record(session, ledger.actor, "subject.invite", subject_id)
    if not allowed:
        msg = f"this person was invited {PER_DAY} times today"
        raise TooOften(msg, hint="Ask them to look into the folder for junk mail; try again tomorrow.")
    return email


def find(ledger: Ledger, typed: str) -> SubjectId:
    """Turn an id, its first characters, or the whole name into the id. Raises NotFound unless it is one."""
    try:
        return subjects.resolve(ledger.engine, typed)
    except NotFound:
        views = subjects.listing(ledger)  # audited: names are opened for it
        named = [one.subject_id for one in views if one.profile.name.casefold() == typed.strip().casefold()]
        if len(named) != 1:
            raise
        return named[0]


def _refuse(session: Session, accounts: Accounts, subject_id: SubjectId, email: str) -> None:
    if session.get(Account, subject_id) is not None:
        msg = "this person has an account already"
        hint = "They come in at /enrol. Who lost the passkey: `likeness subject reset-second`."
        raise AccountThere(msg, hint=hint)
    if not email:
        msg = "this person has no e-mail address here"
        raise ContactInvalid(msg, hint="Enrol them with --email; an invitation goes by e-mail only.")
    taken = select(Account.subject_id).where(Account.email_lookup == accounts.lookups.email(email))
    if session.exec(taken).first() is not None:
        msg = "this address has an account of its own already"
        raise AccountThere(
            msg, hint="Ask the person to erase that account first, or to name another address."
        )
    if session.get_one(Subject, subject_id).status not in ENROLLED:
        msg = "this person is not watched for"
        raise NotFound(msg, hint="Only somebody who is enrolled can be invited.")
