"""Is a newcomer's face or voice there already? With a real gallery, by the thresholds of the real pack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from enrollment import arrivals, erasure, starting
from enrollment.arrivals import HELD_BY_CHANCE, near_from
from enrollment.holds import Reason
from enrollment.standing import Standing
from monitor.db import reading, utc_now, writing
from monitor.gallery_rows import pause
from monitor.values import Modality, SubjectId
from tests.enrollment.newcomers import Door, door_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from sqlalchemy import Engine

    from enrollment.arrivals import Near
    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.ml.interfaces import Pack


@pytest.fixture
def door(engine: Engine, keys: KeyEncryptionKeys, blobs: BlobStore, pack: Pack) -> Iterator[Door]:
    with door_of(engine, keys, blobs, pack) as door:
        yield door


def near(door: Door, who: SubjectId) -> tuple[Near, ...]:
    with reading(door.engine) as session:
        found = arrivals.vectors_of(door.keys, session, door.samples(who))
    return arrivals.near(door.desk, who, found)


def at_cosine(door: Door, vector: NDArray[np.float32], cosine: float) -> NDArray[np.float32]:
    """Make a vector that is this like another one."""
    other = door.vectors()[0]
    other -= (other @ vector) * vector
    other /= np.linalg.norm(other)
    return np.asarray(cosine * vector + np.sqrt(1 - cosine**2) * other, dtype=np.float32)[None]


def test_nobody_is_like_a_stranger_nor_like_themselves(door: Door) -> None:
    for number in range(5):
        door.enrolled(f"{number}@example.org")
    ada = door.newcomer("ada@example.org")
    assert near(door, ada) == ()
    assert door.click(ada) is None
    assert door.work() == 1
    assert near(door, ada) == ()


@pytest.mark.parametrize("modality", list(Modality))
def test_a_face_or_a_voice_alone_is_enough(door: Door, modality: Modality) -> None:
    taken = door.vectors(modality, 2)
    own = {Modality.FACE: "face", Modality.VOICE: "voice"}[modality]
    owner = door.enrolled("owner@example.org", **{own: taken})
    eve = door.newcomer("eve@example.org", **{own: door.again(taken)})
    [found] = near(door, eve)
    assert (found.subject_id, found.modality, found.enrolled) == (owner, modality, True)
    assert found.score > 0.8


def test_one_sample_among_others_is_found(door: Door) -> None:
    face = door.vectors()
    owner = door.enrolled("owner@example.org", face)
    mixed = np.concatenate([door.vectors(), door.again(face), door.vectors()])
    assert [one.subject_id for one in near(door, door.newcomer("eve@example.org", mixed))] == [owner]


def test_two_newcomers_of_one_day_with_one_face_are_held_both(door: Door) -> None:
    face = door.vectors()
    ada = door.newcomer("ada@example.org", face)
    eve = door.newcomer("eve@example.org", door.again(face))
    for who in (ada, eve):
        assert door.click(who) is None
    assert door.work() == 2
    for who, other in ((ada, eve), (eve, ada)):
        assert door.standing(who) is Standing.HELD
        assert door.hold(who).reasons == Reason.FACE_NEAR
        assert [(one.subject_id, one.enrolled) for one in near(door, who)] == [(other, False)]
    assert door.delivered() == []


def test_whoever_gave_samples_today_and_did_not_start_counts_too(door: Door) -> None:
    face = door.vectors()
    ada = door.newcomer("ada@example.org", face)
    eve = door.newcomer("eve@example.org", door.again(face))
    assert [one.subject_id for one in near(door, eve)] == [ada]


def test_after_a_day_an_enrolment_that_was_left_bars_nobody_s_way(door: Door) -> None:
    """Else a stalker who gives photographs and goes would keep the one whose face it is out for good."""
    face = door.vectors()
    door.newcomer("stalker@example.org", face)
    door.clock.ahead = arrivals.THE_SAME_DAY * 1.01
    ada = door.newcomer("ada@example.org", door.again(face))
    assert near(door, ada) == ()


def test_somebody_paused_is_still_somebody(door: Door) -> None:
    face = door.vectors()
    owner = door.enrolled("owner@example.org", face)
    with writing(door.engine) as session:
        pause(session, owner, utc_now())
    door.gallery.follow()
    assert door.matches(face[0]) is None
    eve = door.newcomer("eve@example.org", door.again(face))
    assert [(one.subject_id, one.enrolled) for one in near(door, eve)] == [(owner, True)]


def test_somebody_let_in_a_moment_ago_is_found_before_the_gallery_follows(door: Door) -> None:
    face = door.vectors()
    owner = door.newcomer("owner@example.org", face)
    assert door.click(owner) is None
    assert starting.start_due(door.desk) == 1
    assert door.gallery.sizes[Modality.FACE] == 0
    eve = door.newcomer("eve@example.org", door.again(face))
    assert [(one.subject_id, one.enrolled) for one in near(door, eve)] == [(owner, True)]


def test_the_erased_are_nobody(door: Door) -> None:
    face = door.vectors()
    owner = door.enrolled("owner@example.org", face)
    erasure.erase(door.engine, door.keys, door.blobs, owner, "subject")
    door.gallery.follow()
    assert near(door, door.newcomer("ada@example.org", door.again(face))) == ()


def test_the_threshold_follows_the_size_of_the_gallery(door: Door) -> None:
    """The larger the gallery the higher it is, since more strangers are compared; an alert is the ceiling."""
    calibration = door.pack.faces.calibration if door.pack.faces else None
    assert calibration is not None
    who = SubjectId("anybody")
    found = [near_from(door.desk, Modality.FACE, who, size) for size in (1, 10, 1000, 10**6, 10**9)]
    assert found == sorted(found)
    assert found[0] < found[2]
    alert = door.desk.book.of(Modality.FACE, who).alert
    assert found[-1] == alert
    assert found[1] == pytest.approx(calibration.score_at(HELD_BY_CHANCE / 10))
    voices = [near_from(door.desk, Modality.VOICE, who, size) for size in (1, 10**6)]
    assert min(voices) >= 0.5


def test_just_over_the_threshold_is_held_and_just_under_it_is_not(door: Door) -> None:
    face = door.vectors()
    owner = door.enrolled("owner@example.org", face)
    line = near_from(door.desk, Modality.FACE, owner, 3)
    for number, (step, expected) in enumerate(((0.02, [owner]), (-0.08, []))):
        like = at_cosine(door, face[0], line + step)
        eve = door.newcomer(f"{number}@example.org", like)
        assert [one.subject_id for one in near(door, eve)] == expected
        erasure.erase(door.engine, door.keys, door.blobs, eve, "subject")


def test_real_people_are_known_again_and_strangers_are_not(
    sqlite_engine: Engine, keys: KeyEncryptionKeys, blobs: BlobStore, pack: Pack, data: Path
) -> None:
    """Six people with another picture of themselves, and six strangers, through the real reader."""
    folders = sorted(one for one in (data / "faces/lfw-dev").iterdir() if len(list(one.iterdir())) > 1)[:12]
    with door_of(sqlite_engine, keys, blobs, pack) as door:

        def read(folder: Path, place: int) -> NDArray[np.float32]:
            path = sorted(folder.iterdir())[place]
            return door.desk.reader.face(path.name, path.read_bytes()).vector[None]

        owners = [door.enrolled(f"{one.name}@example.org", read(one, 0)) for one in folders[:6]]
        for owner, folder in zip(owners, folders[:6], strict=True):
            again = door.newcomer(f"again.{folder.name}@example.org", read(folder, 1))
            assert [one.subject_id for one in near(door, again)] == [owner], folder.name
            erasure.erase(door.engine, door.keys, door.blobs, again, "subject")
        strangers = [door.newcomer(f"{one.name}@example.org", read(one, 0)) for one in folders[6:]]
        assert [near(door, one) for one in strangers] == [()] * 6
