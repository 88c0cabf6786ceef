"""Was a screen filmed? Its grid against the camera's gives waves that stand still in the picture: a hint.

Skin has no waves: away from the lowest frequencies its spectrum falls evenly in every direction. Of the
pieces of the face that were kept in the frame's own pixels the mean power spectrum is taken, in brightness
and in both colours, and the highest peak over its ring is the score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from enrollment.identity.signs import Outcome, Sign

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from enrollment.identity.watched import Watched

CHECK: Final = "screen"

LONGEST_WAVE, SHORTEST_WAVE = 16.0, 2.6
"""Pixels of the waves that are looked for: longer ones are shades of the face, shorter ones the codec's."""

HIGH: Final = 1.8
"""From which peak on a person should look: power of ten over the middle of its ring. Genuine clips have up to
1.5, clips of a screen whose waves are 2 to 10 per cent of the light 2.4 and more (simulated, see README)."""

LEAST_PIECES: Final = 8
"""Pieces below which the mean is too rough."""


def screen(watched: Watched) -> Sign:
    """Look for waves. Score: the highest peak, a power of ten.

    pass `no_waves`, `waves_not_looked_for`; doubt `waves`.
    """
    pieces = [one.close for one in watched.seen if one.close is not None]
    if len(pieces) < LEAST_PIECES:
        return Sign(CHECK, Outcome.PASS, "waves_not_looked_for", 0.0)
    score = peak(np.stack(pieces))
    if score >= HIGH:
        return Sign(CHECK, Outcome.DOUBT, "waves", score)
    return Sign(CHECK, Outcome.PASS, "no_waves", score)


def peak(pieces: NDArray[np.uint8]) -> float:
    """Highest peak over its ring of (n, s, s, 3) uint8 RGB pieces: a power of ten, 0 and up."""
    side = pieces.shape[1]
    window = np.outer(np.hanning(side), np.hanning(side))
    colours = np.stack([cv2.cvtColor(piece, cv2.COLOR_RGB2YCrCb) for piece in pieces]).astype(np.float32)
    colours -= colours.mean(axis=(1, 2), keepdims=True)
    power = np.abs(np.fft.rfft2(colours * window[None, :, :, None], axes=(1, 2))) ** 2
    return max(_over_ring(power[..., channel].mean(axis=0), side) for channel in range(3))


def _over_ring(power: NDArray[np.float32], side: int) -> float:
    """Highest log10 of a place over the median of its ring, of (s, s // 2 + 1) power."""
    down, across = np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij")
    away = np.hypot(down, across)
    wanted = (away > 1 / LONGEST_WAVE) & (away < 1 / SHORTEST_WAVE)
    wanted &= (np.abs(down) > 1.5 / side) & (np.abs(across) > 1.5 / side)  # edges of blocks lie on the axes
    ring = np.round(away * side).astype(int)
    high = 0.0
    for number in np.unique(ring[wanted]):
        values = power[wanted & (ring == number)]
        middle = max(float(np.median(values)), 1e-3)
        high = max(high, float(np.log10(max(float(values.max()), middle) / middle)))
    return high
