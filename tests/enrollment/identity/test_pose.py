"""How a head is held is read off five points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from enrollment.identity.pose import pose_of
from monitor.bench.challenge_heads import Head, Moment
from tests.assets.persons import person, points

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.ml.interfaces import Pack


@pytest.mark.parametrize("yaw", [-30, -15, 0, 15, 30])
@pytest.mark.parametrize("pitch", [-20, 0, 20])
def test_a_turned_model_is_read_within_three_degrees(yaw: float, pitch: float) -> None:
    pose = pose_of(points(yaw, pitch))
    assert pose.yaw_deg == pytest.approx(yaw, abs=3)
    assert pose.pitch_deg == pytest.approx(pitch, abs=3)


def test_a_mirrored_face_looks_the_other_way() -> None:
    marks = points(20, 5)
    mirrored = (marks * (-1, 1) + (320, 0))[[1, 0, 2, 4, 3]].astype(np.float32)
    assert pose_of(mirrored).yaw_deg == pytest.approx(-pose_of(marks).yaw_deg, abs=0.5)
    assert pose_of(mirrored).pitch_deg == pytest.approx(pose_of(marks).pitch_deg, abs=0.5)


def test_size_and_place_do_not_matter() -> None:
    marks = points(20, 5)
    assert pose_of(marks * 3 + 100).yaw_deg == pytest.approx(pose_of(marks).yaw_deg, abs=0.01)


def test_a_face_that_leans_is_read_as_leaning() -> None:
    lean = np.radians(20)
    turn = np.array([[np.cos(lean), -np.sin(lean)], [np.sin(lean), np.cos(lean)]], np.float32)
    pose = pose_of(points(15) @ turn.T)
    assert pose.roll_deg == pytest.approx(20, abs=3)
    assert pose.yaw_deg == pytest.approx(15, abs=3)


@pytest.mark.parametrize("marks", [np.zeros((5, 2)), np.full((5, 2), np.nan)])
def test_points_that_are_no_face_are_refused(marks: np.ndarray) -> None:
    with pytest.raises(ValueError, match="no face"):
        pose_of(marks.astype(np.float32))


def test_a_photographed_head_that_turns_is_seen_to_turn(data: Path, pack: Pack) -> None:
    """Of faces out of LFW, turned in depth by the bench's generator and found again by the detector."""
    assert pack.faces is not None
    who = person(data, "Andre_Agassi", pack.faces)
    head = Head(who.portraits, size=(480, 640), unit=78.0, centre=(320.0, 230.0))
    yaws = []
    for yaw in (-24.0, -12.0, 0.0, 12.0, 24.0):
        face = pack.faces.detector.detect(head.render(Moment(yaw))[0])[0]
        yaws.append(pose_of(face.landmarks).yaw_deg)
    steps = np.diff(yaws)
    assert (steps > 5).all()
    assert yaws[-1] - yaws[0] == pytest.approx(48, abs=12)
