"""Reads media of named hosts out of Common Crawl: the index page by page, each record by a range request.

One request after the other, as its index server asks for. The cursor is the page and the line in it; it is
kept once the record of that line was put in.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import scrapy

from crawlers.archive_source import ARCHIVE, Opened
from crawlers.archives import Archive
from crawlers.eyes import ASKED, KEPT, PART, UNGOVERNED
from crawlers.middlewares import LONGEST_DELAY_S, hold, retry_after_s
from crawlers.outcomes import BUSY, FULL, outcome_of
from crawlers.platforms import commoncrawl as cc
from crawlers.platforms.fields import root_of, whole
from crawlers.platforms.interfaces import Basis
from crawlers.seen import PAGE
from crawlers.spiders.archive import ArchiveSpider, Slice
from monitor.errors import ArchiveBroken, ArchiveTruncated, FetchError, FetchFailed, RateLimited

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from scrapy.http import Response

    from crawlers.eyes import Eyes

INDEX_PAUSE_S: Final = 1.0
"""Seconds between two questions to the public index: it asks everybody to be slow."""

SAME_AGAIN: Final = 2
"""Times that one thing is asked for again after we were asked to wait."""

DONE: Final = "done"


@dataclass(frozen=True, slots=True)
class At:
    """Where the reading stands: `line` of `page` of `pages`, of one host."""

    crawl: str
    host: str
    pages: int = 0
    page: int = 0
    line: int = 0

    @property
    def tag(self) -> str:
        """Name the cursor: a newer crawl has its own."""
        return f"{self.crawl} {self.host}"[:200]


class CommonCrawlSpider(ArchiveSpider):
    """One reading of some hosts."""

    name = "commoncrawl"

    def __init__(self, eyes: Eyes, **kwargs: Any) -> None:  # noqa: ANN401 - Scrapy's interface
        """Prepare to ask."""
        super().__init__(eyes, **kwargs)
        self._asks_left = eyes.source.max_pages
        self._hosts = cc.hosts_of(self.options)

    async def start(self) -> AsyncIterator[Any]:
        """Begin with the name of the crawl."""
        if "crawl" in self.options:
            for request in self._next_host(self.options["crawl"]):
                yield request
            return
        url = f"{root_of(self.eyes.source.url)}/collinfo.json"
        for request in self._ask(url, self.read_crawls, {}):
            yield request

    def read_crawls(self, response: Response) -> Iterator[Any]:
        """Read the list of crawls."""
        yield from self._next_host(cc.newest(response.body))

    def _next_host(self, crawl: str) -> Iterator[Any]:
        while self._hosts:
            at = At(crawl, self._hosts.pop(0))
            kept = self.eyes.book.cursors.known.get(at.tag, "")
            if kept == DONE:
                continue
            page, _, line = kept.partition(" ")
            at = replace(at, page=whole(page) or 0, line=whole(line) or 0)
            url = cc.query(self.eyes.source.url, crawl, at.host, None)
            yield from self._ask(url, self.read_count, {"at": at})
            return
        self._looked(self.eyes.source.url)

    def read_count(self, response: Response, at: At) -> Iterator[Any]:
        """Read how many pages the index has of a host."""
        count = 0 if response.status == HTTPStatus.NOT_FOUND else cc.pages_of(response.body)
        yield from self._page(replace(at, pages=count))

    def _page(self, at: At) -> Iterator[Any]:
        if at.page >= at.pages:
            self.eyes.book.cursors.keep(at.tag, DONE)
            yield from self._next_host(at.crawl)
            return
        url = cc.query(self.eyes.source.url, at.crawl, at.host, at.page)
        yield from self._ask(url, self.read_page, {"at": at})

    def read_page(self, response: Response, at: At) -> Iterator[Any]:
        """Read one page of the index."""
        self.eyes.tally.pages += 1
        self.eyes.tally.bytes_fetched += len(response.body)
        found = [] if response.status == HTTPStatus.NOT_FOUND else list(cc.places(response.body))
        if self._is_trial:
            root = cc.data_of(self.eyes.source.url)
            for one in filter(None, found):
                yield from self._request_for(f"{root}/{one.filename}", self.read_record, {}, {})
            return
        yield from self._line(found, at)

    def _line(self, found: list[cc.Place | None], at: At) -> Iterator[Any]:
        """Ask for the next record of a page, or for the next page."""
        while at.line < len(found) and found[at.line] is None:
            self.eyes.tally.dropped["index_line"] += 1
            at = replace(at, line=at.line + 1)
        if at.line >= len(found):
            at = replace(at, page=at.page + 1, line=0)
            self._keep_place(at)
            yield from self._page(at)
            return
        self._keep_place(at)
        place = found[at.line]
        if place is None:
            return
        url = f"{cc.data_of(self.eyes.source.url)}/{place.filename}"
        headers = {"Range": f"bytes={place.offset}-{place.offset + place.length - 1}"}
        told = {"at": at, "found": found, "place": place}
        yield from self._ask(url, self.read_record, told, headers)

    def _keep_place(self, at: At) -> None:
        self.eyes.book.cursors.keep(at.tag, f"{at.page} {at.line}")

    async def read_record(
        self, response: Response, at: At, found: list[cc.Place | None], place: cc.Place
    ) -> AsyncIterator[Any]:
        """Unpack one record and put its media in."""
        opened: Opened | None = response.meta[KEPT]
        if opened is not None:
            try:
                got = await asyncio.get_running_loop().run_in_executor(
                    self.eyes.threads, self._unpack, opened, place
                )
            finally:
                opened.close()
            self.eyes.tally.bytes_fetched += place.length
            async for item in self._hand_on(got):
                yield item
            if isinstance(got.ended, FetchError):
                self.note(self.eyes.source.url, PAGE, got.ended)
                if got.ended.retryable:
                    return
        if not await self._settled() or not self._may_go_on():
            return
        for request in self._line(found, replace(at, line=at.line + 1)):
            yield request

    def _unpack(self, opened: Opened, place: cc.Place) -> Slice:
        got = Slice()
        try:
            with opened.step():
                archive = Archive(_capped(opened.pieces, place.length))
                record = archive.next()
                if record is None or archive.broken:
                    msg = "where the index points to there is no record"
                    raise ArchiveBroken(msg)
                self.take(record, got)
        except ArchiveTruncated:
            got.ended = ArchiveBroken("the index points to less than a record")
        except FetchError as exc:
            got.ended = exc
        return got

    def _ask(
        self,
        url: str,
        read: Callable[..., Any],
        told: dict[str, Any],
        headers: dict[str, str] | None = None,
    ) -> Iterator[Any]:
        """Ask for one thing, as often as the source may be asked in one run."""
        if self._asks_left <= 0:
            self.eyes.tally.dropped[FULL] += 1
            return
        self._asks_left -= 1
        yield from self._request_for(url, read, told, headers)

    def _request_for(
        self,
        url: str,
        read: Callable[..., Any],
        told: dict[str, Any],
        headers: dict[str, str] | None,
        tries: int = 0,
    ) -> Iterator[Any]:
        is_record = headers is not None
        governed = self.eyes.source.basis == Basis.ROBOTS
        meta = {
            PART: ARCHIVE if is_record else PAGE,
            ASKED: url,
            UNGOVERNED: None if governed else root_of(url),
            "handle_httpstatus_list": [HTTPStatus.NOT_FOUND, *BUSY] if not is_record else [*BUSY],
            "read": (read, told, headers, tries),
        }
        yield scrapy.Request(
            url,
            self.read_answer,
            headers=headers,
            errback=self.archive_failed,
            meta=meta,
            dont_filter=True,
        )

    async def read_answer(self, response: Response) -> AsyncIterator[Any]:  # noqa: C901 - each way out of it is one
        """Wait where we are asked to; otherwise read what came."""
        read, told, headers, tries = response.meta["read"]
        source_url = self.eyes.source.url
        if response.status in BUSY:
            self.eyes.tally.dropped[RateLimited.code] += 1
            wished = retry_after_s(response) or 0.0
            if wished > LONGEST_DELAY_S or tries >= SAME_AGAIN:
                self.eyes.book.failed(source_url, PAGE, RateLimited.code, "asked to come back later")
                return
            hold(self.crawler, response.request, max(wished, 1.0))
            for request in self._request_for(response.meta[ASKED], read, told, headers, tries + 1):
                yield request
            return
        if headers is not None and response.status != HTTPStatus.PARTIAL_CONTENT:
            opened: Opened | None = response.meta.get(KEPT)
            if opened is not None:
                opened.close()
            self.note(source_url, PAGE, FetchFailed("the server does not give parts of a file"))
            return
        if headers is None and not self.eyes.source.allow_private:
            await asyncio.sleep(INDEX_PAUSE_S)
        try:
            result = read(response, **told)
            if hasattr(result, "__aiter__"):
                async for one in result:
                    yield one
            else:
                for one in result:
                    yield one
        except FetchError as exc:
            self.note(source_url, PAGE, exc)

    def archive_failed(self, failure: Any) -> Any:  # noqa: ANN401 - Twisted's Failure
        """Note why a question was not answered. A record that is not there holds nothing up."""
        code, reason = outcome_of(failure.value)
        self.eyes.tally.dropped[code] += 1
        self.eyes.book.failed(self.eyes.source.url, PAGE, code, reason)
        _, told, headers, _ = failure.request.meta["read"]
        if headers is not None and code.startswith("http_4") and "found" in told:
            at: At = told["at"]
            return list(self._line(told["found"], replace(at, line=at.line + 1)))
        return None


def _capped(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    """Give no more than was asked for."""
    left = most
    for piece in pieces:
        yield piece[:left]
        left -= len(piece)
        if left <= 0:
            return
