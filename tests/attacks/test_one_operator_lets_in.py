"""An insider: one operator wants to let somebody in alone, for money or for love. One is not enough."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from enrollment import holds, operators
from enrollment.holds import State, Vote
from enrollment.standing import Standing
from enrollment.tables import HoldVote
from monitor import audit
from monitor.db import reading, utc_now, writing
from monitor.errors import OperatorRefused, VoteRefused
from monitor.tables import AuditEvent
from tests.enrollment.newcomers import Door, door_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.ml.interfaces import Pack
    from monitor.values import SubjectId

YES = "I know them, it is fine"


@pytest.fixture
def door(engine: Engine, keys: KeyEncryptionKeys, blobs: BlobStore, pack: Pack) -> Iterator[Door]:
    with door_of(engine, keys, blobs, pack) as door:
        yield door


@pytest.fixture
def friend(door: Door) -> SubjectId:
    """Somebody who is held, and has a friend among the operators."""
    face = door.vectors()
    door.enrolled("victim@example.org", face)
    who = door.newcomer("friend@example.org", door.again(face))
    assert door.click(who) is None
    assert door.work() == 1
    return who


def operator(door: Door, name: str) -> str:
    with writing(door.engine) as session:
        return operators.add(session, name, "operator:root", utc_now())


def vote(door: Door, who: SubjectId, name: str) -> State:
    with writing(door.engine) as session:
        said = Vote(name, approve=True, why=YES)
        return holds.vote(session, door.keys, door.hold(who).id, said, utc_now())


def test_one_alone_lets_nobody_in_however_often(door: Door, friend: SubjectId) -> None:
    operator(door, "mallory")
    assert vote(door, friend, "mallory") is State.OPEN
    for _ in range(3):
        with pytest.raises(VoteRefused):
            vote(door, friend, "mallory")
        assert door.work() == 0
    assert door.standing(friend) is Standing.HELD
    assert door.templates(friend) == []


def test_many_votes_at_once_are_one(door: Door, friend: SubjectId) -> None:
    operator(door, "mallory")
    ready = threading.Barrier(4)
    states: list[object] = []

    def press() -> None:
        ready.wait()
        try:
            states.append(vote(door, friend, "mallory"))
        except VoteRefused as exc:
            states.append(exc)

    threads = [threading.Thread(target=press) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert [one for one in states if isinstance(one, State)] == [State.OPEN]
    assert len(states) == 4
    with reading(door.engine) as session:
        assert len(session.exec(select(HoldVote)).all()) == 1
    assert door.work() == 0


def test_the_token_of_one_does_not_speak_for_another(door: Door) -> None:
    token = operator(door, "mallory")
    operator(door, "ada")
    with reading(door.engine) as session, pytest.raises(OperatorRefused):
        operators.authenticated(session, "ada", token)


def test_a_second_account_leaves_its_trace(door: Door, friend: SubjectId) -> None:
    """Who can make operators on the machine can make two. It is on record, by name, and shown to both."""
    for name in ("mallory", "mallory2"):
        operator(door, name)
        vote(door, friend, name)
    assert door.work() == 1
    assert door.standing(friend) is Standing.ACTIVE
    with reading(door.engine) as session:
        actions = [(event.actor, event.action) for event in session.exec(select(AuditEvent))]
        audit.verify(session)
    assert actions.count(("operator:root", "operator.add")) == 2
    for name in ("mallory", "mallory2"):
        assert (f"operator:{name}", "enrolment.vote") in actions
    assert [letter.to for letter in door.delivered()] == ["victim@example.org"]
