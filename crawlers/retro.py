"""The second look at what was seen lately, for people who enrolled since: which addresses, and how far it is.

Nothing is kept of a picture in which nobody was found but its digest and its address. So when somebody
enrols, the addresses of the last weeks are fetched once more and compared with them; no page is crawled for
it. One scan serves everybody who enrolled up to its beginning, and a new one begins EVERY_S after that at the
soonest, so that many enrolments do not load a site again and again.

A scan goes from source to source, then from feed to feed (`after_key`), a slice of addresses at a time, each
slice a process of its own (again.py) between the crawls of that source. An address that was looked at since
the scan began is left out, whoever looked: a scan that was killed goes on where it was, and what a crawl
fetched in the meantime, by the rule RELOOK of seen.py, is not fetched twice. That rule stays for what no scan
reaches: addresses that are older, and those that could not be had while it ran.

Of a feed that we fetch, a slice is of files, not of addresses: they are found again in its bucket or folder
by what was listed of them (pulls.py), and `after_key` says how far in the feed's rows the scan has come.
"""

from __future__ import annotations

import sys
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import func
from sqlmodel import col, select, update

from crawlers.seen import LOOKED, MEDIA
from crawlers.tables import RetroScan, SeenUrl, Source
from monitor.db import reading, writing
from monitor.partners.pulling import Before
from monitor.partners.tables import Feed, FeedItem
from monitor.tables import GalleryEvent, MediaItem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Engine
    from sqlalchemy.sql.elements import ColumnElement
    from sqlmodel import Session

RUNNING, DONE = "running", "done"

LOOK_BACK: Final = timedelta(days=30)
"""Addresses that were last looked at before this are left to the crawls."""

SETTLE: Final = timedelta(seconds=60)
"""Since the last enrolment: the pictures of one person come one by one, and one scan serves all of them."""

EVERY: Final = timedelta(hours=6)
"""From the beginning of one scan to that of the next: so long somebody who enrols waits at most."""

SLICE: Final = 500
"""Addresses of one source in one process; then the source is free for a crawl that is due."""

OTHER_PLACES: Final = 2
"""Other addresses of the same item that are tried where the first one is gone."""

FEED: Final = "~"
"""Begins the key of a feed: after the ids of all sources, which are hexadecimal."""

WITHIN: Final = ":"
"""Between the key of a feed that we fetch and the `seq` of its rows up to which a scan has come."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What one process does of a scan: `key` is the id of a source, or FEED and the id of a feed.

    `is_place`: files of a bucket or folder that only a key-encryption key opens.
    """

    scan_id: str
    key: str
    name: str
    url: str
    is_place: bool = False


@dataclass(frozen=True, slots=True)
class Pointer:
    """One item that is fetched again: its addresses, the newest first, each with its page and title."""

    media_id: str
    places: tuple[tuple[str, str, str], ...]


def next_slice(engine: Engine, now: datetime) -> Slice | None:
    """Give what is to be done next of the scan that runs, or is due; None where there is nothing.

    Opens a scan where one is due, closes one that has come to its end, and goes past what gives nothing.
    """
    with reading(engine) as session:
        scan = _running(session)
        due = None if scan is not None else _due(session, now)
    if scan is None and due is not None:
        scan = RetroScan(id=uuid.uuid4().hex, upto_seq=due, started_at=now)
        with writing(engine) as session:
            session.add(scan)
    while scan is not None:
        with reading(engine) as session:
            found = _first_after(session, scan)
            waits = found is not None and bool(_some(session, scan, found, 1))
        if found is None:
            _close(engine, scan.id, now)
            return None
        if waits:
            return found
        scan = passed(engine, scan.id, found.key)
    return None


def passed(engine: Engine, scan_id: str, key: str, failed: int = 0) -> RetroScan | None:
    """Note that a scan is done with a source or feed, or how far it is (`up_to`); give the scan.

    What it could not fetch on the way is added once, with the step.
    """
    with writing(engine) as session:
        scan = session.get(RetroScan, scan_id, with_for_update=True)
        if scan is not None and _order(scan.after_key) < _order(key):
            scan.after_key = key
            scan.failed += failed
            session.add(scan)
    return scan


def passed_over(engine: Engine, found: Slice) -> int:
    """Go on without a source or feed. Gives how many items were left of it: they count as failed."""
    with reading(engine) as session:
        scan = session.get(RetroScan, found.scan_id)
        left = 0 if scan is None else len(_some(session, scan, found, sys.maxsize))
    passed(engine, found.scan_id, found.key, failed=left)
    return left


def up_to(key: str, done: Sequence[Before]) -> str:
    """Give how far a scan is after some files of a feed that we fetch."""
    return f"{key}{WITHIN}{done[-1].seq}" if done else key


def counted(engine: Engine, scan_id: str, fetched: int, failed: int) -> None:
    """Add to what a scan fetched, and to what was gone or could not be had."""
    with writing(engine) as session:
        count(session, scan_id, fetched, failed)


def count(session: Session, scan_id: str, fetched: int, failed: int) -> None:
    """Do as `counted`, in the caller's transaction."""
    more = {"fetched": col(RetroScan.fetched) + fetched, "failed": col(RetroScan.failed) + failed}
    session.exec(update(RetroScan).where(col(RetroScan.id) == scan_id).values(**more))


def pointers(session: Session, scan: RetroScan, key: str, most: int = SLICE) -> list[Pointer]:
    """Give the items of a source or feed that were matched before the enrolments that a scan serves.

    Each item once, by its newest addresses; those that were looked at since the scan began are left out.
    """
    rows = _of_feed(session, scan, key) if key.startswith(FEED) else _of_source(session, scan, key)
    found: dict[str, list[tuple[str, str, str]]] = {}
    for media_id, url, page_url, title in rows:
        if media_id not in found and len(found) == most:
            continue
        places = found.setdefault(media_id, [])
        if len(places) <= OTHER_PLACES:
            places.append((url, page_url or url, title or ""))
    return [Pointer(media_id, tuple(places)) for media_id, places in found.items()]


def files(session: Session, scan: RetroScan, key: str, most: int = SLICE) -> list[Before]:
    """Give the files of a feed that we fetch, as `pointers`: in the order in which they came."""
    at, seq = col(FeedItem.at), col(FeedItem.seq)
    query = (
        select(FeedItem.seq, FeedItem.body_sha256, MediaItem.sha256, FeedItem.title)
        .join(FeedItem, col(FeedItem.media_id) == col(MediaItem.id))
        .where(FeedItem.feed_id == key.removeprefix(FEED), FeedItem.state == "taken")
        .where(col(FeedItem.url).is_(None), seq > _within(scan, key))
        .where(at < scan.started_at, at >= scan.started_at - LOOK_BACK, _matched_before(scan))
    )
    rows = session.exec(query.order_by(seq).limit(most)).all()
    return [Before(number or 0, body, digest, title) for number, body, digest, title in rows]


def _some(session: Session, scan: RetroScan, found: Slice, most: int) -> set[str]:
    """Give up to so many of the items that are left of a source or feed, by id or digest."""
    if found.is_place:
        return {one.sha256 for one in files(session, scan, found.key, most)}
    return {one.media_id for one in pointers(session, scan, found.key, most)}


def _within(scan: RetroScan, key: str) -> int:
    """Give up to which row of a feed a scan has come; 0 at its beginning."""
    head, _, seq = scan.after_key.partition(WITHIN)
    return int(seq) if seq and head == key else 0


def _order(key: str) -> tuple[str, bool, int]:
    """Put keys in order: all steps within a feed come before its end."""
    head, _, seq = key.partition(WITHIN)
    return head, not seq, int(seq or 0)


def _of_source(
    session: Session, scan: RetroScan, source_id: str
) -> Sequence[tuple[str, str, str | None, str | None]]:
    looked_at = col(SeenUrl.looked_at)
    query = (
        select(MediaItem.id, SeenUrl.url, SeenUrl.page_url, SeenUrl.title)
        .join(SeenUrl, col(SeenUrl.media_id) == col(MediaItem.id))
        .where(SeenUrl.source_id == source_id, SeenUrl.part == MEDIA, col(SeenUrl.code).in_(LOOKED))
        .where(looked_at < scan.started_at, looked_at >= scan.started_at - LOOK_BACK, _matched_before(scan))
    )
    return session.exec(query.order_by(looked_at.desc(), col(SeenUrl.url_key))).all()


def _of_feed(
    session: Session, scan: RetroScan, key: str
) -> Sequence[tuple[str, str, str | None, str | None]]:
    at = col(FeedItem.at)
    query = (
        select(MediaItem.id, FeedItem.url, FeedItem.page_url, FeedItem.title)
        .join(FeedItem, col(FeedItem.media_id) == col(MediaItem.id))
        .where(FeedItem.feed_id == key.removeprefix(FEED), col(FeedItem.url).is_not(None))
        .where(col(FeedItem.state).in_(("taken", "fetched")))
        .where(at < scan.started_at, at >= scan.started_at - LOOK_BACK, _matched_before(scan))
    )
    return session.exec(query.order_by(at.desc(), col(FeedItem.id))).all()  # type: ignore[return-value]  # url is not None


def _matched_before(scan: RetroScan) -> ColumnElement[bool]:
    """Say of an item that it was matched, and before the newest enrolment that a scan serves."""
    return (col(MediaItem.state) == "done") & (col(MediaItem.gallery_seq) < scan.upto_seq)


def _running(session: Session) -> RetroScan | None:
    oldest = select(RetroScan).where(RetroScan.state == RUNNING).order_by(col(RetroScan.started_at))
    return session.exec(oldest.limit(1)).first()


def _due(session: Session, now: datetime) -> int | None:
    """Give the newest enrolment where no scan has served it and one may begin; None otherwise."""
    adds = select(GalleryEvent).where(GalleryEvent.kind == "add").order_by(col(GalleryEvent.seq).desc())
    newest = session.exec(adds.limit(1)).first()
    served, began = session.exec(select(func.max(RetroScan.upto_seq), func.max(RetroScan.started_at))).one()
    if newest is None or newest.seq is None or newest.seq <= (served or 0):
        return None
    is_quiet = abs(now - newest.at) >= SETTLE  # a clock that was set back keeps nobody waiting
    is_time = began is None or abs(now - began) >= EVERY
    return newest.seq if is_quiet and is_time else None


def _first_after(session: Session, scan: RetroScan) -> Slice | None:
    after, within, _ = scan.after_key.partition(WITHIN)
    if not after.startswith(FEED):
        watched = select(Source).where(col(Source.enabled).is_(True), Source.id > after)
        source = session.exec(watched.order_by(Source.id).limit(1)).first()
        if source is not None:
            return Slice(scan.id, source.id, source.name, source.url)
        after = ""
    last = after.removeprefix(FEED)
    taken = select(Feed).where(col(Feed.enabled).is_(True), col(Feed.sandbox).is_(False))
    rest = taken.where(Feed.id >= last if within else Feed.id > last)
    feed = session.exec(rest.order_by(Feed.id).limit(1)).first()
    if feed is None:
        return None
    return Slice(scan.id, FEED + feed.id, feed.name, f"feed:{feed.id}", feed.pull is not None)


def _close(engine: Engine, scan_id: str, now: datetime) -> None:
    with writing(engine) as session:
        values = {"state": DONE, "ended_at": now}
        session.exec(update(RetroScan).where(col(RetroScan.id) == scan_id).values(**values))
