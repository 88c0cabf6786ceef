"""What a recording is worth, on sounds that were made to have one fault each."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import resample_poly

from monitor.stages.voice_quality import judge_voice
from monitor.values import SAMPLE_RATE, Sound, Span

RNG = np.random.default_rng(7)


def spoken(noise_db: float | None = 40.0, seconds: float = 8.0) -> tuple[np.ndarray, list[Span]]:
    """Make "speech" (broad noise with the loudness of syllables), a pause every two seconds, and noise."""
    count = int(seconds * SAMPLE_RATE)
    at = np.arange(count) / SAMPLE_RATE
    voice = RNG.standard_normal(count) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * at)) * 0.05
    voice[(at % 2) >= 1.4] = 0.0
    if noise_db is not None:
        power = float(np.mean(voice[(at % 2) < 1.4] ** 2)) / 10 ** (noise_db / 10)
        voice += RNG.standard_normal(count) * np.sqrt(power)
    return voice.astype(np.float32), [Span(s, s + 1.4) for s in np.arange(0, seconds, 2.0)]


@pytest.mark.parametrize("noise_db", [0.0, 5.0, 10.0, 20.0])
def test_noise_is_measured(noise_db: float) -> None:
    samples, speech = spoken(noise_db)
    judged = judge_voice(Sound(samples), speech)
    assert judged.snr_db == pytest.approx(noise_db, abs=1.5)
    assert judged.net_speech_s == pytest.approx(5.6)


def test_without_a_pause_the_noise_is_not_known() -> None:
    samples, _ = spoken()
    assert judge_voice(Sound(samples), [Span(0.0, 8.0)]).snr_db is None


def test_a_wave_cut_off_is_seen_and_a_loud_one_is_not() -> None:
    samples, speech = spoken()
    loud = samples / np.abs(samples).max()
    assert judge_voice(Sound(loud), speech).clipped < 0.01
    cut = np.clip(loud * 4, -1, 1)
    assert judge_voice(Sound(cut), speech).clipped > 0.3
    assert judge_voice(Sound(0.3 * cut), speech).clipped > 0.3  # made quieter afterwards


def test_a_telephone_is_known_by_its_band() -> None:
    samples, speech = spoken(None)
    narrow = resample_poly(resample_poly(samples, 1, 2), 2, 1).astype(np.float32)
    assert not judge_voice(Sound(samples), speech).narrow
    assert judge_voice(Sound(narrow), speech).narrow


def test_silence_is_silence_and_a_short_sound_breaks_nothing() -> None:
    for samples in (np.zeros(SAMPLE_RATE, np.float32), np.zeros(0, np.float32), np.zeros(100, np.float32)):
        judged = judge_voice(Sound(samples), [])
        assert judged.silent
        assert judged.overall == 0.0
        assert judged.clipped == 0.0


def test_more_and_cleaner_speech_is_worth_more() -> None:
    long, short = spoken(30.0, 16.0), spoken(30.0, 4.0)
    noisy = spoken(5.0, 16.0)
    best, less, worse = (judge_voice(Sound(s), at).overall for s, at in (long, short, noisy))
    assert best == pytest.approx(1.0, abs=0.02)
    assert less < 0.5
    assert 0.3 < worse < 0.8
