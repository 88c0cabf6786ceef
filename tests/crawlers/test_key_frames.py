"""A long film is looked at by its key frames and its sound before it is fetched whole."""

from __future__ import annotations

import http
import io
import re
import subprocess
import sys
from functools import lru_cache
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawlers.boxes import read_index
from crawlers.excerpt import MOST_WINDOWS, head, windows
from crawlers.fetch import Fetcher, Limits
from crawlers.fetch_guard import rules_of
from monitor.errors import FetchTooLarge, LikenessError, Unreadable
from tests.crawlers.films import film, shade_at
from tests.crawlers.test_fetch_large import MATROSKA, ONE_FETCH
from tests.crawlers.web import Site, site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

Sounds = dict[float, float]


@lru_cache(maxsize=2)
def long_film(*, is_front: bool) -> bytes:
    """Make two minutes of 60 MB."""
    return film(120, heavy=125_000, is_front=is_front, b_frames=2)


@lru_cache(maxsize=1)
def small_film() -> bytes:
    return film(24)


@pytest.fixture(scope="module")
def web() -> Iterator[Site]:
    with site() as running:
        yield running


@pytest.fixture
def fetcher(web: Site) -> Iterator[Fetcher[bytes]]:
    rules = rules_of(web.url, allow_http=True, allow_private=True)
    made = Fetcher(rules, Limits(128 * 2**20, 120.0), "LikenessWatch/test", bytes, b"".join)
    yield made
    made.close()


def parts_of(
    data: bytes, sent: list[int], *, changes: bool = False
) -> Callable[[BaseHTTPRequestHandler], None]:
    """Serve a file and its parts; `sent` counts the bytes of each answer."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", handler.headers.get("Range", ""))
        start, end = (int(asked[1]), int(asked[2]) + 1) if asked and not changes else (0, len(data))
        handler.send_response(
            http.HTTPStatus.PARTIAL_CONTENT if asked and not changes else http.HTTPStatus.OK
        )
        if asked and not changes:
            handler.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        handler.send_header("Accept-Ranges", "bytes")
        handler.send_header("Content-Type", "video/mp4")
        handler.send_header("Content-Length", str(end - start))
        handler.end_headers()
        if handler.command == "GET":
            sent.append(end - start)
            handler.wfile.write(data[start:end])

    return answer


@pytest.mark.parametrize("is_front", [False, True])
def test_key_frames_and_sound_come_before_the_whole(
    web: Site, fetcher: Fetcher[bytes], *, is_front: bool
) -> None:
    whole, sent, early = long_film(is_front=is_front), list[int](), list[tuple[bytes, int, int]]()
    web.answer("/film.mp4", parts_of(whole, sent))
    web.asked.clear()
    answer = fetcher.get(
        f"{web.url}/film.mp4", on_early=lambda kept: early.append((kept, len(sent), sum(sent)))
    )
    assert answer.kept == whole
    ((excerpt, requests, read),) = early
    assert [one.method for one in web.asked] == ["HEAD"] + ["GET"] * (requests + 1)
    assert answer.requests == requests + 1
    assert requests <= MOST_WINDOWS + 3
    assert read * 10 < len(whole)
    shown = frames(excerpt)
    assert [at for at in shown if at >= 2] == list(range(10, 120, 10))
    assert all(abs(shade - shade_at(int(at))) <= 2 for at, shade in shown.items())
    assert len([at for at in shown if at < 2]) > 5  # its beginning is whole, as the whole begins
    heard, loud = sounds(excerpt), sounds(whole)
    assert len({int(at) // 10 for at in heard}) == 12
    assert heard.keys() <= loud.keys()
    assert sum(abs(heard[at] - loud[at]) > 0.02 for at in heard) <= 12  # the first packet behind each gap


def frames(data: bytes) -> dict[float, int]:
    with av.open(io.BytesIO(data)) as container:
        return {
            round(float(frame.time or 0), 3): int(frame.to_ndarray(format="gray")[5, 5])
            for frame in container.decode(video=0)
        }


def sounds(data: bytes) -> Sounds:
    with av.open(io.BytesIO(data)) as container:
        return {
            round(float(frame.time or 0), 4): float(np.abs(frame.to_ndarray()).mean())
            for frame in container.decode(audio=0)
        }


def test_a_film_that_is_too_long_to_be_fetched_is_looked_at_all_the_same(web: Site) -> None:
    rules = rules_of(web.url, allow_http=True, allow_private=True)
    fetcher = Fetcher(rules, Limits(16 * 2**20, 120.0), "x", bytes, b"".join)
    web.answer("/film.mp4", parts_of(long_film(is_front=False), sent := []))
    early: list[bytes] = []
    with pytest.raises(FetchTooLarge):
        fetcher.get(f"{web.url}/film.mp4", on_early=early.append)
    fetcher.close()
    assert len(frames(early[0])) > 12
    assert sum(sent) < 8 * 2**20


def test_a_server_that_gives_no_parts_after_all_gives_the_whole(web: Site, fetcher: Fetcher[bytes]) -> None:
    whole, sent = long_film(is_front=True), list[int]()
    web.answer("/film.mp4", parts_of(whole, sent, changes=True))
    early: list[bytes] = []
    assert fetcher.get(f"{web.url}/film.mp4", on_early=early.append).kept == whole
    assert len(sent) == 2
    assert whole.startswith(early[0])  # its first megabytes, as for any film that plays from its start


def excerpt_of(data: bytes) -> bytes:
    """Read the index of a small film that is here, and write what would stand before its parts."""
    index = read_index(data[data.rindex(b"moov") + 4 :])
    return head(index, windows(index, len(data)))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_broken_index_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    broken = bytearray(small_film())
    place = broken.rindex(b"moov") + 4
    for _ in range(data.draw(st.integers(1, 6))):
        where = data.draw(st.integers(place, len(broken) - 1))
        new = data.draw(st.binary(min_size=1, max_size=8))
        broken[where : where + len(new)] = new
    if data.draw(st.booleans()):
        del broken[data.draw(st.integers(place, len(broken))) :]
    try:
        made = excerpt_of(bytes(broken))
    except LikenessError:
        return
    assert len(made) < 2**20


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_no_index(data: bytes) -> None:
    with pytest.raises(Unreadable):
        read_index(data)


def test_an_encrypted_or_fragmented_film_is_left_to_its_first_megabytes() -> None:
    whole = small_film()
    assert excerpt_of(whole)
    for old, new in ((b"avc1", b"encv"), (b"udta", b"mvex")):
        place = whole.rindex(b"moov")
        with pytest.raises(Unreadable):
            excerpt_of(whole[:place] + whole[place:].replace(old, new, 1))


def test_an_early_look_takes_no_more_memory_than_a_fetch(web: Site, tmp_path: Path) -> None:
    web.answer("/film.mp4", parts_of(long_film(is_front=False), []))
    web.answer("/small", parts_of(MATROSKA + bytes(2**20), []))
    program = ONE_FETCH.replace('"/film"', '"/film.mp4"')
    command = [sys.executable, "-c", program, web.url, str(tmp_path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout.split()
    assert int(said[0]) == len(long_film(is_front=False))
    assert float(said[2]) < 16
