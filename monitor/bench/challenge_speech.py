"""How well the sound side of a challenge does: `python -m monitor.bench.challenge_speech [DATA]`.

Digits said by recorded speakers are listened to, clean and disturbed; and the voice of everybody's digits is
held against everybody's sentences, and against machines' speech where the data folder is given. Prints the
tables as they stand in enrollment/README.md.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from enrollment.identity.digits import LANGUAGES, digits_of
from enrollment.identity.draw import draw
from enrollment.identity.judge import digits_sign
from enrollment.identity.listen import Listener
from enrollment.identity.signs import Outcome
from enrollment.identity.speech import VOICE, hear_voice
from monitor.bench.challenge_digits import SPEAKERS, said, sentences
from monitor.bench.sound import OPUS_12K, read_sound, telephone, through, white, with_noise
from monitor.db import utc_now
from monitor.ml.packs import load_pack
from monitor.settings import Settings
from monitor.values import Sound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from monitor.ml.interfaces import VoiceModels

    Samples = NDArray[np.float32]

ROWS: Final = 12
"""Rows of six digits for each condition."""

MACHINES: Final = ("espeak", "flite_clustergen", "kokoro", "stts2_VITS")
CLIPS: Final = 6
"""Clips of each machine."""

SAMPLE_S: Final = 10.0


def _noisy(samples: Samples, db: float) -> Samples:
    return with_noise(samples, white(len(samples), np.random.default_rng(5)), db, samples)


CONDITIONS: Final[Mapping[str, Callable[[Samples], Samples]]] = {
    "as recorded": lambda samples: samples,
    "Opus, 12 kbit/s": partial(through, codec=OPUS_12K),
    "telephone": telephone,
    "noise at 20 dB": partial(_noisy, db=20.0),
    "noise at 10 dB": partial(_noisy, db=10.0),
    "noise at 5 dB": partial(_noisy, db=5.0),
}


@dataclass(slots=True)
class Counted:
    """How often each outcome came."""

    of: Counter[Outcome] = field(default_factory=Counter)

    def line(self, name: str) -> str:
        """Write one line of a table."""
        return f"| {name} | {self.of.total()} | " + " | ".join(str(self.of[one]) for one in Outcome) + " |"


def digits(settings: Settings, speaker: str) -> dict[str, Counted]:
    """Listen to rows of digits under each condition."""
    listener, counts = Listener(), {name: Counted() for name in CONDITIONS}
    language = SPEAKERS[speaker].language
    for number in range(ROWS):
        rng = np.random.default_rng(number)
        row = draw(language, (language,), lambda values, rng=rng: values[rng.integers(len(values))]).digits  # type: ignore[misc]
        clean = said(speaker, row, rng)
        for name, disturb in CONDITIONS.items():
            heard = listener.hear(settings, Sound(disturb(clean)), language, utc_now())
            counts[name].of[digits_sign(row, digits_of(heard or "", language)).outcome] += 1
    return counts


def voices(models: VoiceModels, data: Path | None) -> dict[str, Counted]:
    """Hold digits against sentences: of oneself, of others, and of machines."""
    own = {one: _sample(models, one) for one in SPEAKERS}
    counts: dict[str, Counted] = {}
    for one in SPEAKERS:
        for number in range(ROWS // 2):
            rng = np.random.default_rng(number)
            row = "".join(map(str, rng.permutation(10)[:6]))
            sound = Sound(through(said(one, row, rng), OPUS_12K))
            for other, vectors in own.items():
                same = SPEAKERS[one].folder.split("_")[-1] == SPEAKERS[other].folder.split("_")[-1]
                name = (
                    f"{one}, own"
                    if one == other
                    else "the same person, another language"
                    if same
                    else "others"
                )
                _count(counts, name, sound, models, vectors)
    for kind, path in _machines(data):
        for vectors in own.values():
            _count(counts, f"made by {kind}", read_sound(path), models, vectors)
    return counts


def _sample(models: VoiceModels, speaker: str) -> Samples:
    read = Sound(sentences(speaker, SAMPLE_S, np.random.default_rng(1)))
    return models.recogniser.embed([read])


def _machines(data: Path | None) -> Iterable[tuple[str, Path]]:
    for kind in MACHINES if data is not None else ():
        for path in sorted((data / "voices/spoof" / kind).iterdir())[:CLIPS]:  # type: ignore[operator]
            yield kind, path


def _count(counts: dict[str, Counted], name: str, sound: Sound, models: VoiceModels, own: Samples) -> None:
    signs = {sign.check: sign.outcome for sign in hear_voice(sound, models, own).signs}
    counts.setdefault(name, Counted()).of[signs.get(VOICE, Outcome.FAIL)] += 1


def main() -> None:
    """Measure, and print the tables."""
    settings = Settings()
    pack = load_pack(settings)
    if pack.voices is None:
        sys.exit("the pack has no voices")
    head = "| {} | rows | pass | a person looks | refused |\n| --- | ---: | ---: | ---: | ---: |\n"
    out = sys.stdout
    for speaker, who in SPEAKERS.items():
        out.write(head.format(f"digits, {LANGUAGES[who.language].name}"))
        out.writelines(f"{counted.line(name)}\n" for name, counted in digits(settings, speaker).items())
        out.write("\n")
    out.write(head.format("voice of the digits, by Opus"))
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    out.writelines(f"{counted.line(name)}\n" for name, counted in sorted(voices(pack.voices, data).items()))


if __name__ == "__main__":
    main()
