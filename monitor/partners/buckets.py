"""How fast a feed may go: a token bucket per feed, in the memory of one process.

A process that restarts begins with full buckets, and two processes have two: what bounds a feed for certain
is its number a day, which is counted in the database (entering.py).
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.errors import TooFast

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class _Bucket:
    level: float
    at: float


class Buckets:
    """The buckets of all feeds. Safe for many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Take a clock in seconds that never jumps."""
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}

    def take(self, feed_id: str, items: int, per_second: float, burst: int) -> None:
        """Take so many items out. Raises TooFast, with the wait, and takes nothing then.

        A batch larger than the whole bucket passes when that is full, and the feed waits longer after it.
        """
        with self._lock:
            now = self._clock()
            bucket = self._buckets.setdefault(feed_id, _Bucket(burst, now))
            bucket.level = min(float(burst), bucket.level + (now - bucket.at) * per_second)
            bucket.at = now
            lacking = min(items, burst) - bucket.level
            if lacking > 0:
                msg = f"more than the {per_second:g} items a second that were agreed"
                raise TooFast(msg, after_s=lacking / per_second)
            bucket.level -= items
