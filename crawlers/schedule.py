"""One process that starts a crawl of each source when it is due. It crawls nothing itself.

When a source is due stands in its row (`due_at`), and what a run that ended means for it is reckoned from the
run's own record (cadence.py). So a scheduler that is killed leaves nothing undone: the next one reads the
same rows. Every crawl that is due becomes a job of APScheduler, whose store lives in memory; its triggers are
not asked when, since they know neither an interval that adapts nor a clock that was set back. After a sleep
of the machine each overdue source is looked at once, the longest overdue first, a few at a time. A lease
keeps a second scheduler out. Each crawl, and each fetch from a partner's bucket or folder, is a
process of its own, without any key.

Clocks: what lasts is measured by the clock that does not jump. Where the wall clock was set back, what is due
is moved back by as much; where it was set forward, sources are due early, once.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from datetime import UTC, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, or_, select

from crawlers import cadence, feeds, lease, retro, runs
from crawlers.children import FEEDS, PULL, Crawls
from crawlers.forgetting import forget
from crawlers.settings import user_agent
from crawlers.tables import Source
from monitor import log
from monitor.db import open_engine, reading, utc_now, writing
from monitor.errors import LeaseLost, StorageFull
from monitor.partners import pull_times
from monitor.values import SourceId

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlalchemy import Engine
    from sqlmodel import Session

    from crawlers.interfaces import TermBook
    from crawlers.tables import CrawlRun
    from monitor.partners.pull_times import Places
    from monitor.settings import Settings

LEASE: Final = "scheduler"
"""Name of the lease; its row is also the heartbeat that others may look at."""

CRAWLS, ROUNDS = "crawls", "rounds"
"""The two pools of threads: a round never waits for crawls."""

CRAWLS_AT_ONCE: Final = 4
"""Crawl processes at once; each takes about 150 MB. The others wait their turn and are not dropped."""

PULLS_AT_ONCE: Final = 2
"""Of them, fetches from partners' places: one may take hours, and crawls go on beside it."""

SYNC_S: Final = 2.0
"""Seconds until an added, paused or removed source takes effect."""

RETRY_S: Final = 30.0
LONGEST_RETRY_S: Final = 900.0
"""Seconds until a crawl that gave no report is started again, doubled each time up to the longest: it was
killed, or could not begin because the service has no intake key yet or somebody crawls the source by hand."""

SET_BACK_S: Final = 5.0
"""Seconds that the wall clock may lose against the steady one before it counts as set back."""

AGAIN_S: Final = 10.0
"""Seconds between two looks for people who enrolled (retro.py)."""

AGAIN_TRIES: Final = 3
"""Times that a slice of a second look is tried; then the scan goes on without that source."""

FORGET_S: Final = 600.0
"""Seconds between two rounds of forgetting old addresses."""


def run_scheduler(
    settings: Settings, stop: threading.Event, book: TermBook | None = None, places: Places | None = None
) -> None:
    """Start crawls as they fall due, until `stop` is set.

    `book` knows what people asked us to look for, `places` opens where feeds are fetched from.

    Raises ConfigError when nobody is named as the operator of the crawler, LeaseLost when another
    scheduler runs, or took over.
    """
    user_agent(settings.crawl_contact)
    engine = open_engine(settings.database)
    who = lease.owner()
    if not lease.take(engine, LEASE, who):
        msg = "another scheduler is running"
        raise LeaseLost(msg, hint="One is enough. If it was killed, this works again within a minute.")
    children = Crawls(settings, book, places)
    jobs = Jobs(engine, children)
    try:
        jobs.every(FORGET_S, partial(_forget, engine))
        _keep_going(engine, who, jobs, stop)
    finally:
        jobs.close()
        children.close()
        lease.release(engine, LEASE, who)
        engine.dispose()


def _keep_going(engine: Engine, who: str, jobs: Jobs, stop: threading.Event) -> None:
    logger = log.get(__name__)
    extended = time.monotonic()
    while not stop.wait(SYNC_S if jobs.ready else 0):
        held = True
        try:
            jobs.sync()
            if time.monotonic() - extended >= lease.EXTEND_S:
                with writing(engine) as session:
                    held = lease.extend(session, LEASE, who)
                extended = time.monotonic()
        except (DBAPIError, StorageFull) as exc:
            logger.warning("the database did not answer", error=type(exc).__name__)
            held = time.monotonic() - extended < lease.LEASE_S
        if not held:
            msg = "another scheduler has taken over"
            raise LeaseLost(msg)


def _forget(engine: Engine) -> None:
    try:
        forget(engine, utc_now())
    except (DBAPIError, StorageFull) as exc:
        log.get(__name__).warning("old addresses could not be forgotten", error=type(exc).__name__)


class _Scheduler(BackgroundScheduler):  # type: ignore[misc]  # APScheduler has no types
    """APScheduler's, told to end while it starts a job.

    It then looks for the job, to remove it, where jobs wait for a scheduler that never started (3.11.3), and
    its thread dies of not finding it.
    """

    def remove_job(self, job_id: str, jobstore: str | None = None) -> None:
        """Remove a job, or none: one that is gone already is as good as removed."""
        with contextlib.suppress(JobLookupError):
            super().remove_job(job_id, jobstore)


class Jobs:
    """Which crawls run, and which are due. `now` is the wall clock, `steady` the one that does not jump."""

    def __init__(
        self,
        engine: Engine,
        children: Crawls,
        now: Callable[[], datetime] = utc_now,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with nothing running."""
        self._engine, self._children, self.ready = engine, children, False
        self._now, self._steady = now, steady
        self._clocks: tuple[datetime, float] | None = None
        self._running: dict[str, tuple[str, str]] = {}
        self._silent: dict[str, tuple[int, float]] = {}
        self._again_from, self._in_vain, self._feeds_from = steady(), 0, steady()
        self._lock = threading.Lock()
        self._scheduler = _Scheduler(
            jobstores={"default": MemoryJobStore()},
            executors={CRAWLS: ThreadPoolExecutor(CRAWLS_AT_ONCE), ROUNDS: ThreadPoolExecutor(1)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone=UTC,
        )
        self._scheduler.start()

    def every(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something now and again and again, beside the crawls."""
        often = IntervalTrigger(seconds=seconds, timezone=UTC)
        self._scheduler.add_job(act, often, executor=ROUNDS, next_run_time=utc_now())

    def sync(self) -> None:
        """Let go what is paused, reckon what ended, start what is due. Raises DBAPIError, StorageFull."""
        self._mind_the_clock()
        now = self._now()
        with self._lock:
            running = dict(self._running)
        with reading(self._engine) as session:
            paused = _not_watched(session, running)
            due = _due(session, now)
            ended = [
                row.id for row in due if row.id not in running and _ended_since(session, row) is not None
            ]
        for source_id in paused:
            self._children.end(running[source_id][0])
        if ended:
            self._settle(ended)
        for row in due:
            if row.id not in ended:
                self._start(row)
        self._look_again(now)
        self._fetch_for_feeds()
        self._pull_feeds(now)
        self.ready = True

    def _settle(self, source_ids: Sequence[str]) -> None:
        """Reckon when sources are due again from their last runs, each run once."""
        with writing(self._engine) as session:
            rows = session.exec(select(Source).where(col(Source.id).in_(source_ids)).with_for_update())
            for row in rows:
                run = _ended_since(session, row)
                if run is not None:
                    after = cadence.next_look(row, run, self._now())
                    row.due_at, row.interval_s, row.failures = after.due_at, after.interval_s, after.failures
                    session.add(row)

    def _start(self, row: Source) -> None:
        """Start one crawl, where there is room and nobody crawls the same host."""
        crawl = partial(self._children.crawl, SourceId(row.id), row.name)
        self._begin(row.id, row.name, urlsplit(row.url).netloc, crawl)

    def _begin(
        self,
        key: str,
        name: str,
        host: str,
        act: Callable[[], bool],
        over: Callable[[bool], None] | None = None,
    ) -> bool:
        """Start a process where there is room, nobody is at its host and it need not wait; say whether.

        `act` waits for it and says whether it gave a report. `over` hears that, and sees to when it is tried
        again; without it, what gave no report waits, each time twice as long.
        """
        with self._lock:
            _, not_before = self._silent.get(key, (0, 0.0))
            busy = key in self._running or host in {one for _, one in self._running.values()}
            if busy or len(self._running) >= CRAWLS_AT_ONCE or not_before > self._steady():
                return False
            self._running[key] = (name, host)
        job = partial(self._do, key, name, act, over or partial(self._wait_longer, key))
        self._scheduler.add_job(job, executor=CRAWLS, name=name)
        return True

    def _do(self, key: str, name: str, act: Callable[[], bool], over: Callable[[bool], None]) -> None:
        reported = False
        try:
            reported = act()
        except Exception:  # noqa: BLE001 # edge: what cannot be started must not end the scheduler
            log.get(__name__).exception("a process could not be started", what=name)
        try:
            over(reported)
        finally:
            with self._lock:
                self._running.pop(key, None)

    def _wait_longer(self, key: str, reported: bool) -> None:  # noqa: FBT001 - what `_begin` hands on
        with self._lock:
            times = self._silent.pop(key, (0, 0.0))[0]
            if not reported:
                wait_s = min(RETRY_S * 2 ** min(times, 16), LONGEST_RETRY_S)
                self._silent[key] = (times + 1, self._steady() + wait_s)

    def _look_again(self, now: datetime) -> None:
        """Start the next slice of a second look, one at a time, where there is room."""
        if self._steady() < self._again_from:
            return
        self._again_from = self._steady() + AGAIN_S
        found = retro.next_slice(self._engine, now)
        if found is None:
            return
        if found.is_place and not self._children.can_pull:
            self._pass_over(found, "no key-encryption key opens the place")
            return
        host = PULL + found.name if found.is_place else urlsplit(found.url).netloc or found.url
        wait, self._again_from = self._again_from, math.inf
        again = partial(self._children.again, found)
        if not self._begin(found.key, found.name, host, again, partial(self._looked_again, found)):
            self._again_from = wait

    def _looked_again(self, found: retro.Slice, reported: bool) -> None:  # noqa: FBT001 - as above
        self._in_vain = 0 if reported else self._in_vain + 1
        try:
            if self._in_vain >= AGAIN_TRIES:
                self._pass_over(found, "it gave no report")
                self._in_vain = 0
        except (DBAPIError, StorageFull) as exc:
            log.get(__name__).warning("the database did not answer", error=type(exc).__name__)
        self._again_from = self._steady() + (0 if reported else RETRY_S)

    def _pass_over(self, found: retro.Slice, why: str) -> None:
        """Let a second look go on without a source or feed; what is left of it counts as failed."""
        left = retro.passed_over(self._engine, found)
        log.get(__name__).warning(
            "a second look passed over a source", source=found.name, why=why, items=left
        )

    def _fetch_for_feeds(self) -> None:
        """Fetch what partners pushed by address, one slice at a time, where there is room."""
        if self._steady() >= self._feeds_from and feeds.due(self._engine):
            self._begin(FEEDS, FEEDS, FEEDS, self._children.fetch, self._fetched)

    def _fetched(self, reported: bool) -> None:  # noqa: FBT001 - what `_begin` hands on
        self._feeds_from = self._steady() + (SYNC_S if reported else RETRY_S)

    def _pull_feeds(self, now: datetime) -> None:
        """Start fetching from partners' buckets and folders that are due, where there is room."""
        for name in pull_times.due(self._engine, now):
            with self._lock:
                pulls = sum(one.startswith(PULL) for one in self._running)
            if pulls >= PULLS_AT_ONCE or not self._children.can_pull:
                return
            key = PULL + name
            self._begin(key, key, key, partial(self._children.pull, name))

    def _mind_the_clock(self) -> None:
        """Move what is due back with a wall clock that was set back; nothing may be due beyond all rules."""
        now, steady = self._now(), self._steady()
        before, self._clocks = self._clocks, (now, steady)
        lost = 0.0 if before is None else steady - before[1] - (now - before[0]).total_seconds()
        if before is not None and lost < SET_BACK_S:
            return
        with writing(self._engine) as session:
            for row in session.exec(select(Source).where(col(Source.due_at) > now).with_for_update()):
                if row.due_at is not None and lost >= SET_BACK_S:
                    row.due_at -= timedelta(seconds=lost)
                if cadence.is_too_far(row, now):
                    row.due_at = now + timedelta(seconds=cadence.interval_of(row))
                session.add(row)

    def close(self) -> None:
        """Start no more crawls."""
        self._scheduler.shutdown(wait=False)


def _due(session: Session, now: datetime) -> Sequence[Source]:
    """Give the sources that are due, the longest overdue first; those never looked at come first of all."""
    is_due = or_(col(Source.due_at).is_(None), col(Source.due_at) <= now)
    query = select(Source).where(col(Source.enabled).is_(True), is_due)
    return session.exec(query.order_by(col(Source.due_at).is_not(None), col(Source.due_at), Source.id)).all()


def _ended_since(session: Session, row: Source) -> CrawlRun | None:
    """Give the last run of a source where it has ended and nothing was reckoned from it so far."""
    run = runs.last(session, row.id)
    ended = run is not None and run.finished_at is not None and not cadence.is_settled(row, run)
    return run if ended else None


def _not_watched(session: Session, running: dict[str, tuple[str, str]]) -> list[str]:
    """Give those of the sources that run now that were paused or removed."""
    mine = [one for one in running if one != FEEDS and not one.startswith((retro.FEED, PULL))]
    asked = select(Source.id).where(col(Source.id).in_(mine), col(Source.enabled).is_(True))
    watched = set(session.exec(asked)) if mine else set()
    return [one for one in mine if one not in watched]
