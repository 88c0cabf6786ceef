"""Turns labelled folders into samples to calibrate on: one row for each picture, several for each recording.

The rows stay in memory; only histograms of their scores are kept, and figures.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from monitor.bench.people import in_threads, read_people
from monitor.bench.sound import read_sound, white, with_noise
from monitor.bench.voices_data import read_speakers
from monitor.ml.align import align, crop_of, cut_chip
from monitor.stages.second_look import points_of, settled
from monitor.stages.straighten import straighten
from monitor.values import SAMPLE_RATE, Sound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.bench.frame import Request
    from monitor.bench.people import Labelled
    from monitor.bench.voices_data import Recording
    from monitor.ml.interfaces import FaceModels, VoiceModels
    from monitor.values import DetectedFace

PICTURES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp"})

LENGTHS: Final = (2, 4, 8)
"""Seconds of speech in one sample, in turn: from the shortest turn that is compared to a long one."""

NOISE_DB: Final = 10.0
"""White noise under the speech of every second sample, decibel.

There is none over a telephone: that is a channel of its own, in which strangers score up to 0.8 with each
other, and one person as little as 0.4 with themselves across it. No one line says both."""

CHUNK: Final = 16
"""Files that one thread takes at a time."""


@dataclass(frozen=True, slots=True)
class Samples:
    """`vectors` (n, d) float32 of length 1, `persons` and `sources` (n,) numbers from 0 on.

    Samples of one source are never compared with each other. `files` are all files that were read,
    `missed` is in how many of them nothing was found.
    """

    vectors: NDArray[np.float32]
    persons: NDArray[np.int64]
    sources: NDArray[np.int64]
    files: tuple[Path, ...]
    missed: int


def digest_of_names(paths: Iterable[Path]) -> str:
    """SHA-256 in hex, its first 16 letters, over the names of files and their folders, in order."""
    names = sorted(f"{path.parent.name}/{path.name}" for path in paths)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def sample_faces(request: Request, models: FaceModels) -> Samples:
    """Embed the face in the middle of every picture. Raises ConfigError as `read_people` does."""
    files = read_people(request.data, PICTURES, request.limit, errata=request.errata)
    rows = in_threads(lambda some: _faces(some, models), files, request, CHUNK)
    persons = [file.person for file, row in zip(files, rows, strict=True) if row is not None]
    vectors = [row for row in rows if row is not None]
    return _samples(
        vectors, persons, list(range(len(vectors))), [f.path for f in files], len(files) - len(vectors)
    )


def _faces(files: Sequence[Labelled], models: FaceModels) -> Iterator[NDArray[np.float32] | None]:
    """Embed after a second look, as the service does with all who come near a match."""
    chips = [_chip(file.path, models) for file in files]
    found = [chip for chip in chips if chip is not None]
    vectors = iter(_vectors(found, models) if found else ())
    for chip in chips:
        yield None if chip is None else next(vectors)


def _vectors(chips: Sequence[NDArray[np.uint8]], models: FaceModels) -> NDArray[np.float32]:
    second = models.recogniser.embed(
        np.stack([align(chip, points_of(chip, models.detector)) for chip in chips])
    )
    first = (
        models.recogniser.embed(np.stack([crop_of(chip) for chip in chips])) if models.both_looks else second
    )
    return settled(first, second, models)


def _chip(path: Path, models: FaceModels) -> NDArray[np.uint8] | None:
    """Cut the face in the middle out with its surroundings.

    None where there is no face, or where the file is no picture.
    """
    try:
        with Image.open(path) as picture:
            image = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    except (UnidentifiedImageError, OSError):
        return None
    faces = models.detector.detect(image)
    middle = np.array([image.shape[1], image.shape[0]]) / 2
    if not faces:
        return None
    face = straighten(image, min(faces, key=lambda one: _distance(one, middle)), models.detector)
    return cut_chip(image, face.landmarks)


def _distance(face: DetectedFace, place: NDArray[np.float64]) -> float:
    centre = np.array([face.box.x0 + face.box.x1, face.box.y0 + face.box.y1]) / 2
    return float(np.linalg.norm(centre - place))


def sample_voices(request: Request, models: VoiceModels) -> Samples:
    """Cut the speech of every recording into samples, each as it is and in noise.

    The recordings are in `request.voices`. Samples of one recording are compared with each other only where
    it is the speaker's only one, and never the same words. Raises ConfigError as `read_speakers` does.
    """
    files = read_speakers(request.voices, request.limit, request.seed)
    found = in_threads(lambda some: _voices(some, models, request.seed), files, request, CHUNK)
    recordings = np.bincount([file.speaker for file in files])
    vectors, persons, sources = [], [], []
    free = len(files)
    for number, (file, pieces) in enumerate(zip(files, found, strict=True)):
        for piece in pieces:
            alone = recordings[file.speaker] == 1
            vectors += list(piece)
            persons += [file.speaker] * len(piece)
            sources += [free if alone else number] * len(piece)
            free += alone
    paths = [file.path for file in files]
    return _samples(vectors, persons, sources, paths, sum(not pieces for pieces in found))


def _voices(
    files: Sequence[Recording], models: VoiceModels, seed: int
) -> Iterator[tuple[NDArray[np.float32], ...]]:
    """Give (conditions, d) for each piece of each recording."""
    for file in files:
        rng = np.random.default_rng((seed, file.speaker))
        pieces = _pieces(_speech(read_sound(file.path), models))
        yield tuple(
            models.recogniser.embed([Sound(heard) for heard in _heard(piece, rng)]) for piece in pieces
        )


def _speech(sound: Sound, models: VoiceModels) -> NDArray[np.float32]:
    spans = models.detector.speech(sound)
    parts = [sound.samples[int(s.start_s * SAMPLE_RATE) : int(s.end_s * SAMPLE_RATE)] for s in spans]
    return np.concatenate([np.empty(0, np.float32), *parts])


def _pieces(speech: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Cut one after the other, of the lengths in turn, as long as there is speech; a whole round at most."""
    start = 0
    for seconds in LENGTHS:
        end = start + seconds * SAMPLE_RATE
        if end > len(speech):
            return
        yield speech[start:end]
        start = end


def _heard(piece: NDArray[np.float32], rng: np.random.Generator) -> tuple[NDArray[np.float32], ...]:
    return piece, with_noise(piece, white(len(piece), rng), NOISE_DB, piece)


def _samples(
    vectors: Sequence[NDArray[np.float32]],
    persons: Sequence[int],
    sources: Sequence[int],
    paths: Sequence[Path],
    missed: int,
) -> Samples:
    """Put them together, people numbered without gaps."""
    numbers = np.unique(np.array(persons, np.int64), return_inverse=True)[1]
    rows = np.stack(vectors) if len(vectors) else np.empty((0, 1), np.float32)
    return Samples(rows, numbers.astype(np.int64), np.array(sources, np.int64), tuple(paths), missed)
