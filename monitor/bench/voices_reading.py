"""From recordings to vectors: enrolments from clean speech, and probes from speech in every condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.bench.sound import BABBLE_VOICES, read_sound
from monitor.bench.voices_conditions import CONDITIONS, Heard
from monitor.ml.vectors import unit_rows
from monitor.values import SAMPLE_RATE, Sound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.bench.voices_data import Recording
    from monitor.ml.interfaces import SpeechDetector, VoiceModels

LENGTHS: Final[Mapping[int, int]] = {2: 5, 4: 2, 8: 1}
"""Seconds of net speech in a probe -> probes cut from one recording at most, one after the other."""

WINDOW_S: Final = 3.0
HOP_S: Final = 1.5
"""Windows of net speech whose mean is a recording's share of an enrolment, as in the product."""

LEAST_S: Final = 2.0
"""A recording with less net speech than this enrols nobody, as in the product."""

LENDERS: Final = 40
"""Speakers who lend their voices to babble: bounds memory."""

LENT_S: Final = 8.0
"""Speech that each of them lends."""


@dataclass(frozen=True, slots=True)
class Read:
    """What one recording gave.

    `vector` (d,) float32 is its share of an enrolment, or None; `probes` has (n, d) float32 for each
    condition and length; `speech_s` the net speech heard in each condition; `in_babble` the speakers in
    its babble.
    """

    vector: NDArray[np.float32] | None
    probes: Mapping[tuple[str, int], NDArray[np.float32]]
    speech_s: Mapping[str, float]
    in_babble: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads recordings with one pack's voice models; `lent` are voices for babble. Safe for threads."""

    models: VoiceModels
    lent: Mapping[int, NDArray[np.float32]]
    seed: int

    def read(self, numbered: Sequence[tuple[int, Recording]]) -> Iterator[Read]:
        """Read some recordings with their numbers; one is in memory at a time."""
        for number, recording in numbered:
            yield self._read(number, recording)

    def _read(self, number: int, recording: Recording) -> Read:
        rng = np.random.default_rng((self.seed, number))
        sound = read_sound(recording.path)
        clean = net_speech(sound, self.models.detector)
        around = self._voices_around(recording.speaker, rng)
        heard = Heard(sound.samples, clean, [self.lent[speaker] for speaker in around], rng)
        probes: dict[tuple[str, int], NDArray[np.float32]] = {}
        speech_s: dict[str, float] = {}
        for name, degrade in CONDITIONS.items():
            if name.startswith("babble") and not around:
                continue
            speech = net_speech(Sound(degrade(heard)), self.models.detector)
            speech_s[name] = len(speech) / SAMPLE_RATE
            for seconds, most in LENGTHS.items():
                probes[name, seconds] = self.models.recogniser.embed(cut(speech, seconds, most))
        return Read(self._vector(clean), probes, speech_s, around)

    def _voices_around(self, speaker: int, rng: np.random.Generator) -> tuple[int, ...]:
        """Draw who speaks in the babble: never the speaker, and at most half of the others.

        Those who do are no fair impostors there.
        """
        others = [other for other in self.lent if other != speaker]
        drawn = rng.permutation(others)[: min(BABBLE_VOICES, len(others) // 2)]
        return tuple(int(other) for other in drawn)

    def _vector(self, speech: NDArray[np.float32]) -> NDArray[np.float32] | None:
        if len(speech) < LEAST_S * SAMPLE_RATE:
            return None
        rows = self.models.recogniser.embed(windows(speech))
        found: NDArray[np.float32] = unit_rows(rows.mean(axis=0, keepdims=True))[0]
        return found


def lenders(recordings: Sequence[Recording], detector: SpeechDetector) -> dict[int, NDArray[np.float32]]:
    """Give some speech of the first LENDERS speakers, for babble."""
    first: dict[int, Recording] = {}
    for one in recordings:
        first.setdefault(one.speaker, one)
    some = list(first.items())[:LENDERS]
    lent = {speaker: net_speech(read_sound(one.path), detector) for speaker, one in some}
    return {speaker: voice[: int(LENT_S * SAMPLE_RATE)] for speaker, voice in lent.items() if len(voice)}


def net_speech(sound: Sound, detector: SpeechDetector) -> NDArray[np.float32]:
    """Cut the speech out of a sound: (n,) float32."""
    spans = detector.speech(sound)
    parts = [sound.samples[int(s.start_s * SAMPLE_RATE) : int(s.end_s * SAMPLE_RATE)] for s in spans]
    return np.concatenate([np.empty(0, np.float32), *parts])


def cut(speech: NDArray[np.float32], seconds: float, most: int) -> list[Sound]:
    """Cut pieces of this length, one after the other, none overlapping."""
    size = int(seconds * SAMPLE_RATE)
    return [Sound(speech[i * size : (i + 1) * size]) for i in range(min(most, len(speech) // size))]


def windows(speech: NDArray[np.float32]) -> list[Sound]:
    """Cut speech into windows of WINDOW_S every HOP_S; the last reaches to the end."""
    size, hop = int(WINDOW_S * SAMPLE_RATE), int(HOP_S * SAMPLE_RATE)
    last = max(0, len(speech) - size)
    starts = sorted({*range(0, last, hop), last})
    return [Sound(speech[start : start + size]) for start in starts]
