"""Short, poor videos made of one picture each, followed by the service's own tracker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.bench.faces_conditions import frame_of_track
from monitor.bench.faces_seeing import read_picture, vectors_of
from monitor.stages.tracking import BEST, SLOT_S, Tracker
from monitor.values import Frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.bench.faces_conditions import Disturbed
    from monitor.bench.faces_seeing import Picture
    from monitor.ml.interfaces import FaceModels
    from monitor.values import DetectedFace, FaceTrack

LENGTHS: Final = (1, 2, 4, 8)
"""Frames of a track that are measured; the tracker keeps BEST samples at most."""

assert max(LENGTHS) <= BEST  # noqa: S101 - more frames would not be heard


def follow(picture: Picture, models: FaceModels, seed: Sequence[int]) -> NDArray[np.float32]:
    """Give the vector of a track of each of LENGTHS: (lengths, d) float32, NaN where nobody was looked at.

    The shorter tracks are the beginnings of the longest one. `seed` fixes the faults of the frames.
    """
    rng = np.random.default_rng(seed)
    rgb = read_picture(picture.path)
    frames = [frame_of_track(rgb, picture.face, rng) for _ in range(max(LENGTHS))]
    faces = [models.detector.detect(frame.rgb) for frame in frames]
    tracks = [_track(frames[:n], faces[:n], picture.face) for n in LENGTHS]
    return np.stack(vectors_of(tracks, models))


def _track(
    frames: Sequence[Disturbed], faces: Sequence[tuple[DetectedFace, ...]], wanted: DetectedFace
) -> FaceTrack | None:
    """Follow the faces through the frames and give the track of the wanted one."""
    tracker = Tracker(most=20)
    for number, (frame, found) in enumerate(zip(frames, faces, strict=True)):
        tracker.add(Frame(number, number * SLOT_S, frame.rgb), found)
    x, y = (wanted.box.x0 + wanted.box.x1) / 2, (wanted.box.y0 + wanted.box.y1) / 2
    places = [frame.place(x, y) for frame in frames]
    tracks = [track for track in tracker.finish() if _off(track, places) < 1.0]
    return max(tracks, key=lambda track: len(track.samples), default=None)


def _off(track: FaceTrack, places: Sequence[NDArray[np.float64]]) -> float:
    """How far a track is from where the face is, on average, in widths of the face."""
    off = []
    for sample in track.samples:
        box, place = sample.box, places[round(sample.at_s / SLOT_S)]
        away = np.array([box.x0 + box.x1, box.y0 + box.y1]) / 2 - place
        off.append(float(np.linalg.norm(away)) / max(box.width, 1.0))
    return float(np.mean(off))
