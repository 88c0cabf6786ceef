"""Is it the same face from look to look? Of swaps made frame by frame, some fail in some frames.

Three things are read off the looks at one track: how unlike the faces of two neighbouring looks are by the
recogniser, how far the five points wander once both faces are laid upright, and whether a face becomes
somebody else's while all around it stays as it was. Only the last is told: in films that we made of LFW's
people (`python -m monitor.bench.flickering`, 40 people, 2026-11, EdgeFace and fr_feature) it was seen on 31
and 31 of 40 swaps that fail in a quarter of the frames, on 1 and 0 that hold, and on 1 and 0 of 120 genuine
tracks. Points of swaps that hold wander no more than those of a genuine head, nor are their faces less alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from monitor.ml.align import SIDE, similarity
from monitor.values import Abstention, Aspect, MediaKind, Moment, Signal, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.ml.interfaces import FaceModels, Pack
    from monitor.ml.synthetic.interfaces import Look, Sighting

NAME: Final = "track_consistency"
VERSION: Final = "1"

LEAST_LOOKS: Final = 5
"""Looks below which there is no 90th percentile to speak of."""

LEAST_PX: Final = 40.0
LEAST_QUALITY: Final = 0.35
"""Width and quality of a face below which the recogniser may take it for somebody else's (stages/quality.py:
below WEAK a match goes to a human first)."""

NEAR_S: Final = 3.0
"""Looks further apart are not neighbours: much can happen between them."""

FAR_BELOW: Final = 0.6
"""Part of the review threshold up to which two looks show two people, as in stages/score.py."""

SAME_PLACE: Final = 12.0
"""Mean change of what is around the face, in grey levels of a thumbnail, up to which the scene is the same:
half of what counts as a cut (stages/tracking.py)."""

LEAST_FLIPS: Final = 2
"""Changes into somebody else that are one too many: there and back. One alone may be two people who change
places, or a cut from one to the other."""

MOST_LLR: Final = 1.0
"""What a flickering face would count for, if it were counted: a judgement, since real films of swapped faces
were never measured."""

LOOK_FOR: Final = (
    "Go through the film frame by frame: does the face become another one for a moment, as where it turns?",
    "Watch the edge of the face, from the temples to the chin, for a border that comes and goes.",
)

LIMITS: Final = (
    "This was tried on films that our own programs made, never on real swapped ones, so it is shown and not "
    "counted; a swap that holds in every frame is as steady as a real face."
)

_STEADY: Final = (
    "The face stays the same person's from look to look ({looks} looks, the least alike {least:.2f} of 1). A "
    "good swap does so too, so this says little."
)
_FLICKERS: Final = (
    "The face becomes another person's and back, {flips} times in {looks} looks, while all around it stays "
    "as it was. A swap that fails in some frames looks like this; so do two people who change places."
)


@dataclass(frozen=True, slots=True)
class Steady:
    """How much a face changes from look to look.

    `unlike` are cosine distances of neighbouring looks, in [0, 2]; `jitter` root mean square distances of
    their five points, as shares of an upright face's side; `scene` mean changes of what is around the face,
    in grey levels. All (n - 1,) float64.
    """

    unlike: NDArray[np.float64]
    jitter: NDArray[np.float64]
    scene: NDArray[np.float64]

    @property
    def summary(self) -> NDArray[np.float64]:
        """Median and 90th percentile of `unlike`, then of `jitter`: (4,)."""
        return np.concatenate([np.percentile(part, (50, 90)) for part in (self.unlike, self.jitter)])

    def flips(self, least: float) -> NDArray[np.bool_]:
        """Say where the face changes to a cosine below `least` in a scene that stays: (n - 1,)."""
        return np.asarray((1 - self.unlike < least) & (self.scene <= SAME_PLACE), np.bool_)


class TrackConsistency:
    """Holds neighbouring looks at one face against each other. Safe for threads."""

    name = NAME

    def __init__(self, models: FaceModels | None) -> None:
        """Take the faces' half of the pack in use; None where it has none."""
        self._models = models

    def assess(self, sighting: Sighting) -> Signal:
        """Say whether the face stays the same, or why that cannot be told."""
        if not sighting.looks or self._models is None:
            return _nothing(Abstention.NO_FACE)
        if sighting.info.kind is MediaKind.IMAGE:
            return _nothing(Abstention.NOT_MOVING)
        if len(sighting.looks) < LEAST_LOOKS:
            return _nothing(Abstention.ONE_FRAME)
        large = [look for look in sighting.looks if look.face.box.width >= LEAST_PX]
        if len(large) < LEAST_LOOKS:
            return _nothing(Abstention.FACE_SMALL)
        clear = [look for look in large if look.face.quality >= LEAST_QUALITY]
        if len(clear) < LEAST_LOOKS:
            return _nothing(Abstention.FACE_BLURRED)
        return _said(clear, steadiness(clear, self._models), FAR_BELOW * self._models.thresholds.review)


def open_track_consistency(pack: Pack) -> TrackConsistency:
    """Give the signal with the recogniser of a pack."""
    return TrackConsistency(pack.faces)


def steadiness(looks: Sequence[Look], models: FaceModels) -> Steady:
    """Measure two looks or more, in order of time."""
    vectors = models.recogniser.embed(np.stack([one.face.aligned for one in looks])).astype(np.float64)
    unlike = 1 - np.sum(vectors[1:] * vectors[:-1], axis=1)
    upright = np.stack([_upright(one.face.landmarks) for one in looks])
    apart = np.linalg.norm(np.diff(upright, axis=0), axis=2)
    scene = [_scene_change(a, b) for a, b in pairwise(looks)]
    return Steady(unlike, np.sqrt(np.mean(apart**2, axis=1)) / SIDE, np.array(scene))


def _upright(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    matrix = similarity(landmarks)
    return np.asarray(landmarks @ matrix[:, :2].T + matrix[:, 2], np.float64)


def _scene_change(a: Look, b: Look) -> float:
    """Mean change of 32 px thumbnails, in grey levels, without the cells that either face is in."""
    around = ~(_face_cells(a) | _face_cells(b))
    change = np.abs(_thumbnail(a.rgb) - _thumbnail(b.rgb))
    return float(change[around].mean()) if around.any() else 255.0


def _thumbnail(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    step = max(1, min(rgb.shape[:2]) // 256)
    small = cv2.resize(np.ascontiguousarray(rgb[::step, ::step]), (32, 32), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float32)


def _face_cells(look: Look) -> NDArray[np.bool_]:
    """Give the cells of a thumbnail that the face's box, a fifth larger on each side, touches: (32, 32)."""
    height, width = look.rgb.shape[:2]
    box = look.face.box
    wide, high = box.width / 5, box.height / 5
    x0, x1 = (box.x0 - wide) / width * 32, (box.x1 + wide) / width * 32
    y0, y1 = (box.y0 - high) / height * 32, (box.y1 + high) / height * 32
    cells = np.arange(32)
    across, down = (cells + 1 > x0) & (cells < x1), (cells + 1 > y0) & (cells < y1)
    return np.asarray(down[:, None] & across[None, :], np.bool_)


def _said(looks: Sequence[Look], found: Steady, least: float) -> Signal:
    times = np.array([look.at_s for look in looks])
    flips = found.flips(least) & (np.diff(times) <= NEAR_S)
    count = int(flips.sum())
    flickers = count >= LEAST_FLIPS
    words = _FLICKERS if flickers else _STEADY
    where = np.flatnonzero(flips) if flickers else ()
    return Signal(
        NAME,
        VERSION,
        Aspect.FACE,
        llr=MOST_LLR if flickers else 0.0,
        reasons=(words.format(looks=len(looks), least=1 - float(found.unlike.max()), flips=count),),
        moments=tuple(Moment(Span(float(times[at]), float(times[at + 1])), MOST_LLR) for at in where),
        look_for=LOOK_FOR,
        limits=LIMITS,
        shown_only=True,
    )


def _nothing(why: Abstention) -> Signal:
    return Signal(NAME, VERSION, Aspect.FACE, abstains=why, limits=LIMITS, shown_only=True)
