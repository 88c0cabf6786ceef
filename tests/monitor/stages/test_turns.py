"""A sound becomes turns of speakers: enough speech of each, parted at their seconds, bounded in number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.ml.interfaces import Thresholds, VoiceModels
from monitor.stages import turns as turns_file
from monitor.stages.speakers import CELL_S, SHORTEST, WINDOW, place_windows
from monitor.stages.turns import HEARD_S, LEAST_SPEECH_S, MOST_TURNS, TURN_S, heard, part, runs, turns
from monitor.values import SAMPLE_RATE, ModelId, Sound, Span, pieces_of
from tests.assets import people

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.ml.interfaces import Pack
    from monitor.values import SpeechTurn


class Speaks:
    """A speech detector that was told where the speech is. A fake, for unit tests only."""

    model_id = ModelId("told")

    def __init__(self, *spans: tuple[float, float]) -> None:
        """Take the spans."""
        self.spans = tuple(Span(a, b) for a, b in spans)

    def speech(self, _: Sound) -> tuple[Span, ...]:
        """Give them."""
        return self.spans


class HearsLevels:
    """A recogniser to which every level of sound, 0, 1, 2 ..., is a voice. A fake, for unit tests only."""

    model_id = ModelId("levels")
    dimension = 60

    def __init__(self) -> None:
        """Nothing heard yet."""
        self.heard_s = 0.0

    def embed(self, sounds: Sequence[Sound]) -> NDArray[np.float32]:
        """Give the share of each level in the sound, as a direction."""
        self.heard_s += sum(sound.seconds for sound in sounds)
        rows = [
            np.bincount(s.samples.astype(int), minlength=self.dimension)[: self.dimension] for s in sounds
        ]
        vectors = np.array(rows, np.float32).reshape(len(sounds), self.dimension)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def told(*spans: tuple[float, float]) -> VoiceModels:
    return VoiceModels(Speaks(*spans), HearsLevels(), Thresholds(0.6, 0.5, ModelId("levels"), "a fake"))


def levels(*parts: tuple[int, float]) -> Sound:
    """Let voices speak one after the other: (voice, seconds)."""
    return Sound(np.concatenate([np.full(int(s * SAMPLE_RATE), voice, np.float32) for voice, s in parts]))


def seconds_of(found: Sequence[SpeechTurn], speaker: int) -> list[tuple[float, float]]:
    """Give the seconds at which a speaker speaks, neighbouring pieces joined."""
    joined: list[tuple[float, float]] = []
    for piece in (piece for turn in found if turn.speaker == speaker for piece in pieces_of(turn)):
        if joined and piece.start_s - joined[-1][1] < 2 * CELL_S:
            joined[-1] = (joined[-1][0], piece.end_s)
        else:
            joined.append((piece.start_s, piece.end_s))
    return joined


def test_short_speech_is_not_compared() -> None:
    models = told((1.0, 2.5))
    assert turns(levels((1, 10)), models) == ((), ())
    assert models.recogniser.heard_s == 0


def test_short_pieces_close_together_are_one_turn_without_the_pauses() -> None:
    ((turn,), left_out) = turns(levels((1, 10)), told((1.0, 2.0), (2.5, 3.5)))
    assert turn.span == Span(1.0, 3.5)
    assert turn.pieces == (Span(1.0, 2.0), Span(2.5, 3.5))
    assert turn.net_speech_s == pytest.approx(2.0)
    assert left_out == ()


def test_speakers_are_numbered_by_their_first_word_and_have_their_seconds() -> None:
    found, _ = turns(levels((7, 4), (3, 5), (7, 4)), told((0.0, 13.0)))
    assert {turn.speaker for turn in found} == {0, 1}
    first, second = seconds_of(found, 0), seconds_of(found, 1)
    assert np.allclose(first, [(0, 4), (9, 13)], atol=0.3)
    assert np.allclose(second, [(4, 9)], atol=0.3)
    for turn in found:
        assert np.mean(turn.sound.samples == (7, 3)[turn.speaker]) > 0.9


def test_one_who_says_too_little_is_not_compared_and_does_not_spoil_the_others() -> None:
    found, _ = turns(levels((7, 5), (3, 1.2), (7, 5)), told((0.0, 11.2)))
    assert {turn.speaker for turn in found} == {0}


def test_fifty_speakers_are_told_apart() -> None:
    found, _ = turns(levels(*[(n, 3.0) for n in range(50)]), told((0.0, 150.0)))
    assert len({turn.speaker for turn in found}) == 50
    for turn in found:
        assert np.mean(turn.sound.samples == turn.speaker) > 0.8


def test_a_long_speech_of_one_has_few_turns_that_cover_it_all() -> None:
    models = told((0.0, 600.0))
    found, _ = turns(levels((1, 600)), models)
    assert len(found) == MOST_TURNS
    assert seconds_of(found, 0) == [(0.0, 600.0)]
    assert all(turn.net_speech_s <= HEARD_S for turn in found)
    assert [turn.turn for turn in found] == list(range(MOST_TURNS))


def test_too_many_windows_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_file, "MOST_WINDOWS", 20)
    found, (left_out,) = turns(levels((1, 60)), told((0.0, 60.0)))
    assert left_out.code == "too_many_turns"
    assert 10 < max(turn.span.end_s for turn in found) < 20


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(SHORTEST, 300)), min_size=1, max_size=8))
def test_windows_hold_every_cell_of_speech(parts: list[tuple[int, int]]) -> None:
    edges = np.cumsum(np.array(parts).ravel()).reshape(-1, 2)
    spoken = np.concatenate([np.arange(start, end) for start, end in edges])
    windows = place_windows(spoken)
    np.testing.assert_array_equal(np.unique(np.concatenate(windows)), spoken)
    assert all(SHORTEST <= len(own) <= WINDOW for own in windows)


def test_words_with_pauses_between_them_are_heard_together() -> None:
    spoken = np.concatenate([np.arange(n * 30, n * 30 + 15) for n in range(6)])
    assert all(len(own) == WINDOW for own in place_windows(spoken))


def test_turns_part_a_speakers_pieces_without_losing_a_cell() -> None:
    cells = np.concatenate([np.arange(0, 170), np.arange(200, 230), np.arange(300, 345)])
    parted = part(runs(cells))
    assert len(parted) == int(len(cells) * CELL_S / TURN_S)
    np.testing.assert_array_equal(np.concatenate([piece for some in parted for piece in some]), cells)
    assert all(sum(map(len, some)) * CELL_S >= LEAST_SPEECH_S for some in parted)


def test_of_a_turn_the_longest_pieces_are_heard_in_order() -> None:
    pieces = [np.arange(0, 20), np.arange(30, 110), np.arange(200, 260)]
    chosen = heard(pieces)
    assert len(chosen) == HEARD_S / CELL_S
    assert chosen.tolist() == [*range(30, 110), *range(200, 240)]


def clip(data: Path, speaker: str, number: int, seconds: float) -> NDArray[np.float32]:
    """Give the beginning of one of a reader's clips, the longest being number 0."""
    files = sorted((data / people.VOICES / speaker).iterdir(), key=lambda path: -path.stat().st_size)
    return people.speech(files[number])[: int(seconds * SAMPLE_RATE)]


def test_readers_taking_turns_are_told_apart_at_their_seconds(pack: Pack, data: Path) -> None:
    parts = [("1688", 0), ("1998", 0), ("1688", 1), ("2414", 0), ("1998", 1)]
    said = [clip(data, speaker, number, 4.5) for speaker, number in parts]
    pause = np.zeros(SAMPLE_RATE // 4, np.float32)
    found, _ = turns(Sound(np.concatenate([x for one in said for x in (one, pause)])), pack.voices)
    assert len({turn.speaker for turn in found}) == 3
    at = np.cumsum([0.0, *[len(one) / SAMPLE_RATE + 0.25 for one in said]])
    for speaker, places in ((0, (0, 2)), (1, (1, 4)), (2, (3,))):
        hers = sum(end - start for start, end in seconds_of(found, speaker))
        right = sum(
            max(0.0, min(end, at[n + 1]) - max(start, at[n]))
            for start, end in seconds_of(found, speaker)
            for n in places
        )
        assert right >= 0.95 * hers
        spoken = [span for n in places for span in pack.voices.detector.speech(Sound(said[n]))]
        assert hers >= 0.9 * sum(span.end_s - span.start_s for span in spoken)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_one_reader_alone_is_one_speaker(pack: Pack, data: Path, number: int) -> None:
    found, _ = turns(Sound(clip(data, "2033", number, 12)), pack.voices)
    assert {turn.speaker for turn in found} == {0}


def test_a_voice_of_telephone_width_is_one_speaker(pack: Pack, data: Path) -> None:
    wide = clip(data, "2414", 0, 10)
    spectrum = np.fft.rfft(wide)
    spectrum[len(spectrum) // 2 :] = 0  # what 8 kHz cannot hold
    found, _ = turns(Sound(np.fft.irfft(spectrum, len(wide)).astype(np.float32)), pack.voices)
    assert {turn.speaker for turn in found} == {0}


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(160_000), people.music(8), people.music(0.3)])
def test_nobody_speaks_where_there_is_no_speech(pack: Pack, samples: NDArray[np.float32]) -> None:
    assert turns(Sound(samples.astype(np.float32)), pack.voices) == ((), ())


def test_a_third_of_a_second_of_speech_is_nobody(pack: Pack, data: Path) -> None:
    assert turns(Sound(clip(data, "2414", 0, 0.3)), pack.voices) == ((), ())
