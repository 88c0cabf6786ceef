"""How a head is held, from five points.

A rigid face of five points is turned until it looks like the five that were found: perspective pose by
least squares (`cv2.solvePnP`, iterative), starting from a face that looks ahead. The face's proportions are
our own rough ones (FACE), so an angle is good for comparing a person with themselves, not two people: who
looks ahead may read as 10 degrees off, most of all in pitch. Faces of LFW that the bench turned by 27 degrees
were read as 20 to 33 off their own neutral, those that it nodded down by 24 as 10 to 20, and up as 7 to 12:
the detectors' points follow a nod half-heartedly. Whoever asks for a turn measures from the person's own
neutral pose.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, degrees, hypot
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FACE: Final = np.array(
    [[-0.5, -0.56, 0.0], [0.5, -0.56, 0.0], [0.0, 0.06, -0.45], [-0.4, 0.56, -0.05], [0.4, 0.56, -0.05]],
    dtype=np.float64,
)
"""Eyes, nose and corners of the mouth of a middling face, in distances between the eyes: x to the viewer's
right, y down, z away from the viewer. The nose stands out as in stages/quality.py and lies where its
LEVEL_NOSE has it; rough, measured on nobody in particular."""

AWAY: Final = 8.0
"""How far the camera is, in distances between the eyes: half a metre, a phone in the hand."""


@dataclass(frozen=True, slots=True)
class Pose:
    """How a head is held, in degrees, with the signs of stages/quality.py.

    `yaw` is positive where the face looks to the viewer's right, `pitch` where it looks up, `roll` where it
    leans clockwise.
    """

    yaw_deg: float
    pitch_deg: float
    roll_deg: float


def pose_of(landmarks: NDArray[np.float32]) -> Pose:
    """Say how a face with these (5, 2) points is held; they are in pixels, in values.DetectedFace's order.

    Raises ValueError where the points are no face: all in one place, or not finite.
    """
    points = landmarks.astype(np.float64)
    across = points[1] - points[0]
    size = float(np.sqrt(np.mean(np.sum((points - points.mean(axis=0)) ** 2, axis=1))))
    if not np.isfinite(points).all() or size < 1e-3:
        msg = "these five points are no face"
        raise ValueError(msg)
    roll = atan2(across[1], across[0]) if hypot(*across) > 1e-6 else 0.0
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    level = (points - points.mean(axis=0)) @ turn.T / size * _SPREAD
    _, vector, _ = cv2.solvePnP(
        FACE,
        level.reshape(-1, 1, 2),
        _CAMERA,
        None,
        np.zeros((3, 1)),
        np.array([[0.0], [0.0], [AWAY]]),
        useExtrinsicGuess=True,
        flags=cv2.SOLVEPNP_ITERATIVE,
    )
    matrix, _ = cv2.Rodrigues(vector)
    ahead = matrix @ np.array([0.0, 0.0, -1.0])
    yaw = atan2(ahead[0], -ahead[2])
    pitch = atan2(-ahead[1], hypot(ahead[0], ahead[2]))
    return Pose(degrees(yaw), degrees(pitch), degrees(roll))


_SPREAD: Final = float(np.sqrt(np.mean(np.sum((FACE[:, :2] - FACE[:, :2].mean(axis=0)) ** 2, axis=1))))
_CAMERA: Final = np.array([[AWAY, 0, 0], [0, AWAY, 0], [0, 0, 1]], np.float64)
