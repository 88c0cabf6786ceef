"""The last click: who is let in, who is held, and that both leave the same behind."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from enrollment import erasure, starting
from enrollment.given import State as Given
from enrollment.holds import Reason
from enrollment.holds import State as Held
from enrollment.standing import Standing, is_shown, shown_standing
from enrollment.steps import Step
from enrollment.tables import Challenge, GivenSample, Reference, Subject
from monitor import audit
from monitor.db import reading, writing
from monitor.values import Modality
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
        yield door


def test_somebody_whom_nothing_speaks_against_is_found_from_then_on(door: Door) -> None:
    face, voice = door.vectors(count=3), door.vectors(Modality.VOICE)
    ada = door.newcomer("ada@example.org", face, voice)
    assert door.work() == 0
    assert door.matches(face[0]) is None
    assert door.click(ada) is None
    assert door.standing(ada) is Standing.STARTING
    assert door.work() == 1
    assert door.standing(ada) is Standing.ACTIVE
    assert door.matches(door.again(face)[0]) == ada
    assert door.matches(door.again(voice)[0], Modality.VOICE) == ada
    assert {row.state for row in door.samples(ada)} == {Given.ENROLLED}
    assert len(door.templates(ada)) == 4
    account = door.account(ada)
    assert account.told_from is not None
    assert account.proved_until is not None
    assert timedelta(hours=71) < account.told_from - door.clock() < timedelta(hours=73)
    assert timedelta(days=364) < account.proved_until - door.clock() < timedelta(days=366)
    assert (door.hold(ada).state, door.hold(ada).reasons) == (Held.CLEAR, "")
    assert door.work() == 0


def test_without_consent_to_keep_them_the_samples_are_deleted(door: Door) -> None:
    ada = door.enrolled("ada@example.org")
    kept = door.enrolled("ben@example.org", keep=True)
    assert door.files(ada) == 0
    assert door.files(kept) == 2
    assert [row.reference_id for row in door.templates(ada)] == [None, None]
    with reading(door.engine) as session:
        assert {row.id for row in session.exec(select(Reference))} == {
            row.reference_id for row in door.templates(kept)
        }
    assert len(list(door.blobs.ids())) == 2


def test_pressing_twice_does_what_one_press_does(door: Door) -> None:
    ada = door.newcomer("ada@example.org")
    assert door.click(ada) is None
    before = door.account(ada).told_from
    door.clock.ahead = timedelta(hours=5)
    assert door.click(ada) is None
    assert door.account(ada).told_from == before
    assert door.work() == 1
    assert door.click(ada) is None
    assert door.standing(ada) is Standing.ACTIVE
    assert door.actions(ada).count("enrolment.asked") == 1


@pytest.mark.parametrize("state", ["drawn", "waiting", "refused", "failed", "expired"])
def test_a_challenge_that_was_not_passed_is_none(door: Door, state: str) -> None:
    ada = door.newcomer("ada@example.org", proof=state)
    assert door.click(ada) is Step.PROOF
    assert door.work() == 0
    assert door.standing(ada) is Standing.NEW


def test_a_proof_that_is_older_than_a_week_must_be_given_again(door: Door) -> None:
    ada = door.newcomer("ada@example.org")
    door.clock.ahead = timedelta(days=7, minutes=1)
    assert door.click(ada) is Step.PROOF
    with reading(door.engine) as session:
        assert {row.state for row in session.exec(select(Challenge))} == {"expired"}
    door.prove(ada)
    assert door.click(ada) is None


def test_a_sample_that_came_after_the_proof_needs_another_proof(door: Door) -> None:
    """Who proves to be the one in the samples, and then puts in pictures of somebody else, proved nothing."""
    eve = door.newcomer("eve@example.org")
    door.clock.ahead = timedelta(seconds=1)
    door.sample(eve, Modality.FACE, door.vectors()[0])
    assert door.click(eve) is Step.PROOF
    assert door.standing(eve) is Standing.NEW


def test_between_click_and_worker_a_sample_that_crept_in_sends_back(door: Door) -> None:
    eve = door.newcomer("eve@example.org")
    assert door.click(eve) is None
    door.clock.ahead = timedelta(seconds=1)
    door.sample(eve, Modality.FACE, door.vectors()[0])
    assert door.work() == 1
    assert door.standing(eve) is Standing.NEW
    assert door.account(eve).told_from is None
    assert door.templates(eve) == []


def test_samples_of_two_people_are_held(door: Door) -> None:
    both = [*door.vectors(), *door.vectors()]
    eve = door.newcomer("eve@example.org", both)  # type: ignore[arg-type]  # a list of rows will do
    assert door.click(eve) is None
    assert door.work() == 1
    assert door.standing(eve) is Standing.HELD
    assert door.hold(eve).reasons == Reason.SAMPLES_DIFFER
    assert door.templates(eve) == []


def test_consent_taken_back_before_the_worker_came_stops_it(door: Door) -> None:
    ada = door.newcomer("ada@example.org")
    assert door.click(ada) is None
    door.agree(ada, biometrics=False)
    assert door.work() == 1
    assert door.standing(ada) is Standing.NEW
    assert door.templates(ada) == []


def test_a_sample_that_is_being_judged_is_waited_for(door: Door) -> None:
    ada = door.newcomer("ada@example.org")
    assert door.click(ada) is None
    for state, done, standing in ((Given.JUDGING, 0, Standing.STARTING), (Given.USABLE, 1, Standing.ACTIVE)):
        with writing(door.engine) as session:
            row = session.exec(
                select(GivenSample).where(GivenSample.subject_id == ada, GivenSample.modality == "face")
            ).first()
            assert row is not None
            row.state = state
        assert door.work() == done
        assert door.standing(ada) is standing


def test_samples_of_another_pack_are_judged_again(door: Door) -> None:
    ada = door.newcomer("ada@example.org")
    with writing(door.engine) as session:
        for row in session.exec(select(GivenSample).where(GivenSample.subject_id == ada)):
            row.model_id = f"older-{row.model_id}"
    assert door.click(ada) is None
    assert door.work() == 1
    assert door.standing(ada) is Standing.STARTING
    assert {row.state for row in door.samples(ada)} == {Given.WAITING}
    assert door.templates(ada) == []


def test_an_unsure_proof_is_held_and_nobody_is_warned(door: Door) -> None:
    ada = door.newcomer("ada@example.org", proof="held")
    assert door.click(ada) is None
    assert door.work() == 1
    assert door.standing(ada) is Standing.HELD
    assert door.hold(ada).reasons == Reason.PROOF
    assert door.delivered() == []
    assert door.matches(door.vectors()[0]) is None


@pytest.mark.parametrize("keep", [True, False])
def test_held_or_let_in_leaves_the_same_behind(door: Door, keep: bool) -> None:  # noqa: FBT001 - a parameter
    """What an export or a receipt could count is equal: rows, files, states, dates."""
    face = door.vectors()
    door.enrolled("owner@example.org", face)
    fine = door.newcomer("ada@example.org", keep=keep)
    held = door.newcomer("eve@example.org", door.again(face), keep=keep)
    for who in (fine, held):
        assert door.click(who) is None
    assert door.work() == 2
    assert (door.standing(fine), door.standing(held)) == (Standing.ACTIVE, Standing.HELD)
    seen = []
    for who in (fine, held):
        account, samples = door.account(who), door.samples(who)
        with reading(door.engine) as session:
            kept = session.exec(select(Reference).where(Reference.subject_id == who)).all()
        shown = [action for action in door.actions(who) if is_shown(action, account, door.clock())]
        seen.append(
            (
                door.files(who),
                len(kept),
                sorted((row.modality, row.state, row.blob_id is None) for row in samples),
                shown,
                shown_standing(door.standing(who), account, door.clock()),
                account.told_from is None,
                account.proved_until is None,
                erasure.erase(door.engine, door.keys, door.blobs, who, "subject").removed,
            )
        )
    assert seen[0] == seen[1]
    assert seen[0][4] is Standing.STARTING


def test_one_who_cannot_be_started_stops_nobody_else(door: Door) -> None:
    broken, ada = door.newcomer("broken@example.org"), door.newcomer("ada@example.org")
    with writing(door.engine) as session:
        for row in session.exec(select(GivenSample).where(GivenSample.subject_id == broken)):
            row.sealed_vector = b"\x01" + b"x" * 80
    assert door.click(broken) is None
    assert door.click(ada) is None
    assert door.work() == 2
    assert door.standing(ada) is Standing.ACTIVE
    assert door.standing(broken) is Standing.HELD
    assert door.hold(broken).reasons == Reason.DAMAGED


def test_somebody_erased_meanwhile_is_passed_over(door: Door) -> None:
    ada, ben = door.newcomer("ada@example.org"), door.newcomer("ben@example.org")
    door.click(ada)
    door.click(ben)
    erasure.erase(door.engine, door.keys, door.blobs, ada, "subject")
    assert door.work() == 1
    assert door.standing(ben) is Standing.ACTIVE
    with reading(door.engine) as session:
        assert session.get(Subject, ada) is None
        audit.verify(session)


def test_two_workers_start_somebody_once(door: Door) -> None:
    """The second one finds the work done."""
    ada = door.newcomer("ada@example.org")
    door.click(ada)
    with reading(door.engine):
        assert starting.start_due(door.desk) == 1
    assert starting.start_due(door.desk) == 0
    assert len(door.templates(ada)) == 2
