"""What is said is written down with its seconds, and nothing where nobody speaks."""

from __future__ import annotations

import socket
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.bench.challenge_digits import sentences
from monitor.errors import WeightsMissing
from monitor.ml.synthetic.interfaces import Sighting, Transcript
from monitor.ml.transcribing import (
    MOST_S,
    NEAR_S,
    WINDOW_S,
    Transcriber,
    Word,
    doubtful,
    pieces,
    said,
    seconds,
    upto,
    windows_of,
    within,
)
from monitor.ml.whisper import AROUND
from monitor.settings import Settings
from monitor.values import (
    SAMPLE_RATE,
    Band,
    ClipInfo,
    MediaKind,
    Sound,
    Span,
    SpeechTurn,
    SubjectId,
    SyntheticAssessment,
    SyntheticStatus,
    Verdict,
)

if TYPE_CHECKING:
    from pathlib import Path

SILENCE = np.zeros(20 * SAMPLE_RATE, np.float32)


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    """Give one transcriber: its networks load at the first test that needs them."""
    return Transcriber(Settings())


def noise(length_s: float) -> Sound:
    """Give something that is loud everywhere."""
    return Sound(np.random.default_rng(0).normal(0, 0.1, round(length_s * SAMPLE_RATE)).astype(np.float32))


def sighting(sound: Sound | None, speech: tuple[Span, ...], own: tuple[Span, ...]) -> Sighting:
    """Give a sighting of somebody who speaks at `own`."""
    turn = SpeechTurn(0, Span(0, 1), Sound(SILENCE), 3.0, pieces=own)
    about = SyntheticAssessment(SyntheticStatus.NOT_ASSESSED, (), "")
    return Sighting(
        info=ClipInfo(MediaKind.AUDIO, 0, 0, 60.0, has_sound=True),
        verdict=Verdict(SubjectId("s"), Band.ALERT, (), (), about, (), ()),
        looks=(),
        sound=sound,
        turns=(turn,) if own else (),
        speech=speech,
        declared=(),
        sha256="",
        perceptual_hash=None,
        again=lambda _: pytest.fail("nobody needs the pictures"),
    )


class Records:
    """A listener that notes what it is given, and hears one piece in the middle of every span."""

    def __init__(self) -> None:
        self.given: tuple[Span, ...] = ()

    def transcribe(self, sound: Sound, speech: tuple[Span, ...]) -> Transcript:
        """See Listener."""
        assert sound.seconds
        self.given = speech
        return Transcript(tuple((span, f"{span.start_s:.0f}") for span in speech), "en")


def test_english_is_written_down_at_its_seconds(transcriber: Transcriber) -> None:
    # Given two sentences, twenty seconds apart
    first = sentences("allison", 2, np.random.default_rng(3))
    sound = Sound(np.concatenate([first, SILENCE, first]))
    length_s = len(first) / SAMPLE_RATE
    # When they are written down
    heard = transcriber.transcribe(sound, (Span(0, length_s), Span(20 + length_s, 20 + 2 * length_s)))
    # Then the words are those that were said, where they were said
    assert heard.language == "en"
    assert [text.strip(".,").casefold() for _, text in heard.said] == [
        "to decrease your speaking volume to other participants"
    ] * 2
    (one, _), (other, _) = heard.said
    assert one.end_s <= length_s < 20 < other.start_s
    assert other.start_s - one.start_s == pytest.approx(20 + length_s, abs=0.5)


def test_another_language_is_known_and_written_down(transcriber: Transcriber) -> None:
    sound = Sound(sentences("june", 2, np.random.default_rng(3)))
    heard = transcriber.transcribe(sound, (Span(0, sound.seconds),))
    assert heard.language == "fr"
    assert "problème" in " ".join(text for _, text in heard.said)


def test_music_and_silence_say_nothing_even_where_somebody_takes_them_for_speech(
    transcriber: Transcriber,
) -> None:
    at = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    chord = sum(0.1 * np.sin(2 * np.pi * hertz * np.floor(1 + at) * at) for hertz in (110, 139, 165))
    for sound in (Sound(np.asarray(chord, np.float32)), Sound(SILENCE)):
        assert transcriber.transcribe(sound, (Span(0, 3),)).said == ()


def test_without_speech_no_network_is_loaded() -> None:
    fresh = Transcriber(Settings())
    assert fresh.transcribe(noise(5), ()) == Transcript((), "")
    assert fresh.transcribe(noise(5), (Span(1, 1.2),)) == Transcript((), "")
    assert not fresh.networks.loaded


def test_missing_weights_are_named_and_nothing_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("something was looked up"))
    with pytest.raises(WeightsMissing):
        Transcriber(Settings(models_dir=tmp_path)).transcribe(noise(2), (Span(0, 2),))


@pytest.mark.parametrize(
    ("text", "log_probability", "silent", "compression"),
    [
        ("Thank you.", -1.2, 0.1, 0.9),
        ("Thank you.", -0.6, 0.9, 0.9),
        ("you " * 30, -0.2, 0.1, 8.0),
        ("so so so so so so so so", -0.2, 0.1, 1.5),
        ("[Music]", -0.2, 0.1, 0.9),
        ("♪ la la ♪", -0.2, 0.1, 0.9),
        ("...", -0.2, 0.1, 0.9),
    ],
)
def test_what_is_likely_to_be_invented_is_dropped(
    text: str, log_probability: float, silent: float, compression: float
) -> None:
    assert doubtful(text, log_probability, silent, compression)


def test_clear_words_are_kept_although_the_network_suspects_silence() -> None:
    assert not doubtful("Three, zero, five.", -0.3, 0.8, 0.9)
    assert not doubtful("He said that (of all things) they had won.", -0.3, 0.1, 1.4)


def test_strangers_far_from_the_subject_are_not_written_down() -> None:
    # Given somebody who speaks for a few seconds, and others all the time
    listener, own = Records(), (Span(100, 104),)
    words, language = said(sighting(noise(300), (Span(0, 105), Span(105.5, 300)), own), listener)
    # Then only what is around the subject is listened to, and what is the subject's is marked
    assert listener.given == (Span(100 - NEAR_S, 105), Span(105.5, 104 + NEAR_S))
    assert language == "en"
    assert [word.subject for word in words] == [False, False]
    short = (Span(90, 99), Span(100.5, 103), Span(105, 109))
    words, _ = said(sighting(noise(300), short, own), Records())
    assert [word.subject for word in words] == [False, True, False]


def test_where_the_subject_does_not_speak_nobody_listens() -> None:
    listener = Records()
    assert said(sighting(noise(5), (Span(0, 5),), ()), listener) == ((), "")
    assert said(sighting(None, (), (Span(0, 5),)), listener) == ((), "")
    assert listener.given == ()


def test_of_a_very_long_talk_the_subjects_own_words_come_first() -> None:
    own = tuple(Span(at, at + 5) for at in range(0, 2000, 15))
    listener = Records()
    said(sighting(noise(1), (Span(0, 2000),), own), listener)
    assert seconds(listener.given) < len(own) * 5.5


def test_no_more_than_ten_minutes_are_heard() -> None:
    speech = tuple(Span(at, at + 50) for at in range(0, 3600, 60))
    assert seconds(upto(speech, MOST_S)) == pytest.approx(MOST_S)
    assert upto(speech[:2], MOST_S) == speech[:2]


def test_windows_are_no_longer_than_the_network_hears_and_know_their_seconds() -> None:
    sound = noise(150)
    made = list(windows_of(sound, (Span(1, 3), Span(3.5, 6), Span(40, 42), Span(60, 149))))
    assert all(len(one.samples) <= WINDOW_S * SAMPLE_RATE + 2 * AROUND for one in made)
    heard = [(cut.begin, cut.end) for one in made for cut in one.cuts]
    assert heard[0] == (round(0.8 * SAMPLE_RATE), round(6.2 * SAMPLE_RATE))
    assert heard[1] == (round(39.8 * SAMPLE_RATE), round(42.2 * SAMPLE_RATE))
    assert all(a[1] == b[0] for a, b in pairwise(heard[2:])), "nothing of a long talk is lost"
    assert (heard[2][0], heard[-1][1]) == (round(59.8 * SAMPLE_RATE), round(149.2 * SAMPLE_RATE))
    first = made[0]
    for cut in first.cuts:
        inside = (AROUND + cut.at + 1600) / SAMPLE_RATE
        assert first.time(inside) == pytest.approx(cut.begin / SAMPLE_RATE + 0.1)


def test_pieces_end_with_a_sentence_or_a_pause_and_never_with_a_title() -> None:
    words = [
        Word(0.0, 0.4, " Mr."),
        Word(0.4, 0.8, " Hale"),
        Word(0.8, 1.0, " left."),
        Word(1.1, 1.4, " Then"),
        Word(4.0, 4.4, " nothing"),
    ]
    assert list(pieces(words)) == [
        (Span(0.0, 1.0), "Mr. Hale left."),
        (Span(1.1, 1.4), "Then"),
        (Span(4.0, 4.4), "nothing"),
    ]


def test_spans_are_cut_to_places_that_may_overlap() -> None:
    places = (Span(8, 12), Span(0, 3), Span(2, 5))
    assert within((Span(1, 9), Span(11, 20)), places) == (Span(1, 5), Span(8, 9), Span(11, 12))
