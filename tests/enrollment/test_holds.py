"""Held enrolments: two different people for a yes, one for a no; everything on record and sealed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlmodel import select

from enrollment import erasure, holds, operators
from enrollment.holds import State, Vote
from enrollment.identity import challenges
from enrollment.standing import Standing, is_shown, shown_standing
from enrollment.steps import Step
from enrollment.tables import Challenge, Reference
from monitor import audit
from monitor.db import reading, utc_now, writing
from monitor.errors import NotFound, VoteRefused
from monitor.values import SubjectId
from tests.enrollment.newcomers import Door, door_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.ml.interfaces import Pack


@pytest.fixture
def door(engine: Engine, keys: KeyEncryptionKeys, blobs: BlobStore, pack: Pack) -> Iterator[Door]:
    with door_of(engine, keys, blobs, pack) as door:
        with writing(engine) as session:
            for name in ("ada", "ben", "cem"):
                operators.add(session, name, "operator:root", utc_now())
        yield door


def held(door: Door, *, keep: bool = False) -> SubjectId:
    face = door.vectors()
    door.enrolled("owner@example.org", face)
    eve = door.newcomer("eve@example.org", door.again(face), keep=keep)
    assert door.click(eve) is None
    assert door.work() == 1
    assert door.standing(eve) is Standing.HELD
    return eve


def vote(door: Door, who: SubjectId, operator: str, *, approve: bool = True, why: str = "seen") -> State:
    with writing(door.engine) as session:
        said = Vote(operator, approve=approve, why=why)
        return holds.vote(session, door.keys, door.hold(who).id, said, door.clock())


def over(door: Door) -> None:
    """Let the cooling-off end."""
    door.clock.ahead = timedelta(hours=73)


@pytest.mark.parametrize("keep", [True, False])
def test_two_different_operators_let_somebody_in(door: Door, keep: bool) -> None:  # noqa: FBT001 - a parameter
    eve = held(door, keep=keep)
    assert vote(door, eve, "ada") is State.OPEN
    assert door.work() == 0
    assert vote(door, eve, "ben") is State.APPROVED
    assert door.work() == 1
    assert door.standing(eve) is Standing.ACTIVE
    assert len(door.templates(eve)) == 2
    assert all((row.reference_id is not None) is keep for row in door.templates(eve))
    assert door.work() == 0
    assert {message.to for message in door.delivered()} == {"owner@example.org"}


def test_one_operator_twice_is_one(door: Door) -> None:
    eve = held(door)
    vote(door, eve, "ada")
    with pytest.raises(VoteRefused, match="has voted"):
        vote(door, eve, "ada")
    assert door.hold(eve).state == State.OPEN


def test_the_yes_of_somebody_revoked_counts_no_more(door: Door) -> None:
    eve = held(door)
    vote(door, eve, "ada")
    with writing(door.engine) as session:
        operators.revoke(session, "ada", "operator:root", utc_now())
    assert vote(door, eve, "ben") is State.OPEN
    assert vote(door, eve, "cem") is State.APPROVED


@pytest.mark.parametrize("why", ["", "   ", "x" * 501])
def test_a_vote_needs_a_reason(door: Door, why: str) -> None:
    eve = held(door)
    with pytest.raises(VoteRefused, match="reason"):
        vote(door, eve, "ada", why=why)
    assert door.actions(eve).count("enrolment.vote") == 0


def test_one_no_ends_it_but_not_before_the_cooling_off_is_over(door: Door) -> None:
    """Until then a no would tell the newcomer that there was a hold."""
    eve = held(door, keep=True)
    assert vote(door, eve, "ada", approve=False) is State.REJECTED
    with pytest.raises(VoteRefused, match="already"):
        vote(door, eve, "ben")
    assert door.work() == 0
    assert shown_standing(door.standing(eve), door.account(eve), door.clock()) is Standing.STARTING
    door.delivered()
    over(door)
    assert door.work() == 1
    assert door.standing(eve) is Standing.NEW
    assert (door.samples(eve), door.templates(eve), door.files(eve)) == ([], [], 0)
    account = door.account(eve)
    assert (account.told_from, account.proved_until) == (None, None)
    with reading(door.engine) as session:
        assert session.exec(select(Reference).where(Reference.subject_id == eve)).all() == []
        states = session.exec(select(Challenge.state).where(Challenge.subject_id == eve)).all()
    assert set(states) == {"expired"}
    [letter] = door.delivered()
    assert letter.to == "eve@example.org"
    said = " ".join(letter.text.split())
    assert "the pictures and recordings that you gave are deleted" in said
    for hint in ("enrolled", "like", "voice", "face"):
        assert hint not in said
    assert door.click(eve) is Step.FACE
    assert door.work() == 0


def test_a_rejected_one_can_try_again_and_is_judged_anew(door: Door) -> None:
    eve = held(door)
    vote(door, eve, "ada", approve=False)
    over(door)
    door.work()
    door.newcomer("eve@example.org", subject_id=eve)
    assert door.click(eve) is None
    assert door.work() == 1
    assert door.standing(eve) is Standing.ACTIVE


def test_let_in_late_they_are_told(door: Door) -> None:
    eve = held(door)
    door.delivered()
    over(door)
    assert shown_standing(door.standing(eve), door.account(eve), door.clock()) is Standing.HELD
    vote(door, eve, "ada")
    vote(door, eve, "ben")
    assert door.work() == 1
    [letter] = door.delivered()
    assert letter.to == "eve@example.org"
    assert "everything is in order" in " ".join(letter.text.split())


def test_everything_is_on_record_and_the_person_sees_it_afterwards(door: Door) -> None:
    eve = held(door)
    with writing(door.engine) as session:
        holds.show(session, door.keys, door.hold(eve).id, "ada")
    vote(door, eve, "ada")
    vote(door, eve, "ben")
    door.work()
    wanted = {
        "enrolment.held",
        "enrolment.looked_at",
        "enrolment.vote",
        "enrolment.approved",
    }
    assert wanted < set(door.actions(eve))
    account = door.account(eve)
    assert not any(is_shown(action, account, door.clock()) for action in wanted)
    over(door)
    assert all(is_shown(action, account, door.clock()) for action in wanted)
    with reading(door.engine) as session:
        audit.verify(session)


def test_who_attested_the_proof_is_not_one_of_the_two(door: Door) -> None:
    face = door.vectors()
    door.enrolled("owner@example.org", face)
    eve = door.newcomer("eve@example.org", door.again(face), proof="refused")
    challenges.attest(door.engine, door.keys, eve, "operator:ada", "passport seen", door.clock())
    assert door.click(eve) is None
    assert door.work() == 1
    with pytest.raises(VoteRefused, match="attested"):
        vote(door, eve, "ada")
    with writing(door.engine) as session:
        detail = holds.show(session, door.keys, door.hold(eve).id, "ben")
    assert detail.checks == (("attested", "by operator:ada: passport seen"),)
    assert vote(door, eve, "ben") is State.OPEN
    assert vote(door, eve, "cem") is State.APPROVED


def test_reasons_and_reports_are_sealed(door: Door) -> None:
    eve = held(door)
    vote(door, eve, "ada", why="her passport number is 12345")
    with reading(door.engine) as session:
        rows = str(session.connection().execute(text("SELECT * FROM hold")).all())
        rows += str(session.connection().execute(text("SELECT * FROM hold_vote")).all())
        events = str([event.detail for event in session.exec(select(audit.AuditEvent))])
    owner = [one for one in door.actions(eve) if one == "enrolment.like_you"]
    assert owner == []
    for secret in ("12345", "passport", "score"):
        assert secret not in rows
        assert secret not in events
    with writing(door.engine) as session:
        detail = holds.show(session, door.keys, door.hold(eve).id, "ben")
    assert detail.votes[0][:3] == ("ada", True, "her passport number is 12345")


def test_a_hold_is_found_by_its_first_characters(door: Door) -> None:
    eve = held(door)
    hold = door.hold(eve)
    with reading(door.engine) as session:
        assert holds.resolve(session, hold.id[:8]) == hold.id
        for typed in ("", "zz", "%"):
            with pytest.raises(NotFound):
                holds.resolve(session, typed)
        assert [view.hold_id for view in holds.listing(session)] == [hold.id]


def test_whoever_left_meanwhile_is_no_hold_any_more(door: Door) -> None:
    eve = held(door)
    hold = door.hold(eve).id
    erasure.erase(door.engine, door.keys, door.blobs, eve, "subject")
    with reading(door.engine) as session:
        assert holds.listing(session) == []
    with pytest.raises(NotFound), writing(door.engine) as session:
        holds.vote(session, door.keys, hold, Vote("ada", approve=True, why="x"), utc_now())
