"""Mixed recordings of several speakers, made by code, with the truth of who speaks when.

Turns of some speakers in random order, with short pauses, now and then over each other, with or without
music or noise behind them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.bench.sound import rms, turned_down, white
from monitor.values import SAMPLE_RATE, Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

TURNS_EACH: Final = 4
"""Turns of each speaker in one mix."""

TURN_S: Final = (2.0, 6.0)
"""Shortest and longest turn; a clip that is shorter is one turn."""

PAUSE_S: Final = (0.1, 0.6)
OVERLAP_S: Final = (0.3, 1.0)
"""Time between two turns, and time that one begins before another has ended."""

OVERLAPPING: Final = 0.3
"""Share of the turns that begin early, in a mix with overlaps."""

LEVEL_DB: Final = (-6.0, 0.0)
"""How much softer one speaker may be than another."""

BACKGROUND_DB: Final = 15.0
"""Music or noise lies this far under the speech: it is heard well."""

LOUDNESS: Final = 0.08
"""RMS of speech at 0 dB: peaks stay below 1."""


class Background(StrEnum):
    """What is heard behind the voices."""

    NONE = "none"
    MUSIC = "music"
    NOISE = "noise"


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording of one speaker; `speech` are the seconds at which there is speech."""

    samples: NDArray[np.float32]
    speech: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Mix:
    """One mixed recording. `samples` (n,) float32; `speaking` says of each speaker at which seconds."""

    samples: NDArray[np.float32]
    speaking: Mapping[int, tuple[Span, ...]]


def mix(
    clips: Mapping[int, Sequence[Clip]],
    rng: np.random.Generator,
    *,
    overlaps: bool = False,
    background: Background = Background.NONE,
) -> Mix:
    """Let the speakers of `clips` take turns. Each of them needs at least one clip with speech in it."""
    loudness = {speaker: LOUDNESS * 10 ** (rng.uniform(*LEVEL_DB) / 20) for speaker in clips}
    speaking: dict[int, list[Span]] = {speaker: [] for speaker in clips}
    placed: list[tuple[int, NDArray[np.float32]]] = []
    end = PAUSE_S[1]
    for speaker in _order(list(clips), rng):
        turn = _excerpt(clips[speaker][int(rng.integers(len(clips[speaker])))], rng)
        early = overlaps and placed and rng.random() < OVERLAPPING
        start = max(0.0, end + (-rng.uniform(*OVERLAP_S) if early else rng.uniform(*PAUSE_S)))
        spoken = _net(turn)
        placed.append((int(start * SAMPLE_RATE), turn.samples * np.float32(loudness[speaker] / rms(spoken))))
        speaking[speaker] += [Span(start + s.start_s, start + s.end_s) for s in turn.speech]
        end = start + len(turn.samples) / SAMPLE_RATE
    samples = np.zeros(int((end + PAUSE_S[1]) * SAMPLE_RATE), np.float32)
    for first, part in placed:
        samples[first : first + len(part)] += part
    samples += _behind(background, len(samples), rng) * np.float32(LOUDNESS * 10 ** (-BACKGROUND_DB / 20))
    return Mix(turned_down(samples), {who: tuple(spans) for who, spans in speaking.items()})


def _order(speakers: Sequence[int], rng: np.random.Generator) -> Iterator[int]:
    """Give every speaker TURNS_EACH times; nobody follows himself, save where nobody else is left."""
    left = dict.fromkeys(speakers, TURNS_EACH)
    last = -1
    while any(left.values()):
        waiting = [who for who, count in left.items() if count]
        others = [who for who in waiting if who != last] or waiting
        most = max(left[who] for who in others)
        last = int(rng.choice([who for who in others if left[who] >= most - 1]))
        left[last] -= 1
        yield last


def _excerpt(clip: Clip, rng: np.random.Generator) -> Clip:
    """Cut a turn out of a clip, from where somebody speaks; its spans begin at the turn's start."""
    first, last = clip.speech[0].start_s, clip.speech[-1].end_s
    length = min(float(rng.uniform(*TURN_S)), last - first)
    begin = first + float(rng.random()) * (last - length - first)
    kept = [(max(s.start_s, begin) - begin, min(s.end_s, begin + length) - begin) for s in clip.speech]
    spans = tuple(Span(start, end) for start, end in kept if end - start > 0)
    samples = clip.samples[int(begin * SAMPLE_RATE) : int((begin + length) * SAMPLE_RATE)]
    return Clip(samples, spans) if spans else _excerpt(clip, rng)


def _net(clip: Clip) -> NDArray[np.float32]:
    parts = [clip.samples[int(s.start_s * SAMPLE_RATE) : int(s.end_s * SAMPLE_RATE)] for s in clip.speech]
    return np.concatenate(parts)


def _behind(background: Background, length: int, rng: np.random.Generator) -> NDArray[np.float32]:
    if background is Background.NONE:
        return np.zeros(length, np.float32)
    sound = music(length, rng) if background is Background.MUSIC else pink(length, rng)
    return sound / np.float32(rms(sound))


def pink(length: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise whose power falls by 3 dB an octave, as that of a street or a fan does: (length,) float32."""
    spectrum = np.fft.rfft(white(length, rng))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    return np.fft.irfft(spectrum, length).astype(np.float32)


def music(length: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Chords of plucked notes with overtones, two a second: (length,) float32."""
    step = SAMPLE_RATE // 2
    at = np.arange(step * 2) / SAMPLE_RATE
    sound = np.zeros(length + 2 * step, np.float32)
    for start in range(0, length, step):
        for note in rng.choice([0, 2, 4, 7, 9, 12, 14, 16], 3, replace=False):
            pitch = 196.0 * 2 ** (note / 12)
            tones = sum(np.sin(2 * np.pi * pitch * part * at) / part for part in range(1, 6))
            sound[start : start + 2 * step] += (tones * np.exp(-3 * at)).astype(np.float32)
    return sound[:length]
