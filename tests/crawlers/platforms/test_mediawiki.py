"""MediaWiki and Wikimedia Commons, on answers in the shape of the API's documentation."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from crawlers.platforms.interfaces import Answer, Ask, Terms
from crawlers.platforms.mediawiki import COMMONS, MediaWiki
from monitor.errors import ConfigError, FetchWrongType, RateLimited
from tests.crawlers.platforms.reading import answer, watch

API = "https://wiki.example/w/api.php"
WIKI = MediaWiki()


def file(name: str, at: str = "2026-11-01T10:00:00Z", **info: Any) -> dict[str, Any]:
    url = f"https://wiki.example/images/a/ab/{name}"
    given = {
        "timestamp": at, "size": 1000, "width": 10, "height": 10, "url": url, "mime": "image/png",
        "thumburl": f"https://wiki.example/images/thumb/a/ab/{name}/1280px-{name}",
        "descriptionurl": f"https://wiki.example/wiki/File:{name}",
        "extmetadata": {"ObjectName": {"value": f"The {name}", "source": "mediawiki-metadata"}},
    }  # fmt: skip
    return {
        "pageid": 7,
        "ns": 6,
        "title": f"File:{name}",
        "imagerepository": "local",
        "imageinfo": [given | info],
    }


def files(*given: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"batchcomplete": True, "query": {"pages": list(given)}} | more


def parameters(ask: Ask) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(ask.url).query))


def by_tag(asks: list[Ask]) -> dict[str, Ask]:
    return {one.tag: one for one in asks}


def test_files_are_read_in_the_order_of_their_upload_and_the_cursor_follows() -> None:
    told = watch(API)
    first = by_tag(list(WIKI.begin(told)))["files"]
    assert parameters(first)["generator"] == "allimages"
    assert parameters(first)["maxlag"] == "5"
    assert "gaistart" not in parameters(first)
    going_on = {"gaicontinue": "20261101100000|Two.png", "continue": "gaicontinue||"}
    step = WIKI.read(answer(first, files(file("One.png"), **{"continue": going_on})), told)
    assert [post.media[0].url for post in step.posts] == ["https://wiki.example/images/a/ab/One.png"]
    assert step.posts[0].title == "The One.png"
    assert step.posts[0].url == "https://wiki.example/w/index.php?title=File%3AOne.png"
    assert parameters(step.asks[0])["gaicontinue"] == "20261101100000|Two.png"
    resumed = by_tag(list(WIKI.begin(watch(API, cursors={"files": step.cursor or ""}))))["files"]
    assert parameters(resumed) == parameters(step.asks[0])
    last = WIKI.read(answer(step.asks[0], files(file("Two.png", "2026-11-02T09:00:00Z"))), told)
    assert (last.asks, last.cursor) == ((), "2026-11-02T09:00:00Z")
    later = by_tag(list(WIKI.begin(watch(API, cursors={"files": last.cursor or ""}))))["files"]
    assert parameters(later)["gaistart"] == "2026-11-02T09:00:00Z"


def test_a_file_of_the_future_moves_no_cursor() -> None:
    told = watch(API)
    first = next(iter(WIKI.begin(told)))
    assert WIKI.read(answer(first, files(file("One.png", "2999-01-01T00:00:00Z"))), told).cursor is None
    assert WIKI.read(answer(first, files(file("One.png", "yesterday"))), told).cursor is None


@pytest.mark.parametrize(
    ("info", "taken"),
    [
        ({}, "https://wiki.example/images/a/ab/A"),
        ({"size": 90_000_000}, "https://wiki.example/images/thumb/a/ab/A/1280px-A"),
        ({"mime": "image/tiff"}, "https://wiki.example/images/thumb/a/ab/A/1280px-A"),
        ({"mime": "video/webm", "size": 90_000_000}, "https://wiki.example/images/a/ab/A"),
        ({"mime": "image/svg+xml"}, None),
        ({"url": None}, None),
    ],
    ids=["a picture", "a huge one", "one we do not decode", "a video", "a drawing", "one that is hidden"],
)
def test_the_original_is_taken_or_the_wikis_smaller_copy(info: dict[str, Any], taken: str | None) -> None:
    told = watch(API)
    step = WIKI.read(answer(next(iter(WIKI.begin(told))), files(file("A", **info))), told)
    assert [post.media[0].url for post in step.posts] == ([] if taken is None else [taken])


def test_deleted_files_are_said_to_be_gone() -> None:
    first = by_tag(list(WIKI.begin(watch(API))))["deleted"]
    assert parameters(first)["lestart"] == "2026-11-20T12:00:00Z"
    told = watch(API, cursors={"deleted": "2026-11-01T00:00:00Z"})
    asked = by_tag(list(WIKI.begin(told)))["deleted"]
    event = {"logid": 3, "ns": 6, "title": "File:One of mine.png", "timestamp": "2026-11-03T10:00:00Z"}
    step = WIKI.read(answer(asked, {"batchcomplete": True, "query": {"logevents": [event]}}), told)
    assert step.gone == ("https://wiki.example/w/index.php?title=File%3AOne_of_mine.png",)
    assert step.cursor == "2026-11-03T10:00:00Z"
    empty = WIKI.read(answer(asked, {"batchcomplete": True, "query": {"logevents": []}}), told)
    assert (empty.gone, empty.cursor) == ((), "2026-11-01T00:00:00Z")


def test_categories_are_read_instead_of_everything() -> None:
    told = watch(API, categories="Portraits|Category:Actors")
    asks = by_tag(list(WIKI.begin(told)))
    assert set(asks) == {"category Portraits", "category Category:Actors", "deleted"}
    assert {parameters(one).get("gcmtitle") for one in asks.values()} >= {
        "Category:Portraits",
        "Category:Actors",
    }
    step = WIKI.read(answer(asks["category Portraits"], files(file("One.png"))), told)
    assert step.cursor == "2026-11-20T11:00:00Z"
    again = by_tag(
        list(WIKI.begin(watch(API, None, {"category Portraits": step.cursor}, categories="Portraits")))
    )
    assert parameters(again["category Portraits"])["gcmstart"] == "2026-11-20T11:00:00Z"


def test_commons_is_searched_for_people_newest_first_and_no_further_than_needed() -> None:
    terms = Terms(names=('Ada "the" Example',), hashtags=("ada2026",), tag_key=bytes(16))
    told = watch("https://commons.wikimedia.org/w/api.php", terms)
    asks = list(COMMONS.begin(told))
    assert [one.tag == "deleted" for one in asks] == [False, False, True]  # not all files of Commons
    assert parameters(asks[0])["gsrsearch"] == '"Ada  the  Example"'
    assert parameters(asks[0])["gsrsort"] == "create_timestamp_desc"
    assert "Ada" not in asks[0].tag
    going_on = {"gsroffset": 50, "continue": "gsroffset||"}
    page = files(file("One.png"), **{"continue": going_on})
    step = COMMONS.read(answer(asks[0], page), told)
    assert (len(step.asks), step.cursor, step.cursor_at_end) == (1, None, "2026-11-20T11:00:00Z")
    known = watch(told.url, terms, {asks[0].tag: "2026-11-10T00:00:00Z"})
    assert COMMONS.read(answer(asks[0], page), known).asks == ()


def test_a_search_ends_though_the_wiki_always_has_more() -> None:
    told = watch(API, Terms(names=("Ada",), tag_key=bytes(16)), look="terms")
    ask, pages = next(iter(WIKI.begin(told))), 0
    while True:
        pages += 1
        step = WIKI.read(answer(ask, files(file("A"), **{"continue": {"gsroffset": pages * 50}})), told)
        if not step.asks:
            break
        ask = step.asks[0]
    assert pages == 10


def busy(code: str) -> Answer:
    error = {"error": {"code": code, "info": "Waiting for 10.0.0.1: 6.2 seconds lagged", "lag": 6.2}}
    return answer(next(iter(WIKI.begin(watch(API)))), error, retry_after="7", x_database_lag="6")


@pytest.mark.parametrize("code", ["maxlag", "ratelimited", "readonly"])
def test_a_busy_wiki_is_asked_again_later(code: str) -> None:
    with pytest.raises(RateLimited):
        WIKI.read(busy(code), watch(API))
    assert WIKI.wait_s(busy(code), watch(API)) == 7


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": "readapidenied", "info": "You need read permission to use this module."}},
        [],
        b"<html>504</html>",
        b"[" * 200_000,
    ],
    ids=["an error", "a list", "a page", "nested"],
)
def test_anything_else_has_a_code(body: Any) -> None:
    told = watch(API)
    with pytest.raises(FetchWrongType):
        WIKI.read(answer(next(iter(WIKI.begin(told))), body), told)


@pytest.mark.parametrize(
    "body",
    [
        {"query": {"pages": [7, None, {"imageinfo": "x"}, {"title": 3, "imageinfo": [{"url": 9}]}]}},
        {"query": {"pages": {"-1": {"title": "File:X", "missing": True}}}},
        {"query": 3, "continue": ["x"]},
        {"batchcomplete": True},
    ],
)
def test_rows_that_are_none_are_passed_over(body: Any) -> None:
    told = watch(API)
    step = WIKI.read(answer(next(iter(WIKI.begin(told))), body), told)
    assert (step.posts, step.asks) == ((), ())


def test_a_wiki_needs_the_address_of_its_api_and_options_that_there_are() -> None:
    WIKI.check(API, {"look": "terms", "categories": "A|B"})
    for url, options in (("https://wiki.example/", {}), (API, {"look": "some"}), (API, {"colour": "red"})):
        with pytest.raises(ConfigError):
            WIKI.check(url, options)
