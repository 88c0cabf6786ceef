"""Writes what a crawl did, in batches, in a thread of its own, and keeps the crawl's lease alive."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Self

from sqlalchemy.exc import DBAPIError

from crawlers import lease, runs
from monitor.db import writing
from monitor.errors import LeaseLost, StorageError, StorageFull

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from sqlalchemy import Engine
    from sqlmodel import Session

    from crawlers.runs import Tally
    from crawlers.seen import Seen, SeenBook

NO_WRITE: Final = (DBAPIError, StorageFull)
"""What is raised where the database does not answer, or has no room."""

BATCH_S: Final = 0.5
"""Seconds between two writes: what a killed crawl may have to look at again."""


def _nothing_more(_session: Session, _batch: Mapping[str, Seen]) -> None:
    """Do nothing beside writing a batch down."""


class Journal:
    """Use as a context manager around a crawl; leaving it writes the rest.

    A write that fails, because the disk is full or another process holds the lock, is tried again with
    the next one. `lost` says that another process took the source over: `on_lost`, where it
    is set, is called once to end the crawl. `also` is done in the transaction of each batch.
    """

    def __init__(
        self, engine: Engine, book: SeenBook, tally: Tally, run_id: str, held: tuple[str, str]
    ) -> None:
        """`held` is name and owner of the lease to extend."""
        self._engine, self._book, self._tally, self._run_id, self._held = engine, book, tally, run_id, held
        self._cursors = book.cursors
        self._stop, self.lost = threading.Event(), False
        self.also: Callable[[Session, Mapping[str, Seen]], None] = _nothing_more
        self.on_lost: Callable[[], object] | None = None
        self._thread = threading.Thread(target=self._keep_writing, name="crawl-journal", daemon=True)

    def __enter__(self) -> Self:
        """Start writing."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the rest. Raises StorageError when that fails, unless a worse error is under way."""
        self._stop.set()
        self._thread.join()
        try:
            self.write()
        except NO_WRITE as failed:
            if exc is None:
                msg = "the end of the crawl could not be written; the next run looks at it again"
                raise StorageError(msg) from failed

    def write(self) -> None:
        """Write what there is, in one transaction. Raises one of NO_WRITE and keeps it for the next time."""
        cursors, batch = self._cursors.take_batch(), self._book.take_batch()  # in this order: cursors.py
        try:
            with writing(self._engine) as session:
                self._book.write(session, batch)
                self.also(session, batch)
                self._cursors.write(session, cursors)
                runs.note(session, self._run_id, self._tally)
                self.lost = not lease.extend(session, *self._held)
        except NO_WRITE:
            self._book.give_back(batch)
            self._cursors.give_back(cursors)
            raise

    def _keep_writing(self) -> None:
        while not self._stop.wait(BATCH_S):
            try:
                self.write()
            except NO_WRITE:
                continue  # the batch is kept, and the last write of all says whether it ever worked
            if self.lost and self.on_lost is not None:
                self.on_lost()
                return

    def check(self) -> None:
        """Raise LeaseLost when another process has taken the source over."""
        if self.lost:
            msg = "another crawl of this source has taken over"
            raise LeaseLost(msg)
