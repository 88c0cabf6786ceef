"""Looks at pictures as the service does: detector on the whole picture, quality floor, recogniser."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from monitor.bench.faces_conditions import CONDITIONS, side_of
from monitor.ml.align import align
from monitor.stages.quality import FLOOR, quality

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.bench.faces_conditions import Disturbed
    from monitor.bench.people import Labelled
    from monitor.ml.interfaces import FaceDetector, FaceModels
    from monitor.values import DetectedFace


class Outcome(IntEnum):
    """What became of one look. Only LOOKED is an answer; the others are "could not look"."""

    LOOKED = 0
    TOO_POOR = 1
    NOT_FOUND = 2


@dataclass(frozen=True, slots=True)
class Sample:
    """One face that was found: `aligned` is (112, 112, 3) uint8 RGB, `quality` in [0, 1]."""

    face: DetectedFace
    aligned: NDArray[np.uint8]
    quality: float


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture as it came: the face in its middle, or None; `vector` (d,) float32, NaN where none is."""

    face: DetectedFace | None
    vector: NDArray[np.float32]
    quality: float


@dataclass(frozen=True, slots=True)
class Looked:
    """One picture under every condition: `outcomes` (c,), `vectors` (c, d) with NaN where not LOOKED."""

    outcomes: NDArray[np.int64]
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Picture:
    """A good picture with the face that was found in it."""

    path: Path
    face: DetectedFace


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read a picture as it is meant to be seen: (h, w, 3) uint8 RGB, turned as its EXIF says."""
    with Image.open(path) as picture:
        return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))


def see(files: Sequence[Labelled], models: FaceModels) -> Iterator[Seen]:
    """Find and embed the face in the middle of each picture, whatever its quality."""
    samples = [_middle(read_picture(file.path), models.detector) for file in files]
    vectors = iter(_embed([sample for sample in samples if sample is not None], models))
    nothing = np.full(models.recogniser.dimension, np.nan, np.float32)
    for sample in samples:
        yield (
            Seen(None, nothing, 0.0) if sample is None else Seen(sample.face, next(vectors), sample.quality)
        )


def look(pictures: Sequence[Picture], models: FaceModels) -> Iterator[Looked]:
    """Look at each picture under every condition, for the same face where it must be by now."""
    for picture in pictures:
        rgb = read_picture(picture.path)
        found = [
            find_again(disturb(rgb, picture.face), picture.face, models.detector)
            for disturb in CONDITIONS.values()
        ]
        outcomes = np.array([_outcome(sample) for sample in found])
        vectors = np.full((len(found), models.recogniser.dimension), np.nan, np.float32)
        usable = [sample for sample in found if sample is not None and sample.quality >= FLOOR]
        vectors[outcomes == Outcome.LOOKED] = _embed(usable, models)
        yield Looked(outcomes, vectors)


def find_again(picture: Disturbed, face: DetectedFace, detector: FaceDetector) -> Sample | None:
    """Find in a disturbed picture the face that was there before, or None; a bystander is not it."""
    at = picture.place((face.box.x0 + face.box.x1) / 2, (face.box.y0 + face.box.y1) / 2)
    there = nearest(detector.detect(picture.rgb), at)
    if there is None or distance(there, at) > side_of(there):
        return None
    return _sample(picture.rgb, there)


def nearest(faces: Sequence[DetectedFace], place: NDArray[np.float64]) -> DetectedFace | None:
    """Give the face whose centre is nearest to a place (x, y) in pixels."""
    return min(faces, key=lambda face: distance(face, place), default=None)


def distance(face: DetectedFace, place: NDArray[np.float64]) -> float:
    """Pixels from the centre of a face's box to a place (x, y)."""
    centre = np.array([face.box.x0 + face.box.x1, face.box.y0 + face.box.y1]) / 2
    return float(np.linalg.norm(centre - place))


def _middle(rgb: NDArray[np.uint8], detector: FaceDetector) -> Sample | None:
    face = nearest(detector.detect(rgb), np.array([rgb.shape[1], rgb.shape[0]]) / 2)
    return None if face is None else _sample(rgb, face)


def _sample(rgb: NDArray[np.uint8], face: DetectedFace) -> Sample:
    aligned = align(rgb, face.landmarks)
    return Sample(face, aligned, quality(face, aligned))


def _outcome(sample: Sample | None) -> Outcome:
    if sample is None:
        return Outcome.NOT_FOUND
    return Outcome.LOOKED if sample.quality >= FLOOR else Outcome.TOO_POOR


def _embed(samples: Sequence[Sample], models: FaceModels) -> NDArray[np.float32]:
    if not samples:
        return np.empty((0, models.recogniser.dimension), np.float32)
    return models.recogniser.embed(np.stack([sample.aligned for sample in samples]))
