"""Asks for the items that a partner pushed by their address, and for nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from crawlers.eyes import PART
from crawlers.feeds import FeedBook
from crawlers.fetch_guard import split
from crawlers.seen import MEDIA
from crawlers.spiders.media import MediaSpider
from monitor.partners import addresses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from scrapy import Request

    from crawlers.eyes import Eyes

MIDDLEWARES: Final = "DOWNLOADER_MIDDLEWARES"

BEFORE_MANNERS: Final = 90
"""Place among the middlewares: no robots.txt is asked of a host that is not the feed's."""


class OnlyItsHosts:
    """Refuses every file that is not on a host which the feed may name, each redirect again."""

    def __init__(self, eyes: Eyes) -> None:
        """Keep what the crawl shares."""
        self._rules = eyes.rules
        self._hosts = eyes.book.hosts if isinstance(eyes.book, FeedBook) else ()

    @classmethod
    def from_crawler(cls, crawler: Any) -> OnlyItsHosts:  # noqa: ANN401 - Scrapy's types are skipped
        """Build it the way Scrapy does."""
        return cls(crawler.spider.eyes)

    async def process_request(self, request: Request) -> None:
        """Let a file pass only from the feed's hosts. Raises AddressRefused."""
        if request.meta.get(PART) != MEDIA:
            return
        target = split(request.url)
        if self._rules.allow_private and (target.host, target.port) == self._rules.own:
            return
        addresses.check_fetched(request.url, self._hosts)


class FeedSpider(MediaSpider):
    """One slice of a feed (crawlers/feeds.py)."""

    name = "feeds"

    @classmethod
    def update_settings(cls, settings: Any) -> None:  # noqa: ANN401 - as above
        """Add the check of hosts to what every crawl has."""
        super().update_settings(settings)
        more = {f"{__name__}.{OnlyItsHosts.__name__}": BEFORE_MANNERS}
        settings.set(MIDDLEWARES, settings.getdict(MIDDLEWARES) | more, priority="spider")

    async def start(self) -> AsyncIterator[Request]:
        """Ask for each address once."""
        book = self.eyes.book
        for place in book.places.values() if isinstance(book, FeedBook) else ():
            for request in self.media(*place):
                yield request
