"""`python -m crawlers --feeds`: items that partners pushed by their address are fetched, a slice at a time.

A slice is up to SLICE items of one feed. Files only, through the same robots.txt, pace, guard and door as any
crawl, and only from the hosts that the feed may name, also after a redirect. What becomes of an item is
written to its own row, in batches, with the heartbeat of the lease: a process that is killed leaves the items
due, and the next one asks for them again. Nothing is doubled, since the door knows content by its digest.

An item that fails in a way that may pass is asked for again, each time twice as long after; one that is
refused for good, or failed MOST_TRIES times, keeps a stable code.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlmodel import col, or_, select

from crawlers import lease
from crawlers.again import FeedEyes
from crawlers.eyes import Eyes
from crawlers.journal import Journal
from crawlers.retro import FEED
from crawlers.run import GRACEFUL, eyes_for, held_lease, walk
from crawlers.seen import MEDIA, NOT_ITS_FAULT, RETRYABLE, ROBOTS_SAID_NO, TAKEN, UNCHANGED, SeenBook
from crawlers.settings import user_agent
from crawlers.tables import Source
from monitor.db import open_engine, reading, utc_now
from monitor.errors import BlobMissing, FetchFailed, StorageError, StorageFull
from monitor.partners import counting
from monitor.partners.entering import FETCH_DUE
from monitor.partners.tables import Feed, FeedItem
from monitor.values import SourceId

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Engine
    from sqlalchemy.sql.elements import ColumnElement
    from sqlmodel import Session

    from crawlers.seen import Seen
    from monitor.settings import Settings

FETCHED: Final = "fetched"
REFUSED: Final = "refused"
"""States of a FeedItem that are written here; the others are in monitor/partners/entering.py."""

SLICE: Final = 500
"""Items of one feed in one process; then another feed may have its turn."""

FIRST_WAIT: Final = timedelta(minutes=1)
LONGEST_WAIT: Final = timedelta(hours=6)
"""Until an item that failed is asked for again: doubled each time, up to the longest."""

MOST_TRIES: Final = 10
"""Times that an item is asked for; the last one comes about nine hours after the first."""

JITTER: Final = 0.25
"""Share of a wait that is added by chance, so that what failed together does not come together again."""

OURS: Final = frozenset({StorageFull.code, StorageError.code})
"""Faults of ours: no item is given up for them, however often they come."""

PASSES: Final = RETRYABLE | (NOT_ITS_FAULT - {ROBOTS_SAID_NO}) | {BlobMissing.code}
"""Codes after which an item is asked for again."""

NOWHERE: Final = "https://feed.invalid/"
"""The address of the source that stands for a feed: RFC 2606 keeps it for nobody."""


def due(engine: Engine) -> bool:
    """Say whether an item waits to be fetched now, of a feed that is neither paused nor a sandbox."""
    with reading(engine) as session:
        waiting = select(FeedItem.seq).join(Feed, col(Feed.id) == FeedItem.feed_id)
        return session.exec(waiting.where(*_is_due(utc_now())).limit(1)).first() is not None


def fetch(settings: Settings, local: str = "") -> dict[str, Any]:
    """Fetch one slice of the items that are due. Once in the life of a process.

    Which feed has its turn is drawn by chance, so that none waits behind a large one. `local` is for trying
    it out: an address on this machine whose host and port may be fetched from; otherwise none is.

    Raises:
        ConfigError: nobody is named as the operator of the crawler.
        KeyMissing: the service has no intake key yet.
        LeaseLost: another process took the feed over.
        StorageError: what happened could not be written.
    """
    agent = user_agent(settings.crawl_contact)
    engine = open_engine(settings.database)
    try:
        feed = _drawn(engine)
        if feed is None:
            return {"feed": None, "asked": 0}
        with held_lease(engine, _lease_of(feed)) as held:
            with reading(engine) as session:
                book = FeedBook(feed, waiting(session, feed.id, utc_now()))
            eyes = _eyes(eyes_for(settings, engine, _source(feed, local), agent, by_hand=True), book)
            _walk(engine, eyes, book, held)
        return {"feed": feed.name, "asked": book.asked, **book.came}
    finally:
        engine.dispose()


def waiting(session: Session, feed_id: str, now: datetime) -> Sequence[FeedItem]:
    """Give the items of a feed that are due, those that have waited longest first."""
    query = select(FeedItem).join(Feed, col(Feed.id) == FeedItem.feed_id)
    mine = query.where(FeedItem.feed_id == feed_id, *_is_due(now))
    return session.exec(mine.order_by(col(FeedItem.next_try_at), col(FeedItem.seq)).limit(SLICE)).all()


def next_try(attempts: int, now: datetime) -> datetime:
    """Say when an item is asked for again that has failed that many times."""
    wait: timedelta = min(FIRST_WAIT * 2 ** min(attempts - 1, 16), LONGEST_WAIT)
    return now + wait * (1 + JITTER * secrets.randbelow(1000) / 1000)


class FeedBook(SeenBook):
    """What became of the items of one slice. Two items may have one address: it is asked for once."""

    def __init__(self, feed: Feed, items: Iterable[FeedItem]) -> None:
        """Begin with nothing looked at."""
        super().__init__(SourceId(FEED + feed.id), {}, 0, by_hand=True)
        self.hosts = tuple(feed.hosts.split(",")) if feed.hosts else ()
        self.came = {FETCHED: 0, REFUSED: 0, "later": 0}
        self.places: dict[str, tuple[str, str, str]] = {}
        self._feed_id, self._ids = feed.id, defaultdict[str, list[str]](list)
        for item in items:
            if item.url is not None:
                self.places.setdefault(item.url, (item.url, item.page_url or item.url, item.title or ""))
                self._ids[item.url].append(item.id)

    @property
    def asked(self) -> int:
        """Count the items of the slice."""
        return sum(map(len, self._ids.values()))

    def write(self, session: Session, batch: dict[str, Seen]) -> None:
        """Write what became of items, each once, unless the partner withdrew it in the meantime."""
        now = utc_now()
        counts: dict[counting.Place, int] = defaultdict(int)
        for seen in batch.values():
            query = select(FeedItem).where(col(FeedItem.id).in_(self._ids.get(seen.url, ())))
            for item in session.exec(query.where(FeedItem.state == FETCH_DUE).with_for_update()):
                settle(item, seen, now)
                self.came["later" if item.state == FETCH_DUE else item.state] += 1
                if item.state == REFUSED and item.code is not None:
                    counts[self._feed_id, counting.day_of(now), item.code] += 1
                session.add(item)
        if counts:
            counting.write(session, counts)

    def end(self) -> None:
        """Note of every item that nothing came of that it failed: none may stay due for ever."""
        for url in self.places:
            if self.seen(url) is None:
                self.failed(url, MEDIA, FetchFailed.code, "it was asked for, and nothing came of it")


def settle(item: FeedItem, seen: Seen, now: datetime) -> None:
    """Write to an item's row what came of asking for it."""
    item.attempts += 1
    item.next_try_at = None
    if seen.code == TAKEN:
        item.state, item.code, item.media_id, item.sha256 = FETCHED, None, seen.media_id, seen.sha256
        return
    item.code = "http_304" if seen.code == UNCHANGED else seen.code
    if item.code in OURS or (item.code in PASSES and item.attempts < MOST_TRIES):
        item.next_try_at = next_try(item.attempts, now)
    else:
        item.state = REFUSED


def _is_due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Say of an item, and of its feed, that it is to be fetched now.

    One that is due beyond all rules was written by a clock that was wrong, and waits for nobody.
    """
    at = col(FeedItem.next_try_at)
    is_time = or_(at.is_(None), at <= now, at > now + LONGEST_WAIT * (1 + JITTER))
    is_open = col(Feed.enabled).is_(True) & col(Feed.sandbox).is_(False)
    return (col(FeedItem.state) == FETCH_DUE, is_time, is_open)


def _drawn(engine: Engine) -> Feed | None:
    """Draw one of the feeds of which something is due and that nobody fetches for now; hold its lease."""
    who = lease.owner()
    with reading(engine) as session:
        ids = select(FeedItem.feed_id).join(Feed, col(Feed.id) == FeedItem.feed_id).where(*_is_due(utc_now()))
        feeds = list(session.exec(select(Feed).where(col(Feed.id).in_(ids))))
    secrets.SystemRandom().shuffle(feeds)
    return next((feed for feed in feeds if lease.take(engine, _lease_of(feed), who)), None)


def _lease_of(feed: Feed) -> str:
    return f"feed:{feed.id}"


def _source(feed: Feed, local: str) -> Source:
    """Give the source that stands for a feed; it is stored nowhere."""
    is_local = bool(local)
    return Source(
        id=FEED + feed.id,
        name=feed.name,
        url=local or NOWHERE,
        kind="site",
        allow_http=is_local,
        allow_private=is_local,
    )


def _eyes(eyes: Eyes, book: FeedBook) -> Eyes:
    """Fit what a crawl shares to a feed: what is found came by the partner's push."""
    kept = {name: getattr(eyes, name) for name in Eyes.__dataclass_fields__}
    return FeedEyes(**kept | {"book": book})


def _walk(engine: Engine, eyes: Eyes, book: FeedBook, held: tuple[str, str]) -> None:
    from crawlers.spiders.feeds import FeedSpider  # noqa: PLC0415 - importing Scrapy takes a second

    with Journal(engine, book, eyes.tally, "", held) as journal:
        reason = walk(eyes, journal, FeedSpider)
        journal.check()
        if reason == GRACEFUL:
            book.end()
