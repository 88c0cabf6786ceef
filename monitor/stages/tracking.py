"""Follows faces from frame to frame, so that one person on screen for a minute is one appearance.

Boxes alone decide: by overlap and nearness, best total over a frame, never by what a face looks like. A
cut of the scene ends every track. Of each track only the best few samples are kept, so an hour of video
costs no more memory than a minute.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from monitor.ml.align import crop_of, cut_chip
from monitor.stages.marks import upright
from monitor.stages.quality import quality
from monitor.values import Box, FaceSample, FaceTrack, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.values import DetectedFace, Frame

BEST = 8
"""Samples kept of one track. More frames of one appearance say little that eight do not."""

SLOT_S = 0.5
"""One sample at most per this many seconds: neighbouring frames repeat each other's faults."""

LONGEST_GAP_S = 1.0
"""A face that was gone for longer starts a new track."""

LEAST_AFFINITY = 0.25
"""Overlap (or nearness, see `_affinity`) from which two boxes may be one face."""

CUT = 24.0
"""Mean change of a frame's 32 px thumbnail, in grey levels, that counts as a cut of the scene."""

PORTRAIT_PX = 512
"""Longest side of a portrait."""

PORTRAIT_WIDTHS = 1.0
"""How much of the surroundings a portrait shows on each side, in widths of the face."""

BLUR_CELLS = 5
"""A bystander's face is reduced to this many cells a side: nobody is recognised from 25 colours."""


class Tracker:
    """Takes the faces of one frame after the other; `finish` gives the tracks in order of appearance."""

    def __init__(self, most: int) -> None:
        """Follow at most `most` tracks; `overflowed` counts the faces that were more than that."""
        self.overflowed = 0
        self._most = most
        self._open: list[_Growing] = []
        self._closed: list[_Growing] = []
        self._last: NDArray[np.uint8] | None = None

    def add(self, frame: Frame, faces: Sequence[DetectedFace]) -> None:
        """Take the faces found in the next frame; frames come in order of time."""
        for followed in self._open:
            followed.keep()
        if self._open and self._last is not None and _is_cut(self._last, frame.rgb):
            self._close(self._open)
        self._last = frame.rgb
        self._close([t for t in self._open if frame.at_s - t.last_s > LONGEST_GAP_S])
        boxes = [f.box for f in faces]
        pairs = _pair([t.box for t in self._open], boxes)
        for number, face in enumerate(faces):
            track = self._open[pairs[number]] if number in pairs else self._begin(frame)
            if track is not None:
                track.see(frame, face, [b for b in boxes if b is not face.box])

    def hold(self, at_s: float) -> None:
        """Note that the picture stood still until `at_s`: who was in the last frame still is."""
        newest = max((t.last_s for t in self._open), default=at_s)
        for track in self._open:
            if track.last_s == newest:
                track.last_s = at_s

    def finish(self) -> tuple[FaceTrack, ...]:
        """End every track and give those with at least one sample, numbered in order of appearance."""
        self._close(self._open)
        tracks = sorted(self._closed, key=lambda t: (t.first_s, t.box.x0))
        return tuple(t.done(number) for number, t in enumerate(tracks))

    def _begin(self, frame: Frame) -> _Growing | None:
        if len(self._open) + len(self._closed) >= self._most:
            self.overflowed += 1
            return None
        track = _Growing(first_s=frame.at_s, last_s=frame.at_s, box=Box(0, 0, 1, 1))
        self._open.append(track)
        return track

    def _close(self, tracks: Sequence[_Growing]) -> None:
        ended = {id(t) for t in tracks}
        self._closed += tracks
        self._open = [t for t in self._open if id(t) not in ended]


@dataclass(frozen=True, slots=True)
class _Look:
    """One face in one whole frame, from which its pictures can be made. `others`: the bystanders' boxes."""

    rgb: NDArray[np.uint8]
    face: DetectedFace
    others: Sequence[Box]

    def portrait(self) -> NDArray[np.uint8]:
        """See `portrait`."""
        return portrait(self.rgb, self.face.box, self.others)

    def upright(self) -> NDArray[np.uint8]:
        """See `marks.upright`."""
        return upright(self.rgb, self.face.landmarks)


@dataclass(frozen=True, slots=True)
class _Kept:
    """The pictures of one face, made: a film's frames are too many to be held until a match is known."""

    made_portrait: NDArray[np.uint8]
    made_upright: NDArray[np.uint8]

    def portrait(self) -> NDArray[np.uint8]:
        """See `portrait`."""
        return self.made_portrait

    def upright(self) -> NDArray[np.uint8]:
        """See `marks.upright`."""
        return self.made_upright


@dataclass(slots=True)
class _Growing:
    """One track while it grows: the best sample of each slot, and the pictures of the best of all."""

    first_s: float
    last_s: float
    box: Box
    samples: dict[int, FaceSample] = field(default_factory=dict)
    shown: _Look | _Kept | None = None
    best: float = -1.0

    def see(self, frame: Frame, face: DetectedFace, others: Sequence[Box]) -> None:
        """Take this track's face of one frame; `others` are the bystanders' boxes."""
        self.box, self.last_s = face.box, frame.at_s
        chip = cut_chip(frame.rgb, face.landmarks)
        aligned = crop_of(chip)
        rated = quality(face, aligned)
        slot = int(frame.at_s / SLOT_S)
        known = self.samples.get(slot)
        if known is None or rated > known.quality:
            self.samples[slot] = FaceSample(
                frame.at_s, face.box, face.landmarks, aligned, rated, face.score, chip
            )
        if len(self.samples) > BEST:
            del self.samples[min(self.samples, key=lambda s: self.samples[s].quality)]
        if rated > self.best:
            self.best, self.shown = rated, _Look(frame.rgb, face, others)

    def keep(self) -> None:
        """Make the pictures now, and let go of the frame that they are made of."""
        if isinstance(self.shown, _Look):
            self.shown = _Kept(self.shown.portrait(), self.shown.upright())

    def done(self, number: int) -> FaceTrack:
        """Give the finished track. One that saw no face was never begun."""
        assert self.shown is not None  # noqa: S101 - `see` follows `_begin` at once
        samples = tuple(self.samples[slot] for slot in sorted(self.samples))
        span = Span(self.first_s, self.last_s)
        return FaceTrack(number, span, samples, self.shown.portrait, self.shown.upright)


def portrait(rgb: NDArray[np.uint8], box: Box, others: Sequence[Box]) -> NDArray[np.uint8]:
    """Cut a person's surroundings out of a frame with every bystander's face made unrecognisable.

    Takes (h, w, 3) uint8 RGB and gives the same with the longest side of at most PORTRAIT_PX.
    """
    height, width = rgb.shape[:2]
    x0, y0, x1, y1 = _within(_grown(box, PORTRAIT_WIDTHS), width, height)
    cut = rgb[y0:y1, x0:x1].copy()
    own = _within(box, width, height)
    for other in others:
        if _overlap(box, other) < 0.5:  # more is a second box on the same face
            _blur(cut, _within(_grown(other, 0.15), width, height), (x0, y0), own)
    scale = PORTRAIT_PX / max(cut.shape[:2])
    if scale < 1.0:
        size = (max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale)))
        cut = np.asarray(cv2.resize(cut, size, interpolation=cv2.INTER_AREA), np.uint8)
    return cut


def thumbnail(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shrink a frame to (32, 32) uint8 grey levels, to see whether the picture moved."""
    # every eighth pixel or so is enough to average over, and far cheaper on a large frame
    step = max(1, min(rgb.shape[:2]) // 256)
    small = cv2.resize(np.ascontiguousarray(rgb[::step, ::step]), (32, 32), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def change(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Give the change of each cell between two thumbnails, in grey levels."""
    return np.abs(a.astype(np.int16) - b.astype(np.int16))


def _is_cut(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> bool:
    return float(change(thumbnail(a), thumbnail(b)).mean()) > CUT


def _blur(
    cut: NDArray[np.uint8], area: tuple[int, int, int, int], corner: tuple[int, int], own: tuple[int, ...]
) -> None:
    x0, y0 = max(0, area[0] - corner[0]), max(0, area[1] - corner[1])
    x1, y1 = min(cut.shape[1], area[2] - corner[0]), min(cut.shape[0], area[3] - corner[1])
    if x1 - x0 < 2 or y1 - y0 < 2:
        return
    kept = cut[own[1] - corner[1] : own[3] - corner[1], own[0] - corner[0] : own[2] - corner[0]].copy()
    cells = cv2.resize(cut[y0:y1, x0:x1], (BLUR_CELLS, BLUR_CELLS), interpolation=cv2.INTER_AREA)
    cut[y0:y1, x0:x1] = cv2.resize(cells, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    cut[own[1] - corner[1] : own[3] - corner[1], own[0] - corner[0] : own[2] - corner[0]] = kept


def _pair(tracks: Sequence[Box], faces: Sequence[Box]) -> dict[int, int]:
    """Match faces to tracks for the best total affinity: number of a face -> number of its track."""
    if not tracks or not faces:
        return {}
    table = np.array([[_affinity(t, f) for t in tracks] for f in faces])
    rows, columns = linear_sum_assignment(table, maximize=True)
    return {int(r): int(c) for r, c in zip(rows, columns, strict=True) if table[r, c] >= LEAST_AFFINITY}


def _affinity(a: Box, b: Box) -> float:
    """Overlap, or half of the nearness for faces that move fast between two looks: in [0, 1]."""
    size = max(1.0, (a.width + b.width + a.height + b.height) / 4)
    ratio = max(1e-6, min(a.width, b.width)) / max(a.width, b.width, 1e-6)
    dx, dy = (a.x0 + a.x1 - b.x0 - b.x1) / 2, (a.y0 + a.y1 - b.y0 - b.y1) / 2
    near = max(0.0, 1.0 - float(np.hypot(dx, dy)) / size) if ratio > 0.6 else 0.0
    return max(_overlap(a, b), near / 2)


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    w = min(a.x1, b.x1) - max(a.x0, b.x0)
    h = min(a.y1, b.y1) - max(a.y0, b.y0)
    if w <= 0 or h <= 0:
        return 0.0
    both = w * h
    return both / (a.width * a.height + b.width * b.height - both)


def _grown(box: Box, widths: float) -> Box:
    dx, dy = box.width * widths, box.height * widths
    return Box(box.x0 - dx, box.y0 - dy, box.x1 + dx, box.y1 + dy)


def _within(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    x0, y0 = int(np.clip(box.x0, 0, width - 1)), int(np.clip(box.y0, 0, height - 1))
    return x0, y0, int(np.clip(np.ceil(box.x1), x0 + 1, width)), int(np.clip(np.ceil(box.y1), y0 + 1, height))
