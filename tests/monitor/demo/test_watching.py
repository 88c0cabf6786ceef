"""What the demo reads in the ledger: how far the work is, what became of each address, and times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawlers.tables import CrawlRun, SeenUrl, Source
from monitor.db import utc_now, writing
from monitor.demo import watching
from monitor.tables import MediaItem, StageRun

if TYPE_CHECKING:
    from sqlalchemy import Engine

BASE = "http://127.0.0.1:8"


def add_items(engine: Engine, *, running: bool = False, waiting: bool = False) -> None:
    with writing(engine) as session:
        session.add(Source(id="s", name="site", url=BASE + "/"))
        session.add(MediaItem(id="a", sha256="a", kind="image", size_bytes=1, state="done"))
        failed = MediaItem(id="b", sha256="b", kind="image", size_bytes=1, state="failed")
        failed.failed_code = "unreadable"
        session.add(failed)
        if waiting:
            session.add(MediaItem(id="c", sha256="c", kind="image", size_bytes=1))
        session.flush()
        state = "running" if running else "finished"
        session.add(CrawlRun(id="r", source_id="s", state=state, pages=2, finished_at=utc_now()))
        for path, code, media in (
            ("/a.jpg", "taken", "a"),
            ("/a-too.jpg?x=1", "taken", "a"),
            ("/b.jpg", "taken", "b"),
            ("/c.jpg", "fetch_refused", None),
        ):
            row = SeenUrl(
                source_id="s", url_key=path, url=BASE + path, part="media", code=code, media_id=media
            )
            session.add(row)
        session.add(SeenUrl(source_id="s", url_key="p", url=BASE + "/", part="page", code="taken"))
        for seconds in (0.1, 0.3):
            session.add(StageRun(media_id="a", stage="decode", seconds=seconds, outcome="ok"))


def test_each_media_address_has_an_outcome_copies_too(sqlite_engine: Engine) -> None:
    add_items(sqlite_engine)
    assert watching.outcomes(sqlite_engine, BASE) == {
        "/a.jpg": "done",
        "/a-too.jpg": "done",
        "/b.jpg": "unreadable",
        "/c.jpg": "fetch_refused",
    }


def test_nothing_is_finished_before_a_crawl_has_begun(sqlite_engine: Engine) -> None:
    assert not watching.progress(sqlite_engine).finished


def test_a_running_crawl_is_not_finished(sqlite_engine: Engine) -> None:
    add_items(sqlite_engine, running=True)
    assert not watching.progress(sqlite_engine).finished


def test_an_item_that_waits_is_not_finished(sqlite_engine: Engine) -> None:
    add_items(sqlite_engine, waiting=True)
    now = watching.progress(sqlite_engine)
    assert (now.items, now.looked_at, now.finished) == (3, 2, False)


def test_it_is_finished_when_the_crawl_ended_and_nothing_waits(sqlite_engine: Engine) -> None:
    add_items(sqlite_engine)
    assert watching.progress(sqlite_engine).finished


def test_stage_times_are_summed_over_items(sqlite_engine: Engine) -> None:
    add_items(sqlite_engine)
    (decode,) = watching.stage_times(sqlite_engine)
    assert (decode.stage, decode.items, round(decode.total_s, 3), decode.longest_s) == ("decode", 2, 0.4, 0.3)
    assert watching.crawl_figures(sqlite_engine).pages == 2
