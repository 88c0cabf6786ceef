"""Finds faces with CenterFace, by our own adapter: insightface's router does not know this network.

"CenterFace: Joint Face Detection and Alignment Using Face as Point" (Xu et al., 2019, arXiv 1911.03599).
At every fourth pixel the network says whether the centre of a face lies there, how large the face is,
by how much the centre is off the grid, and where the five points lie in the face's box.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitor.ml.boxes import VOTER, Found, suppress, vote
from monitor.ml.letterbox import letterbox
from monitor.ml.looks import Looks, look_twice
from monitor.values import ModelId

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.values import DetectedFace

STRIDE: Final = 4
MIN_SCORE: Final = 0.5
"""Below it, what is found on the LFW pictures is background."""

MAX_OVERLAP: Final = 0.3
"""Two boxes that overlap more (intersection over union) are one face."""

LOOKS: Final = Looks(long_side=640, finer_scale=0.625, finer_long_side=1920, tile=640, overlap=96)
"""CenterFace finds every face of 20 pixels, and a face under 32 cannot be recognised: at 0.625 the one
becomes the other, so a picture up to 1,024 pixels needs one look. The second look at most costs about 0.7 s
on one thread, against 0.08 s for the first."""


def decode(outputs: list[NDArray[np.float32]]) -> Found:
    """Read the four maps of one picture into boxes, points and scores, in pixels of the input."""
    heat, size, offset, points = (output[0] for output in outputs)
    rows, columns = np.nonzero(heat[0] > VOTER)
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
        return suppress(look_twice(self._look, image, LOOKS), MAX_OVERLAP).faces()

    def _look(self, image: NDArray[np.uint8], scale: float) -> Found:
        found = decode(self.session.run(None, {"input.1": letterbox(image, scale)}))
        return vote(found, MAX_OVERLAP, MIN_SCORE).moved(1 / scale, 0, 0)
