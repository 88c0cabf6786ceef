"""A web archive is read as a stream, goes on where it ended, and skips what is broken."""

from __future__ import annotations

import gzip
import json
import random
import signal
import time
from typing import TYPE_CHECKING

import pytest
from sqlmodel import col, select

from crawlers.archives import Archive, dechunked
from crawlers.platforms.warc import Warc
from crawlers.tables import SourceCursor
from monitor.db import reading
from monitor.errors import ArchiveBomb, ArchiveTruncated, ConfigError
from monitor.tables import AuditEvent
from tests.crawlers.pictures import picture
from tests.crawlers.warcs import Written, ranged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.crawlers.conftest import Crawls
    from tests.crawlers.web import Site


def pieces(data: bytes, length: int = 1000) -> Iterator[bytes]:
    return (data[at : at + length] for at in range(0, len(data), length))


def noisy(count: int, *, packed: bool = True) -> Written:
    made = Written(packed=packed)
    for number in range(count):
        body = random.Random(number).randbytes(30_000)  # noqa: S311 - bytes that do not pack
        made.add(f"http://e.example/{number}", body, chunked=number % 2 == 1)
    return made


def read(archive: Archive) -> list[tuple[str, int]]:
    found = []
    while record := archive.next():
        found.append((record.uri, sum(map(len, record.pieces))))
    return found


@pytest.mark.parametrize("packed", [True, False])
def test_every_record_is_read_and_any_later_reader_goes_on_at_its_place(*, packed: bool) -> None:
    made = noisy(4, packed=packed)
    archive = Archive(pieces(made.data))
    assert read(archive) == [(f"http://e.example/{number}", 30_000) for number in range(4)]
    assert (archive.at, archive.broken) == (len(made.data), 0)
    later = Archive(pieces(made.data[made.places[2] :]), made.places[2])
    assert [uri for uri, _ in read(later)] == ["http://e.example/2", "http://e.example/3"]
    assert later.at == len(made.data)


@pytest.mark.parametrize("packed", [True, False])
def test_a_broken_record_is_counted_and_the_next_ones_are_read(*, packed: bool) -> None:
    made = noisy(4, packed=packed)
    data = bytearray(made.data)
    at = made.places[1] + (2000 if packed else 0)
    data[at : at + 40] = bytes(40)
    archive, found = Archive(pieces(bytes(data))), []
    while record := archive.next():
        found.append(record.uri)
    assert found[0] == "http://e.example/0"
    assert found[-2:] == ["http://e.example/2", "http://e.example/3"]
    assert archive.broken == 1


@pytest.mark.parametrize("packed", [True, False])
def test_a_file_that_was_cut_off_says_so_and_stands_before_the_cut(*, packed: bool) -> None:
    made = noisy(4, packed=packed)
    archive = Archive(pieces(made.data[: made.places[3] + 500]))
    with pytest.raises(ArchiveTruncated):
        read(archive)
    assert archive.at == made.places[3]


def test_an_archive_that_is_one_gzip_stream_is_read_too() -> None:
    assert len(read(Archive(pieces(gzip.compress(noisy(4, packed=False).data))))) == 4


def test_a_record_that_unpacks_without_end_is_not_unpacked() -> None:
    head = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 900000000\r\nWARC-Target-URI: http://a.example/\r\n\r\n"
    with pytest.raises(ArchiveBomb):
        read(Archive(pieces(gzip.compress(head + bytes(80 * 2**20)), 16384)))


def test_headers_without_end_are_no_headers() -> None:
    archive = Archive(
        pieces(b"WARC/1.0\r\nX: " + b"a" * 2**20 + b"\r\n\r\n" + noisy(1, packed=False).data, 65536)
    )
    assert len(read(archive)) == 1
    assert archive.broken == 1


@pytest.mark.parametrize("body", [b"ffffffff\r\nabc", b"3\r\nabc\r\nzz\r\n"])
def test_a_chunk_is_never_held_for_its_length(body: bytes) -> None:
    from monitor.errors import ArchiveBroken  # noqa: PLC0415

    with pytest.raises(ArchiveBroken):
        list(dechunked(iter([body])))
    assert b"".join(dechunked(iter([b"\x89PNG", b"more"]))) == b"\x89PNGmore"


def cursor(crawls: Crawls) -> int:
    with reading(crawls.engine) as session:
        row = session.exec(select(SourceCursor)).first()
        return 0 if row is None else int(json.loads(row.value)["at"])


def test_what_is_in_an_archive_goes_in_with_its_address_and_its_date(crawls: Crawls, web: Site) -> None:
    made = Written().add("http://old.example/1.png", picture(1))
    made.add("http://old.example/", b'<img src="http://old.example/2.png">', "text/html")
    made.add("http://old.example/3.png", picture(3), date="2999-01-01T00:00:00Z", chunked=True)
    web.answer("/a.warc.gz", ranged(made.data))
    crawls.add("/a.warc.gz", kind="warc")
    report = crawls.run()
    assert (report["state"], report["media_taken"], report["dropped"]) == (
        "finished",
        2,
        {"wrong_date": 1},
    ), report
    first, second = crawls.origins()
    assert (first.url, first.seen_at.isoformat()[:10]) == ("http://old.example/1.png", "2026-01-02")
    assert (second.url, second.seen_at.year > 2500) == ("http://old.example/3.png", False)
    assert cursor(crawls) == len(made.data)
    report = crawls.run()
    assert (report["state"], report["media_found"], report["pages_unchanged"]) == ("finished", 0, 1)
    made.add("http://old.example/4.png", picture(4))  # somebody goes on writing it
    web.answer("/a.warc.gz", ranged(made.data))
    web.asked.clear()
    assert crawls.run()["media_taken"] == 1
    assert web.asked[-1].headers["Range"] == f"bytes={made.places[3]}-"
    other = Written().add("http://old.example/5.png", picture(5))
    web.answer("/a.warc.gz", ranged(other.data, '"2"'))  # another file at the same address
    assert (crawls.run()["media_taken"], cursor(crawls)) == (1, len(other.data))


def test_a_line_that_breaks_is_gone_on_with_and_a_cut_is_reported(crawls: Crawls, web: Site) -> None:
    made = Written()
    for number in range(6):
        made.add(f"http://old.example/{number}.png", picture(number))
    web.answer("/a.warc.gz", ranged(made.data, ends=made.places[3] + 10))
    crawls.add("/a.warc.gz", kind="warc")
    report = crawls.run()
    assert (report["state"], report["media_taken"], report["dropped"]) == ("finished", 6, {}), report
    cut = made.data + Written().add("http://old.example/9.png", picture(9)).data[:-9]
    web.answer("/a.warc.gz", ranged(cut))
    report = crawls.run()
    assert report["dropped"] == {"archive_truncated": 1}
    assert crawls.seen()["/a.warc.gz"].code == "archive_truncated"


def test_a_crawl_of_an_archive_that_is_killed_repeats_and_never_skips(crawls: Crawls, web: Site) -> None:
    made = Written()
    for number in range(600):
        made.add(f"http://old.example/{number}.png", picture(number))
    web.answer("/a.warc.gz", ranged(made.data))
    crawls.add("/a.warc.gz", kind="warc")
    child = crawls.start()
    until = time.monotonic() + 60
    while not crawls.items() and time.monotonic() < until:
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=30)
    assert crawls.run()["state"] == "finished"
    assert len(crawls.items()) == 600


def test_a_file_on_this_machine_is_read_and_is_on_record(crawls: Crawls, web: Site, tmp_path: Path) -> None:
    made = Written(packed=False).add("http://old.example/1.png", picture(1))
    made.add("http://old.example/p", f'<title>T</title><img src="{web.url}/2.png">'.encode(), "text/html")
    path = tmp_path / "a.warc"
    path.write_bytes(made.data)
    web.page("/2.png", picture(2), "image/png")
    with pytest.raises(ConfigError):
        crawls.add(kind="warc", options={"file": "a.warc"})
    crawls.add(kind="warc", options={"file": str(path), "follow": "yes"})
    report = crawls.run()
    assert (report["state"], report["media_taken"]) == ("finished", 2), report
    assert web.paths() == ["/2.png"]
    with reading(crawls.engine) as session:
        kept = session.exec(select(AuditEvent).where(col(AuditEvent.action) == "source.add")).one()
    assert str(path) in str(kept)


def test_only_known_options_are_taken() -> None:
    for options in ({"follow": "maybe"}, {"file": "/nowhere.warc"}, {"depth": "1"}):
        with pytest.raises(ConfigError):
            Warc().check("https://example.org/a.warc", options)
