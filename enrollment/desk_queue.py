"""One queue of the desk: rows that wait are taken up by one worker at a time, and never lost.

    waiting ──claim──> judging ──┬─> its end              written by the caller, while `in_hand` gives the row
       ^                         ├─> waiting              put_back: it may work the next time
       └───────(silent)──────────┤
                                 └─> left alone           what ended its worker MOST_TRIES times

A worker that says nothing for JUDGING_STALE_S loses its row. The number of the try tells two workers with
one row apart: who was too slow finds that the row is no longer theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from sqlmodel import col, or_, select

from enrollment.desk import JUDGING_STALE_S, MOST_TRIES
from enrollment.tables import Challenge, GivenSample
from monitor.db import reading, writing
from monitor.originals.tables import KnownOriginal

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlmodel import Session

    from enrollment.desk import Desk

WAITING: Final = "waiting"
JUDGING: Final = "judging"
"""The two states that every queue has; how a row ends is its own."""

R = TypeVar("R", GivenSample, Challenge, KnownOriginal)


def always(_session: Session, _row: object) -> bool:
    """Let every row be taken up as soon as it waits."""
    return True


@dataclass(frozen=True, slots=True)
class Queue(Generic[R]):
    """The rows of one table. `since` names the column by which the oldest one comes first."""

    table: type[R]
    since: str

    def claim(self, desk: Desk, is_ready: Callable[[Session, R], bool] = always) -> R | None:
        """Take up the oldest row that is ready, and count the try; None where there is none.

        The row that is given is a copy: `in_hand` gives the one to write to.
        """
        now = desk.now()
        free = or_(
            col(self.table.state) == WAITING,
            (col(self.table.state) == JUDGING) & (col(self.table.judging_since) < _stale(now)),
        )
        query = select(self.table).where(free, col(self.table.tries) < MOST_TRIES)
        oldest = query.order_by(getattr(self.table, self.since), col(self.table.id))
        with reading(desk.engine) as session:  # looking costs no lock where nothing waits
            ready = next((row.id for row in session.exec(oldest) if is_ready(session, row)), None)
        if ready is None:
            return None
        with writing(desk.engine) as session:
            one = query.where(col(self.table.id) == ready).with_for_update(skip_locked=True)
            row = session.exec(one).first()
            if row is not None:
                row.state, row.judging_since, row.tries = JUDGING, now, row.tries + 1
            return row

    def in_hand(self, session: Session, row_id: str, tries: int) -> R | None:
        """Give a row while it is still ours: neither removed, nor taken up by somebody else. Locks it."""
        row = session.get(self.table, row_id, with_for_update=True)
        if row is None or row.state != JUDGING or row.tries != tries:
            return None
        return row

    def put_back(self, desk: Desk, row_id: str, tries: int) -> None:
        """Let a row wait for another try, if it is still ours."""
        with writing(desk.engine) as session:
            row = self.in_hand(session, row_id, tries)
            if row is not None:
                row.state, row.judging_since = WAITING, None

    def leave_alone(self, desk: Desk, give_up: Callable[[Session, R], None]) -> None:
        """Hand each row that ended its worker every time to `give_up`, all in one transaction."""
        dead = select(self.table).where(
            col(self.table.state) == JUDGING,
            col(self.table.judging_since) < _stale(desk.now()),
            col(self.table.tries) >= MOST_TRIES,
        )
        with reading(desk.engine) as session:
            if session.exec(dead.limit(1)).first() is None:
                return
        with writing(desk.engine) as session:
            for row in session.exec(dead.with_for_update(skip_locked=True)).all():
                give_up(session, row)


def _stale(now: datetime) -> datetime:
    """Give the moment before which a worker that is still judging must be dead."""
    return now - timedelta(seconds=JUDGING_STALE_S)
