"""PeerTube, on answers in the shape of its REST API reference."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from crawlers.platforms.interfaces import Ask, Terms
from crawlers.platforms.peertube import PeerTube
from monitor.errors import ConfigError, FetchWrongType
from tests.crawlers.platforms.reading import NOW, answer, watch

TUBE = PeerTube()
HOME = "https://tube.example/"


def listed(number: int, at: str = "2026-11-19T10:00:00.000Z") -> dict[str, Any]:
    uuid = f"00000000-0000-4000-8000-{number:012d}"
    return {
        "id": number,
        "uuid": uuid,
        "name": f"video {number}",
        "publishedAt": at,
        "url": f"{HOME}videos/watch/{uuid}",
    }


def parameters(ask: Ask) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(ask.url).query))


def first_ask(**options: str) -> Ask:
    return next(iter(TUBE.begin(watch(HOME, **options))))


def test_new_videos_are_asked_for_one_by_one_until_known_ones_are_met() -> None:
    ask = first_ask()
    assert urlsplit(ask.url).path == "/api/v1/videos"
    assert parameters(ask) == {
        "sort": "-publishedAt",
        "count": "50",
        "start": "0",
        "nsfw": "both",
        "isLocal": "true",
    }
    page = {"total": 120, "data": [listed(number) for number in range(50)]}
    step = TUBE.read(answer(ask, page), watch(HOME))
    assert [one.tag for one in step.asks] == ["video"] * 50 + ["videos"]
    assert parameters(step.asks[-1])["start"] == "50"
    assert step.cursor_at_end == "2026-11-19T10:00:00+00:00"
    assert step.cursor is None
    second = TUBE.read(answer(step.asks[-1], page), watch(HOME))
    assert parameters(second.asks[-1])["start"] == "100"
    known = watch(HOME, cursors={"videos": "2026-11-19T12:00:00+00:00"})
    page["data"] = [listed(99, "2026-11-19T13:00:00.000Z"), *(listed(number) for number in range(49))]
    step = TUBE.read(answer(ask, page), known)
    assert [one.url.rpartition("-")[2] for one in step.asks] == ["000000000099"]


def test_the_file_that_shows_faces_well_enough_is_taken_with_the_preview() -> None:
    def one(lines: int, **more: Any) -> dict[str, Any]:
        return {
            "resolution": {"id": lines, "label": f"{lines}p"},
            "fileUrl": f"{HOME}static/{lines}.mp4",
        } | more

    ask = Ask(f"{HOME}api/v1/videos/1", "video", carry=f"{HOME}videos/watch/1")
    video = {
        "uuid": "1", "name": "A speech", "url": f"{HOME}videos/watch/1",
        "publishedAt": "2026-11-19T10:00:00.000Z",
        "previewPath": "/lazy-static/previews/1.jpg", "files": [],
        "streamingPlaylists": [{"id": 1, "files": [one(1080), one(720), one(240), one(0)]}],
    }  # fmt: skip
    post = TUBE.read(answer(ask, video), watch(HOME)).posts[0]
    assert (post.url, post.title) == (f"{HOME}videos/watch/1", "A speech")
    assert [link.url for link in post.media] == [f"{HOME}static/720.mp4", f"{HOME}lazy-static/previews/1.jpg"]
    video["streamingPlaylists"] = [{"files": [one(1080), one(2160)]}]
    assert TUBE.read(answer(ask, video), watch(HOME)).posts[0].media[0].url == f"{HOME}static/1080.mp4"
    video["streamingPlaylists"], video["files"] = [], [one(0)]
    assert TUBE.read(answer(ask, video), watch(HOME)).posts[0].media[0].url == f"{HOME}static/0.mp4"


def test_a_video_that_is_not_there_any_more_is_gone() -> None:
    ask = Ask(f"{HOME}api/v1/videos/1", "video", carry=f"{HOME}videos/watch/1")
    assert TUBE.read(answer(ask, {"status": 404}, 404), watch(HOME)).gone == (f"{HOME}videos/watch/1",)
    assert TUBE.read(answer(first_ask(), {"status": 404}, 404), watch(HOME)).gone == ()


def test_people_are_searched_for_by_name_and_hashtag() -> None:
    terms = Terms(names=("Ada Example",), hashtags=("ada",), tag_key=bytes(16))
    asks = list(TUBE.begin(watch(HOME, terms, look="terms", scope="all")))
    assert [urlsplit(one.url).path for one in asks] == ["/api/v1/search/videos", "/api/v1/videos"]
    assert parameters(asks[0])["search"] == "Ada Example"
    assert parameters(asks[1])["tagsOneOf"] == "ada"
    assert all(
        ("isLocal" not in parameters(one) and "da" not in one.tag[5:]) or one.tag.startswith("term-")
        for one in asks
    )


def test_an_instance_that_allows_no_more_requests_now_is_waited_for() -> None:
    left = {"x_ratelimit_limit": "50", "x_ratelimit_reset": str(int(NOW.timestamp()) + 8)}
    assert TUBE.wait_s(answer(first_ask(), {}, **left, x_ratelimit_remaining="3"), watch(HOME)) is None
    assert TUBE.wait_s(answer(first_ask(), {}, **left, x_ratelimit_remaining="0"), watch(HOME)) == 8
    far = left | {"x_ratelimit_reset": "99999999999"}
    assert TUBE.wait_s(answer(first_ask(), {}, **far, x_ratelimit_remaining="0"), watch(HOME)) == 60


@pytest.mark.parametrize("body", [b"", b"<html>", {"data": 3}, [], {"error": "x"}])
def test_what_is_no_list_has_a_code(body: Any) -> None:
    with pytest.raises(FetchWrongType):
        TUBE.read(answer(first_ask(), body), watch(HOME))


def test_rows_and_dates_that_are_none_are_passed_over() -> None:
    odd = {
        "total": "many",
        "data": [3, {}, {"uuid": "../../etc"}, listed(1, "2999-01-01T00:00:00Z"), listed(2, "x")],
    }
    step = TUBE.read(answer(first_ask(), odd), watch(HOME))
    assert [one.url.rpartition("-")[2] for one in step.asks] == ["000000000001", "000000000002"]
    assert step.cursor_at_end is None
    ask = Ask(f"{HOME}api/v1/videos/1", "video")
    assert TUBE.read(answer(ask, {"files": "x", "streamingPlaylists": [1]}), watch(HOME)).posts == ()


def test_options_that_there_are_not_are_refused() -> None:
    TUBE.check(HOME, {"scope": "all", "look": "terms"})
    for options in ({"scope": "world"}, {"look": "x"}, {"token": "x"}):
        with pytest.raises(ConfigError):
            TUBE.check(HOME, options)
