"""WordPress, on answers in the shape of its REST API Handbook. test_walk.py walks it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from crawlers.platforms.interfaces import Ask
from crawlers.platforms.wordpress import WordPress
from monitor.errors import ConfigError, FetchWrongType
from tests.crawlers.platforms.reading import answer, watch

BLOG = "https://blog.example/journal/"
PRESS = WordPress()


def post(number: int, changed: str = "2026-11-01T10:00:00", content: str = "") -> dict[str, Any]:
    return {
        "id": number, "date_gmt": "2026-11-01T09:00:00", "modified": changed, "link": f"{BLOG}{number}/",
        "title": {"rendered": "A <b>day</b>"}, "content": {"rendered": content, "protected": False},
    }  # fmt: skip


def parameters(ask: Ask) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(ask.url).query))


def first_ask() -> Ask:
    return next(iter(PRESS.begin(watch(BLOG))))


def test_pictures_of_a_post_are_taken_as_they_were_uploaded() -> None:
    content = (
        '<p><img src="/wp-content/uploads/2026/11/face-300x200.jpg" alt="me"><video src="https://cdn.example/a-640x360.mp4">'
        "</video></p>"
    )
    step = PRESS.read(answer(first_ask(), [post(1, content=content)]), watch(BLOG))
    assert [(one.url, one.title) for one in step.posts[0].media] == [
        ("https://blog.example/wp-content/uploads/2026/11/face.jpg", "me"),
        ("https://cdn.example/a-640x360.mp4", ""),
    ]
    assert step.cursor == "2026-11-01T09:59:59"
    assert step.asks == ()


def test_both_lists_are_read_below_the_address_of_the_site_from_their_cursors() -> None:
    asks = list(PRESS.begin(watch(BLOG, cursors={"media": "2026-11-01T09:59:59"})))
    assert [urlsplit(one.url).path for one in asks] == [
        "/journal/wp-json/wp/v2/posts",
        "/journal/wp-json/wp/v2/media",
    ]
    assert [parameters(one)["modified_after"] for one in asks] == [
        "1970-01-01T00:00:00",
        "2026-11-01T09:59:59",
    ]


def test_a_full_page_leads_on_by_time_and_within_one_second_by_number() -> None:
    told, ask = watch(BLOG), first_ask()
    rows = [post(number, f"2026-11-01T10:{number // 60:02d}:{number % 60:02d}") for number in range(100)]
    by_time = PRESS.read(answer(ask, rows, x_wp_totalpages="3"), told).asks[0]
    assert parameters(by_time)["modified_after"] == "2026-11-01T10:01:38"
    rows = [post(number, "2026-11-01T10:01:39") for number in range(100)]
    same = PRESS.read(answer(by_time, rows, x_wp_totalpages="3"), told).asks[0]
    assert (parameters(same)["modified_after"], parameters(same)["page"]) == ("2026-11-01T10:01:38", "2")
    third = PRESS.read(answer(same, rows, x_wp_totalpages="3"), told).asks[0]
    assert parameters(third)["page"] == "3"
    assert PRESS.read(answer(third, rows, x_wp_totalpages="3"), told).asks == ()


@pytest.mark.parametrize("body", [b"", {"code": "rest_forbidden"}, b"null", b"[" * 99_999])
def test_what_is_no_list_has_a_code(body: Any) -> None:
    with pytest.raises(FetchWrongType):
        PRESS.read(answer(first_ask(), body), watch(BLOG))


def test_rows_that_are_none_are_passed_over() -> None:
    step = PRESS.read(answer(first_ask(), [1, None, {"content": 3, "title": [], "modified": 9}]), watch(BLOG))
    assert [one.media for one in step.posts] == [()]
    assert step.cursor is None


def test_options_that_there_are_not_are_refused() -> None:
    PRESS.check(BLOG, {"look": "terms"})
    with pytest.raises(ConfigError):
        PRESS.check(BLOG, {"password": "x"})
