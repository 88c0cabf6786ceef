"""Attack clips of a challenge, made of photographs of the victim, and of somebody who sits before the camera.

The attacker knows what was asked and has the sound (the checks of speech are another matter). Each attack is
a simulation of the plainest way to do it, in the terms of ISO/IEC 30107-3: presentation attack instruments of
print, replay and injection. None is the work of somebody who knows these checks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from enrollment.identity.turns import MIRRORED, Turn
from monitor.bench.challenge_film import Film
from monitor.bench.challenge_heads import Head, Moment
from monitor.bench.challenge_scenes import SIZE, VARIATIONS, Play, acted, camera, genuine, play

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.bench.challenge_heads import Portrait

    Picture = NDArray[np.uint8]

PLAIN: Final = VARIATIONS["plain"]

DISTANCE: Final = 2.2
"""How far the camera is from a photograph that is held up, in heights of the photograph."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an attacker has: photographs of the victim, somebody who acts, what was asked, and the sound."""

    victim: Sequence[Portrait]
    actor: Sequence[Portrait]
    turns: Sequence[Turn]
    speech: NDArray[np.float32]
    seed: int = 0

    @property
    def photograph(self) -> Portrait:
        """The most frontal photograph of the victim."""
        return min(self.victim, key=lambda one: abs(one.pose.yaw_deg) + 0.5 * abs(one.pose.pitch_deg))

    def played(self) -> Play:
        """What a genuine person would do."""
        return play(self.turns, self.speech, PLAIN, self.seed)

    def page(self) -> Picture:
        """The photograph as a picture of a clip's size: one moment of a head that never moves."""
        head = Head([self.photograph], size=SIZE, unit=PLAIN.unit, centre=(SIZE[1] / 2, SIZE[0] * 0.48))
        return head.render(Moment())[0]


def attack(kind: str, plan: Plan) -> Film:
    """Film one of ATTACKS. Raises KeyError for a kind that is not there."""
    return ATTACKS[kind](plan)


def print_still(plan: Plan) -> Film:
    """A print is held before the camera as still as a hand can."""
    played = plan.played()
    page = plan.page()
    shown = [_held(page, 0.0, 0.0) for _ in played.moments]
    return Film(camera(shown, PLAIN, plan.seed), played.sound)


def print_moved(plan: Plan) -> Film:
    """A print is tilted by up to 45 degrees, as the turns are asked."""
    played = plan.played()
    page = plan.page()
    shown = [_held(page, one.yaw_deg * 1.7, one.pitch_deg * 1.7) for one in played.moments]
    return Film(camera(shown, PLAIN, plan.seed), played.sound)


def print_bent(plan: Plan) -> Film:
    """A print is bent round an upright axis and turned, so that it bulges like a head."""
    played = plan.played()
    page = plan.page()
    shown = [_held(page, one.yaw_deg * 1.5, one.pitch_deg * 1.5, bent=1.1) for one in played.moments]
    return Film(camera(shown, PLAIN, plan.seed), played.sound)


def print_with_holes(plan: Plan) -> Film:
    """A print whose mouth is cut out is tilted: real lips speak behind it."""
    played = plan.played()
    head = Head([plan.photograph], size=SIZE, unit=PLAIN.unit, centre=(SIZE[1] / 2, SIZE[0] * 0.48))
    shown = [
        _held(head.render(Moment(mouth=one.mouth))[0], one.yaw_deg * 1.7, one.pitch_deg * 1.7)
        for one in played.moments
    ]
    return Film(camera(shown, PLAIN, plan.seed), played.sound)


def still_image(plan: Plan) -> Film:
    """A virtual camera shows one picture."""
    played = plan.played()
    return Film(np.repeat(plan.page()[None], len(played.moments), axis=0), played.sound)


def screen_replay(plan: Plan) -> Film:
    """A screen shows a genuine clip of the victim that does what was asked."""
    filmed = genuine(plan.victim, plan.turns, plan.speech, PLAIN, plan.seed)
    return _from_screen(filmed, plan.seed)


def screen_replay_other(plan: Plan) -> Film:
    """A screen shows a genuine clip of the victim made for another challenge."""
    other = [MIRRORED[turn] for turn in reversed(plan.turns)]
    if other == list(plan.turns):
        other = other[1:]
    return _from_screen(genuine(plan.victim, other, plan.speech, PLAIN, plan.seed), plan.seed)


def face_swap(plan: Plan) -> Film:
    """The victim's face out of one photograph is laid on an actor who does what was asked."""
    played = plan.played()
    frames = [_swapped(frame, points, plan.photograph) for frame, points in acted(plan.actor, played, PLAIN)]
    return Film(camera(frames, PLAIN, plan.seed), played.sound)


def wrong_order(plan: Plan) -> Film:
    """The victim's own clip, with the turns in another order."""
    turned = [*plan.turns[1:], plan.turns[0]]
    if turned == list(plan.turns):
        turned = turned[1:]
    return genuine(plan.victim, turned, plan.speech, PLAIN, plan.seed)


def another_person(plan: Plan) -> Film:
    """Somebody else does what was asked."""
    return genuine(plan.actor, plan.turns, plan.speech, PLAIN, plan.seed)


def two_people(plan: Plan) -> Film:
    """The victim does what was asked, somebody stands beside."""
    how = replace(PLAIN, unit=62.0, off=(-140.0, 10.0))
    filmed = genuine(plan.victim, plan.turns, plan.speech, how, plan.seed)
    beside = Head(plan.actor, size=SIZE, unit=62.0, centre=(SIZE[1] * 0.76, SIZE[0] * 0.5)).render(Moment())[
        0
    ]
    frames = filmed.frames.copy()
    frames[:, :, int(SIZE[1] * 0.55) :] = beside[:, int(SIZE[1] * 0.55) :]
    return Film(frames, filmed.sound)


def black_frames(plan: Plan) -> Film:
    """A virtual camera shows nothing."""
    played = plan.played()
    return Film(np.zeros((len(played.moments), *SIZE, 3), np.uint8), played.sound)


def changed_half_way(plan: Plan) -> Film:
    """Somebody else does the turns, then the victim's face appears and speaks."""
    played = plan.played()
    first, second = acted(plan.actor, played, PLAIN), acted(plan.victim, played, PLAIN)
    cut = int(len(first) * 0.55)
    frames = [frame for frame, _ in first[:cut] + second[cut:]]
    return Film(camera(frames, PLAIN, plan.seed), played.sound)


def victim_then_other(plan: Plan) -> Film:
    """The victim's face does the turns, somebody else speaks."""
    played = plan.played()
    first, second = acted(plan.victim, played, PLAIN), acted(plan.actor, played, PLAIN)
    cut = int(len(first) * 0.6)
    frames = [frame for frame, _ in first[:cut] + second[cut:]]
    return Film(camera(frames, PLAIN, plan.seed), played.sound)


def looped(plan: Plan) -> Film:
    """A virtual camera plays two seconds of a genuine clip over and over."""
    filmed = genuine(plan.victim, plan.turns, plan.speech, PLAIN, plan.seed)
    piece = filmed.frames[:30]
    times = -(-len(filmed.frames) // len(piece))
    return Film(np.concatenate([piece] * times)[: len(filmed.frames)], filmed.sound)


def frozen(plan: Plan) -> Film:
    """The turns are genuine; then the picture stands still while the voice goes on."""
    filmed = genuine(plan.victim, plan.turns, plan.speech, PLAIN, plan.seed)
    frames = filmed.frames.copy()
    cut = int(plan.played().speech_at_s * 15)
    frames[cut:] = frames[cut]
    return Film(frames, filmed.sound)


def dubbed(plan: Plan) -> Film:
    """The victim does the turns in an old clip with the mouth shut; the voice is added."""
    return genuine(plan.victim, plan.turns, plan.speech, replace(PLAIN, lips=0.0), plan.seed)


ATTACKS: Final[Mapping[str, Callable[[Plan], Film]]] = {
    "print held still": print_still,
    "print moved by hand": print_moved,
    "print bent and moved": print_bent,
    "print with the mouth cut out": print_with_holes,
    "still image": still_image,
    "screen replay": screen_replay,
    "screen replay of another challenge": screen_replay_other,
    "face swap": face_swap,
    "wrong order": wrong_order,
    "another person": another_person,
    "two people": two_people,
    "black frames": black_frames,
    "person changed, then the victim": changed_half_way,
    "victim, then another person": victim_then_other,
    "loop": looped,
    "frozen while speaking": frozen,
    "voice added to a shut mouth": dubbed,
}
"""What can be tried with pictures."""


def _held(page: Picture, yaw_deg: float, pitch_deg: float, bent: float = 0.0) -> Picture:
    """Show a page that is held in the hand, turned by degrees; `bent` radians from edge to edge."""
    height, width = page.shape[:2]
    x, y = np.meshgrid(np.arange(0.0, width + 4, 4), np.arange(0.0, height + 4, 4))
    yaw, pitch = np.radians(yaw_deg), np.radians(pitch_deg)
    u, v = (x - width / 2) / height, (y - height / 2) / height
    rays = np.stack([u, v, np.full_like(u, DISTANCE)], axis=-1) / DISTANCE
    turn_y = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    turn_x = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    back = (turn_y @ turn_x).T
    ray, eye = rays @ back.T, back @ np.array([0, 0, -DISTANCE])
    if bent:
        place = _on_roll(ray, eye, bent)
    else:
        far = -eye[2] / np.maximum(ray[..., 2], 1e-3)
        place = np.stack([eye[0] + far * ray[..., 0], eye[1] + far * ray[..., 1]], axis=-1)
    coarse = (place * height + (width / 2, height / 2)).astype(np.float32)
    full = cv2.resize(coarse, (coarse.shape[1] * 4, coarse.shape[0] * 4))[:height, :width]
    maps = [np.ascontiguousarray(full[..., axis]) for axis in (0, 1)]
    shown = cv2.remap(page, maps[0], maps[1], cv2.INTER_LINEAR, borderValue=(96, 92, 88))
    return np.asarray(np.clip(shown.astype(np.float32) * 0.82 + 22, 0, 255), np.uint8)  # ink is no light


def _on_roll(ray: NDArray[np.float64], eye: NDArray[np.float64], bent: float) -> NDArray[np.float64]:
    """Where rays meet a page bent round an upright axis, its middle towards the eye: (h, w, 2)."""
    radius = (SIZE[1] / SIZE[0]) / bent
    along, off = ray[..., [0, 2]], np.array([eye[0], eye[2] - radius])
    a, b, c = np.sum(along**2, axis=-1), np.sum(along * off, axis=-1), float(off @ off) - radius**2
    inside = b * b - a * c
    far = np.where(inside > 0, (-b - np.sqrt(np.maximum(inside, 0))) / a, 1e3)
    x, z = eye[0] + far * ray[..., 0], eye[2] + far * ray[..., 2] - radius
    angle = np.arctan2(x, -z)
    angle = np.where(inside > 0, angle, 9.0)
    return np.stack([angle * radius, eye[1] + far * ray[..., 1]], axis=-1)


def _from_screen(filmed: Film, seed: int) -> Film:
    """Film a screen: its grid seen through the camera's, its gamma, its frame, its flicker, a slight tilt."""
    height, width = SIZE
    rng = np.random.default_rng(seed + 7)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(0.6, 2.5), rng.uniform(0.97, 1.12))
    pattern = _moire(rng)
    bezel = cv2.warpAffine(np.full((height, width, 3), 1, np.uint8), matrix, (width, height))
    band = 2 * np.pi * np.arange(height)[:, None, None] / 160
    frames = []
    for number, rgb in enumerate(filmed.frames):
        lit = cv2.warpAffine(rgb, matrix, (width, height), flags=cv2.INTER_LINEAR).astype(np.float32)
        lit = 255 * (lit * pattern / 255) ** 0.9
        lit = np.where(bezel > 0, lit * (1 + 0.03 * np.cos(band + number)), 14)
        frames.append(np.asarray(np.clip(lit, 0, 255), np.uint8))
    return Film(camera(frames, PLAIN, seed), filmed.sound)


def _moire(rng: np.random.Generator) -> NDArray[np.float32]:
    """The beat of a screen's grid with the camera's: 2 to 10 per cent of the light, other for each colour.

    Three screen pixels to one of the camera, and a little more or less, give waves of 4 to 20 pixels.
    """
    height, width = SIZE
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    strength, wave, lean = rng.uniform(0.02, 0.10), rng.uniform(4.0, 20.0), rng.uniform(0, np.pi)
    across, down = np.cos(lean) * x + np.sin(lean) * y, np.cos(lean) * y - np.sin(lean) * x
    colours = [
        np.cos(2 * np.pi * across / wave + shift) + 0.6 * np.cos(2 * np.pi * down / wave)
        for shift in (0.0, 2.1, 4.2)
    ]
    return np.asarray(1 + strength * np.stack(colours, axis=-1), np.float32)


def _swapped(frame: Picture, points: NDArray[np.float32], photograph: Portrait) -> Picture:
    """Lay a face on another by its five points, in pieces between them, with a soft edge and its colours."""
    source, target = _around(photograph.landmarks), _around(points)
    laid = frame.copy()
    inside = np.zeros(frame.shape[:2], np.uint8)
    for corners in _PIECES:
        matrix = cv2.getAffineTransform(source[corners], target[corners])
        piece = cv2.warpAffine(photograph.rgb, matrix, frame.shape[1::-1], borderMode=cv2.BORDER_REFLECT_101)
        mask = np.zeros(frame.shape[:2], np.uint8)
        cv2.fillConvexPoly(mask, target[corners].astype(np.int32), 255)
        laid[mask > 0] = piece[mask > 0]
        inside |= mask
    soft = cv2.GaussianBlur(cv2.erode(inside, np.ones((9, 9), np.uint8)), (0, 0), 4)[..., None] / 255.0
    skin = inside > 0
    own, wanted = laid[skin].astype(np.float64), frame[skin].astype(np.float64)
    gain = np.clip(wanted.std(axis=0) / (own.std(axis=0) + 1), 0.7, 1.4)
    fitted = (laid - own.mean(axis=0)) * gain + wanted.mean(axis=0)
    return np.asarray(np.clip(fitted * soft + frame * (1 - soft), 0, 255), np.uint8)


def _around(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the five points and six more on the edge of the inner face: (11, 2)."""
    left, right, _, low_left, low_right = points
    brow = (left + right - low_left - low_right) / 2 * 0.55
    out = (right - left) * 0.4
    more = [left + brow, right + brow, left - out, right + out, low_left - brow - out * 0.1, low_right - brow]
    return np.asarray(np.vstack([points, more]), np.float32)


_PIECES: Final = (
    np.array([0, 1, 2]), np.array([0, 2, 3]), np.array([1, 2, 4]), np.array([2, 3, 4]), np.array([0, 5, 6]),
    np.array([0, 1, 6]), np.array([0, 5, 7]), np.array([1, 6, 8]), np.array([0, 3, 7]), np.array([1, 4, 8]),
    np.array([3, 7, 9]), np.array([4, 8, 10]), np.array([3, 4, 9]), np.array([4, 9, 10]),
)  # fmt: skip
