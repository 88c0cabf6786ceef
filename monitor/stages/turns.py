"""Cuts the speech of a sound into turns short enough to hold one voice and long enough to recognise it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.values import SAMPLE_RATE, CouldNotLook, Sound, Span, SpeechTurn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitor.ml.interfaces import SpeechDetector

WINDOW_S = 3.0
"""Net speech in one turn: CAM++ is steady from 2 s on; a longer one holds two speakers more often."""

HOP_S = 1.5
"""Turns overlap by half, so that wherever a voice begins one of them holds little else."""

LEAST_SPEECH_S = 2.0
"""Less net speech than this is not compared: CAM++ is unsteady below (`likeness bench voices` has its rates
at 2, 4 and 8 s)."""

LONGEST_GAP_S = 1.0
"""Speech on both sides of a longer pause is not put into one turn."""

MOST_TURNS = 2400
"""Turns of one item: an hour of speech without a break."""


def turns(sound: Sound, detector: SpeechDetector) -> tuple[tuple[SpeechTurn, ...], tuple[CouldNotLook, ...]]:
    """Find the speech and cut it into overlapping turns; say which part was too much to look at."""
    found: list[SpeechTurn] = []
    for stretch in stretches(detector.speech(sound)):
        for pieces in windows(stretch):
            if len(found) == MOST_TURNS:
                reason = f"speech after {pieces[0].start_s:.0f} s: more than {MOST_TURNS} turns"
                return tuple(found), (CouldNotLook("sound", "too_many_turns", reason),)
            found.append(_turn(len(found), sound, pieces))
    return tuple(found), ()


def stretches(speech: Iterable[Span]) -> list[list[Span]]:
    """Group spans of speech that only short pauses part."""
    groups: list[list[Span]] = []
    for span in speech:
        if groups and span.start_s - groups[-1][-1].end_s <= LONGEST_GAP_S:
            groups[-1].append(span)
        else:
            groups.append([span])
    return groups


def windows(stretch: Sequence[Span]) -> list[list[Span]]:
    """Cut a stretch into windows of WINDOW_S net speech, every HOP_S; the last one reaches to the end."""
    net = sum(s.end_s - s.start_s for s in stretch)
    if net < LEAST_SPEECH_S:
        return []
    steps = max(0, int(np.ceil((net - WINDOW_S) / HOP_S - 1e-9)))
    starts = [min(i * HOP_S, max(0.0, net - WINDOW_S)) for i in range(steps + 1)]
    return [_pieces(stretch, start, start + WINDOW_S) for start in starts]


def _pieces(stretch: Sequence[Span], start: float, end: float) -> list[Span]:
    """Give the spans that lie between two moments counted in net speech."""
    pieces, passed = [], 0.0
    for span in stretch:
        length = span.end_s - span.start_s
        begin, stop = max(start - passed, 0.0), min(end - passed, length)
        if stop - begin > 1e-6:
            pieces.append(Span(span.start_s + begin, span.start_s + stop))
        passed += length
    return pieces


def _turn(number: int, sound: Sound, pieces: Sequence[Span]) -> SpeechTurn:
    cuts = [sound.samples[int(p.start_s * SAMPLE_RATE) : int(p.end_s * SAMPLE_RATE)] for p in pieces]
    samples = cuts[0] if len(cuts) == 1 else np.concatenate(cuts)
    span = Span(pieces[0].start_s, pieces[-1].end_s)
    return SpeechTurn(number, span, Sound(samples), len(samples) / SAMPLE_RATE)
