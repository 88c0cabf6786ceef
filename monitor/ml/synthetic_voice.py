"""Is a voice synthetic? Networks of the AASIST family look at windows of four seconds, and may abstain.

A weak signal each, and never a verdict: a network knows the synthesis that it was trained on. That trained on
ASVspoof 2019 knows classic synthesis and vocoders; that trained on ASVspoof 5 knows recent neural speech and
takes classic synthesis for genuine. Scores are logits, the higher the more genuine; thresholds belong to who
asks, and to the channel.

The networks hear loudness: the same machine's voice had -14 as loud as speech mostly is recorded, and +1 at
an eighth of it. So the sound is brought to one loudness first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitor.errors import WeightsMissing
from monitor.ml.sessions import open_session
from monitor.ml.weights import path_of
from monitor.values import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.ml.sessions import Device
    from monitor.values import Sound, Span

SAMPLES: Final = 64_600
"""Samples of a window: 4.04 s, as in the training (aasist.SAMPLES, which needs onnx to be read)."""

CLASSIC, RECENT = "aasist_2019.onnx", "aasist_asvspoof5.onnx"
"""The two trainings, by their files. `likeness models pull --pack synthetic --from DIR` brings them."""

PACK: Final = "synthetic"
"""Name of this set of weights in weights.lock."""

LEAST_S: Final = 2.0
"""Seconds of speech below which nothing is said. A shorter sound is repeated, as in the training."""

MOST_WINDOWS: Final = 8
"""Windows of one recording, spread evenly: half a minute, three seconds of one core."""

PEAK: Final = 0.5
"""The loudest sample of the speech is brought to this."""

BAND_HZ: Final = (4000.0, 6000.0)
BAND_DB: Final = -40.0
"""Speech whose power in this band lies further below all of it has no such band: a telephone. The networks
were trained with it, and are not asked then. Of five readers of LibriSpeech it was -28 to -13 dB, by Opus at
12 kbit/s as well, and -59 to -45 dB by telephone (2026-11)."""


class Abstains(StrEnum):
    """Why nothing is said."""

    TOO_SHORT = "too_little_speech"
    NARROW_BAND = "narrow_band"
    NO_WEIGHTS = "no_weights"


@dataclass(frozen=True, slots=True)
class Heard:
    """What one network says of a recording: the mean of its windows, and each window's begin and logit."""

    score: float
    windows: tuple[tuple[float, float], ...]


class SyntheticVoice:
    """One network. `assess` may be called from several threads at once."""

    def __init__(self, session: Any) -> None:  # noqa: ANN401 - onnxruntime has no types
        """Take the loaded network."""
        self._session = session

    def assess(self, sound: Sound, speech: Sequence[Span]) -> Heard | Abstains:
        """Listen to what is spoken, from the first word to the last, pauses included."""
        reason = gate(sound, speech)
        if reason is not None:
            return reason
        start = int(speech[0].start_s * SAMPLE_RATE)
        samples = sound.samples[start : int(speech[-1].end_s * SAMPLE_RATE)]
        samples = samples * np.float32(PEAK / max(float(np.abs(samples).max()), 1e-6))
        found = tuple(
            ((start + at) / SAMPLE_RATE, self._genuine(window)) for at, window in windows_of(samples)
        )
        return Heard(float(np.mean([logit for _, logit in found])), found)

    def _genuine(self, window: NDArray[np.float32]) -> float:
        [logits] = self._session.run(None, {"samples": window[None]})
        return float(logits[0, 1] - logits[0, 0])


def open_synthetic_voice(models_dir: Path, device: Device, name: str = CLASSIC) -> SyntheticVoice | None:
    """Load a network; None where its weights were never brought. Raises WeightsDiffer, DeviceMissing."""
    try:
        path = path_of(models_dir, name)
    except WeightsMissing:
        return None
    return SyntheticVoice(open_session(path, device))


def gate(sound: Sound, speech: Sequence[Span]) -> Abstains | None:
    """Say why a recording is none for these networks; None where it is one."""
    if sum(span.end_s - span.start_s for span in speech) < LEAST_S:
        return Abstains.TOO_SHORT
    cuts = [sound.samples[int(span.start_s * SAMPLE_RATE) : int(span.end_s * SAMPLE_RATE)] for span in speech]
    return Abstains.NARROW_BAND if band_db(np.concatenate(cuts)) < BAND_DB else None


def band_db(samples: NDArray[np.float32]) -> float:
    """Power in BAND_HZ, in dB against all of it; frames of 32 ms."""
    size = 512
    whole = samples[: len(samples) // size * size].reshape(-1, size)
    power = (np.abs(np.fft.rfft(whole * np.hanning(size), axis=1)) ** 2).sum(axis=0)
    hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    band = power[(hertz >= BAND_HZ[0]) & (hertz < BAND_HZ[1])].sum()
    return float(10 * np.log10((band + 1e-12) / (power.sum() + 1e-12)))


def windows_of(samples: NDArray[np.float32]) -> list[tuple[int, NDArray[np.float32]]]:
    """Cut (n,) samples into windows of SAMPLES: where each begins, and it. The last reaches to the end."""
    if len(samples) < SAMPLES:
        return [(0, np.resize(samples, SAMPLES))]
    last = len(samples) - SAMPLES
    count = min(MOST_WINDOWS, -(-last // SAMPLES) + 1)
    starts = [round(float(at)) for at in np.linspace(0, last, count)]
    return [(at, samples[at : at + SAMPLES]) for at in starts]
