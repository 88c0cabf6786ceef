"""How much one picture of a face is worth to a recogniser: one number in [0, 1] and the floor below it.

It is the geometric mean of four parts, each in [0, 1], so that one hopeless part cannot be made good by
the rest.
"""

from __future__ import annotations

from math import hypot, log, sqrt
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

_WEIGHTS = np.array([0.4, 0.15, 0.35, 0.1])
"""Size, sharpness, pose, detector's score: size and pose decide recognition most."""


def quality(face: DetectedFace, aligned: NDArray[np.uint8]) -> float:
    """Rate one detected face and its (112, 112, 3) uint8 RGB cut: in [0, 1], higher is better."""
    parts = np.array([_size(face), _sharpness(aligned), _pose(face.landmarks), _unit(face.score)])
    return float(np.exp(np.sum(_WEIGHTS * np.log(np.maximum(parts, 1e-3)))))


def _size(face: DetectedFace) -> float:
    side = sqrt(max(face.box.width, 1.0) * max(face.box.height, 1.0))
    return _unit((side - SMALLEST_PX) / (LARGE_PX - SMALLEST_PX))


def detail(aligned: NDArray[np.uint8]) -> float:
    """Measure the fine detail of an aligned (112, 112, 3) uint8 RGB face: blur takes it away first.

    Gives the variance of the Laplacian, in grey levels squared.
    """
    return float(cv2.Laplacian(cv2.cvtColor(aligned, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var())


def _sharpness(aligned: NDArray[np.uint8]) -> float:
    return _unit(log(max(detail(aligned), 1e-6) / BLURRED) / log(SHARP / BLURRED))


def _pose(landmarks: NDArray[np.float32]) -> float:
    """Say 1 for a frontal face, 0 for a profile: where the nose lies on the line through the eyes."""
    left, right, nose = landmarks[0], landmarks[1], landmarks[2]
    across = right - left
    width = hypot(across[0], across[1])
    if width < 1.0:
        return 0.0
    along = float(np.dot(nose - left, across)) / width**2
    return _unit(1.0 - 1.6 * abs(along - 0.5))


def _unit(value: float) -> float:
    """Cut a number off at 0 and 1."""
    return min(1.0, max(0.0, float(value)))
