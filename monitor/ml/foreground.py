"""Keeps the murmur behind a voice from being taken for its speech.

A detector of speech calls people who talk in the background speech too, and rightly. What it finds between
the words of the one in front is then nobody's, and two seconds of "speech" may hold one second of a voice.
Such a murmur is told by two things together: the quietest moments of the recording are called speech, and
they are not far below the loudest. Where either is not so, nothing is changed: a soft speaker is no murmur.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW: Final = 512
"""Samples of one window: 32 ms, as Silero judges them."""

AROUND: Final = 5
"""Windows over which loudness is taken: 160 ms, about a syllable."""

BLOCK: Final = 1875
"""Windows that are judged by their own floor, at most: a minute."""

QUIETEST: Final = 0.10
"""Part of a block whose loudest moment is the floor."""

SPEAKS: Final = 0.5
"""Probability from which a window counts as speech here, as in voices.SPEECH_STARTS."""

MURMUR: Final = 0.5
"""Part of the quietest windows that must be called speech. Three of four LibriSpeech recordings, of 170, have
0.13 or less as they are and 0.19 or less in white noise, but 0.82 or more among six voices (both at 5 dB)."""

ABOVE_DB: Final = 2.0
"""What lies less than this above the floor is murmur. Of 2 to 5 dB the one with which about as much speech is
found among six voices as without them (0.96 of it; 120 readers whom the bench does not try, 2026-11). One
voice's own syllables differ by more, so a soft speaker keeps the louder ones."""


FAR_DB: Final = 14.0
"""How far a murmur's floor lies below the LOUDEST moments at most: at 5 dB 12 or less, at 10 dB 13 on
average. 30 pairs of readers whose pauses were cut out, one after the other: the second loses 0.07 of what is
heard of him where both are as loud, 0.05 where he is 6 dB softer, nothing where he is 10 or 15 dB softer (and
0.42 without this limit). Where pauses are left, nobody loses anything."""

LOUDEST: Final = 0.9
"""Quantile of loudness that counts as the loudest."""


def in_front(probabilities: NDArray[np.float32], samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Set to 0 how likely speech is, (windows,) in [0, 1], where a murmur is heard and nobody over it.

    `samples` are those of the windows, (n,) float32; the last window may be cut short.
    """
    count = len(probabilities)
    parts = max(1, -(-count // BLOCK))
    kept = probabilities.copy()
    for places in np.array_split(np.arange(count), parts):
        if len(places) < AROUND:
            continue
        first = int(places[0])
        loud = _loudness(samples[first * WINDOW : (first + len(places)) * WINDOW])
        floor = np.quantile(loud, QUIETEST)
        near = np.quantile(loud, LOUDEST) <= floor * 10 ** (FAR_DB / 10)
        if near and np.mean(probabilities[places][loud <= floor] > SPEAKS) >= MURMUR:
            kept[places[loud < floor * 10 ** (ABOVE_DB / 10)]] = 0
    return kept


def _loudness(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Give the mean power around each window: (windows,)."""
    whole = np.pad(samples, (0, -len(samples) % WINDOW)).reshape(-1, WINDOW)
    power = np.einsum("ij,ij->i", whole, whole).astype(np.float64) / WINDOW
    padded = np.pad(power, AROUND // 2, "edge")
    return np.convolve(padded, np.full(AROUND, 1 / AROUND), "valid")
