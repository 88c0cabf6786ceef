"""Marks by which copies of one picture of a matched face are known again.

A mark is made of the matched face alone, upright and with its surroundings, so that it survives a collage
and a crop that a hash of the whole picture would not. It is kept in the sealed finding, never beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from monitor.ml.align import SIDE, similarity
from monitor.values import FaceTrack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.values import Candidate

WIDEN = 1.7
"""How much more than a recogniser's crop is looked at. Hair and background tell two pictures of one person
apart; at 2.4 the edge of a crop or collage reaches in. Measured as `findings.COPY_DISTANCE` was."""

GRID = 12
"""Cells a side. Each gives two bits: brighter than its left neighbour, brighter than its upper one."""

SMOOTH_PX = 2.0
"""Blur before the cells are taken: JPEG blocks and the jitter of the five points are smaller."""

MOST_APPEARANCES = 16
"""Appearances of one subject in one item that are marked: enough for a slide show."""


def copy_marks(candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """Mark the matched faces: for each two hex words of 288 bits, as it is and mirrored."""
    tracks = [c.appearance for c in candidates if isinstance(c.appearance, FaceTrack)]
    cuts = [t.upright() for t in tracks[:MOST_APPEARANCES]]
    return tuple(mark(one) for cut in cuts for one in (cut, cut[:, ::-1]))


def upright(
    rgb: NDArray[np.uint8], landmarks: NDArray[np.float32], widen: float = WIDEN
) -> NDArray[np.uint8]:
    """Cut a face with its surroundings: (112, 112, 3) uint8. Beyond the picture's edge its edge goes on."""
    matrix = similarity(landmarks) / widen
    centre = (SIDE - 1) / 2
    matrix[:, 2] += centre - centre / widen
    shrink = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if shrink < 0.5:  # average over pixels that would be skipped, around the face alone
        rgb, corner = _around(rgb, matrix)
        matrix[:, 2] += matrix[:, :2] @ corner
        rgb = np.asarray(cv2.resize(rgb, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8)
        matrix[:, :2] /= shrink
    cut = cv2.warpAffine(rgb, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut, np.uint8)


def _around(
    rgb: NDArray[np.uint8], matrix: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Cut out the part of a picture that a matrix maps into the square; give it and its upper left corner."""
    corners = np.array([[0, 0], [SIDE, 0], [0, SIDE], [SIDE, SIDE]], np.float64)
    places = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    limit = (rgb.shape[1] - 2, rgb.shape[0] - 2)
    x0, y0 = np.clip(np.floor(places.min(axis=0)).astype(int) - 1, 0, limit)
    x1, y1 = np.clip(np.ceil(places.max(axis=0)).astype(int) + 1, (x0 + 2, y0 + 2), None)
    return np.ascontiguousarray(rgb[y0:y1, x0:x1]), np.array([x0, y0], np.float64)


def mark(cut: NDArray[np.uint8]) -> str:
    """Give 288 bits of a (112, 112, 3) cut as hex: the signs of its coarse gradients."""
    grey = cv2.GaussianBlur(cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), SMOOTH_PX)
    cells = cv2.resize(grey, (GRID + 1, GRID + 1), interpolation=cv2.INTER_AREA)
    across, down = cells[:-1, 1:] > cells[:-1, :-1], cells[1:, :-1] > cells[:-1, :-1]
    return np.packbits(np.concatenate([across.ravel(), down.ravel()])).tobytes().hex()


CLOSE = 28
"""Pixels a side of a close-up: coarser than JPEG's blocks on a face of 112, finer than an eye."""

CELL = 4
"""Pixels a side of the parts of a close-up that are compared, so that a change of the mouth alone counts."""

CHANGED = 0.03
"""Mean square difference of one part of two close-ups, each of variance 1, from which a face is another one.

Measured 2026-11 on 99 pictures of LFW. Unchanged: JPEG q90 to q20 at most 0.007, one and a half times as
large 0.011, half as large 0.027 (median), darker by a gamma of 0.8 0.016 (median). Changed: another face
cloned in from 0.37, feathered in from 0.13, another mouth alone from 0.042. What is above is looked at.
"""


def close_up(rgb: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> bytes:
    """Cut a face alone, small and grey: CLOSE x CLOSE bytes. It is the subject's own, and kept sealed."""
    cut = upright(rgb, landmarks, widen=1.0)
    grey = cv2.GaussianBlur(cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
    return bytes(cv2.resize(grey, (CLOSE, CLOSE), interpolation=cv2.INTER_AREA).data)


def change(one: bytes, other: bytes) -> float:
    """Say how far the most different parts of two close-ups are apart: 0 for the same, see CHANGED."""
    squares = (_evened(one) - _evened(other)) ** 2
    cells = squares.reshape(CLOSE // CELL, CELL, CLOSE // CELL, CELL).mean(axis=(1, 3))
    return float(cells.max())


def _evened(close: bytes) -> NDArray[np.float64]:
    grey = np.frombuffer(close, np.uint8).astype(np.float64).reshape(CLOSE, CLOSE)
    evened: NDArray[np.float64] = (grey - grey.mean()) / (grey.std() + 1e-6)
    return evened
