"""Finds speech with Silero VAD and turns it into vectors with CAM++; no PyTorch in either."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import kaldi_native_fbank
import numpy as np

from monitor.errors import TooLittleSpeech
from monitor.ml.campplus import BANDS, DIMENSION
from monitor.ml.foreground import WINDOW, in_front
from monitor.ml.vectors import unit_rows
from monitor.values import SAMPLE_RATE, ModelId, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.ml.channels import ChannelMap
    from monitor.values import Sound

CONTEXT: Final = 64
"""Samples before each window that it also sees."""

WINDOWS_PER_RUN: Final = 1875
"""One minute of windows at once: memory stays small however long the sound is."""

SPEECH_STARTS: Final = 0.5
SPEECH_ENDS: Final = 0.35
"""Silero's own thresholds: speech starts at the first and goes on until it falls under the second."""

MIN_SILENCE_S: Final = 0.1
MIN_SPEECH_S: Final = 0.25
PADDING_S: Final = 0.03
"""Silero's defaults: shorter gaps do not end speech, shorter speech is none, and both ends get a margin."""

MIN_SAMPLES: Final = SAMPLE_RATE // 4
"""No recogniser is asked about less than a quarter of a second; the pipeline wants two seconds of speech."""


@dataclass(frozen=True, slots=True)
class Silero:
    """A SpeechDetector over Silero's graph for whole sequences: no loop per window; safe for threads."""

    model_id: ModelId
    session: Any

    def speech(self, sound: Sound) -> tuple[Span, ...]:
        """Give the spans of speech, in order, not touching each other; a murmur behind it is none."""
        return spans_of(in_front(self.probabilities(sound), sound.samples), sound.seconds)

    def probabilities(self, sound: Sound) -> NDArray[np.float32]:
        """How likely each window of 32 ms is speech: (windows,) float32 in [0, 1]."""
        count = -(-len(sound.samples) // WINDOW)
        padded = np.zeros(CONTEXT + max(1, count) * WINDOW, np.float32)
        padded[CONTEXT : CONTEXT + len(sound.samples)] = sound.samples
        windows = np.lib.stride_tricks.sliding_window_view(padded, CONTEXT + WINDOW)[::WINDOW]
        h = c = np.zeros((1, 1, 128), np.float32)
        parts = [np.empty(0, np.float32)]
        for start in range(0, count, WINDOWS_PER_RUN):
            some = np.ascontiguousarray(windows[start : start + WINDOWS_PER_RUN])
            probabilities, h, c = self.session.run(None, {"input": some, "h": h, "c": c})
            parts.append(probabilities)
        return np.concatenate(parts)


def spans_of(probabilities: NDArray[np.float32], seconds: float) -> tuple[Span, ...]:
    """Read spans off the probabilities: hysteresis, short gaps closed, short speech dropped, margins."""
    spans: list[tuple[float, float]] = []
    step = WINDOW / SAMPLE_RATE
    for first, last in _regions(probabilities):
        start, end = first * step, last * step
        if spans and start - spans[-1][1] < MIN_SILENCE_S:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    long_enough = [(start, end) for start, end in spans if end - start >= MIN_SPEECH_S]
    return tuple(
        Span(max(0.0, start - PADDING_S), min(seconds, end + PADDING_S)) for start, end in long_enough
    )


def _regions(probabilities: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Windows [first, last) that start at SPEECH_STARTS and stay over SPEECH_ENDS."""
    over = np.concatenate([[False], probabilities >= SPEECH_ENDS, [False]])
    edges = np.flatnonzero(over[1:] != over[:-1]).reshape(-1, 2)
    regions: list[tuple[int, int]] = []
    for low, high in edges.tolist():
        starts = np.flatnonzero(probabilities[low:high] >= SPEECH_STARTS)
        if len(starts):
            regions.append((low + int(starts[0]), high))
    return regions


@dataclass(frozen=True, slots=True)
class CamPlusPlus:
    """A VoiceRecogniser over the graph of campplus.py; safe for threads.

    `channels` takes out of a vector what a telephone, a codec or noise put in; None where that is being
    learnt.
    """

    model_id: ModelId
    session: Any
    channels: ChannelMap | None
    dimension: int = DIMENSION

    def embed(self, sounds: Sequence[Sound]) -> NDArray[np.float32]:
        """Map n sounds to (n, 192) float32, rows of length 1.

        Sounds of one length go through the network together. Raises TooLittleSpeech under 0.25 s.
        """
        vectors = np.empty((len(sounds), self.dimension), np.float32)
        for places in _by_length(sounds):
            features = np.stack([filter_banks(sounds[i]) for i in places])
            (found,) = self.session.run(None, {"features": features})
            vectors[places] = unit_rows(found)
        return vectors if self.channels is None else self.channels(vectors)


MAX_TOGETHER: Final = 16
"""Sounds of one length in one run; bounds memory."""


def _by_length(sounds: Sequence[Sound]) -> list[list[int]]:
    groups: dict[int, list[int]] = {}
    for place, sound in enumerate(sounds):
        groups.setdefault(len(sound.samples), []).append(place)
    return [g[i : i + MAX_TOGETHER] for g in groups.values() for i in range(0, len(g), MAX_TOGETHER)]


def _fbank_options() -> Any:  # noqa: ANN401 - kaldi_native_fbank has no types
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.samp_freq = SAMPLE_RATE
    options.frame_opts.window_type = "povey"
    options.mel_opts.num_bins = BANDS
    options.energy_floor = 0.0
    return options


def refuse_a_blink(sound: Sound) -> None:
    """Raise TooLittleSpeech for less sound than any recogniser here is asked about."""
    if len(sound.samples) < MIN_SAMPLES:
        msg = f"{sound.seconds:.2f} s of sound is too little for the voice recogniser"
        raise TooLittleSpeech(msg, hint="Give at least two seconds of speech.")


def filter_banks(sound: Sound) -> NDArray[np.float32]:
    """Kaldi's log mel filter banks, their mean over time subtracted: (frames, 80) float32, 10 ms a frame.

    Samples go in as they are, in [-1, 1]: CAM++ was trained so. Raises TooLittleSpeech under 0.25 s.
    """
    refuse_a_blink(sound)
    computer = kaldi_native_fbank.OnlineFbank(_fbank_options())
    computer.accept_waveform(SAMPLE_RATE, sound.samples)
    computer.input_finished()
    frames = np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)])
    result: NDArray[np.float32] = frames - frames.mean(axis=0)
    return result
