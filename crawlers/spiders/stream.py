"""Walks a stream: reads it from its cursor on until it has caught up with the present, and a while longer.

One connection at a time. Each event that shows something is a step of one line (lines.py), so the cursor
that is kept never runs ahead of media that were not handed over. A cut is mended within the run: the server
is asked for what came since, and what comes twice is known by its address.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus

from crawlers.outcomes import GARBAGE, STREAM_CUT, STREAM_GAP, TRAP, WRONG_DATE, outcome_of
from crawlers.platforms.interfaces import Basis, Watch
from crawlers.platforms.jetstream import (
    KEPT_S,
    REWIND_US,
    STREAM_S,
    TAG,
    Garbage,
    Reader,
    looks_for_nobody,
    seconds_of,
    subscription,
)
from crawlers.platforms.registry import kind_of
from crawlers.seen import GONE, LOOKED, PAGE, TAKEN
from crawlers.sockets import opened
from crawlers.spiders.lines import Line
from crawlers.spiders.media import MediaSpider
from crawlers.spiders.posts import Posts
from monitor.db import utc_now
from monitor.errors import FetchError, FetchTooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from scrapy import Request
    from websockets.asyncio.client import ClientConnection

    from crawlers.eyes import Eyes
    from crawlers.platforms.jetstream import Event

TICK_S: Final = 0.25
"""Seconds between two looks at what came, where nothing was found meanwhile."""

MOST_OPEN: Final = 500
"""Posts whose media are not handed over yet; with more, the stream is not read from."""

PRESENT_S: Final = 10.0
"""An event that is no older was made now: the stream has caught up. So has one that is silent for so long."""

TRIES: Final = 6
LONGEST_WAIT_S: Final = 60.0
"""Connections in a row that bring nothing, waiting 1, 2, 4 s and so on between them; then the run ends."""

QUIET_US: Final = 3_600_000_000
"""Microseconds: where nobody looked for says a word, the cursor follows the clock an hour behind, so that it
does not grow too old. No clock of ours is wrong by more."""

AHEAD_US: Final = 600_000_000
"""Microseconds. An event that is further ahead has a wrong date, and moves no cursor."""

SKIP_US: Final = 1_000_000
"""Microseconds that are left out after an event too large to be read was met twice; doubled each time."""

TOO_BIG: Final = 1009
"""The close code of RFC 6455 for a message that is too large."""

TRIAL_S: Final = 10.0


class StreamSpider(MediaSpider):
    """One run of one stream."""

    name = "stream"

    def __init__(self, eyes: Eyes, **kwargs: Any) -> None:  # noqa: ANN401 - Scrapy's interface
        """Prepare to read. Raises ConfigError when address or options will not do."""
        super().__init__(eyes, **kwargs)
        options = json.loads(eyes.source.options)
        kind_of(eyes.source.kind).check(eyes.source.url, options)
        self.watch = Watch(eyes.source.url, options, eyes.terms, dict(eyes.book.cursors.known), utc_now())
        self._posts = Posts(eyes, self.watch, self.media)
        self._reader = Reader(self.watch)
        self._line = Line(self._keep)
        self._found: deque[Event] = deque()
        self._is_new = asyncio.Event()
        self._last_us = self._cursor()
        self._last_message: str | bytes = ""
        self._heard = time.monotonic()
        self._present_since: float | None = None
        self._tries, self._skip_us = 0, 0
        self._large_behind: int | None = None

    def _cursor(self) -> int | None:
        known = self.watch.cursors.get(TAG, "")
        return int(known) if known.isascii() and known.isdigit() and len(known) < 20 else None

    def _keep(self, value: str) -> None:
        if not self.eyes.book.cursors.keep(TAG, value):
            self.eyes.tally.dropped[TRAP] += 1

    async def start(self) -> AsyncIterator[Request]:
        """Begin with what failed last time, then read."""
        for seen in self.eyes.book.unfinished():
            for request in self.media(seen.url, seen.page_url or self.watch.url, seen.title or ""):
                yield request
        if self.eyes.source.basis == Basis.ROBOTS:
            why = "a websocket has no robots.txt; say on what other basis it may be read"
            self._failed("robots", why)
            return
        if looks_for_nobody(self.watch):
            return
        reading = asyncio.ensure_future(self._read_on())
        try:
            while not (reading.done() and not self._found):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._is_new.wait(), TICK_S)
                self._is_new.clear()
                for request in self._take():
                    yield request
                self._progress()
            reading.result()
        finally:
            reading.cancel()

    def _take(self) -> list[Request]:
        """Hand on what was found, each event a step of the line."""
        asked: list[Request] = []
        while self._found:
            event = self._found.popleft()
            step = self._line.step()
            step.cursor = str(event.time_us)
            if event.gone and self.eyes.book.gone(event.gone):
                self.eyes.tally.dropped[GONE] += 1
            if event.post is not None:
                asked += self._posts.take((event.post,), step, known=False)
            step.settled()
        return asked

    def _progress(self) -> None:
        """Keep the newest cursor, behind what is not handed over, and say how far behind we are."""
        if isinstance(self._last_message, str) and self._last_message:
            with contextlib.suppress(Garbage):
                self._moved(self._reader.parsed(self._last_message).time_us)
            self._last_message = ""
        now_us = time.time_ns() // 1000
        silent = time.monotonic() - self._heard > PRESENT_S
        is_old = self._last_us is None or self._last_us < now_us - QUIET_US
        if is_old and silent and self.eyes.tally.pages and self._tries == 0:
            self._last_us = now_us - QUIET_US
        if self._last_us is not None and not self._found:
            step = self._line.step()
            step.cursor = str(self._last_us)
            step.settled()
        behind_s = 0.0 if silent or self._last_us is None else max(0.0, (now_us - self._last_us) / 1e6)
        if self.eyes.tally.pages:
            self.eyes.tally.lag_s = behind_s
        if (
            self._present_since is None
            and self.eyes.tally.pages
            and behind_s < PRESENT_S
            and self._tries == 0
        ):
            self._present_since = time.monotonic()

    def _moved(self, time_us: int) -> None:
        """Remember the newest event. One from the future moves nothing."""
        if time_us > time.time_ns() // 1000 + AHEAD_US:
            self.eyes.tally.dropped[WRONG_DATE] += 1
        elif self._last_us is None or time_us > self._last_us:
            self._last_us = time_us

    @property
    def _is_over(self) -> bool:
        trial = self._trial() is not None
        stays_s = 0 if trial else seconds_of(self.watch.options, "stream_s", STREAM_S)
        longest = trial and (utc_now() - self.watch.now).total_seconds() > TRIAL_S
        present = self._present_since is not None and time.monotonic() - self._present_since >= stays_s
        return present or longest

    def _trial(self) -> Any:  # noqa: ANN401 - crawlers.trying.Trial, which imports this package
        return self.crawler.settings.get("LIKENESS_TRIAL")

    async def _read_on(self) -> None:
        """Read, connecting again after every cut, until the run is over or nothing comes any more."""
        self._mind_the_gap()
        while not self._is_over:
            try:
                await self._one_connection()
            except (FetchError, InvalidHandshake, InvalidMessage, ConnectionClosed) as exc:
                self._cut(exc)
                if self._tries >= TRIES:
                    self._failed(*_why(exc))
                    return
                wait_s = min(2.0 ** (self._tries - 1), LONGEST_WAIT_S)
                await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, hides nothing

    def _mind_the_gap(self) -> None:
        """Count where the server no longer has all that came since we last read."""
        kept_s = seconds_of(self.watch.options, "kept_s", KEPT_S)
        if self._last_us is not None and time.time() - self._last_us / 1e6 > kept_s:
            self.eyes.tally.dropped[STREAM_GAP] += 1

    async def _one_connection(self) -> None:
        begin = None if self._last_us is None else self._last_us - REWIND_US + self._skip_us
        socket = await opened(subscription(self.watch, begin), self.eyes.rules, self.eyes.user_agent)
        self._opened()
        ending = asyncio.ensure_future(self._end(socket))
        try:
            await self._listen(socket)
        finally:
            ending.cancel()
            socket.transport.abort() if socket.state.name != "CLOSED" else None
            with contextlib.suppress(Exception):
                await socket.wait_closed()

    def _opened(self) -> None:
        tally = self.eyes.tally
        tally.pages += 1
        tally.requests += 1
        self._heard = time.monotonic()
        before = self.eyes.book.seen(self.watch.url)
        if before is not None and before.code not in LOOKED:
            self.eyes.book.looked(self.watch.url, PAGE, TAKEN)
        trial = self._trial()
        if trial is not None:
            trial.asked, trial.status = self.watch.url, 101

    async def _end(self, socket: ClientConnection) -> None:
        """Close a connection once the run is over."""
        while not self._is_over:  # noqa: ASYNC110 - time ends a run, not an event
            await asyncio.sleep(TICK_S)
        await socket.close()

    async def _listen(self, socket: ClientConnection) -> None:
        """Read one connection to its end. Raises ConnectionClosed where it was cut."""
        tally = self.eyes.tally
        read, count = self._reader.read, 0
        while True:
            try:
                message = await socket.recv()
            except ConnectionClosed:
                if self._is_over:
                    return
                raise
            count += 1
            tally.pages += 1
            tally.bytes_fetched += len(message)
            self._heard, self._tries = time.monotonic(), 0
            try:
                event = read(message)
            except Garbage:
                tally.dropped[GARBAGE] += 1
                continue
            self._last_message = message
            if event is not None and (event.post is not None or event.gone):
                self._moved(event.time_us)
                self._found.append(event)
                self._is_new.set()
            if count % 64 == 0:
                await asyncio.sleep(0)  # what was found is handed on between messages, too
                while len(self._line.steps) + len(self._found) > MOST_OPEN:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(TICK_S)

    def _cut(self, exc: Exception) -> None:
        """Count a cut, and leave out a little where it was an event too large to be read, met again."""
        self._tries += 1
        large = isinstance(exc, ConnectionClosed) and exc.sent is not None and exc.sent.code == TOO_BIG
        self.eyes.tally.dropped[FetchTooLarge.code if large else STREAM_CUT] += 1
        is_again = large and self._large_behind == self._last_us
        self._skip_us = max(REWIND_US + SKIP_US, 2 * self._skip_us) if is_again else 0
        self._large_behind = self._last_us if large else None
        self._progress()

    def _failed(self, code: str, reason: str) -> None:
        self.eyes.book.failed(self.watch.url, PAGE, code, reason)


def _why(exc: Exception) -> tuple[str, str]:
    """Give code and reason of a connection that could not be had."""
    if isinstance(exc, InvalidStatus):
        status = exc.response.status_code
        return f"http_{status}", f"the server answered {status}"
    if isinstance(exc, FetchError):
        return outcome_of(exc)
    return STREAM_CUT, f"the stream was cut: {type(exc).__name__}"
