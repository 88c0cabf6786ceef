"""Do the lips move with what is heard? A weak cue, shown and not counted.

Lips that move, but not with the sound, are what a dubbed film has, a voice that was put over other pictures,
or a file whose sound and picture came apart. Lips that stay shut say nothing: a narrator over a silent face
is ordinary. And lips that follow the sound say little: to move them so is what lip-sync programs are for.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from monitor.ml.lip_motion import envelope, follow, restless
from monitor.ml.synthetic.lips_filmed import Filmed, film
from monitor.values import Abstention, Aspect, FaceTrack, Moment, Signal, Span, pieces_of

if TYPE_CHECKING:
    from monitor.ml.interfaces import FaceDetector, Pack
    from monitor.ml.synthetic.interfaces import Sighting

NAME: Final = "lips_against_sound"
VERSION: Final = "1"

FOLLOWS: Final = 0.4
CHANCE: Final = 0.05
"""Correlation from which on lips follow a sound, and how often chance may do as well: as in a challenge
(enrollment/identity/lips.py)."""

APART: Final = 0.2
"""Where chance does as well more often than this, the lips do not go with the sound. Between the two nothing
is said for or against. In films of twenty other people whose lips went with the sound 56 of 80 were said to
follow it, 1 not to, and the rest to be unclear or not to move; of 40 dubbed ones 31 were said not to follow
and none to; of 40 silent faces 39 not to move (`python -m monitor.bench.talking`, 2026-11; nobody real)."""

MOVES: Final = 1.6
"""How much more lips change than cheeks where they are seen to move (lip_motion.restless): chosen on films of
eleven people, of whose shut mouths the most restless had 1.57."""

MOST_LLR: Final = math.log(2)
"""What lips apart from the sound count for: two to one, a judgement and no measurement. See LIMITS."""

LOOK_FOR: Final = (
    "Watch whether the lips close at m, b and p.",
    "Watch once without the sound, then listen once without the picture: do the pauses come together?",
)

LIMITS: Final = (
    "This was tried on films that our own programs made of photographs, never on real people who talk, so it "
    "is shown and not counted; beards, hands and poor light hide lips, and it does not tell lips that a "
    "program moved to fit the sound."
)

_FOLLOW: Final = (
    "The lips move with the sound {when} ({score:.2f} of 1). A program that moves lips to fit a sound can do "
    "that too, so it says little."
)
_UNCLEAR: Final = (
    "The lips move {when}; whether they move with the sound is not clear ({score:.2f} of 1), and nothing is "
    "made of it."
)
_APART: Final = (
    "The lips move {when}, but not with the sound that is heard ({score:.2f} of 1). The sound may have been "
    "put over the picture, as in a dubbed film, or somebody may be speaking who is not in the picture."
)


class Goes(StrEnum):
    """How lips that move go with a sound."""

    FOLLOW = "follow"
    UNCLEAR = "unclear"
    APART = "apart"


_WORDS: Final = {Goes.FOLLOW: _FOLLOW, Goes.UNCLEAR: _UNCLEAR, Goes.APART: _APART}


class LipsAgainstSound:
    """Films the mouth for some ten seconds, and holds it against the loudness. Safe for threads."""

    name = NAME

    def __init__(self, detector: FaceDetector | None) -> None:
        """Take the detector of the pack in use; None where it has none."""
        self._detector = detector

    def assess(self, sighting: Sighting) -> Signal:
        """Say whether the lips follow the sound, or why that cannot be told."""
        if self._detector is None or not sighting.looks:
            return _nothing(Abstention.NO_FACE)
        if sighting.sound is None or not sighting.speech:
            return _nothing(Abstention.NO_SPEECH)
        found = film(sighting, heard_with_face(sighting), self._detector)
        if not isinstance(found, Filmed):
            return _nothing(found)
        if restless(found.chips, found.times) < MOVES:
            return _nothing(Abstention.LIPS_STILL)
        score, chance = follow(found.chips, found.times, envelope(sighting.sound))
        goes = goes_with(score, chance)
        return _said(MOST_LLR if goes is Goes.APART else 0.0, found.span, _WORDS[goes], score)


def open_lips_against_sound(pack: Pack) -> LipsAgainstSound:
    """Give the signal with the detector of a pack."""
    return LipsAgainstSound(pack.faces.detector if pack.faces is not None else None)


def goes_with(score: float, chance: float) -> Goes:
    """Say what a correlation, and how often chance does as well, mean: lip_motion.follow gives both."""
    if chance > APART:
        return Goes.APART
    return Goes.FOLLOW if score >= FOLLOWS and chance <= CHANCE else Goes.UNCLEAR


def heard_with_face(sighting: Sighting) -> tuple[Span, ...]:
    """Give where somebody speaks while the subject's face is on screen, in order.

    Where the subject's own voice was found, only where it is that voice: whom others hear is not looked at.
    """
    tracks = [c.appearance for c in sighting.verdict.face if isinstance(c.appearance, FaceTrack)]
    if not tracks:
        return ()
    own = sorted((p for turn in sighting.turns for p in pieces_of(turn)), key=lambda p: p.start_s)
    face = tracks[0].span
    shared = (
        Span(max(span.start_s, face.start_s), min(span.end_s, face.end_s))
        for span in (own or sighting.speech)
    )
    return tuple(span for span in shared if span.start_s < span.end_s)


def _said(llr: float, span: Span, words: str, score: float) -> Signal:
    when = f"from second {span.start_s:.0f} to {span.end_s:.0f}"
    return Signal(
        NAME,
        VERSION,
        Aspect.WHOLE,
        llr=llr,
        reasons=(words.format(when=when, score=score),),
        moments=(Moment(span, llr),),
        look_for=LOOK_FOR,
        limits=LIMITS,
        shown_only=True,
    )


def _nothing(why: Abstention) -> Signal:
    return Signal(NAME, VERSION, Aspect.WHOLE, abstains=why, limits=LIMITS, shown_only=True)
