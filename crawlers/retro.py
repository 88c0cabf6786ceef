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
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import func
from sqlmodel import col, select, update

from crawlers.seen import LOOKED, MEDIA
from crawlers.tables import RetroScan, SeenUrl, Source
from monitor.db import reading, writing
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


@dataclass(frozen=True, slots=True)
class Slice:
    """What one process does of a scan: `key` is the id of a source, or FEED and the id of a feed."""

    scan_id: str
    key: str
    name: str
    url: str


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
            waits = found is not None and bool(pointers(session, scan, found.key, 1))
        if found is None:
            _close(engine, scan.id, now)
            return None
        if waits:
            return found
        scan = passed(engine, scan.id, found.key)
    return None


def passed(engine: Engine, scan_id: str, key: str) -> RetroScan | None:
    """Note that a scan is done with a source or feed; give the scan."""
    with writing(engine) as session:
        scan = session.get(RetroScan, scan_id, with_for_update=True)
        if scan is not None and scan.after_key < key:
            scan.after_key = key
            session.add(scan)
    return scan


def counted(engine: Engine, scan_id: str, fetched: int, failed: int) -> None:
    """Add to what a scan fetched, and to what was gone or could not be had."""
    more = {"fetched": col(RetroScan.fetched) + fetched, "failed": col(RetroScan.failed) + failed}
    with writing(engine) as session:
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
    watched = select(Source).where(col(Source.enabled).is_(True), Source.id > scan.after_key)
    source = session.exec(watched.order_by(Source.id).limit(1)).first()
    if source is not None:
        return Slice(scan.id, source.id, source.name, source.url)
    taken = select(Feed).where(col(Feed.enabled).is_(True), col(Feed.sandbox).is_(False))
    after = scan.after_key.removeprefix(FEED) if scan.after_key.startswith(FEED) else ""
    feed = session.exec(taken.where(Feed.id > after).order_by(Feed.id).limit(1)).first()
    return None if feed is None else Slice(scan.id, FEED + feed.id, feed.name, f"feed:{feed.id}")


def _close(engine: Engine, scan_id: str, now: datetime) -> None:
    with writing(engine) as session:
        values = {"state": DONE, "ended_at": now}
        session.exec(update(RetroScan).where(col(RetroScan.id) == scan_id).values(**values))
