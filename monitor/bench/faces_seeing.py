"""Looks at pictures as the service does: by its detector, tracker, quality floor and recogniser."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from monitor.bench.faces_conditions import CONDITIONS, side_of
from monitor.ml.interfaces import Pack
from monitor.ml.vectors import unit_rows
from monitor.stages.embed import embed
from monitor.stages.quality import FLOOR
from monitor.stages.second_look import look_again
from monitor.stages.straighten import straighten
from monitor.stages.tracking import Tracker
from monitor.values import Appearances, DetectedFace, Frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.bench.faces_conditions import Disturbed
    from monitor.bench.people import Labelled
    from monitor.ml.interfaces import FaceDetector, FaceModels
    from monitor.values import Box, FaceTrack, Probe


class Outcome(IntEnum):
    """What became of one look. Only LOOKED is an answer; the others are "could not look"."""

    LOOKED = 0
    TOO_POOR = 1
    NOT_FOUND = 2


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture as it came: the face in its middle, or None; its quality.

    `vector` (d,) float32 is NaN where there is no face.
    """

    face: DetectedFace | None
    vector: NDArray[np.float32]
    quality: float


@dataclass(frozen=True, slots=True)
class Looked:
    """One picture under some conditions: `outcomes` (c,), `vectors` (c, d) with NaN where not LOOKED.

    `covered` (c,) says where the service would say that the lower half of the face is covered.
    """

    outcomes: NDArray[np.int64]
    vectors: NDArray[np.float32]
    covered: NDArray[np.bool_]


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
    """Find and embed the face in the middle of each picture, also below the floor: this rates the models.

    Every picture gets the second look. In the service those who stay far below review do not; it would make
    no difference to them, since nobody's score moves that far.
    """
    tracks = [_middle(read_picture(file.path), models.detector) for file in files]
    lifted = [None if track is None else _lifted(track) for track in tracks]
    for track, vector in zip(tracks, vectors_of(lifted, models, again=True), strict=True):
        if track is None:
            yield Seen(None, vector, 0.0)
        else:
            sample = track.samples[0]
            yield Seen(DetectedFace(sample.box, sample.landmarks, 1.0), vector, sample.quality)


def look(pictures: Sequence[Picture], models: FaceModels, conditions: Sequence[str]) -> Iterator[Looked]:
    """Look at each picture under some conditions, for the same face where it must be by now."""
    for picture in pictures:
        rgb = read_picture(picture.path)
        tracks = [
            find_again(CONDITIONS[name](rgb, picture.face), picture.face, models.detector)
            for name in conditions
        ]
        outcomes = np.array([_outcome(track) for track in tracks])
        probes = _probes(tracks, models, again=True)
        covered = [probe is not None and probe.covered for probe in probes]
        yield Looked(outcomes, np.stack(_vectors(probes, models)), np.array(covered))


def find_again(picture: Disturbed, face: DetectedFace, detector: FaceDetector) -> FaceTrack | None:
    """Find in a disturbed picture the face that was there before, or None; a bystander is not it."""
    at = picture.place((face.box.x0 + face.box.x1) / 2, (face.box.y0 + face.box.y1) / 2)
    there = _nearest(picture.rgb, at, detector)
    if there is None or _distance(there.samples[0].box, at) > side_of(there.samples[0]):
        return None
    return there


def vectors_of(
    tracks: Sequence[FaceTrack | None], models: FaceModels, *, again: bool = False
) -> list[NDArray[np.float32]]:
    """Embed tracks by the service's own stage: (d,) each, NaN where there is none or nothing over the floor.

    A track's vector is the quality-weighted mean of its samples, of length 1. `again` gives every track the
    second look that the service gives to those who are enrolled and to those who come near to review.
    """
    return _vectors(_probes(tracks, models, again=again), models)


def _probes(tracks: Sequence[FaceTrack | None], models: FaceModels, *, again: bool) -> list[Probe | None]:
    pack = Pack("bench", "", "", models, None)
    probes = embed(Appearances(tuple(track for track in tracks if track is not None), ()), pack)
    if again:
        probes = tuple(look_again(probe, models) for probe in probes)
    own = {id(probe.appearance): probe for probe in probes}
    return [own.get(id(track)) for track in tracks]


def _vectors(probes: Sequence[Probe | None], models: FaceModels) -> list[NDArray[np.float32]]:
    nothing = np.full(models.recogniser.dimension, np.nan, np.float32)
    return [
        nothing if probe is None else unit_rows(probe.qualities[None] @ probe.vectors).ravel()
        for probe in probes
    ]


def _lifted(track: FaceTrack) -> FaceTrack:
    """Let no sample be declined for its quality."""
    samples = tuple(replace(sample, quality=max(FLOOR, sample.quality)) for sample in track.samples)
    return replace(track, samples=samples)


def _middle(rgb: NDArray[np.uint8], detector: FaceDetector) -> FaceTrack | None:
    return _nearest(rgb, np.array([rgb.shape[1], rgb.shape[0]]) / 2, detector)


def _nearest(rgb: NDArray[np.uint8], place: NDArray[np.float64], detector: FaceDetector) -> FaceTrack | None:
    """Give the face whose centre is nearest to a place (x, y) in pixels."""
    tracker = Tracker(most=1)
    faces = sorted(detector.detect(rgb), key=lambda face: _distance(face.box, place))
    tracker.add(Frame(0, 0.0, rgb), [straighten(rgb, face, detector) for face in faces[:1]])
    return next(iter(tracker.finish()), None)


def _distance(box: Box, place: NDArray[np.float64]) -> float:
    """Pixels from the centre of a box to a place (x, y)."""
    return float(np.linalg.norm(np.array([box.x0 + box.x1, box.y0 + box.y1]) / 2 - place))


def _outcome(track: FaceTrack | None) -> Outcome:
    if track is None:
        return Outcome.NOT_FOUND
    return Outcome.LOOKED if track.samples[0].quality >= FLOOR else Outcome.TOO_POOR
