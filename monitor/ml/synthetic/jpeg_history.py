"""How hard a picture was once compressed as a JPEG, read from its pixels alone.

JPEG rounds the cosine coefficients of blocks of 8 x 8 pixels to multiples of a step. The multiples are still
to be seen in the pixels: after another, milder compression, after a crop, and in a PNG. They are gone after
the picture was scaled; then what hard compression took away shows as blur (gates.py), or not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.values import Box

BLOCK: Final = 8
"""Pixels of a block's side (ITU-T T.81)."""

WINDOW: Final = 512
"""Pixels a side that are looked at around the face: some 4,000 blocks tell a step without doubt."""

STEPS: Final = {(0, 1): 11, (1, 0): 12, (1, 1): 12, (0, 2): 10, (2, 0): 14, (1, 2): 14, (2, 1): 13}
"""Frequency (down, across) -> its step in the example table of the standard (T.81, K.1), which quality 50 of
the usual encoders takes as it is. The lowest seven: the others are mostly zero where it matters."""

LARGEST: Final = 120
"""Step that is tried first: quality 5 of the usual encoders."""

SMALLEST_RATIO: Final = 1.0
"""Ratio of steps to STEPS below which nothing is looked for: quality 50 and better harms no signal."""

COMB: Final = 0.7
"""How well coefficients must lie on multiples of a step (mean cosine of their phase, 1 for exactly)."""

ENOUGH: Final = 20
"""Coefficients that must be left after rounding to tell the step by."""


def coarseness(rgb: NDArray[np.uint8], box: Box) -> float:
    """Give the steps of the hardest JPEG compression of a (h, w, 3) picture around a box, against STEPS.

    0 where none is to be seen. Of the usual encoders 1.25 is quality 40, 2 is 25, 2.5 is 20, 5 is 10.
    """
    grey = cv2.cvtColor(_around(rgb, box), cv2.COLOR_RGB2GRAY).astype(np.float32)
    if min(grey.shape) < 4 * BLOCK:
        return 0.0
    blocks = _blocks(grey[_grid(grey, 0) :, _grid(grey, 1) :])
    found = [_step(_coefficient(blocks, *at), usual * SMALLEST_RATIO) / usual for at, usual in STEPS.items()]
    return float(np.median(found))


def _around(rgb: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    height, width = rgb.shape[:2]
    left = int(min(max((box.x0 + box.x1 - WINDOW) / 2, 0), max(width - WINDOW, 0)))
    top = int(min(max((box.y0 + box.y1 - WINDOW) / 2, 0), max(height - WINDOW, 0)))
    return np.ascontiguousarray(rgb[top : top + WINDOW, left : left + WINDOW])


def _grid(grey: NDArray[np.float32], axis: int) -> int:
    """Find at which pixel the blocks begin: there the brightness jumps most."""
    jumps = np.abs(np.diff(grey, axis=axis)).mean(axis=1 - axis)
    whole = len(jumps) // BLOCK * BLOCK
    return int(np.argmax(jumps[:whole].reshape(-1, BLOCK).mean(axis=0)) + 1) % BLOCK


def _blocks(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut (h, w) into (n, 8, 8), and leave out what is over."""
    rows, columns = grey.shape[0] // BLOCK, grey.shape[1] // BLOCK
    whole = grey[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    return np.ascontiguousarray(whole.transpose(0, 2, 1, 3).reshape(-1, BLOCK, BLOCK))


def _wave(frequency: int) -> NDArray[np.float32]:
    """Give one row of the cosine transform of T.81: (8,)."""
    scale = np.sqrt(1 / BLOCK) if frequency == 0 else np.sqrt(2 / BLOCK)
    turns = (2 * np.arange(BLOCK) + 1) * frequency * np.pi / (2 * BLOCK)
    return np.asarray(scale * np.cos(turns), np.float32)


def _coefficient(blocks: NDArray[np.float32], down: int, across: int) -> NDArray[np.float32]:
    """Give one coefficient of every block: (n,)."""
    return np.asarray(blocks @ _wave(across) @ _wave(down), np.float32)


def _step(coefficients: NDArray[np.float32], least: float) -> float:
    """Give the largest step from `least` on whose multiples the coefficients are, or 0."""
    size = np.abs(coefficients)
    for step in range(LARGEST, int(np.ceil(least)) - 1, -1):
        left = size[size > step / 2]
        if len(left) >= ENOUGH and float(np.cos(2 * np.pi / step * left).mean()) > COMB:
            return float(step)
    return 0.0
