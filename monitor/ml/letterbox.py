"""Makes a picture ready for a convolutional detector: resized, padded, planes apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MULTIPLE: Final = 32
"""Both sides are padded to a multiple of this, which the detectors' down-sampling needs."""


def letterbox(image: NDArray[np.uint8], scale: float) -> NDArray[np.float32]:
    """Resize a (h, w, 3) picture and pad it to the right and below with black: (1, 3, H, W) float32, 0..255.

    A place in the result divided by `scale` is the place in the picture.
    """
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    if (height, width) != image.shape[:2]:
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        image = cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=how)
    padded = np.zeros((1, 3, _padded(height), _padded(width)), np.float32)
    padded[0, :, :height, :width] = image.transpose(2, 0, 1)
    return padded


def _padded(side: int) -> int:
    return -(-side // MULTIPLE) * MULTIPLE
