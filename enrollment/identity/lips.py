"""Do the lips move while the voice speaks? The mouth of the aligned face against the loudness of the sound.

How that is measured stands in monitor/ml/lip_motion.py. A low score is never more than a doubt: beards, poor
light and a slow phone hide lips.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from enrollment.identity.signs import Outcome, Sign
from enrollment.identity.turns import from_neutral
from monitor.ml.lip_motion import follow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from enrollment.identity.watched import Watched
    from monitor.values import Span

CHECK: Final = "lips"

AROUND_S: Final = 0.4
"""Seconds before and after the speech that count: before it the mouth is shut."""

AHEAD_DEG: Final = 15.0
"""Frames turned further than this from neutral do not count."""

LEAST_FRAMES: Final = 16
"""Frames below which nothing can be said: a second and a third."""

CHANCE: Final = 0.05
"""How often chance may do as well."""

FOLLOWS: Final = 0.4
"""Correlation from which on lips follow a voice."""


def lips(watched: Watched, envelope: NDArray[np.float32], step_s: float, spans: Sequence[Span]) -> Sign:
    """Compare lips and voice. Score: correlation in [-1, 1].

    `envelope` is (n,) float32, how loud the sound is every `step_s` seconds from the start of the clip;
    `spans` are where somebody speaks. pass `lips_follow`; doubt `lips_not_seen` (too few frames),
    `lips_apart`.
    """
    chips, times = _speaking(watched, spans)
    if len(times) < LEAST_FRAMES:
        return Sign(CHECK, Outcome.DOUBT, "lips_not_seen", 0.0)
    score, chance = follow(chips, times, envelope, step_s)
    if score >= FOLLOWS and chance <= CHANCE:
        return Sign(CHECK, Outcome.PASS, "lips_follow", score)
    return Sign(CHECK, Outcome.DOUBT, "lips_apart", score)


def _speaking(watched: Watched, spans: Sequence[Span]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Give the faces around the speech as (n, 160, 160) grey, and their times."""
    if not spans or not watched.seen:
        return np.zeros((0, 1, 1), np.float32), np.zeros(0)
    start, end = spans[0].start_s - AROUND_S, spans[-1].end_s + AROUND_S
    yaw, pitch = from_neutral(watched)
    taken = [
        one
        for one, y, p in zip(watched.seen, yaw, pitch, strict=True)
        if start <= one.at_s <= end and max(abs(y), abs(p)) <= AHEAD_DEG
    ]
    grey = [cv2.cvtColor(one.chip, cv2.COLOR_RGB2GRAY) for one in taken]
    return np.array(grey, np.float32), np.array([one.at_s for one in taken])
