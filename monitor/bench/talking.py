"""Films of a face that talks, made of one photograph: for signals that watch lips and follow a face.

There is no labelled video of talking people at hand, so this is a simulation, and says little about people:
the head of challenge_heads.py, lips that go with a sound as closely as they are told, small movements of head
and hand, a sensor's noise, and a codec. `python -m monitor.bench.talking DATA [FILMS]` prints how the lips of
such films are measured; see `main`.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.bench.challenge_film import Film
from monitor.bench.challenge_heads import Head, Moment, portraits
from monitor.bench.challenge_scenes import Variation, camera
from monitor.bench.faces_seeing import read_picture
from monitor.bench.sound import read_sound
from monitor.ml.lip_motion import ENVELOPE_S, envelope, follow, restless
from monitor.ml.packs import load_faces
from monitor.ml.synthetic.lips_against_sound import MOVES, goes_with
from monitor.ml.synthetic.lips_filmed import FRAMES_PER_SECOND, Filmed, watch
from monitor.settings import Settings
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.values import SAMPLE_RATE, Sound, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from monitor.bench.challenge_heads import Portrait
    from monitor.ml.interfaces import FaceModels

    Curve = NDArray[np.float64]

RATE: Final = 25
"""Frames a second of most films."""

SIZE: Final = (360, 480)
CLOSE, LOOSE = 0.85, 0.5
"""Correlation of the opening of the mouth with the loudness, syllable by syllable. Where that of people lies
was not measured."""

FILM_S: Final = 8.0

CHOSE: Final = 12
"""People on whose films the bounds of lips_against_sound.py were chosen; `main` measures on others."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a face talks: how closely its lips go with the sound, how far they open, how it was filmed."""

    alike: float = CLOSE
    open: float = 0.8
    how: Variation = field(default_factory=lambda: Variation(unit=60.0))


def talking(
    portrait: Portrait, heard: NDArray[np.float32], lips: NDArray[np.float32], manner: Manner, seed: int
) -> Film:
    """Film a face while `heard` sounds, whose mouth goes with `lips` (both (n,) float32 at 16 kHz).

    A genuine film has the same for both, a dubbed one two recordings. An empty `lips` leaves the mouth shut.
    """
    rng = np.random.default_rng(seed)
    total = int(len(heard) / SAMPLE_RATE * RATE)
    mouth = manner.open * opening(lips, total, manner.alike, rng)
    yaw, pitch = _slow(rng, total, 2.0), _slow(rng, total, 1.5)
    blinks = np.zeros(total)
    for at in np.cumsum(rng.uniform(2.0, 4.5, 8)):
        blinks += np.exp(-(((np.arange(total) / RATE - at) / 0.07) ** 2))
    height, width = SIZE
    head = Head([portrait], size=SIZE, unit=manner.how.unit, centre=(width / 2, height * 0.47))
    each = zip(yaw, pitch, mouth, np.clip(blinks, 0, 1), strict=True)
    frames = [head.render(Moment(*map(float, one)))[0] for one in each]
    return Film(camera(frames, manner.how, seed), heard[: int(total / RATE * SAMPLE_RATE)], RATE)


def opening(sound: NDArray[np.float32], total: int, alike: float, rng: np.random.Generator) -> Curve:
    """How far a mouth opens in each of `total` frames: (total,) in [0, 1], shut where nobody speaks.

    Of what is quicker than half a second, the correlation with the loudness is about `alike`.
    """
    if not len(sound):
        return np.zeros(total)
    loud = np.sqrt(envelope(Sound(sound)))
    width = round(0.1 / ENVELOPE_S)
    smooth = np.convolve(loud, np.hanning(width + 2)[1:-1] / np.hanning(width + 2).sum(), mode="same")
    at = np.arange(total) / RATE + 0.03  # lips are a little ahead of the sound
    own = np.interp(at, (np.arange(len(smooth)) + 0.5) * ENVELOPE_S, smooth)
    noise = np.convolve(rng.standard_normal(total + 8), np.hanning(7), mode="same")[4:-4]
    speaks = own > 0.15 * np.percentile(own, 95)
    free = own.std() * noise / noise.std()
    curve = alike * own + np.sqrt(1 - alike**2) * free * speaks
    return np.asarray(np.clip(curve / (np.percentile(curve, 97) + 1e-9), 0, 1) * speaks, np.float64)


def _slow(rng: np.random.Generator, total: int, size: float) -> Curve:
    """Small movements around 0 that take about a second each: (total,), their standard deviation `size`."""
    steps = np.convolve(rng.standard_normal(total + 2 * RATE), np.hanning(2 * RATE), mode="same")
    return np.asarray(size * steps[RATE : RATE + total] / steps.std(), np.float64)


def photographs(data: Path, models: FaceModels, most: int) -> Iterator[Portrait]:
    """Give portraits of different people of DATA/faces/lfw-dev who look ahead, one each."""
    folders = sorted((data / "faces/lfw-dev").iterdir())
    found = 0
    for place in np.random.default_rng(0).permutation(len(folders)):
        file = min(folders[place].glob("*.jpg"))
        for portrait in portraits([read_picture(file)], models):
            if abs(portrait.pose.yaw_deg) < 12 and found < most:
                found += 1
                yield portrait
        if found == most:
            return


def speech(data: Path, most: int) -> list[NDArray[np.float32]]:
    """Give recordings of different readers that are long enough: (n,) float32 at 16 kHz, FILM_S each."""
    files = sorted((data / "voices/real/librispeech-train-clean").glob("*.flac"))
    long = round(FILM_S * SAMPLE_RATE)
    read = (read_sound(file).samples for file in files)
    return [samples[:long] for samples in islice((one for one in read if len(one) >= long), most)]


KINDS: Final = {
    "lips go closely with the sound": (True, Manner()),
    "lips go loosely with the sound": (True, Manner(alike=LOOSE)),
    "lips open little": (True, Manner(open=0.35)),
    "a noisy, small film": (True, Manner(how=Variation(unit=40.0, noise=8.0, bits=150_000))),
    "dubbed: lips go closely with another sound": (False, Manner()),
    "dubbed: lips go loosely with another sound": (False, Manner(alike=LOOSE)),
    "a shut mouth, and a narrator": (None, Manner()),
    "the same, noisy and small": (None, Manner(how=Variation(unit=40.0, noise=8.0, bits=150_000))),
}
"""Name of a kind of film -> whether the lips go with what is heard (None: they stay shut), and how."""


def main() -> None:
    """Film, measure, and print a line per kind: 5th, 50th and 95th percentile, and what would be said.

    `follow` is the correlation, `chance` how often chance does as well, `restless` how much the lips move. Of
    those who do not move, or are not filmed (several faces in the photograph), nothing is said.
    """
    data, films = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20
    settings = Settings()
    models = load_faces(settings)
    people = list(photographs(data, models, CHOSE + films))[CHOSE:]
    sounds, out = speech(data, films + 7), sys.stdout
    limits = replace(DecodeLimits.of(settings), frames_per_second=FRAMES_PER_SECOND)
    out.write("| films | n | follow | chance | restless | said |\n| --- | ---: | --- | --- | --- | --- |\n")
    with Decoder(limits) as decoder:
        for name, (with_it, manner) in KINDS.items():
            rows, said = [], Counter[str]()
            for number, portrait in enumerate(people):
                heard, other = sounds[number % len(sounds)], sounds[(number + 7) % len(sounds)]
                lips = heard if with_it else other if with_it is not None else other[:0]
                made = talking(portrait, heard, lips, manner, number)
                with decoder.start(made.mp4(manner.how.bits)) as clip:
                    found = watch(clip.frames(), models.detector, lambda _: None, Span(0, FILM_S))
                if not isinstance(found, Filmed):
                    said[found.value] += 1
                    continue
                score, chance = follow(found.chips, found.times, envelope(Sound(heard)))
                rows.append((score, chance, restless(found.chips, found.times)))
                said["not_moving" if rows[-1][2] < MOVES else goes_with(score, chance).value] += 1
            cells = [
                " / ".join(f"{value:.2f}" for value in np.percentile(column, (5, 50, 95)))
                for column in np.array(rows).reshape(-1, 3).T
                if len(column)
            ]
            told = ", ".join(f"{count} {what}" for what, count in said.most_common())
            out.write(f"| {name} | {len(people)} | {' | '.join(cells)} | {told} |\n")
            out.flush()


if __name__ == "__main__":
    main()
