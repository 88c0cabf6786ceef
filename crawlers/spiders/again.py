"""Asks for files that were seen before, and for nothing else: no page, no search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crawlers.eyes import ASKED
from crawlers.spiders.media import MediaSpider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from scrapy import Request

    from crawlers.eyes import Eyes
    from crawlers.retro import Pointer


class AgainSpider(MediaSpider):
    """One slice of a second look (retro.py)."""

    name = "again"

    def __init__(self, eyes: Eyes, asked: list[Pointer], moved_on: set[str], **kwargs: Any) -> None:  # noqa: ANN401 - Scrapy's
        """Keep what is asked for, and where else each thing stood. `moved_on` gets what failed on the way."""
        super().__init__(eyes, **kwargs)
        self._moved_on = moved_on
        self._asked = asked
        self._elsewhere = {
            place[0]: one.places[number + 1 :] for one in asked for number, place in enumerate(one.places)
        }

    async def start(self) -> AsyncIterator[Request]:
        """Ask for each item at its newest address."""
        for one in self._asked:
            for request in self.media(*one.places[0]):
                yield request

    def media_failed(  # type: ignore[override]  # Scrapy takes what an errback yields
        self,
        failure: Any,  # noqa: ANN401 - Twisted's Failure
    ) -> Iterator[Request]:
        """Note why a file was not fetched, and try where else it stood."""
        url = failure.request.meta[ASKED]
        places = self._elsewhere.get(url, ())[:1]
        if places:
            self._moved_on.add(url)
        super().media_failed(failure)
        for place in places:
            yield from self.media(*place)
