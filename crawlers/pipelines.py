"""Puts fetched media through the one door in, in threads, and notes how it went."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from scrapy.exceptions import DropItem
from sqlalchemy.exc import OperationalError

from crawlers.eyes import Eyes
from crawlers.items import Archived
from crawlers.seen import MEDIA, TAKEN
from monitor.errors import LikenessError, StorageError
from monitor.intake import submit_kept

if TYPE_CHECKING:
    from crawlers.items import MediaFound
    from monitor.intake import Submitted

DOOR_THREADS: Final = 4
"""Items put in at once: each waits for the disk to say that it is written."""


class TakeMedia:
    """The only pipeline. An item that cannot be put in is dropped with a code; the crawl goes on."""

    def __init__(self, eyes: Eyes) -> None:
        """Keep what the crawl shares."""
        self._eyes = eyes
        self._threads = ThreadPoolExecutor(DOOR_THREADS, thread_name_prefix="door")

    @classmethod
    def from_crawler(cls, crawler: Any) -> TakeMedia:  # noqa: ANN401 - Scrapy's types are skipped
        """Build it the way Scrapy does."""
        return cls(crawler.spider.eyes)

    async def process_item(self, item: MediaFound) -> MediaFound:
        """Put one file in. Raises DropItem with the code of what went wrong."""
        try:
            loop = asyncio.get_running_loop()
            submitted = await loop.run_in_executor(self._threads, self._submit, item)
        except LikenessError as exc:
            self._eyes.tally.dropped[exc.code] += 1
            where = {"page_url": item.page_url, "title": item.title}
            self._eyes.book.failed(item.url, MEDIA, exc.code, exc.message, **where)
            raise DropItem(exc.code) from exc
        self._note(item, submitted)
        return item

    def _submit(self, item: MediaFound) -> Submitted:
        try:
            origin = self._eyes.origin(item.url, item.page_url, item.title)
            if isinstance(item, Archived) and item.seen_at is not None:
                origin = replace(origin, seen_at=item.seen_at)
            return submit_kept(item.kept, origin, self._eyes.door)
        except OperationalError as exc:
            msg = "the database did not take the item"
            raise StorageError(msg) from exc

    def _note(self, item: MediaFound, submitted: Submitted) -> None:
        tally = self._eyes.tally
        if submitted.seen_before:
            tally.media_known += 1
        else:
            tally.media_taken += 1
        self._eyes.book.looked(
            item.url,
            MEDIA,
            TAKEN,
            page_url=item.page_url,
            title=item.title,
            etag=item.etag,
            last_modified=item.last_modified,
            sha256=item.kept.digest.hex,
            media_id=submitted.media_id,
        )

    def close_spider(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=True)
