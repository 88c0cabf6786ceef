"""The bench of voices: who speaks where, what conditions do to sound, trials, mixes and their truth."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

from monitor.bench import voices_mixes
from monitor.bench.mixing import TURNS_EACH, Background, Clip, mix, music, pink
from monitor.bench.sound import (
    MP3_32K,
    OPUS_12K,
    WAV,
    Codec,
    babble,
    rms,
    sharp_telephone,
    telephone,
    through,
    white,
    with_noise,
)
from monitor.bench.voices_conditions import CONDITIONS, POOLED, Heard
from monitor.bench.voices_data import MOST_OF_ONE, read_speakers
from monitor.bench.voices_enrolled import enrolments, probes_of, unfair_pairs
from monitor.bench.voices_mixes import Plan, compare, mix_figures, moments, plans, split
from monitor.bench.voices_reading import Read, cut, windows
from monitor.bench.voices_trials import Trials, all_trials, eer_figure, equal_error
from monitor.commands.bench import app
from monitor.errors import ConfigError
from monitor.ml.vectors import unit_rows
from monitor.values import SAMPLE_RATE, Span

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

SEED = 5


def rng() -> np.random.Generator:
    return np.random.default_rng(SEED)


def voice(pitch: float, seconds: float = 3.0) -> NDArray[np.float32]:
    """A vowel of this pitch, in syllables: a row of harmonics that swells four times a second."""
    at = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tones = sum(np.sin(2 * np.pi * pitch * part * at) / part for part in range(1, 20))
    return (0.1 * tones * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * at))).astype(np.float32)


def power(samples: NDArray[np.float32], low: float, high: float) -> float:
    """Power between two frequencies."""
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    return float(spectrum[(hertz >= low) & (hertz < high)].sum())


def lag(a: NDArray[np.float32], b: NDArray[np.float32]) -> int:
    """By how many samples b is late."""
    size = 2 * len(a)
    alike = np.fft.irfft(np.conj(np.fft.rfft(a, size)) * np.fft.rfft(b, size))
    place = int(np.argmax(alike))
    return place if place < len(a) else place - size


# Who speaks in which recording.


def files(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def speakers(root: Path) -> dict[str, int]:
    return {one.path.name: one.speaker for one in read_speakers(root, 0, SEED)}


def test_a_folder_per_speaker(tmp_path: Path) -> None:
    found = speakers(files(tmp_path, "ann/1.wav", "ann/2.flac", "bo/3.wav", "bo/note.txt"))
    assert set(found) == {"1.wav", "2.flac", "3.wav"}
    assert found["1.wav"] == found["2.flac"] != found["3.wav"]


def test_names_tell_speakers_where_files_stand_flat(tmp_path: Path) -> None:
    found = speakers(files(tmp_path, "12-1-0001.flac", "12-9-0002.flac", "7-1-0001.flac", "who_knows.flac"))
    assert set(found) == {"12-1-0001.flac", "12-9-0002.flac", "7-1-0001.flac"}
    assert found["12-1-0001.flac"] == found["12-9-0002.flac"] != found["7-1-0001.flac"]


@pytest.mark.parametrize("given", [".", "real"])
def test_sets_of_different_layouts_side_by_side(tmp_path: Path, given: str) -> None:
    files(
        tmp_path,
        "real/test-other/12/12-1-0001.flac",
        "real/train/12-2-0001.flac",
        "real/train/7-1-0001.flac",
        "real/deep/8/20/8-20-0000.flac",
        "real/studio/one_1.flac",
        "real/vctk/p225/a.wav",
        "spoof/espeak/12-1-0001.flac",
        "spoof/kokoro/x.flac",
    )
    found = [(str(o.path.relative_to(tmp_path)), o.speaker) for o in read_speakers(tmp_path / given, 0, SEED)]
    assert {name for name, _ in found} == {
        "real/test-other/12/12-1-0001.flac",
        "real/train/12-2-0001.flac",
        "real/train/7-1-0001.flac",
        "real/deep/8/20/8-20-0000.flac",
        "real/vctk/p225/a.wav",
    }
    assert len({speaker for _, speaker in found}) == 4


def test_everybodys_first_recording_comes_before_anybodys_second(tmp_path: Path) -> None:
    files(tmp_path, *(f"ann/{n}.wav" for n in range(30)), "bo/1.wav", "cy/1.wav")
    assert len({one.speaker for one in read_speakers(tmp_path, 3, SEED)}) == 3
    assert len(read_speakers(tmp_path, 0, SEED)) == MOST_OF_ONE + 2
    assert read_speakers(tmp_path, 0, SEED) == read_speakers(tmp_path, 0, SEED)


def test_no_speakers_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a data set"):
        read_speakers(tmp_path / "gone", 0, SEED)
    with pytest.raises(ConfigError, match="fewer than two speakers"):
        read_speakers(files(tmp_path, "ann/1.wav"), 0, SEED)


# What conditions do to sound.


@pytest.mark.parametrize("line", [telephone, sharp_telephone])
def test_a_telephone_cuts_both_ends_of_the_band(
    line: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> None:
    before = white(4 * SAMPLE_RATE, rng()) * np.float32(0.1)
    after = line(before)
    assert after.shape == before.shape
    assert abs(lag(before, after)) <= 16
    for low, high in ((20, 200), (4100, 8000)):
        assert power(after, low, high) < 0.02 * power(before, low, high)
    assert power(after, 500, 3000) == pytest.approx(power(before, 500, 3000), rel=0.1)


@pytest.mark.parametrize("codec", [MP3_32K, OPUS_12K])
def test_a_codec_changes_the_sound_but_neither_length_nor_time(codec: Codec) -> None:
    before = voice(140) + white(3 * SAMPLE_RATE, rng()) * np.float32(0.01)
    after = through(before, codec)
    assert after.shape == before.shape
    assert abs(lag(before, after)) <= SAMPLE_RATE // 50
    assert 0.5 < np.corrcoef(before, after)[0, 1] < 0.9999


def test_a_file_without_loss_comes_back_as_it_was() -> None:
    before = voice(140)
    np.testing.assert_allclose(through(before, WAV), before, atol=1e-4)


@pytest.mark.parametrize("snr_db", [20, 10, 5])
@pytest.mark.parametrize("kind", ["white", "babble"])
def test_noise_is_as_loud_as_said(kind: str, snr_db: int) -> None:
    speech = voice(140)
    samples = np.concatenate([speech, np.zeros(SAMPLE_RATE, np.float32)])
    others = [voice(pitch) for pitch in (90, 120, 200, 250)]
    noisy = CONDITIONS[f"{kind}_{snr_db}db"](Heard(samples, speech, others, rng()))
    scale = float(noisy[: len(speech)] @ speech / (speech @ speech))
    noise = noisy / scale - samples
    assert 20 * np.log10(rms(speech) / rms(noise)) == pytest.approx(snr_db, abs=1)


def test_loud_sound_is_turned_down_and_never_clipped() -> None:
    loud = with_noise(np.full(100, 0.9, np.float32), white(100, rng()), 0, np.full(9, 0.9, np.float32))
    assert np.abs(loud).max() <= 1
    assert len(np.unique(loud)) > 90


def test_babble_is_of_every_voice_alike() -> None:
    mixed = babble(SAMPLE_RATE, [voice(150, 0.5), voice(1000, 0.7) * np.float32(0.01)], rng())
    assert mixed.shape == (SAMPLE_RATE,)
    assert 0.2 < power(mixed, 900, 8000) / power(mixed, 50, 900) < 5


def test_every_figure_of_noise_pools_conditions_that_exist() -> None:
    assert {part for parts in POOLED.values() for part in parts} == set(CONDITIONS)


# Trials and their errors.


def test_the_equal_error_rate_of_known_scores() -> None:
    low, high = np.array([0.1, 0.2, 0.3, 0.4], np.float32), np.array([0.6, 0.7, 0.8, 0.9], np.float32)
    assert equal_error(high, low) == 0
    assert equal_error(low, high) == 1
    assert equal_error(np.append(high, np.float32(0.25)), np.append(low, np.float32(0.65))) == pytest.approx(
        0.2
    )
    assert equal_error(low, low) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="needs genuine and impostor"):
        equal_error(high, low[:0])


def test_the_equal_error_rate_of_two_normal_distributions() -> None:
    scores = rng().normal(size=(2, 100_000)).astype(np.float32) / 10
    people = np.repeat(np.arange(50), 2000)
    figure = eer_figure(Trials(scores[0] + np.float32(0.2), people, scores[1], people), SEED)
    assert figure.value == pytest.approx(0.1587, abs=0.003)
    assert figure.low < figure.value < figure.high < figure.low + 0.02
    assert figure.n == 100_000


def test_no_error_in_few_trials_is_no_proof_of_none() -> None:
    few = Trials(
        np.full(20, 0.9, np.float32), np.arange(20) // 5, np.zeros(90, np.float32), np.arange(90) // 9
    )
    figure = eer_figure(few, SEED)
    assert figure.value == figure.low == 0
    assert figure.high > 0.1


def read(rows: list[list[float]], around: tuple[int, ...] = ()) -> Read:
    vectors = unit_rows(np.array(rows, np.float32))
    return Read(vectors[0], {("clean", 2): vectors}, {"clean": 2.0}, around)


def test_trials_are_across_recordings_and_spare_the_voices_in_the_babble(tmp_path: Path) -> None:
    files(tmp_path, "ann/1.wav", "ann/2.wav", "bo/1.wav", "cy/1.wav")
    recordings = read_speakers(tmp_path, 0, SEED)
    reads = [read([[1, 0, 0], [1, 0.1, 0]]), read([[1, 0, 0.1]]), read([[0, 1, 0]], (2,)), read([[0, 0, 1]])]
    enrolled = enrolments(recordings, reads)
    assert [recordings[min(made)].speaker for made in enrolled.recordings] == enrolled.speakers.tolist()
    assert enrolled.speakers.tolist() == [0, 0, 1, 2]
    probes = probes_of(recordings, reads, "clean", 2)
    assert probes.recordings.tolist() == [0, 0, 1, 2, 3]
    fair = all_trials(probes, enrolled)
    assert len(fair.genuine) == 3  # ann's three probes against her other recording
    assert len(fair.impostor) == 3 * 2 + 3 + 3
    spared = all_trials(probes, enrolled, unfair_pairs(probes, enrolled, reads))
    assert len(spared.impostor) == len(fair.impostor) - 1


def test_probes_do_not_overlap_and_windows_reach_to_the_end() -> None:
    speech = np.arange(int(7.2 * SAMPLE_RATE), dtype=np.float32)
    pieces = cut(speech, 2, most=6)
    assert [len(piece.samples) / SAMPLE_RATE for piece in pieces] == [2, 2, 2]
    assert all(b.samples[0] == a.samples[-1] + 1 for a, b in pairwise(pieces))
    own = windows(speech)
    assert own[-1].samples[-1] == speech[-1]
    assert {len(window.samples) for window in own} == {3 * SAMPLE_RATE}
    assert len(windows(speech[:SAMPLE_RATE])) == 1


# Mixes and their truth.


def clips() -> dict[int, list[Clip]]:
    quiet = np.zeros(SAMPLE_RATE // 2, np.float32)
    return {
        who: [Clip(np.concatenate([quiet, voice(pitch, 6.0)]), (Span(0.5, 3.0), Span(3.4, 6.5)))]
        for who, pitch in enumerate((300, 800, 2100))
    }


def test_a_mix_says_who_speaks_when() -> None:
    made = mix(clips(), rng())
    assert set(made.speaking) == {0, 1, 2}
    at = np.arange(len(made.samples)) / SAMPLE_RATE
    for who, pitch in enumerate((300, 800, 2100)):
        inside = np.zeros(len(at), bool)
        for span in made.speaking[who]:
            inside |= (at >= span.start_s) & (at < span.end_s)
        own = np.where(inside, made.samples, 0).astype(np.float32)
        rest = np.where(inside, 0, made.samples).astype(np.float32)
        assert power(own, pitch - 20, pitch + 20) > 2 * power(rest, pitch - 20, pitch + 20)


def test_turns_follow_each_other_and_overlap_only_where_asked() -> None:
    spans = sorted((s.start_s, s.end_s) for own in mix(clips(), rng()).speaking.values() for s in own)
    assert all(b[0] >= a[1] for a, b in pairwise(spans))
    assert TURNS_EACH * 3 <= len(spans) <= 2 * TURNS_EACH * 3
    over = sorted(
        (s.start_s, s.end_s) for own in mix(clips(), rng(), overlaps=True).speaking.values() for s in own
    )
    assert any(0.2 < a[1] - b[0] <= 1.1 for a, b in pairwise(over))


@pytest.mark.parametrize("behind", [Background.MUSIC, Background.NOISE])
def test_what_is_behind_the_voices_is_softer_than_they_are(behind: Background) -> None:
    alone, both = mix(clips(), rng()), mix(clips(), rng(), background=behind)
    assert alone.speaking == both.speaking
    added = rms(both.samples - alone.samples)
    assert 8 < 20 * np.log10(rms(alone.samples) / added) < 20
    assert np.abs(both.samples).max() <= 1


def test_backgrounds_are_what_they_are_called() -> None:
    noise = pink(4 * SAMPLE_RATE, rng())
    assert power(noise, 100, 200) == pytest.approx(power(noise, 1600, 3200), rel=0.3)
    tune = music(2 * SAMPLE_RATE, rng())
    spectrum = np.sort(np.abs(np.fft.rfft(tune)) ** 2)[::-1]
    assert spectrum[: len(spectrum) // 50].sum() > 0.9 * spectrum.sum()


def test_the_truth_of_a_mix_is_compared_by_moments() -> None:
    made = mix(clips(), rng())
    plan = Plan(0, 0, (1, 2), overlaps=False, background=Background.NONE)
    perfect = compare(plan, made, dict(made.speaking))
    assert perfect.found == perfect.own > 400
    assert (perfect.claimed, perfect.anybody) == (0, 0)
    greedy = compare(plan, made, {0: [Span(0, 1e4)]})
    assert greedy.found == greedy.own
    assert greedy.claimed == greedy.anybody == greedy.others
    other = compare(plan, made, {7: made.speaking[1]})
    assert other.found == other.claimed == 0
    assert other.anybody == int(moments(made.speaking[1], len(made.samples)).sum())
    figures = mix_figures([perfect, greedy], SEED)
    assert figures["voices.mix_hit"].value == 1
    assert figures["voices.mix_false"].value == pytest.approx(0.5)
    assert figures["voices.mix_hit"].n == 2


def test_recordings_that_enrol_are_heard_in_no_mix(tmp_path: Path) -> None:
    names = [f"{who}/{n}.wav" for who in ("ann", "bo") for n in range(5)]
    recordings = read_speakers(files(tmp_path, *names, *(f"one{n}/1.wav" for n in range(6))), 0, SEED)
    enrols, heard = split(recordings)
    assert not enrols & {number for own in heard.values() for number in own}
    assert len(heard) == 2 + 3
    wanted = plans([0, 1], heard, SEED)
    assert {plan.subject for plan in wanted} == {0, 1}
    assert all(len({plan.subject, *plan.others}) == 3 for plan in wanted)
    for subject in (0, 1):
        kinds = {(p.overlaps, p.background) for p in wanted if p.subject == subject}
        assert len(kinds) == 6
    assert plans([], heard, SEED) == []


# The whole bench.


def test_the_bench_of_voices_runs(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voices_mixes, "MIXES", 3)
    source = data / "voices" / "real" / "librispeech-test-other"
    for speaker in sorted(source.iterdir())[:3]:
        (tmp_path / "few" / speaker.name).mkdir(parents=True)
        some = sorted(speaker.iterdir(), key=lambda clip: -clip.stat().st_size)[4:6]  # some eight seconds
        for clip in some:
            (tmp_path / "few" / speaker.name / clip.name).symlink_to(clip)
    out = tmp_path / "v.json"
    ended = CliRunner().invoke(app, ["voices", "--data", str(tmp_path / "few"), "--json", str(out)])
    assert ended.exit_code == 0, ended.output
    figures = json.loads(out.read_text(encoding="utf-8"))["figures"]
    assert {f"voices.eer_2s_{name}" for name in ("clean", "telephone", "mp3_32k", "opus_12k")} <= set(figures)
    assert {f"voices.eer_2s_noise_{snr}db" for snr in (20, 10, 5)} <= set(figures)
    assert {"voices.mix_hit", "voices.mix_false"} <= set(figures)
    assert figures["voices.eer_2s_clean"]["value"] < 0.1
    assert figures["voices.impostors_above_alert_clean"]["value"] == 0
