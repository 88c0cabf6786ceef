"""Sites that are slow, endless, broken or lying: each gives a code, and nothing else is disturbed."""

from __future__ import annotations

import json
import resource
from typing import TYPE_CHECKING

from crawlers.lease import take
from monitor.blobs import BlobStore
from tests.crawlers.pictures import gallery, picture
from tests.crawlers.web import endless, silence, slowly

if TYPE_CHECKING:
    from tests.crawlers.conftest import Crawls
    from tests.crawlers.web import Site


def test_each_bad_file_gets_its_code_and_the_good_one_is_taken(crawls: Crawls, web: Site) -> None:
    names = [
        "good",
        "slow",
        "endless",
        "large",
        "page",
        "moved",
        "circle",
        "missing",
        "broken",
        "empty",
        "svg",
    ]
    web.page("/", "".join(f'<img src="/{name}.png">' for name in names))
    web.page("/good.png", picture(1), "image/png")
    web.answer("/slow.png", slowly(30))
    web.answer("/endless.png", endless(picture(2), "image/png"))
    web.page("/large.png", picture(3) + bytes(2_000_000), "image/png")
    web.page("/page.png", "<html>not a picture</html>")
    web.redirect("/moved.png", "/good.png")
    web.redirect("/circle.png", "/circle.png")
    web.status("/broken.png", 500)
    web.page("/empty.png", b"", "image/png")
    web.page("/svg.png", '<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml")
    crawls.add()
    report = crawls.run()
    seen = {path.strip("/").removesuffix(".png"): row.code for path, row in crawls.seen().items()}
    assert seen == {
        "": "taken", "good": "taken", "slow": "fetch_timeout", "endless": "fetch_too_large",
        "large": "fetch_too_large", "page": "fetch_wrong_type", "moved": "taken", "circle": "fetch_refused",
        "missing": "http_404", "broken": "fetch_failed", "empty": "empty", "svg": "fetch_wrong_type",
    }  # fmt: skip
    assert report["state"] == "finished"
    assert report["dropped"]["fetch_wrong_type"] == 2
    assert len(crawls.items()) == 1
    assert web.paths().count("/broken.png") == 2  # a server's failure is tried once more, at once
    web.asked.clear()
    crawls.run()
    assert sorted(set(web.paths())) == ["/", "/broken.png", "/slow.png"]  # and those that may pass, next time


def test_a_page_that_is_too_large_or_no_page_is_not_read(crawls: Crawls, web: Site) -> None:
    web.page("/", '<a href="/huge">1</a><a href="/program">2</a><a href="/photo">3</a>')
    web.answer("/huge", endless(b"<html>", "text/html"))
    web.answer("/program", endless(b"MZ", "application/x-msdownload"))
    web.page("/photo", picture(1), "image/png")
    crawls.add()
    crawls.run()
    codes = {path: row.code for path, row in crawls.seen().items()}
    assert codes == {
        "/": "taken",
        "/huge": "fetch_too_large",
        "/program": "fetch_wrong_type",
        "/photo": "taken",
    }
    assert len(crawls.items()) == 1  # a link that leads to a picture is a picture


def test_a_host_whose_robots_txt_times_out_is_left_alone_in_this_run(crawls: Crawls, web: Site) -> None:
    web.answer("/robots.txt", silence(30))
    web.page("/", gallery(1))
    crawls.add()
    report = crawls.run()
    assert (report["state"], report["failed_code"]) == ("failed", "robots_unreadable")
    assert report["refused_hosts"] == {web.url: "the server was too slow"}
    assert web.paths() == []
    web.page("/robots.txt", "", "text/plain")
    web.page("/0.png", picture(1), "image/png")
    assert crawls.run()["media_taken"] == 1


def test_a_robots_txt_that_fails_is_no_permission(crawls: Crawls, web: Site) -> None:
    web.status("/robots.txt", 503)
    web.page("/", gallery(1))
    crawls.add()
    assert crawls.run()["failed_code"] == "robots_unreadable"
    assert web.paths() == []


def test_what_robots_txt_forbids_is_not_asked_for_pages_and_media_alike(crawls: Crawls, web: Site) -> None:
    rules = "User-agent: likenesswatch\nDisallow: /private/\nDisallow: /secret.png\n"
    web.page("/robots.txt", rules, "text/plain")
    web.page("/", '<a href="/private/a">a</a><img src="/secret.png"><img src="/0.png"><img src="/to.png">')
    web.redirect("/to.png", "/secret.png")
    web.page("/0.png", picture(1), "image/png")
    web.page("/secret.png", picture(2), "image/png")
    crawls.add()
    report = crawls.run()
    assert sorted(web.paths()) == ["/", "/0.png", "/to.png"]
    assert report["dropped"] == {"robots": 3}


def test_a_full_disk_stops_no_crawl_and_the_file_is_taken_next_time(crawls: Crawls, web: Site) -> None:
    web.page("/", gallery(2))
    web.page("/0.png", picture(0) + bytes(3_000_000), "image/png")
    web.page("/1.png", picture(1), "image/png")
    crawls.add()
    child = crawls.start(LIKENESS_FETCH_MAX_BYTES="4000000")
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))  # no file grows past this
    report = json.loads(child.communicate(timeout=60)[0])
    assert (report["state"], report["dropped"], report["media_taken"]) == ("finished", {"storage_full": 1}, 1)
    assert crawls.seen()["/0.png"].code == "storage_full"
    report = crawls.run(LIKENESS_FETCH_MAX_BYTES="4000000")
    assert (report["media_taken"], report["media_known"]) == (1, 1)
    assert len(list(BlobStore(crawls.home / "blobs").ids())) == 2


def test_a_source_under_crawl_is_not_crawled_twice(crawls: Crawls, web: Site) -> None:
    source = crawls.add()
    assert take(crawls.engine, f"crawl:{source.id}", "elsewhere:1")
    child = crawls.start()
    _, err = child.communicate(timeout=60)
    assert (child.returncode, web.asked) == (1, [])
    assert err.startswith("error[lease_lost]")


def test_a_crawler_that_names_nobody_does_not_crawl(crawls: Crawls, web: Site) -> None:
    crawls.add()
    child = crawls.start(LIKENESS_CRAWL_CONTACT="")
    _, err = child.communicate(timeout=60)
    assert (child.returncode, web.asked) == (1, [])
    assert err.startswith("error[config]: LIKENESS_CRAWL_CONTACT")
