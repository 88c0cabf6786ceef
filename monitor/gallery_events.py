"""Reads the gallery's events as they come, and loses none that is committed late.

PostgreSQL hands out numbers when a row is inserted and shows the row when its transaction commits, so
number 7 may appear after number 8. A number that is skipped is a hole: it is asked for again in every
read until it appears, or until every transaction that could still fill it has ended. On SQLite one
writer writes at a time and there are no holes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_, select
from sqlmodel import col

from monitor.tables import GalleryEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlmodel import Session

EVENTS_AT_ONCE = 1000
"""Events in one read."""

HOLES_AT_START = 10_000
"""How many numbers before the newest one a starting gallery looks for holes. A transaction that is
still open after 10,000 later enrolments is not one of ours: they take milliseconds."""

HOLES_ASKED = 500
"""Holes asked for in one read, newest first: those are the ones that may still be filled."""

HOLE_SETTLES_S = 1.0
"""Age in seconds from which a hole may be given up. Between taking a number and having a transaction id
a writer spends microseconds; after a second it has one, and PostgreSQL can say whether it still runs."""


@dataclass(slots=True)
class Hole:
    """A number that was skipped. `before`: transactions below this id may still fill it."""

    noticed: float
    before: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One change: a template's `add` or `drop`, a subject's `erase`, a lookalike's `learn` or `unlearn`."""

    seq: int
    kind: str
    subject_id: str
    template_id: str | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What one read gave. `ended` are holes that nobody can fill any more, unless `events` has them."""

    events: tuple[Event, ...]
    ended: frozenset[int]
    more: bool


class Tail:
    """Where one gallery stands in the events. `read` changes nothing; `accept` moves on."""

    def __init__(self) -> None:
        """Stand before the first event."""
        self.high = 0
        self._holes: dict[int, Hole] = {}

    @property
    def seq(self) -> int:
        """The number up to which every event was applied: none below it can still appear."""
        return min(self._holes, default=self.high + 1) - 1

    def start(self, session: Session) -> None:
        """Stand at the newest event, and keep the holes before it: their rows may come any moment."""
        seq = col(GalleryEvent.seq)
        newest: int = session.connection().execute(select(func.max(seq))).scalar() or 0
        self.high = max(0, newest - HOLES_AT_START)
        there = select(seq).where(seq > self.high, seq <= newest).order_by(seq)
        self._advance(int(one) for (one,) in session.connection().execute(there) if one is not None)

    def read(self, session: Session) -> Batch:
        """Read the next events, oldest first, late ones included."""
        ended = self._ended(session)  # before the events: what it says has ended shows its rows below
        seq, asked = col(GalleryEvent.seq), sorted(self._holes, reverse=True)[:HOLES_ASKED]
        parts = (seq, col(GalleryEvent.kind), col(GalleryEvent.subject_id), col(GalleryEvent.template_id))
        query = select(*parts).where(or_(seq > self.high, seq.in_(asked))).order_by(seq).limit(EVENTS_AT_ONCE)
        rows: Sequence[Any] = session.connection().execute(query).all()
        events = tuple(Event(*row) for row in rows)
        return Batch(events, frozenset(ended & set(asked)), len(events) == EVENTS_AT_ONCE)

    def accept(self, batch: Batch) -> None:
        """Move on: these events were applied."""
        for seq in batch.ended:
            self._holes.pop(seq, None)
        self._advance(event.seq for event in batch.events)

    def _advance(self, numbers: Iterable[int]) -> None:
        now = time.monotonic()
        for seq in numbers:
            self._holes.pop(seq, None)
            for skipped in range(self.high + 1, seq):
                self._holes[skipped] = Hole(noticed=now)
            self.high = max(self.high, seq)

    def _ended(self, session: Session) -> set[int]:
        ripe = self._ripe()
        if not ripe:
            return set()
        if session.get_bind().dialect.name != "postgresql":
            return set(ripe)
        snapshot = func.txid_current_snapshot()
        query = select(func.txid_snapshot_xmin(snapshot), func.txid_snapshot_xmax(snapshot))
        oldest, following = session.connection().execute(query).one()
        ended = {seq for seq in ripe if (before := self._holes[seq].before) is not None and oldest >= before}
        for seq in ripe:
            if self._holes[seq].before is None:
                self._holes[seq].before = following
        return ended

    def _ripe(self) -> Sequence[int]:
        now = time.monotonic()
        return [seq for seq, hole in self._holes.items() if now - hole.noticed >= HOLE_SETTLES_S]
