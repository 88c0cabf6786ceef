"""When a feed is fetched by us, and what the last round gave: all that the scheduler and the pages ask.

After a round that came to an end the next one begins after the feed's own `pull_every_s`. After one that
failed (the place does not answer, lets nobody in, or the feed may give no more today) it is asked again after
FIRST_RETRY_S, twice as long after each further failure, up to LAST_RETRY_S.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlmodel import col, select

from monitor import log
from monitor.db import reading, utc_now, writing
from monitor.errors import LikenessError
from monitor.partners import feeds
from monitor.partners.places import opened
from monitor.partners.pulling import Pulled
from monitor.partners.tables import Feed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys
    from monitor.partners.places import Place

FIRST_RETRY_S: Final = 300
LAST_RETRY_S: Final = 86_400
"""Seconds until a place that could not be read is asked again: as with sources (crawlers/cadence.py)."""

SPREAD: Final = 0.1
"""Part of a wait after a failure by which it is longer, so that what failed together comes apart."""

LATE: Final = 3
"""Times its own wait after which a feed is overdue: nobody fetches it."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the last round gave. `code` and `hint` are of the error that ended it, empty where none did.

    Counts are of files: `seen` in all, `failed` could not be read and are met again.
    """

    seen: int
    known: int
    taken: int
    taken_bytes: int
    failed: int
    refused: Mapping[str, int]
    code: str = ""
    hint: str = ""


def due(engine: Engine, now: datetime) -> list[str]:
    """Name the feeds that are to be fetched now, those that waited longest first."""
    with reading(engine) as session:
        mine = select(Feed).where(col(Feed.pull).is_not(None), col(Feed.enabled).is_(True))
        rows = session.exec(mine.order_by(col(Feed.pulled_at).is_not(None), col(Feed.pulled_at))).all()
    return [row.name for row in rows if row.pulled_at is None or abs(now - row.pulled_at) >= wait_of(row)]


def wait_of(row: Feed) -> timedelta:
    """Give how long after the last round the next one comes. A clock that was set back keeps none waiting."""
    if not row.pull_failures:
        return timedelta(seconds=row.pull_every_s)
    longest = max(LAST_RETRY_S, row.pull_every_s)
    wait_s = min(min(FIRST_RETRY_S, row.pull_every_s) * 2 ** min(row.pull_failures - 1, 16), longest)
    drawn = hashlib.sha256(f"{row.id}.{row.pull_failures}".encode()).digest()[0] / 255
    return timedelta(seconds=wait_s * (1 + SPREAD * drawn))


def is_late(row: Feed, now: datetime) -> bool:
    """Say whether a feed should have been fetched long ago: no scheduler runs, or it has no key."""
    since = row.pulled_at or row.created_at
    return row.enabled and row.pull is not None and now - since > LATE * wait_of(row)


def note(engine: Engine, feed_id: str, done: Pulled, fault: LikenessError | None = None) -> None:
    """Write down how a round ended: the feed's page shows it, and the next round is reckoned from it."""
    counts = {name: value for name, value in asdict(done).items() if name != "is_whole"}
    said = Said(**counts, code=fault.code if fault else "", hint=fault.hint if fault else "")
    with writing(engine) as session:
        row = session.get(Feed, feed_id, with_for_update=True)
        if row is not None:
            row.pulled_at, row.pull_said = utc_now(), json.dumps(asdict(said))
            row.pull_failures = row.pull_failures + 1 if fault else 0
            session.add(row)


def said_of(row: Feed) -> Said | None:
    """Give what the last round gave; None before the first one."""
    return Said(**json.loads(row.pull_said)) if row.pull_said else None


class Places:
    """Opens the places of feeds. Only who has a key-encryption key can make one: the scheduler, and verbs."""

    def __init__(self, engine: Engine, keks: KeyEncryptionKeys) -> None:
        self._engine, self._keks = engine, keks

    def open(self, name: str) -> Place:
        """Give where a feed is fetched from, with how to enter. Raises NotFound, FeedInvalid, KeysError."""
        with reading(self._engine) as session:
            return opened(session, self._keks, feeds.find(session, name))

    def handed_down(self, name: str) -> str | None:
        """Give a place as JSON, for the process that fetches this one feed.

        None where it does not open: that is written down, and the feed waits as after any failure.
        """
        try:
            return json.dumps(asdict(self.open(name)))
        except LikenessError as exc:
            log.get(__name__).warning("the place of a feed does not open", feed=name, error=exc.code)
            with reading(self._engine) as session:
                row = session.exec(select(Feed).where(Feed.name == name)).first()
            if row is not None:
                note(self._engine, row.id, Pulled(), exc)
            return None
