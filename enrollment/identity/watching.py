"""Watch a clip: `watch(clip, models) -> Watched`. The only place here that reads frames.

The whole frame is searched a few times a second, to see whether somebody else is there; in between only the
surroundings of the face, larger than they come, so that its points are steady.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from enrollment.identity.pose import pose_of
from enrollment.identity.watched import LONGEST_S, Seen, Sight, Watched
from monitor.ml.align import crop_of, cut_chip
from monitor.values import Box, DetectedFace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from monitor.ml.interfaces import FaceDetector, FaceModels
    from monitor.stages.detect import Shows
    from monitor.values import Frame

WIDE_PX: Final = 400
"""Long side at which a whole frame is searched: a face of 36 px in a frame of 640 still has 22."""

WIDE_EVERY: Final = 6
"""Frames from one search of the whole frame to the next: two a second."""

CLOSE_PX, CLOSE_SIDES = 256, 2.2
"""The surroundings of the last face, so many sides of it, are searched at this size."""

EMBED_EVERY: Final = 3
"""Faces from one that is compared to the next: four a second, since neighbours say the same."""

GREY_PX: Final = 320
"""Long side of the frames that are kept in grey."""

AROUND_PX, AROUND_SIDES = 128, 2.7
"""What the liveness network takes (MODELS: faceplugin's fr_liveness)."""

CLOSE_UP_PX: Final = 128
"""Side of the piece of the face that is kept in the frame's own pixels."""

OTHER_HIGH: Final = 0.5
"""A face less than half as high as the one watched is behind them or on a wall: passed over, as it is in a
sample (foremost.py)."""


def watch(clip: Shows, models: FaceModels) -> Watched:
    """Read every frame of a clip once, and follow its one face. Raises what the clip raises."""
    sights: list[Sight] = []
    seen: list[Seen] = []
    eye = _Eye(models.detector)
    for frame in clip.frames():
        if frame.at_s > LONGEST_S:
            break
        face, faces = eye.look(frame)
        if face is not None:
            seen.append(_seen(frame, len(sights), face, detailed=len(seen) % EMBED_EVERY == 0))
        sights.append(Sight(frame.at_s, _grey(frame.rgb), faces))
    return Watched(tuple(sights), tuple(_with_vectors(seen, models)))


@dataclass(slots=True)
class _Eye:
    """Finds the face of one frame after the other, near where it was."""

    detector: FaceDetector
    last: Box | None = None
    looked: int = 0

    def look(self, frame: Frame) -> tuple[DetectedFace | None, int | None]:
        """Give the face, and how many there are where the whole frame was searched."""
        wide = self.last is None or self.looked % WIDE_EVERY == 0
        self.looked += 1
        found = self._wide(frame.rgb) if wide else ()
        if self.last is None:
            self.last = max(found, key=lambda face: face.box.height).box if found else None
        face = self._close(frame.rgb, self.last) if self.last is not None else None
        if face is None and self.last is not None:
            self.last = None
            return self.look(frame) if not wide else (None, len(found))
        self.last = face.box if face is not None else None
        if not wide:
            return face, None
        return face, _count(found, face)

    def _wide(self, rgb: NDArray[np.uint8]) -> tuple[DetectedFace, ...]:
        shrink = min(1.0, WIDE_PX / max(rgb.shape[:2]))
        small = cv2.resize(rgb, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        return tuple(_moved(face, 1 / shrink, 0, 0) for face in self.detector.detect(small))

    def _close(self, rgb: NDArray[np.uint8], near: Box) -> DetectedFace | None:
        """Search the surroundings of a box; give the face nearest to its middle."""
        piece, scale, left, top = _square(rgb, near, CLOSE_SIDES, CLOSE_PX)
        found = self.detector.detect(piece)
        middle = CLOSE_PX / 2
        if not found:
            return None
        nearest = min(
            found,
            key=lambda face: np.hypot(
                (face.box.x0 + face.box.x1) / 2 - middle, (face.box.y0 + face.box.y1) / 2 - middle
            ),
        )
        return _moved(nearest, 1 / scale, left, top)


def _count(found: Sequence[DetectedFace], face: DetectedFace | None) -> int:
    if face is None:
        return len(found)
    return max(1, sum(other.box.height >= OTHER_HIGH * face.box.height for other in found))


def _moved(face: DetectedFace, factor: float, left: float, top: float) -> DetectedFace:
    shift = np.array([left, top], np.float32)
    box = face.box
    return DetectedFace(
        Box(box.x0 * factor + left, box.y0 * factor + top, box.x1 * factor + left, box.y1 * factor + top),
        np.asarray(face.landmarks * np.float32(factor) + shift, np.float32),
        face.score,
    )


def _square(
    rgb: NDArray[np.uint8], box: Box, sides: float, pixels: int
) -> tuple[NDArray[np.uint8], float, float, float]:
    """Cut out a square around a box, scaled to `pixels`: it, its scale, and its left and top in the frame."""
    side = sides * max(box.width, box.height, 8.0)
    left, top = (box.x0 + box.x1 - side) / 2, (box.y0 + box.y1 - side) / 2
    scale = pixels / side
    matrix = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]], np.float64)
    return np.asarray(cv2.warpAffine(rgb, matrix, (pixels, pixels)), np.uint8), scale, left, top


def _seen(frame: Frame, number: int, face: DetectedFace, *, detailed: bool) -> Seen:
    rgb, box = frame.rgb, face.box
    seen = Seen(
        number,
        frame.at_s,
        box,
        face.landmarks,
        face.score,
        pose_of(face.landmarks),
        cut_chip(rgb, face.landmarks),
    )
    if not detailed:
        return seen
    around = _square(rgb, box, AROUND_SIDES, AROUND_PX)[0]
    return replace(seen, around=around, close=_close_up(rgb, box))


def _close_up(rgb: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Cut the middle of the face out of the frame, pixel by pixel: a screen's grid would show in them."""
    x, y = round((box.x0 + box.x1) / 2), round((box.y0 + box.y1) / 2)
    matrix = np.array([[1, 0, CLOSE_UP_PX / 2 - x], [0, 1, CLOSE_UP_PX / 2 - y]], np.float64)
    piece = cv2.warpAffine(
        rgb, matrix, (CLOSE_UP_PX, CLOSE_UP_PX), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(piece, np.uint8)


def _grey(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    shrink = min(1.0, GREY_PX / max(grey.shape))
    return np.asarray(cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8)


def _with_vectors(seen: Sequence[Seen], models: FaceModels) -> Iterator[Seen]:
    detailed = [one for one in seen if one.around is not None]
    if not detailed:
        yield from seen
        return
    vectors = models.recogniser.embed(np.stack([crop_of(one.chip) for one in detailed]))
    by_frame = {one.frame: vector for one, vector in zip(detailed, vectors, strict=True)}
    for one in seen:
        yield replace(one, vector=by_frame[one.frame]) if one.frame in by_frame else one
