"""How well the mouth of a face follows the loudness of a sound, and whether it moves at all.

The mouth's patch is cut out of faces that were turned upright and scaled by their five points, so that
moving the head moves it little. Two things are read off it: how it looks along the one direction in which it
changes most (open or shut), and how much it changes from frame to frame, over and above the cheeks. Whichever
follows the loudness better, a little earlier or later, is the score. How well chance would do is measured
with the same loudness, its rhythm kept and its order lost: random phases (Theiler et al., "Testing for
nonlinearity in time series: the method of surrogate data", 1992).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from monitor.values import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.values import Sound

    Curve = NDArray[np.float64]

MOUTH: Final = np.s_[100:146, 58:102]
"""Rows and columns of a chip that hold the mouth, and below it as far as an open one goes."""

CHEEKS: Final = np.s_[76:104, 44:116]
"""Rows and columns between eyes and mouth, which speaking moves little."""

LIPS: Final = np.s_[104:142, 64:96]
"""Rows and columns between the corners of the mouth, down to where the lower lip goes."""

FLICKER_S, WORD_S = 0.057, 0.34
"""Widths of the Gaussians (standard deviations of 0.04 and 0.24 s) between which lips move in speech."""

LEAST_GREY: Final = 0.1
"""Grey levels of change that are taken for still: a codec makes as much of a photograph that is shown."""

LAGS_S: Final = np.arange(-0.3, 0.31, 1 / 24)
"""By how much sound and picture may be apart: recorders are off by up to a fifth of a second."""

SLOW_S: Final = 0.5
"""Seconds of the Gaussian that is taken off every curve: a syllable is quicker."""

SURROGATES: Final = 200
"""Random orders of the loudness that the score is held against; the first digits of chance are enough."""

ENVELOPE_S: Final = 0.02
"""Seconds of one value of the envelope of the sound."""


def envelope(sound: Sound) -> NDArray[np.float32]:
    """How loud the sound is, every ENVELOPE_S: (n,) float32, the root of its mean square."""
    step = round(ENVELOPE_S * SAMPLE_RATE)
    whole = sound.samples[: len(sound.samples) // step * step].reshape(-1, step)
    return np.sqrt(np.mean(np.square(whole), axis=1, dtype=np.float64)).astype(np.float32)


def follow(
    chips: NDArray[np.float32], times: Curve, loudness: NDArray[np.float32], step_s: float = ENVELOPE_S
) -> tuple[float, float]:
    """Give how well (n, 160, 160) grey faces follow the loudness, and how often chance does as well.

    `times` are (n,) seconds; `loudness` is one value every `step_s` seconds from second 0 on. The first
    answer is a correlation in [-1, 1], the second a share in (0, 1].
    """
    quick = _quick(times)
    curves = _unit(np.stack([_opening(chips), _moving(chips)]) @ quick)
    score = _best(curves, _at(loudness, step_s, times) @ quick)
    rng = np.random.default_rng(0)  # the same clip shall always get the same answer
    shuffled = (_shuffled(loudness, rng) for _ in range(SURROGATES))
    others = [_best(curves, _at(other, step_s, times) @ quick) for other in shuffled]
    return score, (1 + sum(other >= score for other in others)) / (SURROGATES + 1)


def restless(chips: NDArray[np.float32], times: Curve) -> float:
    """How much the lips of (n, 160, 160) grey faces move against the cheeks: 1 where they do alike.

    Of both what is slower than a word and quicker than two frames is taken off, since heads turn slowly and
    sensors are noisy at once; then the square root of the mean square counts, in grey levels.
    """
    soft = np.stack([cv2.GaussianBlur(chip, (0, 0), 2) for chip in chips]).astype(np.float64)
    paced = _near(times, FLICKER_S) - _near(times, WORD_S)
    lips, cheeks = (
        float(np.sqrt(np.mean((paced.T @ soft[:, part[0], part[1]].reshape(len(times), -1)) ** 2)))
        for part in (LIPS, CHEEKS)
    )
    return lips / max(cheeks, LEAST_GREY)


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


def _at(loudness: NDArray[np.float32], step_s: float, times: Curve) -> NDArray[np.float64]:
    """How loud it is around each time, at every lag: (lags, n). A square root, since ears work that way."""
    width = max(1, round(0.08 / step_s))
    smooth = np.convolve(np.sqrt(np.maximum(loudness, 0)), np.ones(width) / width, mode="same")
    grid = (np.arange(len(smooth)) + 0.5) * step_s
    return np.stack([np.interp(times + lag, grid, smooth) for lag in LAGS_S])


def _quick(times: Curve) -> NDArray[np.float64]:
    """Give the (n, n) matrix that leaves of a curve what is quicker than SLOW_S.

    That somebody speaks at all from here to there is easily had; the single syllables are not.
    """
    return np.asarray(np.eye(len(times)) - _near(times, SLOW_S), np.float64)


def _near(times: Curve, width_s: float) -> NDArray[np.float64]:
    """Give the (n, n) matrix that takes of a curve, in its columns, the mean around each time."""
    near = np.exp(-(((times[:, None] - times[None, :]) / width_s) ** 2))
    return np.asarray(near / near.sum(axis=0, keepdims=True), np.float64)


def _best(curves: NDArray[np.float64], loud: NDArray[np.float64]) -> float:
    """Highest correlation of either curve with the loudness at any lag; the sign of the first is free."""
    each = curves @ _unit(loud).T
    return float(max(np.abs(each[0]).max(), each[1].max()))


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9), np.float64)


def _shuffled(loudness: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """The same rhythm in another order: the spectrum kept, its phases random."""
    spectrum = np.fft.rfft(np.sqrt(np.maximum(loudness, 0)))
    phases = np.exp(2j * np.pi * rng.random(len(spectrum)))
    phases[0] = 1
    made = np.fft.irfft(np.abs(spectrum) * phases, n=len(loudness))
    return np.asarray(np.square(np.maximum(made, 0)), np.float32)
