"""What the parts of one crawl share. Made by run.py, handed to the spider, read by everybody else."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from crawlers.platforms.interfaces import Terms
from monitor.db import utc_now
from monitor.values import Origin, OriginKind, SourceId

if TYPE_CHECKING:
    from crawlers.fetch import Fetcher
    from crawlers.fetch_guard import Rules
    from crawlers.runs import Tally
    from crawlers.seen import SeenBook
    from crawlers.tables import Source
    from monitor.intake import Door, Kept

PART: Final = "part"
"""Key in a request's meta: `page`, `media`, or `robots`."""

ROBOTS: Final = "robots"

UNGOVERNED: Final = "ungoverned_by_robots"
"""Key in a request's meta: the origin that may be asked without its robots.txt (spiders/platform.py)."""

KEPT: Final = "kept"
"""Key in the meta of a request for media: what was kept of the file, in place of a body."""

WHOLE: Final = "whole"
"""Key in the meta of a request for media: take the body into memory, that many bytes at most."""

ASKED: Final = "asked_url"
"""Key in a request's meta: the address as a page gave it, before any redirect."""


MEDIA_THREADS: Final = 16
"""Media fetched at once, over all hosts. They wait for the network, not for a core."""


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MEDIA_THREADS, thread_name_prefix="fetch")


@dataclass(frozen=True)
class Eyes:
    """One crawl of one source. `door` takes media in and opens none: it holds a public key only.

    `chromium` names the browser for pages with scripts; empty is the one that is found on the path.
    `closed` says until when, in time.monotonic(), a host (name and port) is not asked because it asked so.
    """

    source: Source
    rules: Rules
    book: SeenBook
    tally: Tally
    fetcher: Fetcher[Kept]
    door: Door
    user_agent: str
    terms: Terms = field(default_factory=Terms)
    chromium: str = ""
    closed: dict[str, float] = field(default_factory=dict)
    threads: ThreadPoolExecutor = field(default_factory=_threads)

    def is_closed(self, host: str) -> bool:
        """Say whether a host asked to be left alone until later than now."""
        return self.closed.get(host, 0.0) > time.monotonic()

    def origin(self, url: str, page_url: str, title: str) -> Origin:
        """Say where one file was seen, now."""
        source_id = SourceId(self.source.id)
        return Origin(OriginKind.CRAWL, utc_now(), url, page_url, title or None, source_id)
