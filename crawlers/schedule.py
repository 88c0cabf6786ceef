"""One process that starts a crawl of each source when it is due. It crawls nothing itself.

Schedules live in the Source rows; the jobs here are rebuilt from them in memory, so nothing is pickled
and an operator's change is in force within seconds. A lease keeps a second scheduler out: two on one
table would run everything twice. Each crawl is a process of its own, without any key.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select

from crawlers import lease, runs
from crawlers.settings import user_agent
from crawlers.tables import Source
from monitor import log
from monitor.db import open_engine, reading, utc_now, writing
from monitor.errors import LeaseLost, StorageFull

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlmodel import Session

    from monitor.settings import Settings

LEASE: Final = "scheduler"
"""Name of the lease; its row is also the heartbeat that others may look at."""

CRAWLS_AT_ONCE: Final = 4
"""Crawl processes at once; each takes about 150 MB. The others wait their turn and are not dropped."""

SYNC_S: Final = 2.0
"""Seconds until an added, paused or removed source takes effect."""

RETRY_S: Final = 30.0
"""Seconds until a crawl that gave no report is started again: it was killed, or could not begin because
the service has no intake key yet or somebody crawls the source by hand."""

GRACE_S: Final = 30.0
"""Seconds that crawls get to write down what they did when the scheduler is told to end."""

HANDED_DOWN: Final = ("crawl_contact", "fetch_max_bytes", "fetch_seconds", "max_bytes", "log_json")
"""Settings that a crawl needs beside database and folders. No key and no password is among them."""


def run_scheduler(settings: Settings, stop: threading.Event) -> None:
    """Start crawls as they fall due, until `stop` is set.

    Raises ConfigError when nobody is named as the operator of the crawler, LeaseLost when another
    scheduler runs, or took over.
    """
    user_agent(settings.crawl_contact)
    engine = open_engine(settings.database)
    who = lease.owner()
    if not lease.take(engine, LEASE, who):
        msg = "another scheduler is running"
        raise LeaseLost(msg, hint="One is enough. If it was killed, this works again within a minute.")
    children = Crawls(settings)
    jobs = Jobs(engine, children)
    try:
        _keep_going(engine, who, jobs, stop)
    finally:
        jobs.close()
        children.close()
        lease.release(engine, LEASE, who)
        engine.dispose()


def _keep_going(engine: Engine, who: str, jobs: Jobs, stop: threading.Event) -> None:
    logger = log.get(__name__)
    last_extended = utc_now()
    while not stop.wait(SYNC_S if jobs.ready else 0):
        try:
            jobs.sync()
            if utc_now() - last_extended < timedelta(seconds=lease.EXTEND_S):
                continue
            with writing(engine) as session:
                held = lease.extend(session, LEASE, who)
            last_extended = utc_now()
        except (DBAPIError, StorageFull) as exc:
            logger.warning("the database did not answer", error=type(exc).__name__)
            held = utc_now() - last_extended < timedelta(seconds=lease.LEASE_S)
        if not held:
            msg = "another scheduler has taken over"
            raise LeaseLost(msg)


class Jobs:
    """The schedule in memory, kept equal to the Source rows."""

    def __init__(self, engine: Engine, children: Crawls) -> None:
        """Start an empty schedule."""
        self._engine, self._children, self.ready = engine, children, False
        self._known: dict[str, tuple[str, int]] = {}
        self._scheduler = BackgroundScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={"default": ThreadPoolExecutor(CRAWLS_AT_ONCE)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone=UTC,
        )
        self._scheduler.start()

    def sync(self) -> None:
        """Add, change and drop jobs until they are as the rows say. Raises DBAPIError."""
        with reading(self._engine) as session:
            rows = session.exec(select(Source).where(col(Source.enabled).is_(True))).all()
            wanted = {row.id: (row.name, row.cadence_s) for row in rows}
            new = [one for one, what in wanted.items() if self._known.get(one) != what]
            due = {one: _due(session, one, wanted[one][1]) for one in new}
        for gone in self._known.keys() - wanted.keys():
            self._scheduler.remove_job(gone)
            self._children.end(self._known[gone][0])
        for one in new:
            self._add(one, *wanted[one], due[one])
        self._known, self.ready = wanted, True

    def _add(self, source_id: str, name: str, cadence_s: int, due: datetime) -> None:
        self._scheduler.add_job(
            self._crawl,
            IntervalTrigger(seconds=cadence_s, start_date=due, timezone=UTC),
            args=[source_id, name],
            id=source_id,
            next_run_time=due,
            replace_existing=True,
        )

    def _crawl(self, source_id: str, name: str) -> None:
        if self._children.crawl(name):
            return
        soon = utc_now() + timedelta(seconds=RETRY_S)
        with contextlib.suppress(JobLookupError):  # paused or removed in the meantime
            self._scheduler.modify_job(source_id, next_run_time=soon)

    def close(self) -> None:
        """Start no more crawls."""
        self._scheduler.shutdown(wait=False)


def _due(session: Session, source_id: str, cadence_s: int) -> datetime:
    """Say when a source is due: one cadence after its last run began; at once if that is past."""
    last = runs.last(session, source_id)
    now = utc_now()
    return now if last is None else max(now, last.started_at + timedelta(seconds=cadence_s))


class Crawls:
    """The crawl processes that are running."""

    def __init__(self, settings: Settings) -> None:
        """Keep what a crawl process is told."""
        self._environment = child_environment(settings)
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._lock, self._closed = threading.Lock(), False

    def crawl(self, name: str) -> bool:
        """Crawl one source in a process of its own and wait for it. False when it gave no report."""
        with self._lock:
            if self._closed:
                return True
            child = subprocess.Popen(
                [sys.executable, "-m", "crawlers", name, "--scheduled"],
                env=self._environment,
                stdout=subprocess.PIPE,
                text=True,
            )
            self._running[name] = child
        report, _ = child.communicate()
        with self._lock:
            self._running.pop(name, None)
        log.get(__name__).info("crawled", source=name, status=child.returncode, report=report.strip()[:2000])
        return bool(report.strip())

    def end(self, name: str) -> None:
        """Tell the crawl of one source to end, if it runs."""
        with self._lock:
            child = self._running.get(name)
        if child is not None:
            child.terminate()

    def close(self) -> None:
        """Tell all crawls to end, and end those that do not."""
        with self._lock:
            self._closed = True
            running = list(self._running.values())
        for child in running:
            child.terminate()
        for child in running:
            try:
                child.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                child.kill()


def child_environment(settings: Settings) -> dict[str, str]:
    """Give a crawl the settings that it needs and none of our secrets: it opens nothing and tells nobody."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("LIKENESS_")}
    told = {name: str(getattr(settings, name)) for name in HANDED_DOWN}
    told |= {"home": str(settings.home), "database_url": settings.database, "blob_dir": str(settings.blobs)}
    return kept | {f"LIKENESS_{name.upper()}": value for name, value in told.items()}
