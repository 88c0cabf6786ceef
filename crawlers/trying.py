"""Looks at one page of a source, the way a crawl does, and says what a crawl would do next. Keeps nothing.

The walk is the real one, with its guard, robots.txt, pace and caps; but of what it would ask for, only the
first thing is asked for. The rest is listed.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from crawlers import runs, sources
from crawlers.eyes import ASKED, PART, Eyes
from crawlers.items import MediaFound
from crawlers.platforms.registry import SITE
from crawlers.run import spider_of
from crawlers.seen import LOOKED, MEDIA, SeenBook
from crawlers.settings import scrapy_settings, user_agent
from monitor.errors import StorageError
from monitor.values import SourceId

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from scrapy import Request
    from scrapy.http import Response

    from crawlers.tables import Source
    from monitor.settings import Settings

TRIAL: Final = "LIKENESS_TRIAL"
"""Name in Scrapy's settings under which what is found is handed out."""


@dataclass
class Trial:
    """What one page gave. `media` are (address, page, title) that would be looked at, `asks` addresses next.

    `code` and `reason` say why there was nothing, where there was nothing.
    """

    url: str
    status: int | None = None
    size_bytes: int = 0
    media: list[tuple[str, str, str]] = field(default_factory=list)
    asks: list[str] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    refused_hosts: dict[str, str] = field(default_factory=dict)
    code: str | None = None
    reason: str | None = None
    asked: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give it for programs."""
        media = [{"url": url, "page_url": page_url, "title": title} for url, page_url, title in self.media]
        return asdict(self) | {"media": media}


class _Nothing:
    """Stands where media are fetched and go in. Nothing comes so far; if it did, it would go no further."""

    def close(self) -> None:
        """Have nothing to close."""

    def __getattr__(self, name: str) -> object:
        msg = "a trial keeps nothing"
        raise StorageError(msg)


def try_source(settings: Settings, source: Source) -> Trial:
    """Look at the first page of a source. Once in the life of a process; stores nothing.

    Raises ConfigError where nobody is named as the operator of the crawler, or for a kind that there is not.
    """
    agent, rules = user_agent(settings.crawl_contact), sources.rules(source)
    eyes = Eyes(
        source=source,
        rules=rules,
        book=SeenBook(SourceId(source.id), {}, 0, by_hand=True),
        tally=runs.Tally(),
        fetcher=_Nothing(),  # type: ignore[arg-type]  # that is its point
        door=_Nothing(),  # type: ignore[arg-type]  # as above
        user_agent=agent,
    )
    trial = Trial(source.url)
    _walk(eyes, trial)
    trial.notes, trial.refused_hosts = dict(eyes.tally.dropped), dict(eyes.tally.refused_hosts)
    failed = next((one for one in eyes.book.take_batch().values() if one.code not in LOOKED), None)
    if failed is not None and not trial.media and not trial.asks:
        trial.code, trial.reason = failed.code, failed.reason
    return trial


def _walk(eyes: Eyes, trial: Trial) -> None:
    from scrapy.crawler import AsyncCrawlerProcess  # noqa: PLC0415 - importing Scrapy takes a second

    logging.disable(logging.INFO)  # as in run.walk
    mine = {TRIAL: trial, "SPIDER_MIDDLEWARES": {"crawlers.trying.OnlyTheFirst": 10}, "ITEM_PIPELINES": {}}
    process = AsyncCrawlerProcess(scrapy_settings(eyes.source, eyes.rules, eyes.user_agent) | mine)
    logging.getLogger("scrapy").setLevel(logging.WARNING)
    logging.disable(logging.NOTSET)
    every = (
        {"window": eyes.source.max_pages} if eyes.source.kind == SITE else {}
    )  # all that would be asked for
    done = process.crawl(process.create_crawler(spider_of(eyes.source.kind)), eyes=eyes, **every)
    process.start()
    if done.done() and not done.cancelled() and (fault := done.exception()) is not None:
        raise fault


class OnlyTheFirst:
    """Lets the first request of a walk pass, and writes down all others."""

    def __init__(self, trial: Trial) -> None:
        """Keep what is found."""
        self._trial = trial

    @classmethod
    def from_crawler(cls, crawler: Any) -> OnlyTheFirst:  # noqa: ANN401 - Scrapy's types are skipped
        """Build it the way Scrapy does."""
        return cls(crawler.settings.get(TRIAL))

    async def process_start(self, start: AsyncIterator[Any]) -> AsyncIterator[Request]:
        """Let the first one pass."""
        async for request in start:
            is_file = isinstance(request, MediaFound) or request.meta.get(PART) == MEDIA
            if self._trial.asked is None and not is_file:
                self._trial.asked = request.url
                yield request
            else:
                self._write_down(request)

    def process_spider_input(self, response: Response) -> None:
        """See what came back."""
        self._trial.status, self._trial.size_bytes = response.status, len(response.body)

    async def process_spider_output(
        self, response: Response, result: AsyncIterator[Any]
    ) -> AsyncIterator[Request]:
        """Write down what would be asked for."""
        async for one in result:
            if hasattr(one, "meta") or isinstance(one, MediaFound):
                self._write_down(one)
        return
        yield response.request  # this is what makes it a generator; nothing passes

    def _write_down(self, request: Request | MediaFound) -> None:
        if isinstance(request, MediaFound):
            self._trial.media.append((request.url, request.page_url, request.title))
        elif request.meta.get(PART) == MEDIA:
            found = (request.url, request.cb_kwargs["page_url"], request.cb_kwargs["title"])
            self._trial.media.append(found)
        else:
            self._trial.asks.append(request.meta.get(ASKED, request.url))
