"""Opens a file that stays open while it is read: an archive, or one record of it by a range request.

Guarded and pinned as every fetch of media. Scrapy's downloader sends the request, so robots.txt, pace and
redirects are the same; what it gets as an answer has no body, but an `Opened`, which the spider reads on.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from scrapy.http import Response

from crawlers.eyes import KEPT, PART
from crawlers.fetch import Fetcher, Limits, _named, _own_errors
from crawlers.fetch_guard import check_url
from crawlers.handler import UNDONE, GuardedHandler
from monitor.errors import RateLimited

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrapy import Request

    from crawlers.eyes import Eyes

ARCHIVE: Final = "archive"
"""What PART is in the meta of a request for an archive or a record."""

HANDLERS: Final = "DOWNLOAD_HANDLERS"

STEP_S: Final = 60.0
"""Seconds that one step of reading may wait for the other side."""

GIVEN: Final = frozenset({HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT})


@dataclass(slots=True)
class Opened:
    """A file on its way. `pieces` is read in steps, each within `step`; `close` ends it."""

    pieces: Iterator[bytes]
    fetcher: ArchiveFetcher
    stack: ExitStack

    @contextmanager
    def step(self) -> Iterator[None]:
        """Hold what this thread reads to STEP_S seconds."""
        with self.fetcher.until(time.monotonic() + STEP_S):
            yield

    def close(self) -> None:
        """Hang up."""
        self.stack.close()


class ArchiveFetcher(Fetcher[None]):
    """A fetcher whose answers are read by whoever asked."""

    def __init__(self, eyes: Eyes) -> None:
        """Take rules and name from what the crawl shares."""
        super().__init__(eyes.rules, Limits(2**63, STEP_S), eyes.user_agent, bytes, lambda _: None)

    def until(self, deadline: float) -> Any:  # noqa: ANN401 - a context manager
        """Hold everything this thread does to a moment of time.monotonic()."""
        return self._backend.until(deadline)

    def open(self, url: str, headers: dict[str, str]) -> tuple[int, dict[str, str], Opened | None]:
        """Ask for a file; give status, headers, and the file where there is one. Raises FetchError."""
        check_url(url, self._rules)
        with ExitStack() as stack, self.until(time.monotonic() + STEP_S), _own_errors(url):
            response, _ = stack.enter_context(self._request("GET", url, self._headers | headers))
            if response.status not in GIVEN:
                return response.status, _named(response), None
            pieces = _checked(url, response.iter_stream())
            return response.status, _named(response), Opened(pieces, self, stack.pop_all())


def _checked(url: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    with _own_errors(url):
        yield from pieces


class ArchiveHandler(GuardedHandler):
    """The way out for spiders of archives."""

    def __init__(self, crawler: Any) -> None:  # noqa: ANN401 - Scrapy's types are skipped
        """Have a fetcher for what stays open."""
        super().__init__(crawler)
        self._archives = ArchiveFetcher(self._eyes)

    async def download_request(self, request: Request) -> Response:
        """Download one request. Raises FetchError or Scrapy's own download errors."""
        if request.meta.get(PART) != ARCHIVE:
            return await super().download_request(request)
        target = check_url(request.url, self._eyes.rules)
        if self._eyes.is_closed(request.url.split("/")[2]):
            msg = f"{target.host} asked us to come back later"
            raise RateLimited(msg)
        sent = {name: request.headers.get(name) for name in ("Range", "If-Range")}
        headers = {name: value.decode("latin-1") for name, value in sent.items() if value}
        began = time.monotonic()
        opening = asyncio.get_running_loop().run_in_executor(
            self._eyes.threads, self._archives.open, request.url, headers
        )
        status, named, opened = await opening
        request.meta.update({"download_latency": time.monotonic() - began, KEPT: opened})
        kept = {name: value for name, value in named.items() if name not in UNDONE}
        kept |= {"x-length": named.get("content-length", "")}
        return Response(request.url, status=status, headers=kept)

    async def close(self) -> None:
        """Close all connections."""
        await super().close()
        self._archives.close()


def use_archives(settings: Any) -> None:  # noqa: ANN401 - as above
    """Have the settings of a spider send its requests through ArchiveHandler."""
    mine = dict.fromkeys(("http", "https"), f"{__name__}.{ArchiveHandler.__name__}")
    settings.set(HANDLERS, settings.getdict(HANDLERS) | mine, priority="spider")
