"""What is done to pictures, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.bench.faces_conditions import (
    BAR,
    CONDITIONS,
    COVER,
    TRACK_SIDE,
    frame_of_track,
    side_of,
)
from monitor.ml.align import TEMPLATE
from monitor.values import Box, DetectedFace

FACE = DetectedFace(Box(40, 20, 120, 120), TEMPLATE + np.float32([24, 12]), 0.9)
"""A face that lies as in the upright crop, moved by 24 and 12 pixels."""

CENTRE = np.array([80.0, 70.0])


def picture() -> np.ndarray:
    rgb = np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)
    rgb[68:73, 78:83] = (255, 0, 0)  # a red spot in the middle of the face
    return rgb


def redness(rgb: np.ndarray, at: np.ndarray) -> float:
    x, y = np.round(at).astype(int)
    r, g, b = rgb[y, x].astype(int)
    return float(r - (g + b) / 2)


def test_no_condition_touches_the_picture_that_it_is_given() -> None:
    rgb = picture()
    before = rgb.copy()
    for disturb in CONDITIONS.values():
        disturb(rgb, FACE)
    np.testing.assert_array_equal(rgb, before)


@pytest.mark.parametrize(
    "name", [n for n in CONDITIONS if n.startswith(("mirrored", "rotated", "undisturbed", "jpeg_q70", "64"))]
)
def test_a_condition_says_where_the_face_went(name: str) -> None:
    disturbed = CONDITIONS[name](picture(), FACE)
    assert redness(disturbed.rgb, disturbed.place(*CENTRE)) > 90


@pytest.mark.parametrize("side", [16, 24, 32, 48, 64])
def test_the_whole_picture_shrinks_until_the_face_has_its_size(side: int) -> None:
    disturbed = CONDITIONS[f"{side}px"](picture(), FACE)
    scale = disturbed.rgb.shape[1] / 200
    assert side_of(FACE) * scale == pytest.approx(side, rel=0.03)
    assert disturbed.rgb.shape[0] / 150 == pytest.approx(scale, rel=0.05)


def test_a_face_that_is_small_already_stays() -> None:
    small = DetectedFace(Box(0, 0, 10, 10), FACE.landmarks, 0.9)
    np.testing.assert_array_equal(CONDITIONS["16px"](picture(), small).rgb, picture())


def test_a_right_angle_moves_every_pixel_and_loses_none() -> None:
    turned = CONDITIONS["rotated_90"](picture(), FACE).rgb
    assert turned.shape == (200, 150, 3)
    np.testing.assert_allclose(turned, np.rot90(picture()), atol=1)
    np.testing.assert_allclose(CONDITIONS["rotated_180"](picture(), FACE).rgb, picture()[::-1, ::-1], atol=1)


def test_a_covered_face_keeps_its_eyes_and_loses_its_mouth() -> None:
    rgb, covered = picture(), CONDITIONS["lower_face_covered"](picture(), FACE).rgb
    for x, y in FACE.landmarks[3:].round().astype(int):
        assert tuple(covered[y, x]) == COVER
    for x, y in FACE.landmarks[:2].round().astype(int):
        np.testing.assert_array_equal(covered[y, x], rgb[y, x])


def test_barred_eyes_are_black_and_the_mouth_stays() -> None:
    rgb, barred = picture(), CONDITIONS["eyes_barred"](picture(), FACE).rgb
    for x, y in FACE.landmarks[:2].round().astype(int):
        assert tuple(barred[y, x]) == BAR
    for x, y in FACE.landmarks[3:].round().astype(int):
        np.testing.assert_array_equal(barred[y, x], rgb[y, x])


def test_a_cover_turns_with_the_face() -> None:
    turned = np.float32([[0, -1], [1, 0]])  # a quarter turn clockwise on the screen
    landmarks = (FACE.landmarks - CENTRE.astype(np.float32)) @ turned.T + CENTRE.astype(np.float32)
    lying = DetectedFace(FACE.box, landmarks, 0.9)
    covered = CONDITIONS["lower_face_covered"](picture(), lying).rgb
    for x, y in landmarks[3:].round().astype(int):
        assert tuple(covered[y, x]) == COVER


def test_lower_quality_and_more_blur_take_more_away() -> None:
    rgb = picture()

    def lost(name: str) -> float:
        return float(np.abs(CONDITIONS[name](rgb, FACE).rgb.astype(int) - rgb).mean())

    assert lost("jpeg_q10") > lost("jpeg_q30") > lost("jpeg_q70") > 0
    assert lost("blur_4pct") > lost("blur_2pct") > 0


def test_frames_of_a_track_differ_and_the_same_seed_gives_the_same() -> None:
    def frames(seed: int) -> list[np.ndarray]:
        rng = np.random.default_rng(seed)
        return [frame_of_track(picture(), FACE, rng).rgb for _ in range(3)]

    first, again = frames(1), frames(1)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first[0], first[1])
    assert first[0].shape[1] == round(200 * TRACK_SIDE / side_of(FACE))
