"""What a page shows after its scripts have run, for sources that say `javascript=yes`, behind the guard.

Scrapy has fetched the page as any other. Chromium is given those bytes, runs the scripts in them, and reaches
nothing by itself:

* it resolves no name and its proxy is a port that refuses: what is not intercepted goes nowhere;
* each request of the page is intercepted. Scripts and what they load (by GET) are fetched by `Loader`, with
  our User-Agent, through robots.txt, the guard and the pinned connection, and handed in as bytes. So a
  name is looked up by us, once, and its addresses are checked; a redirect is followed by us, each hop too;
* all else is refused: other documents, frames, pictures, films and fonts (our fetcher gets the media that the
  page shows in the end), forms, WebSockets, WebRTC, service workers, downloads, `file:`;
* requests, bytes and seconds of a page are capped. One page knows nothing of another: no cookie is kept.

Chromium's own sandbox is on, except under root, where Chromium cannot have it; this is logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import os
import shutil
import socket
import ssl
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

import httpcore
from scrapy import signals
from scrapy.http import HtmlResponse

from crawlers.eyes import ASKED, PART
from crawlers.fetch import CONNECT_S, decoded
from crawlers.fetch_guard import MAX_REDIRECTS, check_url
from crawlers.pinned import SILENCE_S, PinnedBackend
from crawlers.seen import PAGE
from monitor.errors import ConfigError, FetchRefused, FetchTooLarge

if TYPE_CHECKING:
    from scrapy import Request
    from scrapy.http import Response

    from crawlers.eyes import Eyes
    from crawlers.fetch_guard import Rules

MOST_REQUESTS: Final = 60
MOST_BYTES: Final = 16 * 2**20
PAGE_S: Final = 20.0
"""What one page may load, and how long it may run."""

QUIET_S: Final = 4.0
"""Longest wait, after a page has loaded, for its scripts to have loaded what they load."""

AT_ONCE: Final = 2
"""Pages rendered at once: each takes a core and some hundred megabytes."""

LOADED: Final = frozenset({"script", "xhr", "fetch"})
"""What a page may load, in Playwright's words."""

PASSED_ON: Final = frozenset(
    {"content-type", "access-control-allow-origin", "access-control-allow-credentials"}
)
"""Headers of an answer that the page is given: what it is, and who may read it."""

RENDER_FAILED: Final = "render_failed"
"""A page whose scripts did not come to an end, or broke the browser: it is read as it came."""

NOT_THERE: Final = (
    "for (const one of ['RTCPeerConnection', 'webkitRTCPeerConnection', 'WebTransport']) delete window[one];"
    "window.open = () => null;"
)
"""What pages do not find in their window. The way out is closed without this; it saves the trying."""

INSTALL: Final = "Install Debian's chromium, or name one with LIKENESS_CHROMIUM."

log = logging.getLogger(__name__)


def executable(named: str = "") -> str:
    """Find Chromium. Raises ConfigError where it, or the library that drives it, is missing."""
    if importlib.util.find_spec("playwright") is None:
        msg = "a source says javascript=yes, and the library that drives a browser is missing"
        raise ConfigError(msg, hint="Install the extra: pip install 'likeness-watch[javascript]'.")
    found = shutil.which(named) if named else shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        msg = f"a source says javascript=yes, and there is no browser{f' at {named}' if named else ''}"
        raise ConfigError(msg, hint=INSTALL)
    return found


def flags(refusing_port: int) -> list[str]:
    """Give what Chromium is started with: no name is resolved, and connections go to a port that refuses."""
    return [
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--proxy-server=http://127.0.0.1:{refusing_port}",
        "--proxy-bypass-list=<-loopback>",
        "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
        "--disable-quic",
        "--disable-extensions",
        "--disable-background-networking",
        "--dns-prefetch-disable",
        "--disable-gpu",
        "--disable-features=Translate,OptimizationHints,MediaRouter,Prerender2",
    ]


async def _shut(window: Any) -> None:  # noqa: ANN401 - Playwright's page
    """Close a window that a page opened."""
    with contextlib.suppress(Exception):  # it may have closed itself
        await window.close()


class Loader:
    """Gets what a page loads. In threads; every connection goes to an address that the guard has checked."""

    def __init__(self, rules: Rules, agent: str) -> None:
        """Keep the rules of the source."""
        self._rules, self._agent = rules, agent
        self._backend = PinnedBackend(rules)
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl.create_default_context(), max_connections=16, network_backend=self._backend
        )

    def get(self, url: str, most: int, deadline: float) -> tuple[int, dict[str, str], bytes]:
        """Get one answer; redirects are given back. Raises FetchError, httpcore's errors or OSError."""
        check_url(url, self._rules)
        headers = {"User-Agent": self._agent, "Accept": "*/*", "Accept-Encoding": "identity"}
        timeouts = {"connect": CONNECT_S, "read": SILENCE_S, "write": SILENCE_S, "pool": PAGE_S}
        extensions = {"timeout": timeouts}
        with (
            self._backend.until(deadline),
            self._pool.stream("GET", url, headers=list(headers.items()), extensions=extensions) as answer,
        ):
            named = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers
            }
            body = bytearray()
            for piece in decoded(answer.iter_stream(), named.get("content-encoding", "")):
                body += piece
                if len(body) > most:
                    msg = "a page loads more than it may"
                    raise FetchTooLarge(msg)
            return answer.status, named, bytes(body)

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


@dataclass
class Budget:
    """What one page may still load, and until when (time.monotonic())."""

    requests: int = MOST_REQUESTS
    size_bytes: int = MOST_BYTES
    deadline: float = field(default_factory=lambda: time.monotonic() + PAGE_S)
    is_open: bool = False

    def opens(self, asked: Any, url: str) -> bool:  # noqa: ANN401 - Playwright's request
        """Say whether a request is the one that opens the page itself: the first of all."""
        if self.is_open or not asked.is_navigation_request():
            return False
        self.is_open = True
        return bool(asked.url.partition("#")[0] == url.partition("#")[0])


class Rendered:
    """A downloader middleware: HTML of a source that says so is replaced by what its scripts made of it."""

    def __init__(self, crawler: Any) -> None:  # noqa: ANN401 - Scrapy's types are skipped
        """Connect to what the crawl shares."""
        self._spider = crawler.spider
        self._eyes: Eyes = crawler.spider.eyes
        self._loader = Loader(self._eyes.rules, self._eyes.user_agent)
        self._room, self._starting = asyncio.Semaphore(AT_ONCE), asyncio.Lock()
        self._playwright: Any = None
        self._browser: Any = None
        self._refusing = socket.socket()
        self._refusing.bind(("127.0.0.1", 0))  # and never listen: who connects is refused
        crawler.signals.connect(self.close, signals.spider_closed)

    @classmethod
    def from_crawler(cls, crawler: Any) -> Rendered:  # noqa: ANN401 - as above
        """Build it the way Scrapy does."""
        return cls(crawler)

    async def process_response(self, request: Request, response: Response) -> Response:
        """Run the scripts of a page, or give it as it came."""
        is_html = isinstance(response, HtmlResponse) and response.status == 200
        if request.meta.get(PART) != PAGE or not is_html or b"<script" not in response.body.lower():
            return response
        async with self._room:
            try:
                async with asyncio.timeout(PAGE_S + QUIET_S):
                    text = await self._render(response)
            except ConfigError:
                raise
            except Exception as exc:  # noqa: BLE001 # edge: whatever a stranger's script did to the browser
                log.info("not rendered: %s (%s)", request.meta.get(ASKED), type(exc).__name__)
                self._eyes.tally.dropped[RENDER_FAILED] += 1
                await self._stop()
                return response
        return response.replace(body=text.encode("utf-8", errors="replace"), encoding="utf-8")

    async def _render(self, response: Response) -> str:
        browser = await self._started()
        context = await browser.new_context(
            service_workers="block", accept_downloads=False, user_agent=self._eyes.user_agent, permissions=[]
        )
        try:
            page = await context.new_page()
            await context.add_init_script(NOT_THERE)
            await context.route_web_socket("**", lambda line: line.close())
            await context.route("**/*", partial(self._route, response, Budget()))
            context.on("page", _shut)
            await page.goto(response.url, wait_until="commit", timeout=PAGE_S * 1000)
            for state, seconds in (("load", PAGE_S - QUIET_S), ("networkidle", QUIET_S)):
                with contextlib.suppress(Exception):  # a page that is never quiet is read as it is by then
                    await page.wait_for_load_state(state, timeout=seconds * 1000)
            text: str = await page.content()
            return text
        finally:
            await asyncio.wait_for(context.close(), QUIET_S)

    async def _started(self) -> Any:  # noqa: ANN401 - Playwright's browser
        from playwright.async_api import async_playwright  # noqa: PLC0415 - an extra

        async with self._starting:
            if self._browser is None or not self._browser.is_connected():
                if self._playwright is None:
                    self._playwright = await async_playwright().start()
                is_root = os.geteuid() == 0
                if is_root:
                    log.warning("Chromium runs without its sandbox, because this process runs as root")
                self._browser = await self._playwright.chromium.launch(
                    executable_path=executable(self._eyes.chromium),
                    args=flags(self._refusing.getsockname()[1]),
                    chromium_sandbox=not is_root,
                    env={
                        name: os.environ[name]
                        for name in ("PATH", "HOME", "LANG", "TMPDIR")
                        if name in os.environ
                    },
                )
            return self._browser

    async def _route(self, response: Response, budget: Budget, route: Any) -> None:  # noqa: ANN401 - Playwright's
        asked = route.request
        try:
            if budget.opens(asked, response.url):
                kind = (response.headers.get("Content-Type") or b"text/html").decode("latin-1")
                kind = kind if "charset" in kind else f"{kind}; charset={response.encoding}"
                await route.fulfill(status=200, headers={"content-type": kind}, body=response.body)
            else:
                status, headers, body = await self._allowed(asked, budget)
                await route.fulfill(status=status, headers=headers, body=body)
        except Exception:  # noqa: BLE001 # edge: whatever it is, nothing goes out
            with contextlib.suppress(Exception):  # the page may be gone by now
                if asked.is_navigation_request():
                    await route.fulfill(status=204)  # a page that would go elsewhere stays what it is
                else:
                    await route.abort()

    async def _allowed(self, asked: Any, budget: Budget) -> tuple[int, dict[str, str], bytes]:  # noqa: ANN401 - as above
        """Get what a page asks for, if it may have it."""
        if asked.resource_type not in LOADED or asked.method != "GET":
            msg = "a page may load scripts and what they read, and nothing else"
            raise FetchRefused(msg)
        url = asked.url
        for _ in range(1 + MAX_REDIRECTS):
            budget.requests -= 1
            if budget.requests < 0:
                msg = "a page asks for more than it may"
                raise FetchRefused(msg)
            check_url(url, self._eyes.rules)
            parts = urlsplit(url)
            await self._spider.manners.check_robots(url, f"{parts.scheme}://{parts.netloc}")
            self._eyes.tally.requests += 1
            get = partial(self._loader.get, url, budget.size_bytes, budget.deadline)
            status, named, body = await asyncio.get_running_loop().run_in_executor(self._eyes.threads, get)
            budget.size_bytes -= len(body)
            self._eyes.tally.bytes_fetched += len(body)
            if not (300 <= status < 400 and "location" in named):
                return status, {name: value for name, value in named.items() if name in PASSED_ON}, body
            url = urljoin(url, named["location"])
        msg = "led away too often"
        raise FetchRefused(msg)

    async def _stop(self) -> None:
        """End the browser, which the next page starts anew."""
        browser, self._browser = self._browser, None
        if browser is not None:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(browser.close(), QUIET_S)

    async def close(self) -> None:
        """End everything."""
        await self._stop()
        if self._playwright is not None:
            await self._playwright.stop()
        self._loader.close()
        self._refusing.close()
