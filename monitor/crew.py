"""A crew of threads that empties the queue: each drives one item while the next ones are being decoded.

The feeder claims items in small batches and starts their decoders, so that decoding, which happens in
processes of its own, overlaps with the models. Small pictures of one hand share a decoder's child. A clerk
writes the ends of looks that found nobody, many in one transaction. A pulse keeps the leases alive.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from monitor import claims
from monitor import log as logs
from monitor.claims import Hold
from monitor.errors import LeaseLost, LikenessError, StorageFull
from monitor.neighbours import groups
from monitor.pipeline import begin, look
from monitor.stages.decoding_shared import MOST_TOGETHER, SHARED_BYTES
from monitor.tools import forget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.claims import Work
    from monitor.progress import Begun, Outcome
    from monitor.tools import Tools

IDLE_S = 0.25
"""How long an empty queue is left alone before it is asked again."""

LEDGER_DOWN_S = 2.0
"""How long to wait for a database that does not answer, or a disk that is full, before asking again."""

CLAIMED_PER_THREAD = 16
"""Items claimed at once, for each thread: a claim is a transaction, but what is held nobody else takes."""

BEGUN_PER_THREAD = 2
"""Items begun ahead of each thread: enough to claim and begin the next ones meanwhile. A film has a decoder
from here on, and those take memory."""

MOST_ENDS = 32
"""Ends written in one transaction."""

ENDS_WAIT_S = 0.25
"""How long an end waits for others at most: a transaction costs about the same for one as for many."""

ENDS_LOOK_S = 0.02
"""How often it is looked whether others have come."""

PULSES_PER_LEASE = 4
"""Two pulses may be lost before a lease runs out."""

NEWS_EVERY_S = 0.2
"""How soon a worker says that its gallery has followed further: somebody who left waits to hear it."""

NO_LEDGER = (SQLAlchemyError, StorageFull)
"""What is raised where the database does not answer, or has no room."""

log = logs.get(__name__)


class Crew:
    """Threads that look at items until the queue is empty (`once`) or they are stopped."""

    def __init__(
        self, tools: Tools, *, threads: int, lease_s: float, seen: Callable[[Outcome], None]
    ) -> None:
        """Take what a look needs; `seen` hears of every look that ended, from the thread that did it."""
        self._tools = tools
        self._threads = threads or os.cpu_count() or 1
        self._lease_s = lease_s
        self._seen = seen
        self._owner = f"{os.uname().nodename}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._name = f"{claims.WORKER}{self._owner}"
        self._begun: queue.Queue[Begun | None] = queue.Queue(maxsize=BEGUN_PER_THREAD * self._threads)
        self._ends: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()
        self._busy = 0
        self._owed: list[Hold] = []
        self._lock = threading.Lock()
        self._quiet = threading.Event()

    def run(self, stop: threading.Event, *, once: bool) -> None:
        """Work until `stop` is set, or with `once` until nothing waits any more.

        Items that were begun are finished; those that were only claimed are handed back.
        """
        self._quiet.clear()
        crew = [threading.Thread(target=self._drive, name=f"look-{n}") for n in range(self._threads)]
        clerk = threading.Thread(target=self._write, name="clerk")
        pulse = threading.Thread(target=self._pulse, name="pulse")
        for thread in (*crew, clerk, pulse):
            thread.start()
        try:
            self._feed(stop, once=once)
        finally:
            for _ in crew:
                self._begun.put(None)
            for thread in crew:
                thread.join()
            self._ends.put(None)
            clerk.join()
            self._quiet.set()
            pulse.join()
            with contextlib.suppress(*NO_LEDGER):  # the leases run out by themselves then
                claims.goodbye(self._tools.engine, self._owner, self._name)

    def _feed(self, stop: threading.Event, *, once: bool) -> None:
        most = CLAIMED_PER_THREAD * self._threads
        while not stop.is_set():
            try:
                self._hand_back()
                found = claims.claim(self._tools.engine, self._owner, self._lease_s, most)
                if found:
                    self._catch_up()
                for neighbours in groups(found, MOST_TOGETHER, SHARED_BYTES):
                    for begun in self._begin(neighbours):
                        self._offer(begun, stop)
                if not found and once and self._all_done():
                    return
            except NO_LEDGER as exc:
                log.warning("ledger_does_not_answer", error=type(exc).__name__)
                stop.wait(LEDGER_DOWN_S)
            else:
                if not found:
                    stop.wait(IDLE_S if not once else IDLE_S / 10)

    def _catch_up(self) -> None:
        """Let every gallery see whoever was sealed before these items were taken."""
        for side in self._tools.sides:
            with contextlib.suppress(LikenessError):  # a search tries again by itself, and says what is wrong
                side.gallery.follow()

    def _begin(self, neighbours: Sequence[Work]) -> list[Begun]:
        """Begin items that came through the same hands: small pictures among them share a decoder's child."""
        room = self._tools.decoder.room() if len(neighbours) > 1 else None
        begun = [begin(Hold(work.media_id, self._owner), work, self._tools, room) for work in neighbours]
        if room is not None:
            room.open()
        return begun

    def _offer(self, begun: Begun, stop: threading.Event) -> None:
        """Hand an item to the crew; give it up when the worker is told to stop first."""
        while not stop.is_set():
            with self._lock:
                self._busy += 1
            try:
                self._begun.put(begun, timeout=IDLE_S)
            except queue.Full:
                with self._lock:
                    self._busy -= 1
            else:
                return
        begun.abandon()

    def _all_done(self) -> bool:
        """Say whether nothing is begun here and nothing waits, here or with another worker."""
        with self._lock:
            busy = self._busy
        return busy == 0 and claims.waiting(self._tools.engine) == 0

    def _drive(self) -> None:
        while (begun := self._begun.get()) is not None:
            try:
                outcome = look(begun, self._tools, end_later=True)
            except Exception as exc:  # noqa: BLE001 - edge: no item, and no ledger that is away, ends a thread
                self._not_written([begun.hold], exc)
            else:
                if outcome.ending is not None:
                    self._ends.put(outcome)
                else:
                    self._ended([outcome])

    def _write(self) -> None:
        """Write the ends that have come together while the last ones were written."""
        going_on = True
        while going_on:
            outcomes, going_on = self._some_ends()
            endings = [o.ending for o in outcomes if o.ending is not None]
            if not endings:
                continue
            try:
                held = claims.end(self._tools.engine, endings)
            except NO_LEDGER as exc:
                self._not_written([one.hold for one in endings], exc)
                continue
            for one in endings:
                if one.hold.media_id in held:
                    forget(self._tools.blobs, one.blob_id)
            self._ended([o if o.media_id in held else replace(o, state="lost") for o in outcomes])

    def _some_ends(self) -> tuple[list[Outcome], bool]:
        """Wait for an end and for those that soon follow it; say whether more may come."""
        first = self._ends.get()
        some = [] if first is None else [first]
        until = time.monotonic() + ENDS_WAIT_S
        while some and len(some) < MOST_ENDS:
            try:
                outcome = self._ends.get_nowait()
            except queue.Empty:
                if self._busy <= len(some) or time.monotonic() > until:
                    break
                time.sleep(ENDS_LOOK_S)  # a thread that waited in `get` would be woken by every end
                continue
            if outcome is None:
                return some, False
            some.append(outcome)
        return some, bool(some)

    def _ended(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self._seen(outcome)
        with self._lock:
            self._busy -= len(outcomes)

    def _not_written(self, holds: Sequence[Hold], why: Exception) -> None:
        """Note items whose end the ledger did not take: they are handed back and looked at again."""
        log.warning("look_not_written", items=len(holds), error=type(why).__name__)
        with self._lock:
            self._owed += holds
            self._busy -= len(holds)

    def _hand_back(self) -> None:
        """Hand back what is owed. Until that works it is tried again: the pulse keeps its lease alive."""
        with self._lock:
            owed, self._owed = self._owed, []
        while owed:
            try:
                claims.release(self._tools.engine, owed[0], LEDGER_DOWN_S)
            except LeaseLost:
                pass  # somebody else has it already
            except NO_LEDGER:
                with self._lock:
                    self._owed += owed
                raise
            owed.pop(0)

    def _pulse(self) -> None:
        wait = self._lease_s / PULSES_PER_LEASE
        while True:
            began, seq = time.monotonic(), self._followed()
            name = self._name if self._tools.gallery.ready else ""
            try:
                claims.heartbeat(self._tools.engine, self._owner, self._lease_s, name, seq)
            except NO_LEDGER as exc:
                log.warning("no_pulse", error=type(exc).__name__)
            while (left := wait - (time.monotonic() - began)) > 0 and self._followed() == seq:
                if self._quiet.wait(min(left, NEWS_EVERY_S)):
                    return
            if self._quiet.wait(0.0):
                return

    def _followed(self) -> int:
        """Say up to which number every gallery here has followed the ledger."""
        return min(side.gallery.seq for side in self._tools.sides)
