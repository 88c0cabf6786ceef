"""What the posts of a step show: their media are asked for, and the step waits until each was noted."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Final

from crawlers.fetch_guard import split
from crawlers.links import MAX_LINKS, clean
from crawlers.outcomes import WRONG_DATE
from monitor.db import utc_now
from monitor.errors import FetchRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrapy import Request

    from crawlers.eyes import Eyes
    from crawlers.platforms.interfaces import Post, Watch
    from crawlers.spiders.lines import OneStep

    Media = Callable[[str, str, str, datetime | None], Iterator[Request]]

EARLIEST: Final = datetime(1995, 1, 1, tzinfo=UTC)
"""No post on the web is older: a date before it is a broken one."""

AGES_KEPT: Final = 1000
"""Ages of new posts that the lag is the median of: the newest so many, so that a long crawl stays small."""

AHEAD: Final = timedelta(hours=26)
"""A date this far ahead is some time zone's; one that is further is wrong."""


class Posts:
    """All posts of one crawl. `media` asks for a file and gives nothing where that is not needed."""

    def __init__(self, eyes: Eyes, watch: Watch, media: Media) -> None:
        """Listen to the book: it hears of each file when it is settled."""
        self._eyes, self._watch, self._media = eyes, watch, media
        self._met: set[str] = set()
        self._ages: deque[float] = deque(maxlen=AGES_KEPT)
        self._waiting: dict[str, list[OneStep]] = {}
        eyes.book.on_noted = self._noted

    @property
    def count(self) -> int:
        """Posts met so far, each once."""
        return len(self._met)

    def take(self, posts: tuple[Post, ...], step: OneStep, *, known: bool) -> Iterator[Request]:
        """Ask for what posts show. Their age counts where it is `known` that what is shown now is new."""
        for post in posts[:MAX_LINKS]:
            page_url = post.url if _is_address(post.url) else self._watch.url
            fresh = page_url not in self._met and any(
                self._eyes.book.seen(one.url) is None for one in post.media
            )
            self._met.add(page_url)
            age_s = self._age_s(post)
            if fresh and known and age_s is not None:
                self._ages.append(age_s)
                self._eyes.tally.lag_s = median(self._ages)
            changed_at = None if age_s is None else post.posted_at
            for link in post.media[:MAX_LINKS]:
                if _is_address(link.url):
                    asked = self._media(link.url, page_url, clean(link.title or post.title), changed_at)
                    yield from self._awaited(link.url, list(asked), step)
                else:
                    self._eyes.tally.dropped[FetchRefused.code] += 1

    def _age_s(self, post: Post) -> float | None:
        """Give the age of a post in seconds, or None where its date is none. A wrong one is counted."""
        if post.posted_at is None:
            return None
        now = utc_now()
        if post.posted_at.tzinfo is None or not EARLIEST <= post.posted_at <= now + AHEAD:
            self._eyes.tally.dropped[WRONG_DATE] += 1
            return None
        return max(0.0, (now - post.posted_at).total_seconds())

    def _awaited(self, url: str, requests: list[Request], step: OneStep) -> Iterator[Request]:
        """Let the step wait for a file that is asked for now, or was asked for by another step."""
        if requests or url in self._waiting:
            step.opened()
            self._waiting.setdefault(url, []).append(step)
        yield from requests

    def _noted(self, url: str) -> None:
        for step in self._waiting.pop(url, ()):
            step.settled()


def _is_address(url: str) -> bool:
    try:
        split(url)
    except FetchRefused:
        return False
    return True
