"""Tracks of faces that are genuine, and others on which a swap fails in some frames, made by our own code.

There is no labelled video of swapped faces at hand. Genuine tracks are made of photographs: one that is
shaken by a hand, a head that turns and talks (challenge_heads.py), and as the hardest kind different
photographs of one person, one after the other. On the turning head another person's photograph is laid by the
five points, in every frame, in some, or with points that jump. All go through H.264.
`python -m monitor.bench.flickering DATA [PEOPLE] [PACK]` prints how steady each kind is.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from enrollment.identity.turns import Turn
from monitor.bench.challenge_film import RATE as SCENE_RATE
from monitor.bench.challenge_film import Film
from monitor.bench.challenge_heads import portraits
from monitor.bench.challenge_scenes import Play, Variation, acted, camera, play
from monitor.bench.faces_seeing import read_picture
from monitor.ml.align import CHIP, MARGIN, align, cut_chip, similarity
from monitor.ml.packs import load_faces
from monitor.ml.synthetic.interfaces import Look
from monitor.ml.synthetic.track_consistency import FAR_BELOW, LEAST_FLIPS, steadiness
from monitor.settings import Settings
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.stages.quality import quality
from monitor.values import FaceSample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from monitor.bench.challenge_heads import Portrait
    from monitor.ml.interfaces import FaceModels

    Picture = NDArray[np.uint8]
    Points = NDArray[np.float32]

RATE: Final = 2
"""Frames a second of a film: the tracker keeps one sample in half a second."""

LOOKS: Final = 8
MOST_PHOTOGRAPHS: Final = 12

OVAL: Final = np.exp(
    -(
        np.maximum(
            0.0,
            ((np.arange(CHIP)[None, :] - CHIP / 2) / 48) ** 2
            + ((np.arange(CHIP)[:, None] - CHIP / 2 - 4) / 58) ** 2
            - 0.7,
        )
        ** 2
    )
    * 6
).astype(np.float32)
"""How much of a chip is replaced by a swap: all inside an oval from brows to chin, softly less around."""


def shaken(chosen: Sequence[Portrait], rng: np.random.Generator) -> Film:
    """Hold one photograph before a camera."""
    rgb = cv2.resize(chosen[0].rgb, (480, 480), interpolation=cv2.INTER_CUBIC)
    frames = []
    for _ in range(LOOKS):
        turn = cv2.getRotationMatrix2D((240, 240), rng.uniform(-6, 6), rng.uniform(0.8, 1.1))
        turn[:, 2] += rng.uniform(-15, 15, 2)
        frames.append(
            np.asarray(cv2.warpAffine(rgb, turn, (480, 480), borderMode=cv2.BORDER_REFLECT_101), np.uint8)
        )
    return Film(
        camera(frames, Variation(noise=3.0), int(rng.integers(1000))),
        np.zeros(LOOKS * 8000, np.float32),
        RATE,
    )


def turning(chosen: Sequence[Portrait], rng: np.random.Generator) -> Film:
    """Film a head that turns and talks."""
    frames, _ = _turned(chosen, rng)
    return _filmed(frames, rng)


def album(chosen: Sequence[Portrait], rng: np.random.Generator) -> Film:
    """Show one photograph of a person after the other: other days, light and looks."""
    frames = [
        np.asarray(cv2.resize(one.rgb, (480, 480), interpolation=cv2.INTER_CUBIC), np.uint8)
        for one in [
            chosen[number % len(chosen)] for number in rng.permutation(max(LOOKS, len(chosen)))[:LOOKS]
        ]
    ]
    return _filmed(frames, rng)


def swapped(
    chosen: Sequence[Portrait],
    other: Portrait,
    rng: np.random.Generator,
    *,
    fails: float = 0.0,
    jumps: float = 0.0,
) -> Film:
    """Lay another's face on a head that turns. It `fails` in a share of frames, and `jumps` by pixels."""
    frames, points = _turned(chosen, rng)
    made = [
        frame if rng.random() < fails else swap(frame, at, other, rng.normal(0, jumps, (5, 2)))
        for frame, at in zip(frames, points, strict=True)
    ]
    return _filmed(made, rng)


def swap(frame: Picture, points: Points, other: Portrait, off: NDArray[np.float64]) -> Picture:
    """Lay the face of a photograph over that at five points, in its light. `off` moves them, in pixels."""
    theirs = cut_chip(other.rgb, other.landmarks).astype(np.float32)
    own = cut_chip(frame, points).astype(np.float32)
    middle = np.s_[MARGIN + 30 : MARGIN + 100, MARGIN + 20 : MARGIN + 92]
    gain = own[middle].std(axis=(0, 1)) / (theirs[middle].std(axis=(0, 1)) + 1)
    lit = (theirs - theirs[middle].mean(axis=(0, 1))) * np.clip(gain, 0.5, 2) + own[middle].mean(axis=(0, 1))
    to_chip = similarity((points + off).astype(np.float32))
    to_chip[:, 2] += MARGIN
    size = frame.shape[1::-1]
    back = cv2.invertAffineTransform(to_chip)
    laid = cv2.warpAffine(np.clip(lit, 0, 255), back, size, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpAffine(OVAL, back, size)[:, :, None]
    return np.asarray(frame * (1 - mask) + laid * mask, np.uint8)


KINDS: Final[dict[str, Callable[[Sequence[Portrait], Portrait, np.random.Generator], Film]]] = {
    "genuine: a shaken photograph": lambda own, _, rng: shaken(own, rng),
    "genuine: a head that turns and talks": lambda own, _, rng: turning(own, rng),
    "genuine: different photographs": lambda own, _, rng: album(own, rng),
    "swapped in every frame": swapped,
    "swapped, failing in a quarter": lambda own, other, rng: swapped(own, other, rng, fails=0.25),
    "swapped, failing in half": lambda own, other, rng: swapped(own, other, rng, fails=0.5),
    "swapped, points that jump": lambda own, other, rng: swapped(own, other, rng, jumps=4.0),
}


def people(data: Path, models: FaceModels, most: int) -> Iterator[tuple[Portrait, ...]]:
    """Give people of DATA/faces/lfw-dev with four good photographs at least."""
    found = 0
    for folder in sorted((data / "faces/lfw-dev").iterdir()):
        files = sorted(folder.glob("*.jpg"))[:MOST_PHOTOGRAPHS]
        if len(files) < 5 or found >= most:
            continue
        chosen = portraits([read_picture(file) for file in files], models)
        if len(chosen) >= 4:
            found += 1
            yield chosen


def looks_at(film: Film, models: FaceModels, decoder: Decoder) -> list[Look]:
    """Look at the largest face of each frame, after the codec."""
    found = []
    with decoder.start(film.mp4(600_000)) as clip:
        for frame in clip.frames():
            face = max(models.detector.detect(frame.rgb), key=lambda one: one.box.height, default=None)
            if face is not None:
                crop = align(frame.rgb, face.landmarks)
                rated = quality(face, crop)
                sample = FaceSample(frame.at_s, face.box, face.landmarks, crop, rated, face.score)
                found.append(Look(frame.at_s, frame.rgb, sample))
    return found


def _turned(chosen: Sequence[Portrait], rng: np.random.Generator) -> tuple[list[Picture], list[Points]]:
    planned = play(
        (Turn.LEFT, Turn.UP), np.zeros(0, np.float32), Variation(reach=0.7), int(rng.integers(1000))
    )
    picked = np.linspace(SCENE_RATE // 2, len(planned.moments) - 1, LOOKS).astype(int)
    moments = tuple(replace(planned.moments[i], mouth=float(rng.uniform(0, 0.8))) for i in picked)
    shown = acted(chosen, Play(moments, planned.sound, 0.0), Variation())
    return [frame for frame, _ in shown], [points for _, points in shown]


def _filmed(frames: Sequence[Picture], rng: np.random.Generator) -> Film:
    taken = camera(frames, Variation(noise=3.0), int(rng.integers(1000)))
    return Film(taken, np.zeros(len(frames) * 8000, np.float32), RATE)


def main() -> None:
    """Make tracks of each kind; print a line per kind.

    Of both measures median and 90th percentile over a track, each with its 5th, 50th and 95th percentile over
    the people; and of how many tracks it would be said that the face flickers.
    """
    data, most = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 40
    settings = Settings(pack=sys.argv[3] if len(sys.argv) > 3 else "registry")
    models, out = load_faces(settings), sys.stdout
    least = FAR_BELOW * models.thresholds.review
    chosen = list(people(data, models, most))
    out.write("| tracks | n | unlike, median | unlike, 90th | jitter, median | jitter, 90th | flickers |\n")
    out.write("| --- | ---: | --- | --- | --- | --- | ---: |\n")
    with Decoder(replace(DecodeLimits.of(settings), frames_per_second=RATE)) as decoder:
        for name, make in KINDS.items():
            rows, flickers = [], 0
            for number, own in enumerate(chosen):
                other = chosen[(number + 1) % len(chosen)][0]
                looks = looks_at(make(own, other, np.random.default_rng(number)), models, decoder)
                if len(looks) >= LOOKS // 2:
                    found = steadiness(looks, models)
                    rows.append(found.summary)
                    flickers += found.flips(least).sum() >= LEAST_FLIPS
            cells = [" / ".join(f"{v:.3f}" for v in np.percentile(c, (5, 50, 95))) for c in np.array(rows).T]
            out.write(f"| {name} | {len(rows)} | {' | '.join(cells)} | {flickers} |\n")
            out.flush()


if __name__ == "__main__":
    main()
