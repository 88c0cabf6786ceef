"""Walks one web site or feed: pages of its own host only, media from wherever they show it.

1. the source's own address and the sitemaps that its robots.txt names;
2. a page is asked for "only if it has changed"; unchanged, it shows what it showed before;
3. the media that it shows are asked for where the book says that it is time;
4. the pages that it leads to follow, breadth first, until depth or number of pages is used up;
5. a line of pages of one form that goes on without showing anything new is not followed for ever (`trap`).

Addresses that wait stand in a file (scratch.py); only WINDOW of them are requests at a time. So the memory
that a crawl takes does not grow with the site.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlsplit

import scrapy
from scrapy import signals
from scrapy.dupefilters import BaseDupeFilter
from scrapy.exceptions import DontCloseSpider, StopDownload
from scrapy.http import TextResponse

from crawlers import links
from crawlers.eyes import ASKED, PART
from crawlers.fetch_guard import PORTS
from crawlers.outcomes import FULL, TRAP
from crawlers.scratch import Frontier, Met
from crawlers.seen import PAGE, TAKEN, UNCHANGED, key_of
from crawlers.spiders.media import MediaSpider, validators

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from scrapy import Request
    from scrapy.http import Response

    from crawlers.eyes import Eyes
    from crawlers.spiders.media import Found

MEDIA_TYPES: Final = ("image/", "video/", "audio/")

WINDOW: Final = 64
"""Pages that are asked for or wait in Scrapy's queue at once: twice what is downloaded at once."""

BARREN: Final = 25
"""Pages of one form in a row, each led to by the one before, that may show nothing new: no file, and no page
of another form. The number is that of platform.py. A calendar without end is longer."""

NUMBER: Final = re.compile(r"-?\d+")


class SiteSpider(MediaSpider):
    """One crawl of one web site."""

    name = "site"
    window = WINDOW
    custom_settings: ClassVar[dict[str, Any]] = {"DUPEFILTER_CLASS": "crawlers.spiders.site.RedirectedOnce"}

    def __init__(self, eyes: Eyes, **kwargs: Any) -> None:  # noqa: ANN401 - Scrapy's interface
        """Prepare to walk. Raises FetchRefused when the source's address is none."""
        super().__init__(eyes, **kwargs)
        self._host = _bare(urlsplit(eyes.source.url).hostname or "")
        self.allowed_domains = [self._host]
        self._pages_left = eyes.source.max_pages
        self.pages_met, self._frontier, self.under_way = Met(), Frontier(), 0
        self._sitemaps_read: set[str] = set()

    @classmethod
    def from_crawler(cls, crawler: Any, *args: Any, **kwargs: Any) -> SiteSpider:  # noqa: ANN401 - Scrapy's
        """Build it the way Scrapy does."""
        spider: SiteSpider = super().from_crawler(crawler, *args, **kwargs)
        crawler.signals.connect(spider.go_on, signals.spider_idle)
        return spider

    async def start(self) -> AsyncIterator[Request]:
        """Begin with the source's own address."""
        self._meet(self.eyes.source.url, depth=0, barren=0)
        for request in self._next():
            yield request

    def go_on(self) -> None:
        """Ask for more where nothing is under way: whatever ended without a word is not waited for."""
        self.under_way = 0
        for request in self._next():
            self.crawler.engine.crawl(request)
        if self.under_way:
            raise DontCloseSpider

    def _meet(self, url: str, depth: int, barren: int) -> bool:
        """Put a page down to be asked for, each once. False where it is none of ours or not new."""
        if not self._is_ours(url) or not self.pages_met.add(key_of(url)):
            return False
        if barren >= BARREN:
            self.eyes.tally.dropped[TRAP] += 1
        elif self._pages_left <= 0:
            self.eyes.tally.dropped[FULL] += 1
        else:
            self._pages_left -= 1
            self._frontier.put(url, depth, barren)
        return True

    def _next(self) -> Iterator[Request]:
        """Ask for what waits, as far as there is room."""
        for url, depth, barren in self._frontier.take(self.window - self.under_way):
            self.under_way += 1
            yield self._page(url, depth, barren)

    def _page(self, url: str, depth: int, barren: int) -> Request:
        return scrapy.Request(
            url,
            self.read_page,
            headers=self.eyes.book.ask(url, PAGE),
            errback=self.page_failed,
            meta={PART: PAGE, ASKED: url, "handle_httpstatus_list": [HTTPStatus.NOT_MODIFIED]},
            cb_kwargs={"depth": depth, "barren": barren},
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

    def read_page(self, response: Response, depth: int, barren: int) -> Found:
        """Read what a page shows, or remember it where it has not changed."""
        self.under_way -= 1
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
        yield from self._follow(shows, url, depth, barren)

    def _follow(self, shows: links.Shows, page_url: str, depth: int, barren: int) -> Found:
        before = self.eyes.tally.media_found
        for link in shows.media:
            yield from self.media(link.url, page_url, link.title or shows.title)
        for sitemap in {one for found in self.sitemaps.values() for one in found} - self._sitemaps_read:
            self._sitemaps_read.add(sitemap)
            self._meet(sitemap, depth=0, barren=0)
        if depth < self.eyes.source.depth:
            found = self.eyes.tally.media_found > before
            self._lead_on(shows, page_url, depth, 0 if found else barren + 1)
        yield from self._next()

    def _lead_on(self, shows: links.Shows, page_url: str, depth: int, barren: int) -> None:
        """Put down where a page leads. Pages of its own form share its count, unless it showed others."""
        own = form_of(page_url)
        alike = []
        for url in shows.pages:
            if form_of(url) == own:
                alike.append(url)
            elif self._meet(url, depth + 1, 0):
                barren = 0
        for url in alike:
            self._meet(url, depth + 1, barren)

    def page_failed(self, failure: Any) -> Iterator[Request]:  # noqa: ANN401 - Twisted's Failure
        """Note why a page gave nothing. One that is a file of media by its type is taken as such."""
        request, error = failure.request, failure.value
        self.under_way -= 1
        url = request.meta[ASKED]
        if isinstance(error, StopDownload) and _is_media(error.response):
            yield from self.media(url, url, "")
        else:
            self.note(url, PAGE, error)
        yield from self._next()


class RedirectedOnce(BaseDupeFilter):  # type: ignore[misc]  # Scrapy's types are skipped
    """Drops a page that an address leads to and that was met before. The spider itself meets none twice."""

    def __init__(self, spider: SiteSpider) -> None:
        """Keep the spider, which knows what was met."""
        self._spider = spider

    @classmethod
    def from_crawler(cls, crawler: Any) -> RedirectedOnce:  # noqa: ANN401 - Scrapy's interface
        """Build it the way Scrapy does."""
        return cls(crawler.spider)

    def request_seen(self, request: Request) -> bool:
        """Say whether it was. A page that leads to itself is asked for, until it has done so too often."""
        hops = request.meta.get("redirect_urls", ())
        if not hops or request.url in hops or self._spider.pages_met.add(key_of(request.url)):
            return False
        self._spider.under_way -= 1
        return True


def form_of(url: str) -> str:
    """Give the form of an address: its numbers all alike, and each part of its path once.

    So a calendar has one form, and a path that grows by the same part for ever has one too.
    """
    parts = urlsplit(NUMBER.sub("0", url))
    return "/".join(dict.fromkeys(parts.path.split("/"))) + "?" + parts.query


def _bare(host: str) -> str:
    return host.lower().rstrip(".").removeprefix("www.")


def _is_media(response: Response | None) -> bool:
    kind = b"" if response is None else response.headers.get("Content-Type") or b""
    return kind.decode("latin-1").lower().startswith(MEDIA_TYPES)
