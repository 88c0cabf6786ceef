"""A head that turns, made of real photographs of one person: for the challenge's genuine and attack clips.

Photographs in which the person looks different ways are laid over each other by their five points; between
two of them the head is turned in depth (an ellipsoid with a nose, rotated) and dissolved from one into the
other. So what a detector sees of a turned head are the points of a photograph of a turned head, moved by at
most a few degrees. Nodding has few photographs and is mostly the ellipsoid. It is a simulation: hair, ears
and light do not do what they would do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from enrollment.identity.pose import pose_of
from monitor.ml.align import align
from monitor.stages.quality import detail

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from enrollment.identity.pose import Pose
    from monitor.ml.interfaces import FaceModels

    Grid = NDArray[np.float32]
    Picture = NDArray[np.uint8]

WIDE, HIGH, DEEP = 1.3, 1.8, 1.25
"""Half axes of the head, in units: a ninth over half of the way from eyes to mouth (that way is 1.12)."""

NOSE_OUT, NOSE_WIDE, NOSE_HIGH = 0.35, 0.24, 0.34
"""How far the nose stands out of the ellipsoid, and how wide and high its hill is, in units."""

FEATURES_OUT: Final = 1.1
"""How far in front of the head's centre eyes and mouth lie, in units."""

EYES_TO_MOUTH: Final = 1.12
"""Units from the line of the eyes to that of the mouth, as in pose.FACE."""

STEP: Final = 4
"""Maps are made for every fourth pixel and enlarged."""

ROUNDS: Final = 4
"""Fixed-point rounds that undo the turn: below 25 degrees more change nothing visible."""

LEAST_DETAIL, LEAST_LIKE = 25.0, 0.35
"""A photograph that is blurred, or unlike the person's others (a wrong label), is left out."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """One photograph: `rgb` (h, w, 3) uint8, its five points, how the head is held, its vector."""

    rgb: Picture
    landmarks: Grid
    pose: Pose
    vector: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Moment:
    """How the head is at one moment: degrees from its neutral pose; mouth and eyelids in [0, 1]."""

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    mouth: float = 0.0
    blink: float = 0.0


def portraits(pictures: Iterable[Picture], models: FaceModels) -> tuple[Portrait, ...]:
    """Read photographs of one person: those that show them sharply and nobody else, in order of yaw."""
    read = []
    for rgb in pictures:
        middle = np.array(rgb.shape[1::-1]) / 2
        found = models.detector.detect(rgb)
        if not found:
            continue
        face = min(found, key=lambda one: float(np.hypot(*(one.landmarks.mean(axis=0) - middle))))
        beside = sum(one.box.height >= face.box.height / 2 for one in found)
        crop = align(rgb, face.landmarks)
        if beside == 1 and detail(crop) >= LEAST_DETAIL:
            vector = models.recogniser.embed(crop[None])[0]
            read.append(Portrait(rgb, face.landmarks, pose_of(face.landmarks), vector))
    if not read:
        return ()
    centre = np.mean([one.vector for one in read], axis=0)
    centre /= np.linalg.norm(centre)
    like = [one for one in read if float(one.vector @ centre) >= LEAST_LIKE]
    return tuple(sorted(like, key=lambda one: one.pose.yaw_deg))


class Head:
    """Renders one person's head into frames of (height, width), `unit` pixels large, at `centre` (x, y)."""

    def __init__(
        self,
        chosen: Sequence[Portrait],
        *,
        size: tuple[int, int],
        unit: float,
        centre: tuple[float, float],
        neutral: Portrait | None = None,
    ) -> None:
        """Take portraits in order of yaw. Raises IndexError when there are none."""
        self.neutral = neutral or min(chosen, key=lambda one: _held(one.pose))
        self._chosen = _spread(chosen, self.neutral)
        self._angles = [one.pose.yaw_deg - self.neutral.pose.yaw_deg for one in self._chosen]
        self.size, self.unit, self.centre = size, unit, centre
        self._lights = {id(one): _light(one) for one in self._chosen}
        self._light = self._lights[id(self.neutral)]
        self._piece = _Piece.whole(size, unit, centre)
        sharp = self._picture(self.neutral, Moment(), 0.0)[0]
        room = cv2.GaussianBlur(sharp, (0, 0), unit / 4)  # bystanders in the photograph are not in the room
        near = self._piece.oval(WIDE * 1.5, HIGH * 1.35, 0.4)
        body = np.clip(sharp * near + room * (1 - near), 0, 255)
        self._still = np.asarray(body, np.uint8)
        self._piece = _Piece.around(size, unit, centre)
        self._inner = self._piece.oval(WIDE * 1.08, HIGH * 1.05, 0.18)
        self._outside: Grid | None = None

    def render(self, at: Moment, behind: Picture | None = None) -> tuple[Picture, Grid]:
        """Give the (h, w, 3) uint8 frame and the five points (5, 2) float32 in it."""
        after = int(np.searchsorted(self._angles, at.yaw_deg))
        pair = sorted({max(0, after - 1), min(after, len(self._angles) - 1)})
        made = [self._picture(self._chosen[i], at, self._angles[i]) for i in pair]
        share = 0.0
        if len(pair) == 2:
            low, high = self._angles[pair[0]], self._angles[pair[1]]
            share = float(np.clip((at.yaw_deg - low) / max(high - low, 1e-6), 0, 1))
        head = made[0][0] * (1 - share) + made[-1][0] * share
        points = made[0][1] * (1 - share) + made[-1][1] * share
        place = self._piece.place
        frame = self._still.copy() if behind is None else self._before(behind)
        mixed = frame[place] * (1 - self._inner) + head * self._inner
        frame[place] = np.clip(mixed, 0, 255)
        return frame, points.astype(np.float32)

    def _before(self, behind: Picture) -> Picture:
        """Put the body before another room."""
        if self._outside is None:
            self._outside = _Piece.whole(self.size, self.unit, self.centre).oval(
                WIDE * 1.35, HIGH * 1.25, 0.3
            )
        return np.asarray(behind * (1 - self._outside) + self._still * self._outside, np.uint8)

    def _picture(self, portrait: Portrait, at: Moment, own_yaw: float) -> tuple[Grid, Grid]:
        """Turn one portrait to how the head is held at a moment: (h, w, 3) float32, and its points."""
        yaw = np.radians(at.yaw_deg - own_yaw)
        own_pitch = portrait.pose.pitch_deg - self.neutral.pose.pitch_deg
        pitch = np.radians(at.pitch_deg - float(np.clip(own_pitch, -12, 12)))
        frame = _Frame.of(portrait)
        places = frame.place(portrait.landmarks)
        nose, eyes, mouth = places[2], places[:2], places[3:].mean(axis=0)
        piece = self._piece
        x, y = piece.x.copy(), piece.y.copy()
        for _ in range(ROUNDS):
            dx, dy = _shift(x, y, nose, yaw, pitch)
            x, y = piece.x - dx, piece.y - dy
        gap = _mouth(x, y, mouth, 0.3 * at.mouth)
        for eye in eyes:
            near = np.exp(-(((x - eye[0]) / 0.3) ** 2) - ((y - eye[1]) / 0.2) ** 2)
            y += np.float32(0.3 * at.blink) * near
        map_x, map_y = frame.pixels(x, y)
        rgb = cv2.remap(
            portrait.rgb,
            piece.full(map_x),
            piece.full(map_y),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        lit = _relit(rgb, self._lights[id(portrait)], self._light)
        if at.mouth > 0:
            lit *= 1 - 0.75 * piece.full(gap)[:, :, None]
        at_x, at_y = places.astype(np.float32).T
        by_x, by_y = _shift(at_x, at_y, nose, yaw, pitch)
        there = np.stack([at_x + by_x, at_y + by_y], axis=1)
        return lit, np.asarray(there * self.unit + np.array(self.centre), np.float32)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of the frame, `place`, with a coarse grid over it: units from the head's centre."""

    place: tuple[slice, slice]
    x: Grid
    y: Grid

    @classmethod
    def whole(cls, size: tuple[int, int], unit: float, centre: tuple[float, float]) -> _Piece:
        """Take the whole frame."""
        return cls._of((0, size[0], 0, size[1]), unit, centre)

    @classmethod
    def around(cls, size: tuple[int, int], unit: float, centre: tuple[float, float]) -> _Piece:
        """Take what the head may fill."""
        wide, high = WIDE * 1.25 * unit, HIGH * 1.2 * unit
        top, bottom = max(0, int(centre[1] - high)), min(size[0], int(centre[1] + high))
        left, right = max(0, int(centre[0] - wide)), min(size[1], int(centre[0] + wide))
        return cls._of((top, bottom, left, right), unit, centre)

    @classmethod
    def _of(cls, edges: tuple[int, int, int, int], unit: float, centre: tuple[float, float]) -> _Piece:
        top, bottom, left, right = edges
        rows = np.arange(top, bottom + STEP, STEP, dtype=np.float32)
        columns = np.arange(left, right + STEP, STEP, dtype=np.float32)
        x, y = np.meshgrid((columns - centre[0]) / unit, (rows - centre[1]) / unit)
        return cls((slice(top, bottom), slice(left, right)), x.astype(np.float32), y.astype(np.float32))

    def full(self, coarse: Grid) -> Grid:
        """Enlarge values of the grid to every pixel of the part."""
        wide, high = coarse.shape[1] * STEP, coarse.shape[0] * STEP
        rows, columns = self.place
        large = cv2.resize(np.asarray(coarse, np.float32), (wide, high))
        return np.asarray(large[: rows.stop - rows.start, : columns.stop - columns.start], np.float32)

    def oval(self, wide: float, high: float, soft: float) -> Grid:
        """Give a mask (h, w, 1) float32 in [0, 1] around the head's centre."""
        away = np.sqrt((self.x / wide) ** 2 + (self.y / high) ** 2)
        return self.full(np.clip((1 + soft / 2 - away) / soft, 0, 1))[:, :, None]


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where a portrait's head lies in it: centre, pixels of a unit, and which way is across."""

    centre: NDArray[np.float64]
    unit: float
    roll: float

    @classmethod
    def of(cls, portrait: Portrait) -> _Frame:
        points = portrait.landmarks.astype(np.float64)
        eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
        down = mouth - eyes
        unit = float(np.hypot(*down)) / EYES_TO_MOUTH
        roll = float(np.arctan2(-down[0], down[1])) if abs(portrait.pose.yaw_deg) > 20 else _lean(points)
        yaw, pitch = np.radians(portrait.pose.yaw_deg), np.radians(portrait.pose.pitch_deg)
        out = FEATURES_OUT * unit * np.array([-np.sin(yaw), np.sin(pitch)])
        turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
        return cls((eyes + mouth) / 2 + turn @ out, unit, roll)

    def place(self, points: Grid) -> NDArray[np.float64]:
        """Pixels (n, 2) of the portrait in units from the head's centre."""
        back = np.array([[np.cos(self.roll), np.sin(self.roll)], [-np.sin(self.roll), np.cos(self.roll)]])
        return np.asarray((points - self.centre) @ back.T / self.unit, np.float64)

    def pixels(self, x: Grid, y: Grid) -> tuple[Grid, Grid]:
        """Units from the head's centre in pixels of the portrait."""
        cos, sin = np.cos(self.roll) * self.unit, np.sin(self.roll) * self.unit
        return (
            np.asarray(self.centre[0] + cos * x - sin * y, np.float32),
            np.asarray(self.centre[1] + sin * x + cos * y, np.float32),
        )


def _lean(points: NDArray[np.float64]) -> float:
    across = points[1] - points[0]
    return float(np.arctan2(across[1], across[0]))


def _shift(x: Grid, y: Grid, nose: NDArray[np.float64], yaw: float, pitch: float) -> tuple[Grid, Grid]:
    """By how much places on the head move when it turns (radians), in units."""
    inside = np.maximum(0.0, 1 - (x / WIDE) ** 2 - (y / HIGH) ** 2)
    hill = np.exp(-(((x - nose[0]) / NOSE_WIDE) ** 2) - ((y - nose[1]) / NOSE_HIGH) ** 2)
    out = DEEP * inside**0.6 + NOSE_OUT * hill
    soft = np.minimum(1.0, inside * 3)
    dx = (x * (np.cos(yaw) - 1)) * soft + out * np.sin(yaw)
    dy = (y * (np.cos(pitch) - 1)) * soft - out * np.sin(pitch)
    return dx.astype(np.float32), dy.astype(np.float32)


def _mouth(x: Grid, y: Grid, mouth: NDArray[np.float64], opening: float) -> Grid:
    """Let the lower lip and chin go down by `opening` units, in place; give where the gap is, in [0, 1]."""
    across = np.exp(-(((x - mouth[0]) / 0.38) ** 4))
    below = y - mouth[1]
    down = np.float32(opening) * across
    gap = np.clip((down - np.abs(below - down / 2) * 2) / 0.08, 0, 1) * across
    fades = np.clip(1 - (below - down) / 0.9, 0, 1)
    y -= np.where(below > 0, np.minimum(below, down * fades), 0).astype(np.float32)
    return np.asarray(gap, np.float32)


def _light(portrait: Portrait) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    face = align(portrait.rgb, portrait.landmarks)[30:100, 20:92].reshape(-1, 3).astype(np.float64)
    return face.mean(axis=0), face.std(axis=0) + 1.0


def _relit(
    rgb: Picture,
    own: tuple[NDArray[np.float64], NDArray[np.float64]],
    wanted: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> Grid:
    """Give a picture the light of another: mean and spread of each colour, within reason."""
    gain = np.clip(wanted[1] / own[1], 0.6, 1.6)
    shift = wanted[0] - own[0] * gain
    return np.asarray(rgb * gain.astype(np.float32) + shift.astype(np.float32), np.float32)


def _held(pose: Pose) -> float:
    """How far a pose is from looking ahead; most people's pitch reads a little off 0 by the rough model."""
    return abs(pose.yaw_deg) + 0.5 * abs(pose.pitch_deg) + 0.3 * abs(pose.roll_deg)


def _spread(chosen: Sequence[Portrait], neutral: Portrait, step: float = 9.0) -> list[Portrait]:
    """Take the neutral portrait, and on both sides one every `step` degrees: the one least nodding."""
    taken = [neutral]
    for side in (1, -1):
        for number in range(1, 5):
            middle = neutral.pose.yaw_deg + side * number * step
            near = [
                one for one in chosen if abs(one.pose.yaw_deg - middle) <= step / 2 and one is not neutral
            ]
            near = [one for one in near if abs(one.pose.pitch_deg - neutral.pose.pitch_deg) < 14]
            if near:
                taken.append(max(near, key=lambda one: float(one.vector @ neutral.vector)))
    return sorted(taken, key=lambda one: one.pose.yaw_deg)
