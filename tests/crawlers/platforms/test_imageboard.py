"""Imageboards, on answers in the shape of the 4chan API's and vichan's documentation."""

from __future__ import annotations

from typing import Any

import pytest

from crawlers.platforms.imageboard import MOST_THREADS, Imageboard
from crawlers.platforms.interfaces import Ask
from monitor.errors import ConfigError, FetchWrongType
from tests.crawlers.platforms.reading import NOW, answer, watch

HOME = "https://a.4cdn.org/"
PAGE = "https://boards.4chan.org/g/thread/"
NOON = int(NOW.timestamp())
BOARDS = Imageboard()


def listed(*threads: tuple[Any, Any]) -> list[Any]:
    rows = [{"no": number, "last_modified": at, "replies": 3} for number, at in threads]
    return [{"page": 1, "threads": rows[:2]}, {"page": 2, "threads": rows[2:]}]


def post(number: int, at: int = NOON - 600, resto: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "no": number, "resto": resto, "time": at, "name": "Anonymous", "com": "look<br>here &gt;",
        "filename": "me", "ext": ".jpg", "tim": 1_700_000_000_000_000 + number, "fsize": 9, "md5": "x==",
    } | more  # fmt: skip


def board_ask() -> Ask:
    return next(iter(BOARDS.begin(watch(HOME, boards="g"))))


def thread_ask(cursors: dict[str, str] | None = None) -> Ask:
    told = watch(HOME, None, cursors, boards="g")
    return BOARDS.read(answer(board_ask(), listed((1, NOON - 60))), told).asks[0]


def test_only_threads_that_changed_since_are_asked_for_the_one_that_waited_longest_first() -> None:
    ask, told = board_ask(), watch(HOME, boards="g")
    assert (ask.url, ask.tag) == ("https://a.4cdn.org/g/threads.json", "board g")
    step = BOARDS.read(answer(ask, listed((7, NOON - 9), (5, NOON - 500), (6, NOON - 400))), told)
    assert [one.url for one in step.asks] == [
        f"https://a.4cdn.org/g/thread/{number}.json" for number in (5, 6, 7)
    ]
    assert {(one.tag, one.headers) for one in step.asks} == {("thread", ())}
    assert (step.cursor, step.cursor_at_end) == (None, str(NOON - 9))
    known = watch(HOME, None, {"board g": str(NOON - 9)}, boards="g")
    again = BOARDS.read(answer(ask, listed((7, NOON - 9), (5, NOON - 500), (8, NOON - 1))), known)
    assert [one.url.rpartition("/")[2] for one in again.asks] == ["7.json", "8.json"]
    assert again.asks[0].headers == (("If-Modified-Since", "Fri, 20 Nov 2026 11:59:50 GMT"),)
    quiet = BOARDS.read(answer(ask, listed((5, NOON - 500))), known)
    assert (quiet.asks, quiet.cursor_at_end) == ((), None)


def test_a_thread_shows_the_files_of_its_posts_and_later_only_of_new_ones() -> None:
    body = {"posts": [post(1, resto=0, sub="Ada &amp; I", at=NOON - 9000), post(2), post(3, tim=None)]}
    step = BOARDS.read(answer(thread_ask(), body), watch(HOME, boards="g"))
    assert [(one.url, one.title) for one in step.posts] == [
        (f"{PAGE}1", "Ada & I"),
        (f"{PAGE}1#p2", "look here >"),
    ]
    assert step.posts[1].media[0].url == "https://i.4cdn.org/g/1700000000000002.jpg"
    assert step.posts[1].posted_at is not None
    assert step.posts[1].posted_at.timestamp() == NOON - 600
    later = BOARDS.read(answer(thread_ask({"board g": str(NOON - 700)}), body), watch(HOME, boards="g"))
    assert [one.url for one in later.posts] == [f"{PAGE}1#p2"]


def test_a_site_of_the_same_shape_keeps_its_files_elsewhere() -> None:
    told = watch("https://chan.example/x/", boards="b", engine="vichan")
    ask = BOARDS.read(answer(next(iter(BOARDS.begin(told))), listed((4, NOON - 60))), told).asks[0]
    assert ask.url == "https://chan.example/b/res/4.json"
    extra = [{"tim": "170-1", "ext": ".webm"}, {"tim": "../../x", "ext": ".jpg"}, {"tim": "9", "ext": "/.."}]
    step = BOARDS.read(answer(ask, {"posts": [post(4, resto=0, tim="170-0", extra_files=extra)]}), told)
    assert step.posts[0].url == "https://chan.example/b/res/4.html"
    files = [link.url for link in step.posts[0].media]
    assert files == ["https://chan.example/b/src/170-0.jpg", "https://chan.example/b/src/170-1.webm"]
    moved = watch(told.url, boards="b", media_base="https://m.example/", page_base="https://p.example")
    post_ = BOARDS.read(answer(ask, {"posts": [post(4, resto=0)]}), moved).posts[0]
    assert post_.media[0].url == "https://m.example/b/1700000000000004.jpg"
    assert post_.url == "https://p.example/b/thread/4"


def test_threads_and_files_that_were_deleted_are_gone() -> None:
    told = watch(HOME, boards="g")
    for status in (404, 410):
        assert BOARDS.read(answer(thread_ask(), b"", status), told).gone == (f"{PAGE}1",)
    step = BOARDS.read(answer(thread_ask(), {"posts": [post(1, resto=0), post(2, filedeleted=1)]}), told)
    assert ([one.url for one in step.posts], step.gone) == ([f"{PAGE}1"], (f"{PAGE}1#p2",))
    assert BOARDS.read(answer(board_ask(), b"", 404), told).gone == ()


def test_a_second_passes_between_two_requests() -> None:
    assert BOARDS.wait_s(answer(board_ask(), []), watch(HOME, boards="g")) == 1
    assert BOARDS.wait_s(answer(board_ask(), b"", 429, retry_after="3"), watch(HOME, boards="g")) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", {"threads": []}])
def test_what_is_no_list_has_a_code(body: Any) -> None:
    with pytest.raises(FetchWrongType):
        BOARDS.read(answer(board_ask(), body), watch(HOME, boards="g"))


@pytest.mark.parametrize("body", [b"", b"[", [], {"posts": 3}, {"posts": [1, None]}])
def test_what_is_no_thread_has_a_code(body: Any) -> None:
    with pytest.raises(FetchWrongType):
        BOARDS.read(answer(thread_ask(), body), watch(HOME, boards="g"))


def test_rows_and_dates_that_are_none_are_passed_over() -> None:
    odd = [
        3,
        {"threads": "x"},
        {"threads": [{"no": "a"}, 7, {"no": 2}]},
        *listed((1, 99_999_999_999), (2, "x")),
    ]
    step = BOARDS.read(answer(board_ask(), odd), watch(HOME, boards="g"))
    assert (step.asks, step.cursor_at_end) == ((), None)
    posts = {"posts": [post(1, resto=0, time="noon", sub=3, com=None), post(2, time=10**25), post(3, ext=7)]}
    read = BOARDS.read(answer(thread_ask(), posts), watch(HOME, boards="g"))
    assert [one.posted_at for one in read.posts] == [None, None]


def test_a_board_without_end_is_read_in_parts_and_none_is_left_out() -> None:
    many = listed(*((number, NOON - 5000 + number) for number in range(1000)))
    step = BOARDS.read(answer(board_ask(), many), watch(HOME, boards="g"))
    assert len(step.asks) == MOST_THREADS
    assert step.cursor_at_end == str(NOON - 5000 + MOST_THREADS - 1)
    rest = watch(HOME, None, {"board g": step.cursor_at_end}, boards="g")
    assert BOARDS.read(answer(board_ask(), many), rest).asks[1].url.endswith(f"/{MOST_THREADS}.json")


def test_boards_must_be_named_and_options_be_there() -> None:
    BOARDS.check(HOME, {"boards": "/g/|news", "engine": "vichan", "media_base": "https://i.example"})
    for options in (
        {},
        {"boards": "../x"},
        {"boards": "g", "engine": "x"},
        {"boards": "g", "token": "x"},
        {"boards": "g", "media_base": "file:///etc"},
    ):
        with pytest.raises(ConfigError):
            BOARDS.check(HOME, options)
