"""Items that partners pushed by their address: what is fetched, from where, how often, with what end."""

from __future__ import annotations

import json
import signal
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlmodel import col, select

from crawlers import feeds, lease
from crawlers.feeds import MOST_TRIES, settle
from crawlers.seen import MEDIA, TAKEN, Seen
from monitor.db import reading, utc_now, writing
from monitor.partners.tables import Feed, FeedCount, FeedItem, Partner
from tests.crawlers.pictures import picture

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.crawlers.conftest import Crawls
    from tests.crawlers.web import Site
    from tests.crawlers.zygote import Crawl

MINUTE = timedelta(minutes=1)


def feed(engine: Engine, feed_id: str = "f", **how: Any) -> None:
    with writing(engine) as session:
        if session.get(Partner, "p") is None:
            session.add(Partner(id="p", name="p", contact="c"))
            session.flush()
        session.add(Feed(id=feed_id, partner_id="p", name=feed_id, **how))


def pushed(engine: Engine, key: str, url: str, feed_id: str = "f", **how: Any) -> None:
    told = {"state": "fetch_due", "next_try_at": utc_now() - MINUTE, **how}
    with writing(engine) as session:
        session.add(
            FeedItem(id=feed_id + key, feed_id=feed_id, item_key=key, body_sha256="b", url=url, **told)
        )


def rows(engine: Engine) -> dict[str, FeedItem]:
    with reading(engine) as session:
        return {row.item_key: row for row in session.exec(select(FeedItem).order_by(col(FeedItem.seq)))}


def start(crawls: Crawls, local: str | None = None, **environment: str) -> Crawl:
    local = crawls.web.url if local is None else local
    asked = ["--feeds", *(["--local", local] if local else [])]
    return crawls.zygote.start(asked, crawls.environment(**environment), crawls.home)


def run(crawls: Crawls, local: str | None = None) -> dict[str, Any]:
    out, err = start(crawls, local).communicate(timeout=60)
    assert out, err
    report: dict[str, Any] = json.loads(out)
    return report


def test_each_item_has_its_own_end_and_a_bad_one_stops_none(crawls: Crawls, web: Site) -> None:
    feed(crawls.engine, hosts="img.example.org")
    web.page("/robots.txt", "User-agent: *\nDisallow: /secret\n", "text/plain")
    web.page("/good.png", picture(1), "image/png")
    web.page("/big.png", picture(2) + bytes(1_100_000), "image/png")
    web.page("/page.png", "<html>no picture</html>")
    web.status("/later.png", 500)
    web.redirect("/off.png", "https://elsewhere.example/1.png")
    web.page("/secret.png", picture(3), "image/png")
    for name in ("gone", "big", "page", "later", "off", "secret", "good"):
        pushed(crawls.engine, name, f"{web.url}/{name}.png", page_url="https://agency.example/1", title="One")
    pushed(crawls.engine, "again", f"{web.url}/good.png")  # the same address under another key
    pushed(crawls.engine, "inside", "http://169.254.169.254/latest/meta-data")
    pushed(crawls.engine, "not-yet", f"{web.url}/good.png", next_try_at=utc_now() + MINUTE)
    pushed(crawls.engine, "withdrawn", f"{web.url}/good.png", state="withdrawn")
    assert feeds.due(crawls.engine)
    report = run(crawls)
    assert report == {"feed": "f", "asked": 9, "fetched": 2, "refused": 6, "later": 1}
    found = rows(crawls.engine)
    assert {key: (row.state, row.code) for key, row in found.items()} == {
        "gone": ("refused", "http_404"),
        "big": ("refused", "fetch_too_large"),
        "page": ("refused", "fetch_wrong_type"),
        "later": ("fetch_due", "fetch_failed"),
        "off": ("refused", "address_refused"),
        "secret": ("refused", "robots"),
        "good": ("fetched", None),
        "again": ("fetched", None),
        "inside": ("refused", "address_refused"),
        "not-yet": ("fetch_due", None),
        "withdrawn": ("withdrawn", None),
    }
    assert web.paths().count("/good.png") == 1
    assert "/secret.png" not in web.paths()
    item = crawls.items()[0]
    assert len(crawls.items()) == 1
    assert {found["good"].media_id, found["again"].media_id} == {item.id}
    assert found["good"].sha256 == item.sha256
    origin = crawls.origins()[0]
    assert (origin.kind, origin.source_id, origin.url) == ("push", "f", f"{web.url}/good.png")
    assert (origin.page_url, origin.title) == ("https://agency.example/1", "One")
    later = found["later"]
    assert later.attempts == 1
    assert later.next_try_at is not None
    assert later.next_try_at > utc_now() + MINUTE / 2
    assert not feeds.due(crawls.engine)
    with reading(crawls.engine) as session:
        counted = {row.code: row.count for row in session.exec(select(FeedCount))}
    assert counted == {
        "http_404": 1,
        "fetch_too_large": 1,
        "fetch_wrong_type": 1,
        "address_refused": 2,
        "robots": 1,
    }


def test_an_address_of_this_machine_is_refused_unless_it_is_named_for_trying(
    crawls: Crawls, web: Site
) -> None:
    feed(crawls.engine, hosts="img.example.org")
    pushed(crawls.engine, "one", f"{web.url}/1.png")
    pushed(crawls.engine, "two", "https://localhost/1.png")
    assert run(crawls, local="")["refused"] == 2
    assert {row.code for row in rows(crawls.engine).values()} == {"address_refused"}
    assert web.asked == []


def test_one_that_was_killed_leaves_its_items_due_and_the_next_doubles_none(
    crawls: Crawls, web: Site
) -> None:
    feed(crawls.engine)
    for number in range(8):
        web.page(f"/{number}.png", picture(number), "image/png")
        pushed(crawls.engine, str(number), f"{web.url}/{number}.png")
    child = start(crawls)
    while len(web.paths()) < 3:
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=30)
    assert feeds.due(crawls.engine)
    report = run(crawls)
    assert report["asked"] == report["fetched"] > 0
    assert {row.state for row in rows(crawls.engine).values()} == {"fetched"}
    assert len(crawls.items()) == len(crawls.origins()) == 8


def test_paused_feeds_and_sandboxes_wait_and_one_that_is_fetched_for_is_left_to_it(engine: Engine) -> None:
    feed(engine, "paused", enabled=False)
    feed(engine, "sandbox", sandbox=True)
    for feed_id in ("paused", "sandbox"):
        pushed(engine, "one", "https://img.example.org/1.png", feed_id)
    assert not feeds.due(engine)
    feed(engine, "open")
    pushed(engine, "one", "https://img.example.org/1.png", "open", next_try_at=utc_now() + MINUTE)
    assert not feeds.due(engine)
    pushed(engine, "two", "https://img.example.org/2.png", "open", next_try_at=utc_now() + 10**6 * MINUTE)
    assert feeds.due(engine)  # written by a clock that was wrong
    assert lease.take(engine, "feed:open", "elsewhere:1")
    assert feeds._drawn(engine) is None
    lease.release(engine, "feed:open", "elsewhere:1")
    drawn = feeds._drawn(engine)
    assert drawn is not None
    assert drawn.id == "open"


def test_what_became_of_items_is_written_down_and_a_withdrawn_one_stays_so(engine: Engine) -> None:
    feed(engine)
    for key in ("a", "b", "same"):
        pushed(engine, key, f"https://img.example.org/{key.replace('same', 'a')}.png")
    with reading(engine) as session:
        found = feeds.waiting(session, "f", utc_now())
        book = feeds.FeedBook(session.get_one(Feed, "f"), found)
    assert (book.asked, len(book.places)) == (3, 2)
    with writing(engine) as session:
        session.exec(select(FeedItem).where(FeedItem.item_key == "same")).one().state = "withdrawn"
    book.looked("https://img.example.org/a.png", MEDIA, TAKEN, media_id="m", sha256="s")
    book.end()  # nothing came of b
    with writing(engine) as session:
        book.write(session, book.take_batch())
    states = {key: (row.state, row.code, row.attempts) for key, row in rows(engine).items()}
    assert book.came == {"fetched": 1, "refused": 0, "later": 1}
    assert states == {
        "a": ("fetched", None, 1),
        "b": ("fetch_due", "fetch_failed", 1),
        "same": ("withdrawn", None, 0),
    }


def failed(item: FeedItem, code: str) -> None:
    settle(item, Seen("https://img.example.org/1.png", MEDIA, code, utc_now()), utc_now())


def test_what_fails_is_asked_for_less_and_less_often_and_then_given_up() -> None:
    item = FeedItem(id="i", feed_id="f", item_key="k", body_sha256="b", state="fetch_due")
    waits = []
    for _ in range(MOST_TRIES - 1):
        failed(item, "fetch_timeout")
        assert item.next_try_at is not None
        waits.append((item.next_try_at - utc_now()) / MINUTE)
    assert all(2**n * 0.9 <= wait <= 2**n * 1.25 for n, wait in enumerate(waits))
    assert item.state == "fetch_due"
    failed(item, "fetch_timeout")
    assert (item.state, item.code, item.next_try_at) == ("refused", "fetch_timeout", None)


@pytest.mark.parametrize("code", ["storage_full", "storage"])
def test_no_item_is_given_up_for_a_fault_of_ours(code: str) -> None:
    item = FeedItem(id="i", feed_id="f", item_key="k", body_sha256="b", state="fetch_due", attempts=99)
    failed(item, code)
    assert item.state == "fetch_due"
    failed(item, TAKEN)
    assert (item.state, item.code, item.next_try_at) == ("fetched", None, None)
