"""Judge one clip: `judge(judges, clip, drawn, own) -> Verdict`. No database here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from enrollment.identity.binding import bound
from enrollment.identity.digits import LANGUAGES, digits_of, distance
from enrollment.identity.flatness import depth
from enrollment.identity.lips import lips
from enrollment.identity.liveness import liveness, open_liveness
from enrollment.identity.moire import screen
from enrollment.identity.signs import Outcome, Sign
from enrollment.identity.speech import Spoken, hear_voice
from enrollment.identity.stillness import alive
from enrollment.identity.synthetic import open_scorer
from enrollment.identity.turns import turns_done
from enrollment.identity.verdict import Verdict, join
from enrollment.identity.watched import FRAMES_PER_SECOND, LONGEST_S
from enrollment.identity.watching import watch
from monitor.errors import ModelError
from monitor.ml.lip_motion import ENVELOPE_S, envelope
from monitor.values import MediaKind

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from enrollment.identity.draw import Drawn
    from enrollment.identity.listen import Listener
    from enrollment.identity.watched import Watched
    from monitor.ml.interfaces import FaceModels, Pack
    from monitor.settings import Settings
    from monitor.stages.decode import Decoder
    from monitor.values import ClipInfo, Sound

CLIP, DIGITS = "clip", "digits"
"""Names of the checks that are made here."""

SHORTEST_S: Final = 4.0
"""A clip that is shorter cannot hold three turns and six digits."""

DECODE_S: Final = 60.0
"""CPU seconds for twenty seconds of a phone's video; 1080p takes a third of it."""

OFF_BY: Final = 2
"""Digits of six that may be misheard before it counts as another row: an accent, a lorry. A person looks
then. A row that somebody guessed is as near as that one time in seven hundred."""


@dataclass(frozen=True, slots=True)
class Own:
    """What is known of the person: (n, d) and (m, e) float32, rows of length 1, of the pack's models."""

    faces: NDArray[np.float32]
    voices: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Judges:
    """What it takes to judge a clip."""

    pack: Pack
    decoder: Decoder
    listener: Listener
    settings: Settings


def judge(judges: Judges, clip: bytes, drawn: Drawn, own: Own, now: datetime) -> Verdict:
    """Hold one clip against what was drawn, and against its person. Every check is made, whatever others say.

    1  decode, in a child process   2  watch the face   3  what the pictures say   4  what the sound says

    Raises a MediaError for a clip that cannot be decoded, ModelError where the pack or a network is missing.
    """
    faces, voices = judges.pack.faces, judges.pack.voices
    if faces is None or voices is None:
        msg = f"the pack {judges.pack.name!r} lacks faces or voices"
        raise ModelError(msg)
    limits = replace(
        judges.decoder.limits,
        frames_per_second=FRAMES_PER_SECOND,
        max_seconds=LONGEST_S,
        cpu_seconds=DECODE_S,
        wall_seconds=2 * DECODE_S,
    )
    with judges.decoder.start(clip, signals=False, limits=limits) as decoded:
        watched = watch(decoded, faces)
        sound, info = decoded.sound(), decoded.info
    unfit = _unfit(info)
    if unfit is not None:
        return join((unfit,))
    spoken = hear_voice(sound, voices, own.voices, open_scorer(judges.settings))
    signs = (
        *picture_signs(watched, drawn, own.faces, faces),
        liveness(watched, open_liveness(judges.settings)),
        lips_sign(watched, sound, spoken),
        *spoken.signs,
        said_sign(judges, sound, drawn, now),
    )
    return join(signs, spoken.not_made)


def picture_signs(
    watched: Watched, drawn: Drawn, own: NDArray[np.float32], models: FaceModels
) -> tuple[Sign, ...]:
    """Make every check of the pictures alone: what was asked, whose face it is, whether it lives."""
    return (
        turns_done(watched, drawn.turns),
        *bound(watched, own, models.thresholds),
        depth(watched),
        screen(watched),
        *alive(watched),
    )


def lips_sign(watched: Watched, sound: Sound | None, spoken: Spoken) -> Sign:
    """Hold the lips against the voice."""
    loud = envelope(sound) if sound is not None else np.zeros(0, np.float32)
    return lips(watched, loud, ENVELOPE_S, spoken.spans)


def said_sign(judges: Judges, sound: Sound | None, drawn: Drawn, now: datetime) -> Sign:
    """Hold what is said against the digits asked. Score: digits that differ, fewer is better.

    pass `digits_said`; doubt `digits_near`, `language_not_heard`; fail `digits_other`. Raises WeightsMissing,
    WeightsDiffer.
    """
    if sound is None:
        return Sign(DIGITS, Outcome.FAIL, "digits_other", float(len(drawn.digits)))
    transcript = judges.listener.hear(judges.settings, sound, drawn.language, now)
    if transcript is None:
        return Sign(DIGITS, Outcome.DOUBT, "language_not_heard", float(len(drawn.digits)))
    sure = LANGUAGES[drawn.language].sure
    return digits_sign(drawn.digits, digits_of(transcript, drawn.language), sure=sure)


def digits_sign(asked: str, heard: str, *, sure: bool = True) -> Sign:
    """Hold the digits heard against those asked; a person decides where the listener is not `sure`."""
    off = distance(asked, heard)
    if off == 0:
        return Sign(DIGITS, Outcome.PASS, "digits_said", 0.0)
    if off <= OFF_BY or not sure:
        return Sign(DIGITS, Outcome.DOUBT, "digits_near", float(off))
    return Sign(DIGITS, Outcome.FAIL, "digits_other", float(off))


def _unfit(info: ClipInfo) -> Sign | None:
    """Say what makes a clip none that could be judged."""
    if info.kind is not MediaKind.VIDEO:
        return Sign(CLIP, Outcome.FAIL, "clip_no_video", 0.0)
    if info.duration_s < SHORTEST_S:
        return Sign(CLIP, Outcome.FAIL, "clip_too_short", info.duration_s)
    return None
