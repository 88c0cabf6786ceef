"""What can be the matter with a picture of a face, done to good pictures by our own code.

Each condition takes a whole picture, not a crop, and the face that was found in it, and says where the places
of the picture went, so that the same face can be looked for afterwards.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import cv2
import numpy as np
from PIL import Image

from monitor.ml.align import similarity

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from monitor.values import DetectedFace, FaceSample

COVER: Final = (116, 141, 158)
"""RGB of a cloth mask, of middling brightness."""

BAR: Final = (0, 0, 0)

LOWER_FACE: Final = ((-6, 72), (118, 72), (110, 118), (56, 144), (2, 118))
"""All that lies below the middle between eyes and mouth, ear to ear and over the chin, in pixels of the
upright 112 px crop (see ml/align.py): the eyes lie at 52, the tip of the nose at 72, the mouth at 92."""

EYES: Final = ((4, 41), (108, 41), (108, 62), (4, 62))
"""A bar over both eyes and the brows' lower edge, from temple to temple."""

AS_IT_IS: Final = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@dataclass(frozen=True, slots=True)
class Disturbed:
    """A picture after something was done to it.

    `rgb` is (h, w, 3) uint8; `moved` (2, 3) maps places of the picture as it was to places in it, both in
    pixels.
    """

    rgb: NDArray[np.uint8]
    moved: NDArray[np.float64]

    def place(self, x: float, y: float) -> NDArray[np.float64]:
        """Say where a place of the original picture is now."""
        result: NDArray[np.float64] = self.moved @ np.array([x, y, 1.0])
        return result

    def then(self, change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> Disturbed:
        """Change the pixels further, moving nothing."""
        return replace(self, rgb=change(self.rgb))


def side_of(face: DetectedFace | FaceSample) -> float:
    """Size of a face as the service counts it: the side of a square as large as its box, in pixels."""
    return float(np.sqrt(max(face.box.width, 1.0) * max(face.box.height, 1.0)))


def unchanged(rgb: NDArray[np.uint8], _face: DetectedFace) -> Disturbed:
    """Leave the picture as it is."""
    return Disturbed(rgb, AS_IT_IS)


def shrunk(rgb: NDArray[np.uint8], face: DetectedFace, *, side: float) -> Disturbed:
    """Scale the whole picture down until the face is `side` pixels large; a smaller one stays as it is."""
    scale = min(1.0, side / side_of(face))
    height, width = (max(1, round(length * scale)) for length in rgb.shape[:2])
    small = cv2.resize(np.ascontiguousarray(rgb), (width, height), interpolation=cv2.INTER_AREA)
    moved = np.array([[width / rgb.shape[1], 0, 0], [0, height / rgb.shape[0], 0]])
    return Disturbed(np.asarray(small, np.uint8), moved)


def jpeg(rgb: NDArray[np.uint8], _face: DetectedFace, *, quality: int) -> Disturbed:
    """Write the picture as a JPEG of this quality and read it again."""
    return Disturbed(_as_jpeg(rgb, quality), AS_IT_IS)


def mirrored(rgb: NDArray[np.uint8], _face: DetectedFace) -> Disturbed:
    """Swap left and right, as a front camera does."""
    return Disturbed(np.ascontiguousarray(rgb[:, ::-1]), np.array([[-1.0, 0, rgb.shape[1] - 1], [0, 1.0, 0]]))


def rotated(rgb: NDArray[np.uint8], _face: DetectedFace, *, degrees: float) -> Disturbed:
    """Turn the picture counterclockwise on a black canvas that holds all of it."""
    height, width = rgb.shape[:2]
    moved = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    cos, sin = abs(moved[0, 0]), abs(moved[0, 1])
    wide, high = round(height * sin + width * cos), round(height * cos + width * sin)
    moved[:, 2] += (wide - width) / 2, (high - height) / 2
    return Disturbed(np.asarray(cv2.warpAffine(rgb, moved, (wide, high)), np.uint8), moved)


def covered(
    rgb: NDArray[np.uint8],
    face: DetectedFace,
    *,
    shape: tuple[tuple[int, int], ...],
    colour: tuple[int, int, int],
) -> Disturbed:
    """Paint over a part of the face, given by its corners in the upright 112 px crop."""
    back = cv2.invertAffineTransform(similarity(face.landmarks))
    corners = np.array(shape) @ back[:, :2].T + back[:, 2]
    painted = cv2.fillPoly(rgb.copy(), [np.round(corners).astype(np.int32)], colour, lineType=cv2.LINE_AA)
    return Disturbed(np.asarray(painted, np.uint8), AS_IT_IS)


def blurred(rgb: NDArray[np.uint8], face: DetectedFace, *, share: float) -> Disturbed:
    """Blur by a Gaussian whose standard deviation is this share of the face's size."""
    soft = cv2.GaussianBlur(rgb, (0, 0), sigmaX=share * side_of(face))
    return Disturbed(np.asarray(soft, np.uint8), AS_IT_IS)


Condition: TypeAlias = "Callable[[NDArray[np.uint8], DetectedFace], Disturbed]"
"""What is done to an (h, w, 3) uint8 RGB picture with a face in it."""

CONDITIONS: Final[dict[str, Condition]] = {
    "undisturbed": unchanged,
    **{f"{side}px": partial(shrunk, side=side) for side in (16, 24, 32, 48, 64)},
    **{f"jpeg_q{quality}": partial(jpeg, quality=quality) for quality in (10, 30, 50, 70)},
    "mirrored": mirrored,
    **{f"rotated_{degrees}": partial(rotated, degrees=degrees) for degrees in (15, 30, 45, 90, 180)},
    "lower_face_covered": partial(covered, shape=LOWER_FACE, colour=COVER),
    "eyes_barred": partial(covered, shape=EYES, colour=BAR),
    "blur_2pct": partial(blurred, share=0.02),
    "blur_4pct": partial(blurred, share=0.04),
}
"""Name of a condition, as in the figures -> what is done to the picture."""

TRACK_SIDE: Final = 28.0
"""Size of the face in the frames of a track, pixels: hard enough that more frames help."""

TRACK_SHIFT: Final = 0.1
"""How far the face wanders from frame to frame, as a share of its size."""


def frame_of_track(rgb: NDArray[np.uint8], face: DetectedFace, rng: np.random.Generator) -> Disturbed:
    """Make one frame of a poor video out of a picture: small, shifted, turned a little, soft, compressed.

    All frames of a track come from one picture, so they differ by their faults alone: a real video also
    shows the face from several sides, and gains more by its length.
    """
    small = shrunk(rgb, face, side=TRACK_SIDE)
    height, width = small.rgb.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-8, 8), rng.uniform(0.85, 1.15))
    turn[:, 2] += rng.uniform(-TRACK_SHIFT, TRACK_SHIFT, 2) * TRACK_SIDE
    turned = cv2.warpAffine(small.rgb, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    soft = cv2.GaussianBlur(turned, (0, 0), sigmaX=rng.uniform(0.3, 0.9))
    noisy = np.clip(soft + rng.normal(0, 4, soft.shape), 0, 255).astype(np.uint8)
    moved = turn @ np.vstack([small.moved, [0, 0, 1]])
    return Disturbed(_as_jpeg(noisy, int(rng.integers(30, 70))), moved)


def _as_jpeg(rgb: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    written = io.BytesIO()
    Image.fromarray(rgb).save(written, "JPEG", quality=quality)
    with Image.open(written) as picture:
        return np.asarray(picture.convert("RGB"))
