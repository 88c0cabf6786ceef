"""What came of a feed's requests, by day and code. A partner and the operator read the same numbers.

Nothing here is about what was found in an item: a count is made before anybody looks.
"""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.dialects.postgresql import insert as insert_on_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_on_sqlite
from sqlmodel import col, delete, select

from monitor.partners.tables import Feed, FeedCount

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sqlmodel import Session

ACCEPTED: Final = "accepted"
DUPLICATE: Final = "duplicate"
TAKEDOWN: Final = "takedown"
"""The codes of what went well. Every other code is that of an error."""

WELL: Final = (ACCEPTED, DUPLICATE, TAKEDOWN)

KEPT: Final = timedelta(days=400)
"""How long a day's counts are kept: a year, to compare with the same month of the last one."""

Place = tuple[str, str, str]
"""Feed, day, code."""


class Tally:
    """Counts that wait to be written. Safe for many threads. A crash loses a few seconds of errors."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Place] = Counter()

    def add(self, feed_id: str, code: str, at: datetime, number: int = 1) -> None:
        """Count something."""
        with self._lock:
            self._counts[feed_id, day_of(at), code] += number

    def drain(self) -> dict[Place, int]:
        """Give what waits, and forget it."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return dict(counts)


def day_of(at: datetime) -> str:
    """Name the day of a moment in UTC, so that the order of names is that of days."""
    return f"{at:%Y-%m-%d}"


def write(session: Session, counts: Mapping[Place, int]) -> None:
    """Add to what is counted already, of feeds that are still there."""
    known = set(session.exec(select(Feed.id).where(col(Feed.id).in_({place[0] for place in counts}))).all())
    rows = [
        {"feed_id": feed_id, "day": day, "code": code, "count": counts[feed_id, day, code]}
        for feed_id, day, code in sorted(counts)  # one order in all processes: no deadlock
        if feed_id in known
    ]
    if not rows:
        return
    on_postgresql = session.get_bind().dialect.name == "postgresql"
    insert: Any = insert_on_postgresql if on_postgresql else insert_on_sqlite
    fresh = insert(FeedCount)
    added = {"count": FeedCount.count + fresh.excluded.count}
    session.connection().execute(
        fresh.on_conflict_do_update(index_elements=["feed_id", "day", "code"], set_=added), rows
    )


def prune(session: Session, now: datetime) -> None:
    """Drop what is too old."""
    session.exec(delete(FeedCount).where(col(FeedCount.day) < day_of(now - KEPT)))


def accepted_today(session: Session, feed_ids: Iterable[str], now: datetime) -> dict[str, int]:
    """Count what each feed had taken today."""
    query = select(FeedCount.feed_id, FeedCount.count).where(
        col(FeedCount.feed_id).in_(feed_ids), FeedCount.day == day_of(now), FeedCount.code == ACCEPTED
    )
    return dict(session.exec(query).all())


def days(session: Session, feed_id: str, now: datetime, number: int) -> list[tuple[str, dict[str, int]]]:
    """Give the counts of the last days, code -> number, the newest first; a day without any is empty."""
    names = [day_of(now - timedelta(days=back)) for back in range(number)]
    query = select(FeedCount).where(FeedCount.feed_id == feed_id, col(FeedCount.day) >= names[-1])
    found: dict[str, dict[str, int]] = {name: {} for name in names}
    for row in session.exec(query.order_by(FeedCount.code)):
        if row.day in found:
            found[row.day][row.code] = row.count
    return list(found.items())
