"""The second look: what is asked for again, how, and how politely."""

from __future__ import annotations

import signal
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlmodel import select

from crawlers.tables import CrawlRun, SeenUrl
from monitor.db import reading, utc_now, writing
from monitor.tables import GalleryEvent, MediaItem
from tests.crawlers.pictures import gallery, picture

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

    from sqlalchemy import Engine

    from tests.crawlers.conftest import Crawls
    from tests.crawlers.web import Site


def age(engine: Engine, days: float) -> None:
    """Make every look that long ago."""
    with writing(engine) as session:
        for row in session.exec(select(SeenUrl)):
            row.looked_at = utc_now() - timedelta(days=days)


def test_media_are_asked_for_again_after_a_day_and_only_if_they_have_changed(
    crawls: Crawls, web: Site
) -> None:
    web.page("/", gallery(3))
    web.page("/0.png", picture(0), "image/png", etag='"0"')
    web.page("/1.png", picture(1), "image/png", last_modified="Mon, 02 Nov 2026 10:00:00 GMT")
    web.page("/2.png", picture(2), "image/png")
    crawls.add()
    crawls.run()
    age(crawls.engine, 2)
    web.page("/1.png", picture(9), "image/png", last_modified="Tue, 03 Nov 2026 10:00:00 GMT")
    web.asked.clear()
    report = crawls.run("--scheduled")
    assert sorted(web.paths()) == ["/", "/0.png", "/1.png"]  # without a validator it is a week
    assert (report["media_unchanged"], report["media_taken"]) == (1, 1)
    assert len(crawls.items()) == 4


def test_media_seen_before_somebody_enrolled_are_fetched_again_for_them(crawls: Crawls, web: Site) -> None:
    web.page("/", gallery(1), etag='"front"')
    web.page("/0.png", picture(0), "image/png", etag='"0"')
    crawls.add()
    crawls.run()
    with writing(crawls.engine) as session:
        item = session.exec(select(MediaItem)).one()
        item.state, item.gallery_seq, item.blob_id = "done", 0, None
        session.add(GalleryEvent(kind="add", subject_id="somebody", template_id="one"))
    web.asked.clear()
    crawls.run("--scheduled")
    assert web.paths() == ["/"]  # not within the same day, by itself
    crawls.run()
    assert web.paths() == ["/", "/", "/0.png"]
    assert "If-None-Match" not in web.asked[-1].headers
    assert [(one.state, one.blob_id is None) for one in crawls.items()] == [("received", False)]


def test_a_crawl_that_is_killed_is_taken_up_where_it_ended(crawls: Crawls, web: Site) -> None:
    web.page("/", gallery(12), etag='"front"')
    for number in range(12):
        web.page(f"/{number}.png", picture(number), "image/png")
    crawls.add(delay_s=0.25)
    child = crawls.start()
    while sum(path.endswith(".png") for path in web.paths()) < 7:
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=30)
    web.asked.clear()
    report = crawls.run()
    assert report["state"] == "finished"
    assert len(crawls.items()) == 12
    assert len(web.paths()) < 12  # at least the first few are not asked for again
    with reading(crawls.engine) as session:
        assert sorted(run.state for run in session.exec(select(CrawlRun))) == ["finished", "stopped"]


def test_a_crawl_that_is_told_to_end_writes_down_what_it_did(crawls: Crawls, web: Site) -> None:
    web.page("/", gallery(40))
    for number in range(40):
        web.page(f"/{number}.png", picture(number), "image/png")
    crawls.add(delay_s=0.3)
    child = crawls.start()
    while len(web.paths()) < 4:
        time.sleep(0.02)
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=30)
    with reading(crawls.engine) as session:
        run = session.exec(select(CrawlRun)).one()
    assert run.state == "stopped"
    assert 1 <= run.media_taken < 40
    assert run.media_taken == len(crawls.items())


def test_a_host_that_names_a_crawl_delay_is_asked_that_slowly_one_at_a_time(
    crawls: Crawls, web: Site
) -> None:
    web.page("/robots.txt", "User-agent: *\nCrawl-delay: 0.5\n", "text/plain")
    web.page("/", gallery(4))
    for number in range(4):
        web.page(f"/{number}.png", picture(number), "image/png")
    crawls.add()
    crawls.run()
    moments = [one.at for one in web.asked if one.path != "/robots.txt"]
    assert len(moments) == 5
    # None comes before its turn. The gap behind one that this machine was slow to read may look short.
    for turn, at in enumerate(moments):
        assert at - moments[0] > 0.5 * turn - 0.05
    assert max(one.at_once for one in web.asked) == 1


def test_a_host_that_is_too_busy_is_given_the_time_that_it_asks_for(crawls: Crawls, web: Site) -> None:
    def busy(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(429)
        handler.send_header("Retry-After", "2")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    web.page("/", '<img src="/busy.png"><a href="/later.html">later</a>')
    web.answer("/busy.png", busy)
    web.page("/later.html", "<p>nothing</p>")
    crawls.add(delay_s=0.4)  # the first answer is here before the second request leaves
    crawls.run()
    assert web.paths() == ["/", "/busy.png", "/later.html"]
    assert web.asked[-1].at - web.asked[-2].at > 1.9
    assert crawls.seen()["/busy.png"].code == "rate_limited"


def test_pages_and_media_of_one_host_share_its_pace(crawls: Crawls, web: Site) -> None:
    web.page("/", gallery(4) + '<a href="/more.html">more</a>')
    web.page("/more.html", gallery(4, first=4))
    for number in range(8):
        web.page(f"/{number}.png", picture(number), "image/png")
    crawls.add(delay_s=0.2)
    crawls.run()
    moments = [one.at for one in web.asked]
    assert len(moments) == 11
    assert moments[-1] - moments[0] > 10 * 0.2 * 0.6  # each gap varies by half, so that it is no drumbeat
