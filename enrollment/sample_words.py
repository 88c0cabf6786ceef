"""What a person reads about a sample of theirs: a sentence, and what to do next. No word of the command line.

Errors are written for whoever works at the command line; here each code has its sentence for a
person alone with a phone. tests/enrollment/test_judging.py holds that none is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from enrollment.given import EXPECTED, Said
from enrollment.sets import in_words
from monitor.values import Modality

if TYPE_CHECKING:
    from enrollment.samples import Sample
    from monitor.errors import LikenessError

COME_CLOSER = "Come closer, so that the face fills half of the picture, and look straight into the camera."
RECORD_AGAIN = "Read the sentences on this page aloud, close to the microphone, for ten seconds."

WORDS: dict[str, Said] = {
    "no_face": Said("We could not find a face in it.", COME_CLOSER),
    "several_faces": Said(
        "There is more than one face in it, so we cannot tell which one is yours.",
        "Give one in which you are alone.",
    ),
    "face_too_poor": Said("The face cannot be seen well enough.", COME_CLOSER),
    "face_too_small": Said("The face is too small.", COME_CLOSER),
    "face_too_blurred": Said(
        "The face is blurred.", "Wipe the lens, hold still for a moment, and use no beauty filter."
    ),
    "face_turned": Said(
        "The face is turned too far away.",
        "Look straight into the camera, and hold it at the height of your eyes.",
    ),
    "face_too_dark": Said(
        "It is too dark.", "Turn towards a window or a lamp, so that light falls on your face."
    ),
    "face_too_bright": Said(
        "It is too bright: most of the face is plain white.",
        "Turn away from the lamp or the sun, and switch the flash off.",
    ),
    "face_too_flat": Said(
        "The face has hardly any light and shade.",
        "Wipe the lens, and stand so that no window or lamp is behind you.",
    ),
    "face_covered": Said(
        "The lower half of the face seems to be covered.",
        "Take off the mask or scarf, and keep your hands and the phone off your face.",
    ),
    "no_sound": Said(
        "There is no sound in it.", "Check that the microphone is on and not muted, then record again."
    ),
    "no_speech": Said("We could not hear anybody speak in it.", RECORD_AGAIN),
    "too_little_speech": Said("There is too little speech in it.", RECORD_AGAIN),
    "several_voices": Said(
        "More than one person speaks in it.", "Record where nobody else speaks, and no radio plays."
    ),
    "voice_noisy": Said(
        "There is too much noise or music behind your voice.",
        "Record again in a quiet room, close to the microphone.",
    ),
    "voice_clipped": Said(
        "It is too loud: your voice is distorted.", "Keep a hand's length more from the microphone."
    ),
    "voice_too_poor": Said("Your voice cannot be heard well enough.", RECORD_AGAIN),
    "too_many_pixels": Said(
        "The picture has more pixels than we can look at.",
        "Give a smaller copy of it, or take a new one here.",
    ),
    "unreadable": Said(
        "The file could not be opened: it is damaged, cut off, or of an unusual kind.",
        "Take a new one here, or save it in another form (JPEG for pictures, WAV or MP3 for sound).",
    ),
    "decoder_killed": Said(
        "The file took more time or memory to open than we allow.",
        "Take a new one here, or give a shorter one.",
    ),
}
"""By the error's code."""

NOT_ADDED = (
    "It is not added. If it is you, give one in good light and as you look on most days, or record in a "
    "quiet room; or write to those who run this service."
)
"""For what is unlike the enrolled: nobody is to learn by it how alike it would have to be."""

NOT_ABLE = Said(
    "We were not able to look at this one. It is not your fault.", "Remove it, and give it again."
)
"""For what is no fault of the sample."""

TWIN = "It is the same as another one of yours, or nearly: a different one would help more."

NOTES: tuple[tuple[str, str], ...] = (
    ("The same as", TWIN),
    ("The eyes seem", "Your eyes seem to be hidden. One without dark glasses would help."),
    ("The face is small", "The face is rather small. A closer picture would help."),
    ("The face is turned", "The face is turned to the side. Add one in which you look into the camera."),
    ("The picture lay", "It lay on its side, and we turned it."),
    ("Telephone quality", "The sound is as on a telephone. A recording made here would help."),
    ("There is noise", "There is some noise. A quieter room would help."),
    ("It is recorded rather loud", "It is rather loud. A hand's length more distance would help."),
    ("It holds", "It is rather short. Ten seconds would help."),
)
"""How a note of samples.py or sets.py begins -> what the person reads; others are left out."""


def of_error(error: LikenessError, modality: Modality, *, enrolled: bool = False) -> Said:
    """Say why a sample cannot be used, and what helps; other words to somebody who is `enrolled`."""
    if error.code == "other_person" and enrolled:
        looks, things = ("look", "pictures") if modality is Modality.FACE else ("sound", "recordings")
        return Said(f"This does not {looks} like you in the {things} that you gave before.", NOT_ADDED)
    if error.code == "other_person":
        who = "look like the person" if modality is Modality.FACE else "sound like the voice"
        others = "pictures" if modality is Modality.FACE else "recordings"
        sentence = f"This does not {who} in your other {others}."
        return Said(sentence, "Remove the one that shows somebody else: this one or the first one.")
    if error.code in {"not_media", "empty"}:
        return Said("This is not a file that can be used here.", f"Give {EXPECTED[modality]}.")
    return WORDS.get(error.code, NOT_ABLE)


def of_sample(sample: Sample) -> Said:
    """Say how good a sample is, and what could be better."""
    notes = (words for note in sample.notes for start, words in NOTES if note.startswith(start))
    return Said(QUALITY[in_words(sample.quality)], "", tuple(dict.fromkeys(notes)))


QUALITY = {
    "good": "This is a good one.",
    "fair": "This one can be used.",
    "weak": "This one can just be used. Another one would help.",
}
"""By the word for a sample's quality (sets.in_words)."""
