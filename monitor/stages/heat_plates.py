"""Draws where in a face a signal looked hardest, over the face itself, as pictures for the evidence.

Left the face as it is, right the same with the sign in one colour from clear to full. Nothing outside of the
face and its edge is shown: others may stand there.
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from monitor.values import Plate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.ml.synthetic.interfaces import Look
    from monitor.values import Box, Heat, Signal

MOST: Final = 2
"""Pictures of one signal: the moments in which the sign was strongest come first."""

SIDE: Final = 256
"""Pixels of each half. A face in a film is rarely larger."""

EDGE: Final = 0.15
"""How much around it is shown on each side, in widths of the face: where one was put in, the edge tells."""

COLOUR: Final = (255, 140, 0)
"""Orange: lighter than shadows, darker than light skin, and apart from both for red-green blind eyes."""

COVER: Final = 0.75
"""Share of the strongest sign's colour: the face must still be seen under it."""

QUALITY: Final = 85


def with_heat_plates(signal: Signal, looks: Sequence[Look]) -> Signal:
    """Give the signal with pictures of its heats, where it has none of its own and the frames are there."""
    if signal.plates:
        return signal
    by_time = {look.at_s: look for look in looks}
    shown = sorted(
        (heat for heat in signal.heats if heat.at_s in by_time and heat.cells), key=lambda heat: -_sum(heat)
    )
    plates = (_plate(heat, by_time[heat.at_s]) for heat in shown[:MOST])
    return replace(signal, plates=tuple(one for one in plates if one is not None))


def _sum(heat: Heat) -> int:
    return sum(sum(row) for row in heat.cells)


def _plate(heat: Heat, look: Look) -> Plate | None:
    height, width, _ = look.rgb.shape
    x0, y0, x1, y1 = _within(look.face.box, width, height)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return None
    face = np.asarray(Image.fromarray(look.rgb[y0:y1, x0:x1]).resize((SIDE, SIDE)), np.float32)
    cover = _laid(heat, (x0, y0, x1, y1))[..., None] * COVER
    over = face * (1 - cover) + np.array(COLOUR, np.float32) * cover
    out = io.BytesIO()
    Image.fromarray(np.hstack([face, over]).astype(np.uint8)).save(out, "JPEG", quality=QUALITY)
    says = (
        f"The face at {heat.at_s:.1f} seconds: left as it is, right with orange where the sign was strongest."
    )
    return Plate(out.getvalue(), says)


def _within(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    edge = EDGE * box.width
    return (
        max(0, int(box.x0 - edge)),
        max(0, int(box.y0 - edge)),
        min(width, int(box.x1 + edge)),
        min(height, int(box.y1 + edge)),
    )


def _laid(heat: Heat, part: tuple[int, int, int, int]) -> NDArray[np.float32]:
    """Lay the cells over the part of the frame that is shown: (SIDE, SIDE) float32 in [0, 1], 0 outside."""
    cells = np.array(heat.cells, np.float32) / 255
    x0, y0, x1, y1 = part
    at = (np.arange(SIDE) + 0.5) / SIDE
    columns = (x0 + at * (x1 - x0) - heat.box.x0) / max(heat.box.width, 1e-6) * cells.shape[1]
    rows = (y0 + at * (y1 - y0) - heat.box.y0) / max(heat.box.height, 1e-6) * cells.shape[0]
    inside = ((rows >= 0) & (rows < cells.shape[0]))[:, None] & ((columns >= 0) & (columns < cells.shape[1]))
    row = np.clip(rows, 0, cells.shape[0] - 1).astype(int)
    column = np.clip(columns, 0, cells.shape[1] - 1).astype(int)
    return np.where(inside, cells[row[:, None], column], 0.0).astype(np.float32)
