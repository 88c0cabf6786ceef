"""How much one picture of a face is worth to a recogniser: named parts, one number in [0, 1], its floor.

The number is the geometric mean of four parts, each in [0, 1], so that one hopeless part cannot be made
good by the rest. Exposure stands apart from it: as a probe a dark face does no harm, as a template it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, degrees, hypot, log, sqrt
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.values import DetectedFace

FLOOR = 0.2
"""Below this nothing is compared: a face of some 24 px, turned in profile, or blurred beyond recognition."""

WEAK = 0.35
"""Below this a match goes to a human first, however high it scores: about 32 px, or turned by 60 degrees."""

SMALLEST_PX = 16.0
"""Side of a face at which size counts as 0: at 16 px fr_feature recognises 3 % (LFW, 2026)."""

LARGE_PX = 112.0
"""Side of a face from which more pixels add nothing: the recognisers take 112 px."""

BLURRED, SHARP = 2.0, 60.0
"""Detail of an aligned face (see `detail`) that counts as none, and as sharp."""

LEVEL_NOSE = 0.56
"""Where the nose of a level face lies between the line of the eyes (0) and that of the mouth (1): the median
of 5,523 faces of LFW, by CenterFace and by YuNet."""

NOSE = 0.45
"""How far the nose stands out, in distances between the eyes, and as much from eyes to mouth: roughly."""

BURNT = 250
"""Grey level from which a pixel holds no detail any more."""

_SKIN = np.s_[30:100, 20:92]
"""Rows and columns of an aligned face that hold the face itself, whatever is behind it."""

_WEIGHTS = np.array([0.4, 0.15, 0.35, 0.1])
"""Size, sharpness, pose, detector's score: size and pose decide recognition most."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """How the light falls on an aligned face.

    `level` and `contrast` are mean and standard deviation of its grey levels, 0..255; `burnt` is the share of
    its pixels that are plain white.
    """

    level: float
    contrast: float
    burnt: float


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """What one picture of a face is worth, part by part.

    `size_px` is the side of the face; `detail` see there; `yaw`, `pitch` and `roll` are degrees, rough to
    some 15: positive where the face looks to the viewer's right, looks up, leans clockwise; `score` is the
    detector's own. `overall` is in [0, 1], higher is better.
    """

    size_px: float
    detail: float
    yaw: float
    pitch: float
    roll: float
    score: float
    exposure: Exposure
    overall: float


def judge(face: DetectedFace, aligned: NDArray[np.uint8]) -> FaceQuality:
    """Say what one detected face and its (112, 112, 3) uint8 RGB cut are worth, part by part."""
    yaw, pitch, roll = pose(face.landmarks)
    return FaceQuality(
        size_px=_side(face),
        detail=detail(aligned),
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        score=_unit(face.score),
        exposure=exposure(aligned),
        overall=quality(face, aligned),
    )


def quality(face: DetectedFace, aligned: NDArray[np.uint8]) -> float:
    """Rate one detected face and its (112, 112, 3) uint8 RGB cut: in [0, 1], higher is better."""
    parts = np.array([_size(face), _sharpness(aligned), _frontal(face.landmarks), _unit(face.score)])
    return float(np.exp(np.sum(_WEIGHTS * np.log(np.maximum(parts, 1e-3)))))


def pose(landmarks: NDArray[np.float32]) -> tuple[float, float, float]:
    """Estimate yaw, pitch and roll in degrees from five points (5, 2), by simple geometry.

    Yaw by where the nose lies on the line through the eyes, pitch by where it lies between eyes and mouth,
    roll by how the eyes lie.
    """
    across, eyes = landmarks[1] - landmarks[0], (landmarks[0] + landmarks[1]) / 2
    down = (landmarks[3] + landmarks[4]) / 2 - eyes
    tall = float(np.dot(down, down))
    rise = float(np.dot(landmarks[2] - eyes, down)) / tall if tall > 1.0 else LEVEL_NOSE
    yaw, pitch = atan2(_off_middle(landmarks), NOSE), atan2(LEVEL_NOSE - rise, NOSE)
    return degrees(yaw), degrees(pitch), degrees(atan2(across[1], across[0]))


def exposure(aligned: NDArray[np.uint8]) -> Exposure:
    """Measure the light on an aligned (112, 112, 3) uint8 RGB face."""
    grey = cv2.cvtColor(aligned, cv2.COLOR_RGB2GRAY)[_SKIN]
    return Exposure(float(grey.mean()), float(grey.std()), float(np.mean(grey >= BURNT)))


def detail(aligned: NDArray[np.uint8]) -> float:
    """Measure the fine detail of an aligned (112, 112, 3) uint8 RGB face: blur takes it away first.

    Gives the variance of the Laplacian, in grey levels squared.
    """
    return float(cv2.Laplacian(cv2.cvtColor(aligned, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var())


def _side(face: DetectedFace) -> float:
    return sqrt(max(face.box.width, 1.0) * max(face.box.height, 1.0))


def _size(face: DetectedFace) -> float:
    return _unit((_side(face) - SMALLEST_PX) / (LARGE_PX - SMALLEST_PX))


def _sharpness(aligned: NDArray[np.uint8]) -> float:
    return _unit(log(max(detail(aligned), 1e-6) / BLURRED) / log(SHARP / BLURRED))


def _frontal(landmarks: NDArray[np.float32]) -> float:
    """Say 1 for a frontal face, 0 for a profile."""
    return _unit(1.0 - 1.6 * abs(_off_middle(landmarks)))


def _off_middle(landmarks: NDArray[np.float32]) -> float:
    """Where the nose lies on the line through the eyes: 0 in the middle, -0.5 and 0.5 below an eye."""
    left, right, nose = landmarks[0], landmarks[1], landmarks[2]
    across = right - left
    width = hypot(across[0], across[1])
    if width < 1.0:
        return 1.0
    return float(np.dot(nose - left, across)) / width**2 - 0.5


def _unit(value: float) -> float:
    """Cut a number off at 0 and 1."""
    return min(1.0, max(0.0, float(value)))
