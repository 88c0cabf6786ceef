"""Bluesky, on answers in the shape of its lexicons."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from crawlers.platforms.bluesky import AUTHOR_PAGES, Bluesky
from crawlers.platforms.interfaces import Ask, Terms
from monitor.errors import ConfigError, FetchWrongType
from tests.crawlers.platforms.reading import NOW, answer, watch

HOME = "https://public.api.bsky.app"
DID = "did:plc:abcdefghijklmnopqrstuvwx"
PAGE = f"https://bsky.app/profile/{DID}/post/"
CDN = "https://cdn.bsky.app/img/feed_fullsize/plain"
B = Bluesky()


def view(key: str, embed: Any = None, at: str = "2026-11-19T10:00:00.000Z", **author: Any) -> dict[str, Any]:
    shown = {
        "$type": "app.bsky.embed.images#view",
        "images": [{"thumb": f"{CDN}/t{key}", "fullsize": f"{CDN}/{key}@jpeg", "alt": "Ada, smiling"}],
    }
    return {
        "uri": f"at://{DID}/app.bsky.feed.post/{key}", "cid": "bafy", "indexedAt": at,
        "author": {"did": DID, "handle": "ada.example", "labels": []} | author,
        "record": {"$type": "app.bsky.feed.post", "text": "Hello\nthere", "createdAt": at},
        "embed": shown if embed is None else embed, "labels": [],
    }  # fmt: skip


def feed(*views: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"feed": [{"post": one} for one in views]} | more


def parameters(ask: Ask) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(ask.url).query))


def author_ask(cursors: dict[str, str] | None = None) -> Ask:
    return next(iter(B.begin(watch(HOME, None, cursors, authors="ada.example"))))


def links(post_view: dict[str, Any]) -> list[str]:
    step = B.read(answer(author_ask(), feed(post_view)), watch(HOME))
    return [link.url for post in step.posts for link in post.media]


def test_an_account_is_read_back_to_what_is_known() -> None:
    ask = author_ask()
    assert urlsplit(ask.url).path == "/xrpc/app.bsky.feed.getAuthorFeed"
    assert parameters(ask) == {"actor": "ada.example", "filter": "posts_with_replies", "limit": "100"}
    step = B.read(answer(ask, feed(view("3ka"), view("3k9"), cursor="2026-11-18T00::x")), watch(HOME))
    assert [post.url for post in step.posts] == [f"{PAGE}3ka", f"{PAGE}3k9"]
    assert (step.posts[0].title, step.posts[0].media[0].title) == ("Hello there", "Ada, smiling")
    assert step.cursor_at_end == "2026-11-19T10:00:00+00:00"
    assert parameters(step.asks[0])["cursor"] == "2026-11-18T00::x"
    assert step.asks[0].tag == ask.tag
    known = watch(HOME, None, {ask.tag: step.cursor_at_end or ""})
    new, old = view("3kb", at="2026-11-20T09:00:00Z"), view("3k1", at="2026-11-01T00:00:00Z")
    later = B.read(answer(ask, feed(new, old, cursor="y")), known)
    assert [post.url for post in later.posts] == [f"{PAGE}3kb"]
    assert len(later.asks) == 1
    assert B.read(answer(later.asks[0], feed(old, cursor="z")), known).asks == ()


def test_something_pinned_or_passed_on_does_not_say_where_new_posts_begin() -> None:
    known = watch(HOME, None, {"author ada.example": "2026-11-10T00:00:00+00:00"})
    pinned = {
        "post": view("3k1", at="2026-11-19T12:00:00Z"),
        "reason": {"$type": "app.bsky.feed.defs#reasonRepost"},
    }
    old = {"post": view("3k0", at="2026-11-09T00:00:00Z")}
    step = B.read(answer(author_ask(), {"feed": [pinned, old], "cursor": "x"}), known)
    assert (step.asks, step.cursor_at_end) == ((), "2026-11-09T00:00:00+00:00")


def test_pictures_videos_link_cards_and_quoted_posts_are_shown() -> None:
    video = {
        "$type": "app.bsky.embed.video#view", "cid": "bafk", "alt": "A speech",
        "playlist": "https://video.bsky.app/watch/x/bafk/playlist.m3u8",
        "thumbnail": "https://video.bsky.app/watch/x/bafk/thumbnail.jpg",
    }  # fmt: skip
    assert links(view("1", video)) == [video["playlist"], video["thumbnail"]]
    card = {"external": {"uri": "https://news.example/", "title": "News", "thumb": f"{CDN}/card"}}
    assert links(view("1", card)) == [f"{CDN}/card"]
    quoted = {"record": {"record": {"embeds": [card]}}, "media": view("2")["embed"]}
    assert links(view("1", quoted)) == [f"{CDN}/2@jpeg", f"{CDN}/card"]
    assert links(view("1", {"record": {"embeds": [video]}})) == [video["playlist"], video["thumbnail"]]
    nested: dict[str, Any] = view("9")["embed"]
    for _ in range(9):
        nested = {"media": nested}
    assert links(view("1", nested)) == []


def test_who_asks_not_to_be_shown_to_strangers_is_passed_over() -> None:
    assert links(view("1", labels=[{"val": "!no-unauthenticated", "src": DID}])) == []


def test_posts_that_are_said_to_be_deleted_are_gone() -> None:
    lost = {"uri": f"at://{DID}/app.bsky.feed.post/3old", "notFound": True}
    row = {"post": view("1", {"record": lost}), "reply": {"parent": lost | {"uri": "at://x"}, "root": lost}}
    assert B.read(answer(author_ask(), {"feed": [row]}), watch(HOME)).gone == (f"{PAGE}3old",)
    hidden = {"post": view("1", {"record": {"uri": lost["uri"], "blocked": True}})}
    assert B.read(answer(author_ask(), {"feed": [hidden]}), watch(HOME)).gone == ()
    assert B.read(answer(author_ask(), {"error": "NotFound"}, 404), watch(HOME)) == B.read(
        answer(author_ask(), {"error": "NotFound"}, 410), watch(HOME)
    )


def test_people_are_searched_for_and_only_the_first_page_is_asked_for_unless_more_are_given() -> None:
    terms = Terms(names=('Ada "X"',), handles=("ada.example",), hashtags=("ada",), tag_key=bytes(16))
    asks = list(B.begin(watch(HOME, terms, look="terms", queries="concert")))
    assert [parameters(one)["q"] for one in asks] == ['"Ada  X "', '"ada.example"', "#ada"]
    assert all(parameters(one)["sort"] == "latest" and one.tag.startswith("term-") for one in asks)
    body = {"posts": [view("3ka")], "cursor": "100", "hitsTotal": 900}
    step = B.read(answer(asks[0], body), watch(HOME, terms))
    assert (len(step.posts), step.asks) == (1, ())
    assert step.cursor_at_end == "2026-11-19T10:00:00+00:00"
    more = B.read(answer(asks[0], body), watch(HOME, terms, search_pages="2"))
    assert parameters(more.asks[0])["cursor"] == "100"
    assert B.read(answer(more.asks[0], body), watch(HOME, terms, search_pages="2")).asks == ()
    assert [one.tag for one in B.begin(watch(HOME, queries="concert"))] == ["query concert"]


def test_no_requests_left_are_waited_for_until_the_second_named() -> None:
    given = {"ratelimit_limit": "3000", "ratelimit_reset": str(int(NOW.timestamp()) + 50)}
    assert B.wait_s(answer(author_ask(), {}, 200, **given, ratelimit_remaining="9"), watch(HOME)) is None
    assert B.wait_s(answer(author_ask(), {}, 429, **given, ratelimit_remaining="0"), watch(HOME)) == 50
    dated = given | {"date": "Fri, 20 Nov 2026 12:00:45 GMT", "ratelimit_remaining": "0"}
    assert B.wait_s(answer(author_ask(), {}, 429, **dated), watch(HOME)) == 5
    far = given | {"ratelimit_reset": "99999999999", "ratelimit_remaining": "0"}
    assert B.wait_s(answer(author_ask(), {}, 200, **far), watch(HOME)) == 900


@pytest.mark.parametrize("body", [b"", b"<html>", [], {"posts": []}, {"feed": {"post": 1}}])
def test_what_is_no_feed_has_a_code(body: Any) -> None:
    with pytest.raises(FetchWrongType):
        B.read(answer(author_ask(), body), watch(HOME))


def test_rows_and_dates_that_are_none_are_passed_over() -> None:
    odd = {
        "feed": [
            3, {}, {"post": 7}, {"post": {"uri": 4, "embed": {"images": "x", "record": [1]}}},
            {"post": view("1", at="2999-01-01T00:00:00Z")}, {"post": view("2", at="soon")},
        ],
        "cursor": 5,
    }  # fmt: skip
    step = B.read(answer(author_ask(), odd), watch(HOME))
    assert [post.url for post in step.posts] == [f"{PAGE}1", f"{PAGE}2"]
    assert (step.asks, step.cursor_at_end) == ((), None)


def test_letters_that_no_database_takes_are_taken_out() -> None:
    odd = view("1") | {"record": {"text": "a\0b \ud800"}}
    step = B.read(answer(author_ask(), feed(odd, cursor="\ud800")), watch(HOME))
    assert step.posts[0].title == "a b ?"
    assert parameters(step.asks[0])["cursor"] == "?"


def test_a_cursor_without_end_ends() -> None:
    told, ask, pages = watch(HOME), author_ask(), 0
    while True:
        pages += 1
        step = B.read(answer(ask, feed(view("3k"), cursor=f"c{pages}")), told)
        if not step.asks:
            break
        ask = step.asks[0]
    assert pages == AUTHOR_PAGES


def test_options_that_there_are_not_are_refused() -> None:
    B.check(HOME, {"authors": f"ada.example|{DID}", "queries": "a b", "search_pages": "3"})
    for options in ({"authors": "@ada"}, {"look": "x"}, {"token": "x"}, {"search_pages": "99"}):
        with pytest.raises(ConfigError):
            B.check(HOME, options)
