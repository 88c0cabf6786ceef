"""The audit chain: appended in the caller's transaction, one writer at a time, facts only."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlmodel import select

from monitor import audit
from monitor.db import reading, utc_now, writing
from monitor.tables import AuditEvent, Lease

if TYPE_CHECKING:
    from sqlalchemy import Engine


def test_events_form_a_chain_from_the_first_on(engine: Engine) -> None:
    with writing(engine) as session:
        first = audit.record(session, "operator:eva", "subject.add", "s1", faces=2, voice=True)
        second = audit.record(session, "worker:1", "item.look")
    assert (first.seq, first.previous) == (1, audit.GENESIS)
    assert (second.seq, second.previous) == (2, first.link)
    with reading(engine) as session:
        assert audit.verify(session) == 2
        assert audit.head(session) == (2, second.link)
        stored = session.exec(select(AuditEvent.detail).where(AuditEvent.seq == 1)).one()
    assert json.loads(stored) == {"faces": 2, "voice": True}


def test_an_empty_record_verifies(engine: Engine) -> None:
    with reading(engine) as session:
        assert audit.verify(session, head=audit.head(session)) == 0


def test_a_deed_that_is_rolled_back_leaves_no_event_and_no_gap(engine: Engine) -> None:
    def take_and_break() -> None:
        with writing(engine) as session:
            session.add(Lease(name="x", owner="me", until=utc_now()))
            audit.record(session, "operator", "lease.take")
            broke = "broke"
            raise RuntimeError(broke)

    with pytest.raises(RuntimeError, match="broke"):
        take_and_break()
    with writing(engine) as session:
        audit.record(session, "operator", "lease.take")
    with reading(engine) as session:
        assert session.get(Lease, "x") is None
        assert audit.verify(session) == 1


def test_many_writers_at_once_make_one_chain(engine: Engine) -> None:
    def write(writer: int) -> None:
        for index in range(10):
            with writing(engine) as session:
                audit.record(session, f"worker:{writer}", "item.look", index=index)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(engine) as session:
        assert audit.verify(session) == 50


@pytest.mark.parametrize(
    "value",
    [
        b"bytes",
        bytearray(3),
        np.zeros(3),
        np.float32(0.5),
        [0.1, 0.2],
        {"a": 1},
        "x" * 501,
        ["x"] * 51,
        object(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_a_short_fact_is_refused(sqlite_engine: Engine, value: object) -> None:
    with writing(sqlite_engine) as session, pytest.raises(TypeError, match="not a short fact"):
        audit.record(session, "operator", "subject.add", what=value)  # type: ignore[arg-type]
    with reading(sqlite_engine) as session:
        assert audit.verify(session) == 0
