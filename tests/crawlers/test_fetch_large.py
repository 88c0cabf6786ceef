"""Long videos and sound: asked about first, taken a piece at a time, gone on with, looked at early."""

from __future__ import annotations

import hashlib
import http
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from crawlers import early
from crawlers.early import plays_from_its_start
from crawlers.fetch import Fetcher, Limits
from crawlers.fetch_guard import rules_of
from monitor.errors import FetchFailed, FetchTooLarge
from tests.crawlers.web import Site, site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

MATROSKA = b"\x1aE\xdf\xa3"
FILM = MATROSKA + bytes(range(256)) * 8192


@pytest.fixture
def web() -> Iterator[Site]:
    with site() as running:
        yield running


@pytest.fixture
def fetcher(web: Site) -> Iterator[Fetcher[bytes]]:
    rules = rules_of(web.url, allow_http=True, allow_private=True)
    made = Fetcher(rules, Limits(64 * 2**20, 10.0), "LikenessWatch/test", bytes, b"".join)
    yield made
    made.close()


def breaking(
    data: bytes, at: int, *, tag: str = '"1"', changes: bool = False
) -> Callable[[BaseHTTPRequestHandler], None]:
    """Serve a file whose line breaks after `at` bytes of every answer; ranges are understood."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        same = handler.headers.get("If-Range") == tag and not changes
        start = int(asked[1]) if asked and same else 0
        handler.send_response(http.HTTPStatus.PARTIAL_CONTENT if start else http.HTTPStatus.OK)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        handler.send_header("ETag", tag)
        handler.send_header("Accept-Ranges", "bytes")
        handler.send_header("Content-Type", "video/webm")
        handler.send_header("Content-Length", str(len(data) - start))
        handler.end_headers()
        handler.wfile.write(data[start : start + at])
        handler.wfile.flush()
        handler.close_connection = True

    return answer


def test_a_film_that_breaks_off_is_gone_on_with(web: Site, fetcher: Fetcher[bytes]) -> None:
    web.answer("/film", breaking(FILM, len(FILM) // 3 + 1))
    answer = fetcher.get(f"{web.url}/film")
    assert (answer.kept, answer.size_bytes, answer.requests) == (FILM, len(FILM), 3)


def test_a_film_that_has_become_another_one_is_not_glued_together(web: Site, fetcher: Fetcher[bytes]) -> None:
    web.answer("/film", breaking(FILM, len(FILM) // 3 + 1, changes=True))
    with pytest.raises(FetchFailed):
        fetcher.get(f"{web.url}/film")


def test_a_film_that_breaks_off_again_and_again_is_given_up(web: Site, fetcher: Fetcher[bytes]) -> None:
    web.answer("/film", breaking(FILM, 1000))
    with pytest.raises(FetchFailed):
        fetcher.get(f"{web.url}/film")
    assert len(web.asked) == 4


def test_a_large_file_is_asked_about_before_it_is_asked_for(web: Site, fetcher: Fetcher[bytes]) -> None:
    web.page("/talk.mp3", b"ID3" + bytes(100_000), "audio/mpeg", etag='"7"')
    assert fetcher.get(f"{web.url}/talk.mp3").status == 200
    assert [one.method for one in web.asked] == ["HEAD", "GET"]
    assert fetcher.get(f"{web.url}/talk.mp3", {"If-None-Match": '"7"'}).status == 304
    assert [one.method for one in web.asked[2:]] == ["HEAD"]


def test_too_large_by_its_head_is_not_asked_for(web: Site, fetcher: Fetcher[bytes]) -> None:
    def huge(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(10**12))
        handler.end_headers()

    web.answer("/film.mp4", huge)
    with pytest.raises(FetchTooLarge):
        fetcher.get(f"{web.url}/film.mp4")
    assert [one.method for one in web.asked] == ["HEAD"]


def test_a_server_that_knows_no_head_is_asked_all_the_same(web: Site, fetcher: Fetcher[bytes]) -> None:
    web.answer("/film.mkv", breaking(FILM, len(FILM)))
    web.knows_head = False
    assert fetcher.get(f"{web.url}/film.mkv").kept == FILM


def test_the_beginning_of_a_long_film_comes_first(
    web: Site, fetcher: Fetcher[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early, "LONG_BYTES", 2**20)
    monkeypatch.setattr(early, "EARLY_BYTES", 2**18)
    web.page("/film", FILM, "video/webm")
    beginnings: list[bytes] = []
    answer = fetcher.get(f"{web.url}/film", on_early=beginnings.append)
    assert answer.kept == FILM
    (beginning,) = beginnings
    assert FILM.startswith(beginning)
    assert 2**18 <= len(beginning) < 2**20


def box(name: bytes, size: int) -> bytes:
    return (8 + size).to_bytes(4, "big") + name + bytes(size)


@pytest.mark.parametrize(
    ("beginning", "plays"),
    [
        (box(b"ftyp", 20) + box(b"moov", 5000) + box(b"mdat", 100)[:50], True),
        (box(b"ftyp", 20) + box(b"free", 8) + box(b"mdat", 5000), False),
        (box(b"ftyp", 20) + box(b"moov", 5000)[:4000], False),
        (box(b"ftyp", 20) + bytes(100), False),
        (MATROSKA, True),
        (b"", False),
    ],
)
def test_what_can_be_played_from_its_start(beginning: bytes, *, plays: bool) -> None:
    assert plays_from_its_start(beginning) is plays


ONE_FETCH = """
import functools, os, sys
from pathlib import Path
from crawlers.fetch import Fetcher, Limits
from crawlers.fetch_guard import rules_of
from monitor.blobs import BlobStore
from monitor.crypto import IntakeSealer, new_intake_pair
from monitor.intake import Door, keep, kind_of
from monitor.memory import peak_memory_mb
peak = functools.partial(peak_memory_mb, os.getpid())
url, folder = sys.argv[1:]
door = Door(None, BlobStore(Path(folder)), IntakeSealer(new_intake_pair()[0]), 4 * 2**30)
fetcher = Fetcher(rules_of(url, allow_http=True, allow_private=True), Limits(4 * 2**30, 600.0), "x", kind_of,
    functools.partial(keep, door=door))
fetcher.get(url + "/small")
before = peak()
kept = fetcher.get(url + "/film", on_early=lambda kept: None).kept
print(kept.size_bytes, kept.digest.hex, peak() - before)
"""


def test_a_film_of_any_length_never_takes_sixteen_megabytes(web: Site, tmp_path: Path) -> None:
    pieces, piece = 192, bytes(2**20)

    def long(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(MATROSKA) + pieces * len(piece)))
        handler.end_headers()
        handler.wfile.write(MATROSKA)
        for _ in range(pieces):
            handler.wfile.write(piece)

    web.answer("/film", long)
    web.page("/small", MATROSKA + bytes(2**20), "video/webm")
    command = [sys.executable, "-c", ONE_FETCH, web.url, str(tmp_path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout.split()
    digest = hashlib.sha256(MATROSKA + piece * pieces)
    assert said[:2] == [str(len(MATROSKA) + pieces * len(piece)), digest.hexdigest()]
    assert float(said[2]) < 16
