"""`python -m crawlers.again SCAN KEY`: one slice of a second look, in a process of its own (retro.py).

It fetches files and no pages, through the same robots.txt, pace, guard and door as any crawl, and holds the
lease of its source meanwhile. What is gone by now is counted; it is no error. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crawlers import retro
from crawlers.eyes import Eyes
from crawlers.fetch_guard import Rules
from crawlers.journal import Journal
from crawlers.retro import FEED
from crawlers.run import eyes_for, held_lease, walk
from crawlers.seen import LOOKED, MEDIA, SeenBook
from crawlers.settings import user_agent
from crawlers.tables import RetroScan, Source
from monitor import log
from monitor.db import open_engine, reading, utc_now
from monitor.errors import LikenessError, NotFound
from monitor.partners.tables import Feed
from monitor.settings import load_settings
from monitor.values import Origin, OriginKind, SourceId

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine
    from sqlmodel import Session

    from crawlers.seen import Seen
    from monitor.settings import Settings


def main() -> int:
    """Do one slice. Gives the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m crawlers.again", description="Fetch again for new people."
    )
    parser.add_argument("scan", help="id of the scan")
    parser.add_argument("key", help="id of a source, or of a feed")
    asked = parser.parse_args()
    try:
        settings = load_settings()
        log.configure(json=settings.log_json)
        report = again(settings, asked.scan, asked.key)
    except LikenessError as exc:
        sys.stderr.write(f"error[{exc.code}]: {exc.message}\n")
        return 1
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


def again(settings: Settings, scan_id: str, key: str) -> dict[str, Any]:
    """Fetch one slice of a scan again. Once in the life of a process.

    Raises ConfigError, NotFound, KeyMissing, LeaseLost and StorageError as run.crawl does.
    """
    agent = user_agent(settings.crawl_contact)
    engine = open_engine(settings.database)
    try:
        with reading(engine) as session:
            scan, source = _scan(session, scan_id), _source(session, key)
            asked = retro.pointers(session, scan, key)
        with held_lease(engine, f"crawl:{source.id}") as held:
            eyes = eyes_for(settings, engine, source, agent, by_hand=True)
            if key.startswith(FEED):
                eyes = _of_feed(eyes)
            count = Count(scan_id)
            _fetch(engine, eyes, asked, held, count)
        if key.startswith(FEED):  # done in one slice: its rows do not say when something was fetched again
            count.fetched = eyes.tally.media_taken + eyes.tally.media_known
            count.failed = max(0, len(asked) - count.fetched)
            retro.counted(engine, scan_id, count.fetched, count.failed)
            retro.passed(engine, scan_id, key)
        else:
            left = _left(engine, scan, key)
            if left == 0 or (len(asked) < retro.SLICE and left == len(asked)):  # nothing moves any more
                retro.passed(engine, scan_id, key, failed=left)
        return {"source": source.name, "asked": len(asked), "fetched": count.fetched, "failed": count.failed}
    finally:
        engine.dispose()


@dataclass
class Count:
    """What came of a slice, written down with what was looked at, so that a kill loses none and doubles none.

    `moved_on` are places that failed, after which another place of the same item is tried.
    """

    scan_id: str
    fetched: int = 0
    failed: int = 0
    moved_on: set[str] = field(default_factory=set)

    def __call__(self, session: Session, batch: Mapping[str, Seen]) -> None:
        """Count one batch, in its transaction."""
        looked = [seen for seen in batch.values() if seen.part == MEDIA]
        fetched = sum(seen.code in LOOKED for seen in looked)
        failed = sum(seen.code not in LOOKED and seen.url not in self.moved_on for seen in looked)
        retro.count(session, self.scan_id, fetched, failed)
        self.fetched, self.failed = self.fetched + fetched, self.failed + failed


def _fetch(
    engine: Engine, eyes: Eyes, asked: list[retro.Pointer], held: tuple[str, str], count: Count
) -> None:
    from crawlers.spiders.again import AgainSpider  # noqa: PLC0415 - importing Scrapy takes a second

    with Journal(engine, eyes.book, eyes.tally, "", held) as journal:
        if not eyes.source.id.startswith(FEED):
            journal.also = count
        walk(eyes, journal, AgainSpider, asked=asked, moved_on=count.moved_on)
        journal.check()


def _left(engine: Engine, scan: RetroScan, key: str) -> int:
    with reading(engine) as session:
        return len(retro.pointers(session, scan, key))


def _scan(session: Session, scan_id: str) -> RetroScan:
    scan = session.get(RetroScan, scan_id)
    if scan is None:
        msg = "there is no such scan"
        raise NotFound(msg)
    return scan


def _source(session: Session, key: str) -> Source:
    """Give the source of a key; for a feed, one that stands for it and is stored nowhere."""
    if not key.startswith(FEED):
        source = session.get(Source, key)
        if source is not None:
            return source
    else:
        feed = session.get(Feed, key.removeprefix(FEED))
        if feed is not None:
            return Source(id=key, name=feed.name, url="https://feed.invalid/", kind="site")
    msg = "the source was removed in the meantime"
    raise NotFound(msg)


@dataclass(frozen=True)
class FeedEyes(Eyes):
    """Eyes for what a partner once pointed to: what is found there came by the partner's push."""

    def origin(self, url: str, page_url: str, title: str) -> Origin:
        """Say where one file was seen: as it was pushed, so that it is no place more."""
        feed_id = SourceId(self.source.id.removeprefix(FEED))
        return Origin(OriginKind.PUSH, utc_now(), url, page_url, title or None, feed_id)


class Forgetful(SeenBook):
    """A book of which nothing is written: a feed has its own rows."""

    def write(self, session: Session, batch: dict[str, Seen]) -> None:
        """Write nothing."""


def _of_feed(eyes: Eyes) -> Eyes:
    """Fit what a crawl shares to a feed: public addresses by https alone, and nothing is noted."""
    book = Forgetful(SourceId(eyes.source.id), {}, 0, by_hand=True)
    kept = {name: getattr(eyes, name) for name in Eyes.__dataclass_fields__}
    return FeedEyes(**kept | {"rules": Rules(), "book": book})


if __name__ == "__main__":
    sys.exit(main())
