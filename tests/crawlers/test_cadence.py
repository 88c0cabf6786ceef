"""How often a source is looked at: what adapts, what waits, and that no clock can break it."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers import cadence, runs
from crawlers.tables import CrawlRun, Source

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = 3600


def source(cadence_s: int = 6 * HOUR, interval_s: int | None = None, failures: int = 0) -> Source:
    row = Source(id="s", name="s", url="https://s.example/", cadence_s=cadence_s)
    row.interval_s, row.failures = interval_s, failures
    return row


def run(state: str = runs.FINISHED, taken: int = 0, copies: int = 0, began: datetime = NOW) -> CrawlRun:
    return CrawlRun(
        id="r", source_id="s", state=state, started_at=began, media_taken=taken, media_copies=copies
    )


def middle() -> float:
    return 0.5


@pytest.mark.parametrize(
    ("ended", "interval_h"),
    [
        (run(taken=1), 4.8), (run(copies=1), 4.8), (run(), 8.4),
        (run(runs.STOPPED), 6.0), (run(runs.STOPPED, taken=2), 4.8),
    ],
)  # fmt: skip
def test_something_new_makes_looks_more_frequent_and_nothing_rarer(
    ended: CrawlRun, interval_h: float
) -> None:
    found = cadence.next_look(source(), ended, NOW, middle)
    assert (found.interval_s, found.failures) == (interval_h * HOUR, 0)
    assert found.due_at == NOW + timedelta(hours=interval_h)


def test_the_interval_stays_between_a_quarter_and_eight_times() -> None:
    for found, bound in ((True, 1.5), (False, 48)):
        interval = 6 * HOUR
        for _ in range(40):
            interval = cadence.adapted_s(6 * HOUR, interval, found=found)
        assert interval == bound * HOUR


@pytest.mark.parametrize("between_h", [3.0, 12.0, 30.0])
def test_it_comes_to_rest_near_the_mean_time_between_two_changes(between_h: float) -> None:
    """A source that changes at random: in the middle the interval is 0.92 of that, within 20 %."""
    drawn, interval, seen = random.Random(7), 6 * HOUR, []  # noqa: S311 - chance, not secrecy
    for look in range(4000):
        found = drawn.random() < 1 - math.exp(-interval / (between_h * HOUR))
        interval = cadence.adapted_s(6 * HOUR, interval, found=found)
        if look > 100:
            seen.append(interval)
    rest = math.exp(sum(map(math.log, seen)) / len(seen)) / HOUR
    assert rest == pytest.approx(0.92 * between_h, rel=0.2)


def test_failures_wait_ever_longer_up_to_a_day_and_one_good_look_ends_it() -> None:
    row, waits = source(), []
    for _ in range(12):
        after = cadence.next_look(row, run(runs.FAILED), NOW, lambda: 1.0)
        waits.append((after.due_at - NOW).total_seconds())
        row.failures = after.failures
        assert after.interval_s == 6 * HOUR  # a failure says nothing about how often it changes
    assert waits[:5] == [300, 600, 1200, 2400, 4800]
    assert waits[-1] == 86400
    assert cadence.next_look(row, run(), NOW, middle).failures == 0
    soonest = cadence.next_look(source(), run(runs.FAILED), NOW, lambda: 0.0)
    assert soonest.due_at == NOW + timedelta(seconds=150)


def test_looks_that_were_due_together_drift_apart() -> None:
    due = {cadence.next_look(source(), run(), NOW).due_at for _ in range(50)}
    assert len(due) == 50
    assert max(due) - min(due) <= timedelta(hours=0.2 * 8.4)


def test_a_look_that_took_longer_than_the_interval_rests_before_the_next() -> None:
    began = NOW - timedelta(hours=9)
    after = cadence.next_look(source(), run(taken=1, began=began), NOW, middle)
    assert after.due_at == NOW + timedelta(seconds=cadence.REST_S)


@given(
    cadence_s=st.integers(60, 90 * 86400),
    interval_s=st.none() | st.integers(0, 2**40),
    failures=st.integers(0, 10**6),
    state=st.sampled_from([runs.FINISHED, runs.STOPPED, runs.FAILED]),
    began_s=st.integers(-(10**9), 10**9),
    taken=st.integers(0, 3),
    drawn=st.floats(0, 1),
)
def test_whatever_the_clocks_said_the_next_look_is_within_bounds(
    *,
    cadence_s: int,
    interval_s: int | None,
    failures: int,
    state: str,
    began_s: int,
    taken: int,
    drawn: float,
) -> None:
    row = source(cadence_s, interval_s, failures)
    ended = run(state, taken, began=NOW + timedelta(seconds=began_s))
    after = cadence.next_look(row, ended, NOW, lambda: drawn)
    assert cadence_s / 4 - 1 <= after.interval_s <= cadence_s * 8
    assert after.due_at > NOW
    row.due_at = after.due_at
    assert not cadence.is_too_far(row, NOW)
    if began_s <= 0:
        assert cadence.is_settled(row, ended)
