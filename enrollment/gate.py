"""Before what was found is shown: the person's own session, and a second factor in it. A Gate of alerts.

Nothing is shown before the cooling-off is over, nor while a proof is overdue. A delegate sees what the person
sees, in a session of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from enrollment import delegates, sessions
from enrollment.standing import Standing, is_cooling_off, is_unopened
from enrollment.subjects import profile_of
from enrollment.tables import Account, Subject
from monitor.db import reading, writing
from monitor.errors import NotFound, SignInNeeded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from fastapi import Request
    from sqlmodel import Session

    from enrollment.web.frame import Frame
    from monitor.values import SubjectId

W = TypeVar("W")

OWNER = "subject"

SHOWN = frozenset({Standing.ACTIVE, Standing.PAUSED})
"""Who sees what was found: a pause stops the watch, and not the looking back."""


@dataclass(frozen=True, slots=True)
class EnrolledGate(Generic[W]):
    """The gate of those who enrolled by the web form. `make(subject_id, name)` is the Watched of alerts."""

    frame: Frame
    make: Callable[[SubjectId, str], W]

    def guards(self, subject_id: SubjectId) -> bool:
        """Say whether this subject has a sign-in of their own, and has used it to the end once."""
        with reading(self.frame.engine) as session:
            row, account = session.get(Subject, subject_id), session.get(Account, subject_id)
            return account is not None and not (row is not None and is_unopened(row.status, account))

    def admit(self, request: Request, subject_id: SubjectId) -> str:
        """Let a browser see the findings of a subject; give who looks. Raises SignInNeeded, NotFound."""
        person, now = self.frame.signed_in(request, second=True), self.frame.now()
        own = person.subject_id == subject_id
        with reading(self.frame.engine) as session:
            may_see = delegates.may_see(session, person.subject_id, subject_id)
            shown = _is_shown(session, subject_id, now)
        if may_see and own and not shown:
            home = "/account"  # which says why
            raise SignInNeeded(home)
        if not (may_see and shown):
            msg = "there is no such page"
            raise NotFound(msg)
        return OWNER if own else f"delegate:{person.subject_id}"

    def whose(self, request: Request) -> Sequence[W]:
        """List whose findings a browser may see, its own first. Raises SignInNeeded."""
        person, now = self.frame.signed_in(request, second=True), self.frame.now()
        own = person.subject_id
        with reading(self.frame.engine) as session:
            others = [
                one.subject_id
                for one in delegates.entrusted(session, own)
                if delegates.may_see(session, own, one.subject_id)
            ]
            return [
                self.make(one, "" if one == own else profile_of(session, self.frame.keks, one).name)
                for one in dict.fromkeys([own, *others])
                if _is_shown(session, one, now)
            ]

    def leave(self, request: Request) -> None:
        """Close the pages for this browser until a second factor is shown again."""
        person = self.frame.person(request)
        if person is not None:
            with writing(self.frame.engine) as session:
                sessions.forget_second(session, person)


def _is_shown(session: Session, subject_id: SubjectId, now: datetime) -> bool:
    row, account = session.get(Subject, subject_id), session.get(Account, subject_id)
    if row is None or account is None or account.told_from is None:
        return False
    return row.status in SHOWN and not is_cooling_off(account, now)
