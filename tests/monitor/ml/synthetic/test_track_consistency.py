"""A face that stays, one that becomes another's and back, and why nothing is said."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle, islice
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from monitor.bench.challenge_film import Film
from monitor.bench.challenge_scenes import Variation, camera
from monitor.bench.flickering import LOOKS, RATE, swap
from monitor.bench.talking import photographs
from monitor.ml.packs import load_faces
from monitor.ml.synthetic.track_consistency import LEAST_LOOKS, MOST_LLR, TrackConsistency, steadiness
from monitor.settings import Settings
from monitor.values import Abstention, MediaKind
from tests.assets.sightings import looks_of, sighting

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.bench.challenge_heads import Portrait
    from monitor.ml.interfaces import FaceModels
    from monitor.ml.synthetic.interfaces import Look


@pytest.fixture(scope="module")
def models() -> FaceModels:
    """Give the fast pack's faces."""
    return load_faces(Settings(pack="edgeface"))


@pytest.fixture(scope="module")
def portraits(data: Path, models: FaceModels) -> tuple[Portrait, ...]:
    """Give photographs of two people."""
    return tuple(photographs(data, models, 2))


@pytest.fixture(scope="module")
def steady(portraits: tuple[Portrait, ...], models: FaceModels) -> tuple[Look, ...]:
    """Give looks at a face that is filmed by a hand that shakes a little."""
    return looks_of(filmed(portraits[0]), models.detector, RATE)


def filmed(portrait: Portrait) -> Film:
    """Film a photograph by a hand that shakes a little."""
    frame = np.asarray(cv2.resize(portrait.rgb, (360, 360)), np.uint8)
    return Film(camera([frame] * LOOKS, Variation(), 1), np.zeros(1, np.float32), RATE)


def swapped(
    looks: tuple[Look, ...], other: Portrait, models: FaceModels, pattern: tuple[bool, ...]
) -> tuple[Look, ...]:
    """Lay another face on some looks."""
    made = []
    for look, wanted in zip(looks, islice(cycle(pattern), len(looks)), strict=True):
        rgb = swap(look.rgb, look.face.landmarks, other, np.zeros((5, 2))) if wanted else look.rgb
        [seen] = looks_of(Film(rgb[None], np.zeros(1, np.float32), RATE), models.detector, RATE)
        made.append(replace(seen, at_s=look.at_s))
    return tuple(made)


def test_a_face_that_stays_says_little(steady: tuple[Look, ...], models: FaceModels) -> None:
    assert len(steady) == LOOKS
    signal = TrackConsistency(models).assess(sighting(looks=steady))
    assert (signal.llr, signal.moments) == (0.0, ())
    assert "says little" in signal.reasons[0]
    assert signal.shown_only


def test_a_face_that_becomes_anothers_and_back_in_a_scene_that_stays_is_said_to_flicker(
    steady: tuple[Look, ...], portraits: tuple[Portrait, ...], models: FaceModels
) -> None:
    looks = swapped(steady, portraits[1], models, (True, True, False))
    signal = TrackConsistency(models).assess(sighting(looks=looks))
    assert signal.llr == MOST_LLR
    assert "becomes another person's and back" in signal.reasons[0]
    assert len(signal.moments) >= 2
    assert all(moment.span.end_s - moment.span.start_s == 1 / RATE for moment in signal.moments)
    assert signal.shown_only
    assert "never on real swapped ones" in signal.limits


def test_a_swap_that_holds_is_as_steady_as_a_real_face(
    steady: tuple[Look, ...], portraits: tuple[Portrait, ...], models: FaceModels
) -> None:
    looks = swapped(steady, portraits[1], models, (True,))
    assert TrackConsistency(models).assess(sighting(looks=looks)).llr == 0.0


def test_two_people_in_two_scenes_do_not_flicker(
    portraits: tuple[Portrait, ...], steady: tuple[Look, ...], models: FaceModels
) -> None:
    # Given a talk that is cut from one person to the other, each in a place of their own
    other = looks_of(filmed(portraits[1]), models.detector, RATE)
    dark = [replace(look, rgb=look.rgb // 3) for look in other]
    mixed = [a if number % 2 else b for number, (a, b) in enumerate(zip(steady, dark, strict=True))]
    found = steadiness(mixed, models)
    assert found.unlike.min() > 0.7, "they are two people"
    assert TrackConsistency(models).assess(sighting(looks=mixed)).llr == 0.0


def test_one_look_that_is_another_face_at_the_end_is_not_enough(
    steady: tuple[Look, ...], portraits: tuple[Portrait, ...], models: FaceModels
) -> None:
    looks = swapped(steady, portraits[1], models, (False,) * (LOOKS - 1) + (True,))
    assert TrackConsistency(models).assess(sighting(looks=looks)).llr == 0.0


def test_what_cannot_be_told_is_said(steady: tuple[Look, ...], models: FaceModels) -> None:
    signal = TrackConsistency(models)
    assert signal.assess(sighting()).abstains is Abstention.NO_FACE
    assert TrackConsistency(None).assess(sighting(looks=steady)).abstains is Abstention.NO_FACE
    few = sighting(looks=steady[: LEAST_LOOKS - 1])
    assert signal.assess(few).abstains is Abstention.ONE_FRAME
    picture = sighting(kind=MediaKind.IMAGE, looks=steady[:1])
    assert signal.assess(picture).abstains is Abstention.NOT_MOVING
    blurred = [replace(look, face=replace(look.face, quality=0.2)) for look in steady]
    assert signal.assess(sighting(looks=blurred)).abstains is Abstention.FACE_BLURRED
    half = replace(steady[0].face.box, x1=steady[0].face.box.x0 + 30)
    small = [replace(look, face=replace(look.face, box=half)) for look in steady]
    assert signal.assess(sighting(looks=small)).abstains is Abstention.FACE_SMALL


def test_measures_are_of_neighbours_alone(steady: tuple[Look, ...], models: FaceModels) -> None:
    found = steadiness(steady, models)
    assert found.unlike.shape == found.jitter.shape == found.scene.shape == (LOOKS - 1,)
    assert found.summary.shape == (4,)
    assert found.unlike.max() < 0.3
    assert found.jitter.max() < 0.05
