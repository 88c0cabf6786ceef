"""How large a picture is looked at: once at a size that is enough for most, again where it may not be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.ml.boxes import Found

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Look = Callable[[NDArray[np.uint8], float], Found]
    """Finds faces in a picture scaled by a factor; gives places in the picture's own pixels."""


WORTH_IT = 1.5
"""A second look that is less than this much finer than the first would find little more, at twice the cost:
so the frames of a video, which come with at most 1,280 pixels, are looked at once."""


@dataclass(frozen=True, slots=True)
class Looks:
    """Sizes, in pixels after scaling.

    First look: no side longer than `long_side`. A larger picture may hold faces that this is too coarse for,
    also behind a large one, so a second look scales by `finer_scale`, or to a long side of `finer_long_side`
    where that is smaller. It goes in tiles, so that memory does not grow with the picture; a face up to
    `overlap` lies whole in one of them, and the first look found the larger ones.
    """

    long_side: int
    finer_scale: float
    finer_long_side: int
    tile: int
    overlap: int


def look_twice(look: Look, image: NDArray[np.uint8], looks: Looks) -> Found:
    """Find the faces of one (h, w, 3) picture; a face that both looks found comes twice."""
    long_side = max(image.shape[:2])
    scale = min(1.0, looks.long_side / long_side)
    finer = min(looks.finer_scale, looks.finer_long_side / long_side)
    found = look(image, scale)
    if finer < scale * WORTH_IT:
        return found
    return Found.joined([found, *_look_in_tiles(look, image, finer, looks)])


def _look_in_tiles(look: Look, image: NDArray[np.uint8], scale: float, looks: Looks) -> list[Found]:
    side, step = round(looks.tile / scale), round((looks.tile - looks.overlap) / scale)
    height, width = image.shape[:2]
    return [
        look(image[top : top + side, left : left + side], scale).moved(1, left, top)
        for top in _starts(height, side, step)
        for left in _starts(width, side, step)
    ]


def _starts(length: int, side: int, step: int) -> range:
    """Where the tiles along one side begin: the last one reaches the end."""
    return range(0, max(1, length - (side - step)), step)
