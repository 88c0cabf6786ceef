"""Fetches the film that a playlist names: segment after segment, through robots.txt, pace and guard.

Each segment is a request like any other, so a host is asked no faster for a film than for pages, and every
address and redirect is checked. Their bytes go on as they come, sealed: of a film, never more than a part of
one segment is in memory. A segment that fails is asked for again; the film is not begun anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from scrapy import Request
from scrapy.http.request import NO_CALLBACK
from sqlalchemy.exc import OperationalError

from crawlers.eyes import ASKED, PART, WHOLE, Eyes
from crawlers.outcomes import LATER
from crawlers.playlists import MOST_BYTES, Choice, Piece, Segments, read
from crawlers.seen import MEDIA
from monitor.errors import FetchFailed, FetchTimeout, FetchWrongType, LikenessError
from monitor.intake import submit_kept

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from scrapy.http import Response

    from monitor.intake import Kept

PART_BYTES: Final = 4 * 2**20
"""Bytes of a segment asked for at once. A usual one, of six seconds at 480 lines, has one MB."""

FILMS_AT_ONCE: Final = 2
TRIES: Final = 3
"""Times that one part is asked for."""

FILM_S: Final = 3600.0
"""Seconds that one film may take; its host's pace is in them."""

ASSUMED_BITS: Final = 800_000
"""Bits a second of a film of which nothing is said: they only decide whether it is looked at early."""

RANGE: Final = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")


class Films:
    """Fetches the films of one crawl."""

    def __init__(self, crawler: Any, eyes: Eyes) -> None:  # noqa: ANN401 - Scrapy's types are skipped
        """Keep what the crawl shares."""
        self._crawler, self._eyes = crawler, eyes
        self._room = asyncio.Semaphore(FILMS_AT_ONCE)

    async def of(self, response: Response, page_url: str, title: str) -> AsyncIterator[tuple[str, Kept]]:
        """Give what a playlist names: (address, what was kept) of the film, and of its sound where apart.

        Raises what reading a playlist raises (playlists.py), and what fetching raises.
        """
        asked, found, bits = response.meta[ASKED], _read(response), ASSUMED_BITS
        async with self._room:
            sound = None
            if isinstance(found, Choice):
                sound, bits = found.sound, max(found.bits, 1)
                found = _read(await self._ask(found.video, {}, MOST_BYTES))
            yield asked, await self._film(found, bits, (asked, page_url, title))
            if sound is not None:
                heard = _read(await self._ask(sound, {}, MOST_BYTES))
                yield sound, await self._film(heard, 1, (sound, page_url, title))

    async def _film(self, found: Choice | Segments, bits: int, where: tuple[str, str, str]) -> Kept:
        if isinstance(found, Choice):
            msg = "a playlist names a playlist of playlists"
            raise FetchWrongType(msg)
        loop = asyncio.get_running_loop()
        pieces = self._pieces(found.pieces, loop, time.monotonic() + FILM_S)
        length = round(found.seconds * bits / 8)

        def early(beginning: Kept) -> None:
            with contextlib.suppress(LikenessError, OperationalError):  # the whole comes anyway
                submit_kept(beginning, self._eyes.origin(*where), self._eyes.door)

        threads = ThreadPoolExecutor(1, thread_name_prefix="film")  # never one that segments wait for
        try:
            return await loop.run_in_executor(threads, self._eyes.fetcher.joined, pieces, length, early)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)

    def _pieces(
        self, pieces: tuple[Piece, ...], loop: asyncio.AbstractEventLoop, until: float
    ) -> Iterator[bytes]:
        """Give all bytes of a film in order. Runs in a thread; its requests are sent by the crawl's loop."""
        for piece in pieces:
            place, end = piece.start, None if piece.length is None else piece.start + piece.length
            while end is None or place < end:
                asked = place + PART_BYTES if end is None else min(end, place + PART_BYTES)
                left = until - time.monotonic()
                if left <= 0:
                    msg = "a film took longer than an hour to come"
                    raise FetchTimeout(msg)
                waiting = asyncio.run_coroutine_threadsafe(self._part(piece, place, asked), loop)
                try:
                    body, end = waiting.result(left)
                except TimeoutError as exc:
                    msg = "a segment did not come"
                    raise FetchTimeout(msg) from exc
                if body:
                    yield body
                place += len(body)

    async def _part(self, piece: Piece, start: int, end: int) -> tuple[bytes, int]:
        """Give bytes of one segment, and where the segment ends."""
        for attempt in range(TRIES):
            try:
                answer = await self._ask(piece.url, {"Range": f"bytes={start}-{end - 1}"}, PART_BYTES)
                return _checked(answer, piece, start, end)
            except LikenessError as exc:
                if not exc.retryable or attempt == TRIES - 1:
                    raise
        raise AssertionError

    async def _ask(self, url: str, headers: dict[str, str], most: int) -> Response:
        meta = {PART: MEDIA, WHOLE: most, ASKED: url, "allow_offsite": True}
        request = Request(url, headers=headers, meta=meta, callback=NO_CALLBACK, dont_filter=True)
        response: Response = await self._crawler.engine.download_async(request)
        if response.status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
            msg = f"a segment or its playlist: the server answered {response.status}"
            raise (FetchFailed(msg) if response.status in LATER else FetchWrongType(msg))
        return response


def _read(response: Response) -> Choice | Segments:
    return read(response.body.decode("utf-8", "replace"), response.url)


def _checked(answer: Response, piece: Piece, start: int, end: int) -> tuple[bytes, int]:
    """Give the bytes of a part, if they are that part's, and where the segment ends."""
    if answer.status == HTTPStatus.OK and start == 0 and piece.length is None:
        return answer.body, len(answer.body)
    told = RANGE.fullmatch((answer.headers.get("Content-Range") or b"").decode("latin-1"))
    if answer.status != HTTPStatus.PARTIAL_CONTENT or told is None or int(told[1]) != start:
        msg = "a server does not give the part of a segment that was asked for"
        raise FetchFailed(msg)
    last = int(told[3]) if piece.length is None else piece.start + piece.length
    if len(answer.body) != min(end, last) - start or not answer.body:
        msg = "a part of a segment is not as long as it should be"
        raise FetchFailed(msg)
    return answer.body, last
