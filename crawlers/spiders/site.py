"""Walks one web site or feed: pages of its own host only, media from wherever they show it.

1. the source's own address and the sitemaps that its robots.txt names;
2. a page is asked for "only if it has changed"; unchanged, it shows what it showed before;
3. the media that it shows are asked for where the book says that it is time;
4. the pages that it leads to follow, breadth first, until depth or number of pages is used up.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import scrapy
from scrapy.exceptions import StopDownload
from scrapy.http import TextResponse

from crawlers import links
from crawlers.eyes import ASKED, PART
from crawlers.fetch_guard import PORTS
from crawlers.seen import PAGE, TAKEN, UNCHANGED, key_of
from crawlers.spiders.media import MediaSpider, validators

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from scrapy import Request
    from scrapy.http import Response

    from crawlers.eyes import Eyes
    from crawlers.spiders.media import Found

MEDIA_TYPES: Final = ("image/", "video/", "audio/")


class SiteSpider(MediaSpider):
    """One crawl of one web site."""

    name = "site"

    def __init__(self, eyes: Eyes, **kwargs: Any) -> None:  # noqa: ANN401 - Scrapy's interface
        """Prepare to walk. Raises FetchRefused when the source's address is none."""
        super().__init__(eyes, **kwargs)
        self._host = _bare(urlsplit(eyes.source.url).hostname or "")
        self.allowed_domains = [self._host]
        self._pages_left = eyes.source.max_pages
        self._pages_asked: set[str] = set()

    async def start(self) -> AsyncIterator[Request]:
        """Begin with the source's own address."""
        for request in self._page(self.eyes.source.url, depth=0):
            yield request

    def _page(self, url: str, depth: int) -> Iterator[Request]:
        key = key_of(url)
        if key in self._pages_asked or self._pages_left <= 0 or not self._is_ours(url):
            return
        self._pages_asked.add(key)
        self._pages_left -= 1
        yield scrapy.Request(
            url,
            self.read_page,
            headers=self.eyes.book.ask(url, PAGE),
            errback=self.page_failed,
            meta={PART: PAGE, ASKED: url, "handle_httpstatus_list": [HTTPStatus.NOT_MODIFIED]},
            cb_kwargs={"depth": depth},
            priority=-depth,
        )

    def _is_ours(self, url: str) -> bool:
        parts = urlsplit(url)
        try:
            port = parts.port or PORTS.get(parts.scheme)
        except ValueError:
            return False
        ports = {*PORTS.values(), self.eyes.rules.own[1] if self.eyes.rules.own else None}
        return _bare(parts.hostname or "") == self._host and port in ports

    def read_page(self, response: Response, depth: int) -> Found:
        """Read what a page shows, or remember it where it has not changed."""
        url = response.meta[ASKED]
        if response.status == HTTPStatus.NOT_MODIFIED:
            shows = links.Shows.unpack(self.eyes.book.shows(url) or links.Shows().pack())
            self.eyes.tally.pages_unchanged += 1
            self.eyes.book.looked(url, PAGE, UNCHANGED)
        else:
            encoding = response.encoding if isinstance(response, TextResponse) else None
            kind = (response.headers.get("Content-Type") or b"").decode("latin-1")
            shows = links.read(response.body, response.url, kind, encoding)
            self.eyes.tally.bytes_fetched += len(response.body)
            self.eyes.book.looked(
                url, PAGE, TAKEN, shows=shows.pack(), title=shows.title, **validators(response)
            )
        self.eyes.tally.pages += 1
        yield from self._follow(shows, url, depth)

    def _follow(self, shows: links.Shows, page_url: str, depth: int) -> Found:
        for link in shows.media:
            yield from self.media(link.url, page_url, link.title or shows.title)
        for sitemap in (one for found in self.sitemaps.values() for one in found):
            yield from self._page(sitemap, depth=0)
        if depth < self.eyes.source.depth:
            for url in shows.pages:
                yield from self._page(url, depth + 1)

    def page_failed(self, failure: Any) -> Iterator[Request]:  # noqa: ANN401 - Twisted's Failure
        """Note why a page gave nothing. One that is a file of media by its type is taken as such."""
        request, error = failure.request, failure.value
        url = request.meta[ASKED]
        if isinstance(error, StopDownload) and _is_media(error.response):
            yield from self.media(url, url, "")
            return
        self.note(url, PAGE, error)


def _bare(host: str) -> str:
    return host.lower().rstrip(".").removeprefix("www.")


def _is_media(response: Response | None) -> bool:
    kind = b"" if response is None else response.headers.get("Content-Type") or b""
    return kind.decode("latin-1").lower().startswith(MEDIA_TYPES)
