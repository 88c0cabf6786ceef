"""Is it a flat picture, moved by hand?

Between two views of a plane every point moves by one and the same homography; between two views of a head the
nose moves on its own. So the five points of the neutral face are carried onto those of each turned one by the
best homography, and what it cannot explain is compared with what a head turned so far would leave. A print
that is tilted looks hardly turned at all by its five points, so most of them fail in `turns` already; this
check says why, and is there for a print that is bent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from enrollment.identity.pose import FACE
from enrollment.identity.signs import Outcome, Sign
from enrollment.identity.turns import from_neutral

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from enrollment.identity.watched import Watched

CHECK: Final = "depth"

AHEAD_DEG: Final = 6.0
"""Frames this near to neutral make the neutral face."""

TURNED_DEG: Final = 12.0
"""Frames turned further than this are compared with it."""

STRETCHED: Final = 0.25
"""By which part the way between the eyes, or from eyes to mouth, shrinks against the other where a plane is
tilted by 33 degrees: a head that is turned by 15 shows 0.03."""

FLAT, HARDLY = 0.25, 0.55
"""Parts of the residual expected of a head, below which what turned was flat, and below which it may have
been. Genuine clips have 0.7 and more (the README says of how many)."""


def depth(watched: Watched) -> Sign:
    """Say whether what turned has depth. Score: residual as a part of that of a head; 1 is a head, 0 a plane.

    pass `has_depth`; doubt `depth_not_seen` (nothing turned), `perhaps_flat`; fail `flat`.
    """
    score = residual_share(watched)
    if score is None:
        squeezed = squeeze(watched)
        if squeezed > STRETCHED:
            return Sign(CHECK, Outcome.FAIL, "flat", 0.0)
        return Sign(CHECK, Outcome.DOUBT, "depth_not_seen", 0.0)
    if score < FLAT:
        return Sign(CHECK, Outcome.FAIL, "flat", score)
    if score < HARDLY:
        return Sign(CHECK, Outcome.DOUBT, "perhaps_flat", score)
    return Sign(CHECK, Outcome.PASS, "has_depth", score)


def residual_share(watched: Watched) -> float | None:
    """Median over turned frames of residual found / residual expected; None where nothing turned."""
    if not watched.seen:
        return None
    yaw, pitch = from_neutral(watched)
    away = np.maximum(np.abs(yaw), np.abs(pitch))
    points = np.stack([one.landmarks for one in watched.seen]).astype(np.float64)
    if not (away < AHEAD_DEG).any() or not (away > TURNED_DEG).any():
        return None
    ahead = np.median(np.stack([_sized(one) for one in points[away < AHEAD_DEG]]), axis=0)
    shares = [
        residual(ahead, _sized(points[i])) / max(expected(float(yaw[i]), float(pitch[i])), 1e-6)
        for i in np.flatnonzero(away > TURNED_DEG)
    ]
    return float(np.median(shares))


def residual(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """What the best homography of (5, 2) points leaves: root mean square, in the points' own unit."""
    matrix, _ = cv2.findHomography(before, after, 0)
    if matrix is None:
        return 0.0
    carried = cv2.perspectiveTransform(before[:, None], matrix)[:, 0]
    return float(np.sqrt(np.mean(np.sum((carried - after) ** 2, axis=1))))


def expected(yaw_deg: float, pitch_deg: float) -> float:
    """What it leaves of pose.FACE turned by so much, in the same unit."""
    turn, _ = cv2.Rodrigues(np.radians([-pitch_deg, -yaw_deg, 0.0]))
    return residual(_sized(FACE[:, :2]), _sized((FACE @ turn.T)[:, :2]))


def squeeze(watched: Watched) -> float:
    """By how much the face changes its proportions, width against height: largest part, without its extremes.

    A plane that is tilted becomes narrower or lower as a whole, and the nose stays in the middle.
    """
    if not watched.seen:
        return 0.0
    points = np.stack([one.landmarks for one in watched.seen]).astype(np.float64)
    across = np.linalg.norm(points[:, 1] - points[:, 0], axis=1)
    down = np.linalg.norm(points[:, 3:].mean(axis=1) - points[:, :2].mean(axis=1), axis=1)
    shape = np.log(np.maximum(across, 1e-3) / np.maximum(down, 1e-3))
    middle = float(np.median(shape))
    low, high = np.percentile(shape, [4, 96])
    return float(1 - np.exp(-max(high - middle, middle - low)))


def _sized(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centre (5, 2) points and give them size 1."""
    centred = points - points.mean(axis=0)
    return np.asarray(centred / max(float(np.sqrt(np.mean(centred**2))), 1e-6), np.float64)
