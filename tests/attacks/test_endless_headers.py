"""A server whose headers never end, or are ten megabytes: the crawl takes a quarter of one and goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.crawlers.conftest import crawls, web, zygote
from tests.crawlers.web import send

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

    from tests.crawlers.conftest import Crawls
    from tests.crawlers.web import Site

__all__ = ["crawls", "web", "zygote"]

MOST_MEMORY = 400 * 2**20
"""Bytes. A crawl takes about 150 MB; with the headers of this server in memory it took 1.8 GB."""


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.flush_headers()
    while True:
        handler.wfile.write(b"".join(b"X-%d: " % number + b"a" * 1000 + b"\r\n" for number in range(64)))


def test_headers_that_do_not_end_are_not_read_to_their_end(crawls: Crawls, web: Site) -> None:
    many = {f"X-{number}": "a" * 1000 for number in range(10_000)}
    web.page("/", '<a href="/endless">1</a><a href="/many">2</a><a href="/long">3</a><a href="/good">4</a>')
    web.answer("/endless", endless)
    web.answer("/many", lambda handler: send(handler, b"<p>", "text/html", many))
    web.answer("/long", lambda handler: send(handler, b"<p>", "text/html", {"X": "a" * 10_000_000}))
    web.page("/good", "<p>nothing</p>")
    crawls.add()
    child, most = crawls.start(), 0
    while child.poll(0.1) is None:
        memory = [line.split() for line in Path(f"/proc/{child.pid}/status").read_text().splitlines()]
        most = max([most, *(int(line[1]) * 1024 for line in memory if line[0] == "VmHWM:")])
    child.communicate(timeout=5)
    codes = {path: row.code for path, row in crawls.seen().items()}
    assert codes == {
        "/": "taken", "/endless": "fetch_too_large", "/many": "fetch_too_large", "/long": "fetch_failed",
        "/good": "taken",
    }  # fmt: skip
    assert 0 < most < MOST_MEMORY
