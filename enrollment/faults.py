"""What is wrong with a face or a voice as a sample: an error with a sentence that says what to do next.

The figures were read off LFW (5,523 faces, CenterFace and YuNet) and LibriSpeech, in November 2026.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.errors import (
    FaceCovered,
    FaceTooBlurred,
    FaceTooBright,
    FaceTooDark,
    FaceTooFlat,
    FaceTooPoor,
    FaceTooSmall,
    FaceTurned,
    NoSound,
    NoSpeech,
    TooLittleSpeech,
    VoiceClipped,
    VoiceNoisy,
)
from monitor.stages.quality import WEAK
from monitor.stages.turns import LEAST_SPEECH_S

if TYPE_CHECKING:
    from enrollment.hiding import Hidden
    from monitor.errors import SampleError
    from monitor.stages.quality import FaceQuality
    from monitor.stages.voice_quality import VoiceQuality

FACE_FLOOR = WEAK
"""Least quality of a face to enrol. A match on anything weaker goes to a human first, and an enrolled
face is matched against everything."""

SMALLEST_PX = 36.0
"""Side of the smallest face to enrol. At 32 px fr_feature already loses a tenth of the people; a phone's
picture has hundreds."""

SHARPNESS_FLOOR = 12.0
"""Least variance of the Laplacian of the best aligned face, grey levels squared. 53 faces of LFW, blurred by
0 to 4 px, fr_feature: below 12 the cosine to the sharp twin has a median of 0.5, above 16 of 0.86; 99 % of
the pictures as they are lie above 42."""

MOST_YAW, MOST_PITCH = 50.0, 30.0
"""Degrees to the side, and up or down. To 40 degrees the median cosine to frontal pictures of the same person
stays at 0.66 (0.68 frontal); beyond 50 it falls to 0.58. The points of LFW show no nod beyond 20."""

DARKEST = 18.0
"""Least mean grey level. Darkened LFW: at 20 the cosine to the picture as it was is 0.82, at 15 0.69, at 10
0.42; no picture of LFW lies below 46."""

FLATTEST = 7.0
"""Least standard deviation of the grey levels. Flattened LFW: cosine 0.81 at 8, 0.64 at 5.7;
no picture of LFW lies below 13."""

MOST_BURNT = 0.45
"""Largest share of plain white. Brightened LFW: cosine 0.91 at a share of 0.28, 0.71 at 0.66; none of LFW
lies above 0.12."""

BRIGHT = 200.0
"""Mean grey level from which a face without contrast is too bright rather than flat."""

QUIET_DB = 3.0
"""Least ratio of speech to noise, decibels. White noise at 5 dB leaves CAM++ a cosine of 0.86 to the clean
voice, at 0 dB 0.78."""

MORE_SPEECH = "Record ten seconds or more of plain speech, close to the microphone."

MOST_CLIPPED = 0.5
"""Largest share of the speech's frames that are cut off. Made louder: cosine 0.93 to the clean voice at a
share of 0.43, 0.65 at 0.69."""


def face_fault(judged: FaceQuality, hidden: Hidden | None = None) -> FaceTooPoor | None:
    """Say what is wrong with a face as a template: the worst thing first, or None.

    `hidden` says how much of it is covered, where that was measured.
    """
    if judged.size_px < SMALLEST_PX:
        return too_small(judged.size_px)
    found = _badly_lit(judged) or _blurred(judged) or _turned(judged)
    if found is None and hidden is not None and hidden.mouth:
        msg = "the lower half of the face seems to be covered"
        return FaceCovered(msg, hint="Take off the mask or scarf, and keep hands and phone off the face.")
    if found is None and judged.overall < FACE_FLOOR:
        msg = f"the face ({judged.size_px:.0f} pixels) is too small, too blurred or too far turned away"
        return FaceTooPoor(msg, hint="Come closer, into good light, and look straight into the camera.")
    return found


def too_small(pixels: float) -> FaceTooSmall:
    """Say that a face has too few pixels."""
    msg = f"the face is only {pixels:.0f} pixels high in this picture"
    hint = "Come closer or use the original of the picture: the face should be 100 pixels high or more."
    return FaceTooSmall(msg, hint=hint)


def _badly_lit(judged: FaceQuality) -> FaceTooPoor | None:
    light = judged.exposure
    if light.burnt > MOST_BURNT or (light.contrast < FLATTEST and light.level > BRIGHT):
        msg = "the face is too bright: most of it is plain white"
        hint = "Turn away from the lamp or the sun, switch the flash off; a drawing cannot be used."
        return FaceTooBright(msg, hint=hint)
    if light.level < DARKEST or (light.contrast < FLATTEST and light.level < 2 * DARKEST):
        msg = "the face is too dark"
        return FaceTooDark(msg, hint="Turn towards a window or a lamp, so that the light falls on the face.")
    if light.contrast < FLATTEST:
        msg = "the face has hardly any light and shade, as in fog"
        hint = "Wipe the lens, and take the picture without a window or lamp behind you."
        return FaceTooFlat(msg, hint=hint)
    return None


def _blurred(judged: FaceQuality) -> FaceTooPoor | None:
    if judged.detail >= SHARPNESS_FLOOR:
        return None
    msg = "the face is blurred"
    return FaceTooBlurred(msg, hint="Hold the camera still, wipe the lens, and use no beauty filter.")


def _turned(judged: FaceQuality) -> FaceTooPoor | None:
    aside = abs(judged.yaw) > MOST_YAW
    if not aside and abs(judged.pitch) <= MOST_PITCH:
        return None
    msg = f"the face is turned too far {'to the side' if aside else 'up or down'}"
    return FaceTurned(msg, hint="Look straight into the camera, held at the height of the eyes.")


def voice_fault(judged: VoiceQuality) -> SampleError | None:
    """Say what is wrong with a voice as a template: the worst thing first, or None."""
    if judged.silent:
        msg = "there is no sound in it, only silence"
        return NoSound(msg, hint="Check that the microphone is on and not muted, then record again.")
    if judged.seconds < LEAST_SPEECH_S:
        msg = f"the recording is only {judged.seconds:.1f} seconds long"
        return TooLittleSpeech(msg, hint=MORE_SPEECH)
    if judged.net_speech_s == 0.0:
        msg = "nobody speaks in it: it holds music or noise"
        return NoSpeech(msg, hint="Record the person speaking alone, without music.")
    return too_little(judged.net_speech_s) if judged.net_speech_s < LEAST_SPEECH_S else _spoilt(judged)


def _spoilt(judged: VoiceQuality) -> SampleError | None:
    if judged.clipped > MOST_CLIPPED:
        msg = "the recording is too loud: the voice is distorted"
        return VoiceClipped(msg, hint="Keep a hand's length more from the microphone, and record again.")
    if judged.snr_db is not None and judged.snr_db < QUIET_DB:
        msg = "there is too much noise or music behind the voice"
        return VoiceNoisy(msg, hint="Record again in a quiet room, close to the microphone, without music.")
    return None


def too_little(seconds: float) -> TooLittleSpeech:
    """Say that there is too little speech."""
    msg = f"only {seconds:.1f} seconds of speech were found"
    return TooLittleSpeech(msg, hint=MORE_SPEECH)


def face_notes(judged: FaceQuality, hidden: Hidden) -> tuple[str, ...]:
    """Say what could be better about a face that is good enough."""
    notes = []
    if hidden.eyes:
        notes.append("The eyes seem to be hidden: without dark glasses it would be found more often.")
    if judged.size_px < SMALL_PX:
        notes.append("The face is small: a closer picture would be found more often.")
    if abs(judged.yaw) > TURNED:
        notes.append("The face is turned to the side: add one that looks into the camera.")
    return tuple(notes)


def voice_notes(judged: VoiceQuality) -> tuple[str, ...]:
    """Say what could be better about a voice that is good enough."""
    notes = []
    if judged.narrow:
        notes.append("Telephone quality (8 kHz): it is taken; a recording by a phone's recorder is better.")
    if judged.snr_db is not None and judged.snr_db < NOISY_DB:
        notes.append("There is noise behind the voice: a quieter room is better.")
    if judged.clipped > SOME_CLIPPED:
        notes.append("It is recorded rather loud: a hand's length more distance is better.")
    if judged.net_speech_s < PLENTY_OF_SPEECH_S:
        notes.append(f"It holds {judged.net_speech_s:.0f} seconds of speech: ten are better.")
    return tuple(notes)


SMALL_PX = 64.0
"""Side of a face below which a closer picture helps."""

TURNED = 35.0
"""Degrees to the side from which a frontal picture helps."""

NOISY_DB = 12.0
"""Ratio of speech to noise below which a quieter room helps, decibels."""

SOME_CLIPPED = 0.15
"""Share of frames cut off from which more distance helps."""

PLENTY_OF_SPEECH_S = 10.0
"""Speech in a sample beyond which more adds little, seconds."""
