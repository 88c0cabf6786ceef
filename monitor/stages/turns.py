"""Finds who speaks when, and hands each speaker on as a few turns of speech clean enough to recognise.

The recogniser hears every moment twice to tell the voices apart (speakers.py), and then the best seconds of
each turn once more, in one piece: that is what enrolled speech is compared with, and how it was calibrated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.stages.speakers import (
    CELL_S,
    Windows,
    embed_windows,
    place_windows,
    sound_of,
    speech_cells,
    tell_apart,
)
from monitor.values import CouldNotLook, Sound, Span, SpeechTurn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from monitor.ml.interfaces import VoiceModels

WINDOW_S = 3.0
"""Net speech from which on a turn counts in full: CAM++ is steady from 2 s on."""

LEAST_SPEECH_S = 2.0
"""A speaker with less net speech in the whole item is not compared: CAM++ is unsteady below (`likeness bench
voices` has its rates at 2, 4 and 8 s)."""

TURN_S = 4.0
"""Net speech that a turn should hold: one speaker's speech is parted into turns of about this, or longer."""

HEARD_S = 6.0
"""Speech of a turn that is recognised, its longest pieces first; more would cost time and change little."""

MOST_TURNS = 8
"""Turns of one speaker: of a long speech eight samples, spread over all of it, say who it is."""

MOST_WINDOWS = 4800
"""Windows of one item that are told apart: an hour of speech without a break."""


def turns(sound: Sound, models: VoiceModels) -> tuple[tuple[SpeechTurn, ...], tuple[CouldNotLook, ...]]:
    """Find the speakers of a sound and their turns; say which part was too much to look at.

    1  the speech  2  windows of it, each with a vector  3  whose every moment is  4  turns of each speaker
    """
    spoken = speech_cells(models.detector.speech(sound), int(sound.seconds / CELL_S))
    if len(spoken) * CELL_S < LEAST_SPEECH_S:
        return (), ()
    cells = place_windows(spoken)
    left_out: tuple[CouldNotLook, ...] = ()
    if len(cells) > MOST_WINDOWS:
        reason = f"speech after {cells[MOST_WINDOWS][0] * CELL_S:.0f} s: more than {MOST_WINDOWS} windows"
        left_out = (CouldNotLook("sound", "too_many_turns", reason),)
        cells = cells[:MOST_WINDOWS]
    who = tell_apart(Windows(cells, embed_windows(sound, cells, models.recogniser)), int(spoken[-1]) + 1)
    return tuple(_turns(sound, who)), left_out


def _turns(sound: Sound, who: NDArray[np.int64]) -> Iterator[SpeechTurn]:
    """Give the turns of all speakers who say enough, numbered through; speakers by their first word."""
    enough = [n for n in range(int(who.max(initial=-1)) + 1) if np.sum(who == n) * CELL_S >= LEAST_SPEECH_S]
    number = 0
    for speaker, voice in enumerate(enough):
        for pieces in part(runs(np.flatnonzero(who == voice))):
            best = heard(pieces)
            speech = sound_of(sound, best)
            spans = tuple(_span(piece) for piece in pieces)
            span = Span(spans[0].start_s, spans[-1].end_s)
            yield SpeechTurn(number, span, speech, speech.seconds, speaker, spans)
            number += 1


def runs(cells: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Part cells where one is missing."""
    return np.split(cells, np.flatnonzero(np.diff(cells) > 1) + 1) if len(cells) else []


def part(pieces: Sequence[NDArray[np.int64]]) -> list[list[NDArray[np.int64]]]:
    """Part one speaker's pieces, in order of time, into at most MOST_TURNS turns of at least TURN_S.

    With less speech than that there is one turn; a long piece is cut.
    """
    total = sum(map(len, pieces))
    count = int(np.clip(total * CELL_S / TURN_S, 1, MOST_TURNS))
    bounds = [total * n // count for n in range(1, count)]
    cells = np.concatenate(pieces)
    return [runs(some) for some in np.split(cells, bounds)]


def heard(pieces: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Choose what the recogniser hears of a turn: HEARD_S, the longest pieces first, in order of time."""
    left = round(HEARD_S / CELL_S)
    chosen: list[NDArray[np.int64]] = []
    for piece in sorted(pieces, key=len, reverse=True):
        chosen.append(piece[:left])
        left -= len(chosen[-1])
        if left <= 0:
            break
    return np.sort(np.concatenate(chosen))


def _span(piece: NDArray[np.int64]) -> Span:
    return Span(round(float(piece[0]) * CELL_S, 2), round(float(piece[-1] + 1) * CELL_S, 2))
