"""What a reader of faces or voices must be able to do. The rest of the service knows only this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from monitor.ml.calibration import Calibration
    from monitor.values import DetectedFace, ModelId, Sound, Span


class FaceDetector(Protocol):
    """Finds faces and five points on each."""

    @property
    def model_id(self) -> ModelId:
        """Name, digest and preprocessing."""

    def detect(self, image: NDArray[np.uint8]) -> tuple[DetectedFace, ...]:
        """Find the faces of one (h, w, 3) uint8 RGB picture, best score first."""


class FaceRecogniser(Protocol):
    """Turns aligned faces into vectors."""

    @property
    def model_id(self) -> ModelId:
        """Name, digest and preprocessing."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    def embed(self, aligned: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Map (n, 112, 112, 3) uint8 RGB to (n, dimension) float32, rows of length 1. n may be 0.

        A row must not depend on its neighbours in the batch.
        """


class SpeechDetector(Protocol):
    """Finds where somebody speaks."""

    @property
    def model_id(self) -> ModelId:
        """Name, digest and preprocessing."""

    def speech(self, sound: Sound) -> tuple[Span, ...]:
        """Give the spans of speech, in order, not touching each other."""


class VoiceRecogniser(Protocol):
    """Turns speech into vectors."""

    @property
    def model_id(self) -> ModelId:
        """Name, digest and preprocessing."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    def embed(self, sounds: Sequence[Sound]) -> NDArray[np.float32]:
        """Map n sounds to (n, dimension) float32, rows of length 1. n may be 0."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which cosine on a match is told (`alert`) or shown to a human first (`review`), and who says so.

    `model_id` is the recogniser that the two hold for. `data_set`, `date`, `people`, `genuine` and `impostor`
    (pairs of one person and of two) say what they were measured on; with no people at all they were never
    measured, and `data_set` is then the sentence that says where they come from.
    """

    alert: float
    review: float
    model_id: ModelId
    data_set: str
    date: str = ""
    people: int = 0
    genuine: int = 0
    impostor: int = 0

    @property
    def source(self) -> str:
        """One sentence: where the two numbers come from."""
        if not self.people:
            return self.data_set
        return (
            f"{self.data_set}, {self.date}: {self.people:,} people, {self.genuine:,} pairs of one person, "
            f"{self.impostor:,} of two"
        )


@dataclass(frozen=True, slots=True)
class FaceModels:
    """The face half of a pack. `calibration` is None where nobody has measured the recogniser.

    `both_looks`: a face that gets a second look has the mean of both looks' vectors, not the second's alone.
    """

    detector: FaceDetector
    recogniser: FaceRecogniser
    thresholds: Thresholds
    calibration: Calibration | None = None
    both_looks: bool = False


@dataclass(frozen=True, slots=True)
class VoiceModels:
    """The voice half of a pack. `calibration` is None where nobody has measured the recogniser."""

    detector: SpeechDetector
    recogniser: VoiceRecogniser
    thresholds: Thresholds
    calibration: Calibration | None = None


@dataclass(frozen=True, slots=True)
class Pack:
    """A named set of models that belong together. A gallery belongs to one pack.

    `device` is "cpu" or "cuda"; `provider` is the execution provider really in use.
    """

    name: str
    device: str
    provider: str
    faces: FaceModels | None
    voices: VoiceModels | None
