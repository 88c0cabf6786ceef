"""Turns aligned faces into vectors, through insightface's ArcFaceONNX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitor.errors import WeightsDiffer
from monitor.ml.vectors import unit_rows
from monitor.values import ModelId

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.ml.sessions import Device

BATCHES: Final = {"cpu": 8, "cuda": 64}
"""Crops, mirrored copies counted, that go through the network at once. On a CPU more are slower, since they
leave the cache; on a GPU it bounds memory."""


@dataclass(frozen=True, slots=True)
class ArcFace:
    """A FaceRecogniser over a model that insightface's ArcFaceONNX loads; safe for threads.

    `mirrored`: average with the embedding of the mirrored crop. `batch`: crops in one run, mirrored copies
    counted. No row depends on its neighbours: the networks here give the same bits alone and together.
    """

    model_id: ModelId
    dimension: int
    model: Any
    mirrored: bool
    batch: int = BATCHES["cpu"]

    def embed(self, aligned: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Map (n, 112, 112, 3) uint8 RGB to (n, dimension) float32, rows of length 1."""
        if not len(aligned):
            return np.empty((0, self.dimension), np.float32)
        step = self.batch // 2 if self.mirrored else self.batch
        return np.concatenate([self._embed(aligned[i : i + step]) for i in range(0, len(aligned), step)])

    def _embed(self, aligned: NDArray[np.uint8]) -> NDArray[np.float32]:
        pictures = aligned.transpose(0, 3, 1, 2).astype(np.float32)
        if not self.mirrored:
            return unit_rows(self.model.forward(pictures))
        both = unit_rows(self.model.forward(np.concatenate([pictures, pictures[..., ::-1]])))
        return unit_rows(both[: len(aligned)] + both[len(aligned) :])


def open_arcface(path: Path, device: Device, *, mean: float, spread: float) -> Any:  # noqa: ANN401 - no types
    """Load an ONNX recogniser through insightface. A pixel x becomes (x - mean) / spread.

    Raises WeightsDiffer when it does not map (n, 3, 112, 112) to (n, d) with n free.
    """
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX  # noqa: PLC0415 - two seconds

    from monitor.ml.sessions import open_session  # noqa: PLC0415

    session = open_session(path, device)
    shape = session.get_inputs()[0].shape
    if isinstance(shape[0], int) or shape[1:] != [3, 112, 112]:
        msg = f"{path.name} takes {shape}, a recogniser here takes any number of 3x112x112 crops"
        raise WeightsDiffer(msg)
    model = ArcFaceONNX(model_file=str(path), session=session)
    model.input_mean, model.input_std = mean, spread
    return model
