"""Prints of sound, by which the same recording is known again through codecs, and its offset is found.

After Haitsma and Kalker (ISMIR 2002): 33 bands from 300 to 3000 Hz, 62.5 times a second; a bit says whether
the energy difference of two neighbouring bands grew since the last step. Copies differ in few bits, other
sound in half of them. A print of speech is no voice template: it does not tell who speaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.values import SAMPLE_RATE, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

HOP: Final = 256
"""Samples between two prints: 16 ms."""

LONG: Final = 4096
"""Samples of one print: 256 ms."""

PER_S: Final = SAMPLE_RATE / HOP
BANDS: Final = 33
BITS: Final = 32
LOW_HZ, HIGH_HZ = 300.0, 3000.0

BLOCK: Final = 192
"""Prints that are looked up together: 3 s."""

SAME: Final = 0.33
"""Share of differing bits up to which a block is the same recording (the paper's own: 0.35)."""

WINDOW: Final = 62
"""Prints of the window in which a stretch is judged: 1 s."""

OTHER: Final = 0.41
"""Share of differing bits from which on a window is another sound. Chance is 0.5, spread 0.03."""

LEAST_S: Final = 0.8
"""Seconds of another sound that are named; a window is 1 s, so shorter ones blur into their surroundings."""

EDGE_S: Final = 0.25
"""Seconds by which a stretch is longer on each side than the windows say that are mostly within it."""

FAINT: Final = 0.03
"""Of the loud parts' level (95 % of windows are below): windows fainter than this in both say nothing."""


@dataclass(frozen=True, slots=True)
class SoundMatch:
    """How a sound lies in an original. `offset_s`: seconds of the sighting at which the original begins.

    `same_s` are the seconds that were compared and are the same, `replaced` the stretches of the sighting in
    which another sound is, `cut` those from which on the original goes on elsewhere.
    """

    offset_s: float
    same_s: float
    replaced: tuple[Span, ...]
    cut: tuple[float, ...]


def sound_print(samples: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Print a sound, (n,) float32 at SAMPLE_RATE: (m,) uint32, PER_S a second."""
    count = (len(samples) - LONG) // HOP + 1
    if count < 2:
        return np.zeros(0, np.uint32)
    edges = np.geomspace(LOW_HZ, HIGH_HZ, BANDS + 1) * LONG / SAMPLE_RATE
    cuts = np.maximum(np.diff(np.round(edges).astype(int), prepend=0).cumsum(), 1)
    window = np.hanning(LONG).astype(np.float32)
    bands = np.empty((count, BANDS), np.float32)
    for begin in range(0, count, 512):  # bounded memory: 512 windows are 8 MB
        number = min(512, count - begin)
        at = np.arange(LONG)[None] + (begin + np.arange(number))[:, None] * HOP
        power = np.abs(np.fft.rfft(samples[at] * window, axis=1)) ** 2
        sums = np.concatenate([np.zeros((number, 1)), power.cumsum(axis=1)], axis=1)
        bands[begin : begin + number] = sums[:, cuts[1:]] - sums[:, cuts[:-1]]
    across = bands[:, :-1] - bands[:, 1:]
    bits = (across[1:] - across[:-1]) > 0
    return np.asarray(np.packbits(bits, axis=1).view(">u4").ravel().astype(np.uint32))


def match(
    original: NDArray[np.uint32], sighting: NDArray[np.uint32], loud: NDArray[np.bool_]
) -> SoundMatch | None:
    """Find the original in a sighting's print; `loud` (from `loudness`) says which prints of it count.

    None where no three seconds of it are the same.
    """
    offsets = _offsets(original, sighting, loud)
    if not offsets:
        return None
    # the share of differing bits of each window, at each offset that some block voted for
    differs = np.stack([_differing(original, sighting, one) for one in offsets])
    best = differs.min(axis=0)
    which = differs.argmin(axis=0)
    inside = np.isfinite(best) & loud[: len(best)]
    same = inside & (best < OTHER)
    first = (
        offsets[int(np.bincount(which[same], minlength=len(offsets)).argmax())] if same.any() else offsets[0]
    )
    replaced = _stretches(inside & ~same, inside)
    cuts = _cuts(which, same)
    return SoundMatch(-first / PER_S, float(same.sum() / PER_S), replaced, cuts)


def loudness(samples: NDArray[np.float32], count: int) -> NDArray[np.bool_]:
    """Say which of `count` prints of a sound have something to hear."""
    if not count:
        return np.zeros(0, np.bool_)
    squares = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    at = np.arange(count) * HOP
    levels = np.sqrt((squares[np.minimum(at + LONG, len(samples))] - squares[at]) / LONG)
    return np.asarray(levels > FAINT * np.quantile(levels, 0.95))


def _offsets(
    original: NDArray[np.uint32], sighting: NDArray[np.uint32], loud: NDArray[np.bool_], most: int = 4
) -> list[int]:
    """Give offsets, in prints, at which blocks of the sighting lie in the original: the most voted first."""
    block = min(BLOCK, len(original), len(sighting))
    if block < BLOCK // 2:
        return []
    votes: dict[int, int] = {}
    starts = range(0, len(sighting) - block + 1, max(block // 2, (len(sighting) - block) // 60 or 1))
    for start in starts:
        if loud[start : start + block].mean() < 0.3:
            continue
        part = sighting[start : start + block]
        windows = np.lib.stride_tricks.sliding_window_view(original, block)
        # every fourth print first: enough to find the place; then all of them where that is near
        rough = np.bitwise_count(windows[:, ::4] ^ part[::4]).mean(axis=1) / BITS
        for at in np.argsort(rough)[:3]:
            for near in range(max(0, int(at) - 2), min(len(windows), int(at) + 3)):
                if np.bitwise_count(windows[near] ^ part).mean() / BITS < SAME:
                    votes[near - start] = votes.get(near - start, 0) + 1
    kept: list[int] = []
    for one in sorted(votes, key=lambda o: -votes[o]):
        if all(abs(one - other) > 3 for other in kept):
            kept.append(one)
    return kept[:most]


def _differing(
    original: NDArray[np.uint32], sighting: NDArray[np.uint32], offset: int
) -> NDArray[np.float64]:
    """Give the share of differing bits around each print of the sighting; infinite outside the original."""
    at = np.arange(len(sighting)) + offset
    there = (at >= 0) & (at < len(original))
    # a print may lie half a step beside: the best of three
    bits = np.full(len(sighting), np.nan)
    tried = []
    for slip in (-1, 0, 1):
        one = np.bitwise_count(original[np.clip(at + slip, 0, len(original) - 1)] ^ sighting) / BITS
        tried.append(_smoothed(np.where(there, one, np.nan)))
    bits = np.nanmin(np.stack([np.where(np.isnan(one), np.inf, one) for one in tried]), axis=0)
    return np.where(there, bits, np.inf)


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = ~np.isnan(values)
    kernel = np.ones(WINDOW)
    total = np.convolve(np.where(known, values, 0.0), kernel, "same")
    count = np.convolve(known.astype(float), kernel, "same")
    return np.asarray(np.where(count > WINDOW // 3, total / np.maximum(count, 1), np.nan))


def _stretches(other: NDArray[np.bool_], inside: NDArray[np.bool_]) -> tuple[Span, ...]:
    """Join prints of another sound to stretches; pauses within one belong to it."""
    spans: list[Span] = []
    numbers = np.flatnonzero(inside)
    begin: int | None = None
    last = 0
    for number in [*numbers.tolist(), -1]:
        if number >= 0 and other[number]:
            begin, last = (number if begin is None else begin), number
            continue
        if begin is not None:
            span = Span(max(0.0, _at(begin) - EDGE_S), _at(last) + EDGE_S)
            if span.end_s - span.start_s >= LEAST_S and other[begin : last + 1].sum() / PER_S >= LEAST_S / 2:
                spans.append(span)
            begin = None
    return tuple(spans)


def _cuts(which: NDArray[np.int64], same: NDArray[np.bool_]) -> tuple[float, ...]:
    """Give the seconds at which the original goes on elsewhere, each side being there for a second."""
    numbers = np.flatnonzero(same)
    found = []
    held: int | None = None
    for begin in range(0, len(numbers) - WINDOW, WINDOW // 2):
        part = which[numbers[begin : begin + WINDOW]]
        place = int(np.bincount(part).argmax())
        if (part == place).mean() < 0.9:
            continue
        if held is not None and place != held:
            found.append(_at(int(numbers[begin])))
        held = place
    return tuple(found)


def _at(number: int) -> float:
    """Give the middle of a print, in seconds."""
    return (number * HOP + LONG / 2) / SAMPLE_RATE


def joined(spans: Sequence[Span], gap_s: float) -> tuple[Span, ...]:
    """Join stretches that are at most `gap_s` apart."""
    found: list[Span] = []
    for one in sorted(spans, key=lambda s: s.start_s):
        if found and one.start_s - found[-1].end_s <= gap_s:
            found[-1] = Span(found[-1].start_s, max(found[-1].end_s, one.end_s))
        else:
            found.append(one)
    return tuple(found)
