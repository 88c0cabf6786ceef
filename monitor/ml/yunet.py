"""Finds faces with YuNet, through onnxruntime and not cv2.FaceDetectorYN, whose one object serves one thread.

"YuNet: A Tiny Millisecond-level Face Detector" (Wu, Peng and Yu, 2023). On grids of 8, 16 and 32 pixels the
network says how sure it is of a face, and where its box and five points lie from the grid point.
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

STRIDES: Final = (8, 16, 32)

MIN_SCORE: Final = 0.6
"""Below it, what is found on the LFW pictures is mostly background; OpenCV's own default is 0.9 for demos."""

MAX_OVERLAP: Final = 0.3
"""Two boxes that overlap more (intersection over union) are one face; OpenCV's own default."""

LOOKS: Final = Looks(long_side=640, finer_scale=0.9, finer_long_side=1920, tile=640, overlap=96)
"""YuNet finds every face of 28 pixels and is trained for faces up to about 300: a selfie has to be scaled
down, and in the second look a face of 32 pixels keeps 28."""


def decode(maps: dict[str, NDArray[np.float32]], rows: int, columns: int) -> Found:
    """Read the twelve maps of a rows x columns input into boxes, points and scores, in its pixels."""
    return Found.joined([_decode(maps, stride, rows // stride, columns // stride) for stride in STRIDES])


def _decode(maps: dict[str, NDArray[np.float32]], stride: int, rows: int, columns: int) -> Found:
    sure = maps[f"cls_{stride}"][0, :, 0].clip(0, 1) * maps[f"obj_{stride}"][0, :, 0].clip(0, 1)
    scores = np.sqrt(sure)
    (places,) = np.nonzero(scores > VOTER)
    grid = np.stack(np.divmod(np.arange(rows * columns)[places], columns)[::-1], axis=1).astype(np.float32)
    box = maps[f"bbox_{stride}"][0, places]
    centre, half = (grid + box[:, :2]) * stride, np.exp(box[:, 2:]) * stride / 2
    points = maps[f"kps_{stride}"][0, places].reshape(-1, 5, 2)
    return Found(
        np.concatenate([centre - half, centre + half], axis=1),
        (points + grid[:, None]) * stride,
        scores[places],
    )


@dataclass(frozen=True, slots=True)
class YuNet:
    """A FaceDetector. Safe for threads."""

    model_id: ModelId
    session: Any

    def detect(self, image: NDArray[np.uint8]) -> tuple[DetectedFace, ...]:
        """Find the faces of one (h, w, 3) uint8 RGB picture, best score first."""
        return suppress(look_twice(self._look, image, LOOKS), MAX_OVERLAP).faces()

    def _look(self, image: NDArray[np.uint8], scale: float) -> Found:
        prepared = letterbox(image[..., ::-1], scale)
        names = [output.name for output in self.session.get_outputs()]
        maps = dict(zip(names, self.session.run(None, {"input": prepared}), strict=True))
        found = decode(maps, *prepared.shape[2:])
        return vote(found, MAX_OVERLAP, MIN_SCORE).moved(1 / scale, 0, 0)
