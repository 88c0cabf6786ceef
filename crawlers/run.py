"""One crawl of one source: one process, because Twisted's reactor runs once in a process's life.

1. find the source and take its lease, so that nobody else crawls it now;
2. make the door from the public intake key: this process can put media in and open none of it;
3. read what was seen before and open the record of the run;
4. let Scrapy walk, while a thread writes down what happened;
5. close the record.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from crawlers import lease, quiet, runs, sources
from crawlers.eyes import Eyes
from crawlers.fetch import Fetcher, Limits
from crawlers.journal import Journal
from crawlers.platforms.interfaces import Terms
from crawlers.platforms.registry import SITE, WALKED, platform_of
from crawlers.seen import LOOKED, read_book
from crawlers.settings import runs_scripts, scrapy_settings, user_agent
from monitor.db import open_engine, reading
from monitor.errors import LeaseLost, LikenessError, NotCollected
from monitor.intake import Door, keep, kind_of
from monitor.values import MediaKind, SourceId

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from crawlers.spiders.media import MediaSpider
    from crawlers.tables import Source
    from monitor.settings import Settings

GRACEFUL: Final = "finished"
"""Scrapy's word for a crawl that ended because there was nothing left to ask for."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one crawl did, for people and for `--json`."""

    source: str
    run_id: str
    state: str
    counts: dict[str, Any]
    failed_code: str | None = None
    failed_reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give it flat."""
        head = {"source": self.source, "run_id": self.run_id, "state": self.state}
        return head | self.counts | {"failed_code": self.failed_code, "failed_reason": self.failed_reason}


def crawl(settings: Settings, name: str, *, by_hand: bool = True, terms: Terms | None = None) -> Report:
    """Crawl one source now. Once in the life of a process.

    `by_hand` looks again, at once, at media seen before somebody enrolled; scheduled runs wait a day.
    `terms` are what people asked us to look for: they stay in memory.

    Raises:
        NotFound: no such source.
        ConfigError: nobody is named as the operator of the crawler, or there is no such kind of source.
        KeyMissing: the service has no intake key yet.
        LeaseLost: the source is being crawled by another process.
        StorageError: what happened could not be written.
    """
    agent = user_agent(settings.crawl_contact)
    engine = open_engine(settings.database)
    try:
        with reading(engine) as session:
            source = sources.find(session, name)
        if runs_scripts(source):
            from crawlers import browser  # noqa: PLC0415 - only where a source says so

            browser.executable(settings.chromium)
        with held_lease(engine, f"crawl:{source.id}") as held:
            eyes = eyes_for(settings, engine, source, agent, by_hand=by_hand)
            return _crawl(engine, replace(eyes, terms=terms or Terms()), held)
    finally:
        engine.dispose()


@contextlib.contextmanager
def held_lease(engine: Engine, name: str) -> Iterator[tuple[str, str]]:
    """Hold a lease and give its name and owner. Raises LeaseLost where somebody else does."""
    who = lease.owner()
    if not lease.take(engine, name, who):
        msg = "this source is being crawled by another process"
        raise LeaseLost(msg, hint="Wait for it to end, or look at it with `likeness source show`.")
    try:
        yield name, who
    finally:
        lease.release(engine, name, who)


def eyes_for(settings: Settings, engine: Engine, source: Source, agent: str, *, by_hand: bool) -> Eyes:
    """Put together what one crawl shares. Raises KeyMissing before the service has an intake key."""
    rules = sources.rules(source)
    limits = Limits(min(settings.fetch_max_bytes, settings.max_bytes), settings.fetch_seconds)
    door = Door.of(settings, engine)
    return Eyes(
        source=source,
        rules=rules,
        book=read_book(engine, SourceId(source.id), by_hand=by_hand),
        tally=runs.Tally(),
        fetcher=Fetcher(rules, limits, agent, _collected(source), partial(keep, door=door)),
        door=door,
        user_agent=agent,
        chromium=settings.chromium,
    )


def _collected(source: Source) -> Callable[[bytes], None]:
    """Judge a file by its first bytes. What is made raises NotMedia, and NotCollected for other kinds."""
    wanted = source.collects.split(",")

    def judge(head: bytes) -> None:
        kind = "image" if (found := kind_of(head)) is MediaKind.ANIMATION else found.value
        if kind not in wanted:
            msg = f"this source is not read for {kind}"
            raise NotCollected(msg)

    return judge


def _crawl(engine: Engine, eyes: Eyes, held: tuple[str, str]) -> Report:
    run_id = runs.begin(engine, SourceId(eyes.source.id))
    try:
        with Journal(engine, eyes.book, eyes.tally, run_id, held) as journal:
            reason = walk(eyes, journal)
            journal.check()
    except LikenessError as exc:
        return _closed(engine, eyes, run_id, runs.FAILED, (exc.code, exc.message))
    state, failed = _verdict(eyes, reason)
    return _closed(engine, eyes, run_id, state, failed)


def _verdict(eyes: Eyes, reason: str) -> tuple[str, tuple[str, str] | None]:
    """Say how a run ended. One that could not even read the source's own address has failed."""
    first = eyes.book.seen(eyes.source.url)
    if (
        eyes.tally.pages == 0
        and eyes.tally.media_found == 0
        and first is not None
        and first.code not in LOOKED
    ):
        return runs.FAILED, (first.code, first.reason or "")
    return (runs.FINISHED if reason == GRACEFUL else runs.STOPPED), None


def _closed(engine: Engine, eyes: Eyes, run_id: str, state: str, failed: tuple[str, str] | None) -> Report:
    runs.end(engine, run_id, eyes.tally, state, failed)
    code, why = failed or (None, None)
    return Report(eyes.source.name, run_id, state, eyes.tally.plain(), code, why)


def spider_of(kind: str) -> type[MediaSpider]:
    """Give the walk for a kind of source. Raises ConfigError for one that there is not."""
    if kind == SITE:
        from crawlers.spiders.site import SiteSpider  # noqa: PLC0415 - importing Scrapy takes a second

        return SiteSpider
    if kind in WALKED:
        module, _, name = WALKED[kind][1].partition(":")
        found: type[MediaSpider] = getattr(importlib.import_module(module), name)
        return found
    platform_of(kind)
    from crawlers.spiders.platform import PlatformSpider  # noqa: PLC0415 - as above

    return PlatformSpider


def walk(eyes: Eyes, journal: Journal, spider: type[MediaSpider] | None = None, **told: Any) -> str:  # noqa: ANN401 - what a spider is told
    """Run Scrapy until there is nothing left to ask for, or a signal ends it. Gives its reason.

    `spider` walks instead of the one for the kind of source; `told` is for it.
    """
    from scrapy.crawler import AsyncCrawlerProcess  # noqa: PLC0415 - importing Scrapy takes a second

    quiet.hide(eyes.terms)
    logging.disable(logging.INFO)  # Scrapy announces itself, and sets its own loggers to DEBUG
    process = AsyncCrawlerProcess(scrapy_settings(eyes.source, eyes.rules, eyes.user_agent))
    logging.getLogger("scrapy").setLevel(logging.WARNING)
    logging.disable(logging.NOTSET)
    crawler = process.create_crawler(spider or spider_of(eyes.source.kind))
    done = process.crawl(crawler, eyes=eyes, **told)
    loop = asyncio.get_event_loop()
    journal.on_lost = lambda: loop.call_soon_threadsafe(lambda: loop.create_task(process.stop()))
    process.start()
    if done.done() and not done.cancelled() and (fault := done.exception()) is not None:
        raise fault
    return str(crawler.stats.get_value("finish_reason") or "killed")
