"""How any platform is walked, shown with WordPress: cursors, waiting, traps, what is written down nowhere."""

from __future__ import annotations

import json
import signal
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlmodel import select

from crawlers.tables import SourceCursor
from monitor.db import reading
from tests.crawlers.pictures import picture
from tests.crawlers.web import send

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.server import BaseHTTPRequestHandler

    from tests.crawlers.conftest import Crawls
    from tests.crawlers.web import Site

    Respond = Callable[[BaseHTTPRequestHandler, dict[str, str]], None]

POSTS, MEDIA = "/wp-json/wp/v2/posts", "/wp-json/wp/v2/media"
NOW = datetime.now(UTC).replace(microsecond=0)


def row(web: Site, number: int, at: datetime, **more: Any) -> dict[str, Any]:
    """Make one row of the media library in the documented shape."""
    return {
        "id": number,
        "link": f"{web.url}/attachment/{number}",
        "date_gmt": at.strftime("%Y-%m-%dT%H:%M:%S"),
        "modified": at.strftime("%Y-%m-%dT%H:%M:%S"),
        "title": {"rendered": f"picture {number}"},
        "source_url": f"{web.url}/{number}.png",
        "alt_text": "",
    } | more


class Blog:
    """A WordPress site's two lists, answered by `modified_after`, as the real one does it."""

    def __init__(self, web: Site, per_page: int = 100) -> None:
        self.web, self.per_page, self.media, self.posts = web, per_page, [], []
        web.any(POSTS, lambda handler, asked: self._list(handler, self.posts, asked))
        web.any(MEDIA, lambda handler, asked: self._list(handler, self.media, asked))
        self.media: list[dict[str, Any]]
        self.posts: list[dict[str, Any]]

    def upload(self, number: int, ago: timedelta) -> None:
        """Put a picture into the media library."""
        self.media.append(row(self.web, number, NOW - ago))
        self.web.page(f"/{number}.png", picture(number), "image/png")

    def _list(
        self, handler: BaseHTTPRequestHandler, rows: list[dict[str, Any]], asked: dict[str, str]
    ) -> None:
        found = sorted((one for one in rows if one["modified"] > asked["modified_after"]), key=by_change)
        send(handler, json.dumps(found[: int(asked["per_page"])]).encode(), "application/json", {})


def by_change(row: dict[str, Any]) -> str:
    return str(row["modified"])


@pytest.fixture
def blog(web: Site) -> Blog:
    return Blog(web)


def cursors(crawls: Crawls) -> dict[str, str]:
    with reading(crawls.engine) as session:
        return {one.tag: one.value for one in session.exec(select(SourceCursor))}


def asked(web: Site, path: str) -> list[dict[str, str]]:
    """Give the parameters of every request for this path."""
    queries = [urlsplit(one.path) for one in web.asked]
    return [
        {key: value[0] for key, value in parse_qs(one.query).items()} for one in queries if one.path == path
    ]


def test_what_is_new_is_taken_once_and_the_next_crawl_asks_only_after_it(
    crawls: Crawls, web: Site, blog: Blog
) -> None:
    blog.upload(1, timedelta(days=2))
    blog.upload(2, timedelta(days=1))
    crawls.add(kind="wordpress")
    report = crawls.run()
    assert (report["state"], report["media_taken"], report["lag_s"]) == ("finished", 2, None)
    origin = crawls.origins()[0]
    assert (origin.page_url, origin.title) == (f"{web.url}/attachment/1", "picture 1")
    kept = cursors(crawls)["media"]
    web.asked.clear()
    blog.upload(3, timedelta(minutes=10))
    report = crawls.run()
    assert (report["media_taken"], report["media_found"]) == (1, 2)  # the last one of before is shown again
    assert [one["modified_after"] for one in asked(web, MEDIA)] == [kept]
    assert 500 < report["lag_s"] < 500 + (datetime.now(UTC) - NOW).total_seconds() + 200
    assert "/1.png" not in web.paths()
    assert report["requests"] == len(web.asked)


def test_a_crawl_that_is_killed_repeats_and_never_skips(crawls: Crawls, web: Site, blog: Blog) -> None:
    for number in range(12):
        blog.upload(number, timedelta(days=12 - number))
    crawls.add(kind="wordpress", delay_s=0.2)
    child = crawls.start()
    while sum(path.endswith(".png") for path in web.paths()) < 5:
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=30)
    assert "media" not in cursors(crawls)  # its page was not handed over whole
    assert crawls.run()["state"] == "finished"
    assert len(crawls.items()) == 12
    assert cursors(crawls)["media"] == (NOW - timedelta(days=1, seconds=1)).strftime("%Y-%m-%dT%H:%M:%S")


def test_a_file_that_could_not_be_had_is_asked_for_again_though_no_page_shows_it(
    crawls: Crawls, web: Site, blog: Blog
) -> None:
    blog.upload(1, timedelta(days=2))
    blog.upload(2, timedelta(days=1))
    web.status("/1.png", 500)
    crawls.add(kind="wordpress")
    assert crawls.run()["dropped"] == {"fetch_failed": 1}
    web.page("/1.png", picture(1), "image/png")
    web.asked.clear()
    assert crawls.run()["media_taken"] == 1
    assert (web.paths().count("/1.png"), web.paths().count("/2.png")) == (1, 0)
    assert crawls.origins()[0].title == "picture 1"


def test_a_platform_that_limits_us_is_given_its_time_and_asked_again(
    crawls: Crawls, web: Site, blog: Blog
) -> None:
    blog.upload(1, timedelta(days=1))
    busy: list[float] = []

    def limited(handler: BaseHTTPRequestHandler, given: dict[str, str]) -> None:
        if busy:
            busy.append(time.monotonic())
            blog._list(handler, blog.media, given)
            return
        busy.append(time.monotonic())
        send_status(handler, 429, {"Retry-After": "1"})

    web.any(MEDIA, limited)
    crawls.add(kind="wordpress")
    report = crawls.run()
    assert (report["media_taken"], report["dropped"]) == (1, {"rate_limited": 1})
    assert busy[1] - busy[0] >= 1.0


def test_a_platform_that_wants_an_hour_is_left_alone_and_keeps_its_place(
    crawls: Crawls, web: Site, blog: Blog
) -> None:
    blog.upload(1, timedelta(days=1))
    web.any(MEDIA, lambda handler, _: send_status(handler, 429, {"Retry-After": "3600"}))
    web.any(POSTS, lambda handler, _: send_status(handler, 429, {"Retry-After": "3600"}))
    crawls.add(kind="wordpress")
    began = time.monotonic()
    report = crawls.run()
    assert (report["state"], report["failed_code"]) == ("failed", "rate_limited")
    assert time.monotonic() - began < 20
    assert cursors(crawls) == {}


def test_an_answer_that_is_none_has_a_code_and_the_other_line_is_read(
    crawls: Crawls, web: Site, blog: Blog
) -> None:
    blog.upload(1, timedelta(days=1))
    web.any(POSTS, lambda handler, _: send(handler, b"[" * 100_000, "application/json", {}))
    crawls.add(kind="wordpress")
    report = crawls.run()
    assert (report["state"], report["media_taken"], report["dropped"]) == (
        "finished", 1, {"fetch_wrong_type": 1},
    )  # fmt: skip
    assert set(cursors(crawls)) == {"media"}


@pytest.mark.usefixtures("blog")
def test_pages_that_never_end_are_a_trap_and_are_counted(crawls: Crawls, web: Site) -> None:
    counter = iter(range(10_000))

    def endless(handler: BaseHTTPRequestHandler, _: dict[str, str]) -> None:
        at = NOW - timedelta(days=9000) + timedelta(minutes=next(counter))
        page = json.dumps([row(web, 0, at)] * 100)
        send(handler, page.encode(), "application/json", {})

    web.page("/0.png", picture(0), "image/png")
    web.any(MEDIA, endless)
    crawls.add(kind="wordpress")
    report = crawls.run()
    assert (report["state"], report["dropped"]["trap"], report["media_taken"]) == ("finished", 1, 1)
    assert len(asked(web, MEDIA)) == 26


def test_no_more_pages_are_asked_for_than_the_source_allows_and_the_next_run_goes_on(
    crawls: Crawls, web: Site, blog: Blog
) -> None:
    for number in range(220):
        blog.media.append(row(web, number, NOW - timedelta(days=300 - number)))
    crawls.add(kind="wordpress", max_pages=3, collects="video")
    assert crawls.run()["dropped"] == {"max_pages": 1}
    assert len(asked(web, MEDIA)) == 2
    assert crawls.run()["dropped"] == {}
    assert cursors(crawls)["media"] == (NOW - timedelta(days=81, seconds=1)).strftime("%Y-%m-%dT%H:%M:%S")


def test_only_the_kinds_that_a_source_is_read_for_are_fetched(crawls: Crawls, web: Site, blog: Blog) -> None:
    blog.upload(1, timedelta(days=1))
    blog.media.append(row(web, 2, NOW, source_url=f"{web.url}/file?id=2"))
    blog.media.append(row(web, 3, NOW, source_url=f"{web.url}/song.mp3"))
    web.page("/file?id=2", b"ID3\x04" + bytes(4000), "audio/mpeg")
    crawls.add(kind="wordpress", collects="image,video")
    report = crawls.run()
    assert (report["media_taken"], report["dropped"]) == (1, {"not_collected": 1})
    assert "/song.mp3" not in web.paths()


def test_wrong_dates_are_counted_and_spoil_nothing(crawls: Crawls, web: Site, blog: Blog) -> None:
    blog.upload(1, timedelta(days=1))
    future = row(web, 2, NOW, date_gmt="2999-01-01T00:00:00", modified="2999-01-01T00:00:00")
    blog.media += [future, row(web, 3, NOW, date_gmt="0000-00-00T00:00:00", modified="never")]
    web.page("/2.png", picture(2), "image/png")
    web.page("/3.png", picture(3), "image/png")
    crawls.add(kind="wordpress")
    report = crawls.run()
    assert (report["media_taken"], report["dropped"]) == (3, {"wrong_date": 1})
    assert cursors(crawls)["media"] < NOW.strftime("%Y-%m-%dT%H:%M:%S")


def test_robots_txt_is_obeyed_unless_the_source_stands_on_another_basis(
    crawls: Crawls, web: Site, blog: Blog
) -> None:
    blog.upload(1, timedelta(days=1))
    blog.upload(2, timedelta(days=1))
    web.page("/robots.txt", "User-agent: *\nDisallow: /wp-json/\nDisallow: /2.png\n", "text/plain")
    crawls.add(kind="wordpress")
    report = crawls.run()
    assert (report["failed_code"], web.paths()) == ("robots", [])
    from crawlers.tables import Source  # noqa: PLC0415
    from monitor.db import writing  # noqa: PLC0415

    with writing(crawls.engine) as session:
        session.exec(select(Source)).one().basis = "public_api"
    report = crawls.run()
    assert (report["media_taken"], report["dropped"]) == (1, {"robots": 1})  # media obey it all the same


SECRET = "Zoë Quilliam-Fox"
TERMS = json.dumps({"names": [SECRET], "handles": ["zqf_99"], "tag_key": "ab" * 32})


def test_what_we_look_for_is_asked_for_and_written_down_nowhere(
    crawls: Crawls, web: Site, blog: Blog
) -> None:
    blog.upload(1, timedelta(days=1))
    web.any(POSTS, lambda handler, _: send(handler, b"[" + b" " * 9_000_000, "application/json", {}))
    crawls.add(kind="wordpress", options={"look": "terms"})
    report = crawls.run("--terms-on-stdin", stdin=TERMS)
    assert {one["search"] for one in asked(web, MEDIA)} == {SECRET, "zqf_99"}
    assert report["media_taken"] == 1
    kept = cursors(crawls)
    assert len(kept) == 2
    assert all(tag.startswith("term-") for tag in kept)
    everything = b"".join(one.read_bytes() for one in crawls.home.rglob("*") if one.is_file())
    everything += json.dumps(report).encode()
    for spelled in (SECRET, "Quilliam", "zqf_99", "Zo%C3%AB"):
        assert spelled.encode() not in everything
    web.asked.clear()
    crawls.run("--terms-on-stdin", stdin=TERMS)
    assert {one["modified_after"] for one in asked(web, MEDIA)} == set(kept.values())


def test_more_names_than_pages_take_turns(crawls: Crawls, blog: Blog) -> None:
    blog.upload(1, timedelta(days=1))
    crawls.add(kind="wordpress", options={"look": "terms"}, max_pages=3)
    terms = json.dumps({"names": [f"somebody {number}" for number in range(5)], "tag_key": "ab" * 32})
    report = crawls.run("--terms-on-stdin", stdin=terms)
    assert (report["pages"], report["dropped"]) == (3, {"max_pages": 7})  # two lists for each of five


def test_terms_that_are_none_end_the_crawl_and_are_not_repeated(crawls: Crawls) -> None:
    crawls.add(kind="wordpress")
    child = crawls.start("--terms-on-stdin", stdin='{"names": ["Zoë Quilliam-Fox"]}')
    _, err = child.communicate(timeout=60)
    assert child.returncode == 1
    assert err.startswith("error[config]")
    assert "Quilliam" not in err


def send_status(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": "0", **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()


TUBE = "/api/v1/videos"


def instance(web: Site, *numbers: int) -> None:
    """Make a PeerTube of so many videos, the newest first; its list has an ETag."""
    names = {number: f"00000000-0000-4000-8000-{number:012d}" for number in numbers}
    listed = [
        {"uuid": name, "publishedAt": (NOW + timedelta(minutes=number - 500)).isoformat()}
        for number, name in sorted(names.items(), reverse=True)
    ]
    listed = [one | {"url": f"{web.url}/w/{one['uuid']}"} for one in listed]
    page = json.dumps({"total": len(listed), "data": listed}).encode()
    tag = {"etag": f'"{max(numbers)}"'}
    web.any(TUBE, lambda handler, _: send(handler, page, "application/json", tag))
    for number, name in names.items():
        video = {"name": f"video {number}", "url": f"{web.url}/w/{name}", "previewPath": f"/{number}.png"}
        web.page(f"{TUBE}/{name}", json.dumps(video), "application/json")
        web.page(f"/{number}.png", picture(number), "image/png")


def detail(number: int) -> str:
    return f"{TUBE}/00000000-0000-4000-8000-{number:012d}"


def test_a_list_is_kept_at_its_place_until_each_of_its_details_was_read(crawls: Crawls, web: Site) -> None:
    instance(web, 1, 2, 3)
    web.status(detail(2), 500)
    crawls.add(kind="peertube")
    report = crawls.run()
    assert (report["media_taken"], report["dropped"], cursors(crawls)) == (2, {"fetch_failed": 1}, {})
    instance(web, 1, 2, 3)
    assert crawls.run()["media_taken"] == 1
    assert cursors(crawls) == {"videos": (NOW + timedelta(minutes=3 - 500)).isoformat()}
    web.asked.clear()
    report = crawls.run()
    assert (report["pages"], report["pages_unchanged"]) == (1, 1)  # asked "only if it has changed"
    assert len(web.paths()) == 1
    instance(web, 1, 2, 3, 4, 5)
    web.status(detail(5), 404)  # deleted between the list and the look: it holds nothing up
    report = crawls.run()
    assert (report["media_taken"], report["state"]) == (1, "finished")
    assert cursors(crawls) == {"videos": (NOW + timedelta(minutes=5 - 500)).isoformat()}
