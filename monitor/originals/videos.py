"""Lays a sighted video over an original one: which second of one is which of the other; then frame by frame.

1. some sighted frames are found among the original's marks: which original, how it lies in the frame
2. small grey frames of both give the offset in time at which everything agrees best
3. each sighted frame is compared with the frames of the original around its own moment
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from monitor.originals.comparing import compare
from monitor.originals.marks import MOST_S
from monitor.originals.pictures import Seen, places, same_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from monitor.ml.synthetic.interfaces import Clip
    from monitor.originals.aligning import Alignment
    from monitor.originals.comparing import Comparison, Region
    from monitor.originals.marks import Marks
    from monitor.values import Box, Frame

FINE: Final = 30.0
"""Frames a second of the original that are read to be compared: as many as most videos have."""

COARSE: Final = 10.0
"""Frames a second that are kept small, to find the moments: 14 kB each, 86 MB for ten minutes."""

SMALL: Final = 160
THUMB: Final = 96
"""Pixels of the long side of small frames of the original, and of those laid over the sighting's."""

MOST_MOMENTS: Final = 16
"""Sighted frames that are compared, spread over the clip: 16 cost some 3 s of one core."""

AROUND_S: Final = 0.12
"""Seconds around its moment within which a sighted frame's own one is looked for."""

TRIED: Final = 3
"""Frames of the original that a change must differ from: movement between two frames is none."""

MOST_WAYS: Final = 4
"""Ways to lie in the frame that are tried: what moves before a wall may be aligned in place of it."""

FREE: Final = 0.75
"""Where moments that are free of each other agree this much better, the clip was cut or its speed changed."""

FEWEST: Final = 0.3
"""Share of the sighted frames that must be from the original: else it is another video."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One compared moment: seconds in the sighting and in the original, the picture, and what was found."""

    at_s: float
    original_s: float
    seen: Seen
    found: Comparison


@dataclass(frozen=True, slots=True)
class Laid:
    """A sighted video laid over an original. `steady`: it runs on as in the original, without cuts."""

    steady: bool
    mirrored: bool
    shown: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class _Reel:
    """The original as small grey frames: `times` (n,) float64 seconds, `small` (n, h, w) uint8."""

    times: NDArray[np.float64]
    small: NDArray[np.uint8]
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Fit:
    """How well an alignment fits, at which seconds of the original each sighted frame was taken."""

    cost: float
    at_s: tuple[float, ...]
    steady: bool
    alignment: Alignment


def moments(frames: Iterator[Frame], seconds: float) -> list[Seen]:
    """Choose the frames of a sighting that are compared, spread over its length."""
    step = max(seconds, 0.0) / MOST_MOMENTS
    kept: list[Seen] = []
    for frame in frames:
        if len(kept) < MOST_MOMENTS and (not kept or frame.at_s >= kept[-1].at_s + 0.98 * step):
            kept.append(Seen(frame.rgb, frame.at_s))
    return kept


def lay(kept: Sequence[Seen], marks: Marks, read: Callable[[float], Clip]) -> Laid | None:
    """Lay a sighting's frames over a video original, which `read` decodes at so many frames a second.

    None where they are not from it.
    """
    # 1  how it lies
    ways = _ways(kept, marks)
    if not ways:
        return None
    # 2  when
    reel = _reel(read)
    fits = [_fit(kept, reel, way) for way in ways]
    best = min((one for one in fits if one is not None), key=lambda one: one.cost, default=None)
    if best is None:
        return None
    # 3  frame by frame
    frames = _frames(kept, best, read)
    shown = []
    for seen, (at_s, own) in zip(kept, frames, strict=True):
        found = _compared(seen, own, best.alignment)
        if found is not None and same_picture(found):
            shown.append(Shown(seen.at_s, at_s, seen, found))
    if len(shown) < max(1.0, FEWEST * len(kept)):
        return None
    return Laid(best.steady, best.alignment.mirrored, tuple(shown))


def _ways(kept: Sequence[Seen], marks: Marks) -> list[Alignment]:
    """Give the alignments that some sighted frames suggest, the best agreed first."""
    found: list[Alignment] = []
    for seen in kept[:: max(1, len(kept) // 4)]:
        found += [one.alignment for one in places(seen, marks)]
    found.sort(key=lambda one: -one.pairs)
    kept_ways: list[Alignment] = []
    width, height = kept[0].points.size
    for one in found:
        if all(_apart(one, other, marks.points[0].size) > 0.01 * max(width, height) for other in kept_ways):
            kept_ways.append(one)
    return kept_ways[:MOST_WAYS]


def _apart(one: Alignment, other: Alignment, size: tuple[int, int]) -> float:
    corners = np.array([[[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]]], np.float64)
    here, there = (cv2.perspectiveTransform(corners, a.matrix) for a in (one, other))
    return float(np.abs(here - there).max())


def _reel(read: Callable[[float], Clip]) -> _Reel:
    times, small, size = [], [], (1, 1)
    with read(COARSE) as clip:
        for frame in clip.frames():
            if frame.at_s > MOST_S:
                break
            size = (frame.rgb.shape[1], frame.rgb.shape[0])
            times.append(frame.at_s)
            small.append(_grey(frame.rgb, SMALL))
    return _Reel(np.array(times), np.stack(small) if small else np.zeros((0, 1, 1), np.uint8), size)


def _grey(rgb: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    scale = side / max(rgb.shape[:2])
    size = (max(8, round(rgb.shape[1] * scale)), max(8, round(rgb.shape[0] * scale)))
    grey = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_RGB2GRAY), np.uint8)


def _even(grey: NDArray[np.uint8], mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring small frames to one brightness and contrast, where the original reaches."""
    plain = grey.astype(np.float32)
    count = max(float(mask.sum()), 1.0)
    away = (plain - float((plain * mask).sum()) / count) * mask
    return np.asarray(away / (np.sqrt(float((away**2).sum()) / count) + 2.0), np.float32)


class _Lens:
    """Shows small frames of the original as they lie in the sighting."""

    def __init__(
        self, shape: tuple[int, ...], small: tuple[int, ...], size: tuple[int, int], way: Alignment
    ) -> None:
        scale = THUMB / max(shape[:2])
        self._size = (max(8, round(shape[1] * scale)), max(8, round(shape[0] * scale)))
        from_small = np.diag([size[0] / small[1], size[1] / small[0], 1.0])
        self._into = (
            np.diag([self._size[0] / shape[1], self._size[1] / shape[0], 1.0]) @ way.matrix @ from_small
        )
        reach = cv2.warpPerspective(np.full(small[:2], 255, np.uint8), self._into, self._size)
        self.mask = (reach == 255).astype(np.float32)

    def original(self, small: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Give a small frame of the original in the sighting's frame."""
        return _even(cv2.warpPerspective(small, self._into, self._size, flags=cv2.INTER_LINEAR), self.mask)

    def sighting(self, seen: Seen) -> NDArray[np.float32]:
        """Give a sighted frame as small."""
        return _even(_grey(seen.rgb, THUMB), self.mask)

    def away(self, seen: NDArray[np.float32], thumb: NDArray[np.float32]) -> float:
        """Give how far two are apart, what differs most left out: it may be what was changed."""
        away = np.abs(seen - thumb)[self.mask > 0]
        return float(np.minimum(away, np.quantile(away, 0.8)).mean()) if len(away) else NOWHERE


NOWHERE: Final = 9.0
"""How far apart frames are that have nothing in common."""


def _fit(kept: Sequence[Seen], reel: _Reel, way: Alignment) -> _Fit | None:
    """Find when each sighted frame was taken, for one way to lie in the frame."""
    if not len(reel.times):
        return None
    lens = _Lens(kept[0].rgb.shape, reel.small.shape[1:], reel.size, way)
    if lens.mask.sum() < 100:
        return None
    thumbs = np.stack([lens.original(one).astype(np.float16) for one in reel.small])
    small = [lens.sighting(seen) for seen in kept]
    free = [_when(lens, one, thumbs) for one in small]
    times = reel.times
    free_cost = float(np.median([cost for _, cost in free]))
    if len(kept) == 1:
        return _Fit(free_cost, (float(times[free[0][0]]),), steady=True, alignment=way)
    # the offset that most of them suggest, and those near it
    offsets = [seen.at_s - float(times[at]) for seen, (at, _) in zip(kept, free, strict=True)]
    tried = {round(one + n * 0.05, 3) for one in offsets for n in range(-3, 4)}
    costs = {one: _steady_cost(kept, small, lens, (times, thumbs), one) for one in tried}
    offset = min(costs, key=costs.__getitem__)
    if free_cost < FREE * costs[offset] - 0.02:
        return _Fit(free_cost, tuple(float(times[at]) for at, _ in free), steady=False, alignment=way)
    return _Fit(costs[offset], tuple(seen.at_s - offset for seen in kept), steady=True, alignment=way)


def _when(lens: _Lens, seen: NDArray[np.float32], thumbs: NDArray[np.float16]) -> tuple[int, float]:
    inside = lens.mask > 0
    rough = np.abs(thumbs[:, ::3, ::3].astype(np.float32) - seen[None, ::3, ::3])[:, inside[::3, ::3]].mean(
        axis=1
    )
    near = np.argsort(rough)[:12].tolist()
    costs = {n: lens.away(seen, thumbs[n].astype(np.float32)) for n in near}
    best = min(costs, key=costs.__getitem__)
    return best, costs[best]


def _steady_cost(
    kept: Sequence[Seen],
    small: Sequence[NDArray[np.float32]],
    lens: _Lens,
    reel: tuple[NDArray[np.float64], NDArray[np.float16]],
    offset: float,
) -> float:
    times, thumbs = reel
    costs = []
    for seen, thumb in zip(kept, small, strict=True):
        at = int(np.abs(times - (seen.at_s - offset)).argmin())
        if abs(times[at] - (seen.at_s - offset)) < 0.3:
            costs.append(lens.away(thumb, thumbs[at].astype(np.float32)))
    return float(np.median(costs)) if len(costs) > FEWEST * len(kept) else NOWHERE


def _frames(
    kept: Sequence[Seen], fit: _Fit, read: Callable[[float], Clip]
) -> list[tuple[float, list[NDArray[np.uint8]]]]:
    """Read the frames of the original that each sighted one may show, the most alike first: TRIED of them."""
    best: list[list[tuple[float, float, NDArray[np.uint8]]]] = [[] for _ in kept]
    lens: _Lens | None = None
    small: list[NDArray[np.float32]] = []
    last = max(fit.at_s) + AROUND_S
    with read(FINE) as clip:
        for frame in clip.frames():
            if frame.at_s > last:
                break
            near = [n for n, at in enumerate(fit.at_s) if abs(frame.at_s - at) <= AROUND_S]
            if not near:
                continue
            grey = _grey(frame.rgb, SMALL)
            if lens is None:
                size = (frame.rgb.shape[1], frame.rgb.shape[0])
                lens = _Lens(kept[0].rgb.shape, grey.shape, size, fit.alignment)
                small = [lens.sighting(seen) for seen in kept]
            thumb = lens.original(grey)
            for n in near:
                best[n].append((lens.away(small[n], thumb), frame.at_s, frame.rgb))
                best[n].sort(key=lambda one: one[0])
                del best[n][TRIED:]
    return [(one[0][1] if one else 0.0, [rgb for _, _, rgb in one]) for one in best]


def _compared(seen: Seen, frames: Sequence[NDArray[np.uint8]], alignment: Alignment) -> Comparison | None:
    """Compare with the frames it may show; a place is changed where all of them differ there."""
    best: Comparison | None = None
    kept: list[Region] | None = None
    for frame in frames:
        found = compare(frame, seen.rgb, alignment.matrix)
        if found is None:
            continue
        if best is None or found.changed < best.changed:
            best = found
        regions = list(found.regions)
        kept = (
            regions if kept is None else [one for one in kept if any(meet(one.box, r.box) for r in regions)]
        )
        if not kept:
            break
    return (
        None if best is None else replace(best, regions=tuple(kept or ()), moved=best.moved if kept else 0.0)
    )


def meet(one: Box, other: Box) -> bool:
    """Say whether two places overlap."""
    return bool(
        min(one.x1, other.x1) > max(one.x0, other.x0) and min(one.y1, other.y1) > max(one.y0, other.y0)
    )
