"""People, faces and voices made of a few numbers, for the steps that decide."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from monitor.gallery_sets import Entry, FlatSets
from monitor.ml.interfaces import Thresholds
from monitor.values import (
    Box,
    FaceSample,
    FaceTrack,
    Modality,
    ModelId,
    Probe,
    Sound,
    Span,
    SpeechTurn,
    SubjectId,
    TemplateId,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.gallery import Compared, SetScore

SIZE = 8
MODEL = ModelId("fake")
LIMITS = {m: Thresholds(alert=0.6, review=0.4, model_id=MODEL, data_set="made up") for m in Modality}


def axis(number: int) -> NDArray[np.float32]:
    """Give a direction that has nothing to do with any other."""
    return np.eye(SIZE, dtype=np.float32)[number]


def near(number: int, cosine: float, aside: int = 7) -> NDArray[np.float32]:
    """Point so far away from one axis, towards another."""
    return np.asarray(cosine * axis(number) + math.sqrt(1 - cosine**2) * axis(aside), np.float32)


class Sheet:
    """A book of thresholds with entries of their own for some; a cosine's ratio is 20 times that over 0.3."""

    def __init__(self, **own: Thresholds) -> None:
        """Take who has thresholds of their own."""
        self.own = own

    def of(self, modality: Modality, subject_id: SubjectId) -> Thresholds:
        """Give thresholds."""
        return self.own.get(subject_id, LIMITS[modality])

    def least(self, modality: Modality) -> float:
        """Give the lowest review."""
        return LIMITS[modality].review

    def llr(self, modality: Modality, score: float) -> float:  # noqa: ARG002 - alike for both
        """Give a made-up ratio."""
        return 20 * (score - 0.3)


class Enrolled:
    """A gallery in memory, made of the real sets: the same vector for face and voice of each."""

    def __init__(
        self, modalities: Sequence[Modality] = tuple(Modality), **people: NDArray[np.float32]
    ) -> None:
        """Enrol people with one vector each."""
        self.sets = {modality: FlatSets(SIZE) for modality in Modality}
        for modality in modalities:
            self.sets[modality].add(
                [Entry(SubjectId(name), TemplateId(name), vector) for name, vector in people.items()]
            )

    def learn(self, name: str, vector: NDArray[np.float32]) -> None:
        """Teach a lookalike of somebody."""
        for held in self.sets.values():
            held.learn(Entry(SubjectId(name), TemplateId(f"{name}{vector!r}"), vector))

    def compare(
        self, modality: Modality, model_id: ModelId, vectors: NDArray[np.float32], k: int
    ) -> Compared:
        """Answer as the gallery does."""
        assert model_id == MODEL
        return self.sets[modality].compare(vectors, k)

    def against(
        self,
        modality: Modality,
        model_id: ModelId,
        vectors: NDArray[np.float32],
        subject_ids: Collection[SubjectId],
    ) -> Mapping[SubjectId, tuple[SetScore, ...]]:
        """Answer as the gallery does."""
        assert model_id == MODEL
        return self.sets[modality].against(vectors, subject_ids)


def seen(*vectors: NDArray[np.float32], start: float = 0.0, end: float = 0.0, quality: float = 0.9) -> Probe:
    """Make a face with one sample per vector."""
    blank = np.zeros((112, 112, 3), np.uint8)
    samples = tuple(
        FaceSample(start, Box(0, 0, 9, 9), np.zeros((5, 2), np.float32), blank, quality) for _ in vectors
    )
    track = FaceTrack(0, Span(start, end), samples, lambda: blank, lambda: blank)
    return Probe(track, Modality.FACE, MODEL, np.stack(vectors), np.full(len(vectors), quality, np.float32))


def heard(vector: NDArray[np.float32], start: float, end: float, speaker: int = 0) -> Probe:
    """Make a turn of one speaker."""
    span = Span(start, end)
    turn = SpeechTurn(0, span, Sound(np.zeros(9, np.float32)), end - start, speaker, (span,))
    return Probe(turn, Modality.VOICE, MODEL, vector[None], np.ones(1, np.float32))
