"""`likeness source test`: one page is looked at the way a crawl does it, and nothing is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from sqlmodel import select

from crawlers.tables import CrawlRun, SeenUrl, Source
from monitor.db import reading
from monitor.tables import MediaItem
from tests.crawlers.pictures import gallery, picture

if TYPE_CHECKING:
    from tests.crawlers.conftest import Crawls
    from tests.crawlers.web import Site


def tried(crawls: Crawls, *arguments: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-W", "error", "-m", "monitor.cli", "source", "test", "--json", *arguments]
    done = subprocess.run(
        command, env=crawls.environment(), capture_output=True, text=True, timeout=90, check=False
    )
    assert done.stdout, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, said


def test_one_page_is_asked_for_and_the_rest_is_listed(crawls: Crawls, web: Site) -> None:
    web.page("/", '<a href="/next.html">more</a><a href="https://elsewhere.example/">no</a>' + gallery(3))
    web.page("/0.png", picture(0), "image/png")
    status, said = tried(crawls, web.url + "/", "--allow-http", "--allow-private")
    assert status == 0
    assert web.paths() == ["/"]
    assert [one["url"] for one in said["media"]] == [f"{web.url}/{number}.png" for number in range(3)]
    assert said["asks"] == [f"{web.url}/next.html"]
    assert (said["status"], said["code"]) == (200, None)
    with reading(crawls.engine) as session:
        for table in (Source, SeenUrl, CrawlRun, MediaItem):
            assert session.exec(select(table)).all() == []


def test_a_source_whose_robots_txt_says_no_is_not_asked_in_a_trial_either(crawls: Crawls, web: Site) -> None:
    web.page("/robots.txt", "User-agent: *\nDisallow: /\n", "text/plain")
    crawls.add()
    status, said = tried(crawls, "local")
    assert status == 1
    assert web.paths() == []
    assert (said["code"], said["notes"]) == ("robots", {"robots": 1})
