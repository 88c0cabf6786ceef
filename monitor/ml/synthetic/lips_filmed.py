"""Films the mouth of one face while somebody speaks: for the signals that ask whether its lips move.

The item is decoded once more with all its frames, as far as the end of one stretch of some ten seconds. The
face is followed from frame to frame by a detector that sees its surroundings alone; its points between two
looks of the detector are taken from both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from monitor.ml.align import cut_chip
from monitor.values import Abstention, Box, MediaKind, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from monitor.ml.interfaces import FaceDetector
    from monitor.ml.synthetic.interfaces import Look, Sighting
    from monitor.values import DetectedFace, Frame

FRAMES_PER_SECOND: Final = 25.0
"""Frames asked for in a second: as many as most films have."""

LEAST_PER_SECOND: Final = 10.0
"""Frames in a second below which lips are not followed: they open and close some five times."""

STRETCH_S: Final = 10.0
"""Seconds that are filmed at most."""

LEAST_SPEECH_S: Final = 3.0
"""Seconds of speech below which nothing is said: some twelve syllables."""

LATEST_S: Final = 60.0
"""A stretch that begins later is not filmed: all that is before it must be decoded again to come there."""

LEAST_PX: Final = 60.0
"""Width of a face below which its mouth is some 20 pixels wide, and its lips not to be seen apart."""

TURNED: Final = 0.3
"""How far the nose may lie from the middle between the eyes, in their distance: about 33 degrees."""

EVERY: Final = 3
"""The detector looks at every third frame; a head moves little in an eighth of a second."""

AROUND: Final = 2.6
CROP_PX: Final = 256
"""Side of what the detector sees, in sides of the face and in pixels: 14 ms by CenterFace, 5 by YuNet."""

LOST_S: Final = 1.0
"""A face that was not found for longer is gone, and what was filmed of it before is all."""

SEARCHED_S: Final = 2.0
"""A face that was not found so long after the first word is not on screen with it."""

WHOLE_PX: Final = 640
"""Longest side of a whole frame in which faces are counted."""


@dataclass(frozen=True, slots=True)
class Filmed:
    """The mouth of one face through a stretch.

    `chips` is (n, 160, 160) float32, grey, upright (see ml.align.cut_chip); `times` (n,) float64 seconds;
    `span` the stretch that was chosen.
    """

    chips: NDArray[np.float32]
    times: NDArray[np.float64]
    span: Span


def film(sighting: Sighting, places: Sequence[Span], detector: FaceDetector) -> Filmed | Abstention:
    """Film the subject's face, or the only one where the looks show none, while somebody speaks at `places`.

    `places` are in order. Of the item's frames those up to the end of the stretch are decoded again.
    """
    if sighting.info.kind is not MediaKind.VIDEO:
        return Abstention.NO_FACE if sighting.info.kind is MediaKind.AUDIO else Abstention.NOT_MOVING
    span = stretch(places)
    if span is None:
        return Abstention.TOO_LITTLE_SPEECH
    if span.start_s > LATEST_S:
        return Abstention.TOO_LATE
    with sighting.again(FRAMES_PER_SECOND) as clip:
        frames = clip.frames()
        return watch(_during(frames, span), detector, _places_of(sighting.looks), span)


def stretch(places: Sequence[Span]) -> Span | None:
    """Choose the earliest STRETCH_S with LEAST_SPEECH_S of speech at least, or with most where none has."""
    best, most = None, LEAST_SPEECH_S
    for first in places:
        end_s = first.start_s + STRETCH_S
        inside = [place for place in places if first.start_s <= place.start_s < end_s]
        spoken = sum(min(place.end_s, end_s) - place.start_s for place in inside)
        if spoken > most + 1.0 or (best is None and spoken >= most):
            best, most = Span(first.start_s, min(end_s, inside[-1].end_s)), spoken
        if most >= STRETCH_S / 2:
            break
    return best


def watch(
    frames: Iterable[Frame], detector: FaceDetector, guess: Callable[[float], Box | None], span: Span
) -> Filmed | Abstention:
    """Follow one face through frames. `guess` says where it is at a time, or None where nobody knows."""
    follower = _Follower(detector, guess)
    for number, frame in enumerate(frames):
        reason = follower.see(frame, look=number % EVERY == 0)
        if reason is not None:
            return reason
        if follower.lost_at is not None:
            break
    return follower.filmed(span)


@dataclass(frozen=True, slots=True)
class _Piece:
    """The surroundings of the face in one frame: grey, and where its corner is in the frame."""

    at_s: float
    grey: NDArray[np.uint8]
    corner: NDArray[np.float32]


class _Follower:
    """Follows one face: looks for it, and cuts its mouth out of the frames between two looks."""

    def __init__(self, detector: FaceDetector, guess: Callable[[float], Box | None]) -> None:
        self.lost_at: float | None = None
        self._first_s: float | None = None
        self._detector, self._guess = detector, guess
        self._face: DetectedFace | None = None
        self._seen_s = 0.0
        self._waiting: list[_Piece] = []
        self._chips: list[NDArray[np.float32]] = []
        self._times: list[float] = []
        self._sizes: list[float] = []
        self._turned = 0

    def see(self, frame: Frame, *, look: bool) -> Abstention | None:
        """Take the next frame; give a reason where there is nothing to film in the whole stretch."""
        if self._face is None:
            self._first_s = frame.at_s if self._first_s is None else self._first_s
            if frame.at_s - self._first_s > SEARCHED_S:
                return Abstention.NO_FACE
            return self._begin(frame) if look else None
        if not look:
            self._waiting.append(_piece(frame, _about(self._face.box)))
            return None
        found = _nearest(self._look(frame, _about(self._face.box)), self._face.box)
        if found is None:
            self._waiting.clear()
            self.lost_at = frame.at_s if frame.at_s - self._seen_s > LOST_S else None
            return None
        self._take(frame, found)
        return None

    def filmed(self, span: Span) -> Filmed | Abstention:
        """Give what was filmed, or why it is too little."""
        if not self._sizes:
            return Abstention.NO_FACE
        if np.median(self._sizes) < LEAST_PX:
            return Abstention.FACE_SMALL
        if self._turned > len(self._chips):
            return Abstention.FACE_TURNED
        times = np.array(self._times)
        covered = times[-1] - times[0] if len(times) else 0.0
        if covered < LEAST_SPEECH_S or len(times) < covered * LEAST_PER_SECOND:
            return Abstention.ONE_FRAME
        return Filmed(np.stack(self._chips), times, span)

    def _begin(self, frame: Frame) -> Abstention | None:
        """Find the face to follow, and see whether others are as large."""
        scale = min(1.0, WHOLE_PX / max(frame.rgb.shape[:2]))
        faces = [
            _moved(face, scale, np.zeros(2)) for face in self._detector.detect(_scaled(frame.rgb, scale))
        ]
        expected = self._guess(frame.at_s)
        own = _nearest(faces, expected) if expected else max(faces, key=lambda f: f.box.height, default=None)
        if own is None:
            return None
        if sum(face.box.height >= own.box.height / 2 for face in faces) > 1:
            return Abstention.SEVERAL_FACES
        found = _nearest(self._look(frame, _about(own.box)), own.box)
        if found is not None:
            self._take(frame, found)
        return None

    def _look(self, frame: Frame, area: Box) -> list[DetectedFace]:
        x0, y0, cut = _cut(frame.rgb, area)
        if min(cut.shape[:2]) < 16:
            return []
        scale = min(1.0, CROP_PX / max(cut.shape[:2]))
        return [
            _moved(face, scale, np.array([x0, y0])) for face in self._detector.detect(_scaled(cut, scale))
        ]

    def _take(self, frame: Frame, found: DetectedFace) -> None:
        """Cut the mouth out of this frame, and of those before it since the last look."""
        before, since = self._face, self._seen_s
        waiting = [*self._waiting, _piece(frame, _about(found.box))]
        for piece in waiting:
            points = found.landmarks
            if before is not None and frame.at_s > since:
                share = np.float32((piece.at_s - since) / (frame.at_s - since))
                points = before.landmarks * (1 - share) + found.landmarks * share
            if _off_middle(points) > TURNED:
                self._turned += 1
                continue
            self._chips.append(cut_chip(piece.grey, points - piece.corner).astype(np.float32))
            self._times.append(piece.at_s)
        self._waiting.clear()
        self._face, self._seen_s = found, frame.at_s
        self._sizes.append(found.box.width)


def _during(frames: Iterable[Frame], span: Span) -> Iterable[Frame]:
    for frame in frames:
        if frame.at_s > span.end_s:
            return
        if frame.at_s >= span.start_s:
            yield frame


def _places_of(looks: Sequence[Look]) -> Callable[[float], Box | None]:
    """Say where the subject's face is at a time: between two looks, between their boxes."""
    if not looks:
        return lambda _: None
    at = [look.at_s for look in looks]
    edges = np.array([[b.x0, b.y0, b.x1, b.y1] for b in (look.face.box for look in looks)])

    def place(at_s: float) -> Box | None:
        return Box(*(float(np.interp(at_s, at, edge)) for edge in edges.T))

    return place


def _about(box: Box) -> Box:
    """Give the square around a face that the detector sees."""
    half = max(box.width, box.height) * AROUND / 2
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    return Box(x - half, y - half, x + half, y + half)


def _cut(rgb: NDArray[np.uint8], area: Box) -> tuple[int, int, NDArray[np.uint8]]:
    height, width = rgb.shape[:2]
    x0, y0 = int(np.clip(area.x0, 0, width)), int(np.clip(area.y0, 0, height))
    return x0, y0, rgb[y0 : int(np.clip(area.y1, y0, height)), x0 : int(np.clip(area.x1, x0, width))]


def _piece(frame: Frame, area: Box) -> _Piece:
    x0, y0, cut = _cut(frame.rgb, area)
    grey = np.asarray(cv2.cvtColor(np.ascontiguousarray(cut), cv2.COLOR_RGB2GRAY), np.uint8)
    return _Piece(frame.at_s, grey, np.array([x0, y0], np.float32))


def _scaled(rgb: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    if scale >= 1.0:
        return np.ascontiguousarray(rgb)
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    return np.asarray(cv2.resize(np.ascontiguousarray(rgb), size, interpolation=cv2.INTER_AREA), np.uint8)


def _moved(face: DetectedFace, scale: float, corner: NDArray[np.float64]) -> DetectedFace:
    """Say where a face of a scaled cut is in the frame."""
    x, y = corner
    box = face.box
    place = Box(box.x0 / scale + x, box.y0 / scale + y, box.x1 / scale + x, box.y1 / scale + y)
    points = (face.landmarks / scale + corner).astype(np.float32)
    return type(face)(place, points, face.score)


def _nearest(faces: Sequence[DetectedFace], box: Box) -> DetectedFace | None:
    """Give the face whose middle is nearest to a box's, if it is no further than half of its width."""

    def away(face: DetectedFace) -> float:
        x = face.box.x0 + face.box.x1 - box.x0 - box.x1
        return float(np.hypot(x, face.box.y0 + face.box.y1 - box.y0 - box.y1)) / 2

    nearest = min(faces, key=away, default=None)
    return nearest if nearest is not None and away(nearest) <= box.width / 2 else None


def _off_middle(points: NDArray[np.float32]) -> float:
    """How far the nose lies from the middle between the eyes along their line, in their distance."""
    across = points[1] - points[0]
    length = float(np.dot(across, across))
    return abs(float(np.dot(points[2] - points[0], across)) / length - 0.5) if length > 1.0 else 1.0
