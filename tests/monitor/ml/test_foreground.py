"""People who talk in the background are not taken for the one in front."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.bench.sound import babble, read_sound, white, with_noise
from monitor.ml.foreground import BLOCK, WINDOW, in_front
from monitor.ml.voices import spans_of
from monitor.values import SAMPLE_RATE, Sound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from monitor.ml.interfaces import Pack
    from monitor.values import Span

READERS = ("1688", "1998", "2033", "2414", "2609")


def clip(data: Path, speaker: str, number: int = 0) -> np.ndarray:
    folder = data / "voices" / "real" / "librispeech-test-other" / speaker
    return read_sound(sorted(folder.iterdir())[number]).samples[: 12 * SAMPLE_RATE]


def marked(spans: Sequence[Span], count: int) -> np.ndarray:
    found = np.zeros(count, bool)
    for span in spans:
        found[int(span.start_s * SAMPLE_RATE) : int(span.end_s * SAMPLE_RATE)] = True
    return found


def tone(levels: np.ndarray) -> np.ndarray:
    """Give one window of this loudness, in decibels, for each of the levels."""
    wave = np.sin(np.arange(WINDOW) / 5).astype(np.float32)
    return (wave * 10 ** (levels[:, None] / 20)).astype(np.float32).ravel()


def sure(count: int) -> np.ndarray:
    return np.ones(count, np.float32)


def test_among_many_voices_less_of_what_is_heard_is_theirs(pack: Pack, data: Path) -> None:
    detector = pack.voices.detector
    before, after, kept = [], [], []
    for number, who in enumerate(READERS):
        voice, around = clip(data, who), [clip(data, other, 1) for other in READERS if other != who]
        spoken = marked(detector.speech(Sound(voice)), len(voice))
        noise = babble(len(voice), around, np.random.default_rng(number))
        sound = Sound(with_noise(voice, noise, 5, voice[spoken]))
        all_of_it = marked(spans_of(detector.probabilities(sound), sound.seconds), len(voice))
        found = marked(detector.speech(sound), len(voice))
        before.append(np.mean(~spoken[all_of_it]))
        after.append(np.mean(~spoken[found]))
        kept.append(np.mean(found[spoken]))
    assert np.mean(after) < 0.6 * np.mean(before)
    assert np.mean(kept) > 0.85


@pytest.mark.parametrize("snr_db", [10.0, 40.0])
def test_one_voice_alone_is_heard_as_before(pack: Pack, data: Path, snr_db: float) -> None:
    voice = clip(data, "2033")
    voice = with_noise(voice, white(len(voice), np.random.default_rng(3)), snr_db, voice)
    chances = pack.voices.detector.probabilities(Sound(voice))
    np.testing.assert_array_equal(in_front(chances, voice), chances)


def test_a_soft_speaker_without_pauses_beside_a_loud_one_is_still_heard(pack: Pack, data: Path) -> None:
    detector = pack.voices.detector
    loud, soft = (clip(data, who) for who in ("1688", "2609"))
    loud, soft = (x[marked(detector.speech(Sound(x)), len(x))] for x in (loud, soft))
    sound = Sound(np.concatenate([loud, soft * np.float32(10 ** (-15 / 20))]))
    chances = detector.probabilities(sound)
    assert chances[-len(soft) // WINDOW :].mean() > 0.8
    np.testing.assert_array_equal(in_front(chances, sound.samples), chances)


def test_a_steady_murmur_is_nobodys_and_the_louder_words_stay() -> None:
    levels = np.where(np.arange(200) % 40 < 25, -20.0, -30.0)
    kept = in_front(sure(200), tone(levels))
    words = np.arange(200) % 40 < 25
    assert kept[words].all()
    assert kept[~words].mean() < 0.4


def test_where_the_quietest_moments_are_no_speech_nothing_changes() -> None:
    levels = np.where(np.arange(200) % 40 < 25, -20.0, -30.0)
    chances = np.where(levels > -25, 1, 0.2).astype(np.float32)
    np.testing.assert_array_equal(in_front(chances, tone(levels)), chances)


def test_every_minute_has_a_floor_of_its_own() -> None:
    loud = np.where(np.arange(BLOCK) % 40 < 25, -10.0, -20.0)
    together = in_front(sure(2 * BLOCK), tone(np.concatenate([loud, loud - 30])))
    apart = [in_front(sure(BLOCK), tone(levels)) for levels in (loud, loud - 30)]
    np.testing.assert_array_equal(together, np.concatenate(apart))
    assert 0 < together.mean() < 1


@pytest.mark.parametrize("count", [0, 1, 4, 5])
def test_a_moment_of_sound_and_digital_silence_are_left_alone(count: int) -> None:
    samples = np.zeros(max(0, count * WINDOW - 100), np.float32)
    np.testing.assert_array_equal(in_front(sure(count), samples), sure(count))
