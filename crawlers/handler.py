"""Where Scrapy's requests leave the machine: pages by Twisted, media by our own fetcher in threads.

Both go through Scrapy's downloader, so pages and media of one host share its pace, robots.txt,
redirects and retries. The guard stands here as well, because every hop comes through here.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from scrapy.core.downloader.handlers.http11 import HTTP11DownloadHandler
from scrapy.exceptions import CannotResolveHostError
from scrapy.http import Response
from scrapy.utils.httpobj import urlparse_cached
from sqlalchemy.exc import OperationalError

from crawlers.eyes import ASKED, KEPT, PART, WHOLE, Eyes
from crawlers.fetch_guard import check_url
from crawlers.headers import CappedFactory
from crawlers.resolver import REFUSED_HOSTS
from crawlers.seen import MEDIA
from monitor.errors import FetchRefused, LikenessError, RateLimited
from monitor.intake import submit_kept

if TYPE_CHECKING:
    from scrapy import Request

    from monitor.intake import Kept

CONDITIONS: Final = ("If-None-Match", "If-Modified-Since")
UNDONE: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers that no longer say the truth about a body that our fetcher has decoded."""


class GuardedHandler(HTTP11DownloadHandler):  # type: ignore[misc]  # Scrapy's types are skipped
    """The only way out. Set for http and https; every other scheme has no handler at all."""

    lazy = False

    def __init__(self, crawler: Any) -> None:  # noqa: ANN401 - as above
        """Take what the crawl shares from its spider."""
        super().__init__(crawler)
        self._crawler = crawler
        self._pool._factory = CappedFactory  # noqa: SLF001 - where Scrapy puts its own
        self._eyes: Eyes = crawler.spider.eyes

    async def download_request(self, request: Request) -> Response:
        """Download one request. Raises FetchError or Scrapy's own download errors."""
        target = check_url(request.url, self._eyes.rules)
        if self._eyes.is_closed(urlparse_cached(request).netloc):
            msg = f"{target.host} asked us to come back later"
            raise RateLimited(msg)
        if WHOLE in request.meta:
            return await self._piece(request)
        if request.meta.get(PART) == MEDIA:
            return await self._media(request)
        try:
            return await super().download_request(request)
        except CannotResolveHostError as exc:
            why = REFUSED_HOSTS.get((target.host, target.port))
            if why is None:
                raise
            raise FetchRefused(why) from exc

    async def _media(self, request: Request) -> Response:
        sent = {name: request.headers.get(name) for name in CONDITIONS}
        conditions = {name: value.decode("latin-1") for name, value in sent.items() if value}
        loop = asyncio.get_running_loop()
        early = partial(self._early, request)
        get = partial(self._eyes.fetcher.get, request.url, conditions, early, self._pause_s(request))
        answer = await loop.run_in_executor(self._eyes.threads, get)
        request.meta.update({"download_latency": answer.latency_s, KEPT: answer.kept})
        self._eyes.tally.requests += answer.requests - 1
        headers = {name: value for name, value in answer.headers.items() if name not in UNDONE}
        return Response(request.url, status=answer.status, headers=headers)

    async def _piece(self, request: Request) -> Response:
        """Download a playlist, or a segment of a film."""
        sent = {name: request.headers.get(name) for name in ("Range", *CONDITIONS)}
        headers = {name: value.decode("latin-1") for name, value in sent.items() if value}
        get = partial(self._eyes.fetcher.piece, request.url, headers, request.meta[WHOLE])
        answer = await asyncio.get_running_loop().run_in_executor(self._eyes.threads, get)
        request.meta["download_latency"] = answer.latency_s
        named = {name: value for name, value in answer.headers.items() if name not in UNDONE}
        return Response(request.url, status=answer.status, headers=named, body=answer.kept or b"")

    def _pause_s(self, request: Request) -> float:
        """Give the seconds between two requests to the host of a request, as they are kept now."""
        slot = self._crawler.engine.downloader.slots.get(request.meta.get("download_slot"))
        return self._eyes.source.delay_s if slot is None else max(self._eyes.source.delay_s, slot.delay)

    def _early(self, request: Request, beginning: Kept) -> None:
        """Put the beginning of a long video in, from the thread that fetches the rest."""
        where = request.cb_kwargs
        origin = self._eyes.origin(request.meta[ASKED], where["page_url"], where["title"])
        with contextlib.suppress(LikenessError, OperationalError):  # the whole comes anyway
            submit_kept(beginning, origin, self._eyes.door)

    async def close(self) -> None:
        """Close connections and threads. Scrapy makes one handler per scheme; a second close does nothing."""
        await super().close()
        self._eyes.fetcher.close()
        self._eyes.threads.shutdown(wait=False, cancel_futures=True)
