"""A stalker holds photographs of somebody and wants to be told where they appear. The whole story, in rows.

The challenge's own checks have tests of their own; here it is what follows from each outcome.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlmodel import select

from enrollment import holds, operators, subjects
from enrollment.holds import Vote
from enrollment.profiles import Profile
from enrollment.samples import Sample
from enrollment.standing import Standing
from enrollment.steps import Step
from enrollment.subjects import Ledger
from monitor.db import reading, utc_now, writing
from monitor.gallery import models_of
from monitor.tables import GalleryEvent, Template
from monitor.values import Modality
from tests.enrollment.newcomers import Door, door_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.ml.interfaces import Pack
    from monitor.values import SubjectId

STALKER = "stalker@example.org"
VICTIM = "victim@example.org"


@pytest.fixture
def door(engine: Engine, keys: KeyEncryptionKeys, blobs: BlobStore, pack: Pack) -> Iterator[Door]:
    with door_of(engine, keys, blobs, pack) as door:
        yield door


def is_in_no_gallery(door: Door, who: SubjectId) -> bool:
    with reading(door.engine) as session:
        templates = session.exec(select(Template).where(Template.subject_id == who)).all()
        events = session.exec(select(GalleryEvent).where(GalleryEvent.subject_id == who)).all()
    return not templates and not events


@pytest.mark.parametrize("proof", ["refused", "failed", "expired", "drawn", "waiting", "judging"])
def test_photographs_alone_never_become_active(door: Door, proof: str) -> None:
    """Whatever became of the challenges, however often and however long they try."""
    stalker = door.newcomer(STALKER, door.vectors(count=3), proof=proof)
    for hours in (0, 1, 80, 24 * 8):
        door.clock.ahead = timedelta(hours=hours)
        door.prove(stalker, proof)
        assert door.click(stalker) is Step.PROOF
        assert door.work() == 0
        assert door.standing(stalker) is Standing.NEW
        assert is_in_no_gallery(door, stalker)
    assert door.delivered() == []


def test_proving_to_be_oneself_and_then_giving_another_s_pictures_proves_nothing(door: Door) -> None:
    stalker = door.newcomer(STALKER)
    door.clock.ahead = timedelta(minutes=1)
    door.sample(stalker, Modality.FACE, door.vectors()[0])
    assert door.click(stalker) is Step.PROOF
    assert is_in_no_gallery(door, stalker)


def test_the_victim_s_pictures_among_one_s_own_are_held(door: Door) -> None:
    stalker = door.newcomer(STALKER, np.concatenate([door.vectors(count=3), door.vectors()]))
    assert door.click(stalker) is None
    assert door.work() == 1
    assert door.standing(stalker) is Standing.HELD
    assert is_in_no_gallery(door, stalker)


@pytest.mark.parametrize("modality", list(Modality))
def test_even_who_deceives_the_challenge_is_held_and_the_victim_is_warned(
    door: Door, modality: Modality
) -> None:
    taken = door.vectors(modality)
    own = {Modality.FACE: "face", Modality.VOICE: "voice"}[modality]
    victim = door.enrolled(VICTIM, **{own: taken})
    stalker = door.newcomer(STALKER, **{own: door.again(taken)})
    assert door.click(stalker) is None
    assert door.work() == 1
    assert door.standing(stalker) is Standing.HELD
    assert is_in_no_gallery(door, stalker)
    assert door.matches(door.again(taken)[0], modality) == victim
    [letter] = door.delivered()
    assert letter.to == VICTIM
    said = " ".join(letter.text.split())
    assert f"somebody tried to enrol a {own} like yours" in said
    for secret in (STALKER, stalker, victim, "Ann Other"):
        assert secret not in f"{letter.subject} {letter.text} {letter.html}"
    assert not any(word in letter.subject.lower() for word in ("face", "voice", "enrol", "stalk", "warn"))
    assert door.actions(victim).count("enrolment.like_you") == 1
    assert "enrolment.held" in door.actions(stalker)


def test_the_victim_is_warned_once_a_day_and_never_flooded(door: Door) -> None:
    face = door.vectors()
    door.enrolled(VICTIM, face)
    for number in range(6):
        eve = door.newcomer(f"{number}.{STALKER}", door.again(face))
        assert door.click(eve) is None
        assert door.work() == 1
        assert door.standing(eve) is Standing.HELD
    assert len(door.delivered()) == 3
    door.clock.ahead = timedelta(days=1, minutes=1)
    again = door.newcomer(f"again.{STALKER}", door.again(face))
    assert door.click(again) is None
    door.work()
    assert [letter.to for letter in door.delivered()] == [VICTIM]


@pytest.mark.parametrize(("email", "phone"), [(VICTIM, ""), ("", "+4915112345678")])
def test_a_victim_whom_an_operator_enrolled_is_warned_too(door: Door, email: str, phone: str) -> None:
    face = door.vectors()
    model_id, _ = models_of(door.pack)[Modality.FACE]
    ledger = Ledger(door.engine, door.keys, door.blobs, "operator:test")
    profile = Profile("Vera Example", email, phone, "passport seen")
    subjects.add(ledger, profile, [Sample("a.jpg", Modality.FACE, model_id, face[0], 0.9, b"")])
    door.gallery.follow()
    eve = door.newcomer(STALKER, door.again(face))
    assert door.click(eve) is None
    assert door.work() == 1
    door.delivered()
    if email:
        assert [letter.to for letter in door.mail.sent] == [email]
        assert "your own page" not in door.mail.sent[0].text
    else:
        [text] = door.sms.sent
        assert text.to == phone
        assert not any(word in text.text.lower() for word in ("face", "voice", "enrol"))


def test_the_victim_who_comes_later_is_not_kept_out_for_good(door: Door) -> None:
    """Both are held, and people decide: the one who can show who they are is let in."""
    face = door.vectors()
    stalker = door.newcomer(STALKER, face, proof="held")
    assert door.click(stalker) is None
    door.work()
    victim = door.newcomer(VICTIM, door.again(face))
    assert door.click(victim) is None
    door.work()
    assert door.standing(victim) is Standing.HELD
    with writing(door.engine) as session:
        for name in ("ada", "ben"):
            operators.add(session, name, "operator:root", utc_now())
            said = Vote(name, approve=True, why="passport seen in a video call")
            holds.vote(session, door.keys, door.hold(victim).id, said, utc_now())
        said = Vote("ada", approve=False, why="did not answer")
        holds.vote(session, door.keys, door.hold(stalker).id, said, utc_now())
    door.work()
    assert door.standing(victim) is Standing.ACTIVE
    assert door.standing(stalker) is Standing.HELD
    assert is_in_no_gallery(door, stalker)
