"""Reddit, on listings in the shape of its API."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from crawlers.platforms.interfaces import Ask, Basis, Terms
from crawlers.platforms.reddit import MOST_PAGES, Reddit
from monitor.errors import ConfigError, FetchWrongType
from tests.crawlers.platforms.reading import NOW, answer, watch

HOME = "https://www.reddit.com/"
NOON = NOW.timestamp()
R = Reddit()


def link(key: str, at: Any = NOON - 600.0, **more: Any) -> dict[str, Any]:
    data = {
        "name": f"t3_{key}", "title": f"Post {key}", "created_utc": at, "selftext": "", "author": "ada",
        "permalink": f"/r/pics/comments/{key}/post/", "url": f"https://i.redd.it/{key}.jpg",
        "removed_by_category": None,
    }  # fmt: skip
    return {"kind": "t3", "data": data | more}


def listing(*children: Any, after: Any = None) -> dict[str, Any]:
    return {"kind": "Listing", "data": {"after": after, "before": None, "children": list(children)}}


def parameters(ask: Ask) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(ask.url).query))


def first_ask() -> Ask:
    return next(iter(R.begin(watch(HOME, subreddits="Pics"))))


def links(**data: Any) -> list[str]:
    step = R.read(answer(first_ask(), listing(link("1", **data))), watch(HOME))
    return [one.url for post in step.posts for one in post.media]


def test_a_subreddit_is_read_from_the_newest_back_to_what_is_known() -> None:
    ask = first_ask()
    assert (urlsplit(ask.url).path, ask.tag) == ("/r/Pics/new.json", "r/pics")
    assert parameters(ask) == {"limit": "100", "raw_json": "1"}
    step = R.read(answer(ask, listing(link("10"), link("zz"), after="t3_zz")), watch(HOME))
    assert [post.url for post in step.posts] == [
        "https://www.reddit.com/r/pics/comments/10/post/",
        "https://www.reddit.com/r/pics/comments/zz/post/",
    ]
    assert step.cursor_at_end == "t3_zz"
    assert parameters(step.asks[0]) == {"limit": "100", "raw_json": "1", "after": "t3_zz", "count": "100"}
    known = watch(HOME, None, {"r/pics": "t3_zz"})
    later = R.read(answer(ask, listing(link("100"), link("zz"), after="t3_zz")), known)
    assert ([post.title for post in later.posts], later.cursor_at_end) == (["Post 100"], "t3_100")
    assert len(later.asks) == 1
    quiet = R.read(answer(ask, listing(link("zz"), link("10"), after="t3_10")), known)
    assert (quiet.posts, quiet.asks, quiet.cursor_at_end) == ((), (), None)


def test_galleries_videos_pictures_and_previews_are_shown() -> None:
    gallery = {
        "url": "https://www.reddit.com/gallery/1",
        "gallery_data": {"items": [{"media_id": "b", "id": 1}, {"media_id": "a", "id": 2}]},
        "media_metadata": {
            "a": {"status": "valid", "e": "Image", "s": {"u": "https://preview.redd.it/a.jpg?a=1&amp;s=2"}},
            "b": {"status": "valid", "e": "AnimatedImage", "s": {"gif": "https://i.redd.it/b.gif"}},
            "c": {"status": "failed"},
        },
    }
    assert links(**gallery) == ["https://i.redd.it/b.gif", "https://preview.redd.it/a.jpg?a=1&s=2"]
    preview = {"images": [{"source": {"url": "https://preview.redd.it/p.png", "width": 9}}]}
    video = {"reddit_video": {"fallback_url": "https://v.redd.it/x/DASH_720.mp4?source=fallback"}}
    assert links(url="https://v.redd.it/x", secure_media=video, media=video, preview=preview) == [
        "https://v.redd.it/x/DASH_720.mp4?source=fallback",
        "https://preview.redd.it/p.png",
    ]
    assert links(preview=preview) == ["https://i.redd.it/1.jpg"]
    assert links(url="https://news.example/", preview=preview) == ["https://preview.redd.it/p.png"]
    assert links(url="https://x.example/", crosspost_parent_list=[link("9")["data"]]) == [
        "https://i.redd.it/9.jpg"
    ]
    assert links(url="https://www.reddit.com/r/pics/comments/1/post/", selftext="words") == []


@pytest.mark.parametrize(
    "taken_away",
    [{"removed_by_category": "moderator"}, {"removed_by_category": "deleted"}, {"selftext": "[removed]"}],
)
def test_posts_that_were_removed_are_gone_also_when_they_were_known(taken_away: dict[str, Any]) -> None:
    page = listing(link("2"), link("1", **taken_away))
    for cursors in ({}, {"r/pics": "t3_1"}):
        step = R.read(answer(first_ask(), page), watch(HOME, None, cursors))
        assert step.gone == ("https://www.reddit.com/r/pics/comments/1/post/",)
        assert [post.title for post in step.posts] == ["Post 2"]
    assert R.read(answer(first_ask(), {"error": 404, "message": "Not Found"}, 404), watch(HOME)).gone == ()


def test_people_are_searched_for_newest_first() -> None:
    terms = Terms(names=('Ada "X"',), handles=("ada",), tag_key=bytes(16))
    told = watch(HOME, terms, look="terms", subreddits="pics", users="bob")
    asks = list(R.begin(told))
    assert [parameters(one)["q"] for one in asks] == ['"Ada  X "', '"ada"']
    assert all(one.tag.startswith("term-") and parameters(one)["sort"] == "new" for one in asks)
    everything = list(R.begin(watch(HOME, subreddits="pics", users="bob")))
    assert [one.tag for one in everything] == ["r/pics", "u/bob"]
    assert urlsplit(everything[1].url).path == "/user/bob/submitted.json"


def test_no_requests_left_are_waited_for_as_many_seconds_as_it_says() -> None:
    given = {"x_ratelimit_used": "100", "x_ratelimit_reset": "37"}
    assert R.wait_s(answer(first_ask(), {}, 200, **given, x_ratelimit_remaining="4.0"), watch(HOME)) is None
    assert R.wait_s(answer(first_ask(), {}, 429, **given, x_ratelimit_remaining="0.0"), watch(HOME)) == 37
    for broken in ("99999", "nan", "soon", "-5"):
        busy = answer(first_ask(), {}, 429, x_ratelimit_remaining="0", x_ratelimit_reset=broken)
        assert R.wait_s(busy, watch(HOME)) == 900
    assert R.wait_s(answer(first_ask(), {}), watch(HOME)) is None


@pytest.mark.parametrize(
    "body", [b"", b"<html>whoa there, pardner!", [], {"data": 3}, {"data": {"children": {}}}]
)
def test_what_is_no_listing_has_a_code(body: Any) -> None:
    with pytest.raises(FetchWrongType):
        R.read(answer(first_ask(), body), watch(HOME))


def test_rows_and_dates_that_are_none_move_no_cursor() -> None:
    odd = listing(
        3, {}, {"data": 7}, {"kind": "t1", "data": {"name": "t1_a"}}, link("!"),
        link("zzzz", 4_000_000_000.0), link("zzz", "noon"),
        link("zz", None, permalink="//evil.example/x", media_metadata=[1], preview="x"),
        after=["x"],
    )  # fmt: skip
    step = R.read(answer(first_ask(), odd), watch(HOME))
    assert (step.asks, step.cursor_at_end) == ((), None)
    assert [post.title for post in step.posts] == ["Post zzzz", "Post zzz", "Post zz"]
    assert step.posts[-1].url == ""


def test_an_address_that_is_none_spoils_nothing_else() -> None:
    page = listing(link("2", url="http://["), link("1"))
    assert [post.title for post in R.read(answer(first_ask(), page), watch(HOME)).posts] == ["Post 1"]


def test_a_listing_without_end_ends() -> None:
    told, ask, pages = watch(HOME), first_ask(), 0
    while True:
        pages += 1
        step = R.read(answer(ask, listing(link("aa"), after=f"t3_{pages}")), told)
        if not step.asks:
            break
        ask = step.asks[0]
    assert pages == MOST_PAGES


def test_without_an_agreement_on_record_robots_txt_is_obeyed() -> None:
    assert R.basis is Basis.ROBOTS
    assert "robots.txt" in R.blind_to


def test_options_that_there_are_not_are_refused() -> None:
    R.check(HOME, {"subreddits": "pics|Art", "users": "ada-b", "look": "terms"})
    for options in ({"subreddits": "r/pics"}, {"users": "../x"}, {"look": "x"}, {"token": "x"}):
        with pytest.raises(ConfigError):
            R.check(HOME, options)
