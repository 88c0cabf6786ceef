"""How often is too often: counted once each, forgotten in time, and without saying who."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from enrollment import limits
from enrollment.lookups import Lookups
from enrollment.tables import RateCount
from monitor.db import reading, writing

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys

NOON = datetime(2026, 5, 3, 12, 0, tzinfo=UTC)


def _take(
    engine: Engine, lookups: Lookups, value: str = "ana@example.org", now: datetime = NOON, most: int = 3
) -> bool:
    with writing(engine) as session:
        return limits.take(session, lookups, "link", value, per=limits.HOUR, most=most, now=now)


def test_so_many_pass_and_no_more_until_the_next_window(engine: Engine, keys: KeyEncryptionKeys) -> None:
    lookups = Lookups(engine, keys)

    assert [_take(engine, lookups) for _ in range(5)] == [True, True, True, False, False]
    assert _take(engine, lookups, "ben@example.org"), "somebody else is counted apart"
    assert _take(engine, lookups, now=NOON + timedelta(hours=1)), "and the next hour counts anew"


def test_many_at_once_are_counted_one_by_one(engine: Engine, keys: KeyEncryptionKeys) -> None:
    lookups = Lookups(engine, keys)
    lookups.email("made before the race")
    passed: list[bool] = []

    def ask() -> None:
        passed.extend(_take(engine, lookups, most=7) for _ in range(5))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (passed.count(True), passed.count(False)) == (7, 13)


def test_the_rows_name_nobody_and_go_in_time(sqlite_engine: Engine, keys: KeyEncryptionKeys) -> None:
    _take(sqlite_engine, Lookups(sqlite_engine, keys))
    with reading(sqlite_engine) as session:
        [row] = session.exec(select(RateCount)).all()
    assert "ana" not in repr(row)

    for days, left in ((1, 1), (3, 0)):
        with writing(sqlite_engine) as session:
            limits.forget_old(session, NOON + timedelta(days=days))
        with reading(sqlite_engine) as session:
            assert len(session.exec(select(RateCount)).all()) == left


def test_a_window_that_is_not_kept_is_refused(sqlite_engine: Engine, keys: KeyEncryptionKeys) -> None:
    lookups = Lookups(sqlite_engine, keys)
    with writing(sqlite_engine) as session, pytest.raises(ValueError, match="not one that is kept"):
        limits.take(session, lookups, "x", "y", per=timedelta(days=2), most=1, now=NOON)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("198.51.100.77", "198.51.100.0/24"),
        ("::ffff:198.51.100.77", "198.51.100.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_a_network_is_what_one_household_has(address: str, network: str) -> None:
    assert limits.network_of(address) == network
