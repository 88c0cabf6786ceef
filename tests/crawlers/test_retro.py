"""The second look for people who enrolled since: what is fetched again, when, once, and by whom."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlmodel import select

from crawlers import lease, retro, sources
from crawlers.again import Count, Forgetful, _of_feed, _source
from crawlers.eyes import Eyes
from crawlers.retro import EVERY, FEED, LOOK_BACK, SETTLE, next_slice, passed, pointers
from crawlers.run import eyes_for
from crawlers.seen import MEDIA, TAKEN, Seen, read_book
from crawlers.sources import NewSource
from crawlers.tables import RetroScan, SeenUrl
from monitor.db import reading, utc_now, writing
from monitor.partners.tables import Feed, FeedItem, Partner
from monitor.settings import Settings
from monitor.subject_keys import ensure_service_keys
from monitor.tables import GalleryEvent, MediaItem, MediaOrigin
from monitor.values import OriginKind, SourceId
from tests.crawlers.pictures import gallery, picture
from tests.crawlers.test_schedule import SCHEDULER, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys
    from tests.crawlers.conftest import Crawls
    from tests.crawlers.web import Site

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def item(engine: Engine, name: str, seq: int | None = 1, state: str = "done") -> str:
    with writing(engine) as session:
        row = MediaItem(id=name, sha256=name, kind="image", size_bytes=1, state=state, gallery_seq=seq)
        session.add(row)
    return name


def seen(engine: Engine, source: sources.Source, path: str, media_id: str, at: datetime = NOW - DAY) -> None:
    book = read_book(engine, SourceId(source.id), by_hand=True)
    book.looked(source.url + path, MEDIA, TAKEN, media_id=media_id, page_url=source.url)
    with writing(engine) as session:
        book.write(session, book.take_batch())
    with writing(engine) as session:
        session.exec(select(SeenUrl).where(SeenUrl.url == source.url + path)).one().looked_at = at


def enrol(engine: Engine, at: datetime) -> int:
    with writing(engine) as session:
        event = GalleryEvent(kind="add", subject_id="somebody", template_id="one", at=at)
        session.add(event)
        session.flush()
        assert event.seq is not None
        return event.seq


def site(engine: Engine, name: str = "a") -> sources.Source:
    return sources.add(engine, NewSource(name, f"https://{name}.example/"), "me")


def asked(engine: Engine, found: retro.Slice | None) -> list[str]:
    assert found is not None
    with reading(engine) as session:
        scan = session.get_one(RetroScan, found.scan_id)
        return [one.media_id for one in pointers(session, scan, found.key)]


def test_what_was_matched_before_the_enrolment_and_lately_is_asked_for_newest_first(engine: Engine) -> None:
    row = site(engine)
    for number, (name, seq, state) in enumerate(
        [("older", 1, "done"), ("newer", 1, "done"), ("after", 99, "done"), ("now", 1, "received")]
    ):
        seen(engine, row, name, item(engine, name, seq, state), NOW - DAY + timedelta(minutes=number))
    seen(engine, row, "ancient", item(engine, "ancient"), NOW - LOOK_BACK - DAY)
    item(engine, "never matched", None)
    assert next_slice(engine, NOW) is None  # nobody enrolled
    for _ in range(5):
        enrol(engine, NOW - SETTLE)
    found = next_slice(engine, NOW)
    assert asked(engine, found) == ["newer", "older"]


def test_one_scan_serves_an_enrolment_and_none_begins_soon_after_another(engine: Engine) -> None:
    row = site(engine)
    seen(engine, row, "x", item(engine, "x", 0))
    enrol(engine, NOW - timedelta(seconds=5))
    assert next_slice(engine, NOW) is None  # more of their pictures may come
    first = next_slice(engine, NOW + SETTLE)
    assert first is not None
    assert passed(engine, first.scan_id, first.key) is not None
    assert next_slice(engine, NOW + SETTLE) is None
    with reading(engine) as session:
        scan = session.exec(select(RetroScan)).one()
        assert (scan.state, scan.ended_at) == ("done", NOW + SETTLE)
    assert next_slice(engine, NOW + 2 * EVERY) is None  # served
    enrol(engine, NOW + timedelta(hours=1))
    assert next_slice(engine, NOW + timedelta(hours=2)) is None
    assert next_slice(engine, NOW + SETTLE + EVERY) is not None


def test_paused_and_empty_sources_are_passed_over_and_feeds_come_last(engine: Engine) -> None:
    rows = sorted((site(engine, name) for name in "abcd"), key=lambda row: row.id)
    for number, row in enumerate(rows[:3]):
        seen(engine, row, "x", item(engine, f"x{number}", 0))
    sources.set_enabled(engine, rows[1].name, "me", enabled=False)
    with writing(engine) as session:
        session.add(Partner(id="p", name="p", contact="c"))
        session.flush()
        for feed_id, how in (("f1", {}), ("f2", {"sandbox": True}), ("f3", {"enabled": False})):
            session.add(Feed(id=feed_id, partner_id="p", name=feed_id, **how))
            session.flush()
            pushed(session, feed_id, "by-url", "https://img.example/1.jpg", "x0")
            pushed(session, feed_id, "by-value", None, "x1")
    enrol(engine, NOW - SETTLE)
    went = []
    while (found := next_slice(engine, NOW)) is not None:
        went.append((found.key, asked(engine, found)))
        passed(engine, found.scan_id, found.key)
    assert went == [(rows[0].id, ["x0"]), (rows[2].id, ["x2"]), (FEED + "f1", ["x0"])]


def pushed(session: Any, feed_id: str, key: str, url: str | None, media_id: str) -> None:
    session.add(
        FeedItem(
            id=f"{feed_id}{key}",
            feed_id=feed_id,
            item_key=key,
            body_sha256="b",
            state="fetched",
            url=url,
            media_id=media_id,
            at=NOW - DAY,
        )
    )


def test_a_hundred_addresses_of_one_picture_are_one_fetch_with_two_more_to_try(engine: Engine) -> None:
    row = site(engine)
    item(engine, "x", 0)
    for number in range(100):
        seen(engine, row, f"{number}.png", "x", NOW - DAY + timedelta(seconds=number))
    enrol(engine, NOW - SETTLE)
    found = next_slice(engine, NOW)
    assert found is not None
    with reading(engine) as session:
        [one] = pointers(session, session.get_one(RetroScan, found.scan_id), found.key)
    assert [place[0] for place in one.places] == [f"{row.url}{number}.png" for number in (99, 98, 97)]


def test_what_a_partner_pointed_to_is_fetched_by_public_https_alone_and_noted_as_pushed(
    sqlite_engine: Engine, keys: KeyEncryptionKeys, tmp_path: Path
) -> None:
    ensure_service_keys(sqlite_engine, keys)
    with writing(sqlite_engine) as session:
        session.add(Partner(id="p", name="p", contact="c"))
        session.flush()
        session.add(Feed(id="f1", partner_id="p", name="f1"))
    with reading(sqlite_engine) as session:
        source = _source(session, FEED + "f1")
    settings = Settings(home=tmp_path, crawl_contact="me@example.org")
    eyes = _of_feed(eyes_for(settings, sqlite_engine, source, "agent", by_hand=True))
    origin = eyes.origin("https://img.example/1.jpg", "https://img.example/", "")
    assert (origin.kind, origin.source_id) == (OriginKind.PUSH, "f1")
    assert (eyes.rules.allow_http, eyes.rules.allow_private, eyes.rules.own) == (False, False, None)
    assert isinstance(eyes, Eyes)
    assert isinstance(eyes.book, Forgetful)
    with writing(sqlite_engine) as session:
        eyes.book.write(session, {"k": Seen("u", MEDIA, TAKEN, utc_now())})
        assert session.exec(select(SeenUrl)).all() == []


def matched(engine: Engine) -> None:
    """Do what a worker does with all that waits: look, forget the bytes, note how far its gallery was."""
    with writing(engine) as session:
        newest = session.exec(select(GalleryEvent.seq).order_by(GalleryEvent.seq.desc())).first() or 0  # type: ignore[union-attr]
        for row in session.exec(select(MediaItem).where(MediaItem.state == "received")):
            row.state, row.gallery_seq, row.blob_id = "done", newest, None


@pytest.fixture
def looked_at(crawls: Crawls, web: Site) -> sources.Source:
    """Give a source of twelve pictures that were looked at yesterday; one of them is gone since."""
    web.page("/", gallery(12), etag='"front"')
    for number in range(12):
        web.page(f"/{number}.png", picture(number), "image/png", etag=f'"{number}"')
    row = crawls.add(cadence_s=30 * 86400, delay_s=0.15)
    crawls.run()
    matched(crawls.engine)
    with writing(crawls.engine) as session:
        for one in session.exec(select(SeenUrl)):
            one.looked_at -= DAY
    enrol(crawls.engine, utc_now() - 2 * SETTLE)
    del web.pages["/7.png"]
    web.asked.clear()
    return row


def slice_of(crawls: Crawls) -> subprocess.Popen[str]:
    found = next_slice(crawls.engine, utc_now())
    assert found is not None
    command = [sys.executable, "-m", "crawlers.again", found.scan_id, found.key]
    return subprocess.Popen(command, env=crawls.environment(), stdout=subprocess.PIPE, text=True)


def test_a_slice_that_is_killed_goes_on_where_it_was_and_asks_for_no_page(
    crawls: Crawls, web: Site, looked_at: sources.Source
) -> None:
    assert lease.take(crawls.engine, f"crawl:{looked_at.id}", "elsewhere:1")
    refused = slice_of(crawls)
    refused.communicate(timeout=60)
    assert refused.returncode == 1  # never beside a crawl of the same source
    lease.release(crawls.engine, f"crawl:{looked_at.id}", "elsewhere:1")
    killed = slice_of(crawls)
    wait_for(lambda: len(web.paths()) >= 5, 60)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate(timeout=60)
    before = web.paths()
    out, _ = slice_of(crawls).communicate(timeout=90)
    report = json.loads(out)
    assert report["asked"] < 12  # what was written down before the kill is left out
    assert report["asked"] == report["fetched"] + report["failed"]
    assert set(web.paths()) == {f"/{number}.png" for number in range(12)}
    assert len(web.paths()) <= 12 + len(before)
    with reading(crawls.engine) as session:
        items = session.exec(select(MediaItem)).all()
        assert sorted(one.state for one in items) == ["done"] + ["received"] * 11
        assert len(session.exec(select(MediaOrigin)).all()) == 12
        gone = session.exec(select(SeenUrl).where(SeenUrl.url == f"{web.url}/7.png")).one()
        assert gone.code == "http_404"
    matched(crawls.engine)
    assert next_slice(crawls.engine, utc_now()) is None
    with reading(crawls.engine) as session:
        scan = session.exec(select(RetroScan)).one()
    assert (scan.state, scan.failed) == ("done", 1)


def test_what_a_slice_came_to_is_counted_with_each_batch_and_an_item_once(engine: Engine) -> None:
    with writing(engine) as session:
        session.add(RetroScan(id="scan", upto_seq=1))
    looked = [("a", TAKEN), ("b", "unchanged"), ("c", "http_404"), ("d", "http_404"), ("d2", TAKEN)]
    batch = {url: Seen(url, MEDIA, code, utc_now()) for url, code in looked}
    count = Count("scan", moved_on={"d"})  # `d2` is where else the item of `d` stood
    with contextlib.suppress(RuntimeError), writing(engine) as session:
        Count("scan")(session, batch)
        raise RuntimeError  # killed before it was written down
    with writing(engine) as session:
        count(session, batch)
    with reading(engine) as session:
        scan = session.get_one(RetroScan, "scan")
    assert (scan.fetched, scan.failed) == (count.fetched, count.failed) == (3, 1)


def test_the_scheduler_looks_again_by_itself_when_somebody_has_enrolled(
    crawls: Crawls, web: Site, looked_at: sources.Source
) -> None:
    with writing(crawls.engine) as session:
        row = session.get_one(sources.Source, looked_at.id)
        row.due_at = utc_now() + DAY  # no crawl is due: all that is asked for is the second look's
    scheduler = subprocess.Popen([sys.executable, "-c", SCHEDULER], env=crawls.environment())
    try:
        wait_for(lambda: _done(crawls.engine), 120)
    finally:
        scheduler.terminate()
        assert scheduler.wait(60) == 0
    assert sorted(web.paths()) == sorted(f"/{number}.png" for number in range(12))
    with reading(crawls.engine) as session:
        assert session.exec(select(RetroScan.fetched, RetroScan.failed)).one() == (11, 1)


def _done(engine: Engine) -> bool:
    with reading(engine) as session:
        scan = session.exec(select(RetroScan)).first()
        return scan is not None and scan.fetched > 0
