"""The face of the clip is held against the samples, all the way through."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from enrollment.identity.binding import bound
from enrollment.identity.signs import Outcome, Sign
from enrollment.identity.watched import Watched
from monitor.ml.interfaces import Thresholds
from monitor.values import ModelId
from tests.assets.persons import drawn, path

BOUNDS = Thresholds(0.5, 0.4, ModelId("m"), "test")


def like(base: np.ndarray, cosine: float, seed: int) -> np.ndarray:
    """A vector of length 1 with this cosine to `base`."""
    other = np.random.default_rng(seed).normal(0, 1, base.shape)
    other -= (other @ base) * base
    other /= np.linalg.norm(other)
    return (cosine * base + np.sqrt(1 - cosine**2) * other).astype(np.float32)


def of_length_one(seed: int) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(0, 1, 64)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


OWN = of_length_one(1)
STRANGER = like(OWN, 0.0, 2)


def signs(watched: Watched) -> dict[str, Sign]:
    return {sign.check: sign for sign in bound(watched, OWN[None], BOUNDS)}


def clip(cosines: list[float], base: np.ndarray = OWN) -> Watched:
    return drawn(path((0, 0, len(cosines) / 12)), vectors=[like(base, c, 7) for c in cosines])


def test_the_person_passes() -> None:
    assert {sign.outcome for sign in signs(clip([0.7] * 36)).values()} == {Outcome.PASS}


@pytest.mark.parametrize(("cosine", "outcome"), [(0.35, Outcome.DOUBT), (0.1, Outcome.FAIL)])
def test_a_face_that_is_less_alike(cosine: float, outcome: Outcome) -> None:
    assert signs(clip([cosine] * 36))["face"].outcome is outcome


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("count", "code"), [(4, "face_other_for_a_second"), (8, "face_other"), (12, "face_other")]
)
def test_somebody_else_for_a_part_of_the_clip_is_refused(first: bool, count: int, code: str) -> None:  # noqa: FBT001 - a parameter of a test
    mine, theirs = [like(OWN, 0.7, 3)] * 24, [like(STRANGER, 0.9, 4)] * count
    vectors = theirs + mine if first else mine + theirs
    found = signs(drawn(path((0, 0, len(vectors) / 12)), vectors=vectors))
    assert found["face"].code == code
    assert found["same_face"].code == "two_people"


def test_one_poor_second_among_good_ones_is_still_the_person() -> None:
    found = signs(clip([0.7] * 12 + [0.3] * 4 + [0.7] * 12))
    assert found["face"].code == "face_same"
    assert found["face"].score > BOUNDS.review


def test_a_second_that_is_like_nobody_is_for_a_person() -> None:
    assert signs(clip([0.7] * 12 + [0.1] * 4 + [0.7] * 12))["face"].code == "face_other_for_a_second"


def test_turned_faces_do_not_count() -> None:
    poses = path((0, 0, 2), (30, 0, 1), (0, 0, 2))
    vectors = [like(OWN, 0.7 if abs(yaw) < 13 else 0.0, 3) for yaw, _ in poses]
    assert signs(drawn(poses, vectors=vectors))["face"].outcome is Outcome.PASS


def test_a_face_that_never_looks_ahead_long_enough_is_for_a_person() -> None:
    assert signs(clip([0.7] * 4))["face"].code == "face_seldom_ahead"


def test_no_face_fails() -> None:
    found = signs(drawn([]))
    assert (found["in_sight"].outcome, found["face"].outcome) == (Outcome.FAIL, Outcome.FAIL)


@pytest.mark.parametrize(
    ("gap_s", "outcome"), [(0.5, Outcome.PASS), (2.0, Outcome.DOUBT), (5.0, Outcome.FAIL)]
)
def test_a_face_that_is_gone_for_a_while(gap_s: float, outcome: Outcome) -> None:
    watched = clip([0.7] * 120)
    gone = range(30, 30 + round(gap_s * 12))
    kept = tuple(one for one in watched.seen if one.frame not in gone)
    assert signs(replace(watched, seen=kept))["in_sight"].outcome is outcome


@pytest.mark.parametrize(
    ("part", "outcome"), [(0.05, Outcome.PASS), (0.3, Outcome.DOUBT), (0.9, Outcome.FAIL)]
)
def test_a_second_face(part: float, outcome: Outcome) -> None:
    watched = clip([0.7] * 60)
    busy = round(part * 60)
    sights = tuple(replace(s, faces=2 if i < busy else 1) for i, s in enumerate(watched.sights))
    assert signs(replace(watched, sights=sights))["alone"].outcome is outcome


def test_without_samples_nothing_is_compared() -> None:
    with pytest.raises(ValueError, match="no face to compare"):
        bound(clip([0.7] * 36), np.zeros((0, 64), np.float32), BOUNDS)
