"""The real listener: what it hears of recorded people, of silence and noise, and what it must not be told."""

from __future__ import annotations

import inspect
import socket
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from enrollment.identity.digits import SURE, digits_of
from enrollment.identity.judge import digits_sign
from enrollment.identity.listen import Listener
from enrollment.identity.signs import Outcome
from monitor.bench.challenge_digits import SPEAKERS, said, sentences
from monitor.bench.sound import OPUS_12K, through, white, with_noise
from monitor.db import utc_now
from monitor.errors import WeightsDiffer, WeightsMissing
from monitor.ml.whisper import ENGLISH, KEPT_FOR, files_of
from monitor.settings import Settings
from monitor.values import Sound

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

ROWS = ("305719", "862904", "140683", "978125")


@pytest.fixture(scope="module")
def listener() -> Listener:
    """Give one listener: it loads at the first test that listens."""
    return Listener()


def heard(listener: Listener, samples: NDArray[np.float32], language: str = "en") -> str:
    """Give the digits that are heard."""
    transcript = listener.hear(Settings(), Sound(samples.astype(np.float32)), language, utc_now())
    assert transcript is not None
    return digits_of(transcript, language)


@pytest.mark.parametrize("row", ROWS)
def test_digits_of_a_real_speaker_are_heard(listener: Listener, row: str) -> None:
    assert heard(listener, said("allison", row, np.random.default_rng(int(row)))) == row


@pytest.mark.parametrize("row", ROWS[:2])
def test_digits_are_heard_through_a_browsers_codec_and_noise(listener: Listener, row: str) -> None:
    rng = np.random.default_rng(1)
    clean = said("allison", row, rng)
    assert heard(listener, through(clean, OPUS_12K)) == row
    assert heard(listener, with_noise(clean, white(len(clean), rng), 15, clean)) == row


def test_nobody_says_digits_in_silence_noise_or_a_tone(listener: Listener) -> None:
    rng = np.random.default_rng(2)
    tone = 0.3 * np.sin(np.arange(64_000) * 0.1)
    for samples in (np.zeros(64_000), rng.normal(0, 0.05, 64_000), tone, np.zeros(0)):
        assert heard(listener, samples) == ""


def test_sentences_answer_no_challenge(listener: Listener) -> None:
    found = heard(listener, sentences("allison", 8.0, np.random.default_rng(3)))
    assert all(digits_sign(row, found).outcome is Outcome.FAIL for row in ROWS)


def test_the_listener_cannot_be_told_what_to_expect(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a network that tells what it is asked
    samples = said("allison", ROWS[0], np.random.default_rng(4))
    heard(listener, samples)
    asked: list[dict[str, Any]] = []
    monkeypatch.setitem(listener.networks.held, ENGLISH, _Notes(listener.networks.held[ENGLISH], asked))
    # When it listens
    heard(listener, samples)
    # Then no word of any digit went to it beside the sound, and there is no argument that could bring one
    [how] = asked
    assert how["initial_prompt"] is None
    assert how["hotwords"] is None
    assert not how["condition_on_previous_text"]
    assert {value for value in how.values() if isinstance(value, str)} == {"en", "transcribe"}
    assert list(inspect.signature(Listener.hear).parameters) == [
        "self",
        "settings",
        "sound",
        "language",
        "now",
    ]


class _Notes:
    """Passes on to the real network, and notes how it was asked."""

    def __init__(self, network: Any, asked: list[dict[str, Any]]) -> None:
        self._network, self._asked = network, asked
        self.supported_languages = network.supported_languages

    def transcribe(self, samples: Any, **how: Any) -> Any:
        self._asked.append(how)
        return self._network.transcribe(samples, **how)


def test_asked_digits_that_were_not_said_are_not_heard(listener: Listener) -> None:
    rng = np.random.default_rng(5)
    for row, other in zip(ROWS, reversed(ROWS), strict=True):
        assert heard(listener, said("allison", row, rng)) != other


@pytest.mark.parametrize("speaker", ["allison-es", "june", "carlo", "ivrvoice"])
def test_digits_of_real_speakers_of_other_languages_are_heard(listener: Listener, speaker: str) -> None:
    samples = said(speaker, ROWS[0], np.random.default_rng(6))
    assert heard(listener, samples, SPEAKERS[speaker].language) == ROWS[0]


def test_a_language_that_nobody_wrote_down_is_not_listened_to(listener: Listener) -> None:
    sound = Sound(said("june", ROWS[0], np.random.default_rng(6)))
    assert listener.hear(Settings(), sound, "eo", utc_now()) is None


def test_where_the_listener_is_not_sure_a_person_decides() -> None:
    assert digits_sign("305719", "88", sure=True).outcome is Outcome.FAIL
    assert digits_sign("305719", "88", sure=False).outcome is Outcome.DOUBT
    assert digits_sign("305719", "305719", sure=False).outcome is Outcome.PASS
    assert {speaker.language for speaker in SPEAKERS.values()} > SURE


def test_an_english_network_in_the_operators_folder_claims_no_other_language(tmp_path: Path) -> None:
    settings = Settings()
    for name, entry in files_of(ENGLISH).items():
        (tmp_path / name).symlink_to(settings.models_dir / entry)
    own = settings.model_copy(update={"whisper_dir": tmp_path})
    sound = Sound(said("june", ROWS[0], np.random.default_rng(6)))
    listener = Listener()
    assert listener.hear(own, sound, "fr", utc_now()) is None
    english = listener.hear(own, Sound(said("allison", ROWS[0], np.random.default_rng(6))), "en", utc_now())
    assert digits_of(english or "", "en") == ROWS[0]


def test_a_folder_that_is_not_whole_is_refused_and_nothing_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("something was looked up in the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    settings = Settings()
    own = settings.model_copy(update={"whisper_dir": tmp_path})
    sound = Sound(np.full(16_000, 0.1, np.float32))
    with pytest.raises(WeightsMissing, match=r"model\.bin"):
        Listener().hear(own, sound, "en", utc_now())


def test_other_bytes_than_those_of_the_lock_are_refused(tmp_path: Path) -> None:
    settings = Settings(models_dir=tmp_path)
    sound = Sound(np.full(16_000, 0.1, np.float32))
    with pytest.raises(WeightsMissing):
        Listener().hear(settings, sound, "en", utc_now())
    for name in files_of(ENGLISH).values():
        (tmp_path / name).write_bytes(b"other bytes")
    with pytest.raises(WeightsDiffer):
        Listener().hear(settings, sound, "en", utc_now())


def test_the_network_is_loaded_late_and_freed_after_a_while() -> None:
    fresh, now = Listener(), utc_now()
    assert not fresh.loaded
    fresh.rest(now)
    fresh.hear(Settings(), Sound(said("allison", "12", np.random.default_rng(7))), "en", now)
    assert fresh.loaded
    fresh.rest(now + KEPT_FOR - timedelta(seconds=1))
    assert fresh.loaded
    fresh.rest(now + KEPT_FOR)
    assert not fresh.loaded
