"""The keyed digests and the sealer of letters: safe wherever they are asked, also within a transaction."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from enrollment import letters
from enrollment.lookups import Lookups
from monitor.db import reading, utc_now, writing
from monitor.tables import Lease, ServiceKey

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys


def test_asked_for_the_first_time_within_a_transaction_they_answer_at_once(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    lookups = Lookups(sqlite_engine, keys)
    began = time.monotonic()
    with writing(sqlite_engine) as session:
        session.merge(Lease(name="anything", owner="me", until=_soon()))
        session.flush()  # the write lock is ours from here on
        digest = lookups.email("ana@example.org")
        letters.sealer_of(sqlite_engine, keys)
    assert time.monotonic() - began < 5, "a lock would be waited for 30 seconds"
    assert digest == Lookups(sqlite_engine, keys).email("Ana@example.org")


def test_a_transaction_in_a_transaction_is_refused_at_once_and_nothing_is_written(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    with pytest.raises(RuntimeError, match="inside another"), writing(sqlite_engine) as session:  # noqa: PT012 - both belong to it
        session.merge(Lease(name="anything", owner="me", until=_soon()))
        session.flush()
        Lookups(sqlite_engine, keys)
    with reading(sqlite_engine) as session:
        assert session.get(Lease, "anything") is None
        assert session.exec(select(ServiceKey)).all() == []
    Lookups(sqlite_engine, keys)  # and afterwards all is well
    with writing(sqlite_engine) as session:
        session.merge(Lease(name="anything", owner="me", until=_soon()))


def _soon() -> datetime:
    return utc_now() + timedelta(minutes=1)
