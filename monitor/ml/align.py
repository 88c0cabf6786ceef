"""Cuts a face out upright: the crop that the recognisers were trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE: Final = 112
"""Pixels of a crop's side."""

TEMPLATE: Final = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    dtype=np.float32,
)
"""Where eyes, nose and corners of the mouth lie in the crop: the published ArcFace template."""

MARGIN: Final = 24
"""Pixels of surroundings on each side of a chip: as much as a detector needs to find the face again."""

CHIP: Final = SIDE + 2 * MARGIN
"""Pixels of a chip's side."""

CHIP_POINTS: Final = TEMPLATE + np.float32(MARGIN)
"""Where eyes, nose and corners of the mouth lie in a chip."""


def similarity(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Best rotation, scale and shift from five points to the template: (2, 3), without mirroring.

    `landmarks` is (5, 2), pixels. Least squares in closed form, by writing points as complex numbers: a
    similarity is then one complex factor and one complex shift.
    """
    points = landmarks.astype(np.float64) @ np.array([1, 1j])
    wanted = TEMPLATE.astype(np.float64) @ np.array([1, 1j])
    centred = points - points.mean()
    spread = np.vdot(centred, centred).real
    factor = np.vdot(centred, wanted - wanted.mean()) / spread if spread else 0j
    shift = wanted.mean() - factor * points.mean()
    return np.array(
        [[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]], dtype=np.float64
    )


def awry(landmarks: NDArray[np.float32]) -> float:
    """How far (5, 2) points miss where a face has them: pixels on a face of SIDE, root mean square."""
    matrix = similarity(landmarks)
    missed = landmarks @ matrix[:, :2].T + matrix[:, 2] - TEMPLATE
    return float(np.sqrt(np.mean(np.sum(missed**2, axis=1))))


def align(image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Cut one face out of a (h, w, 3) uint8 picture: (112, 112, 3) uint8, black beyond the edge.

    `landmarks` is (5, 2) float32 in the order of values.DetectedFace.
    """
    crop: NDArray[np.uint8] = cv2.warpAffine(image, similarity(landmarks), (SIDE, SIDE), borderValue=0.0)
    return crop


def cut_chip(image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Cut one face out upright with its surroundings: (CHIP, CHIP, 3) uint8, black beyond the edge.

    `crop_of` gives the crop that `align` would have cut.
    """
    to_chip = similarity(landmarks)
    to_chip[:, 2] += MARGIN
    chip: NDArray[np.uint8] = cv2.warpAffine(image, to_chip, (CHIP, CHIP), borderValue=0.0)
    return chip


def crop_of(chip: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give the middle of a chip: (SIDE, SIDE, 3) uint8, a view."""
    return chip[MARGIN : MARGIN + SIDE, MARGIN : MARGIN + SIDE]
