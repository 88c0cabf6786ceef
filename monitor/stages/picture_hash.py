"""The rough look of a whole picture in 256 bits, by which its copies are looked up.

As Facebook's PDQ does it: brightness on a square of 64 pixels, its cosine transform, the 256 slowest
waves, each above or below their median. A mirrored or turned picture has waves of other signs and places,
so all eight ways to lay a picture come from one transform.

Such a hash tells pictures apart, not people: a face that was put in place of another one changes six to
forty bits, as many as a darker copy does (99 pictures of LFW, 2026-11). Whoever goes by it must look at the
faces as well; copies.py does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from scipy.fft import dctn

if TYPE_CHECKING:
    from numpy.typing import NDArray

BYTES: Final = 32
"""256 bits."""

WAYS: Final = 8
"""Ways to lay a picture: four turns, each as it is or mirrored."""

_SIDE: Final = 64
_WAVES: Final = 16
_SIGNS: Final = np.where(np.arange(_WAVES) % 2, -1.0, 1.0)
"""Mirrored, a wave with an odd number of half-periods is upside down."""


def picture_hashes(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Hash a (h, w, 3) uint8 picture in every way it can be laid: (WAYS, BYTES) uint8.

    Row `way` is the first row of `laid(rgb, way)`; row 0 is the picture as it is.
    """
    grey = cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    waves = dctn(grey.astype(np.float64))[:_WAVES, :_WAVES]
    ways = [_laid_waves(waves, way) for way in range(WAYS)]
    return np.stack([np.packbits((one > np.median(one)).ravel()) for one in ways])


def laid(rgb: NDArray[np.uint8], way: int) -> NDArray[np.uint8]:
    """Lay a picture another way: 4 swaps its axes, then 1 mirrors it, 2 puts it upside down."""
    if way & 4:
        rgb = rgb.transpose(1, 0, 2)
    if way & 1:
        rgb = rgb[:, ::-1]
    if way & 2:
        rgb = rgb[::-1]
    return np.ascontiguousarray(rgb)


def _laid_waves(waves: NDArray[np.float64], way: int) -> NDArray[np.float64]:
    if way & 4:
        waves = waves.T
    if way & 1:
        waves = waves * _SIGNS
    if way & 2:
        waves = waves * _SIGNS[:, None]
    return waves
