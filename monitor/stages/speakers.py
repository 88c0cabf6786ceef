"""Tells the speakers of one sound apart, by the recogniser that compares with the enrolled anyway.

Short windows of speech are grouped by voice, then every moment is given to the group that it sounds most
like. pyannote's segmentation network, ten seconds at a time, was tried in place of the windows: in 20 mixes
of three LibriSpeech readers (turns of 2 to 6 s, a fifth of them beginning before the last had ended) it gave
84 % of the subject's time and claimed 11 % of the others', for it often takes two readers for one. The
windows gave 98 % and 0.7 %. As a judge of overlaps beside them it cost more of the subject's time (1 to 4 %)
than it saved of the others' (0.1 to 0.3 %), and half as much again to compute (CAM++, 2026-11). Two voices at
once are like neither of them alone: such a moment goes to the louder one, or to somebody who is nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist

from monitor.values import SAMPLE_RATE, Sound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.ml.interfaces import VoiceRecogniser
    from monitor.values import Span

CELL_S = 0.05
"""Seconds of one cell: the sound is divided into these, and each is given to one speaker."""

CELL = round(CELL_S * SAMPLE_RATE)
"""Samples of one cell."""

WINDOW = 30
"""Cells of speech in one window, 1.5 s: of one speaker's windows 95 % are more alike than 0.42, of two
speakers' 0.1 % more than 0.35 (LibriSpeech, 122 speakers, CAM++ with its channel map, 2026-11)."""

HOP = 15
"""Cells from one window to the next: every moment is heard in two."""

SHORTEST = 10
"""Cells of speech in a window at least: a voice cannot be told from half a second."""

PAUSE = 8
"""Cells: a longer pause ends a stretch, for the next to speak may be another."""

LONGEST_PAUSE = 20
"""Cells: where no stretch is as long as a window, they go on over pauses up to this."""

ALIKE = 0.40
"""Mean cosine from which on groups of windows are one speaker. One speaker taken for two is compared twice;
two taken for one are not found, so a doubtful pair is kept apart: with 0.34 somebody who says two seconds was
taken for the subject."""

BLOCKS_ALIKE = 0.50
"""The same for speakers of two blocks, whose vectors are means and so more alike when they are one."""

BLOCK = 600
"""Windows that are grouped at once, some eight minutes of speech: bounds time and memory."""

CHANGE = 1.0
"""What a change of speaker must bring, in cosine summed over cells, so that one odd window is no turn."""

NOBODY = 0.25
"""Likeness to every voice below which a moment is nobody's: one who says a word or two, two at once, a laugh.
Of windows of one speaker 99 % are more alike than 0.30, of two 99 % less than 0.26 (data as above)."""

ROUNDS = 2
"""How often moments are given out: the second time by vectors of windows that hold one speaker alone."""

PURE = 0.9
"""Part of a window that one speaker must have for it to say how that speaker sounds."""

WINDOWS_AT_ONCE = 16
"""Windows in one call of the recogniser."""


@dataclass(frozen=True, slots=True)
class Windows:
    """All windows of a sound. `cells` are their cells, in order; `vectors` is (n, d) float32 of length 1."""

    cells: Sequence[NDArray[np.int64]]
    vectors: NDArray[np.float32]


def speech_cells(speech: Sequence[Span], count: int) -> NDArray[np.int64]:
    """Give the cells, of `count`, in which somebody speaks: (n,) int64, in order."""
    found = np.zeros(count, bool)
    for span in speech:
        found[round(span.start_s / CELL_S) : round(span.end_s / CELL_S)] = True
    return np.flatnonzero(found)


def place_windows(spoken: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Lay windows of WINDOW cells, HOP apart, over each stretch; the last one reaches to its end.

    Who pauses after every word or two has no stretch as long as a window: then longer pauses are passed over.
    """
    windows = _laid(spoken, PAUSE)
    whole = sum(len(own) == WINDOW for own in windows)
    return windows if whole > 1 else _laid(spoken, LONGEST_PAUSE)


def _laid(spoken: NDArray[np.int64], pause: int) -> list[NDArray[np.int64]]:
    windows: list[NDArray[np.int64]] = []
    for stretch in np.split(spoken, np.flatnonzero(np.diff(spoken) > pause + 1) + 1):
        if len(stretch) < SHORTEST:
            continue
        last = max(0, len(stretch) - WINDOW)
        starts = [*range(0, last, HOP), last]
        windows += [stretch[start : start + WINDOW] for start in starts]
    return windows


def sound_of(sound: Sound, cells: NDArray[np.int64]) -> Sound:
    """Cut the cells out of a sound and put them together."""
    runs = np.split(cells, np.flatnonzero(np.diff(cells) > 1) + 1)
    cuts = [sound.samples[int(run[0]) * CELL : (int(run[-1]) + 1) * CELL] for run in runs]
    return Sound(cuts[0] if len(cuts) == 1 else np.concatenate(cuts))


def embed_windows(
    sound: Sound, cells: Sequence[NDArray[np.int64]], recogniser: VoiceRecogniser
) -> NDArray[np.float32]:
    """Give (n, d) float32, a row of length 1 for each window; only a few windows are cut out at a time."""
    parts = [np.empty((0, recogniser.dimension), np.float32)]
    for start in range(0, len(cells), WINDOWS_AT_ONCE):
        some = cells[start : start + WINDOWS_AT_ONCE]
        parts.append(recogniser.embed([sound_of(sound, own) for own in some]))
    return np.concatenate(parts)


def tell_apart(windows: Windows, count: int) -> NDArray[np.int64]:
    """Say who speaks in each of `count` cells: (count,) int64, a number from 0 on, or -1 where nobody does.

    Numbers are in order of the first word. What no window holds, or is like no voice, is nobody's.
    """
    if not windows.cells:
        return np.full(count, -1, np.int64)
    voices = _voices(windows)
    for _ in range(ROUNDS):
        who = _give_out(windows, voices, count)
        voices = _heard_alone(windows, who, voices)
    return _by_first_word(who)


def _voices(windows: Windows) -> NDArray[np.float32]:
    """Group the windows by voice: (speakers, d) float32, rows of length 1. Short windows do not decide."""
    whole = np.array([len(own) >= PURE * WINDOW for own in windows.cells])
    if whole.sum() < 2:
        whole[:] = True
    vectors = windows.vectors[whole]
    if len(vectors) <= BLOCK:
        return _means(vectors, _grouped(vectors, ALIKE))
    blocks = np.array_split(vectors, -(-len(vectors) // BLOCK))
    found = np.concatenate([_means(block, _grouped(block, ALIKE)) for block in blocks])
    return _means(found, _grouped(found, BLOCKS_ALIKE), least=1)


def _grouped(vectors: NDArray[np.float32], alike: float) -> NDArray[np.int64]:
    """Join the two groups whose members are most alike on average, until no two reach `alike`: (n,) int64."""
    if len(vectors) < 2:
        return np.zeros(len(vectors), np.int64)
    halves = pdist(vectors.astype(np.float64), "sqeuclidean") / 2  # of rows of length 1: 1 - cosine
    groups: NDArray[np.int64] = fcluster(linkage(halves, "average"), 1 - alike, "distance").astype(np.int64)
    return groups


def _means(vectors: NDArray[np.float32], groups: NDArray[np.int64], least: int = 2) -> NDArray[np.float32]:
    """Give each group's mean of length 1. One window by itself is mostly two voices, so it is no group."""
    numbers, counts = np.unique(groups, return_counts=True)
    kept = numbers[counts >= least] if (counts >= least).any() else numbers
    return _unit(np.stack([vectors[groups == number].mean(axis=0) for number in kept]))


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-9), np.float32)


def _give_out(windows: Windows, voices: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Give every cell that a window holds to a voice, with as few changes as the likeness allows."""
    likeness = np.zeros((count, len(voices) + 1), np.float32)
    weights = np.zeros(count, np.float32)
    for own, row in zip(windows.cells, windows.vectors @ voices.T, strict=True):
        middle = np.minimum(np.arange(1, len(own) + 1), np.arange(len(own), 0, -1)).astype(np.float32)
        likeness[own, :-1] += middle[:, None] * row
        weights[own] += middle
    held = np.flatnonzero(weights)
    likeness[held] /= weights[held, None]
    likeness[held, -1] = NOBODY
    who = np.full(count, -1, np.int64)
    who[held] = _path(likeness[held])
    who[who == len(voices)] = -1
    return who


def _path(likeness: NDArray[np.float32]) -> NDArray[np.int64]:
    """Find the row of voices with the most likeness, each change of voice costing CHANGE (Viterbi)."""
    count, voices = likeness.shape
    before = np.empty((count, voices), np.int64)
    total, stay = likeness[0].copy(), np.arange(voices)
    for cell in range(1, count):
        best = int(total.argmax())
        changed = total[best] - CHANGE
        before[cell] = np.where(total >= changed, stay, best)
        total = np.maximum(total, changed) + likeness[cell]
    path = np.empty(count, np.int64)
    path[-1] = total.argmax()
    for cell in range(count - 1, 0, -1):
        path[cell - 1] = before[cell, path[cell]]
    return path


def _heard_alone(
    windows: Windows, who: NDArray[np.int64], voices: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Take each voice from the windows that hold it alone; a voice that no window holds alone is dropped."""
    counts = np.stack([np.bincount(who[own] + 1, minlength=len(voices) + 1)[1:] for own in windows.cells])
    pure = counts.max(axis=1) >= PURE * np.array([len(own) for own in windows.cells])
    owner = counts.argmax(axis=1)
    means = [windows.vectors[pure & (owner == n)].mean(axis=0) for n in np.unique(owner[pure])]
    return _unit(np.stack(means)) if means else voices


def _by_first_word(who: NDArray[np.int64]) -> NDArray[np.int64]:
    numbers, firsts = np.unique(who[who >= 0], return_index=True)
    order = np.full(int(who.max(initial=0)) + 1, -1, np.int64)
    order[numbers[np.argsort(firsts)]] = np.arange(len(numbers))
    return np.where(who >= 0, order[np.maximum(who, 0)], -1)
