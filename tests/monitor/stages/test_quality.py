"""What a face is worth, part by part: a solid head that turns, and pictures that get dark, flat or burnt."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.stages.quality import exposure, judge, pose, quality
from monitor.values import Box, DetectedFace

HEAD = np.array(
    [[-0.5, 0, 0], [0.5, 0, 0], [0, 0.62, 0.45], [-0.4, 1.1, 0.05], [0.4, 1.1, 0.05]], dtype=np.float64
)
"""Eyes, nose and corners of the mouth of a head, in distances between its eyes; y down, z to the viewer."""


def seen(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """Show the head turned by so many degrees, 60 pixels between its eyes."""
    a, b, c = np.radians([yaw, pitch, roll])
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    nod = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    lean = np.array([[np.cos(c), -np.sin(c)], [np.sin(c), np.cos(c)]])
    return ((HEAD @ turn.T @ nod.T)[:, :2] @ lean.T * 60 + 100).astype(np.float32)


def grain(level: float, spread: float) -> np.ndarray:
    """Make an aligned picture of grey grain."""
    grey = np.random.default_rng(0).normal(level, spread, (112, 112, 1)).clip(0, 255)
    return np.repeat(grey, 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize("degrees", [-40, -20, 0, 20, 40])
def test_a_turned_head_is_measured_to_some_fifteen_degrees(degrees: float) -> None:
    assert pose(seen(yaw=degrees))[0] == pytest.approx(degrees, abs=8)
    assert pose(seen(pitch=degrees / 2))[1] == pytest.approx(degrees / 2, abs=15)
    assert pose(seen(roll=degrees))[2] == pytest.approx(degrees, abs=1)


def test_looking_up_and_looking_down_differ() -> None:
    up, level, down = (pose(seen(pitch=p))[1] for p in (30, 0, -30))
    assert up > level + 15
    assert down < level - 15


def test_a_mirrored_face_looks_the_other_way() -> None:
    points = seen(yaw=25)
    mirrored = points[[1, 0, 2, 4, 3]] * np.array([-1, 1], np.float32)
    assert pose(mirrored)[0] == pytest.approx(-pose(points)[0], abs=0.1)


def test_points_on_one_spot_are_no_frontal_face() -> None:
    yaw, _, _ = pose(np.zeros((5, 2), np.float32))
    assert abs(yaw) > 60


def test_light_is_measured_on_the_face_alone() -> None:
    dark, bright, flat = (exposure(grain(*one)) for one in ((8, 3), (254, 20), (110, 2)))
    assert dark.level < 12
    assert bright.burnt > 0.4
    assert flat.contrast < 3
    framed = grain(8, 3)
    framed[:25] = 255
    assert exposure(framed) == exposure(grain(8, 3))


def test_the_one_number_is_the_one_that_tracking_uses() -> None:
    face = DetectedFace(Box(0, 0, 90, 110), seen(yaw=10), 0.9)
    judged = judge(face, grain(120, 30))
    assert judged.overall == quality(face, grain(120, 30))
    assert judged.size_px == pytest.approx(99.5, abs=0.1)
    assert judged.score == 0.9
    assert judge(DetectedFace(face.box, seen(yaw=45), 0.9), grain(120, 30)).overall < judged.overall
