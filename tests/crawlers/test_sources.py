"""Sources and the book of what was seen, on both databases."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlmodel import select

from crawlers import runs, sources
from crawlers.journal import BATCH_S, Journal
from crawlers.lease import take
from crawlers.seen import (
    MAX_ATTEMPTS,
    MEDIA,
    PAGE,
    RECHECK,
    REFETCH,
    RETRYABLE,
    TAKEN,
    UNCHANGED,
    Seen,
    SeenBook,
    key_of,
    read_book,
)  # fmt: skip
from crawlers.sources import NewSource
from crawlers.tables import CrawlRun, SeenUrl, Source
from monitor import audit
from monitor.db import reading, utc_now, writing
from monitor.errors import ConfigError, FetchRefused, NotFound, StorageFull
from monitor.tables import AuditEvent
from monitor.values import SourceId
from tests.assets.disks import full

if TYPE_CHECKING:
    from sqlalchemy import Engine

URL = "https://site.example/a.png"


def test_a_source_is_added_paused_and_removed_on_the_record(engine: Engine) -> None:
    row = sources.add(engine, NewSource("news", "https://site.example/feed"), "operator:me")
    assert (row.delay_s, row.cadence_s, row.enabled) == (sources.POLITE_DELAY_S, 6 * 3600, True)
    sources.set_enabled(engine, "news", "operator:me", enabled=False)
    sources.set_enabled(engine, "news", "operator:me", enabled=True)
    run_id = runs.begin(engine, SourceId(row.id))
    runs.end(engine, run_id, runs.Tally(pages=1), runs.FINISHED)
    book = read_book(engine, SourceId(row.id), by_hand=True)
    book.looked(URL, MEDIA, TAKEN)
    with writing(engine) as session:
        book.write(session, book.take_batch())
    sources.remove(engine, "news", "operator:me")
    with reading(engine) as session:
        assert [session.exec(select(kind)).all() for kind in (Source, SeenUrl, CrawlRun)] == [[], [], []]
        events = [event.action for event in session.exec(select(AuditEvent))]
        assert events == ["source.add", "source.pause", "source.resume", "source.remove"]
        assert audit.verify(session) == 4
        with pytest.raises(NotFound):
            sources.find(session, "news")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"url": "http://site.example/"}, FetchRefused), ({"url": "https://127.0.0.1/"}, FetchRefused),
        ({"url": "https://[::1]/"}, FetchRefused), ({"url": "https://localhost/"}, FetchRefused),
        ({"url": "https://db.internal/"}, FetchRefused), ({"url": "ftp://site.example/"}, FetchRefused),
        ({"name": "Not a name"}, ConfigError), ({"name": ""}, ConfigError), ({"cadence_s": 5}, ConfigError),
        ({"max_pages": 0}, ConfigError), ({"depth": -1}, ConfigError), ({"delay_s": -1.0}, ConfigError),
    ],
)  # fmt: skip
def test_a_source_that_will_not_do_is_refused(
    sqlite_engine: Engine, change: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        sources.add(sqlite_engine, NewSource(**{"name": "a", "url": "https://site.example/", **change}), "me")
    with reading(sqlite_engine) as session:
        assert sources.every(session) == []


def test_a_name_is_taken_once(sqlite_engine: Engine) -> None:
    sources.add(sqlite_engine, NewSource("a", "https://site.example/"), "me")
    with pytest.raises(ConfigError, match="already"):
        sources.add(sqlite_engine, NewSource("a", "https://other.example/"), "me")


def test_a_source_inside_our_network_says_so_loudly(sqlite_engine: Engine) -> None:
    new = NewSource("demo", "http://127.0.0.1:8000/", allow_http=True, allow_private=True)
    said = " ".join(sources.warnings(sources.add(sqlite_engine, new, "me")))
    assert "127.0.0.1:8000" in said
    assert "Plain http" in said


def book_with(
    code: str, ago: timedelta, *, by_hand: bool = False, newest_add: int = 0, **facts: Any
) -> SeenBook:
    seen = Seen(URL, MEDIA, code, utc_now() - ago, **facts)
    return SeenBook(SourceId("s"), {key_of(URL): seen}, newest_add, by_hand=by_hand)


HOUR = timedelta(hours=1)
TAG = {"If-None-Match": '"1"'}


@pytest.mark.parametrize(
    ("book", "asked"),
    [
        (book_with(TAKEN, HOUR), None),
        (book_with(TAKEN, RECHECK + HOUR), None),
        (book_with(TAKEN, REFETCH + HOUR), {}),
        (book_with(TAKEN, HOUR, etag='"1"'), None),
        (book_with(UNCHANGED, RECHECK + HOUR, etag='"1"'), TAG),
        (book_with(TAKEN, HOUR, etag='"1"', gallery_seq=3, newest_add=4), None),
        (book_with(TAKEN, HOUR, etag='"1"', gallery_seq=3, newest_add=4, by_hand=True), {}),
        (book_with(TAKEN, RECHECK + HOUR, etag='"1"', gallery_seq=3, newest_add=4), {}),
        (book_with(TAKEN, HOUR, gallery_seq=None, newest_add=4, by_hand=True), None),
        (book_with("fetch_timeout", HOUR, attempts=1), {}),
        (book_with("fetch_timeout", HOUR, attempts=MAX_ATTEMPTS), None),
        (book_with("fetch_timeout", REFETCH + HOUR, attempts=MAX_ATTEMPTS), {}),
        (book_with("storage_full", HOUR, attempts=99), {}),
        (book_with("robots_unreadable", HOUR, attempts=99), {}),
        (book_with("not_media", HOUR), None),
        (book_with("http_404", REFETCH + HOUR), {}),
    ],
)
def test_when_and_how_a_file_is_asked_for_again(book: SeenBook, asked: dict[str, str] | None) -> None:
    assert book.ask(URL, MEDIA) == asked


def test_what_is_retryable_comes_from_the_errors_themselves() -> None:
    assert {"fetch_timeout", "fetch_failed", "storage_full"} <= RETRYABLE
    assert not {"fetch_refused", "not_media", "fetch_too_large"} & RETRYABLE


def test_the_book_is_written_and_read_back(engine: Engine) -> None:
    row = sources.add(engine, NewSource("a", "https://site.example/"), "me")
    book = read_book(engine, SourceId(row.id), by_hand=False)
    assert book.ask("https://site.example/", PAGE) == {}
    book.looked("https://site.example/", PAGE, TAKEN, shows=b"packed", etag='"1"')
    book.looked(URL, MEDIA, TAKEN, sha256="ab", media_id="m", etag='"1"')
    book.failed(URL, MEDIA, "fetch_failed", "r" * 999)
    book.failed(URL, MEDIA, "fetch_failed", "again")
    for _ in range(2):  # the same batch twice changes nothing
        batch = book.take_batch()
        with writing(engine) as session:
            book.write(session, batch)
        book.give_back(batch)
    again = read_book(engine, SourceId(row.id), by_hand=False)
    assert again.ask("https://site.example/", PAGE) == TAG
    assert again.shows("https://site.example/") == b"packed"
    seen = again.seen(URL)
    assert seen is not None
    assert (seen.code, seen.attempts, seen.media_id, seen.reason) == ("fetch_failed", 2, "m", "again")
    assert again.ask(URL, MEDIA) == TAG  # what it held before can still be compared


def test_a_run_that_was_left_open_is_closed_by_the_next(engine: Engine) -> None:
    row = sources.add(engine, NewSource("a", "https://site.example/"), "me")
    runs.begin(engine, SourceId(row.id))
    second = runs.begin(engine, SourceId(row.id))
    tally = runs.Tally(pages=3)
    tally.dropped["robots"] += 2
    runs.end(engine, second, tally, runs.FINISHED)
    with reading(engine) as session:
        newest = runs.last(session, row.id)
        assert newest is not None
        assert (newest.id, newest.state, newest.pages, newest.dropped) == (
            second,
            "finished",
            3,
            '{"robots": 2}',
        )
        assert sorted(run.state for run in session.exec(select(CrawlRun))) == ["finished", "stopped"]


def test_what_a_full_disk_kept_from_being_written_is_written_later(sqlite_engine: Engine) -> None:
    row = sources.add(sqlite_engine, NewSource("a", "https://site.example/"), "me")
    book = read_book(sqlite_engine, SourceId(row.id), by_hand=False)
    run_id = runs.begin(sqlite_engine, SourceId(row.id))
    assert take(sqlite_engine, "crawl:a", "me:1")
    journal = Journal(sqlite_engine, book, runs.Tally(), run_id, ("crawl:a", "me:1"))
    with journal:
        with full(sqlite_engine):
            book.looked("https://site.example/", PAGE, TAKEN, shows=bytes(300_000))
            with pytest.raises(StorageFull):
                journal.write()
            time.sleep(2 * BATCH_S)
        assert journal._thread.is_alive()  # the crawl goes on, and so does its writer
    again = read_book(sqlite_engine, SourceId(row.id), by_hand=False)
    assert again.seen("https://site.example/") is not None
