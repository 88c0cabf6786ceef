"""Lays a sighted picture over an original: which point of one is which point of the other.

1. the points that stand out in both (SIFT: Lowe, IJCV 2004), paired where one candidate is clearly the best;
2. the homography on which most pairs agree (MAGSAC++: Barath and others, CVPR 2020), mirrored as well;
3. a grid of points followed from one to the other (Lucas and Kanade, IJCAI 1981), to parts of a pixel.

So a copy is found that was cropped, scaled, turned, mirrored, framed or set into a larger picture, where a
hash of the whole sees nothing in common.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE: Final = 640
"""Pixels of the long side at which points are looked for; a face of 2 % of it still has some."""

MOST_POINTS: Final = 700
"""Points kept of one picture, the clearest first: 94 kB."""

RATIO: Final = 0.8
"""A pair counts where the second-best candidate is this much farther away (Lowe, section 7.1)."""

FEWEST: Final = 14
"""Pairs that must agree. Unrelated pictures of LFW reach 9 at most (bench `derived`)."""

AGREE: Final = 0.25
"""Share of all pairs that must agree."""

NEAR_PX: Final = 3.0
"""Pixels within which a pair agrees with a homography at the first try."""

FOLLOWED_PX: Final = 0.8
"""Pixels within which a followed point agrees."""

EVEN: Final = 8.0
"""Pixels (sigma) over which light is evened out before points are followed."""

GRID: Final = 600
"""Points that are followed."""

MOST_STRETCH: Final = 8.0
"""A homography that scales more than this in one place than in another is no copy's."""


@dataclass(frozen=True, slots=True)
class Points:
    """Points that stand out in one picture. `xy` is (n, 2) float32 in pixels of the picture as it was given;
    `looks` is (n, 128) uint8, their surroundings. `size` is its width and height in pixels.
    """  # noqa: D205 - one sentence

    xy: NDArray[np.float32]
    looks: NDArray[np.uint8]
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Alignment:
    """How an original lies in a sighting: `matrix` (3, 3) float64 takes its pixels to the sighting's.

    `pairs` is how many points agree; `mirrored`: it lies there as in a mirror.
    """

    matrix: NDArray[np.float64]
    pairs: int
    mirrored: bool


def points(rgb: NDArray[np.uint8], most: int = MOST_POINTS) -> Points:
    """Find the points that stand out in a (h, w, 3) uint8 picture."""
    height, width = rgb.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    if scale < 1.0:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    detector = cv2.SIFT_create(nfeatures=most, contrastThreshold=0.02)  # type: ignore[attr-defined]
    found, looks = detector.detectAndCompute(grey, None)
    if looks is None or not len(found):
        return Points(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.uint8), (width, height))
    xy = np.array([one.pt for one in found], np.float32)
    xy = (xy + 0.5) / scale - 0.5
    return Points(xy[:most], looks[:most].astype(np.uint8), (width, height))


def mirrored(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give the picture as in a mirror."""
    return np.ascontiguousarray(rgb[:, ::-1])


def align(original: Points, sighting: Points, seen_in_mirror: Points) -> Alignment | None:
    """Say how an original lies in a sighting; `seen_in_mirror` are the points of mirrored(sighting).

    None where too few points agree.
    """
    found = [
        (agreed[1], agreed[0], turned)
        for turned, seen in ((False, sighting), (True, seen_in_mirror))
        if (agreed := _agreed(original, seen)) is not None
    ]
    if not found:
        return None
    pairs, matrix, turned = max(found, key=lambda one: one[0])
    if turned:
        flip = np.array([[-1.0, 0.0, sighting.size[0] - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        matrix = flip @ matrix
    return Alignment(matrix, pairs, turned)


def _agreed(original: Points, seen: Points) -> tuple[NDArray[np.float64], int] | None:
    if min(len(original.xy), len(seen.xy)) < FEWEST:
        return None
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    both = matcher.knnMatch(original.looks.astype(np.float32), seen.looks.astype(np.float32), k=2)
    good = [pair[0] for pair in both if len(pair) == 2 and pair[0].distance < RATIO * pair[1].distance]
    if len(good) < FEWEST:
        return None
    here = np.array([original.xy[one.queryIdx] for one in good], np.float32)
    there = np.array([seen.xy[one.trainIdx] for one in good], np.float32)
    near = NEAR_PX * max(1.0, max(seen.size) / SIDE)
    matrix, agree = cv2.findHomography(here, there, cv2.USAC_MAGSAC, near, maxIters=2000, confidence=0.999)
    if matrix is None:
        return None
    # several points of one place count once: print, bars and grids agree with themselves
    kept = agree.ravel().astype(bool)
    places = {(int(x), int(y)) for x, y in there[kept] / near}
    if len(places) < max(FEWEST, AGREE * len(good)) or not sound(matrix, original.size):
        return None
    return matrix, len(places)


def sound(matrix: NDArray[np.float64], size: tuple[int, int]) -> bool:
    """Say whether a homography takes a picture of this size to something that could be a copy of it."""
    width, height = size
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    scales = []
    for x, y in corners:
        w = matrix[2] @ (x, y, 1.0)
        if w <= 0:
            return False
        scales.append(abs(np.linalg.det(matrix)) / w**3)
    least, most, middle = min(scales), max(scales), float(np.median(scales))
    return bool(least > 0 and most / least < MOST_STRETCH and 1e-3 < middle < 1e3)


def refined(
    original: NDArray[np.uint8], sighting: NDArray[np.uint8], matrix: NDArray[np.float64], rounds: int = 2
) -> NDArray[np.float64]:
    """Make a homography exact to parts of a pixel; both pictures are (h, w) uint8, grey.

    What was changed does not agree with the rest and is left out. Gives `matrix` where too few points agree.
    """
    original, sighting = _evened(original), _evened(sighting)
    best, most = matrix, _fits(original, sighting, matrix)
    for _ in range(rounds):
        step = _followed(original, sighting, matrix)
        if step is None:
            break
        matrix = step @ matrix
        fits = _fits(original, sighting, matrix)
        if fits > most:
            best, most = matrix, fits
    return best


def _evened(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Take slow light away and bring contrasts to one size: following points needs the same brightness."""
    plain = grey.astype(np.float32)
    away = plain - cv2.GaussianBlur(plain, (0, 0), EVEN)
    size = np.sqrt(cv2.GaussianBlur(away * away, (0, 0), EVEN))
    return np.asarray(np.clip(128 + 40 * away / (size + 4), 0, 255), np.uint8)


def _fits(original: NDArray[np.uint8], sighting: NDArray[np.uint8], matrix: NDArray[np.float64]) -> float:
    """Say how well both agree, -255 to 0: the mean difference of the three quarters that agree best."""
    height, width = sighting.shape
    laid = cv2.warpPerspective(original, matrix, (width, height), flags=cv2.INTER_LINEAR)
    covered = cv2.warpPerspective(np.full_like(original, 255), matrix, (width, height)) == 255
    away = np.abs(laid.astype(np.int16) - sighting)[covered]
    if not len(away):
        return -255.0
    return -float(np.minimum(away, np.quantile(away, 0.75)).mean())


def _followed(
    original: NDArray[np.uint8], sighting: NDArray[np.uint8], matrix: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    height, width = sighting.shape
    laid = cv2.warpPerspective(original, matrix, (width, height), flags=cv2.INTER_LINEAR)
    covered = cv2.warpPerspective(np.full_like(original, 255), matrix, (width, height))
    covered = cv2.erode(covered, np.ones((9, 9), np.uint8))
    spread = max(4.0, float(np.sqrt(height * width / GRID)) / 2)
    start = cv2.goodFeaturesToTrack(laid, GRID, 0.01, spread, mask=covered)
    if start is None or len(start) < FEWEST:
        return None
    end, there, _ = cv2.calcOpticalFlowPyrLK(laid, sighting, start, None, winSize=(15, 15), maxLevel=2)
    back, again, _ = cv2.calcOpticalFlowPyrLK(sighting, laid, end, None, winSize=(15, 15), maxLevel=2)
    returned = np.linalg.norm(back - start, axis=2).ravel() < FOLLOWED_PX
    kept = there.ravel().astype(bool) & again.ravel().astype(bool) & returned
    if kept.sum() < FEWEST:
        return None
    step = _step(start[kept].reshape(-1, 2), end[kept].reshape(-1, 2))
    return step if step is not None and sound(step, (width, height)) else None


def _step(here: NDArray[np.float32], there: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Fit what moves points here to there: affine where that explains as many of them as a homography."""
    affine, agree = cv2.estimateAffine2D(
        here, there, method=cv2.RANSAC, ransacReprojThreshold=FOLLOWED_PX, maxIters=1000
    )
    full, more = cv2.findHomography(here, there, cv2.RANSAC, FOLLOWED_PX, maxIters=1000)
    if affine is not None and (full is None or agree.sum() >= 0.93 * more.sum()):
        if agree.sum() < FEWEST:
            return None
        return np.vstack([affine, [0.0, 0.0, 1.0]])
    if full is None or more.sum() < FEWEST:
        return None
    return np.asarray(full, np.float64)
