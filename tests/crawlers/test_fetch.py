"""The media fetcher against servers that behave badly."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

import pytest

from crawlers.fetch import Fetcher, Limits
from crawlers.fetch_guard import Rules, rules_of
from monitor.errors import FetchFailed, FetchRefused, FetchTimeout, FetchTooLarge, FetchWrongType, NotMedia
from tests.crawlers.web import Site, endless, silence, site, slowly

if TYPE_CHECKING:
    from collections.abc import Iterator

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40


def sniff(head: bytes) -> None:
    if not head.startswith((b"\x89PNG", b"\xff\xd8")):
        msg = "no picture"
        raise NotMedia(msg)


@pytest.fixture
def web() -> Iterator[Site]:
    with site() as running:
        yield running


@pytest.fixture
def fetcher(web: Site) -> Iterator[Fetcher[bytes]]:
    rules = rules_of(web.url, allow_http=True, allow_private=True)
    made = Fetcher(
        rules, Limits(max_bytes=1_000_000, seconds=1.0), "LikenessWatch/test (+nobody)", sniff, b"".join
    )
    yield made
    made.close()


def test_a_picture_comes_whole_with_its_headers(web: Site, fetcher: Fetcher[bytes]) -> None:
    web.page("/a.png", PNG, "image/png", etag='"1"')
    answer = fetcher.get(f"{web.url}/a.png")
    assert (answer.status, answer.kept, answer.header("etag")) == (200, PNG, '"1"')
    assert web.asked[0].headers["User-Agent"] == "LikenessWatch/test (+nobody)"
    assert answer.latency_s < 1


def test_a_picture_that_has_not_changed_is_not_sent_again(web: Site, fetcher: Fetcher[bytes]) -> None:
    web.page("/a.png", PNG, "image/png", etag='"1"')
    answer = fetcher.get(f"{web.url}/a.png", {"If-None-Match": '"1"'})
    assert (answer.status, answer.kept) == (304, None)


def test_a_redirect_is_given_back_and_not_followed(web: Site, fetcher: Fetcher[bytes]) -> None:
    web.redirect("/a.png", "http://10.0.0.1/")
    answer = fetcher.get(f"{web.url}/a.png")
    assert (answer.status, answer.header("location")) == (302, "http://10.0.0.1/")


def test_the_declared_length_stops_a_fetch_before_the_body(web: Site, fetcher: Fetcher[bytes]) -> None:
    web.page("/big.png", PNG + b"\0" * 2_000_000, "image/png")
    with pytest.raises(FetchTooLarge):
        fetcher.get(f"{web.url}/big.png")


def test_an_endless_body_ends_at_the_cap(web: Site, fetcher: Fetcher[bytes]) -> None:
    web.answer("/endless.png", endless(PNG, "image/png"))
    with pytest.raises(FetchTooLarge):
        fetcher.get(f"{web.url}/endless.png")


def test_a_body_that_drips_ends_at_the_time_cap(web: Site, fetcher: Fetcher[bytes]) -> None:
    web.answer("/slow.png", slowly(5))
    with pytest.raises(FetchTimeout):
        fetcher.get(f"{web.url}/slow.png")


def test_a_server_that_says_nothing_ends_at_the_time_cap(web: Site, fetcher: Fetcher[bytes]) -> None:
    web.answer("/silent.png", silence(5))
    with pytest.raises(FetchTimeout):
        fetcher.get(f"{web.url}/silent.png")


def test_a_page_under_the_name_of_a_picture_is_refused_by_its_first_bytes(
    web: Site, fetcher: Fetcher
) -> None:
    web.answer("/page.png", endless(b"<html>" + b" " * 10_000, "image/png"))
    with pytest.raises(FetchWrongType):
        fetcher.get(f"{web.url}/page.png")
    web.page("/short.png", b"<html></html>", "text/html")
    with pytest.raises(FetchWrongType, match="text/html"):
        fetcher.get(f"{web.url}/short.png")


def test_a_picture_under_a_wrong_type_is_taken_for_what_its_bytes_are(
    web: Site, fetcher: Fetcher[bytes]
) -> None:
    web.page("/a.png", PNG, "text/plain")
    assert fetcher.get(f"{web.url}/a.png").kept == PNG


def test_a_compressed_body_is_opened_and_a_bomb_meets_the_cap(web: Site, fetcher: Fetcher[bytes]) -> None:
    web.page("/a.png", gzip.compress(PNG), "image/png", content_encoding="gzip")
    assert fetcher.get(f"{web.url}/a.png").kept == PNG
    web.page("/b.png", zlib.compress(PNG), "image/png", content_encoding="deflate")
    assert fetcher.get(f"{web.url}/b.png").kept == PNG
    web.page("/bomb.png", gzip.compress(PNG + bytes(50_000_000)), "image/png", content_encoding="gzip")
    with pytest.raises(FetchTooLarge):
        fetcher.get(f"{web.url}/bomb.png")
    web.page("/broken.png", b"nonsense", "image/png", content_encoding="gzip")
    with pytest.raises(FetchFailed):
        fetcher.get(f"{web.url}/broken.png")
    web.page("/odd.png", PNG, "image/png", content_encoding="br")
    with pytest.raises(FetchWrongType):
        fetcher.get(f"{web.url}/odd.png")


def test_a_server_that_hangs_up_is_a_failure_that_may_be_tried_again(
    web: Site, fetcher: Fetcher[bytes]
) -> None:
    web.answer("/gone.png", silence(0))
    with pytest.raises(FetchFailed) as caught:
        fetcher.get(f"{web.url}/gone.png")
    assert caught.value.retryable


def test_without_rules_a_site_on_this_machine_is_not_asked_at_all(web: Site) -> None:
    strict = Fetcher(Rules(allow_http=True), Limits(1000, 1.0), "x", sniff, b"".join)
    with pytest.raises(FetchRefused):
        strict.get(f"{web.url}/a.png")
    strict.close()
    assert web.asked == []
