"""Dismissals: findings that their subject, or an operator for them, called "not me".

    due ──> learnt               a worker sealed a lookalike from the finding (learning.py)
     ^  └─> nothing_to_learn     why not is in `reason`; the finding stays dismissed all the same
     └───── undone <── each of them

`record` and `undo` are all that the pages and verbs need. Both are idempotent, audited, and refuse a finding
that is not the named subject's. Undoing deletes what was learnt from the finding, and so its key.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlmodel import col, select

from monitor import audit, lookalikes
from monitor.db import utc_now
from monitor.errors import NotFound
from monitor.tables import Dismissal, Finding, Lookalike, SubjectKey
from monitor.values import FindingId, SubjectId

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlmodel import Session

DISMISSED = "dismissed"
"""What a dismissed finding's state is."""

LONGEST_LIST = 500
"""Ids in one SQL list; see gallery_rows.py."""


class State(StrEnum):
    """How far a dismissal is."""

    DUE = "due"
    LEARNT = "learnt"
    NOTHING = "nothing_to_learn"
    UNDONE = "undone"


class Reason(StrEnum):
    """Why nothing was learnt, or is known any more."""

    TOO_CLOSE = "too_close"
    """As near to the subject's own samples as hardly anybody else could be: the watch must not go blind."""

    NOTHING_SEEN = "nothing_seen"
    """No face or voice could be made out well enough in what was kept."""

    NOT_KEPT = "not_kept"
    """Nothing was kept of the finding that could be looked at again."""

    NO_SAMPLES = "no_samples"
    """The subject has no samples by the models in use, so nothing can be held against them."""

    KNOWN = "known"
    """The same was learnt from another finding already."""

    EXPIRED = "expired"
    """It was known until its time was over."""

    CROWDED_OUT = "crowded_out"
    """It was known until newer ones took its place; see lookalikes.MOST."""

    UNREADABLE = "unreadable"
    """What was kept does not open or cannot be read."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the dismissals of some findings stand together.

    `state` is the furthest of them: learnt before due before nothing_to_learn. `until` is when the last of
    what was learnt is forgotten.
    """

    state: State
    reasons: frozenset[Reason]
    until: datetime | None


def record(session: Session, finding_id: FindingId, subject_id: SubjectId, actor: str) -> bool:
    """Dismiss a finding of a subject, in the caller's transaction; False where it was dismissed already.

    Raises NotFound for a finding of anybody else.
    """
    finding = _of(session, finding_id, subject_id)
    row = session.get(Dismissal, finding_id)
    finding.state = DISMISSED
    if row is not None and row.state != State.UNDONE:
        return False
    if row is None:
        session.add(Dismissal(finding_id=finding_id, subject_id=subject_id, state=State.DUE))
    else:
        row.state, row.reason, row.at = State.DUE, "", utc_now()
    audit.record(session, actor, "finding.dismiss", subject_id, finding=finding_id)
    return True


def undo(
    session: Session, finding_id: FindingId, subject_id: SubjectId, actor: str, *, back_to: str = "told"
) -> bool:
    """Take a dismissal back: the lookalike is forgotten and the finding's state is `back_to` again.

    False where nothing was dismissed. Raises NotFound for a finding of anybody else.
    """
    finding = _of(session, finding_id, subject_id)
    row = session.get(Dismissal, finding_id)
    if row is None or row.state == State.UNDONE:
        return False
    row.state, row.reason = State.UNDONE, ""
    finding.state = back_to
    gone = lookalikes.of_finding(session, finding_id)
    lookalikes.forget(session, gone)
    if gone:
        look_again(session, subject_id)
    audit.record(
        session, actor, "finding.undismiss", subject_id, finding=finding_id, lookalikes_forgotten=len(gone)
    )
    return True


def due(session: Session, most: int) -> list[Dismissal]:
    """List the dismissals that nothing was learnt from yet, oldest first."""
    query = select(Dismissal).where(Dismissal.state == State.DUE).order_by(col(Dismissal.at))
    return list(session.exec(query.limit(most)))


def hold_due(session: Session, finding_id: FindingId, subject_id: SubjectId) -> Dismissal | None:
    """Take a dismissal for the caller's transaction, or None where it is due no more, or erased."""
    try:
        _of(session, finding_id, subject_id)
    except NotFound:
        return None
    row = session.get(Dismissal, finding_id, populate_existing=True)
    return row if row is not None and row.state == State.DUE else None


def let_go(session: Session, finding_ids: Collection[FindingId], reason: Reason) -> None:
    """Note that what was learnt from these findings is known no more, where nothing of it is left."""
    for finding_id in finding_ids:
        row = session.get(Dismissal, finding_id)
        if row is not None and row.state == State.LEARNT and not lookalikes.of_finding(session, finding_id):
            row.state, row.reason = State.NOTHING, reason
            look_again(session, SubjectId(row.subject_id))


def look_again(session: Session, subject_id: SubjectId) -> None:
    """Make those dismissals due again from which nothing was learnt because another finding had taught it."""
    known = select(Dismissal).where(
        Dismissal.subject_id == subject_id, Dismissal.state == State.NOTHING, Dismissal.reason == Reason.KNOWN
    )
    for row in session.exec(known):
        row.state, row.reason = State.DUE, ""


def standing(session: Session, finding_ids: Collection[str]) -> Standing | None:
    """Say how the dismissals of these findings stand, or None where none of them is dismissed."""
    rows: list[Dismissal] = []
    until: list[datetime] = []
    ids = list(finding_ids)
    for part in (ids[at : at + LONGEST_LIST] for at in range(0, len(ids), LONGEST_LIST)):
        rows += session.exec(
            select(Dismissal).where(col(Dismissal.finding_id).in_(part), col(Dismissal.state) != State.UNDONE)
        )
        until += session.exec(select(Lookalike.expires_at).where(col(Lookalike.finding_id).in_(part)))
    if not rows:
        return None
    states = {State(row.state) for row in rows}
    state = next(one for one in (State.LEARNT, State.DUE, State.NOTHING) if one in states)
    reasons = frozenset(Reason(row.reason) for row in rows if row.reason)
    return Standing(state, reasons, max(until, default=None))


def _of(session: Session, finding_id: FindingId, subject_id: SubjectId) -> Finding:
    """Take the finding for the caller's transaction, after its subject: an erasure goes in this order."""
    owner = select(SubjectKey.subject_id).where(SubjectKey.subject_id == subject_id)
    alive = session.exec(owner.with_for_update(key_share=True)).first()
    finding = session.get(Finding, finding_id, with_for_update=True) if alive is not None else None
    if finding is None or finding.subject_id != subject_id:
        msg = "there is no such finding"
        raise NotFound(msg)
    return finding
