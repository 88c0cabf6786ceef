"""Manners: robots.txt obeyed or the host left alone, pages of the right kind only, a host's pace kept."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from scrapy import Request, signals
from scrapy.exceptions import StopDownload
from scrapy.http.request import NO_CALLBACK
from scrapy.robotstxt import ProtegoRobotParser
from scrapy.utils.httpobj import urlparse_cached

from crawlers.eyes import PART, ROBOTS, UNGOVERNED, Eyes
from crawlers.fetch_guard import check_url
from crawlers.outcomes import BUSY, NotAllowed, RobotsUnreadable, outcome_of
from crawlers.seen import PAGE
from monitor.errors import FetchRefused

if TYPE_CHECKING:
    from scrapy.http import Response

ROBOTS_S: Final = 10.0
"""Seconds to get robots.txt. A host that is slower is left alone for this run."""

ROBOTS_BYTES: Final = 512 * 1024
"""Bytes of robots.txt that are read and obeyed; RFC 9309, 2.5, asks for 500 KiB at least."""

ROBOTS_INFLATED: Final = 64 * 2**20
"""Bytes that one may claim to have, or may unpack to where it comes packed though we ask for it plain."""

READ: Final = "robots_bytes_read"

LONGEST_DELAY_S: Final = 60.0
"""Crawl-delay and Retry-After are kept up to this. A host that wants more is left alone in this run."""

SHORTEST_DELAY_S: Final = 0.05

PAGE_TYPES: Final = (
    "text/html",
    "application/xhtml",
    "text/xml",
    "application/xml",
    "+xml",
    "json",
    "text/plain",
    "gzip",
)
"""Parts of content types that a page, feed or sitemap may have; anything else is not read."""


class Manners:
    """Asks each host for its robots.txt once, before anything else, and keeps to it.

    RFC 9309: a host without one (4xx) allows everything; a host that cannot give it now (no answer, 5xx)
    allows nothing, in this run. The latter is written down with the run.
    """

    def __init__(self, crawler: Any) -> None:  # noqa: ANN401 - Scrapy's types are skipped
        """Connect to what the crawl shares."""
        self._crawler = crawler
        self._eyes: Eyes = crawler.spider.eyes
        self._asked: dict[str, asyncio.Future[ProtegoRobotParser | Exception]] = {}
        crawler.signals.connect(self._headers_received, signals.headers_received)
        crawler.signals.connect(self._bytes_received, signals.bytes_received)
        crawler.spider.manners = self
        crawler.signals.connect(self._sent, signals.request_reached_downloader)

    @classmethod
    def from_crawler(cls, crawler: Any) -> Manners:  # noqa: ANN401 - as above
        """Build it the way Scrapy does."""
        return cls(crawler)

    async def process_request(self, request: Request) -> None:
        """Let a request pass only if robots.txt of its host says so. Raises NotAllowed or FetchRefused."""
        if request.meta.get(PART) == ROBOTS:
            return
        check_url(request.url, self._eyes.rules)
        parts = urlparse_cached(request)
        origin = f"{parts.scheme}://{parts.netloc}"
        if request.meta.get(UNGOVERNED) == origin:
            return
        rules = await self.check_robots(request.url, origin)
        if self._pace_of(rules) is not None:
            request.meta["autothrottle_dont_adjust_delay"] = True

    async def check_robots(self, url: str, origin: str) -> ProtegoRobotParser:
        """Ask robots.txt of an origin for one address. Raises NotAllowed or FetchRefused."""
        if origin not in self._asked:
            self._asked[origin] = asyncio.ensure_future(self._ask(origin))
        rules = await asyncio.shield(self._asked[origin])
        if isinstance(rules, Exception):
            raise rules
        if not rules.allowed(url, self._eyes.user_agent):
            msg = f"robots.txt of {origin} asks us not to"
            raise NotAllowed(msg)
        return rules

    async def _ask(self, origin: str) -> ProtegoRobotParser | Exception:
        """Get robots.txt, or what every request to this host ends with in this run."""
        meta = {
            PART: ROBOTS,
            "download_timeout": ROBOTS_S,
            "download_maxsize": ROBOTS_INFLATED,
            "dont_retry": True,
            "allow_offsite": True,
            "autothrottle_dont_adjust_delay": True,
        }
        plain = {"Accept-Encoding": "identity"}
        url = f"{origin}/robots.txt"
        request = Request(url, headers=plain, priority=1000, meta=meta, callback=NO_CALLBACK)
        try:
            response = await self._crawler.engine.download_async(request)
        except FetchRefused as exc:
            return exc
        except Exception as exc:  # noqa: BLE001 - edge: whatever went wrong, the answer is the same
            return self._left_alone(origin, outcome_of(exc)[1])
        if response.status >= 500 or response.status in BUSY or 300 <= response.status < 400:
            return self._left_alone(origin, f"status {response.status}")
        body = _whole_lines(response.body) if response.status == 200 else b""
        rules = ProtegoRobotParser.from_crawler(self._crawler, body)
        self._keep_pace(request, rules)
        self._crawler.spider.sitemaps[origin] = tuple(rules.rp.sitemaps)
        return rules

    def _left_alone(self, origin: str, why: str) -> RobotsUnreadable:
        self._eyes.tally.refused_hosts[origin] = why
        return RobotsUnreadable(f"robots.txt of {origin} could not be read: {why}")

    def _pace_of(self, rules: ProtegoRobotParser) -> float | None:
        delay = rules.rp.crawl_delay(self._eyes.user_agent)
        return None if delay is None else min(float(delay), LONGEST_DELAY_S)

    def _keep_pace(self, request: Request, rules: ProtegoRobotParser) -> None:
        """Give a host that names a Crawl-delay one request at a time, that far apart."""
        delay = self._pace_of(rules)
        if delay is None:
            return
        downloader = self._crawler.engine.downloader
        key = downloader.get_slot_key(request)
        downloader.per_slot_settings[key] = {"concurrency": 1, "delay": delay, "jitter": 0.0}
        slot = downloader.slots.get(key)
        if slot is not None:
            slot.concurrency, slot.delay, slot.jitter = 1, delay, 0.0

    def process_response(self, request: Request, response: Response) -> Response:
        """Slow down for a host that asks for it."""
        if response.status in BUSY:
            hold(self._crawler, request, retry_after_s(response))
        return response

    def _sent(self, *_: Any) -> None:  # noqa: ANN401 - as above
        self._eyes.tally.requests += 1

    def _headers_received(self, headers: Any, request: Request) -> None:  # noqa: ANN401 - as above
        """Stop a page whose type says that it is none, before its body is read."""
        kind = (headers.get("Content-Type") or b"").decode("latin-1").lower()
        if request.meta.get(PART) == PAGE and kind and not any(part in kind for part in PAGE_TYPES):
            raise StopDownload(fail=True)

    def _bytes_received(self, data: bytes, request: Request) -> None:
        """Stop a robots.txt that is longer than what is read of it; that much is obeyed."""
        if request.meta.get(PART) != ROBOTS:
            return
        request.meta[READ] = request.meta.get(READ, 0) + len(data)
        if request.meta[READ] >= ROBOTS_BYTES:
            raise StopDownload(fail=False)


def _whole_lines(body: bytes) -> bytes:
    """Give what is read of a robots.txt, without a line that was cut: half a rule says something else."""
    return body if len(body) < ROBOTS_BYTES else body[:ROBOTS_BYTES].rpartition(b"\n")[0]


def retry_after_s(response: Response) -> float | None:
    """Give the seconds that a Retry-After asks for, as a number or as a date; None where there is none."""
    asked = (response.headers.get("Retry-After") or b"").decode("latin-1").strip()
    if asked.isdigit():
        return float(asked[:9])
    try:
        until = parsedate_to_datetime(asked)
    except ValueError:
        return None
    now = datetime.now(UTC) if until.tzinfo else datetime.now(UTC).replace(tzinfo=None)
    return max(0.0, (until - now).total_seconds())


def hold(crawler: Any, request: Request, seconds: float | None) -> None:  # noqa: ANN401 - as above
    """Send nothing to the host of a request for some seconds; None slows it down instead.

    A host that wants more than LONGEST_DELAY_S is closed for us (handler.py refuses to ask it).
    """
    slot = crawler.engine.downloader.slots.get(request.meta.get("download_slot"))
    if slot is None:
        return
    if seconds is None:
        slot.delay = min(max(1.0, 2 * slot.delay), LONGEST_DELAY_S)
    elif seconds > LONGEST_DELAY_S:
        crawler.spider.eyes.closed[urlparse_cached(request).netloc] = time.monotonic() + seconds
    elif seconds > 0:
        slot.delay = max(slot.delay, SHORTEST_DELAY_S)  # without any, Scrapy does not look at `lastseen`
        slot.lastseen = max(slot.lastseen, time.monotonic() + seconds)
