"""The scheduler after a sleep, a crash, and with clocks that jump: nothing twice, nothing left out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

import pytest
from sqlmodel import col, select

from crawlers import lease, runs, schedule, sources
from crawlers.forgetting import forget
from crawlers.seen import MEDIA, TAKEN, read_book
from crawlers.sources import NewSource
from crawlers.tables import CrawlRun, SeenUrl, Source
from monitor.db import reading, utc_now, writing
from monitor.tables import Lease, MediaItem, MediaOrigin
from monitor.values import SourceId
from tests.crawlers.pictures import gallery, picture
from tests.crawlers.test_schedule import SCHEDULER, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tests.crawlers.conftest import Crawls
    from tests.crawlers.web import Site

BEGAN = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass
class Clock:
    """Two clocks: what people call the time, and what never jumps."""

    wall: datetime = BEGAN
    steady: float = 1000.0

    def go(self, seconds: float) -> None:
        """Let time pass."""
        self.wall += timedelta(seconds=seconds)
        self.steady += seconds


@dataclass
class Held:
    """Stands for crawl processes that run until they are let go, one record for each."""

    engine: Engine
    clock: Clock
    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    begun: list[str] = field(default_factory=list)
    at_once: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def crawl(self, source_id: str, name: str) -> bool:
        """Note it, wait, and leave the record of a run as a crawl does."""
        with self.lock:
            self.begun.append(name)
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        run_id = runs.begin(self.engine, SourceId(source_id))
        self.gate.acquire()
        with writing(self.engine) as session:
            row = session.get(CrawlRun, run_id)
            assert row is not None
            row.started_at = row.finished_at = self.clock.wall
            row.state = runs.FINISHED
        with self.lock:
            self.at_once -= 1
        return True

    def end(self, name: str) -> None:
        """Nothing is paused here."""


@dataclass
class Watch:
    """A scheduler's jobs with held crawls and clocks of our own."""

    engine: Engine
    clock: Clock
    held: Held
    jobs: schedule.Jobs

    def let_go(self, count: int) -> None:
        """Let so many crawls end, and wait until they did."""
        running = len(self.jobs._running)
        for _ in range(count):
            self.held.gate.release()
        wait_for(lambda: len(self.jobs._running) == running - count, 20)

    def sync(self, begun: int) -> list[str]:
        """Do one round; give the names begun so far, once there are so many."""
        self.jobs.sync()
        wait_for(lambda: len(self.held.begun) >= begun, 20)
        return self.held.begun

    def due(self) -> dict[str, datetime | None]:
        """Say when each source is due."""
        with reading(self.engine) as session:
            return {row.name: row.due_at for row in session.exec(select(Source))}


@pytest.fixture
def watch(sqlite_engine: Engine) -> Iterator[Watch]:
    clock = Clock()
    held = Held(sqlite_engine, clock)
    children = cast("schedule.Crawls", held)
    jobs = schedule.Jobs(sqlite_engine, children, lambda: clock.wall, lambda: clock.steady)
    yield Watch(sqlite_engine, clock, held, jobs)
    for _ in range(50):
        held.gate.release()
    jobs.close()


def plant(watch: Watch, name: str, due_at: datetime | None, url: str = "") -> None:
    row = sources.add(watch.engine, NewSource(name, url or f"https://{name}.example/", cadence_s=3600), "me")
    with writing(watch.engine) as session:
        row.due_at = due_at
        session.merge(row)


def test_after_a_sleep_each_source_is_looked_at_once_the_longest_overdue_first(watch: Watch) -> None:
    for number in range(6):
        plant(watch, f"s{number}", BEGAN - timedelta(days=number))
    assert sorted(watch.sync(4)) == ["s2", "s3", "s4", "s5"]
    watch.jobs.sync()
    assert len(watch.held.begun) == 4
    watch.let_go(4)
    assert sorted(watch.sync(6)[4:]) == ["s0", "s1"]
    watch.let_go(2)
    watch.jobs.sync()
    assert len(watch.held.begun) == 6  # days late, and yet once each
    assert watch.held.most == schedule.CRAWLS_AT_ONCE
    due = watch.due().values()
    assert all(one is not None and one > watch.clock.wall + timedelta(minutes=75) for one in due)
    watch.clock.go(2 * 3600)
    assert len(watch.sync(10)) == 10


def test_two_sources_of_one_host_are_not_looked_at_at_the_same_time(watch: Watch) -> None:
    plant(watch, "one", None, "https://same.example/a")
    plant(watch, "two", None, "https://same.example/b")
    assert len(watch.sync(1)) == 1
    watch.jobs.sync()
    assert len(watch.held.begun) == 1
    watch.let_go(1)
    assert sorted(watch.sync(2)) == ["one", "two"]


def test_a_clock_that_is_set_back_keeps_nobody_waiting(watch: Watch) -> None:
    plant(watch, "hourly", BEGAN + timedelta(minutes=30))
    watch.jobs.sync()
    watch.clock.wall -= timedelta(hours=5)
    watch.clock.go(2)
    watch.jobs.sync()
    left = watch.due()["hourly"]
    assert left is not None
    assert abs(left - (watch.clock.wall + timedelta(minutes=30))) < timedelta(seconds=3)
    watch.clock.go(1800)
    assert watch.sync(1) == ["hourly"]


def test_a_clock_that_was_wrong_while_nobody_watched_is_put_right(watch: Watch) -> None:
    plant(watch, "hourly", BEGAN + timedelta(days=365))
    watch.jobs.sync()
    assert watch.due()["hourly"] == BEGAN + timedelta(hours=1)


def test_a_clock_that_is_set_forward_makes_one_look_and_back_again_no_more(watch: Watch) -> None:
    plant(watch, "hourly", BEGAN + timedelta(minutes=30))
    watch.jobs.sync()
    watch.clock.wall += timedelta(days=365)
    assert watch.sync(1) == ["hourly"]
    watch.let_go(1)
    watch.jobs.sync()
    watch.clock.wall -= timedelta(days=365)
    watch.clock.go(2)
    watch.jobs.sync()
    due = watch.due()["hourly"]
    assert due is not None
    assert timedelta(minutes=70) < due - watch.clock.wall < timedelta(minutes=95)
    assert watch.held.begun == ["hourly"]


def test_what_a_run_means_is_reckoned_once_by_whichever_scheduler_comes(engine: Engine) -> None:
    row = sources.add(engine, NewSource("a", "https://a.example/", cadence_s=3600), "me")
    run_id = runs.begin(engine, SourceId(row.id))
    runs.end(engine, run_id, runs.Tally(pages=1, media_taken=3), runs.FINISHED)
    clock = Clock(utc_now())
    children = Held(engine, clock)
    for _ in range(2):  # the one that started it was killed; two more come
        jobs = schedule.Jobs(engine, cast("schedule.Crawls", children), lambda: clock.wall)
        jobs.sync()
        jobs.close()
        with reading(engine) as session:
            assert session.exec(select(Source.interval_s)).one() == 2880
    assert children.begun == []


def test_a_lease_of_a_clock_that_was_wrong_keeps_nobody_out(engine: Engine) -> None:
    assert lease.take(engine, "one", "elsewhere:1")
    with writing(engine) as session:
        row = session.get(Lease, "one")
        assert row is not None
        row.until = utc_now() + timedelta(days=365)
    assert lease.take(engine, "one", "here:2")


def test_addresses_and_runs_are_forgotten_when_their_time_is_over(engine: Engine) -> None:
    row = sources.add(engine, NewSource("a", "https://a.example/", keep_days=30), "me")
    book = read_book(engine, SourceId(row.id), by_hand=False)
    for name in ("old", "new"):
        book.looked(f"https://a.example/{name}.png", MEDIA, TAKEN)
        runs.end(engine, runs.begin(engine, SourceId(row.id)), runs.Tally(), runs.FINISHED)
    with writing(engine) as session:
        book.write(session, book.take_batch())
    with writing(engine) as session:
        long_ago = utc_now() - timedelta(days=31)
        for seen in session.exec(select(SeenUrl).where(col(SeenUrl.url).contains("old"))):
            seen.looked_at = long_ago
        for number, run in enumerate(session.exec(select(CrawlRun).order_by(col(CrawlRun.started_at)))):
            run.started_at = long_ago + timedelta(minutes=number)
    assert forget(engine, utc_now()) == 2  # an address and a run: the newest run says how the source is
    with reading(engine) as session:
        assert [one.url for one in session.exec(select(SeenUrl))] == ["https://a.example/new.png"]
        assert len(session.exec(select(CrawlRun)).all()) == 1


def test_scheduler_and_crawl_killed_at_once_lose_nothing_and_take_nothing_twice(
    crawls: Crawls, web: Site
) -> None:
    """Real processes, kill -9. An alert hangs on the item, so an item that is there once is told once."""
    web.page("/", gallery(10), etag='"front"')
    for number in range(10):
        web.page(f"/{number}.png", picture(number), "image/png")
    row = crawls.add(delay_s=0.25, cadence_s=3600)
    first = subprocess.Popen(
        [sys.executable, "-c", SCHEDULER], env=crawls.environment(), start_new_session=True
    )
    try:
        wait_for(lambda: sum(path.endswith(".png") for path in web.paths()) >= 5, 90)
        time.sleep(0.6)
    finally:
        os.killpg(first.pid, signal.SIGKILL)  # the crawl with it
        first.wait(30)
    asked = len(web.paths())
    second = subprocess.Popen([sys.executable, "-c", SCHEDULER], env=crawls.environment())
    try:
        wait_for(lambda: is_settled(crawls.engine, row.id), 120)
    finally:
        second.terminate()
        assert second.wait(60) == 0
    with reading(crawls.engine) as session:
        assert len(session.exec(select(MediaItem)).all()) == 10
        assert len(session.exec(select(MediaOrigin)).all()) == 10
        assert sorted(run.state for run in session.exec(select(CrawlRun))) == ["finished", "stopped"]
    assert len(web.paths()) - asked < 10  # what was written down is not asked for again


def is_settled(engine: Engine, source_id: str) -> bool:
    """Say whether the next look was reckoned from a finished run."""
    with reading(engine) as session:
        row = session.get(Source, source_id)
        return row is not None and row.due_at is not None
