"""People who answer a challenge: real ones out of LFW, filmed by the bench's generator, and drawn ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from enrollment.identity.pose import FACE, pose_of
from enrollment.identity.watched import FRAMES_PER_SECOND, Seen, Sight, Watched
from enrollment.identity.watching import watch
from monitor.bench.challenge_film import RATE
from monitor.bench.challenge_heads import portraits
from monitor.ml.align import cut_chip
from monitor.values import Box, ClipInfo, Frame, MediaKind
from tests.assets.people import pictures

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.bench.challenge_film import Film
    from monitor.bench.challenge_heads import Portrait
    from monitor.ml.interfaces import FaceModels
    from monitor.values import CouldNotLook, Sound

MANY = ("Andre_Agassi", "Gloria_Macapagal_Arroyo", "Hans_Blix", "Carlos_Moya", "Alejandro_Toledo")
"""People of LFW with many pictures, some of them turned."""


@dataclass(frozen=True, slots=True)
class Person:
    """One person: portraits to film them with, and the vectors of pictures that are not in the film."""

    portraits: tuple[Portrait, ...]
    own: NDArray[np.float32]


def person(data: Path, name: str, models: FaceModels, most: int = 24) -> Person:
    """Read one person of LFW: three near-frontal pictures are their samples, the rest makes films."""
    read = portraits(pictures(data, name)[:most], models)
    frontal = sorted(read, key=lambda one: abs(one.pose.yaw_deg) + abs(one.pose.pitch_deg) / 2)
    samples = frontal[2:8:2]
    rest = tuple(one for one in read if not any(one is sample for sample in samples))
    return Person(rest, np.stack([one.vector for one in samples]))


@dataclass(frozen=True, slots=True)
class Shown:
    """A film as the decoder would give it, without a codec in between (see detect.Shows)."""

    film: Film

    @property
    def info(self) -> ClipInfo:
        """What it is."""
        height, width = self.film.frames.shape[1:3]
        return ClipInfo(MediaKind.VIDEO, width, height, self.film.seconds, has_sound=True)

    @property
    def not_looked(self) -> tuple[CouldNotLook, ...]:
        """Nothing."""
        return ()

    def frames(self) -> Iterator[Frame]:
        """Give the frames that a decoder would take."""
        step = RATE / FRAMES_PER_SECOND
        for index in range(int(len(self.film.frames) / step)):
            number = int(index * step)
            yield Frame(index, number / RATE, self.film.frames[number])

    def sound(self) -> Sound | None:
        """Give none: the pictures alone are looked at."""
        return None


def seen_of(film: Film, models: FaceModels) -> Watched:
    """Watch a film, without a codec in between."""
    return watch(Shown(film), models)


def points(yaw_deg: float = 0.0, pitch_deg: float = 0.0, *, flat: bool = False) -> NDArray[np.float32]:
    """Five points of a head that is turned, or of a picture of one that is: (5, 2), some 60 pixels wide."""
    face = FACE * (1, 1, 0) if flat else FACE
    turn, _ = cv2.Rodrigues(np.radians([-pitch_deg, 0.0, 0.0]))
    aside, _ = cv2.Rodrigues(np.radians([0.0, -yaw_deg, 0.0]))
    there = face @ (aside @ turn).T + (0, 0, 8)
    return np.asarray(there[:, :2] / there[:, 2:] * 480 + (160, 120), np.float32)


def drawn(
    poses: Sequence[tuple[float, float]],
    *,
    vectors: Sequence[NDArray[np.float32]] | None = None,
    flat: bool = False,
    jitter: float = 0.0,
) -> Watched:
    """Make what would be kept of a clip in which a head is held like this, (yaw, pitch) frame by frame."""
    rng = np.random.default_rng(5)
    sights, seen = [], []
    for number, (yaw, pitch) in enumerate(poses):
        at_s = number / FRAMES_PER_SECOND
        marks = points(yaw, pitch, flat=flat) + rng.normal(0, jitter, (5, 2)).astype(np.float32)
        picture = rng.integers(90, 160, (240, 320, 3)).astype(np.uint8)
        sights.append(Sight(at_s, np.asarray(picture[..., 0], np.uint8), 1))
        one = Seen(
            number, at_s, Box(120, 70, 200, 170), marks, 0.99, pose_of(marks), cut_chip(picture, marks)
        )
        seen.append(one if vectors is None else replace(one, vector=vectors[number]))
    return Watched(tuple(sights), tuple(seen))


def path(*steps: tuple[float, float, float]) -> list[tuple[float, float]]:
    """Plan poses: each step (yaw, pitch, seconds) is gone to and held; between two of them the head moves."""
    poses: list[tuple[float, float]] = []
    before = (0.0, 0.0)
    for yaw, pitch, seconds in steps:
        frames = max(2, round(seconds * FRAMES_PER_SECOND))
        going = max(1, frames // 3)
        for number in range(frames):
            part = min(1.0, (number + 1) / going)
            poses.append((before[0] + (yaw - before[0]) * part, before[1] + (pitch - before[1]) * part))
        before = (yaw, pitch)
    return poses
