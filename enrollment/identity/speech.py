"""The voice of a clip: is it the person's, does one person speak, and when. `hear_voice` gives the signs.

What is compared: all speech of the clip, in one piece, with the mean of the person's voice samples. Digits
said one by one sound less like read sentences than sentences do among themselves, so the bounds here are
not those of a match in a crawled item: see `SAME` and `NEAR`.

Speech that was made by another person, or by text-to-speech in a voice of its own, is told by the voice; a
row of digits that two people said, by holding its parts against each other. A cloned voice that says the
digits drawn takes a scorer of synthetic speech (`Scores`, synthetic.py); where there is none, or it abstains,
the report names the check as not made.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from enrollment.identity.signs import Outcome, Sign
from monitor.stages.speakers import (
    CELL_S,
    Windows,
    embed_windows,
    place_windows,
    sound_of,
    speech_cells,
    tell_apart,
)
from monitor.values import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.ml.interfaces import VoiceModels
    from monitor.values import Sound

SPEECH, VOICE, SPEAKERS = "speech", "voice", "speakers"
ONE_VOICE, SYNTHETIC = "one_voice", "synthetic_voice"
"""Names of the checks."""

LEAST_S: Final = 1.0
"""Seconds of speech below which nothing is compared. Six digits in a hurry take 1.7."""

SAME: Final = 1.0
"""Part of the review threshold of the pack from which the voice is the person's: 0.50 for CAM++. Of 108 pairs
of two people, digits against sentences, the most alike had 0.42, and of 30 of one person one was below 0.50
(five recorded voices, digits by Opus at 12 kbit/s; `python -m monitor.bench.challenge_speech`, 2026-11)."""

NEAR: Final = 0.57
"""Part of it below which it is somebody else's: 0.285. Between the two a person looks. The least alike pair
of one person, a studio speaker who sings his digits, had 0.47; 24 of the 108 pairs of two were above 0.285
(as above)."""

OTHER_S: Final = 0.8
"""Seconds of the clip that another voice may seem to have: two digits. Single short words are told apart
badly, so a few of them are no second speaker."""

PARTS: Final = 6
"""Parts that the speech is cut into: the digits, where pauses tell them apart, else parts of one length."""

APART: Final = 0.84
"""Part of the review threshold below which two halves of the digits are not one person's: 0.42. There are ten
ways to make two halves of six digits, and the least alike pair counts. By Opus as a browser writes it, of 20
rows of five recorded speakers the lowest had 0.43 and all others 0.49 and more; the first half in a machine's
voice had 0.39 at most (8 rows of four), two people who share the digits, one half each or every second one,
0.33 at most for those tried first (2026-11). Cut into parts of one length, in place of digits, some who take
turns reach 0.5. Twenty rows are few: a person looks, and nobody is refused for it."""


class Scores(Protocol):
    """A scorer of synthetic speech."""

    def score(self, sound: Sound, speech: tuple[Span, ...]) -> Sign | None:
        """Say what it finds in what is spoken, at `speech`; None where it abstains."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Where somebody speaks in a clip, in order, and what the checks say of it."""

    spans: tuple[Span, ...]
    signs: tuple[Sign, ...]
    not_made: tuple[str, ...] = ()


def hear_voice(
    sound: Sound | None, models: VoiceModels, own: NDArray[np.float32], scorer: Scores | None = None
) -> Spoken:
    """Compare the voice of a clip with the person's own.

    `own` is (n, d) float32, rows of length 1: their voice samples, of these models. Signs: `speech` (seconds
    of it; fail `no_sound`, `too_little_speech`), `voice` (cosine; doubt `voice_unsure`, fail `voice_other`),
    `speakers` (seconds of other voices; doubt `several_speakers`), `one_voice` (cosine of the two least alike
    halves; doubt `voice_changes`) and the scorer's. Raises ValueError for no samples.
    """
    if not len(own):
        msg = "there is no voice to compare with"
        raise ValueError(msg)
    if sound is None:
        return Spoken((), (Sign(SPEECH, Outcome.FAIL, "no_sound", 0.0),))
    spans = models.detector.speech(sound)
    cells = speech_cells(spans, int(sound.seconds / CELL_S))
    seconds = len(cells) * CELL_S
    if seconds < LEAST_S:
        return Spoken(spans, (Sign(SPEECH, Outcome.FAIL, "too_little_speech", seconds),))
    signs = [
        Sign(SPEECH, Outcome.PASS, "speech", seconds),
        _whose(sound, cells, models, own),
        _speakers(sound, cells, models),
        _one_voice(sound, cells, models),
    ]
    made = scorer.score(sound, spans) if scorer is not None else None
    if made is not None:
        signs.append(made)
    return Spoken(spans, tuple(signs), () if made is not None else (SYNTHETIC,))


def _whose(sound: Sound, cells: NDArray[np.int64], models: VoiceModels, own: NDArray[np.float32]) -> Sign:
    [vector] = models.recogniser.embed([sound_of(sound, cells)])
    mean = own.mean(axis=0)
    alike = float(vector @ (mean / np.linalg.norm(mean)))
    review = models.thresholds.review
    if alike >= SAME * review:
        return Sign(VOICE, Outcome.PASS, "voice_same", alike)
    if alike >= NEAR * review:
        return Sign(VOICE, Outcome.DOUBT, "voice_unsure", alike)
    return Sign(VOICE, Outcome.FAIL, "voice_other", alike)


def _speakers(sound: Sound, cells: NDArray[np.int64], models: VoiceModels) -> Sign:
    """Count the seconds that are not the main voice's."""
    placed = place_windows(cells)
    if not placed:
        return Sign(SPEAKERS, Outcome.PASS, "one_speaker", 0.0)
    who = tell_apart(Windows(placed, embed_windows(sound, placed, models.recogniser)), int(cells[-1]) + 1)
    others = _seconds_of_others(who)
    if others > OTHER_S:
        return Sign(SPEAKERS, Outcome.DOUBT, "several_speakers", others)
    return Sign(SPEAKERS, Outcome.PASS, "one_speaker", others)


def _one_voice(sound: Sound, cells: NDArray[np.int64], models: VoiceModels) -> Sign:
    """Hold the halves of what is said against each other, however the digits are shared out."""
    said = np.split(cells, np.flatnonzero(np.diff(cells) > 1) + 1)
    parts = said if len(said) == PARTS else np.array_split(cells, PARTS)
    firsts = [{0, *rest} for rest in combinations(range(1, PARTS), PARTS // 2 - 1)]
    shared = [sorted(half) for one in firsts for half in (one, set(range(PARTS)) - one)]
    halves = [np.concatenate([parts[number] for number in half]) for half in shared]
    vectors = models.recogniser.embed([sound_of(sound, half) for half in halves])
    alike = float(np.sum(vectors[::2] * vectors[1::2], axis=1).min())
    if alike < APART * models.thresholds.review:
        return Sign(ONE_VOICE, Outcome.DOUBT, "voice_changes", alike)
    return Sign(ONE_VOICE, Outcome.PASS, "one_voice", alike)


def _seconds_of_others(who: NDArray[np.int64]) -> float:
    counts: Sequence[int] = np.bincount(who[who >= 0]).tolist() if (who >= 0).any() else []
    return (sum(counts) - max(counts, default=0)) * CELL_S
