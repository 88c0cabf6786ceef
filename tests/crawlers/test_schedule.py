"""The scheduler: crawls what is due, once, in processes without keys."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC
from typing import TYPE_CHECKING, cast

import pytest
from apscheduler.executors.base import BaseExecutor
from apscheduler.schedulers.base import STATE_STOPPED
from pydantic import SecretStr
from sqlmodel import select, update

from crawlers import lease, schedule, sources
from crawlers import runs as crawl_runs
from crawlers.children import child_environment
from crawlers.tables import CrawlRun
from monitor.db import reading, writing
from monitor.partners.tables import Feed, FeedItem, Partner
from monitor.settings import Settings
from monitor.tables import Lease
from monitor.values import SourceId
from tests.crawlers.pictures import gallery, picture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.crawlers.conftest import Crawls
    from tests.crawlers.web import Site

SCHEDULER = (
    "import signal, threading; from crawlers.schedule import run_scheduler; "
    "from monitor.settings import load_settings; stop = threading.Event(); "
    "signal.signal(signal.SIGTERM, lambda *_: stop.set()); run_scheduler(load_settings(), stop)"
)


def wait_for(what: Callable[[], bool], seconds: float = 45) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def runs(engine: Engine) -> list[CrawlRun]:
    with reading(engine) as session:
        return list(session.exec(select(CrawlRun)))


def test_a_source_is_crawled_when_it_is_due_and_a_second_scheduler_is_kept_out(
    crawls: Crawls, web: Site
) -> None:
    web.page("/", gallery(1))
    web.page("/0.png", picture(0), "image/png")
    crawls.add(cadence_s=3600)
    environment = crawls.environment(LIKENESS_KEK="k1:this-must-not-reach-a-crawl")
    first = subprocess.Popen([sys.executable, "-c", SCHEDULER], env=environment)
    try:
        wait_for(lambda: [run.state for run in runs(crawls.engine)] == ["finished"])
        second = subprocess.run(
            [sys.executable, "-c", SCHEDULER],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "LeaseLost: another scheduler is running" in second.stderr
        assert len(crawls.items()) == 1
    finally:
        first.send_signal(signal.SIGTERM)
        assert first.wait(30) == 0
    assert len(runs(crawls.engine)) == 1  # not due again within the hour
    with reading(crawls.engine) as session:
        assert session.get(Lease, "scheduler") is None


def test_a_source_that_is_paused_under_crawl_is_let_go(crawls: Crawls, web: Site) -> None:
    web.page("/", gallery(80))
    for number in range(80):
        web.page(f"/{number}.png", picture(number), "image/png")
    crawls.add(delay_s=0.2)
    scheduler = subprocess.Popen([sys.executable, "-c", SCHEDULER], env=crawls.environment())
    try:
        wait_for(lambda: len(web.paths()) > 2)
        sources.set_enabled(crawls.engine, "local", "test", enabled=False)
        wait_for(lambda: [run.state for run in runs(crawls.engine)] == ["stopped"])
    finally:
        scheduler.terminate()
        assert scheduler.wait(30) == 0


class Unlucky:
    """Stands for crawl processes; the first two give no report."""

    def __init__(self, engine: Engine) -> None:
        """Begin."""
        self.engine = engine
        self.crawled: list[str] = []

    def crawl(self, source_id: str, name: str) -> bool:
        """Fail twice, and leave a record only then."""
        assert source_id
        self.crawled.append(name)
        if len(self.crawled) > 2:
            run_id = crawl_runs.begin(self.engine, SourceId(source_id))
            crawl_runs.end(self.engine, run_id, crawl_runs.Tally(), crawl_runs.FINISHED)
        return len(self.crawled) > 2

    def end(self, name: str) -> None:
        """Nothing runs."""


def test_a_crawl_that_could_not_begin_is_started_again_soon(
    sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "RETRY_S", 0.2)
    sources.add(sqlite_engine, sources.NewSource("a", "https://site.example/"), "test")
    children = Unlucky(sqlite_engine)
    jobs = schedule.Jobs(sqlite_engine, cast("schedule.Crawls", children))
    try:
        wait_for(lambda: bool(jobs.sync()) or len(children.crawled) == 3, 20)
        time.sleep(0.3)
        jobs.sync()
        assert children.crawled == ["a"] * 3
        sources.remove(sqlite_engine, "a", "test")
        jobs.sync()
    finally:
        jobs.close()


class Fetching(Unlucky):
    """Stands for the process that fetches what partners pushed by address."""

    fetched = 0

    def fetch(self) -> bool:
        """Note it, and take what waits."""
        self.fetched += 1
        with writing(self.engine) as session:
            session.exec(update(FeedItem).values(state="fetched"))
        return True


def test_what_partners_pushed_by_address_is_fetched_once(sqlite_engine: Engine) -> None:
    with writing(sqlite_engine) as session:
        session.add(Partner(id="p", name="p", contact="p@example.org"))
        session.flush()
        session.add(Feed(id="f", partner_id="p", name="f"))
        session.flush()
        url = "https://media.example/a.jpg"
        session.add(FeedItem(id="i", feed_id="f", item_key="1", body_sha256="", state="fetch_due", url=url))
    children = Fetching(sqlite_engine)
    jobs = schedule.Jobs(sqlite_engine, cast("schedule.Crawls", children))
    try:
        wait_for(lambda: bool(jobs.sync()) or (children.fetched == 1 and not jobs._running), 20)
        jobs.sync()
    finally:
        jobs.close()
    assert children.fetched == 1


def test_a_crawl_process_is_given_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KEK", "KEK_FILE", "LINK_SECRET", "SMTP_PASSWORD", "TWILIO_TOKEN"):
        monkeypatch.setenv(f"LIKENESS_{name}", "in-the-environment")
    settings = Settings(home=tmp_path, link_secret=SecretStr("s" * 40), smtp_password=SecretStr("p" * 40))
    given = {
        name: value for name, value in child_environment(settings).items() if name.startswith("LIKENESS_")
    }
    assert set(given) == {
        "LIKENESS_BLOB_DIR", "LIKENESS_CHROMIUM", "LIKENESS_CRAWL_CONTACT",
            "LIKENESS_DATABASE_URL", "LIKENESS_FETCH_MAX_BYTES",
        "LIKENESS_FETCH_SECONDS", "LIKENESS_HOME", "LIKENESS_LOG_JSON", "LIKENESS_MAX_BYTES",
    }  # fmt: skip
    assert "in-the-environment" not in given.values()


def test_one_holder_at_a_time_and_the_dead_hold_nothing(engine: Engine) -> None:
    here = lease.owner()
    assert lease.take(engine, "one", here)
    assert lease.take(engine, "one", here)  # again, by the same
    assert not lease.take(engine, "one", "elsewhere:1")
    lease.release(engine, "one", "elsewhere:1")
    assert not lease.take(engine, "one", "elsewhere:1")
    lease.release(engine, "one", here)
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    dead = here.replace(str(os.getpid()), str(child.pid))
    assert lease.take(engine, "one", dead)
    assert lease.take(engine, "one", here)  # its process is gone: no need to wait for the time to pass


class EndedWhileItStarts(BaseExecutor):
    """Starts a job only when another thread has told the scheduler to end."""

    def __init__(self) -> None:
        """Begin with nobody who ends it."""
        super().__init__()
        self.ender: threading.Thread | None = None

    def _do_submit_job(self, job: object, run_times: object) -> None:  # noqa: ARG002 - APScheduler's signature
        scheduler = self._scheduler
        self.ender = threading.Thread(target=scheduler.shutdown, kwargs={"wait": False})
        self.ender.start()
        wait_for(lambda: scheduler.state == STATE_STOPPED)


def test_a_scheduler_told_to_end_while_it_starts_a_job_ends_in_peace(monkeypatch: pytest.MonkeyPatch) -> None:
    died: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    executor = EndedWhileItStarts()
    scheduler = schedule._Scheduler(executors={"default": executor}, timezone=UTC)
    scheduler.start()
    thread = scheduler._thread
    scheduler.add_job(print)

    thread.join(45)

    assert not thread.is_alive()
    assert executor.ender is not None
    executor.ender.join(45)
    assert not executor.ender.is_alive()
    assert died == []
