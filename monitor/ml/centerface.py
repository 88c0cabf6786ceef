"""Finds faces with CenterFace, by our own adapter: insightface's router does not know this network.

"CenterFace: Joint Face Detection and Alignment Using Face as Point" (Xu et al., 2019, arXiv 1911.03599).
At every fourth pixel the network says whether the centre of a face lies there, how large the face is,
by how much the centre is off the grid, and where the five points lie in the face's box.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from monitor.ml.boxes import Found, suppress
from monitor.values import ModelId

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.values import DetectedFace

STRIDE: Final = 4
MULTIPLE: Final = 32
"""Sides of the input are padded to a multiple of this, which the network's down-sampling needs."""

MIN_SCORE: Final = 0.5
"""Below it, what is found on the LFW pictures is background."""

MAX_OVERLAP: Final = 0.3
"""Two boxes that overlap more (intersection over union) are one face."""

LONG_SIDE: Final = 640
"""First look, pixels. In a picture of 1,024 pixels a face of 32 pixels, the smallest worth recognising,
is 20 pixels then, and CenterFace finds every face of 20 pixels."""

SMALL_FACE: Final = 48
"""Pixels in the first look. A picture with a face smaller than this, or with none, may hold more that the
first look was too coarse for: it is looked at again, larger."""

TILE: Final = 640
TILE_OVERLAP: Final = 96
"""Second look, pixels: in tiles, so that memory does not grow with the picture; a face of up to 96 pixels lies
whole in at least one of them, and larger ones were found by the first look."""

SECOND_SCALE: Final = 0.625
"""Faces of 32 pixels become 20: see LONG_SIDE."""

SECOND_LONG_SIDE: Final = 1920
"""The second look goes no larger: its time grows with the square (about 0.7 s at this size, one thread)."""


def prepare(image: NDArray[np.uint8], scale: float) -> NDArray[np.float32]:
    """Resize a (h, w, 3) RGB picture and pad it to the right and below: (1, 3, H, W) float32, 0..255."""
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    if (height, width) != image.shape[:2]:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    padded = np.zeros((1, 3, -(-height // MULTIPLE) * MULTIPLE, -(-width // MULTIPLE) * MULTIPLE), np.float32)
    padded[0, :, :height, :width] = image.transpose(2, 0, 1)
    return padded


def decode(outputs: list[NDArray[np.float32]]) -> Found:
    """Read the four maps of one picture into boxes, points and scores, in pixels of the input."""
    heat, size, offset, points = (output[0] for output in outputs)
    rows, columns = np.nonzero(heat[0] > MIN_SCORE)
    high, wide = np.exp(size[:, rows, columns]) * STRIDE
    top = (rows + offset[0, rows, columns] + 0.5) * STRIDE - high / 2
    left = (columns + offset[1, rows, columns] + 0.5) * STRIDE - wide / 2
    boxes = np.stack([left, top, left + wide, top + high], axis=1).astype(np.float32)
    pairs = points[:, rows, columns].reshape(5, 2, -1)
    landmarks = np.stack([pairs[:, 1] * wide + left, pairs[:, 0] * high + top], axis=-1).transpose(1, 0, 2)
    return Found(boxes, landmarks.astype(np.float32), heat[0, rows, columns])


@dataclass(frozen=True, slots=True)
class CenterFace:
    """A FaceDetector. `session` is the graph that recipes.centerface_any_size makes; safe for threads."""

    model_id: ModelId
    session: Any

    def detect(self, image: NDArray[np.uint8]) -> tuple[DetectedFace, ...]:
        """Find the faces of one (h, w, 3) uint8 RGB picture, best score first."""
        long_side = max(image.shape[:2])
        scale = min(1.0, LONG_SIDE / long_side)
        found = self._look(image, scale)
        finer = min(SECOND_SCALE, SECOND_LONG_SIDE / long_side)
        if finer > scale and self._may_hide_more(found, scale):
            found = Found.joined([found, *self._look_in_tiles(image, finer)])
        return suppress(found, MAX_OVERLAP).faces()

    def _look(self, image: NDArray[np.uint8], scale: float) -> Found:
        found = decode(self.session.run(None, {"input.1": prepare(image, scale)}))
        return suppress(found, MAX_OVERLAP).moved(1 / scale, 0, 0)

    @staticmethod
    def _may_hide_more(found: Found, scale: float) -> bool:
        heights = found.boxes[:, 3] - found.boxes[:, 1]
        return not len(heights) or bool(heights.min() * scale < SMALL_FACE)

    def _look_in_tiles(self, image: NDArray[np.uint8], scale: float) -> list[Found]:
        side, step = round(TILE / scale), round((TILE - TILE_OVERLAP) / scale)
        height, width = image.shape[:2]
        return [
            self._look(image[top : top + side, left : left + side], scale).moved(1, left, top)
            for top in range(0, max(1, height - (side - step)), step)
            for left in range(0, max(1, width - (side - step)), step)
        ]
