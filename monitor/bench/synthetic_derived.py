"""How well changed copies of a known original are told from copies that were only passed on.

Each picture is taken for an original. One copy of it has something changed in 2 % of its area, at a place and
of a kind drawn by chance, and is then scaled to 0.7 and saved as JPEG 60. The other copy is genuine: cropped,
scaled, saved again, lightened, mirrored or made black and white. Both are laid over the original and compared
as the service does it.

A change counts as found where a region that is named covers at least a third of it, and is at least a sixth
change itself. A change that nobody could see (under SEEN grey levels) is drawn again elsewhere. A genuine
copy in which any region is named counts as false. Copies of which the original was not recognised count as
not found, and are counted on their own.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from monitor.bench.frame import Figure
from monitor.bench.statistics import wilson
from monitor.originals.aligning import points
from monitor.originals.marks import Marks
from monitor.originals.pictures import Seen, compared, place
from monitor.stages.picture_hash import picture_hashes
from monitor.values import Box, MediaKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

AREA: Final = 0.02
"""Share of the picture that is changed."""

SCALE: Final = 0.7
QUALITY: Final = 60
"""What a changed copy goes through."""

SEEN: Final = 10.0
"""Grey levels (RMS over the changed place) below which a change is drawn again."""

DRAWS: Final = 10
"""Places that are tried."""

KINDS: Final = ("pasted", "feathered", "cloned", "blurred", "inpainted", "text", "copied", "coloured")
"""Ways to change a place: out of another picture (hard, soft, Poisson), out of this one, or in itself."""

PASSED_ON: Final = (
    "saved",
    "scaled",
    "cropped",
    "cropped_scaled",
    "lightened",
    "monochrome",
    "mirrored",
    "twice",
)
"""Ways to pass a picture on."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts by kind: tried, those in which a change was named, and those that were not recognised."""

    tried: Mapping[str, int]
    named: Mapping[str, int]
    unknown: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Derived:
    """What was measured: of changed copies, and of genuine ones."""

    changed: Tally
    genuine: Tally


def measure_derived(
    pictures: Sequence[Callable[[], Picture]], seed: int, progress: Callable[[int, int], None] | None = None
) -> Derived:
    """Measure on pictures, (h, w, 3) uint8 each, read one at a time. Needs two pictures or more."""
    rng = random.Random(seed)  # noqa: S311 - a drawing of trials
    tried: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    named: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    unknown: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for number, read in enumerate(pictures):
        original = read()
        marks = _marks(original)
        change = _visible(
            original, pictures[(number + 1 + rng.randrange(len(pictures) - 1)) % len(pictures)](), rng
        )
        if change is not None:
            kind, picture, truth = change
            copy = saved(cv2.resize(picture, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_AREA), QUALITY)
            boxes = _named(original, marks, copy)
            tried[0][kind] += 1
            unknown[0][kind] += boxes is None
            scaled = Box(*(SCALE * side for side in (truth.x0, truth.y0, truth.x1, truth.y1)))
            named[0][kind] += any(_finds(box, scaled) for box in boxes or ())
        kind, copy = passed_on(original, rng)
        boxes = _named(original, marks, copy)
        tried[1][kind] += 1
        unknown[1][kind] += boxes is None
        named[1][kind] += bool(boxes)
        if progress is not None:
            progress(number + 1, len(pictures))
    changed, genuine = (Tally(tried[n], named[n], unknown[n]) for n in (0, 1))
    return Derived(changed, genuine)


def figures(found: Derived) -> dict[str, Figure]:
    """Give `derived.found` and `derived.false` with Wilson's intervals, and both by kind."""
    given: dict[str, Figure] = {}
    for name, tally in (("found", found.changed), ("false", found.genuine)):
        for kind in ("", *sorted(tally.tried)):
            tried = tally.tried[kind] if kind else sum(tally.tried.values())
            named = tally.named[kind] if kind else sum(tally.named.values())
            if tried:
                given["_".join(("derived." + name, kind)).rstrip("_")] = Figure(
                    *wilson(named, tried), tried, "share"
                )
        whole = sum(tally.tried.values())
        if whole:
            key = f"derived.unknown_{'changed' if name == 'found' else 'genuine'}"
            given[key] = Figure(*wilson(sum(tally.unknown.values()), whole), whole, "share")
    return given


def changed(original: Picture, other: Picture, kind: str, rng: random.Random, area: float = AREA) -> Picture:
    """Change a place of `area` of the picture by what KINDS names; `other` lends what is put in."""
    height, width = original.shape[:2]
    aspect = rng.uniform(0.5, 2.0)
    w = min(width - 2, max(4, round((area * height * width * aspect) ** 0.5)))
    h = min(height - 2, max(4, round(area * height * width / w)))
    x, y = rng.randint(1, width - w - 1), rng.randint(1, height - h - 1)
    place_ = (slice(y, y + h), slice(x, x + w))
    made = original.copy()
    lent = cv2.resize(other, (width, height), interpolation=cv2.INTER_AREA)
    there = (rng.randint(0, height - h), rng.randint(0, width - w))
    patch = lent[there[0] : there[0] + h, there[1] : there[1] + w]
    match kind:
        case "pasted":
            made[place_] = patch
        case "feathered":
            soft = max(2, min(w, h) // 8)
            mask = np.zeros((height, width), np.float32)
            mask[y + soft : y + h - soft, x + soft : x + w - soft] = 1.0
            mask = cv2.GaussianBlur(mask, (0, 0), soft / 2)[..., None]
            whole = made.astype(np.float32)
            whole[place_] = patch
            made = np.rint(made * (1 - mask) + whole * mask).astype(np.uint8)
        case "cloned":
            white = np.full(patch.shape[:2], 255, np.uint8)
            made = cv2.seamlessClone(patch, made, white, (x + w // 2, y + h // 2), cv2.NORMAL_CLONE)
        case "blurred":
            made[place_] = cv2.GaussianBlur(made[place_], (0, 0), max(w, h) / 8)
        case "inpainted":
            hole = np.zeros((height, width), np.uint8)
            hole[place_] = 255
            made = cv2.inpaint(made, hole, 3, cv2.INPAINT_TELEA)
        case "text":
            light = (255, 255, 255) if original[place_].mean() < 128 else (0, 0, 0)
            size, _ = cv2.getTextSize("FAKE!", cv2.FONT_HERSHEY_DUPLEX, 1.0, 2)
            at = (x, y + h - 2)
            cv2.putText(made, "FAKE!", at, cv2.FONT_HERSHEY_DUPLEX, w / size[0], light, max(1, w // 30))
        case "copied":
            made[place_] = original[there[0] : there[0] + h, there[1] : there[1] + w]
        case _:
            hues = cv2.cvtColor(made[place_], cv2.COLOR_RGB2HSV)
            hues[..., 0] = (hues[..., 0].astype(int) + 60) % 180
            made[place_] = cv2.cvtColor(hues, cv2.COLOR_HSV2RGB)
    return np.asarray(made, np.uint8)


def passed_on(original: Picture, rng: random.Random) -> tuple[str, Picture]:
    """Give a genuine copy, and the name of what was done to it."""
    kind, made = rng.choice(PASSED_ON), original
    if kind.startswith("cropped"):
        height, width = made.shape[:2]
        top, left, below, right = (rng.uniform(0.0, 0.2) for _ in range(4))
        made = made[
            int(top * height) : height - int(below * height), int(left * width) : width - int(right * width)
        ]
    if kind in {"scaled", "cropped_scaled", "twice"}:
        how = rng.choice((cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4))
        scale = rng.uniform(0.5, 1.3)
        made = np.asarray(cv2.resize(made, None, fx=scale, fy=scale, interpolation=how), np.uint8)
    if kind == "lightened":
        curve = 255 * np.linspace(0, 1, 256) ** rng.uniform(0.7, 1.4) * rng.uniform(0.85, 1.15)
        made = np.clip(curve + rng.uniform(-12, 12), 0, 255).astype(np.uint8)[made]
    if kind == "monochrome":
        made = np.repeat(cv2.cvtColor(made, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    if kind == "mirrored":
        made = np.ascontiguousarray(made[:, ::-1])
    if kind == "twice":
        made = saved(made, rng.randint(40, 90))
    return kind, saved(made, rng.randint(40, 95))


def saved(picture: Picture, quality: int) -> Picture:
    """Save as JPEG, and read again."""
    _, data = cv2.imencode(
        ".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    return np.asarray(cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)


def _visible(original: Picture, other: Picture, rng: random.Random) -> tuple[str, Picture, Box] | None:
    """Change something so that it can be seen; None where that did not succeed, such as colour in grey."""
    kind = rng.choice(KINDS)
    for _ in range(DRAWS):
        made = changed(original, other, kind, rng)
        away = np.abs(made.astype(np.int16) - original).max(axis=2)
        rows, columns = np.flatnonzero((away > SEEN).any(axis=1)), np.flatnonzero((away > SEEN).any(axis=0))
        if not len(rows):
            continue
        box = Box(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
        inside = (made.astype(np.float64) - original)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        if np.sqrt((inside**2).mean()) >= SEEN and box.width * box.height >= AREA / 4 * away.size:
            return kind, made, box
    return None


def _marks(picture: Picture) -> Marks:
    at_s, sound = np.zeros(1, np.float32), np.zeros(0, np.uint32)
    return Marks(MediaKind.IMAGE, 0.0, at_s, picture_hashes(picture)[:1], (points(picture),), sound)


def _named(original: Picture, marks: Marks, copy: Picture) -> list[Box] | None:
    """Give the places that the service names in a copy; None where it does not know the original."""
    seen = Seen(copy)
    there = place(seen, marks)
    found = compared(original, seen, there.alignment) if there is not None else None
    return None if found is None else [one.box for one in found.regions]


def _finds(box: Box, truth: Box) -> bool:
    width = min(box.x1, truth.x1) - max(box.x0, truth.x0)
    height = min(box.y1, truth.y1) - max(box.y0, truth.y0)
    if width <= 0 or height <= 0:
        return False
    both = width * height
    return both >= truth.width * truth.height / 3 and both >= box.width * box.height / 6


def summed(parts: Iterable[Derived]) -> Derived:
    """Put the counts of several folders together."""
    found = list(parts)

    def together(tallies: Sequence[Tally]) -> Tally:
        sums = [
            sum((Counter(getattr(one, name)) for one in tallies), Counter[str]())
            for name in ("tried", "named", "unknown")
        ]
        return Tally(*sums)

    return Derived(together([one.changed for one in found]), together([one.genuine for one in found]))
