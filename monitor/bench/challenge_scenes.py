"""Genuine clips of a challenge: a person turns the head as asked, then looks ahead and speaks.

Made of real photographs (challenge_heads.py) and real speech. What a room, a camera and a person add is
simulated: small movements, blinking, lips that follow the loudness of the speech, noise, light.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from enrollment.identity.turns import Turn
from monitor.bench.challenge_film import RATE, Film
from monitor.bench.challenge_heads import Head, Moment
from monitor.values import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.bench.challenge_heads import Portrait

    Picture = NDArray[np.uint8]
    Curve = NDArray[np.float64]

SIZE: Final = (480, 640)
"""Height and width of a clip, unless it says otherwise."""

GRAINS: Final = 6
"""Pictures of a sensor's noise that a clip is made with, each turned four ways."""

YAW, PITCH = 27.0, 24.0
"""Degrees by which somebody turns who is asked to."""

LEAD_S, RAMP_S, HOLD_S, REST_S, TAIL_S = 0.9, 0.45, 0.45, 0.45, 0.5
"""Seconds: before the first turn, of going and coming back, of staying, between turns, after the speech."""

DIRECTIONS: Final = {
    Turn.LEFT: (YAW, 0.0),
    Turn.RIGHT: (-YAW, 0.0),
    Turn.UP: (0.0, PITCH),
    Turn.DOWN: (0.0, -PITCH),
}


@dataclass(frozen=True, slots=True)
class Variation:
    """What may differ between genuine clips. The defaults are a good phone in a good room.

    `light` multiplies, `noise` is in grey levels, `pace` stretches the turns, `unit` is the face's size in
    pixels (see challenge_heads), `off` shifts it by pixels, `roll` leans the picture by degrees, `bits` are
    those of the recording, `reach` scales how far the head turns. `shrink` loses resolution. `room` puts
    another picture behind the person. `lips` off leaves the mouth closed.
    """

    light: float = 1.0
    noise: float = 2.5
    pace: float = 1.0
    unit: float = 78.0
    off: tuple[float, float] = (0.0, 0.0)
    roll: float = 0.0
    mirrored: bool = False
    bits: int = 1_500_000
    reach: float = 1.0
    shrink: float = 1.0
    one_side: float = 0.0
    room: Picture | None = None
    portrait_mode: bool = False
    dropped: float = 0.0
    lips: float = 1.0
    mp4: bool = False


VARIATIONS: Final[Mapping[str, Variation]] = {
    "plain": Variation(),
    "dark": Variation(light=0.3, noise=5.0),
    "bright": Variation(light=1.5),
    "noisy": Variation(noise=11.0),
    "low resolution": Variation(shrink=0.5),
    "mirrored": Variation(mirrored=True),
    "slow": Variation(pace=1.7),
    "fast": Variation(pace=0.65),
    "off-centre": Variation(off=(-110.0, 25.0)),
    "leaning": Variation(roll=9.0),
    "few bits": Variation(bits=220_000),
    "small face": Variation(unit=40.0),
    "large face": Variation(unit=112.0),
    "small turns": Variation(reach=0.8),
    "wide turns": Variation(reach=1.3),
    "light from a side": Variation(one_side=0.6),
    "dropped frames": Variation(dropped=0.4),
    "upright phone": Variation(portrait_mode=True),
    "still lips": Variation(lips=0.45),
    "another recorder": Variation(mp4=True),
}
"""Twenty ways in which a genuine clip may differ. Glasses come with people who wear them."""


@dataclass(frozen=True, slots=True)
class Play:
    """How the head is held at each frame, and the sound. `speech_at_s` is when the speaking begins."""

    moments: tuple[Moment, ...]
    sound: NDArray[np.float32]
    speech_at_s: float


def play(turns: Sequence[Turn], speech: NDArray[np.float32], how: Variation, seed: int) -> Play:
    """Plan a clip: the turns one after the other, then the speech ((n,) float32 at 16 kHz)."""
    rng = np.random.default_rng(seed)
    pace = how.pace
    each_s = (2 * RAMP_S + HOLD_S + REST_S) * pace
    speech_at_s = LEAD_S + each_s * len(turns) + 0.2
    total = int((speech_at_s + len(speech) / SAMPLE_RATE + TAIL_S) * RATE)
    times = np.arange(total) / RATE
    yaw, pitch = _wander(rng, total, 1.2), _wander(rng, total, 1.0)
    for number, turn in enumerate(turns):
        bump = _bump(times - LEAD_S - number * each_s, pace) * how.reach * rng.uniform(0.92, 1.12)
        yaw += DIRECTIONS[turn][0] * bump
        pitch += DIRECTIONS[turn][1] * bump
        across = rng.uniform(-0.1, 0.1)  # nobody turns on one axis only
        yaw += DIRECTIONS[turn][1] * bump * across
        pitch += DIRECTIONS[turn][0] * bump * across
    mouth = how.lips * _opening(speech, times - speech_at_s, rng)
    blinks = np.clip(np.sum([_blink(times - at) for at in _blink_times(rng, times[-1])], axis=0), 0, 1)
    sound = np.zeros(int(total / RATE * SAMPLE_RATE), np.float32)
    start = int(speech_at_s * SAMPLE_RATE)
    sound[start : start + len(speech)] = speech[: len(sound) - start]
    hiss = rng.normal(0, 0.0008, len(sound)).astype(np.float32)
    moments = tuple(
        Moment(*map(float, each))
        for each in zip(yaw, pitch, mouth, np.broadcast_to(blinks, total), strict=True)
    )
    return Play(moments, sound + hiss, speech_at_s)


def genuine(
    chosen: Sequence[Portrait],
    turns: Sequence[Turn],
    speech: NDArray[np.float32],
    how: Variation = VARIATIONS["plain"],
    seed: int = 0,
) -> Film:
    """Film a person (their portraits in order of yaw) who does as asked. See `recorded` for its bytes."""
    planned = play(turns, speech, how, seed)
    return Film(camera([frame for frame, _ in acted(chosen, planned, how)], how, seed), planned.sound)


def acted(
    chosen: Sequence[Portrait], planned: Play, how: Variation, neutral: Portrait | None = None
) -> list[tuple[Picture, NDArray[np.float32]]]:
    """Render each moment as it would be without a camera's faults: frames, and the five points in each."""
    height, width = SIZE if not how.portrait_mode else SIZE[::-1]
    centre = (width / 2 + how.off[0], height * 0.48 + how.off[1])
    head = Head(chosen, size=(height, width), unit=how.unit, centre=centre, neutral=neutral)
    behind = None if how.room is None else cv2.resize(how.room, (width, height))
    return [head.render(moment, behind) for moment in planned.moments]


def recorded(film: Film, how: Variation = VARIATIONS["plain"]) -> bytes:
    """Give the bytes that a browser would send."""
    return film.mp4(how.bits) if how.mp4 else film.webm(how.bits)


def camera(frames: Sequence[Picture], how: Variation, seed: int) -> NDArray[np.uint8]:
    """Add what the hand that holds the phone, the light and the sensor do."""
    rng = np.random.default_rng(seed + 1)
    total = len(frames)
    sway = np.stack([_wander(rng, total, 2.5), _wander(rng, total, 2.0), _wander(rng, total, 0.5)])
    flicker = 1 + _wander(rng, total, 0.006)
    grey = rng.standard_normal((GRAINS, *frames[0].shape[:2], 1), np.float32) * np.float32(how.noise)
    grain = [
        np.ascontiguousarray(one[::down, ::across])
        for one in np.repeat(np.round(grey).astype(np.int16), 3, axis=-1)
        for down, across in ((1, 1), (1, -1), (-1, 1), (-1, -1))
    ]
    taken: list[Picture] = []
    for number, frame in enumerate(frames):
        if taken and rng.random() < how.dropped:
            taken.append(taken[-1])
            continue
        height, width = frame.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), how.roll + sway[2, number], 1.0)
        matrix[:, 2] += sway[:2, number]
        moved = cv2.warpAffine(frame, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
        moved = np.asarray(moved, np.uint8)
        taken.append(_sensed(moved, how, float(flicker[number]), grain[rng.integers(len(grain))]))
    return np.stack(taken)


def varied(name: str, *, room: Picture | None = None) -> Variation:
    """Give a named variation, with a room where one is given. Raises KeyError."""
    return replace(VARIATIONS[name], room=room)


def _sensed(rgb: Picture, how: Variation, flicker: float, grain: NDArray[np.int16]) -> Picture:
    lit = cv2.convertScaleAbs(rgb, alpha=how.light * flicker)
    height, width = rgb.shape[:2]
    if how.one_side:
        shade = np.linspace(1 + how.one_side * 0.4, 1 - how.one_side, width, dtype=np.float32)
        lit = np.clip(lit * shade[None, :, None], 0, 255).astype(np.uint8)
    if how.shrink < 1:
        small = cv2.resize(lit, None, fx=how.shrink, fy=how.shrink, interpolation=cv2.INTER_AREA)
        lit = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    noisy = cv2.add(lit, grain, dtype=cv2.CV_8U)
    return np.asarray(cv2.flip(noisy, 1) if how.mirrored else noisy, np.uint8)


def _bump(times: Curve, pace: float) -> Curve:
    """One turn out and back, from 0 to 1: it begins at time 0."""
    ramp, hold = RAMP_S * pace, HOLD_S * pace
    rise = np.clip(times / ramp, 0, 1)
    fall = np.clip((2 * ramp + hold - times) / ramp, 0, 1)
    part = np.minimum(rise, fall)
    return np.asarray(part * part * (3 - 2 * part), np.float64)


def _wander(rng: np.random.Generator, total: int, size: float) -> Curve:
    """Slow, small movement around 0: noise without what is faster than about one a second."""
    steps = rng.standard_normal(total + 4 * RATE)
    kernel = np.hanning(2 * RATE)
    slow = np.convolve(steps, kernel / np.sqrt(np.sum(kernel**2)), mode="same")[2 * RATE : 2 * RATE + total]
    return np.asarray(size * slow, np.float64)


def _opening(speech: NDArray[np.float32], times: Curve, rng: np.random.Generator) -> Curve:
    """How far the mouth is open at each time since the speech began: its loudness, and a will of its own."""
    if not len(speech):
        return np.zeros_like(times)
    loud = np.array(
        [
            float(np.sqrt(np.mean(part**2))) if len(part := _around(speech, at)) else 0.0
            for at in times + 0.03  # lips are a little ahead of the sound
        ]
    )
    if not loud.any():
        return np.zeros_like(times)
    shape = np.clip(loud / (np.percentile(loud[loud > 0], 90) + 1e-9), 0, 1.2) ** 0.6
    own = np.clip(1 + 0.35 * rng.standard_normal(len(times)), 0.3, 1.6)
    return np.asarray(np.clip(shape * own, 0, 1) * (loud > 0), np.float64)


def _around(speech: NDArray[np.float32], at_s: float, half_s: float = 0.04) -> NDArray[np.float32]:
    start, end = int((at_s - half_s) * SAMPLE_RATE), int((at_s + half_s) * SAMPLE_RATE)
    return speech[max(0, start) : max(0, end)]


def _blink_times(rng: np.random.Generator, total_s: float) -> list[float]:
    times, at = [], float(rng.uniform(0.5, 2.5))
    while at < total_s:
        times.append(at)
        at += float(rng.uniform(2.0, 4.5))
    return times or [total_s / 2]


def _blink(times: Curve) -> Curve:
    return np.asarray(np.exp(-((times / 0.07) ** 2)), np.float64)
