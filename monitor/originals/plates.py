"""Draws what a comparison found: the original and the sighting side by side, with the place outlined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from monitor.values import Box, Heat, Plate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.originals.comparing import Comparison
    from monitor.values import Span

WIDE: Final = 512
"""Pixels of the long side of each half."""

QUALITY: Final = 85
CELLS: Final = 24
"""Cells of the heat along the long side."""

HOTTEST: Final = 8.0
"""Times the expected difference that is drawn as strongest."""

GAP: Final = 8
OUTLINE: Final = (255, 64, 0)
LINE: Final = (30, 30, 30)


def side_by_side(sighting: NDArray[np.uint8], found: Comparison, says: str) -> Plate:
    """Draw the original as it lies in the sighting, beside the sighting, (h, w, 3) uint8; places outlined."""
    height, width = sighting.shape[:2]
    scale = WIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    halves = [
        cv2.resize(one, size, interpolation=cv2.INTER_AREA if one.shape[0] > size[1] else cv2.INTER_LINEAR)
        for one in (found.laid, sighting)
    ]
    for half in halves:
        for region in found.regions:
            box = region.box
            corners = (
                (round(box.x0 * scale), round(box.y0 * scale)),
                (round(box.x1 * scale), round(box.y1 * scale)),
            )
            cv2.rectangle(half, *corners, (255, 255, 255), 4)
            cv2.rectangle(half, *corners, OUTLINE, 2)
    between = np.full((size[1], GAP, 3), 255, np.uint8)
    return Plate(_jpeg(np.hstack([halves[0], between, halves[1]])), says)


def timeline(
    original: NDArray[np.float32],
    sighting: NDArray[np.float32],
    replaced: tuple[Span, ...],
    seconds: float,
    says: str,
) -> Plate:
    """Draw the loudness of both sounds over time, one above the other, what was replaced marked."""
    width, height = 2 * WIDE, 120
    sheet = np.full((2 * height + GAP, width, 3), 255, np.uint8)
    for span in replaced:
        x0, x1 = (round(at / max(seconds, 1e-6) * (width - 1)) for at in (span.start_s, span.end_s))
        sheet[:, x0 : x1 + 1] = (255, 214, 190)
    for row, samples in enumerate((original, sighting)):
        edges = np.linspace(0, len(samples), width + 1).astype(int)
        peak = float(np.abs(samples).max()) + 1e-6 if len(samples) else 1.0
        middle = row * (height + GAP) + height // 2
        for x in range(width):
            part = samples[edges[x] : edges[x + 1]]
            half = round(float(np.abs(part).max()) / peak * (height // 2 - 2)) if len(part) else 0
            cv2.line(sheet, (x, middle - half), (x, middle + half), LINE, 1)
    return Plate(_jpeg(sheet), says)


def heat(found: Comparison, sighting: NDArray[np.uint8], at_s: float) -> Heat:
    """Give the heat over the whole frame of a sighting."""
    height, width = sighting.shape[:2]
    scale = CELLS / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    cells = cv2.resize(found.heat, size, interpolation=cv2.INTER_AREA)
    grey = np.clip(cells / HOTTEST * 255, 0, 255).astype(np.uint8)
    return Heat(at_s, Box(0.0, 0.0, float(width), float(height)), tuple(tuple(row) for row in grey.tolist()))


def _jpeg(rgb: NDArray[np.uint8]) -> bytes:
    done, jpeg = cv2.imencode(
        ".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    )
    assert done  # noqa: S101 - a picture of this size always can be
    return jpeg.tobytes()
