"""The voice of a clip, with the real recogniser and recorded people: one's own, another's, a machine's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from enrollment.identity.signs import Outcome, Sign
from enrollment.identity.speech import (
    ONE_VOICE,
    SPEAKERS,
    SPEECH,
    SYNTHETIC,
    VOICE,
    Spoken,
    hear_voice,
)
from monitor.bench.challenge_digits import said, sentences
from monitor.bench.sound import OPUS_12K, through
from monitor.ml.lip_motion import ENVELOPE_S, envelope
from monitor.values import SAMPLE_RATE, Sound, Span

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.ml.interfaces import Pack, VoiceModels

PEOPLE = ("allison", "june", "carlo", "ivrvoice")


@pytest.fixture(scope="module")
def voices(pack: Pack) -> VoiceModels:
    """Give the real voice models."""
    assert pack.voices is not None
    return pack.voices


@pytest.fixture(scope="module")
def enrolled(voices: VoiceModels) -> dict[str, NDArray[np.float32]]:
    """Give the vectors of everybody's voice sample: ten seconds of sentences."""
    return {
        one: voices.recogniser.embed([Sound(sentences(one, 10.0, np.random.default_rng(1)))])
        for one in PEOPLE
    }


def sign(spoken: Spoken, check: str) -> Sign:
    """Give what one check says."""
    [found] = [one for one in spoken.signs if one.check == check]
    return found


@pytest.mark.parametrize("who", PEOPLE)
def test_ones_own_digits_are_never_somebody_elses(
    who: str, voices: VoiceModels, enrolled: dict[str, NDArray[np.float32]]
) -> None:
    for seed, row in enumerate(("305719", "862904")):
        sound = Sound(through(said(who, row, np.random.default_rng(seed)), OPUS_12K))
        spoken = hear_voice(sound, voices, enrolled[who])
        assert sign(spoken, SPEECH).outcome is Outcome.PASS
        assert sign(spoken, VOICE).outcome is not Outcome.FAIL
        assert sign(spoken, SPEAKERS).outcome is Outcome.PASS
        assert sign(spoken, ONE_VOICE).outcome is Outcome.PASS


def test_most_of_ones_own_digits_pass(voices: VoiceModels, enrolled: dict[str, NDArray[np.float32]]) -> None:
    for who in ("allison", "ivrvoice"):
        spoken = hear_voice(Sound(said(who, "305719", np.random.default_rng(3))), voices, enrolled[who])
        assert sign(spoken, VOICE).outcome is Outcome.PASS


def test_another_persons_digits_never_pass(
    voices: VoiceModels, enrolled: dict[str, NDArray[np.float32]]
) -> None:
    outcomes = []
    for who in PEOPLE:
        sound = Sound(said(who, "862904", np.random.default_rng(2)))
        others = [enrolled[other] for other in PEOPLE if other != who]
        outcomes += [sign(hear_voice(sound, voices, own), VOICE).outcome for own in others]
    assert Outcome.PASS not in outcomes
    assert outcomes.count(Outcome.FAIL) >= len(outcomes) * 3 // 4


@pytest.mark.parametrize("kind", ["espeak", "flite_clustergen"])
def test_text_to_speech_in_a_voice_of_its_own_is_somebody_else(
    kind: str, voices: VoiceModels, enrolled: dict[str, NDArray[np.float32]], data: Path
) -> None:
    for path in sorted((data / "voices/spoof" / kind).iterdir())[:2]:
        sound = Sound(_read(path))
        for own in enrolled.values():
            assert sign(hear_voice(sound, voices, own), VOICE).outcome is Outcome.FAIL


def test_a_second_speaker_is_noticed(voices: VoiceModels, enrolled: dict[str, NDArray[np.float32]]) -> None:
    rng = np.random.default_rng(4)
    both = np.concatenate([said("carlo", "3057", rng), said("june", "1986", rng)])
    assert sign(hear_voice(Sound(both), voices, enrolled["carlo"]), SPEAKERS).code == "several_speakers"


def test_no_sound_and_too_little_speech_are_said_as_such(
    voices: VoiceModels, enrolled: dict[str, NDArray[np.float32]]
) -> None:
    own = enrolled["june"]
    assert [one.code for one in hear_voice(None, voices, own).signs] == ["no_sound"]
    quiet = Sound(np.zeros(8 * SAMPLE_RATE, np.float32))
    assert [one.code for one in hear_voice(quiet, voices, own).signs] == ["too_little_speech"]
    short = Sound(said("june", "3", np.random.default_rng(5)))
    assert [one.code for one in hear_voice(short, voices, own).signs] == ["too_little_speech"]
    with pytest.raises(ValueError, match="no voice"):
        hear_voice(quiet, voices, np.empty((0, 192), np.float32))


def test_what_is_not_assessed_is_named_and_a_scorer_takes_its_place(
    voices: VoiceModels, enrolled: dict[str, NDArray[np.float32]]
) -> None:
    class Alarm:
        """A scorer for this test alone: calls everything synthetic."""

        def score(self, sound: Sound, speech: tuple[Span, ...]) -> Sign:
            assert speech
            return Sign(SYNTHETIC, Outcome.DOUBT, "voice_synthetic", sound.seconds)

    sound = Sound(said("june", "305719", np.random.default_rng(6)))
    without = hear_voice(sound, voices, enrolled["june"])
    assert without.not_made == (SYNTHETIC,)
    assert SYNTHETIC not in {one.check for one in without.signs}
    with_one = hear_voice(sound, voices, enrolled["june"], Alarm())
    assert with_one.not_made == ()
    assert sign(with_one, SYNTHETIC).outcome is Outcome.DOUBT


def test_the_envelope_is_loud_where_somebody_speaks(
    voices: VoiceModels, enrolled: dict[str, NDArray[np.float32]]
) -> None:
    sound = Sound(said("june", "305", np.random.default_rng(7)))
    loud = envelope(sound)
    assert loud.shape == (int(sound.seconds / ENVELOPE_S),)
    inside = np.zeros(len(loud), bool)
    for span in hear_voice(sound, voices, enrolled["june"]).spans:
        inside[int(span.start_s / ENVELOPE_S) : int(span.end_s / ENVELOPE_S)] = True
    assert loud[inside].mean() > 5 * loud[~inside].mean()


def _read(path: Path) -> NDArray[np.float32]:
    parts = []
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
        for frame in (*container.decode(audio=0), None):
            parts += [made.to_ndarray()[0] for made in resampler.resample(frame)]
    return np.concatenate(parts).astype(np.float32)
