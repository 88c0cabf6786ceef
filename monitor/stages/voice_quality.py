"""How good a recording of a voice is: how much speech, how noisy, whether clipped, how wide a band."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.values import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.values import Sound, Span

FRAME = 512
"""Samples of one frame: 32 ms, as the speech detector judges them."""

SILENCE_DB = -65.0
"""Loudness of the loudest frames, decibels below full scale, under which a recording holds nothing: a
16-bit file keeps five of its bits there."""

FULL = 0.985
"""Part of a recording's own highest sample from which a sample may be cut off."""

FLAT = 3
"""Neighbouring samples that high in a row: a wave that is not cut off stays there for one or two."""

PLENTY_S = 10.0
"""Seconds of speech beyond which more adds little."""

CLEAN_DB = 20.0
"""Ratio of speech to noise from which less noise adds nothing: CAM++ is as good at 20 dB as without noise."""

NO_BETTER_DB = 0.0
"""Ratio at which the noise is as loud as the voice."""

NARROW_HZ = 4_000.0
"""What a telephone carries, and a recording at 8 kHz."""

EMPTY_DB = 35.0
"""How far the band above NARROW_HZ lies below the band of the voice when there is nothing in it."""


@dataclass(frozen=True, slots=True)
class VoiceQuality:
    """What one recording of a voice is worth, part by part.

    `seconds` is its length, `net_speech_s` the speech in it. `loudest_db` is the loudness of its loudest
    frames below full scale. `snr_db` is speech against what is heard between it; None where there is hardly
    anything between. `clipped` is the share of the speech's frames that are cut off. `narrow` says that it
    carries no more than a telephone does. `overall` is in [0, 1], higher is better.
    """

    seconds: float
    net_speech_s: float
    loudest_db: float
    snr_db: float | None
    clipped: float
    narrow: bool
    overall: float

    @property
    def silent(self) -> bool:
        """Whether there is no sound at all."""
        return self.loudest_db < SILENCE_DB


def judge_voice(sound: Sound, speech: Sequence[Span]) -> VoiceQuality:
    """Judge one recording, of which the detector said where `speech` is."""
    frames = _frames(sound.samples)
    spoken = _spoken(len(frames), speech)
    power = np.asarray(np.mean(np.square(frames), axis=1), np.float64)
    net = sum(span.end_s - span.start_s for span in speech)
    snr = _snr(power, spoken)
    cut = _cut_off(sound.samples, frames[spoken]) if spoken.any() else 0.0
    return VoiceQuality(
        seconds=sound.seconds,
        net_speech_s=net,
        loudest_db=_db(float(np.quantile(power, 0.95))) if len(power) else -np.inf,
        snr_db=snr,
        clipped=cut,
        narrow=bool(spoken.any()) and _is_narrow(frames[spoken]),
        overall=_overall(net, snr, cut),
    )


def _frames(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)


def _spoken(count: int, speech: Sequence[Span]) -> NDArray[np.bool_]:
    """Say of each frame whether it lies within speech: (count,)."""
    middles = (np.arange(count) + 0.5) * FRAME / SAMPLE_RATE
    spoken = np.zeros(count, bool)
    for span in speech:
        spoken |= (middles >= span.start_s) & (middles < span.end_s)
    return spoken


LEAST_BETWEEN = 8
"""Frames between speech from which the noise can be read: a quarter of a second."""


def _snr(power: NDArray[np.float64], spoken: NDArray[np.bool_]) -> float | None:
    """Speech (its noise taken off) against the median of what lies between, decibels, in [-20, 60].

    Frames next to speech are left out: its echo and its margins lie there.
    """
    near = spoken | np.roll(spoken, 1) | np.roll(spoken, -1) | np.roll(spoken, 2) | np.roll(spoken, -2)
    between = power[~near]
    if len(between) < LEAST_BETWEEN or not spoken.any():
        return None
    noise = max(float(np.median(between)), 1e-12)
    voice = max(float(power[spoken].mean()) - noise, noise * 1e-2)
    return float(np.clip(10 * np.log10(voice / noise), -20.0, 60.0))


def _cut_off(samples: NDArray[np.float32], frames: NDArray[np.float32]) -> float:
    """Share of frames with a wave cut off: FLAT samples in a row at the recording's own height."""
    highest = float(np.max(np.abs(samples), initial=0.0))
    if highest <= 0.0:
        return 0.0
    high = np.abs(frames) >= FULL * highest
    same = np.sign(frames)
    run = high[:, 2:] & high[:, 1:-1] & high[:, :-2] & (same[:, 2:] == same[:, :-2])
    return float(run.any(axis=1).mean())


def _is_narrow(frames: NDArray[np.float32]) -> bool:
    """Say whether the band above NARROW_HZ is empty beside that of the voice (300 to 3,400 Hz)."""
    spectrum = np.mean(np.abs(np.fft.rfft(frames * np.hanning(FRAME), axis=1)) ** 2, axis=0)
    hertz = np.fft.rfftfreq(FRAME, 1 / SAMPLE_RATE)
    voice = float(spectrum[(hertz >= 300) & (hertz <= 3_400)].mean())
    above = float(spectrum[(hertz >= NARROW_HZ + 600) & (hertz <= 7_000)].mean())
    return _db(above) < _db(voice) - EMPTY_DB


def _overall(net_s: float, snr_db: float | None, clipped: float) -> float:
    much = min(1.0, net_s / PLENTY_S)
    clean = 1.0 if snr_db is None else (snr_db - NO_BETTER_DB) / (CLEAN_DB - NO_BETTER_DB)
    return float(much * min(1.0, max(0.1, clean)) ** 0.5 * (1.0 - min(1.0, clipped)) ** 0.5)


def _db(power: float) -> float:
    return float(10 * np.log10(max(power, 1e-20)))
