"""`likeness bench match`: what the whole decision costs after the vectors are there, by size of the gallery.

It enrols random subjects in memory and asks `match` about random faces, one in ten of them somebody who is
enrolled. The floor is one reading of all centroids, on one thread. `..._cold` is after the processor's caches
were emptied of everything, gallery and program: worse than a recogniser leaves them between two items.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.bench.frame import Figure, Result
from monitor.gallery_sets import Entry, FlatSets
from monitor.gallery_shelves import SHELF_ROWS
from monitor.ml.interfaces import Thresholds
from monitor.stages.match import match
from monitor.values import Box, FaceSample, FaceTrack, Modality, ModelId, Probe, Span, SubjectId, TemplateId

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.bench.frame import Request
    from monitor.gallery import Compared, SetScore

    Questions = Sequence[Sequence[Probe]]

SIZES: Final = {1_000: "_1k", 10_000: "", 100_000: "_100k"}
"""Subjects enrolled -> how the figures of that size are named; the target is set for 10,000."""

TEMPLATES: Final = 3
"""Templates of each subject."""

DIMENSION: Final = 512
"""Length of a vector, that of the face recognisers."""

ENROLLED_AMONG: Final = 10
"""One probe in so many is somebody enrolled: far more than in the world, and finding somebody costs more."""

MANY: Final = 16
"""Faces of an item with many."""

QUESTIONS: Final = 300
"""Items asked about, of each kind, unless --limit says otherwise."""

FLUSH_BYTES: Final = 64 * 2**20
"""Read before a question that is asked cold: more than the caches of a processor hold."""

RESAMPLES: Final = 1000
"""Bootstrap draws for the interval of a median."""

MODEL: Final = ModelId("random@0000000000000000/none")
LIMITS: Final = Thresholds(alert=0.5, review=0.4, model_id=MODEL, data_set="made up")


class Book:
    """One pair of thresholds for everybody."""

    def of(self, modality: Modality, subject_id: SubjectId) -> Thresholds:  # noqa: ARG002 - the same for all
        """Give them."""
        return LIMITS

    def least(self, modality: Modality) -> float:  # noqa: ARG002 - the same for all
        """Give the lower one."""
        return LIMITS.review

    def llr(self, modality: Modality, score: float) -> float:  # noqa: ARG002 - the same for all
        """Give a line such as a calibration has."""
        return 30 * (score - 0.3)


class Crowd:
    """A gallery of random subjects, in memory."""

    def __init__(self, subjects: int, rng: np.random.Generator) -> None:
        """Enrol them: each with TEMPLATES vectors near a direction of their own."""
        self.sets = FlatSets(DIMENSION)
        self.centres = _unit(rng.standard_normal((subjects, DIMENSION), dtype=np.float32))
        for number, centre in enumerate(self.centres):
            shots = _unit(centre + 0.03 * rng.standard_normal((TEMPLATES, DIMENSION), dtype=np.float32))
            name = SubjectId(f"s{number}")
            self.sets.add([Entry(name, TemplateId(f"{number}.{i}"), s, 0.8) for i, s in enumerate(shots)])
        self.shelves = [self.centres[i : i + SHELF_ROWS] for i in range(0, subjects, SHELF_ROWS)]

    def compare(
        self,
        modality: Modality,  # noqa: ARG002 - there is one
        model_id: ModelId,  # noqa: ARG002 - there is one
        vectors: NDArray[np.float32],
        k: int,
    ) -> Compared:
        """Answer as the gallery does."""
        return self.sets.compare(vectors, k)

    def against(
        self,
        modality: Modality,  # noqa: ARG002 - there is one
        model_id: ModelId,  # noqa: ARG002 - there is one
        vectors: NDArray[np.float32],
        subject_ids: Collection[SubjectId],
    ) -> Mapping[SubjectId, tuple[SetScore, ...]]:
        """Answer as the gallery does."""
        return self.sets.against(vectors, subject_ids)


def run(request: Request) -> Result:
    """Measure, smallest gallery first."""
    rng = np.random.default_rng(request.seed)
    figures: dict[str, Figure] = {}
    for done, (subjects, suffix) in enumerate(SIZES.items()):
        request.progress("galleries", done, len(SIZES))
        figures |= _figures(Crowd(subjects, rng), suffix, request.limit or QUESTIONS, rng)
    request.progress("galleries", len(SIZES), len(SIZES))
    return replace(Result.today("match", figures, request, "cpu", (MODEL,)), pack="")


def _figures(crowd: Crowd, suffix: str, count: int, rng: np.random.Generator) -> dict[str, Figure]:
    single = [[_probe(crowd, rng)] for _ in range(count)]
    many = [[_probe(crowd, rng) for _ in range(MANY)] for _ in range(max(10, count // MANY))]
    emptied = np.ones(FLUSH_BYTES // 4, np.float32)

    def ask(probes: Sequence[Probe]) -> None:
        match(probes, crowd, Book(), set)

    def read(probes: Sequence[Probe]) -> None:
        vector = probes[0].vectors[0]
        for shelf in crowd.shelves:
            np.vecdot(shelf, vector)

    times = {
        "decision_ms": _times(ask, single),
        "decision_of_16_ms": _times(ask, many) / MANY,
        "floor_ms": _times(read, single),
        "decision_cold_ms": _times(ask, single, emptied),
        "floor_cold_ms": _times(read, single, emptied),
    }
    figures = {f"match.{name}{suffix}": _median(values, rng) for name, values in times.items()}
    whole, least = figures[f"match.decision_ms{suffix}"], figures[f"match.floor_ms{suffix}"]
    figures[f"match.over_floor{suffix}"] = Figure(
        whole.value / least.value, whole.low / least.high, whole.high / least.low, whole.n, "times"
    )
    return figures


def _times(
    do: Callable[[Sequence[Probe]], None], questions: Questions, emptied: NDArray[np.float32] | None = None
) -> NDArray[np.float64]:
    """Give the milliseconds of each question, in order; before each, read `emptied` if it is given."""
    do(questions[0])
    taken = []
    for probes in questions:
        if emptied is not None:
            emptied.sum()
        begun = time.perf_counter()
        do(probes)
        taken.append(1000 * (time.perf_counter() - begun))
    return np.array(taken)


def _median(values: NDArray[np.float64], rng: np.random.Generator) -> Figure:
    draws = np.median(rng.choice(values, (RESAMPLES, len(values))), axis=1)
    low, high = np.percentile(draws, (2.5, 97.5))
    return Figure(float(np.median(values)), float(low), float(high), len(values), "ms")


def _probe(crowd: Crowd, rng: np.random.Generator) -> Probe:
    """Make one face that is seen once: a stranger, or now and then somebody enrolled."""
    vector = rng.standard_normal((1, DIMENSION), dtype=np.float32)
    if rng.integers(ENROLLED_AMONG) == 0:
        vector = crowd.centres[rng.integers(len(crowd.centres))] + 0.03 * vector
    blank = np.zeros((112, 112, 3), np.uint8)
    at_s = float(rng.uniform(0, 1e6))  # nobody stands beside anybody
    sample = FaceSample(at_s, Box(0, 0, 99, 99), np.zeros((5, 2), np.float32), blank, 0.9)
    track = FaceTrack(0, Span(at_s, at_s), (sample,), lambda: blank, lambda: blank)
    return Probe(track, Modality.FACE, MODEL, _unit(vector), np.full(1, 0.9, np.float32))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring rows to length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
