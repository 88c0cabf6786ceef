"""Faces that lie: turned by quarters until the detector is surest, and left alone where they stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.ml.align import TEMPLATE
from monitor.stages.straighten import SIDE, straighten
from monitor.values import Box, DetectedFace

if TYPE_CHECKING:
    from numpy.typing import NDArray

PICTURE = np.zeros((400, 400, 3), np.uint8)
PICTURE[100:150, 100:300] = 255  # a bright forehead: what a way up is known by here


@dataclass
class Foreheads:
    """A detector with its face in the middle, surest of it where the bright part is above."""

    upright: float = 0.95
    awry: float = 0.0
    shown: list[float] = field(default_factory=list)

    def detect(self, image: NDArray[np.uint8]) -> tuple[DetectedFace, ...]:
        """See FaceDetector.detect."""
        above = float(image[: SIDE // 2].mean()) > 1.5 * float(image[SIDE // 2 :].mean())
        score = self.upright if above else 0.6
        self.shown.append(score)
        points = (TEMPLATE - TEMPLATE.mean(axis=0)) * 0.6 + SIDE / 2
        points[2, 0] += self.awry
        middle = Box(SIDE / 2 - 40, SIDE / 2 - 40, SIDE / 2 + 40, SIDE / 2 + 40)
        return (DetectedFace(middle, points.astype(np.float32), score),)


def lying(score: float = 0.6, side: float = 200.0) -> DetectedFace:
    points = np.asarray((TEMPLATE - 56) + 200, np.float32)
    return DetectedFace(Box(200 - side / 2, 200 - side / 2, 200 + side / 2, 200 + side / 2), points, score)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_face_that_lies_is_found_the_way_it_lies(quarters: int) -> None:
    turned = np.ascontiguousarray(np.rot90(PICTURE, quarters))
    straight = straighten(turned, lying(), Foreheads())
    eyes, mouth = straight.landmarks[:2].mean(axis=0), straight.landmarks[3:].mean(axis=0)
    down = {1: (1, 0), 2: (0, -1), 3: (-1, 0)}[
        quarters
    ]  # where the chin lies after quarters against the clock
    along = (mouth - eyes) / np.linalg.norm(mouth - eyes)
    assert np.allclose(along, down, atol=0.15)
    assert straight.box == lying().box
    assert straight.score == pytest.approx(0.95)


def test_a_face_that_stands_upright_stays_as_it_is() -> None:
    face = lying()
    assert straighten(PICTURE, face, Foreheads()) is face


def test_a_sure_face_costs_no_look() -> None:
    detector, face = Foreheads(), lying(score=0.95)
    assert straighten(PICTURE, face, detector) is face
    assert not detector.shown


def test_a_sure_face_whose_points_do_not_fit_is_looked_at_again() -> None:
    face = lying(score=0.95)
    face.landmarks[2] += 40
    detector = Foreheads()
    assert straighten(PICTURE, face, detector) is face
    assert len(detector.shown) == 1, "seen closer it stands upright, and no other way is tried"


def test_no_way_is_taken_whose_points_do_not_fit() -> None:
    face = lying()
    assert straighten(np.ascontiguousarray(PICTURE[::-1]), face, Foreheads(awry=40.0)) is face


def test_a_face_too_small_to_be_recognised_is_not_turned() -> None:
    detector = Foreheads()
    straighten(PICTURE, lying(side=20.0), detector)
    assert not detector.shown
