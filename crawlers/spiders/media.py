"""What every walk has in common: media are asked for where it is time, handed over, and noted."""

from __future__ import annotations

from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import scrapy

from crawlers.eyes import ASKED, KEPT, PART, WHOLE, Eyes
from crawlers.items import MediaFound
from crawlers.links import PLAYLIST, ending, kind_by_ending
from crawlers.outcomes import outcome_of
from crawlers.playlists import MOST_BYTES
from crawlers.scratch import Met
from crawlers.seen import LONGEST_VALIDATOR, MEDIA, UNCHANGED, key_of
from crawlers.segments import Films
from monitor.errors import FetchError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from datetime import datetime

    from scrapy import Request
    from scrapy.http import Response

    from monitor.intake import Kept

    Found = Iterator[Request | MediaFound]

MEDIA_FIRST: Final = 100
"""Priority of media above pages: a crawl that is cut short has taken what it has seen."""


class MediaSpider(scrapy.Spider):  # type: ignore[misc]  # Scrapy's types are skipped
    """One crawl of one source. Everything it needs comes in `eyes`."""

    def __init__(self, eyes: Eyes, **kwargs: Any) -> None:  # noqa: ANN401 - Scrapy's interface
        """Prepare to walk."""
        super().__init__(**kwargs)
        self.eyes = eyes
        self.sitemaps: dict[str, tuple[str, ...]] = {}
        self._collected = frozenset(eyes.source.collects.split(","))
        self._media_met = Met()

    def media(
        self, url: str, page_url: str, title: str, changed_at: datetime | None = None
    ) -> Iterator[Request]:
        """Ask for a file, each once in a crawl, if the source is read for its kind and it is time.

        It always is for a file that its platform says was changed after we looked.
        """
        kind, key = kind_by_ending(url), key_of(url)
        if (kind and kind not in self._collected) or not self._media_met.add(key):
            return
        self.eyes.tally.media_found += 1
        conditions = self.eyes.book.ask(url, MEDIA, changed_at)
        if conditions is None:
            self.eyes.tally.media_known += 1
            return
        is_list = ending(url) == PLAYLIST
        yield scrapy.Request(
            url,
            self.read_playlist if is_list else self.read_media,
            headers=conditions,
            errback=self.media_failed,
            meta={
                PART: MEDIA,
                ASKED: url,
                "allow_offsite": True,
                "handle_httpstatus_list": [HTTPStatus.NOT_MODIFIED],
                **({WHOLE: MOST_BYTES} if is_list else {}),
            },
            cb_kwargs={"page_url": page_url, "title": title},
            priority=MEDIA_FIRST,
            dont_filter=True,  # _media_met is the filter; a page that turned out to be media comes twice
        )

    def read_media(self, response: Response, page_url: str, title: str) -> Iterator[MediaFound]:
        """Hand a file to the pipeline, or note that it has not changed."""
        url = response.meta[ASKED]
        if response.status == HTTPStatus.NOT_MODIFIED:
            self.eyes.tally.media_unchanged += 1
            self.eyes.book.looked(url, MEDIA, UNCHANGED)
            return
        kept: Kept = response.meta[KEPT]
        self.eyes.tally.bytes_fetched += kept.size_bytes
        yield MediaFound(url, page_url, title, kept, **validators(response))

    async def read_playlist(self, response: Response, page_url: str, title: str) -> AsyncIterator[MediaFound]:
        """Fetch the film that a playlist names and hand it to the pipeline: pictures, and sound where apart.

        A playlist that has not changed names the film that was looked at.
        """
        url = response.meta[ASKED]
        if response.status == HTTPStatus.NOT_MODIFIED:
            self.eyes.tally.media_unchanged += 1
            self.eyes.book.looked(url, MEDIA, UNCHANGED)
            return
        try:
            async for place, kept in self._films.of(response, page_url, title):
                self.eyes.tally.bytes_fetched += kept.size_bytes
                first = validators(response) if place == url else {"etag": None, "last_modified": None}
                yield MediaFound(place, page_url, title, kept, **first)
        except Exception as exc:  # noqa: BLE001 - edge: whatever went wrong with a segment, it is noted
            self.note(url, MEDIA, exc, page_url=page_url, title=title)

    @cached_property
    def _films(self) -> Films:
        return Films(self.crawler, self.eyes)

    def media_failed(self, failure: Any) -> None:  # noqa: ANN401 - Twisted's Failure
        """Note why a file was not fetched."""
        request = failure.request
        self.note(request.meta[ASKED], MEDIA, failure.value, **request.cb_kwargs)

    def note(self, url: str, part: str, error: BaseException, **where: str) -> None:
        """Count what went wrong and keep it with the address."""
        code, reason = outcome_of(error)
        self.eyes.tally.dropped[code] += 1
        self.eyes.book.failed(url, part, code, reason, **where)
        if isinstance(error, FetchError):
            self.logger.info("not fetched: %s (%s)", url, code)


def validators(response: Response) -> dict[str, str | None]:
    """Give ETag and Last-Modified of a response, where they are of a sane length."""
    found = {"etag": response.headers.get("ETag"), "last_modified": response.headers.get("Last-Modified")}
    kept = {name: value.decode("latin-1") for name, value in found.items() if value}
    return {
        name: kept[name] if name in kept and len(kept[name]) <= LONGEST_VALIDATOR else None for name in found
    }
