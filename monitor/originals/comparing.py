"""Compares a sighted picture with the original that was laid over it: what was changed, and where.

1. the same light    colours are fitted, one smooth curve for all of it: filters, monochrome, brightness
2. the same grain    both are brought to one size and sharpness
3. what is left      differences, measured against what compression makes of the same texture elsewhere in it
4. where             connected places in which far more is different than that
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from monitor.originals.aligning import refined
from monitor.values import Box

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

WORK: Final = 512
"""Pixels of the long side at which pictures are compared: below, compression is smoothed away."""

BLUR: Final = 1.0
"""Pixels (sigma) by which both are blurred before: kernels of resizing differ below that."""

WINDOW: Final = 1 / 45
"""Side of the square over which a difference is averaged, as a share of the square root of the area."""

FLOOR: Final = 2.0
"""Grey levels (RMS) that any copy may differ by."""

CORE: Final = 3.6
EDGE: Final = 2.2
"""A place is changed where the difference is CORE times the expected one; it reaches as far as EDGE times."""

LEAST_AREA: Final = 0.002
"""Share of the frame of the smallest place that is named: one fifteenth of the side."""

LEAST_LEVELS: Final = 7.0
"""Grey levels (RMS) that a place must differ by at its core."""

CLEARLY: Final = 1.5
"""Times as much fine detail in a place as before: from there on something was added; gone, the other way."""

MOST_CHANGED: Final = 0.4
"""Share of what both show. Where more is different this may as well be another picture."""

ALIKE: Final = 0.85
"""Median likeness (correlation of small squares) below which it is another picture. Copies down to JPEG 15 or
half the size have 0.96 at least; other pictures of one occasion that align, 0.70 at most (LFW, 2026-11)."""


SLIP: Final = 0.35
"""Pixels by which a place may lie beside where it should: a homography is that exact, and so are kernels."""

LIGHT: Final = np.array([0.299, 0.587, 0.114], np.float32)
"""What red, green and blue give to brightness (ITU-R BT.601, as JPEG has it)."""


class Kind(StrEnum):
    """What became of a place."""

    ADDED = "added"
    GONE = "gone"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Region:
    """A place that was changed. `box` is in pixels of the sighting; `share` of its area; `strength` is how
    many times the expected difference there is at its core; `levels` the difference in grey levels (RMS).
    """  # noqa: D205 - one sentence

    box: Box
    share: float
    strength: float
    levels: float
    kind: Kind


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison found.

    `heat` is (h, w) float32 at the work size, times the expected difference, 0 where the original does not
    reach. `laid` is the original in the sighting's frame and light, (h, w, 3) uint8 at the work size.
    `covered` is the share of the sighting in which the original lies, `shown` the share of the original
    that is to be seen. `alike` is the median correlation of small squares. `moved` is the share of the
    changed places whose content stands elsewhere in the original: another picture of the same moment.
    """

    regions: tuple[Region, ...]
    heat: NDArray[np.float32]
    laid: NDArray[np.uint8]
    covered: float
    shown: float
    alike: float
    changed: float
    monochrome: bool
    moved: float = 0.0


def compare(
    original: NDArray[np.uint8], sighting: NDArray[np.uint8], matrix: NDArray[np.float64]
) -> Comparison | None:
    """Compare a sighting with the original that `matrix` lays over it; both are (h, w, 3) uint8.

    None where they have too little in common to say anything.
    """
    laid = lay(original, sighting, matrix)
    if laid is None:
        return None
    seen, under, covered, shown, scale = laid
    if covered.mean() < 0.02:
        return None
    # 1  the same light, before the grain: a curve of a blurred edge is no blurred edge
    lit, monochrome = _same_light(seen.astype(np.float32), under, covered)
    # 2  the same grain
    seen_s, under_l = _same_sharpness(seen.astype(np.float32), lit, covered)
    # 3  what is left
    ratio, levels = _left(seen_s, under_l, covered)
    alike = _alike(seen_s, under_l, covered)
    # 4  where
    regions, changed = _regions(ratio, levels, covered, seen_s, under_l, scale)
    moved = _moved(seen_s, under_l, regions, scale) if regions else 0.0
    heat = np.where(covered, ratio, 0.0).astype(np.float32)
    return Comparison(
        regions,
        heat,
        np.clip(under_l, 0, 255).astype(np.uint8),
        float(covered.mean()),
        shown,
        alike,
        changed,
        monochrome,
        moved,
    )


def lay(
    original: NDArray[np.uint8], sighting: NDArray[np.uint8], matrix: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_], float, float] | None:
    """Bring both to one frame: sighting, original, where it reaches, share of it shown, work size / size."""
    height, width = sighting.shape[:2]
    scale = min(1.0, WORK / max(height, width))
    seen = sighting
    if scale < 1.0:
        seen = cv2.resize(sighting, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    h, w = seen.shape[:2]
    into = scaling(w / width, h / height) @ matrix
    rows, columns = original.shape[:2]
    local = _scale_at(into, (columns, rows))
    if local < 0.9:
        small = cv2.resize(original, None, fx=local, fy=local, interpolation=cv2.INTER_AREA)
        into = into @ scaling(columns / small.shape[1], rows / small.shape[0])
    else:
        small = original
    if min(small.shape[:2]) < 24:
        return None
    grey = [cv2.GaussianBlur(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), (0, 0), BLUR) for one in (small, seen)]
    into = refined(grey[0], grey[1], into)
    under = cv2.warpPerspective(small.astype(np.float32), into, (w, h), flags=cv2.INTER_CUBIC)
    whole = np.full(small.shape[:2], 255, np.uint8)
    reach = cv2.warpPerspective(whole, into, (w, h), flags=cv2.INTER_NEAREST)
    covered = cv2.erode(reach, np.ones((7, 7), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    back = cv2.warpPerspective(np.full((h, w), 255, np.uint8), np.linalg.inv(into), small.shape[1::-1])
    return seen, under, covered, float((back > 127).mean()), w / width


def scaling(x: float, y: float) -> NDArray[np.float64]:
    """Give the matrix that scales pixels' edges, so that centres stay centres."""
    return np.array([[x, 0.0, (x - 1) / 2], [0.0, y, (y - 1) / 2], [0.0, 0.0, 1.0]])


def _scale_at(matrix: NDArray[np.float64], size: tuple[int, int]) -> float:
    x, y = size[0] / 2, size[1] / 2
    w = float(matrix[2] @ (x, y, 1.0))
    return float(np.sqrt(abs(np.linalg.det(matrix)) / abs(w) ** 3))


def _same_sharpness(
    seen: NDArray[np.float32], lit: NDArray[np.float32], covered: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Blur the sharper one as much as makes both most alike at edges, then both by BLUR."""
    grey = [one @ LIGHT for one in (seen, lit)]
    slope = cv2.Laplacian(cv2.GaussianBlur(grey[1], (0, 0), BLUR), cv2.CV_32F)
    edges = covered & (np.abs(slope) >= np.quantile(np.abs(slope[covered]), 0.7))

    def off(sigmas: tuple[float, float]) -> float:
        pair = [
            cv2.GaussianBlur(one, (0, 0), np.hypot(BLUR, sigma))
            for one, sigma in zip(grey, sigmas, strict=True)
        ]
        away = np.abs(pair[0] - pair[1])[edges]
        return float(np.minimum(away, 3 * np.median(away)).mean())

    even = off((0.0, 0.0))
    best, least = (0.0, 0.0), even * 0.97
    for side in (1, 0):
        before = even
        for sigma in (0.5, 0.8, 1.1, 1.5, 2.0, 2.7, 3.5):
            tried = (sigma, 0.0) if side == 0 else (0.0, sigma)
            away = off(tried)
            if away > before:
                break
            before = away
            if away < least:
                best, least = tried, away
    one, other = (
        cv2.GaussianBlur(rgb, (0, 0), float(np.hypot(BLUR, sigma)))
        for rgb, sigma in zip((seen, lit), best, strict=True)
    )
    return np.asarray(one, np.float32), np.asarray(other, np.float32)


def _blurred(one: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(one, (0, 0), BLUR), np.float32)


def _same_light(
    seen: NDArray[np.float32], under: NDArray[np.float32], covered: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], bool]:
    """Fit the original's colours to the sighting's, robustly; say whether the sighting was made monochrome.

    A curve for each channel: brightness, contrast, gamma. Where mixing channels explains clearly more (a
    filter, monochrome), they are mixed too. Nothing in it knows of places.
    """
    places = np.flatnonzero(covered)
    places = places[:: max(1, len(places) // 8000)]
    here, there = (_blurred(one).reshape(-1, 3)[places] for one in (under, seen))
    curves = _curves(here, there)
    lit = _through(here, curves)
    best, whole = _off(lit, there), _through(under, curves)
    # mixed before the curves, or after them: only where that explains clearly more
    for first in (None, curves):
        begin = here if first is None else lit
        mix = _mix(begin, there)
        mixed = np.asarray(_with_one(begin) @ mix, np.float32)
        after = _curves(mixed, there)
        off = _off(_through(mixed, after), there)
        if off < 0.8 * best - 0.05:
            best = off
            whole = under if first is None else _through(under, first)
            whole = _through(np.asarray(_with_one(whole) @ mix, np.float32), after)
    whole += _slow(np.where(covered[..., None], _blurred(seen) - _blurred(whole), np.nan))
    colour = [float(np.median(np.ptp(one, axis=1))) for one in (there, here)]
    return whole.astype(np.float32), colour[0] < 4.0 and colour[1] > 12.0


def _off(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.median(np.abs(np.clip(one, 0, 255) - other).mean(axis=1)))


def _with_one(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([rgb, np.full_like(rgb[..., :1], 255.0)], axis=-1)


def _powers(values: NDArray[np.float32]) -> NDArray[np.float32]:
    x = np.clip(values, 0, 255) / 255.0
    return np.stack([np.ones_like(x), x, x * x, np.sqrt(x)], axis=-1)


START: Final = np.array([0.0, 255.0, 0.0, 0.0])
"""The curve that changes nothing."""


def _curves(here: NDArray[np.float32], there: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fit a curve for each channel: (3, 4) float32, factors of _powers. Rare levels count, too."""
    curves = []
    for channel in range(3):
        x, y = here[:, channel], there[:, channel]
        bins = np.clip(x // 12, 0, 21).astype(int)
        balance = 1.0 / np.sqrt(np.bincount(bins, minlength=22)[bins])
        balance *= ((y > 4) & (y < 251)) + 0.02
        curves.append(_robust(_powers(x), y, START, balance))
    return np.stack(curves).astype(np.float32)


def _mix(here: NDArray[np.float32], there: NDArray[np.float32]) -> NDArray[np.float32]:
    terms = _with_one(here)
    start = np.eye(4, dtype=np.float64)[:, :3]
    plain = ((there > 4) & (there < 251)).all(axis=1) + 0.02
    columns = [_robust(terms, there[:, n], np.asarray(start[:, n]), np.asarray(plain), 1.0) for n in range(3)]
    return np.stack(columns, axis=-1).astype(np.float32)


def _robust(
    terms: NDArray[np.float32],
    wanted: NDArray[np.float32],
    start: NDArray[np.float64],
    balance: NDArray[np.float64],
    ridge: float = 1e-4,
) -> NDArray[np.float64]:
    """Solve least squares in which what is far off counts less and less (Cauchy's weights)."""
    terms, fit, weights = terms.astype(np.float64), start, balance
    hold = ridge * balance.sum() * np.eye(terms.shape[1])
    for _ in range(8):
        weighted = terms * weights[:, None]
        fit = start + np.linalg.solve(terms.T @ weighted + hold, weighted.T @ (wanted - terms @ start))
        off = np.abs(wanted - np.clip(terms @ fit, 0, 255))
        weights = balance / (1.0 + (off / (1.5 * np.median(off) + 0.5)) ** 2)
    return fit


def _through(rgb: NDArray[np.float32], curves: NDArray[np.float32]) -> NDArray[np.float32]:
    lit = [_powers(rgb[..., n]) @ curves[n] for n in range(3)]
    return np.asarray(np.clip(np.stack(lit, axis=-1), 0, 255), np.float32)


def _slow(off: NDArray[np.float32], cells: int = 4) -> NDArray[np.float32]:
    """Give the slow part of a difference, by medians of large squares: light that falls off, a vignette."""
    height, width = off.shape[:2]
    grid = np.zeros((cells, cells, 3), np.float32)
    for y in range(cells):
        for x in range(cells):
            rows = slice(y * height // cells, (y + 1) * height // cells)
            part = off[rows, x * width // cells : (x + 1) * width // cells].reshape(-1, 3)
            part = part[~np.isnan(part[:, 0])]
            if len(part) > 50:
                grid[y, x] = np.median(part, axis=0)
    return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _window(shape: tuple[int, ...]) -> int:
    return max(5, round(WINDOW * float(np.sqrt(shape[0] * shape[1])))) | 1


def _left(
    seen: NDArray[np.float32], under: NDArray[np.float32], covered: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give how many times the expected difference there is at each pixel, and the difference in levels."""
    grey = under @ LIGHT
    slope = cv2.magnitude(
        cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=0.125)
    )
    off = seen - under
    light = off @ LIGHT
    colour = off - light[..., None]
    light = np.maximum(np.abs(light) - SLIP * slope, 0.0)
    energy = light**2 + 0.25 * (colour**2).sum(axis=-1)
    side = _window(seen.shape)
    mask = covered.astype(np.float32)
    area = cv2.boxFilter(mask, -1, (side, side)) + 1e-6
    levels = np.sqrt(np.maximum(cv2.boxFilter(energy * mask, -1, (side, side)), 0.0) / area)
    texture = slope**2
    texture = np.sqrt(np.maximum(cv2.boxFilter(texture, -1, (side, side)), 0.0))
    expected = _expected(texture[covered], levels[covered])
    return levels / (expected(texture) + FLOOR), levels


def _expected(
    texture: NDArray[np.float32], levels: NDArray[np.float32]
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Learn from the picture itself what difference compression makes at which texture: a rising line."""
    cuts = np.quantile(texture, np.linspace(0.0, 1.0, 13))
    middles, usual = [], []
    for low, high in itertools.pairwise(cuts):
        inside = (texture >= low) & (texture <= high)
        middles.append(float(np.median(texture[inside])))
        usual.append(float(np.median(levels[inside])))
    rising = np.array(usual)
    slope = np.median([rising[i] / max(middles[i], 0.3) for i in range(len(rising))])
    # a change in one texture alone must not raise what is expected there above what the others say
    rising = np.minimum(rising, 2.5 * slope * np.maximum(middles, 0.3) + float(np.median(rising)))
    rising = np.maximum.accumulate(rising)
    return lambda at: np.interp(at, middles, rising).astype(np.float32)


def _alike(seen: NDArray[np.float32], under: NDArray[np.float32], covered: NDArray[np.bool_]) -> float:
    """Give the median correlation of small squares, counted where there is something to see."""
    a, b = (cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (seen, under))
    side = 2 * _window(seen.shape) + 1

    def mean(of: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.boxFilter(of, -1, (side, side)), np.float32)

    ma, mb = mean(a), mean(b)
    va, vb = mean(a * a) - ma * ma, mean(b * b) - mb * mb
    both = (mean(a * b) - ma * mb) / np.sqrt(np.maximum(va, 1.0) * np.maximum(vb, 1.0))
    rich = covered & (np.maximum(va, vb) > 25.0)
    return float(np.median(both[rich])) if rich.sum() > 100 else 1.0


def _regions(  # noqa: PLR0913, PLR0917
    ratio: NDArray[np.float32],
    levels: NDArray[np.float32],
    covered: NDArray[np.bool_],
    seen: NDArray[np.float32],
    under: NDArray[np.float32],
    scale: float,
) -> tuple[tuple[Region, ...], float]:
    core = (ratio > CORE) & (levels > LEAST_LEVELS) & covered
    reach = ((ratio > EDGE) & covered).astype(np.uint8)
    reach = cv2.morphologyEx(reach, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    count, named, stats, _ = cv2.connectedComponentsWithStats(reach, connectivity=8)
    found, whole = [], ratio.size
    for number in range(1, count):
        inside = named == number
        if not (core & inside).any() or stats[number, cv2.CC_STAT_AREA] < LEAST_AREA * whole:
            continue
        if (core & inside).sum() < LEAST_AREA * whole / 2:
            continue
        x, y, w, h = (int(v) for v in stats[number, :4])
        box = Box(x / scale, y / scale, (x + w) / scale, (y + h) / scale)
        share = float(inside.sum()) / whole
        strength = float(np.quantile(ratio[inside], 0.9))
        found.append(
            Region(box, share, strength, float(np.quantile(levels[inside], 0.9)), _kind(seen, under, inside))
        )
    found.sort(key=lambda one: -one.share * one.strength)
    changed = sum(one.share for one in found) / max(float(covered.mean()), 1e-6)
    return tuple(found), changed


def _kind(seen: NDArray[np.float32], under: NDArray[np.float32], inside: NDArray[np.bool_]) -> Kind:
    """Say whether there is clearly more to see than before, clearly less, or something else."""
    # not at its edge, where something put in stands out from its surroundings
    core = cv2.erode(inside.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    core = core if core.sum() > inside.sum() / 4 else inside

    def busy(rgb: NDArray[np.float32]) -> float:
        grey = rgb @ LIGHT
        fine = grey - cv2.GaussianBlur(grey, (0, 0), 4 * BLUR)
        return float(np.sqrt((fine[core] ** 2).mean()))

    now, before = busy(seen), busy(under)
    if now > CLEARLY * before + 0.5:
        return Kind.ADDED
    return Kind.GONE if before > CLEARLY * now + 0.5 else Kind.DIFFERENT


def _moved(
    seen: NDArray[np.float32], under: NDArray[np.float32], regions: tuple[Region, ...], scale: float
) -> float:
    """Give the share of squares in changed places that are found a little beside their place."""
    a, b = (cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (seen, under))
    side = 2 * _window(seen.shape) + 1
    far = 2 * side
    tried = moved = 0
    height, width = a.shape
    for region in regions:
        box = region.box
        for y in range(int(box.y0 * scale), int(box.y1 * scale) - side + 1, side):
            for x in range(int(box.x0 * scale), int(box.x1 * scale) - side + 1, side):
                square = a[y : y + side, x : x + side]
                if square.std() < 6.0 or tried >= 60:
                    continue
                y0, x0 = max(0, y - far), max(0, x - far)
                around = b[y0 : min(height, y + side + far), x0 : min(width, x + side + far)]
                alike = cv2.matchTemplate(around, square, cv2.TM_CCOEFF_NORMED)
                if alike[y - y0, x - x0] > 0.7:
                    continue
                tried += 1
                moved += float(alike.max()) > 0.9
    if tried < 3:
        return 0.0
    return moved / tried
