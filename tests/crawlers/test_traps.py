"""Sites that lead on without end, and what is told of them: each ends, the rest of the site is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawlers.spiders.site import BARREN, form_of
from tests.crawlers.pictures import picture
from tests.crawlers.web import send

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

    from tests.crawlers.conftest import Crawls
    from tests.crawlers.web import Site


def calendar(web: Site, days: str = "") -> None:
    """Serve months without end beside a page with a picture."""

    def month(handler: BaseHTTPRequestHandler, asked: dict[str, str]) -> None:
        number = int(asked["month"])
        links = (
            f'<a href="/calendar?month={number + 1}">next</a><a href="/calendar?month={number - 1}">back</a>'
        )
        send(handler, (links + days.format(number)).encode(), "text/html", {})

    web.any("/calendar", month)
    web.any("/day", lambda handler, _: send(handler, b"nothing on this day", "text/html", {}))
    web.page("/", '<a href="/calendar?month=0">calendar</a><a href="/about">about</a>')
    web.page("/about", '<a href="/people">people</a>')
    web.page("/people", '<img src="/0.png">')
    web.page("/0.png", picture(0), "image/png")


def test_a_calendar_without_end_is_left_and_the_rest_is_read(crawls: Crawls, web: Site) -> None:
    calendar(web)
    crawls.add(max_pages=500, depth=500)
    report = crawls.run()
    months = [path for path in web.paths() if path.startswith("/calendar")]
    assert (report["state"], report["media_taken"], report["dropped"]) == ("finished", 1, {"trap": 2})
    assert len(months) == 1 + 2 * (BARREN - 1)  # both ways through time
    assert len(set(months)) == len(months)


def test_a_calendar_that_always_shows_new_days_ends_with_the_pages_allowed(crawls: Crawls, web: Site) -> None:
    calendar(web, '<a href="/day?d={0}-a">a</a><a href="/day?d={0}-b">b</a>')
    crawls.add(max_pages=40, depth=500)
    report = crawls.run()
    assert (report["state"], report["pages"], report["media_taken"]) == ("finished", 40, 1)
    assert report["dropped"]["max_pages"] > 0


def test_a_path_that_grows_by_itself_is_one_form() -> None:
    assert form_of("http://a.example/x/b/b/b/12") == form_of("http://a.example/x/b/b/7")
    assert form_of("http://a.example/x?month=3") == form_of("http://a.example/x?month=44")
    assert form_of("http://a.example/x") != form_of("http://a.example/y")


def test_of_a_robots_txt_of_ten_megabytes_the_first_half_is_obeyed(crawls: Crawls, web: Site) -> None:
    rules = b"User-agent: *\nDisallow: /first/\n" + b"# nothing\n" * 45_000 + b"Disallow: /late/\n"
    assert 450_000 < len(rules) < 500 * 1024  # RFC 9309, 2.5: at least 500 KiB are read
    web.page("/robots.txt", rules + b"# nothing\n" * 1_000_000, "text/plain")
    web.page("/", '<a href="/first/a">1</a><a href="/late/a">2</a><a href="/open">3</a>')
    web.page("/open", "open")
    crawls.add()
    report = crawls.run()
    assert (report["state"], report["dropped"], report["refused_hosts"]) == ("finished", {"robots": 2}, {})
    assert sorted(web.paths()) == ["/", "/open"]


def test_pages_that_lead_in_a_circle_are_left(crawls: Crawls, web: Site) -> None:
    web.page("/", '<a href="/a">a</a><a href="/self">self</a><a href="/home">home</a><a href="/end">end</a>')
    web.redirect("/a", "/b")
    web.redirect("/b", "/a")
    web.redirect("/self", "/self")
    web.redirect("/home", "/")  # leads to what was read: not read twice
    web.page("/end", '<img src="/0.png">')
    web.page("/0.png", picture(0), "image/png")
    crawls.add()
    report = crawls.run()
    assert (report["state"], report["media_taken"], report["pages"]) == ("finished", 1, 2)
    assert report["dropped"] == {"fetch_refused": 2}
    assert web.paths().count("/") == 1
