"""Do the lips move while the voice speaks? The mouth of the aligned face against the loudness of the sound.

The mouth's patch is cut out of faces that were turned upright and scaled by their five points, so that
moving the head moves it little. Two things are read off it: how it looks along the one direction in which it
changes most (open or shut), and how much it changes from frame to frame, over and above the cheeks. Whichever
follows the loudness better, a little earlier or later, is the score. How well chance would do is measured
with the same loudness, its rhythm kept and its order lost: random phases (Theiler et al., "Testing for
nonlinearity in time series: the method of surrogate data", 1992). A low score is never more than a doubt:
beards, poor light and a slow phone hide lips.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from enrollment.identity.signs import Outcome, Sign
from enrollment.identity.turns import from_neutral

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from enrollment.identity.watched import Watched
    from monitor.values import Span

    Curve = NDArray[np.float64]

CHECK: Final = "lips"

MOUTH: Final = np.s_[100:146, 58:102]
"""Rows and columns of a chip that hold the mouth, and below it as far as an open one goes."""

CHEEKS: Final = np.s_[76:104, 44:116]
"""Rows and columns between eyes and mouth, which speaking moves little."""

AROUND_S: Final = 0.4
"""Seconds before and after the speech that count: before it the mouth is shut."""

LAGS_S: Final = np.arange(-0.3, 0.31, 1 / 24)
"""By how much sound and picture may be apart: recorders are off by up to a fifth of a second."""

AHEAD_DEG: Final = 15.0
"""Frames turned further than this from neutral do not count."""

LEAST_FRAMES: Final = 16
"""Frames below which nothing can be said: a second and a third."""

SLOW_S: Final = 0.5
"""Seconds of the Gaussian that is taken off every curve: a syllable is quicker."""

SURROGATES: Final = 200
"""Random orders of the loudness that the score is held against; the first digits of chance are enough."""

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


def follow(
    chips: NDArray[np.float32], times: Curve, envelope: NDArray[np.float32], step_s: float
) -> tuple[float, float]:
    """Give how well (n, 160, 160) grey faces follow the loudness, and how often chance does as well."""
    quick = _quick(times)
    curves = _unit(np.stack([_opening(chips), _moving(chips)]) @ quick)
    score = _best(curves, _at(envelope, step_s, times) @ quick)
    rng = np.random.default_rng(0)  # the same clip shall always get the same answer
    shuffled = (_shuffled(envelope, rng) for _ in range(SURROGATES))
    others = [_best(curves, _at(other, step_s, times) @ quick) for other in shuffled]
    return score, (1 + sum(other >= score for other in others)) / (SURROGATES + 1)


def _speaking(watched: Watched, spans: Sequence[Span]) -> tuple[NDArray[np.float32], Curve]:
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


def _opening(chips: NDArray[np.float32]) -> Curve:
    """How the mouth looks along the direction in which it changes most: (n,), its sign unknown."""
    patches = np.stack([cv2.resize(cv2.GaussianBlur(chip[MOUTH], (0, 0), 2), (11, 12)) for chip in chips])
    rows = patches.reshape(len(patches), -1).astype(np.float64)
    light = np.array([chip[CHEEKS].mean() for chip in chips])[:, None]
    rows = rows / np.maximum(light, 1.0)
    rows -= rows.mean(axis=0)
    _, _, directions = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(rows @ directions[0], np.float64)


def _moving(chips: NDArray[np.float32]) -> Curve:
    """How much the mouth changes from frame to frame, over and above the cheeks: (n,)."""
    change = np.abs(np.diff(np.stack([cv2.GaussianBlur(chip, (0, 0), 1.5) for chip in chips]), axis=0))
    mouth, cheeks = (change[:, part[0], part[1]].mean(axis=(1, 2)) for part in (MOUTH, CHEEKS))
    over = mouth - cheeks
    return np.concatenate([over[:1], over]).astype(np.float64)


def _at(envelope: NDArray[np.float32], step_s: float, times: Curve) -> NDArray[np.float64]:
    """How loud it is around each time, at every lag: (lags, n). A square root, since ears work that way."""
    width = max(1, round(0.08 / step_s))
    smooth = np.convolve(np.sqrt(np.maximum(envelope, 0)), np.ones(width) / width, mode="same")
    grid = (np.arange(len(smooth)) + 0.5) * step_s
    return np.stack([np.interp(times + lag, grid, smooth) for lag in LAGS_S])


def _quick(times: Curve) -> NDArray[np.float64]:
    """Give the (n, n) matrix that leaves of a curve what is quicker than SLOW_S.

    That somebody speaks at all from here to there is easily had; the single syllables are not.
    """
    near = np.exp(-(((times[:, None] - times[None, :]) / SLOW_S) ** 2))
    near /= near.sum(axis=0, keepdims=True)
    return np.asarray(np.eye(len(times)) - near, np.float64)


def _best(curves: NDArray[np.float64], loud: NDArray[np.float64]) -> float:
    """Highest correlation of either curve with the loudness at any lag; the sign of the first is free."""
    each = curves @ _unit(loud).T
    return float(max(np.abs(each[0]).max(), each[1].max()))


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9), np.float64)


def _shuffled(envelope: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """The same rhythm in another order: the spectrum kept, its phases random."""
    spectrum = np.fft.rfft(np.sqrt(np.maximum(envelope, 0)))
    phases = np.exp(2j * np.pi * rng.random(len(spectrum)))
    phases[0] = 1
    made = np.fft.irfft(np.abs(spectrum) * phases, n=len(envelope))
    return np.asarray(np.square(np.maximum(made, 0)), np.float32)
