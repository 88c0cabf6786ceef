"""The words for "was it made or changed by a computer?": verdicts, signals, and why a signal says nothing.

No number here, and no claim: a program weighs signs, and a frightened person reads what it came to. That none
of the signals and none of the reasons for saying nothing is without words is held by a test, and so are words
that would claim too much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from monitor.values import Abstention, Aspect, Made


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict in words: one short line, and what it means."""

    line: str
    means: str


@dataclass(frozen=True, slots=True)
class Looks:
    """What a signal is called, and what it looks at or listens to, in one or two sentences."""

    title: str
    at: str


VERDICTS: Final = {
    Made.LIKELY: Verdict(
        "We found signs that this was made or changed by a computer",
        "Taken together, the signs reach the limit that we set so that few genuine pictures and recordings "
        "reach it. Some do: filters, strong compression and recording something from a screen leave traces "
        "of the same kind. This is an estimate by a computer and no proof.",
    ),
    Made.POSSIBLE: Verdict(
        "There are some signs that this may have been made or changed by a computer",
        "They are not enough for us to say more. Many genuine pictures and recordings show such signs as "
        "well, above all after a filter or strong compression. Please look and listen yourself, too.",
    ),
    Made.NO_SIGN: Verdict(
        "We found no sign that this was made or changed by a computer",
        "That we found no sign is no proof that nothing was made or changed. There are ways to make a fake "
        "that we do not look for, and a good one leaves few traces.",
    ),
    Made.CANNOT_TELL: Verdict(
        "We cannot tell whether this was made or changed by a computer",
        "What we would look at was missing here, or too poor to say anything. It could be either. Below "
        "stands why each of our checks said nothing.",
    ),
}

FOR_MAILS: Final = (
    "We looked for signs of whether it was made or changed by a computer. What we saw, and what we cannot "
    "tell, stands on your private page."
)
"""The same in every message, whatever was found: a mail is read alone, on a bad day, or by somebody else."""

OF_A_COPY: Final = (
    "This is a copy of a picture that we had looked at before. What stands here was found in that one; the "
    "copy was not looked at again."
)

SIGNALS: Final = {
    "provenance": Looks(
        "What the file says about itself",
        "Notes and signatures inside the file that name how it was made. Anybody can add notes or remove "
        "them. A signature tells who signed, not that they speak the truth.",
    ),
    "composite_face": Looks(
        "Traces of a face put into another picture",
        "Whether sharpness, light, colour and grain of the face fit what is around it. Where a face was "
        "put in place of another one, an edge or a change of grain often stays.",
    ),
    "synthetic_face": Looks(
        "Traces of a face that was never photographed",
        "Fine patterns that programs leave when they draw a whole face by themselves.",
    ),
    "voice_classic": Looks(
        "Traces that older programs leave in a voice",
        "The fine structure of the sound. It was learnt from voices made by programs of up to 2019.",
    ),
    "voice_recent": Looks(
        "Traces that newer programs leave in a voice",
        "The fine structure of the sound. It was learnt from voices made by programs of up to 2024.",
    ),
    "voice_neural": Looks(
        "Traces of the last step in which programs make a voice",
        "How loud each pitch is from moment to moment. Programs that turn a plan of a voice into sound leave "
        "patterns there.",
    ),
    "face_against_voice": Looks(
        "Whether face and voice go together",
        "Whether the voice that is heard while the lips move belongs to the same person as the face. A "
        "dubbed film shows the same, and nothing is wrong with that.",
    ),
    "lips_against_sound": Looks(
        "Whether the lips move with the sound",
        "How the opening of the mouth follows the loudness of the speech.",
    ),
    "known_original": Looks(
        "A comparison with an original",
        "Whether this comes from a picture or recording that was given to us as genuine, and what is "
        "different in it. This check can show a change by itself, because both can be laid next to each "
        "other.",
    ),
    "track_consistency": Looks(
        "Whether the face stays the same face",
        "How much the features of the face change from moment to moment. In a film in which a face was put "
        "in place of another one, it sometimes flickers.",
    ),
}
"""What each signal is called and looks at, by its stable name."""

OWN: Final = Looks(
    "A check that the operator of this service added: {name}",
    "It was not made by us, and we do not know how well it works.",
)
"""For signals called `own:NAME`."""

OWN_PREFIX: Final = "own:"

ABSTENTIONS: Final = {
    Abstention.NO_FACE: "We did not find your face in it, so there was no face to look at.",
    Abstention.NO_SPEECH: "Nobody who sounds like you speaks in it, so there was no voice to listen to.",
    Abstention.NO_ORIGINAL: "We know of no original that it comes from.",
    Abstention.NO_DECLARATION: "The file says nothing about how it was made. Most files do not.",
    Abstention.NOT_MOVING: "It is a still picture, and this check needs one that moves.",
    Abstention.LIPS_STILL: "The lips are not seen to move, as where somebody else tells a story.",
    Abstention.ONE_FRAME: "The face is there for too short a time to compare one moment with another.",
    Abstention.FACE_SMALL: "The face is too small in it.",
    Abstention.FACE_BLURRED: "The face is too blurred.",
    Abstention.FACE_TURNED: "The face is turned too far away.",
    Abstention.FACE_COVERED: "Too much of the face is covered.",
    Abstention.MONOCHROME: "It is black and white, and this check has learnt from colours.",
    Abstention.DRAWN: "It seems to be drawn or painted, or to show a mask or a statue.",
    Abstention.RE_ENCODED: "It was compressed so hard, or so often, that fine traces are gone.",
    Abstention.UNLIKE_TRAINING: (
        "It is unlike everything that this check has learnt from, for example because of a strong filter, "
        "so it does not guess."
    ),
    Abstention.TOO_LITTLE_SPEECH: "There is too little speech in it.",
    Abstention.NARROW_BAND: (
        "The sound is as thin as on a telephone, and the traces that this check needs are cut off."
    ),
    Abstention.SEVERAL_SPEAKERS: "Several people speak at the same time, or too close after each other.",
    Abstention.SEVERAL_FACES: "Several faces are shown, and it is not clear whose movements to compare.",
    Abstention.UNSURE_WHOSE: "It is not clear enough whose voice is heard.",
    Abstention.MUSIC: "Music or noise lies over the voice.",
    Abstention.NO_WEIGHTS: "This check is not installed here.",
    Abstention.TOO_LATE: "There was no time left for this check.",
    Abstention.FAILED: "This check failed. That is a fault of ours, and says nothing about the file.",
}
"""Why a signal says nothing."""

ASPECTS: Final = {
    Aspect.FACE: "the face",
    Aspect.VOICE: "the voice",
    Aspect.WHOLE: "the whole",
    Aspect.FILE: "the file",
}

SAYS_NOTHING: Final = "says nothing here"
HARDLY: Final = "hardly speaks for either"

GRADES: Final = ((math.log(2), ""), (math.log(10), "weakly"), (math.log(100), "moderately"))
"""Up to which llr a word is used: the steps 2, 10 and 100 of the verbal scale in ENFSI, Guideline for
Evaluative Reporting in Forensic Science (2015). There is no word above "strongly": nothing is that sure."""

STRONGEST: Final = "strongly"


def strength(llr: float) -> str:
    """Say how strongly a signal speaks, and for what."""
    word = next((word for limit, word in GRADES if abs(llr) < limit), STRONGEST)
    if not word:
        return HARDLY
    return f"speaks {word} {'for' if llr > 0 else 'against'} it being made or changed"


def looks_of(name: str) -> Looks:
    """Give the words of a signal by its name; one without words of its own is called by its name."""
    if name in SIGNALS:
        return SIGNALS[name]
    return Looks(OWN.title.format(name=name.removeprefix(OWN_PREFIX)), OWN.at)
