"""Reads pages with yt-dlp, in a child process that can reach nothing (crawlers/extracting.py).

Each request that it wants to make comes here and goes out as any page does: robots.txt, pace, guard, caps,
and our own name. What it finds are addresses; our own fetcher fetches them. A page is read once.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import scrapy
from scrapy import signals
from scrapy.exceptions import StopDownload
from scrapy.http.request import NO_CALLBACK

from crawlers.eyes import ASKED, PART
from crawlers.fetch_guard import check_url
from crawlers.outcomes import FULL, TRAP, outcome_of
from crawlers.platforms.fields import rows, text
from crawlers.platforms.media_site import code_of, files_of, names_of
from crawlers.seen import LOOKED, PAGE, TAKEN
from crawlers.settings import PAGE_BYTES
from crawlers.spiders.media import MediaSpider
from monitor.errors import FetchError, FetchRefused, FetchTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from crawlers.eyes import Eyes

EXTRACT: Final = "extract"
"""What PART is in the meta of a request that yt-dlp wanted."""

PAGE_S: Final = 90.0
"""Seconds for one page, with all that yt-dlp asks for to read it. Then its process is ended."""

MOST_ASKS: Final = 30
"""Requests for one page."""

DEEPEST: Final = 2
"""Lists in lists: a channel has tabs, and a tab has films."""

LONGEST_LINE: Final = 2 * PAGE_BYTES
METHODS: Final = frozenset({"GET", "HEAD", "POST"})
OURS: Final = frozenset(
    {"user-agent", "cookie", "host", "connection", "accept-encoding", "content-length", "x-forwarded-for",
     "proxy-authorization", "transfer-encoding", "referer"}
)  # fmt: skip
"""Headers that yt-dlp does not choose: it says who it is not, and we say who we are."""

FILES: Final = ("video/", "audio/", "image/", "application/octet-stream")


class MediaSiteSpider(MediaSpider):
    """One reading of one page or list."""

    name = "media_site"

    def __init__(self, eyes: Eyes, **kwargs: Any) -> None:  # noqa: ANN401 - Scrapy's interface
        """Prepare to read."""
        super().__init__(eyes, **kwargs)
        self._names = names_of(json.loads(eyes.source.options))
        self._child: subprocess.Popen[bytes] | None = None
        self._pages_left = eyes.source.max_pages

    @classmethod
    def from_crawler(cls, crawler: Any, *args: Any, **kwargs: Any) -> MediaSiteSpider:  # noqa: ANN401 - as above
        """Listen to headers, so that no file is read as a page."""
        made: MediaSiteSpider = super().from_crawler(crawler, *args, **kwargs)
        crawler.signals.connect(made.headers_received, signals.headers_received)
        return made

    def headers_received(self, headers: Any, request: scrapy.Request) -> None:  # noqa: ANN401 - as above
        """Stop at the headers of a file: yt-dlp wants to know no more of it."""
        kind = (headers.get("Content-Type") or b"").decode("latin-1").lower()
        if request.meta.get(PART) == EXTRACT and kind.startswith(FILES):
            raise StopDownload(fail=False)

    async def start(self) -> AsyncIterator[Any]:
        """Read the source's page, and those that it lists."""
        waiting = [(self.eyes.source.url, 0)]
        met = {self.eyes.source.url}
        try:
            while waiting:
                url, depth = waiting.pop(0)
                if self._pages_left <= 0:
                    self.eyes.tally.dropped[FULL] += 1 + len(waiting)
                    break
                self._pages_left -= 1
                info = await self._info(url)
                if info is None:
                    continue
                for request in self._take(info, url):
                    yield request
                for one in rows(info, "entries"):
                    address = text(one, "url") or text(one, "webpage_url")
                    if address in met or self._is_known(address):
                        continue
                    met.add(address)
                    if depth >= DEEPEST:
                        self.eyes.tally.dropped[TRAP] += 1
                    else:
                        waiting.append((address, depth + 1))
        finally:
            self._end()

    def _is_known(self, url: str) -> bool:
        seen = self.eyes.book.seen(url)
        return seen is not None and (seen.code in LOOKED or not self.eyes.book.passes(seen))

    def _take(self, info: dict[str, Any], url: str) -> Any:  # noqa: ANN401 - an iterator of requests
        if info.get("entries") is None:
            found, code = files_of(info)
            for link in found:
                yield from self.media(link.url, text(info, "webpage_url") or url, link.title)
            if code is not None:
                self._failed(url, code, "nothing of it can be fetched")
                return
        self.eyes.book.looked(url, PAGE, TAKEN)

    def _failed(self, url: str, code: str, reason: str) -> None:
        self.eyes.tally.dropped[code] += 1
        self.eyes.book.failed(url, PAGE, code, reason)

    async def _info(self, url: str) -> dict[str, Any] | None:
        """Have a page read. None where nothing came, and why is noted."""
        self.eyes.tally.pages += 1
        try:
            check_url(url, self.eyes.rules)
            said = await self._talk(url)
        except FetchError as exc:
            self._end()
            self.note(url, PAGE, exc)
            return None
        if "error" in said:
            self._failed(
                url, self._refusal or code_of(text(said, "error"), text(said, "kind")), text(said, "kind")
            )
            return None
        info = said.get("info")
        return info if isinstance(info, dict) else None

    async def _talk(self, url: str) -> dict[str, Any]:
        """Let the child read one page and answer what it asks for. Raises FetchTimeout."""
        self._refusal: str | None = None
        loop, child = asyncio.get_running_loop(), self._running()
        clock = loop.call_later(PAGE_S, child.kill)
        try:
            said: dict[str, Any] = {"url": url}
            for _ in range(MOST_ASKS):
                got = await loop.run_in_executor(self.eyes.threads, _exchange, child, said)
                ask = got.get("ask")
                if not isinstance(ask, dict):
                    return got
                said = await self._download(ask)
        finally:
            clock.cancel()
        msg = "yt-dlp asked for more than a page needs"
        raise FetchRefused(msg)

    async def _download(self, ask: dict[str, Any]) -> dict[str, Any]:
        """Ask for what yt-dlp wants, as for any page."""
        url, method = text(ask, "url"), text(ask, "method")
        given = ask.get("headers")
        headers = {
            name: value
            for name, value in (given.items() if isinstance(given, dict) else ())
            if isinstance(value, str) and name.lower() not in OURS and not name.lower().startswith("sec-")
        }
        meta = {PART: EXTRACT, ASKED: url, "allow_offsite": True}
        try:
            check_url(url, self.eyes.rules)
            if method not in METHODS:
                msg = f"{method[:10]} is not sent"
                raise FetchRefused(msg)  # noqa: TRY301 - told like all others
            body = base64.b64decode(text(ask, "body"))
            request = scrapy.Request(
                url, method=method, headers=headers, body=body, meta=meta, callback=NO_CALLBACK
            )
            response = await self.crawler.engine.download_async(request)
        except Exception as exc:  # noqa: BLE001 - edge: whatever went wrong, yt-dlp is told so
            code, reason = outcome_of(exc)
            self._refusal = code
            return {"failed": reason}
        self._refusal = None
        self.eyes.tally.bytes_fetched += len(response.body)
        named = {
            name.decode("latin-1"): value[0].decode("latin-1") for name, value in response.headers.items()
        }
        named = {
            name: value
            for name, value in named.items()
            if name.lower() not in {"content-encoding", "set-cookie"}
        }
        body_ = base64.b64encode(response.body).decode()
        return {"status": response.status, "url": response.url, "headers": named, "body": body_}

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            kept = {
                name: os.environ[name]
                for name in ("PATH", "LANG", "PYTHONPATH", "VIRTUAL_ENV")
                if name in os.environ
            }
            self._child = subprocess.Popen(
                [sys.executable, "-m", "crawlers.extracting", *self._names],
                env=kept | {"YTDLP_NO_PLUGINS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._child

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for end in (child.stdin, child.stdout):
            if end is not None:
                end.close()


def _exchange(child: subprocess.Popen[bytes], said: dict[str, Any]) -> dict[str, Any]:
    """Say one thing to the child and give what it says; in a thread. Raises FetchTimeout."""
    try:
        if child.stdin is None or child.stdout is None:
            raise BrokenPipeError
        child.stdin.write(json.dumps(said).encode() + b"\n")
        child.stdin.flush()
        line = child.stdout.readline(LONGEST_LINE)
        got: dict[str, Any] = json.loads(line)
    except (OSError, ValueError) as exc:
        msg = "reading the page with yt-dlp took too long, or ended by itself"
        raise FetchTimeout(msg) from exc
    return got
