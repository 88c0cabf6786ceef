"""Reads web archives: one WARC file, by its address or from the operator's own disk.

A file stays open and is read in slices. What a slice found is put in through the same pipeline as any media;
then the place behind it is kept as the cursor, and only then the next slice is read. So a crawl that is
killed repeats and never skips, and no more than a slice is held.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import scrapy

from crawlers import links
from crawlers.archive_source import ARCHIVE, Opened, use_archives
from crawlers.archives import Archive
from crawlers.eyes import ASKED, KEPT, PART
from crawlers.items import Archived, MediaFound
from crawlers.links import kind_by_ending
from crawlers.outcomes import WRONG_DATE, outcome_of
from crawlers.run import _collected
from crawlers.seen import PAGE, TAKEN
from crawlers.spiders.media import MediaSpider
from crawlers.spiders.posts import AHEAD, EARLIEST
from monitor.db import utc_now
from monitor.errors import ArchiveBroken, FetchError, FetchFailed, LikenessError, NotCollected, NotMedia
from monitor.intake import HEAD_BYTES, Door, Kept, keep, kind_of
from monitor.values import Digest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from scrapy.http import Response

    from crawlers.archives import Record
    from crawlers.eyes import Eyes

SLICE_BYTES: Final = 4 * 2**20
"""Bytes of small files that one slice may hold; larger ones are on the disk already, sealed."""

SLICE_ITEMS: Final = 200
SLICE_S: Final = 5.0
"""Seconds after which a slice ends, so that a crawl that is told to end does so soon."""

NOTED_S: Final = 120.0
"""Longest wait, in seconds, for what a slice found to be put in."""

PAGE_BYTES: Final = 2 * 2**20
"""Bytes of an archived page that are read for its links."""

SHOWN: Final = frozenset({200, 203, 206})
"""Statuses whose body is what the address showed."""

GOES_ON: Final = 3
"""Times that a file that broke off is gone on with in one run."""

TAG: Final = "records"


@dataclass(slots=True)
class Slice:
    """What some records gave. `ended` is None while there is more, else why not: an error, or the end."""

    found: list[MediaFound] = field(default_factory=list)
    shown: list[tuple[str, str, str]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    media: int = 0
    ended: FetchError | bool | None = None

    def is_full(self, until: float) -> bool:
        """Say whether it is time to hand it on."""
        held = sum(len(one.kept.data or b"") for one in self.found)
        many = len(self.found) + len(self.shown) // 10 >= SLICE_ITEMS
        return held >= SLICE_BYTES or many or time.monotonic() > until


class ArchiveSpider(MediaSpider):
    """One reading of one WARC file."""

    name = "archive"

    def __init__(self, eyes: Eyes, **kwargs: Any) -> None:  # noqa: ANN401 - Scrapy's interface
        """Listen to the book: it hears of each file when it is settled."""
        super().__init__(eyes, **kwargs)
        self.options: dict[str, str] = json.loads(eyes.source.options)
        self._is_trial = not isinstance(eyes.door, Door)
        self._keep = digested if self._is_trial else partial(keep, door=eyes.door)
        self._judge = _collected(eyes.source)
        self._follows = self.options.get("follow") == "yes"
        self._waiting: Counter[str] = Counter()
        self._noted = asyncio.Event()
        self._failed_in_passing = False
        self._tries = GOES_ON
        eyes.book.on_noted = self._on_noted

    @classmethod
    def update_settings(cls, settings: Any) -> None:  # noqa: ANN401 - as above
        """Let archives stay open while they are read."""
        super().update_settings(settings)
        use_archives(settings)

    async def start(self) -> AsyncIterator[Any]:
        """Go on where the last run ended."""
        if "file" in self.options:
            async for found in self._read_file(Path(self.options["file"])):
                yield found
            return
        yield self._request()

    def _request(self) -> scrapy.Request:
        url, place = self.eyes.source.url, Place.read(self.eyes.book.cursors.known.get(TAG))
        headers = {}
        if place.at > 0:
            headers = {"Range": f"bytes={place.at}-"}
            headers |= {"If-Range": place.validator} if place.validator else {}
        statuses = [HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE]
        meta = {PART: ARCHIVE, ASKED: url, "handle_httpstatus_list": statuses, "dont_retry": True}
        return scrapy.Request(
            url,
            self.read_archive,
            headers=headers,
            errback=self.archive_failed,
            meta=meta,
            cb_kwargs={"place": place},
            dont_filter=True,
        )

    async def read_archive(self, response: Response, place: Place) -> AsyncIterator[Any]:
        """Read a file from the cursor on."""
        url = response.meta[ASKED]
        named = {
            name.decode("latin-1").lower(): value[0].decode("latin-1")
            for name, value in response.headers.items()
        }
        if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            total = re.fullmatch(r"bytes \*/(\d+)", named.get("content-range", ""))
            if total is not None and int(total[1]) < place.at:  # another, shorter file
                self.eyes.book.cursors.keep(TAG, Place().write())
                yield self._request()
                return
            self.eyes.tally.pages_unchanged += 1
            self._looked(url)
            return
        opened: Opened = response.meta[KEPT]
        begins = int((re.match(r"bytes (\d+)-", named.get("content-range", "")) or ["", "0"])[1])
        whole = replace(place, validator=validator(named))
        if response.status == HTTPStatus.OK:
            is_same = place.at > 0 and place.validator and place.validator == whole.validator
            if is_same and named["x-length"] == str(place.at):
                opened.close()
                self.eyes.tally.pages_unchanged += 1
                self._looked(url)
                return
            whole = whole if is_same else replace(whole, at=0)
        elif begins != place.at:
            opened.close()
            self.note(url, PAGE, FetchFailed("the server gave another part than was asked for"))
            return
        try:
            archive = Archive(_from(opened.pieces, begins, whole.at), whole.at)
            async for found in self._read(archive, whole, opened):
                yield found
        finally:
            opened.close()

    async def _read_file(self, path: Path) -> AsyncIterator[Any]:
        place = Place.read(self.eyes.book.cursors.known.get(TAG))
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                place = replace(place, at=place.at if place.at <= size else 0)
                file.seek(place.at)
                pieces = iter(partial(file.read, 64 * 1024), b"")
                async for found in self._read(Archive(pieces, place.at), place, None):
                    yield found
        except OSError as exc:
            self.note(self.eyes.source.url, PAGE, FetchFailed(f"the file cannot be read: {exc.strerror}"))

    async def _read(  # noqa: C901 - one loop, told in order
        self, archive: Archive, place: Place, opened: Opened | None
    ) -> AsyncIterator[Any]:
        """Read slice after slice; keep the place behind each once all of it was put in."""
        url, broken = self.eyes.source.url, 0
        self.eyes.tally.pages += 1
        while True:
            before = archive.at
            got: Slice = await asyncio.get_running_loop().run_in_executor(
                self.eyes.threads, self._slice, archive, opened
            )
            async for found in self._hand_on(got):
                yield found
            if archive.broken > broken:
                self.eyes.tally.dropped[ArchiveBroken.code] += archive.broken - broken
                broken = archive.broken
            self.eyes.tally.bytes_fetched += max(0, archive.at - before)
            if self._failed_in_passing or not await self._settled():
                return
            if archive.at > place.at:
                self._tries = GOES_ON
            place = replace(place, at=archive.at)
            self.eyes.book.cursors.keep(TAG, place.write())
            if self._is_trial or not self._may_go_on():
                return
            if isinstance(got.ended, FetchError):
                if isinstance(got.ended, FetchFailed) or got.ended.retryable:
                    self._tries -= 1
                    if opened is not None and self._tries >= 0:
                        yield self._request()
                        return
                self.note(url, PAGE, got.ended)
                return
            if got.ended:
                self._looked(url)
                return

    async def _hand_on(self, got: Slice) -> AsyncIterator[Any]:
        self.eyes.tally.media_found += got.media
        self.eyes.tally.dropped.update(got.dropped)
        for item in got.found:
            self._waiting[item.url] += 1
        for item in got.found:
            yield item
        for url, page_url, title in got.shown:
            for request in self.media(url, page_url, title):
                yield request

    def _on_noted(self, url: str) -> None:
        if self._waiting[url] > 0:
            self._waiting[url] -= 1
            seen = self.eyes.book.seen(url)
            self._failed_in_passing |= seen is not None and self.eyes.book.passes(seen)
        self._noted.set()

    async def _settled(self) -> bool:
        """Wait until all that a slice found was put in. False where something of it will come again."""
        until = time.monotonic() + NOTED_S
        while not self._is_trial and self._waiting.total() > 0 and time.monotonic() < until:
            self._noted.clear()
            try:
                await asyncio.wait_for(self._noted.wait(), 5.0)
            except TimeoutError:
                continue
        return not self._failed_in_passing and (self._is_trial or self._waiting.total() == 0)

    def _may_go_on(self) -> bool:
        return not getattr(self.crawler, "stopping", False) and self.crawler.engine.running

    def _slice(self, archive: Archive, opened: Opened | None) -> Slice:
        """Read records until there is enough to hand on. In a thread."""
        got, until = Slice(), time.monotonic() + SLICE_S
        try:
            while not got.is_full(until):
                if opened is None:
                    record = self._one(archive, got)
                else:
                    with opened.step():
                        record = self._one(archive, got)
                if not record:
                    got.ended = True
                    break
        except FetchError as exc:
            got.ended = exc
        return got

    def _one(self, archive: Archive, got: Slice) -> bool:
        """Take one record. False at the end of the file."""
        record = archive.next()
        if record is None:
            return False
        try:
            self.take(record, got)
        except ArchiveBroken:
            return True  # the archive meets it again when it goes on, and counts it
        except LikenessError as exc:
            if isinstance(exc, FetchError) and exc.code.startswith(
                ("archive", "fetch_failed", "fetch_timeout")
            ):
                raise
            got.dropped[outcome_of(exc)[0]] += 1
            self._failed_in_passing |= exc.retryable
        try:
            archive.close_record()
        except ArchiveBroken:
            return True
        return True

    def take(self, record: Record, got: Slice) -> None:
        """Keep the media of one record. Raises what keeping raises."""
        if record.status not in SHOWN:
            return
        first, come = b"", record.pieces
        while len(first) < HEAD_BYTES and (piece := next(come, b"")):
            first += piece
        try:
            self._judge(first)
        except NotMedia:
            if self._follows and first and "html" in record.kind:
                self._links(record, first, come, got)
            return
        except NotCollected:
            got.media += 1
            got.dropped[NotCollected.code] += 1
            return
        except LikenessError:
            return  # an empty body
        got.media += 1
        kept = self._keep(chain([first], come))
        date, now = record.date, utc_now()
        if date is not None and not EARLIEST <= date <= now + AHEAD:
            got.dropped[WRONG_DATE] += 1
            date = None
        got.found.append(Archived(record.uri, record.uri, "", kept, None, None, date))

    def _links(self, record: Record, first: bytes, come: Iterator[bytes], got: Slice) -> None:
        """Read the links of an archived page: its media are asked for from the web of today."""
        page = first
        while len(page) < PAGE_BYTES and (piece := next(come, b"")):
            page += piece
        shows = links.read(page[:PAGE_BYTES], record.uri, record.kind, None)
        got.shown += [
            (one.url, record.uri, one.title or shows.title) for one in shows.media if _is_media(one.url)
        ]

    def _looked(self, url: str) -> None:
        self.eyes.book.looked(url, PAGE, TAKEN)

    def archive_failed(self, failure: Any) -> None:  # noqa: ANN401 - Twisted's Failure
        """Note why a file could not be opened."""
        self.note(failure.request.meta[ASKED], PAGE, failure.value)


@dataclass(frozen=True, slots=True)
class Place:
    """How far a file was read, and what it is known by."""

    at: int = 0
    validator: str = ""

    @classmethod
    def read(cls, text: str | None) -> Place:
        """Undo `write`; the beginning where there is none."""
        return cls(**json.loads(text)) if text else cls()

    def write(self) -> str:
        """Give it as a cursor."""
        return json.dumps({"at": self.at, "validator": self.validator})


def validator(named: dict[str, str]) -> str:
    """Give what If-Range takes: a strong ETag, else the date."""
    tag = named.get("etag", "")
    return tag if tag.startswith('"') else named.get("last-modified", "")


def digested(pieces: Iterator[bytes]) -> Kept:
    """Stand for `keep` in a trial: nothing is stored."""
    found, size, first = hashlib.sha256(), 0, b""
    for piece in pieces:
        found.update(piece)
        size, first = size + len(piece), first or piece
    return Kept(Digest("sha256", found.hexdigest()), kind_of(first), size)


def _from(pieces: Iterator[bytes], begins: int, at: int) -> Iterator[bytes]:
    """Pass over what was read before, where the server gave the file from its beginning."""
    left = at - begins
    for piece in pieces:
        if left < len(piece):
            yield piece[max(0, left) :]
        left -= len(piece)


def _is_media(url: str) -> bool:
    return bool(kind_by_ending(url))
