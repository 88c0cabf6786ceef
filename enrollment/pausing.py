"""A pause: nobody is compared with the person, and no message goes out, until they say so again.

The templates stay in the ledger, sealed, and leave the gallery of every worker (monitor/gallery_rows.py);
from the commit on nothing is said of a match either. Going on needs no new samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from enrollment.standing import WATCHED, Standing, shown_standing
from enrollment.tables import Account, Subject
from monitor import audit
from monitor.errors import NotFound
from monitor.gallery_rows import pause as leave_galleries
from monitor.gallery_rows import unpause

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel import Session

    from monitor.values import SubjectId

ACTOR = "subject"


def may_pause(session: Session, subject_id: SubjectId, now: datetime) -> bool:
    """Say whether a pause can begin: during the cooling-off it would tell who was held."""
    row = session.get(Subject, subject_id)
    account = session.get(Account, subject_id)
    return row is not None and shown_standing(Standing(row.status), account, now) in WATCHED


def pause(session: Session, subject_id: SubjectId, now: datetime) -> bool:
    """Begin a pause in the caller's transaction, audited; say whether anything changed.

    Raises NotFound, SubjectErased.
    """
    row = _row(session, subject_id)
    if not may_pause(session, subject_id, now):
        return False
    leave_galleries(session, subject_id, now)
    row.status = Standing.PAUSED
    audit.record(session, ACTOR, "subject.pause", subject_id)
    return True


def resume(session: Session, subject_id: SubjectId, now: datetime) -> bool:
    """End a pause in the caller's transaction, audited; say whether anything changed.

    Where the proof has become overdue meanwhile the person is watched for, and told after a new one. Raises
    NotFound, SubjectErased.
    """
    row = _row(session, subject_id)
    if row.status != Standing.PAUSED:
        return False
    unpause(session, subject_id)
    account = session.get(Account, subject_id)
    overdue = account is not None and account.proved_until is not None and account.proved_until <= now
    row.status = Standing.LAPSED if overdue else Standing.ACTIVE
    audit.record(session, ACTOR, "subject.resume", subject_id)
    return True


def _row(session: Session, subject_id: SubjectId) -> Subject:
    row = session.get(Subject, subject_id, with_for_update=True)
    if row is None:
        msg = f"there is no subject {subject_id}"
        raise NotFound(msg)
    return row
