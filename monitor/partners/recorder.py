"""The one writer of a process: what came together is committed together, and answered after the commit.

A commit costs about the same for one message as for a hundred, so while one is being written the next ones
gather. On SQLite the log is flushed to disk at each commit here: what was answered outlasts a power cut.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlmodel import Session

from monitor import log as logs
from monitor.db import is_full, utc_now
from monitor.errors import LikenessError, StorageError, StorageFull
from monitor.partners import counting, entering

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Engine

    from monitor.blobs import BlobStore
    from monitor.partners.entering import Entered, Push

MOST_TOGETHER: Final = 64
"""Messages in one transaction: some tens of milliseconds, so that other writers hardly wait."""

GATHER_S: Final = 0.02
"""Seconds that the first message of a lot waits for others: a transaction costs milliseconds of the processor
and a flush of the disk, whether it holds one message or fifty."""

IDLE_S: Final = 2.0
"""How long the writer waits for more before it writes down what else was counted."""

ENDS_AFTER: Final = 3
"""Idle times after which its thread ends; the next message starts another one."""

PRUNE_EVERY_S: Final = 60.0

log = logs.get(__name__)

Waiting = tuple["Push", "Future[Entered]"]


class Recorder:
    """Writes pushes in the order in which they come. Safe for many threads."""

    def __init__(self, engine: Engine, blobs: BlobStore, tally: counting.Tally) -> None:
        """Write to this ledger; delete unused bytes from these blobs; write the tally down now and then."""
        self._engine, self._blobs, self._tally = engine, blobs, tally
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._pruned_at = time.monotonic()

    def record(self, push: Push) -> Future[Entered]:
        """Queue a push. The future has its result after the commit, or raises StorageError."""
        future: Future[Entered] = Future()
        future.set_running_or_notify_cancel()  # what is queued is written, also when nobody waits any more
        with self._lock:
            self._queue.put((push, future))
            self._start()
        return future

    def nudge(self) -> None:
        """Have the tally written down within a few seconds, also when nothing is pushed."""
        with self._lock:
            self._start()

    def close(self) -> None:
        """Write what waits, and end."""
        with self._lock:
            self._stopping, thread = True, self._thread
            if thread is not None:
                self._queue.put(None)
        if thread is not None:
            thread.join()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="feeds", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        idle = 0
        while not self._is_over(idle):
            waiting = self._gather()
            idle = 0 if waiting else idle + 1
            if waiting:
                self._answer(waiting)
            else:
                self._write_tally()
            self._prune()
        self._write_tally()

    def _is_over(self, idle: int) -> bool:
        with self._lock:
            over = self._queue.empty() and (self._stopping or idle > ENDS_AFTER)
            if over:
                self._thread = None
            return over

    def _gather(self) -> list[Waiting]:
        waiting: list[Waiting] = []
        until = 0.0
        with contextlib.suppress(queue.Empty):
            one = self._queue.get(timeout=IDLE_S)
            while one is not None:
                waiting.append(one)
                until = until or time.monotonic() + GATHER_S
                if len(waiting) == MOST_TOGETHER:
                    break
                one = self._queue.get(timeout=max(0.0, until - time.monotonic()))
        return waiting

    def _answer(self, waiting: Sequence[Waiting]) -> None:
        """Write a lot, or, where that fails, each by itself: one message must not spoil the others'."""
        try:
            self._commit(waiting)
        except LikenessError as exc:
            if len(waiting) == 1:
                self._give_up(waiting[0], exc)
                return
            for one in waiting:
                self._answer([one])

    def _commit(self, waiting: Sequence[Waiting]) -> None:
        """Write a lot in one transaction and answer it. Raises LikenessError with nothing written."""
        try:
            with durable(self._engine) as session:
                entered = entering.enter(session, [push for push, _ in waiting], utc_now())
        except LikenessError:
            raise
        except SQLAlchemyError as exc:
            log.warning("feeds_not_written", error=type(exc).__name__, messages=len(waiting))
            if isinstance(exc, DBAPIError) and is_full(exc):
                msg = "no room left for the database"
                raise StorageFull(msg, hint="Send the same again later.") from exc
            raise _not_taken() from exc
        except Exception as exc:  # edge: whatever it was, who waits gets an answer and the writer goes on
            log.exception("feeds_writer_failed")
            raise _not_taken() from exc
        for (_, future), one in zip(waiting, entered, strict=True):
            future.set_result(one)
        for blob_id in [blob_id for one in entered for blob_id in one.unused]:
            with contextlib.suppress(StorageError):  # jobs.sweep takes what is left
                self._blobs.delete(blob_id)

    def _give_up(self, one: Waiting, error: LikenessError) -> None:
        push, future = one
        for given in push.items:
            if given.kept is not None and given.kept.blob_id is not None:
                with contextlib.suppress(StorageError):
                    self._blobs.delete(given.kept.blob_id)
        future.set_exception(error)

    def _write_tally(self) -> None:
        counts = self._tally.drain()
        if not counts:
            return
        try:
            with durable(self._engine) as session:
                counting.write(session, counts)
        except SQLAlchemyError as exc:
            log.warning("feeds_not_counted", error=type(exc).__name__)

    def _prune(self) -> None:
        if time.monotonic() - self._pruned_at < PRUNE_EVERY_S:
            return
        self._pruned_at = time.monotonic()
        self._write_tally()
        try:
            with durable(self._engine) as session:
                entering.prune(session, utc_now())
                counting.prune(session, utc_now())
        except SQLAlchemyError as exc:
            log.warning("feeds_not_pruned", error=type(exc).__name__)


@contextlib.contextmanager
def durable(engine: Engine) -> Iterator[Session]:
    """Open a writing session whose commit is on disk when it returns."""
    with engine.execution_options(likeness_writing=True).connect() as connection:
        lite = connection.dialect.name == "sqlite"
        driver = connection.connection.driver_connection
        if lite and driver is not None:
            driver.execute("PRAGMA synchronous=FULL")
        try:
            with Session(connection, expire_on_commit=False) as session, session.begin():
                yield session
        finally:
            if lite and driver is not None:
                driver.execute("PRAGMA synchronous=NORMAL")


def _not_taken() -> StorageError:
    msg = "the database did not take the item"
    return StorageError(msg, hint="Send the same again later.")
