"""Lips against the sound, and a face against a voice: a film made of a real photograph, and real speech."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.bench.challenge_scenes import Variation
from monitor.bench.talking import Manner, photographs, speech, talking
from monitor.ml.packs import load_faces
from monitor.ml.synthetic.face_against_voice import MOST_LLR, FaceAgainstVoice, open_face_against_voice
from monitor.ml.synthetic.lips_against_sound import (
    LipsAgainstSound,
    heard_with_face,
    open_lips_against_sound,
)
from monitor.ml.synthetic.lips_filmed import FRAMES_PER_SECOND, LATEST_S, STRETCH_S, stretch
from monitor.settings import Settings
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.values import Abstention, Agreement, MediaKind, Span
from tests.assets.sightings import looks_of, sighting

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.bench.challenge_film import Film
    from monitor.ml.interfaces import FaceModels, Pack
    from monitor.ml.synthetic.interfaces import Clip, Look, Sighting

SECONDS = 3.4
SPEAKS = (Span(0.2, SECONDS - 0.1),)


@dataclass(frozen=True)
class Films:
    """One face in three films to the same sound: it says it, it says something else, it is silent."""

    own: Film
    dubbed: Film
    silent: Film
    noisy: Film
    looks: tuple[Look, ...]
    models: FaceModels

    def seen(self, film: Film, agreement: Agreement = Agreement.ALONE) -> Sighting:
        """Give the sighting of this face in one of them."""
        return sighting(
            film=film, looks=self.looks, speech=SPEAKS, agreement=agreement, on_screen=Span(0, SECONDS)
        )


@pytest.fixture(scope="module")
def films(data: Path) -> Films:
    """Film once for all tests here; the fast detector is enough for a face that fills the frame."""
    models = load_faces(Settings(pack="edgeface"))
    [face] = photographs(data, models, 1)
    long = round(SECONDS * 16_000)
    heard, other = (samples[:long] for samples in speech(data, 7)[::6])
    poor = Manner(how=Variation(unit=40.0, noise=10.0))
    own = talking(face, heard, heard, Manner(), 1)
    return Films(
        own=own,
        dubbed=talking(face, heard, other, Manner(), 1),
        silent=talking(face, heard, other[:0], Manner(), 1),
        noisy=talking(face, heard, other[:0], poor, 5),
        looks=looks_of(own, models.detector),
        models=models,
    )


def test_lips_that_follow_the_sound_are_said_to(films: Films) -> None:
    signal = LipsAgainstSound(films.models.detector).assess(films.seen(films.own))
    assert (signal.abstains, signal.llr) == (None, 0.0), "to follow is what lip-sync programs do as well"
    assert "move with the sound from second 0 to 3" in signal.reasons[0]
    assert signal.shown_only


def test_lips_are_followed_through_a_codec_and_the_real_decoder(films: Films) -> None:
    asked: list[float | None] = []
    data = films.own.mp4(200_000)
    with Decoder(replace(DecodeLimits(), frames_per_second=FRAMES_PER_SECOND)) as decoder:

        def again(frames_per_second: float | None) -> Clip:
            asked.append(frames_per_second)
            return decoder.start(data)

        signal = LipsAgainstSound(films.models.detector).assess(replace(films.seen(films.own), again=again))
    assert asked == [FRAMES_PER_SECOND]
    assert "move with the sound" in signal.reasons[0]


def test_lips_that_move_with_another_sound_are_said_to_and_not_counted(films: Films) -> None:
    signal = LipsAgainstSound(films.models.detector).assess(films.seen(films.dubbed))
    assert signal.llr == pytest.approx(np.log(2))
    assert "not with the sound" in signal.reasons[0]
    assert [moment.span for moment in signal.moments] == list(SPEAKS)
    assert signal.shown_only
    assert "never on real people" in signal.limits


def test_a_narrator_over_a_silent_face_is_no_sign(films: Films) -> None:
    lips = LipsAgainstSound(films.models.detector).assess(films.seen(films.silent))
    assert (lips.abstains, lips.llr) == (Abstention.LIPS_STILL, None)
    other = films.seen(films.silent, Agreement.FACE_NOT_VOICE)
    assert FaceAgainstVoice(films.models.detector).assess(other).abstains is Abstention.LIPS_STILL


def test_a_face_that_speaks_with_another_voice_is_called_dubbed_and_no_proof(films: Films) -> None:
    signal = FaceAgainstVoice(films.models.detector).assess(films.seen(films.own, Agreement.FACE_NOT_VOICE))
    assert signal.llr == MOST_LLR
    [reason] = signal.reasons
    assert "Your face" in reason
    assert "dubbed or lip-synced" in reason
    assert "no proof" in reason
    assert signal.moments[0].span == SPEAKS[0]


def test_a_voice_that_another_face_speaks_is_called_dubbed_too(films: Films) -> None:
    # Given the subject's voice alone: whose face is shown nobody told
    seen = sighting(film=films.own, speech=SPEAKS, own=SPEAKS, agreement=Agreement.VOICE_NOT_FACE)
    signal = FaceAgainstVoice(films.models.detector).assess(seen)
    assert signal.llr == MOST_LLR
    assert signal.reasons[0].startswith("Your voice")


def test_with_several_faces_nobody_knows_who_speaks(films: Films) -> None:
    frames = np.concatenate([films.own.frames[:15]] * 2, axis=2)
    two = replace(films.own, frames=frames)
    for signal in (LipsAgainstSound, FaceAgainstVoice):
        seen = films.seen(two, Agreement.FACE_NOT_VOICE)
        assert signal(films.models.detector).assess(seen).abstains is Abstention.SEVERAL_FACES


def test_a_small_face_and_few_frames_are_not_judged(films: Films) -> None:
    lips = LipsAgainstSound(films.models.detector)
    small = replace(films.own, frames=films.own.frames[:, ::4, ::4])
    looks = looks_of(small, films.models.detector)
    assert looks
    seen = sighting(film=small, looks=looks, speech=SPEAKS)
    assert lips.assess(seen).abstains is Abstention.FACE_SMALL
    slow = replace(films.own, frames=films.own.frames[::5], rate=5)
    assert lips.assess(films.seen(slow)).abstains is Abstention.ONE_FRAME


def test_a_face_that_is_not_on_screen_with_the_speech_is_not_there(films: Films) -> None:
    empty = replace(films.own, frames=np.full_like(films.own.frames, 90))
    assert LipsAgainstSound(films.models.detector).assess(films.seen(empty)).abstains is Abstention.NO_FACE


def test_what_cannot_be_told_is_said_without_decoding_anything(films: Films) -> None:
    lips, face = LipsAgainstSound(films.models.detector), FaceAgainstVoice(films.models.detector)
    looks = films.looks
    picture = sighting(kind=MediaKind.IMAGE, looks=looks[:1])
    assert lips.assess(picture).abstains is Abstention.NO_SPEECH
    assert face.assess(picture).abstains is Abstention.NO_SPEECH
    recording = sighting(kind=MediaKind.AUDIO, speech=SPEAKS, own=SPEAKS)
    assert lips.assess(recording).abstains is Abstention.NO_FACE
    assert face.assess(recording).abstains is Abstention.NO_FACE
    short = sighting(looks=looks, speech=(Span(0, 1.5),))
    assert lips.assess(short).abstains is Abstention.TOO_LITTLE_SPEECH
    assert face.assess(short).abstains is Abstention.TOO_LITTLE_SPEECH
    assert face.assess(sighting(looks=looks, speech=SPEAKS)).abstains is Abstention.UNSURE_WHOSE
    late = sighting(looks=looks, speech=(Span(70, 80),), on_screen=Span(65, 90))
    assert lips.assess(late).abstains is Abstention.TOO_LATE
    animation = sighting(kind=MediaKind.ANIMATION, looks=looks, speech=SPEAKS)
    assert lips.assess(animation).abstains is Abstention.NOT_MOVING


def test_face_and_voice_that_both_are_yours_say_nothing_for_or_against(films: Films) -> None:
    signal = FaceAgainstVoice(films.models.detector).assess(films.seen(films.own, Agreement.BOTH))
    assert signal.llr == 0.0
    assert "nothing for or against" in signal.reasons[0]


def test_a_pack_without_faces_has_no_opinion(pack: Pack, films: Films) -> None:
    for signal in (open_lips_against_sound, open_face_against_voice):
        assert signal(pack).name == signal(replace(pack, faces=None)).name
    blind = open_lips_against_sound(replace(pack, faces=None))
    assert blind.assess(films.seen(films.own)).abstains is Abstention.NO_FACE


def test_where_the_subjects_own_voice_is_known_others_are_not_listened_to() -> None:
    speech_ = (Span(0, 5), Span(6, 9), Span(20, 30))
    own = (Span(6, 9), Span(21, 25))
    assert heard_with_face(sighting(speech=speech_, own=own, on_screen=Span(4, 23))) == (
        Span(6, 9),
        Span(21, 23),
    )
    assert heard_with_face(sighting(speech=speech_, on_screen=Span(4, 23))) == (
        Span(4, 5),
        Span(6, 9),
        Span(20, 23),
    )
    assert heard_with_face(sighting(speech=speech_)) == ()


def test_the_stretch_that_is_filmed_begins_with_a_word_and_is_not_long() -> None:
    assert stretch((Span(0, 1), Span(40, 100))) == Span(40, 40 + STRETCH_S)
    assert stretch((Span(1, 3), Span(4, 6))) == Span(1, 6)
    assert stretch((Span(1, 2), Span(30, 31))) is None
    assert stretch(()) is None
    late = stretch((Span(LATEST_S + 1, LATEST_S + 9),))
    assert late is not None
    assert late.start_s > LATEST_S


def test_a_noisy_film_of_a_silent_face_does_not_seem_to_move(films: Films) -> None:
    looks = looks_of(films.noisy, films.models.detector)
    seen = sighting(film=films.noisy, looks=looks, speech=SPEAKS)
    assert LipsAgainstSound(films.models.detector).assess(seen).abstains is Abstention.LIPS_STILL
