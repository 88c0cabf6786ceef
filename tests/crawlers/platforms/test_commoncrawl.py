"""Common Crawl is asked for the hosts that were named, and only the records that its index points to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlmodel import select

from crawlers.platforms import commoncrawl as cc
from crawlers.tables import SourceCursor
from monitor.db import reading
from monitor.errors import ConfigError, FetchWrongType
from tests.crawlers.pictures import picture
from tests.crawlers.warcs import Written, ranged
from tests.crawlers.web import send

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

    from tests.crawlers.conftest import Crawls
    from tests.crawlers.web import Site

CRAWL, HOST = "CC-MAIN-2026-43", "example.org"
FILE = "crawl-data/CC-MAIN-2026-43/segments/1/warc/CC-MAIN-1-00000.warc.gz"


class Index:
    """Index and records on one server, in the documented shape; `busy` answers come first."""

    def __init__(self, web: Site, lines: list[dict[str, Any] | str], per_page: int = 3) -> None:
        """Serve it."""
        self.busy, texts = 0, [one if isinstance(one, str) else json.dumps(one) for one in lines]
        self.pages = [texts[at : at + per_page] for at in range(0, len(texts), per_page)]
        listed = [
            {"id": CRAWL, "cdx-api": f"https://index.commoncrawl.org/{CRAWL}-index"},
            {"id": "CC-MAIN-2026-39"},
        ]
        web.page("/collinfo.json", json.dumps(listed), "application/json")
        web.any(f"/{CRAWL}-index", self._answer)

    def _answer(self, handler: BaseHTTPRequestHandler, asked: dict[str, str]) -> None:
        if self.busy > 0:
            self.busy -= 1
            handler.send_response(503)
            handler.send_header("Retry-After", "0")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        assert asked["url"] == f"{HOST}/*"
        if "showNumPages" in asked:
            counted = {"pages": len(self.pages), "pageSize": 1, "blocks": 1}
            send(handler, json.dumps(counted).encode(), "application/json", {})
            return
        send(handler, "\n".join(self.pages[int(asked["page"])]).encode(), "text/x-ndjson", {})


def archive(web: Site, count: int) -> list[dict[str, Any] | str]:
    """Serve a segment of pictures and give the lines of the index that point to them."""
    made = Written()
    for number in range(count):
        made.add(f"https://{HOST}/{number}.png", picture(number))
    web.answer(f"/{FILE}", ranged(made.data))
    ends = [*made.places[1:], len(made.data)]
    return [
        {
            "urlkey": f"org,example)/{number}.png",
            "timestamp": "20260102030405",
            "url": f"https://{HOST}/{number}.png",
            "mime": "image/png",
            "status": "200",
            "length": str(end - at),
            "offset": str(at),
            "filename": FILE,
        }
        for number, (at, end) in enumerate(zip(made.places, ends, strict=True))
    ]


def cursors(crawls: Crawls) -> dict[str, str]:
    with reading(crawls.engine) as session:
        return {row.tag: row.value for row in session.exec(select(SourceCursor))}


def test_records_of_named_hosts_go_in_and_the_place_is_kept(crawls: Crawls, web: Site) -> None:
    lines = archive(web, 5)
    index = Index(web, lines)
    index.busy = 1
    crawls.add(kind="commoncrawl", options={"hosts": HOST}, max_pages=7)
    report = crawls.run()
    assert (report["state"], report["media_taken"]) == ("finished", 3), report
    assert report["dropped"] == {"rate_limited": 1, "max_pages": 1}
    assert cursors(crawls) == {f"{CRAWL} {HOST}": "1 0"}
    assert crawls.origins()[0].url == f"https://{HOST}/0.png"
    assert crawls.origins()[0].seen_at.isoformat()[:10] == "2026-01-02"
    ranges = [one.headers["Range"] for one in web.asked if one.path == f"/{FILE}"]
    assert ranges[0] == f"bytes={lines[0]['offset']}-{int(lines[0]['offset']) + int(lines[0]['length']) - 1}"  # type: ignore[index]  # a dict
    web.asked.clear()
    report = crawls.run()
    assert (report["media_taken"], cursors(crawls)) == (2, {f"{CRAWL} {HOST}": "done"})
    assert len([one for one in web.asked if one.path == f"/{FILE}"]) == 2
    web.asked.clear()
    crawls.run()
    assert web.paths() == ["/collinfo.json"]


def test_lines_that_lie_are_counted_and_lead_nowhere(crawls: Crawls, web: Site) -> None:
    good = archive(web, 2)
    first = dict(good[0])  # type: ignore[arg-type]  # a dict
    bad: list[dict[str, Any] | str] = [
        "{",
        first | {"filename": "../../etc/passwd"},
        first | {"filename": "http://169.254.169.254/crawl-data/a.warc.gz"},
        first | {"filename": "crawl-data/../../a.warc.gz"},
        first | {"length": str(2**40)},
        first | {"offset": "-1"},
        first | {"offset": "7"},
        first | {"filename": "crawl-data/none.warc.gz"},
    ]
    Index(web, [*bad, *good], per_page=20)
    crawls.add(kind="commoncrawl", options={"hosts": HOST, "crawl": CRAWL})
    report = crawls.run()
    assert (report["state"], report["media_taken"]) == ("finished", 2), report
    assert report["dropped"] == {"index_line": 6, "archive_broken": 1, "http_404": 1}
    assert {one.path.partition("?")[0] for one in web.asked} == {
        f"/{CRAWL}-index", f"/{FILE}", "/crawl-data/none.warc.gz",
    }  # fmt: skip


def test_an_index_that_stays_busy_is_left_for_the_next_run(crawls: Crawls, web: Site) -> None:
    Index(web, archive(web, 1)).busy = 99
    crawls.add(kind="commoncrawl", options={"hosts": HOST, "crawl": CRAWL})
    report = crawls.run()
    assert (report["state"], report["failed_code"]) == ("failed", "rate_limited")
    assert cursors(crawls) == {}


def test_hosts_have_to_be_named() -> None:
    for options in (
        {},
        {"hosts": "*"},
        {"hosts": "a b"},
        {"hosts": HOST, "crawl": "../x"},
        {"hosts": HOST, "x": "1"},
    ):
        with pytest.raises(ConfigError):
            cc.CommonCrawl().check(cc.INDEX, options)
    assert cc.data_of(f"{cc.INDEX}/") == cc.DATA
    for body in (b"[]", b"{", b'[{"id": "../x"}]'):
        with pytest.raises(FetchWrongType):
            cc.newest(body)
