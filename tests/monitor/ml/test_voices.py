"""Where somebody speaks, and who."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.bench.sound import read_sound
from monitor.errors import TooLittleSpeech
from monitor.ml import voices
from monitor.ml.foreground import WINDOW
from monitor.ml.voices import filter_banks, spans_of
from monitor.values import SAMPLE_RATE, Sound, Span

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.ml.interfaces import Pack

RNG = np.random.default_rng(9)

WINDOW_S = WINDOW / SAMPLE_RATE


def speech(data: Path, speaker: str, clip: int) -> Sound:
    folder = data / "voices" / "real" / "librispeech-test-other" / speaker
    return read_sound(sorted(folder.iterdir())[clip])


def silence(seconds: float) -> Sound:
    return Sound(np.zeros(int(seconds * SAMPLE_RATE), np.float32))


def chances(*runs: tuple[float, int]) -> np.ndarray:
    return np.concatenate([np.full(count, chance, np.float32) for chance, count in runs])


def test_speech_begins_at_the_high_and_ends_at_the_low_threshold() -> None:
    (span,) = spans_of(chances((0.1, 10), (0.4, 5), (0.9, 20), (0.4, 5), (0.1, 10)), 50 * WINDOW_S)
    assert span.start_s == pytest.approx(15 * WINDOW_S - voices.PADDING_S)
    assert span.end_s == pytest.approx(40 * WINDOW_S + voices.PADDING_S)


def test_short_gaps_are_closed_and_short_noises_are_no_speech() -> None:
    closed = spans_of(chances((0.9, 20), (0.1, 2), (0.9, 20)), 42 * WINDOW_S)
    assert closed == (Span(0.0, pytest.approx(42 * WINDOW_S)),)
    assert spans_of(chances((0.1, 20), (0.9, 4), (0.1, 20)), 44 * WINDOW_S) == ()


def test_spans_are_in_order_and_do_not_touch() -> None:
    spans = spans_of(RNG.uniform(0, 1, 5000).repeat(7).astype(np.float32), 35000 * WINDOW_S)
    edges = [edge for span in spans for edge in (span.start_s, span.end_s)]
    assert len(spans) > 10
    assert edges == sorted(set(edges))


@pytest.mark.parametrize("seconds", [0, 0.001, 0.5, 70])
def test_nobody_speaks_in_silence(pack: Pack, seconds: float) -> None:
    assert pack.voices.detector.speech(silence(seconds)) == ()


def test_nobody_speaks_in_noise(pack: Pack) -> None:
    noise = Sound(RNG.normal(0, 0.05, 5 * SAMPLE_RATE).astype(np.float32))
    assert pack.voices.detector.speech(noise) == ()


def test_speech_between_silences_is_found_to_a_fifth_of_a_second(pack: Pack, data: Path) -> None:
    clip = speech(data, "1688", 0)
    alone = pack.voices.detector.speech(clip)
    parts = (silence(3).samples, clip.samples, silence(2).samples)
    among = pack.voices.detector.speech(Sound(np.concatenate(parts)))
    assert among[0].start_s == pytest.approx(3 + alone[0].start_s, abs=0.2)
    assert among[-1].end_s == pytest.approx(3 + alone[-1].end_s, abs=0.2)


def test_a_long_sound_is_read_in_pieces_with_the_same_outcome(
    pack: Pack, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = speech(data, "1688", 0)
    whole = pack.voices.detector.probabilities(clip)
    monkeypatch.setattr(voices, "WINDOWS_PER_RUN", 50)
    np.testing.assert_allclose(pack.voices.detector.probabilities(clip), whole, atol=1e-6)


def test_speakers_are_told_apart(pack: Pack, data: Path) -> None:
    clips = [speech(data, speaker, clip) for speaker in ("1688", "1998", "2033") for clip in (0, 1)]
    cut = [Sound(clip.samples[: 6 * SAMPLE_RATE]) for clip in clips]
    vectors = pack.voices.recogniser.embed(cut)
    scores = vectors @ vectors.T
    assert min(scores[0, 1], scores[2, 3], scores[4, 5]) > pack.voices.thresholds.review
    same = np.equal.outer(np.arange(6) // 2, np.arange(6) // 2)
    assert scores[~same].max() < pack.voices.thresholds.review


def test_a_voice_does_not_depend_on_its_neighbours(pack: Pack, data: Path) -> None:
    clip = speech(data, "2414", 0).samples
    lengths = (32000, 48000, 32000, 40000, 32000)
    sounds = [Sound(clip[i * 1000 : i * 1000 + length]) for i, length in enumerate(lengths)]
    together = pack.voices.recogniser.embed(sounds)
    alone = np.concatenate([pack.voices.recogniser.embed([sound]) for sound in sounds])
    np.testing.assert_allclose(together, alone, atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-6)


def test_threads_may_share_the_voice_models(pack: Pack, data: Path) -> None:
    clips = [speech(data, speaker, 0) for speaker in ("1688", "1998", "2033", "2414")]

    def work(clip: Sound) -> tuple[tuple[Span, ...], bytes]:
        return pack.voices.detector.speech(clip), pack.voices.recogniser.embed([clip]).tobytes()

    one_by_one = [work(clip) for clip in clips]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, clips)) == one_by_one


def test_no_sounds_give_no_vectors(pack: Pack) -> None:
    assert pack.voices.recogniser.embed([]).shape == (0, 192)


def test_a_blink_of_sound_is_refused(pack: Pack) -> None:
    with pytest.raises(TooLittleSpeech):
        pack.voices.recogniser.embed([silence(0.2)])


def test_filter_banks_have_no_mean_over_time(data: Path) -> None:
    banks = filter_banks(speech(data, "1688", 0))
    assert banks.shape[1] == 80
    np.testing.assert_allclose(banks.mean(axis=0), 0, atol=1e-4)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (95, [-1.61031, -1.06038, -0.14466, -0.63544, 0.51455, 0.48026]),
        (200, [-1.28013, -0.99724, 0.44232, -0.94965, 0.0462, 0.46453]),
        (401, [-1.28089, -0.98388, 0.63634, -0.96653, 0.02508, 0.56249]),
    ],
)
def test_the_graph_computes_what_the_published_network_computes(
    pack: Pack, frames: int, expected: list[float]
) -> None:
    """`expected` comes from speakerlab 0.0.6's CAMPPlus in PyTorch 2.13, on the same weights and input."""
    wave = np.sin(np.arange(frames * 80, dtype=np.float64) * 0.37) * 3
    features = wave.astype(np.float32).reshape(1, frames, 80)
    (found,) = pack.voices.recogniser.session.run(None, {"features": features})
    np.testing.assert_allclose(found[0, :6], expected, atol=1e-4)
