"""Somebody who can write to the database changes the record of who did what. Each change is named."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlmodel import col, delete, select, update

from monitor import audit
from monitor.db import reading, writing
from monitor.errors import Tampered
from monitor.tables import AuditEvent

if TYPE_CHECKING:
    from sqlalchemy import Engine


@pytest.fixture
def chain(engine: Engine) -> Engine:
    for index in range(6):
        with writing(engine) as session:
            audit.record(session, "operator:eva", "subject.show", f"s{index}", index=index)
    return engine


def verify(engine: Engine, head: tuple[int, str] | None = None) -> int:
    with reading(engine) as session:
        return audit.verify(session, head=head)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("actor", "operator:somebody-else"),
        ("action", "subject.erase"),
        ("subject_id", None),
        ("detail", "{}"),
        ("previous", "0" * 64),
        ("link", "1" * 64),
    ],
)
def test_a_changed_field_is_named(chain: Engine, field: str, value: str | None) -> None:
    with writing(chain) as session:
        session.exec(update(AuditEvent).where(col(AuditEvent.seq) == 3).values({field: value}))
    with pytest.raises(Tampered, match="event 3 was changed"):
        verify(chain)


def test_a_changed_moment_is_named(chain: Engine) -> None:
    with writing(chain) as session:
        session.get_one(AuditEvent, 4).at += timedelta(microseconds=1)
    with pytest.raises(Tampered, match="event 4 was changed"):
        verify(chain)


def test_a_changed_event_with_its_own_digest_made_anew_breaks_the_next(chain: Engine) -> None:
    with writing(chain) as session:
        event = session.get_one(AuditEvent, 3)
        event.action = "subject.list"
        event.link = audit.link_of(event)
    with pytest.raises(Tampered, match="event 4 was changed"):
        verify(chain)


def test_a_removed_event_is_named(chain: Engine) -> None:
    with writing(chain) as session:
        session.exec(delete(AuditEvent).where(col(AuditEvent.seq) == 2))
    with pytest.raises(Tampered, match="event 2 was removed"):
        verify(chain)


def test_events_renumbered_after_a_removal_are_named(chain: Engine) -> None:
    with writing(chain) as session:
        session.exec(delete(AuditEvent).where(col(AuditEvent.seq) == 2))
        for seq in range(3, 7):
            session.exec(update(AuditEvent).where(col(AuditEvent.seq) == seq).values(seq=seq - 1))
    with pytest.raises(Tampered, match="event 2 was changed"):
        verify(chain)


def test_two_events_that_changed_places_are_named(chain: Engine) -> None:
    with writing(chain) as session:
        for old, new in ((3, 99), (4, 3), (99, 4)):
            session.exec(update(AuditEvent).where(col(AuditEvent.seq) == old).values(seq=new))
    with pytest.raises(Tampered, match="event 3 was changed"):
        verify(chain)


def test_events_cut_off_the_end_are_noticed_by_the_head_that_was_kept(chain: Engine) -> None:
    with reading(chain) as session:
        kept = audit.head(session)
    with writing(chain) as session:
        session.exec(delete(AuditEvent).where(col(AuditEvent.seq) > 4))
    assert verify(chain) == 4
    with pytest.raises(Tampered, match="does not hold the head"):
        verify(chain, kept)


def test_a_chain_rewritten_as_a_whole_is_noticed_by_the_head_that_was_kept(chain: Engine) -> None:
    with reading(chain) as session:
        kept = audit.head(session)
    with writing(chain) as session:
        previous = audit.GENESIS
        for event in session.exec(select(AuditEvent).order_by(col(AuditEvent.seq))).all():
            event.actor, event.previous = "nobody", previous
            previous = event.link = audit.link_of(event)
    assert verify(chain) == 6
    with pytest.raises(Tampered, match="does not hold the head"):
        verify(chain, kept)
    with writing(chain) as session:
        audit.record(session, "operator:eva", "subject.show")
        grown = audit.head(session)
    assert verify(chain, grown) == 7
