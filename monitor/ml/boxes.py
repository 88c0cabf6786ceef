"""Faces found, as arrays: moved, joined, and cleared of doubles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.values import Box, DetectedFace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

SAME_FACE: Final = 0.5
"""Boxes that overlap more (intersection over union) are looks at one face, and may vote for its points."""

APART: Final = 0.4
"""Two finds whose points are further apart than this part of the narrower box are two faces, cheek by cheek,
however much their boxes overlap."""

TOGETHER: Final = 0.2
"""A voter's points lie no further than this part of the box from those of the best."""

VOTER: Final = 0.3
"""Score from which a look may vote: more voters are steadier, and weaker ones count less."""


@dataclass(frozen=True, slots=True)
class Found:
    """n faces: `boxes` (n, 4) x0 y0 x1 y1, `landmarks` (n, 5, 2), `scores` (n,); float32, pixels."""

    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    scores: NDArray[np.float32]

    @classmethod
    def joined(cls, parts: Sequence[Found]) -> Found:
        """Put the faces of several looks together."""
        return cls(
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.landmarks for part in parts]),
            np.concatenate([part.scores for part in parts]),
        )

    def moved(self, factor: float, x: float, y: float) -> Found:
        """Scale all places, then shift them."""
        shift = np.array([x, y], np.float32)
        return Found(
            self.boxes * np.float32(factor) + np.tile(shift, 2),
            self.landmarks * np.float32(factor) + shift,
            self.scores,
        )

    def faces(self) -> tuple[DetectedFace, ...]:
        """The same as values, best score first."""
        return tuple(
            DetectedFace(Box(*map(float, self.boxes[i])), self.landmarks[i], float(self.scores[i]))
            for i in np.argsort(-self.scores, kind="stable")
        )


def overlaps(box: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of one box (4,) with many (n, 4): (n,) in [0, 1]."""
    corner = np.maximum(box[:2], boxes[:, :2])
    sides = np.clip(np.minimum(box[2:], boxes[:, 2:]) - corner, 0, None)
    shared = sides[:, 0] * sides[:, 1]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    union = areas + (box[2] - box[0]) * (box[3] - box[1]) - shared
    result: NDArray[np.float32] = shared / np.maximum(union, 1e-9)
    return result


def suppress(found: Found, max_overlap: float) -> Found:
    """Keep the best of every group of boxes that overlap more than `max_overlap`."""
    kept = [best for best, _ in _groups(found, max_overlap)]
    return Found(found.boxes[kept], found.landmarks[kept], found.scores[kept])


def vote(found: Found, max_overlap: float, least: float) -> Found:
    """Keep the best of every group that reaches the score `least`; the whole group votes for its points.

    A network finds one face at several neighbouring places and puts the points a little differently each
    time. Their mean, weighted by score, is steadier than the best one's: aligned by it, EdgeFace accepts
    97.5 instead of 97.0 % of genuine pairs at FAR 1e-5 (LFW A to I, at most four pictures a person).
    """
    kept: list[int] = []
    points: list[NDArray[np.float32]] = []
    for best, rest in _groups(found, max_overlap):
        if found.scores[best] < least:
            break  # groups come best first
        on_it = overlaps(found.boxes[best], found.boxes[rest]) > SAME_FACE
        voters = np.append(rest[on_it & (_distances(found, best, rest) < TOGETHER)], best)
        kept.append(best)
        points.append(np.average(found.landmarks[voters], axis=0, weights=found.scores[voters]))
    landmarks = np.asarray(points, np.float32).reshape(-1, 5, 2)
    return Found(found.boxes[kept], landmarks, found.scores[kept])


def _groups(found: Found, max_overlap: float) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Give the best of every group of overlapping boxes, best first, and the rest of its group."""
    waiting = np.argsort(-found.scores, kind="stable")
    while len(waiting):
        best, rest = int(waiting[0]), waiting[1:]
        one = overlaps(found.boxes[best], found.boxes[rest]) > max_overlap
        one &= _distances(found, best, rest) < APART
        yield best, rest[one]
        waiting = rest[~one]


def _distances(found: Found, best: int, rest: NDArray[np.intp]) -> NDArray[np.float32]:
    """How far the middle of each face's points lies from the best one's, in widths of the narrower box."""
    middles = found.landmarks[rest].mean(axis=1) - found.landmarks[best].mean(axis=0)
    widths = found.boxes[:, 2] - found.boxes[:, 0]
    away = np.hypot(middles[:, 0], middles[:, 1]) / np.maximum(np.minimum(widths[rest], widths[best]), 1e-6)
    return np.asarray(away, np.float32)
