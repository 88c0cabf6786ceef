"""When a face in a picture is not one to be judged: what the signals for faces cannot look at, and why.

A signal that was trained on sharp photographs of faces in colour answers for every other picture as well,
and is wrong. So each look is measured first, by what can be measured honestly, and turned away by name.

What part of genuine pictures each gate turns away, as they are and after a known harm, stands in
monitor/README.md.

Not here, since no measure of ours tells them apart from genuine photographs: drawings, paintings and statues
(flat areas and hard edges turn away 2 % of genuine faces and find a fifth of pictures filtered into
drawings), and beauty filters (a face smoothed by one is as flat as one in soft light). A model's own distance
from what it was trained on speaks for these (UNLIKE_TRAINING).
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from monitor.ml.synthetic import jpeg_history
from monitor.values import Abstention

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.ml.synthetic.interfaces import Look
    from monitor.values import Box

SMALL_PX: Final = 40.0
"""Side of a face below which it is too small: a face of LFW at half size has 55 (at least 41) pixels."""

LEAST_FINENESS: Final = 0.275
"""`fineness` of a face below which it is blurred: that of a face of some 28 pixels, enlarged."""

MOST_TURNED: Final = 0.5
"""`turned` from which one half of a face is hidden: the nose is below an eye, at some 48 degrees of yaw."""

LEAST_COLOUR: Final = 2.5
"""`colour` of a face below which a picture is black and white or toned: one coloured photograph in 200 has
less (forgery corpus; LFW none), and nine of ten that were toned in sepia."""

TONES: Final = 6
"""Degree of the polynomial of brightness that a toned picture's colour follows, where it burns out as well:
by a parabola a quarter to a half of the pictures toned in sepia are known, by this nine of ten."""

COARSE: Final = 2.25
"""`jpeg_history.coarseness` from which compression was too hard: between quality 25 (2.1) and 20 (2.6)."""

AROUND: Final = 1.3
"""Sides of a face's box that its colour is measured in: a caption in colour makes no colour photograph."""

THUMB: Final = 48
"""Pixels a side at which colour is measured: finer, the noise of a camera counts."""

SKIN: Final = np.s_[30:100, 20:92]
"""Rows and columns of an aligned face that hold the face itself, whatever is behind it."""

FINE_PX, MIDDLE_PX = 1.0, 3.0
"""Blur, in pixels of an aligned face, that parts fine detail from middling, and middling from coarse."""


def face_gate(look: Look) -> Abstention | None:
    """Say why a signal for faces should not judge this look; None where nothing speaks against it."""
    face = look.face
    if side(face.box) < SMALL_PX:
        return Abstention.FACE_SMALL
    if turned(face.landmarks) > MOST_TURNED:
        return Abstention.FACE_TURNED
    if fineness(face.aligned) < LEAST_FINENESS:
        return Abstention.FACE_BLURRED
    if colour(look.rgb, face.box) < LEAST_COLOUR:
        return Abstention.MONOCHROME
    if jpeg_history.coarseness(look.rgb, face.box) > COARSE:
        return Abstention.RE_ENCODED
    return None


def side(box: Box) -> float:
    """Give the side of a square as large as a face's box, in pixels."""
    return sqrt(max(box.width, 0.0) * max(box.height, 0.0))


def turned(landmarks: NDArray[np.float32]) -> float:
    """Give how far the nose is off the middle of the eyes, in distances between them; points are (5, 2)."""
    across, nose = landmarks[1] - landmarks[0], landmarks[2] - landmarks[0]
    width = float(np.dot(across, across))
    return abs(float(np.dot(nose, across)) / width - 0.5) if width >= 1.0 else 1.0


def fineness(aligned: NDArray[np.uint8]) -> float:
    """Give how much fine detail an aligned (112, 112, 3) face has against its middling detail.

    A ratio of standard deviations, so that neither light nor contrast counts: 0.3 to 1 for a sharp face.
    Grain and hard compression make fine detail too.
    """
    grey = cv2.cvtColor(aligned, cv2.COLOR_RGB2GRAY).astype(np.float32)
    less, least = (cv2.GaussianBlur(grey, (0, 0), px) for px in (FINE_PX, MIDDLE_PX))
    return float((grey - less)[SKIN].std() / max(float((less - least)[SKIN].std()), 1e-3))


def colour(rgb: NDArray[np.uint8], box: Box) -> float:
    """Give how much colour a face has that its brightness does not foretell: 0 for black and white.

    Root mean square of Cb and Cr, in levels of 0..255, around their best polynomial of Y: in sepia and
    other toned pictures the colour is a function of the brightness.
    """
    small = cv2.resize(_around(rgb, box), (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    ycc = cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb).reshape(-1, 3).astype(np.float64)
    level = ycc[:, 0] / 255
    powers = np.stack([level**power for power in range(TONES + 1)], axis=1)
    best, *_ = np.linalg.lstsq(powers, ycc[:, 1:], rcond=None)
    return float(np.sqrt(np.mean(np.sum((ycc[:, 1:] - powers @ best) ** 2, axis=1))))


def _around(rgb: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Cut a square around a face, as far as the (h, w, 3) picture goes; at least one pixel."""
    half = max(box.width, box.height) * AROUND / 2
    y, x = (box.y0 + box.y1) / 2, (box.x0 + box.x1) / 2
    top, bottom = _within(y - half, y + half, rgb.shape[0])
    left, right = _within(x - half, x + half, rgb.shape[1])
    return np.ascontiguousarray(rgb[top:bottom, left:right])


def _within(low: float, high: float, length: int) -> tuple[int, int]:
    first = int(min(max(low, 0), length - 1))
    return first, max(first + 1, int(min(max(high, 0), length)))
