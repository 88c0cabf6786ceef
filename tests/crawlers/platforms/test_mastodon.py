"""Mastodon, on answers in the shape of docs.joinmastodon.org."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from crawlers.platforms.interfaces import Ask, Terms
from crawlers.platforms.mastodon import FIRST_PAGES, Mastodon
from monitor.errors import ConfigError, FetchWrongType
from tests.crawlers.platforms.reading import answer, watch

HOME = "https://social.example/"
M = Mastodon()


def status(
    number: int, created_at: str = "2026-11-19T10:00:00.000Z", *media: dict[str, Any]
) -> dict[str, Any]:
    return {
        "id": str(number), "created_at": created_at, "visibility": "public", "spoiler_text": "",
        "uri": f"{HOME}users/ada/statuses/{number}", "url": f"{HOME}@ada/{number}",
        "content": "<p>On the &quot;stage&quot;<br>today</p>",
        "media_attachments": list(media) or [attachment(number)],
    }  # fmt: skip


def attachment(number: int, **more: Any) -> dict[str, Any]:
    url = f"https://files.social.example/original/{number}.jpg"
    return {
        "id": "9", "type": "image", "url": url, "remote_url": None, "description": None,
        "preview_url": url.replace("original", "small"),
    } | more  # fmt: skip


def parameters(ask: Ask) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(ask.url).query))


def first_ask(cursors: dict[str, str] | None = None, **options: str) -> Ask:
    return next(iter(M.begin(watch(HOME, None, cursors, **options))))


def test_the_first_run_reads_backwards_and_the_next_asks_only_for_what_came_since() -> None:
    told, ask = watch(HOME), first_ask()
    assert urlsplit(ask.url).path == "/api/v1/timelines/public"
    assert parameters(ask) == {"only_media": "true", "limit": "40", "local": "true"}
    step = M.read(answer(ask, [status(1000), status(999)]), told)
    assert (step.cursor, step.cursor_at_end) == (None, "1000")
    assert parameters(step.asks[0])["max_id"] == "999"
    later = first_ask({"public": "1000"})
    assert parameters(later)["min_id"] == "1000"
    step = M.read(answer(later, [status(1002), status(1001)]), told)
    assert (step.cursor, step.cursor_at_end) == ("1002", None)
    assert parameters(step.asks[0])["min_id"] == "1002"
    assert "max_id" not in parameters(step.asks[0])
    end = M.read(answer(step.asks[0], []), told)
    assert (end.posts, end.asks, end.cursor) == ((), (), None)


def test_a_longer_id_is_newer() -> None:
    step = M.read(answer(first_ask(), [status(9999), status(10001)]), watch(HOME))
    assert step.cursor_at_end == "10001"


def test_the_copy_of_the_instance_is_taken_or_the_original() -> None:
    media = [
        attachment(1, description="Ada at the desk"),
        attachment(2, url=None, remote_url="https://far.example/2.mp4", type="video"),
    ]
    post = M.read(answer(first_ask(), [status(5, "2026-11-19T10:00:00Z", *media)]), watch(HOME)).posts[0]
    assert (post.url, post.title) == (f"{HOME}@ada/5", 'On the "stage" today')
    assert [(one.url, one.title) for one in post.media] == [
        ("https://files.social.example/original/1.jpg", "Ada at the desk"),
        ("https://far.example/2.mp4", 'On the "stage" today'),
    ]


def test_a_file_that_is_not_ready_is_asked_for_by_its_post_which_may_be_deleted_by_then() -> None:
    told, page = watch(HOME), [status(5, "2026-11-19T10:00:00Z", attachment(1, url=None, preview_url=None))]
    step = M.read(answer(first_ask({"public": "4"}), page), told)
    assert step.posts == ()
    assert step.asks[0] == Ask(f"{HOME}api/v1/statuses/5", "status", carry=f"{HOME}@ada/5")
    assert M.read(answer(step.asks[0], status(5)), told).posts[0].media
    for code in (404, 410):
        assert M.read(answer(step.asks[0], {"error": "Record not found"}, code), told).gone == (
            f"{HOME}@ada/5",
        )
    assert M.read(answer(first_ask(), {"error": "x"}, 404), told).gone == ()


def test_hashtags_are_those_of_the_source_and_of_people() -> None:
    terms = Terms(hashtags=("änna",), names=("Ada Example",), tag_key=bytes(16))
    asks = list(M.begin(watch(HOME, terms, look="terms", hashtags="concert| ada ")))
    assert [urlsplit(one.url).path.rpartition("/")[2] for one in asks] == ["concert", "ada", "%C3%A4nna"]
    assert [one.tag for one in asks[:2]] == ["hashtag concert", "hashtag ada"]
    assert asks[2].tag.startswith("term-")
    assert "local" not in parameters(asks[2])


def test_no_requests_left_are_waited_for_until_the_servers_own_time() -> None:
    given = {
        "x_ratelimit_reset": "2026-11-20T12:03:00.000000Z",
        "date": "Fri, 20 Nov 2026 12:02:20 GMT",
    }
    busy = answer(first_ask(), {"error": "Too many requests"}, 429, **given, x_ratelimit_remaining="0")
    assert M.wait_s(busy, watch(HOME)) == 40
    assert M.wait_s(answer(first_ask(), [], **given, x_ratelimit_remaining="3"), watch(HOME)) is None
    wrong = given | {"x_ratelimit_reset": "2999-01-01T00:00:00Z"}
    assert M.wait_s(answer(first_ask(), [], **wrong, x_ratelimit_remaining="0"), watch(HOME)) == 900
    assert M.wait_s(answer(first_ask(), [], x_ratelimit_remaining="0"), watch(HOME)) == 900


@pytest.mark.parametrize("body", [b"", b"<html>", {"error": "This API requires an authenticated user"}, b"["])
def test_what_is_no_timeline_has_a_code(body: Any) -> None:
    with pytest.raises(FetchWrongType):
        M.read(answer(first_ask(), body), watch(HOME))


def test_wrong_dates_and_rows_that_are_none_move_no_cursor() -> None:
    odd = [7, {}, {"id": "../1"}, status(8, "2999-01-01T00:00:00Z"), status(9, "x"), {"id": "3"}]
    for ask in (first_ask(), first_ask({"public": "2"})):
        step = M.read(answer(ask, odd), watch(HOME))
        assert (step.cursor, step.cursor_at_end, step.asks) == (None, None, ())
        assert len(step.posts) == 2
    broken = {"id": "4", "media_attachments": "x", "content": 3, "created_at": []}
    assert M.read(answer(first_ask(), [broken]), watch(HOME)).posts == ()


def test_a_timeline_without_end_ends() -> None:
    told, ask, pages = watch(HOME), first_ask(), 0
    while True:
        pages += 1
        step = M.read(answer(ask, [status(10**9 - pages)]), told)
        if not step.asks:
            break
        ask = step.asks[0]
    assert pages == FIRST_PAGES
    again = first_ask({"public": "1000"})
    assert M.read(answer(again, [status(1000), status(999)]), told).asks == ()


def test_options_that_there_are_not_are_refused() -> None:
    M.check(HOME, {"scope": "all", "look": "terms", "hashtags": "a|änna"})
    for options in ({"scope": "world"}, {"look": "x"}, {"token": "x"}, {"hashtags": "a/b"}):
        with pytest.raises(ConfigError):
            M.check(HOME, options)
