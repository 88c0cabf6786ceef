"""Does the picture live? Black frames, a picture that stands still, and pieces that come again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from enrollment.identity.signs import Outcome, Sign

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from enrollment.identity.watched import Watched

BLACK, FROZEN, LOOP = "black", "frozen", "loop"
"""Names of the checks."""

DARK_LEVEL, FLAT_SPREAD = 10.0, 6.0
"""Mean and standard deviation of grey levels of a frame that shows nothing."""

BLACK_SHARE: Final = 0.3
"""Part of the frames that may show nothing: a camera that wakes up shows a few."""

STILL: Final = 0.08
"""Mean change of a frame of 320 pixels, in grey levels, below which it is the one before, encoded again."""

FROZEN_S, FROZEN_LONG_S = 1.0, 2.5
"""Seconds for which a picture stands still: a phone that hesitates does. From the second on it is refused."""

THUMB: Final = (48, 36)
"""Size at which pieces are compared."""

LOOP_S, SHORTEST_LOOP_S = 1.0, 0.8
"""Least seconds from a piece to its return, and least length of a piece."""

AGAIN: Final = 0.25
"""A piece comes again where it differs from the earlier one by less than this part of its own movement."""


LEAST_MOVED: Final = 1.0
"""Grey levels by which a piece must differ from its own mean to be worth comparing: who sits still and looks
into the camera looks much the same a second later."""


def alive(watched: Watched) -> tuple[Sign, ...]:
    """Make the three checks."""
    return black(watched), frozen(watched), loop(watched)


def black(watched: Watched) -> Sign:
    """Is there a picture? Score: the part of the frames that show nothing.

    pass `shows_something`; fail `black_frames`.
    """
    if not watched.sights:
        return Sign(BLACK, Outcome.FAIL, "black_frames", 1.0)
    share = float(
        np.mean([one.grey.mean() < DARK_LEVEL and one.grey.std() < FLAT_SPREAD for one in watched.sights])
    )
    if share > BLACK_SHARE:
        return Sign(BLACK, Outcome.FAIL, "black_frames", share)
    return Sign(BLACK, Outcome.PASS, "shows_something", share)


def frozen(watched: Watched) -> Sign:
    """Does the picture move? Score: for how many seconds it stood still at most.

    pass `moves`; doubt `hesitates`; fail `frozen`.
    """
    longest = longest_stand(watched)
    if longest >= FROZEN_LONG_S:
        return Sign(FROZEN, Outcome.FAIL, "frozen", longest)
    if longest >= FROZEN_S:
        return Sign(FROZEN, Outcome.DOUBT, "hesitates", longest)
    return Sign(FROZEN, Outcome.PASS, "moves", longest)


def loop(watched: Watched) -> Sign:
    """Does a piece come again? Score: the least difference of a piece to a later one, in its own movement.

    pass `does_not_return`; fail `loop`.
    """
    score = best_return(watched)
    if score < AGAIN:
        return Sign(LOOP, Outcome.FAIL, "loop", score)
    return Sign(LOOP, Outcome.PASS, "does_not_return", score)


def longest_stand(watched: Watched) -> float:
    """Longest time in seconds in which no frame differs from the one before."""
    longest = since = 0.0
    for before, after in zip(watched.sights, watched.sights[1:], strict=False):
        same = float(np.mean(cv2.absdiff(before.grey, after.grey))) < STILL
        since = since + after.at_s - before.at_s if same else 0.0
        longest = max(longest, since)
    return longest


def best_return(watched: Watched) -> float:
    """Compare every piece with every later one: least mean difference as a part of the piece's movement.

    Gives infinity for a clip too short to hold two pieces, and for pieces that do not move.
    """
    if watched.seconds < 2 * LOOP_S:
        return float("inf")
    thumbs = np.stack([_thumb(one.grey) for one in watched.sights])
    rate = (len(thumbs) - 1) / watched.seconds
    piece = max(3, round(SHORTEST_LOOP_S * rate))
    best = float("inf")
    for lag in range(round(LOOP_S * rate), len(thumbs) - piece):
        apart = np.abs(thumbs[lag:] - thumbs[:-lag]).mean(axis=1)
        moved = _movement(thumbs, piece)[: len(apart) - piece + 1]
        share = _running(apart, piece) / np.maximum(moved, 1e-6)
        share = np.where(moved > LEAST_MOVED, share, np.inf)
        best = min(best, float(share.min(initial=np.inf)))
    return best


def _movement(thumbs: NDArray[np.float32], piece: int) -> NDArray[np.float32]:
    """How far the frames of each piece are from its mean: (n - piece + 1,) grey levels."""
    windows = np.lib.stride_tricks.sliding_window_view(thumbs, piece, axis=0)
    return np.asarray(np.abs(windows - windows.mean(axis=-1, keepdims=True)).mean(axis=(1, 2)), np.float32)


def _running(values: NDArray[np.float32], piece: int) -> NDArray[np.float32]:
    return np.asarray(np.convolve(values, np.ones(piece) / piece, mode="valid"), np.float32)


def _thumb(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(grey, THUMB, interpolation=cv2.INTER_AREA), np.float32).reshape(-1)
