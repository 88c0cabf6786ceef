"""Your face with a voice that is not yours, or your voice with another face: dubbed, or lip-synced.

Whether the two disagree is known from the match (stages/score.py). That alone says nothing: a narrator over
pictures of somebody is ordinary, and so is a question from beside the camera. So the lips of the face that is
shown must be seen to move while the voice speaks. Even then it is no proof: films are dubbed, interpreters
speak over people, and a voice may not be known again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from monitor.ml.lip_motion import restless
from monitor.ml.synthetic.lips_against_sound import MOVES, heard_with_face
from monitor.ml.synthetic.lips_filmed import Filmed, film
from monitor.values import (
    Abstention,
    Agreement,
    Aspect,
    MediaKind,
    Moment,
    Signal,
    pieces_of,
)

if TYPE_CHECKING:
    from monitor.ml.interfaces import FaceDetector, Pack
    from monitor.ml.synthetic.interfaces import Sighting
    from monitor.values import Span

NAME: Final = "face_against_voice"
VERSION: Final = "1"

MOST_LLR: Final = math.log(2)
"""What it counts for: two to one, a judgement and no measurement. Nobody has counted how often honest media
with a person's face and moving lips have another's voice; dubbed films keep it from counting for more."""

TOGETHER_S: Final = 2.0
"""Seconds of speech while the face is on screen below which nothing is compared (stages/score.py)."""

LOOK_FOR: Final = (
    "Listen whether the voice sounds like the person, and whether it fits the room in the picture.",
    "Watch whether the lips close at m, b and p.",
)

LIMITS: Final = (
    "Films and interviews are often dubbed or translated, a person beside the camera may be speaking, and a "
    "hoarse or badly recorded voice may not be known again; a fake that copies both face and voice is not "
    "told by this."
)

_FACE_ALONE: Final = (
    "Your face is shown with a voice that does not resemble yours, and the lips move {when} while it speaks. "
    "The recording may be dubbed or lip-synced; this is no proof that it is."
)
_VOICE_ALONE: Final = (
    "Your voice is heard with a face that does not resemble yours, and its lips move {when} while the voice "
    "speaks. The recording may be dubbed or lip-synced; this is no proof that it is."
)
_BOTH: Final = (
    "Face and voice both resemble you and come together. A fake that copies both does so as well, so this "
    "says nothing for or against."
)


class FaceAgainstVoice:
    """Looks whether lips move with a voice that does not go with the face. Safe for threads."""

    name = NAME

    def __init__(self, detector: FaceDetector | None) -> None:
        """Take the detector of the pack in use; None where it has none."""
        self._detector = detector

    def assess(self, sighting: Sighting) -> Signal:
        """Say whether face and voice go together, or why that cannot be told."""
        agreement = sighting.verdict.agreement
        if agreement is Agreement.BOTH:
            return _signal(0.0, _BOTH)
        if agreement is Agreement.ALONE or self._detector is None:
            return _nothing(_missing(sighting))
        face_alone = agreement is Agreement.FACE_NOT_VOICE
        found = film(sighting, heard_with_face(sighting) if face_alone else _own(sighting), self._detector)
        if not isinstance(found, Filmed):
            return _nothing(found)
        if restless(found.chips, found.times) < MOVES:
            return _nothing(Abstention.LIPS_STILL)
        when = f"from second {found.span.start_s:.0f} to {found.span.end_s:.0f}"
        words = _FACE_ALONE if face_alone else _VOICE_ALONE
        return _signal(MOST_LLR, words.format(when=when), Moment(found.span, MOST_LLR))


def open_face_against_voice(pack: Pack) -> FaceAgainstVoice:
    """Give the signal with the detector of a pack."""
    return FaceAgainstVoice(pack.faces.detector if pack.faces is not None else None)


def _own(sighting: Sighting) -> tuple[Span, ...]:
    pieces = (piece for turn in sighting.turns for piece in pieces_of(turn))
    return tuple(sorted(pieces, key=lambda piece: piece.start_s))


def _missing(sighting: Sighting) -> Abstention:
    """Say why face and voice cannot be held against each other."""
    if sighting.sound is None or not sighting.speech:
        return Abstention.NO_SPEECH
    if not sighting.verdict.face:
        return Abstention.NO_FACE if sighting.info.kind is MediaKind.AUDIO else Abstention.UNSURE_WHOSE
    together_s = sum(span.end_s - span.start_s for span in heard_with_face(sighting))
    return Abstention.TOO_LITTLE_SPEECH if together_s < TOGETHER_S else Abstention.UNSURE_WHOSE


def _signal(llr: float, reason: str, *moments: Moment) -> Signal:
    return Signal(
        NAME,
        VERSION,
        Aspect.WHOLE,
        llr=llr,
        reasons=(reason,),
        moments=moments,
        look_for=LOOK_FOR,
        limits=LIMITS,
    )


def _nothing(why: Abstention) -> Signal:
    return Signal(NAME, VERSION, Aspect.WHOLE, abstains=why, limits=LIMITS)
