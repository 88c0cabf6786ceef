"""Finds the original that a sighted picture, or frame of a video, is a copy of, and compares both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.originals.aligning import Alignment, Points, align, mirrored, points
from monitor.originals.comparing import ALIKE, MOST_CHANGED, Comparison, compare
from monitor.stages.picture_hash import picture_hashes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from monitor.originals.marks import Marks

FIRST: Final = 90
"""Differing bits, of 256, up to which a frame is the one, if it aligns: different pictures have 128 +- 8."""

AS_IT_IS: Final = 40
"""Differing bits up to which a picture without points that stand out is laid over as it is."""

MOST_FRAMES: Final = 4
"""Frames of a video's marks that one sighted picture is laid over, the nearest by hash first."""

MOVED: Final = 0.5
MUCH: Final = 0.08
"""Where more than MUCH of what both show differs, and MOVED of that stands a little beside its place in the
original, it is another picture of the same moment: somebody moved, and nothing was altered."""


@dataclass(frozen=True)
class Seen:
    """One sighted picture, (h, w, 3) uint8, and what is found in it, once for all originals."""

    rgb: NDArray[np.uint8]
    at_s: float = 0.0

    @cached_property
    def points(self) -> Points:
        """What stands out in it."""
        return points(self.rgb)

    @cached_property
    def mirrored(self) -> Points:
        """What stands out in its mirror image."""
        return points(mirrored(self.rgb))

    @cached_property
    def hashes(self) -> NDArray[np.uint8]:
        """Its hash, however it lies: (8, 32) uint8."""
        return picture_hashes(self.rgb)


@dataclass(frozen=True, slots=True)
class Place:
    """How one frame of an original lies in a sighted picture. `frame` numbers the frames of the marks."""

    frame: int
    alignment: Alignment
    distance: int


def place(seen: Seen, marks: Marks) -> Place | None:
    """Find the frame of an original of which a picture is a copy, the surest; None where none is."""
    best: Place | None = None
    for one in _places(seen, marks):
        if best is None or one.alignment.pairs > best.alignment.pairs:
            best = one
        if one.distance <= FIRST and one.alignment.pairs:
            break
    return best


def places(seen: Seen, marks: Marks) -> list[Place]:
    """Find the frames of an original, and ways to lie in it, of which a picture may be a copy."""
    return list(_places(seen, marks))


def _places(seen: Seen, marks: Marks) -> Iterator[Place]:
    if not len(marks.hashes):
        return
    bits = np.bitwise_count(seen.hashes[:, None] ^ marks.hashes[None]).sum(axis=2)
    nearest = bits.min(axis=0)
    for frame in np.argsort(nearest, kind="stable")[:MOST_FRAMES].tolist():
        distance = int(nearest[frame])
        found = align(marks.points[frame], seen.points, seen.mirrored)
        if found is not None:
            yield Place(frame, found, distance)
        if distance <= AS_IT_IS:
            lies = _as_it_lies(marks.points[frame].size, seen, int(bits[:, frame].argmin()))
            yield Place(frame, lies, distance)


def compared(original: NDArray[np.uint8], seen: Seen, alignment: Alignment) -> Comparison | None:
    """Compare; None where it turns out to be another picture, of the same moment perhaps."""
    found = compare(original, seen.rgb, alignment.matrix)
    return found if found is not None and same_picture(found) else None


def same_picture(found: Comparison) -> bool:
    """Say whether what was compared is one picture, changed or not: else nothing may be called changed."""
    other = found.moved >= MOVED and found.changed > MUCH
    return found.alike >= ALIKE and found.changed <= MOST_CHANGED and not other


def first_of(seen: Seen, shelf: Sequence[Marks]) -> list[tuple[int, Place]]:
    """Give which of several originals a picture is a copy of, as (number, place), the surest first."""
    found = [
        (number, there) for number, marks in enumerate(shelf) if (there := place(seen, marks)) is not None
    ]
    return sorted(found, key=lambda one: -one[1].alignment.pairs)


def _as_it_lies(size: tuple[int, int], seen: Seen, way: int) -> Alignment:
    """Lay the whole over the whole, in one of the eight ways of picture_hash.laid."""
    width, height = size
    rows, columns = seen.rgb.shape[:2]
    matrix = np.eye(3)
    if way & 4:
        matrix = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]) @ matrix
        width, height = height, width
    if way & 1:
        matrix = np.array([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]) @ matrix
    if way & 2:
        matrix = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, height - 1.0], [0.0, 0.0, 1.0]]) @ matrix
    x, y = columns / width, rows / height
    scale = np.array([[x, 0.0, (x - 1) / 2], [0.0, y, (y - 1) / 2], [0.0, 0.0, 1.0]])
    return Alignment(scale @ matrix, 0, bool(np.linalg.det(matrix[:2, :2]) < 0))
