"""How often a source is looked at, and when next. Pure functions; the scheduler keeps what they give.

The interval adapts to how often there is something new, by the rule of Apache Nutch's AdaptiveFetchSchedule
(`db.fetch.schedule.adaptive.inc_rate` and `dec_rate`, nutch-default.xml): a look that found something new
makes the interval SHORTER times as long, one that found nothing LONGER times. It comes to rest where about
six looks in ten find something new, for ln(1.4) / (ln(1.4) - ln(0.8)) = 0.60; for a source that changes at
random that is an interval of 0.92 times the mean time between two changes. It stays between a quarter of what
the operator asked for and eight times that.

A source that cannot be read is asked again soon, then ever more rarely, and its interval does not move: a
failure says nothing about how often it changes.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from crawlers import runs
from crawlers.platforms.registry import STREAMS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from crawlers.tables import CrawlRun, Source

    Draw = Callable[[], float]
    """Gives a number from 0 to 1."""

SHORTER: Final = 0.8
"""What a look that found something new makes of the interval: 1 - `dec_rate` of 0.2."""

LONGER: Final = 1.4
"""What a look that found nothing new makes of the interval: 1 + `inc_rate` of 0.4."""

LEAST: Final = 0.25
MOST: Final = 8
"""The interval stays between these times the cadence that the operator asked for."""

SHORTEST_S: Final = 15
"""Seconds between two looks, whatever else is said: a quarter of the shortest cadence there is."""

REST_S: Final = 5.0
"""Seconds between the end of a look and the next one, where a look takes longer than the interval."""

FIRST_RETRY_S: Final = 300
"""Seconds after the first failure, or the cadence where that is shorter. Each further one doubles it."""

LAST_RETRY_S: Final = 86400
"""Longest wait after failures, seconds; or the cadence where that is longer."""

JITTER: Final = 0.1
"""Part of an interval by which a look may come sooner or later, so that sources drift apart."""

random = secrets.SystemRandom().random


@dataclass(frozen=True, slots=True)
class Next:
    """When a source is due, with the interval and the failures in a row that this was reckoned from."""

    due_at: datetime
    interval_s: int
    failures: int


def next_look(row: Source, run: CrawlRun, now: datetime, draw: Draw = random) -> Next:
    """Say when a source is due after a run of it that has ended.

    A run that was cut short counts neither as a failure nor as a look that found nothing.
    """
    began = min(run.started_at, now)
    if run.state == runs.FAILED:
        failures = row.failures + 1
        # between half and all of it: "equal jitter" of Brooker, Exponential Backoff And Jitter (AWS, 2015)
        wait_s = backoff_s(row.cadence_s, failures) * (0.5 + 0.5 * draw())
        return Next(now + timedelta(seconds=wait_s), interval_of(row), failures)
    if row.kind in STREAMS and json.loads(row.options).get("stream_s") != "0":
        return Next(now + timedelta(seconds=REST_S), row.cadence_s, 0)
    found = run.media_taken + run.media_copies > 0
    if run.state != runs.FINISHED and not found:
        interval = interval_of(row)
    else:
        interval = adapted_s(row.cadence_s, interval_of(row), found=found)
    spread = 1 - JITTER + 2 * JITTER * draw()
    due = max(began + timedelta(seconds=interval * spread), now + timedelta(seconds=REST_S))
    return Next(due, interval, 0)


def interval_of(row: Source) -> int:
    """Give the interval in force, within what the operator allows now."""
    return _within(row.cadence_s, row.interval_s or row.cadence_s)


def adapted_s(cadence_s: int, interval_s: int, *, found: bool) -> int:
    """Give the next interval, in seconds, after a look that found something new, or nothing."""
    return _within(cadence_s, interval_s * (SHORTER if found else LONGER))


def backoff_s(cadence_s: int, failures: int) -> float:
    """Give the longest wait after so many failures in a row, in seconds."""
    first, last = min(FIRST_RETRY_S, cadence_s), max(LAST_RETRY_S, cadence_s)
    return float(min(last, first * 2 ** min(failures - 1, 32)))


def is_settled(row: Source, run: CrawlRun) -> bool:
    """Say whether `due_at` was reckoned from this run, or one after it: it is later than the run began."""
    return row.due_at is not None and row.due_at > run.started_at


def is_too_far(row: Source, now: datetime) -> bool:
    """Say whether a source is due later than any rule here can make it: a clock was wrong then."""
    longest = max(row.cadence_s * MOST * (1 + JITTER), LAST_RETRY_S, row.cadence_s)
    return row.due_at is not None and row.due_at > now + timedelta(seconds=longest)


def _within(cadence_s: int, interval_s: float) -> int:
    return max(SHORTEST_S, round(min(max(interval_s, cadence_s * LEAST), cadence_s * MOST)))
