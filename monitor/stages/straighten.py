"""Faces that lie on their side or head: found, but with their points in the wrong places.

The detectors are trained on upright faces. In one that lies they still see a face, less surely, and put its
eyes where its mouth is: aligned by that it is recognised as nobody, which would read as "looked, and found
nothing". So a face that is much less sure, or whose points fit badly onto a face, is looked at again turned
by quarters, and the way in which the detector is surest is taken. On 60 people of LFW turned by 90 and 180
degrees the surest way was the right one in 98 % (CenterFace) and 100 % (YuNet) of the faces found, and no
upright face was turned by it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from monitor.ml.align import awry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.ml.interfaces import FaceDetector
    from monitor.values import Box, DetectedFace

SURE: Final = 0.8
"""Detector's score from which a face whose points fit is taken for upright: 99 % of upright faces of LFW are
surer (0.91 YuNet, 0.84 CenterFace). A higher bar would turn more of YuNet's lying faces, and cost a third of
the worker's speed on bystanders. CenterFace's lying faces are known by points that do not fit."""

CLEARLY: Final = 0.85
"""Score in the square from which a face whose points fit stands upright there."""

AWRY: Final = 5.0
"""Pixels, on a face of 112, by which points miss and still fit: those of 97 % of upright faces (LFW)."""

HOPELESS: Final = 7.0
"""Pixels from which points fit so badly that no way is taken for the right one."""

SURER: Final = 0.05
"""How much surer the detector must be of another way than of the one in which the face came."""

LEAST_PX: Final = 32.0
"""Side of a face below which it is not turned: few are recognised that small, and most are bystanders."""

SIDE: Final = 160
"""Pixels of the square in which the face is turned; the face takes half of it."""

AROUND: Final = 2.0
"""Sides of the face's box that the square shows."""

OFF_CENTRE: Final = 0.2
"""A face found further than this part of the square from its middle is a neighbour."""


def straighten(rgb: NDArray[np.uint8], face: DetectedFace, detector: FaceDetector) -> DetectedFace:
    """Give a face of a (h, w, 3) uint8 picture with its points where they belong; its box stays as it was."""
    upright = face.score >= SURE and awry(face.landmarks) <= AWRY
    if upright or max(face.box.width, face.box.height) < LEAST_PX:
        return face
    to_square = _square(face.box)
    square = np.asarray(cv2.warpAffine(rgb, to_square, (SIDE, SIDE), flags=cv2.INTER_AREA), np.uint8)
    own = _middle(square, detector)
    if own is not None and own.score >= CLEARLY and awry(own.landmarks) <= AWRY:
        return face  # seen closer it stands upright: most bystanders do, and are spared three looks
    best, surest = face, SURER + (own.score if own is not None else 0.0)
    for quarters in (1, 2, 3):
        found = _middle(np.ascontiguousarray(np.rot90(square, quarters)), detector)
        if found is not None and found.score > surest and awry(found.landmarks) <= HOPELESS:
            back = (_turned_back(found.landmarks, quarters) - to_square[:, 2]) / to_square[0, 0]
            best, surest = (
                replace(face, landmarks=np.asarray(back, np.float32), score=found.score),
                found.score,
            )
    return best


def _square(box: Box) -> NDArray[np.float64]:
    """Give the (2, 3) matrix that puts a box into the middle of the square."""
    scale = SIDE / (AROUND * max(box.width, box.height, 1.0))
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    return np.array([[scale, 0, SIDE / 2 - scale * x], [0, scale, SIDE / 2 - scale * y]], np.float64)


def _middle(square: NDArray[np.uint8], detector: FaceDetector) -> DetectedFace | None:
    """Give the surest face in the middle, or None."""
    for face in detector.detect(square):
        box = face.box
        away = max(abs((box.x0 + box.x1) / 2 - SIDE / 2), abs((box.y0 + box.y1) / 2 - SIDE / 2))
        if away <= OFF_CENTRE * SIDE:
            return face
    return None


def _turned_back(points: NDArray[np.float32], quarters: int) -> NDArray[np.float64]:
    """Undo quarter turns against the clock of (5, 2) points in the square."""
    turned = points.astype(np.float64)
    for _ in range(quarters):
        turned = np.column_stack([SIDE - 1 - turned[:, 1], turned[:, 0]])
    return turned
