"""Is the face of the clip the person's, all the way through?

The faces that were turned into vectors are compared with the mean of the person's sealed samples. What counts
is not the best moment but the worst two seconds, their vectors taken together: somebody who shows another
face for a part of the clip is held against that part. No second of it may be like nobody's, and the clip must
agree with itself, before and after every moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from enrollment.identity.signs import Outcome, Sign
from enrollment.identity.turns import from_neutral

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from enrollment.identity.watched import Watched
    from monitor.ml.interfaces import Thresholds

FACE, SAME_FACE, ALONE, IN_SIGHT = "face", "same_face", "alone", "in_sight"
"""Names of the checks."""

AHEAD_DEG: Final = 12.0
"""Frames turned less than this from neutral are compared: a recogniser is less sure of turned faces."""

WINDOW, LONG = 4, 8
"""Vectors that are taken together: a second, and the two seconds that decide. One frame alone may be blurred,
and a second may be the one in which the head comes back from a turn."""

SURE, WEAK = 1.0, 0.5
"""Parts of the pack's review threshold (0.41). Of the worst two seconds, over SURE it is the person, below
WEAK it is not. Of 14 genuine clips, chosen for the poor seconds that they had, 13 had 0.47 and more and one,
of slow turns, 0.28; a face swap 0.30; another person -0.08; a person who changed half-way -0.08. By the mean
cosine of the worst second, which decided before, 5 of the 13 were in doubt and the slow one was refused
(fr_feature, clips of `likeness bench enrollment`, 2026-11)."""

FLOOR: Final = 0.5
"""Part of it that each second must have by itself: the worst of the 13 had 0.33, which is 0.8 of it. Below,
a person looks, for somebody else may have been there for a second; so at the slow clip, which has less."""

LEAST_AHEAD: Final = 6
"""Vectors of a face that looks ahead, below which nothing can be said: a second and a half."""

ONE, TWO = 1.3, 0.75
"""Parts of the review threshold that the mean vectors of one person before and after a moment reach, and that
two people do not."""

GAP_S, LOST_S = 1.2, 4.0
"""Seconds without a face: from the first a person should look, from the second nobody was there."""

SHARE, LEAST_SHARE = 0.75, 0.4
"""Part of the frames in which the face must be found, in the same way."""

SMALL_PX: Final = 40.0
"""Side of a face below which a recogniser starts to guess (stages/quality.py)."""

OTHERS, MANY_OTHERS = 0.1, 0.5
"""Part of the frames in which a second face may be seen: somebody walks by. From MANY on it is refused."""


def bound(watched: Watched, own: NDArray[np.float32], thresholds: Thresholds) -> tuple[Sign, ...]:
    """Compare the face of a clip with (n, d) vectors of the person, and with itself.

    Signs: `in_sight` (part of the frames with a face), `alone` (part of the frames with a second face),
    `face` (cosine of the worst two seconds) and `same_face` (cosine of before with after, at the worst
    moment). Raises ValueError where there are no samples.
    """
    if not len(own):
        msg = "there is no face to compare with"
        raise ValueError(msg)
    vectors = _ahead(watched, own.shape[1])
    return (in_sight(watched), alone(watched), face(vectors, own, thresholds), same_face(vectors, thresholds))


def in_sight(watched: Watched) -> Sign:
    """Was the face there all the time? Score: in which part of the frames.

    pass `in_sight`; doubt `face_lost_for_a_while`, `face_small`; fail `no_face`.
    """
    share, gap = watched.share, watched.longest_gap_s
    if share < LEAST_SHARE or gap > LOST_S:
        return Sign(IN_SIGHT, Outcome.FAIL, "no_face", share)
    if share < SHARE or gap > GAP_S:
        return Sign(IN_SIGHT, Outcome.DOUBT, "face_lost_for_a_while", share)
    if float(np.median([one.box.height for one in watched.seen])) < SMALL_PX:
        return Sign(IN_SIGHT, Outcome.DOUBT, "face_small", share)
    return Sign(IN_SIGHT, Outcome.PASS, "in_sight", share)


def alone(watched: Watched) -> Sign:
    """Was nobody else there? Score: in which part of the frames somebody was, lower is better.

    pass `alone`; doubt `somebody_passes`; fail `two_faces`.
    """
    others = watched.others
    if others >= MANY_OTHERS:
        return Sign(ALONE, Outcome.FAIL, "two_faces", others)
    if others > OTHERS:
        return Sign(ALONE, Outcome.DOUBT, "somebody_passes", others)
    return Sign(ALONE, Outcome.PASS, "alone", others)


def face(vectors: NDArray[np.float32], own: NDArray[np.float32], thresholds: Thresholds) -> Sign:
    """Is it the person? Score: the cosine of the worst two seconds.

    pass `face_same`; doubt `face_unsure`, `face_seldom_ahead`, `face_other_for_a_second`; fail `face_other`.
    """
    if not len(vectors):
        return Sign(FACE, Outcome.FAIL, "face_other", -1.0)
    review = thresholds.review
    score = _worst(vectors, own, LONG)
    if score < WEAK * review:
        return Sign(FACE, Outcome.FAIL, "face_other", score)
    if len(vectors) < LEAST_AHEAD:
        return Sign(FACE, Outcome.DOUBT, "face_seldom_ahead", score)
    if _worst(vectors, own, WINDOW) < FLOOR * review:
        return Sign(FACE, Outcome.DOUBT, "face_other_for_a_second", score)
    if score < SURE * review:
        return Sign(FACE, Outcome.DOUBT, "face_unsure", score)
    return Sign(FACE, Outcome.PASS, "face_same", score)


def same_face(vectors: NDArray[np.float32], thresholds: Thresholds) -> Sign:
    """Is it one person from first to last? Score: the cosine of before with after at the worst moment.

    pass `one_person`; doubt `perhaps_two_people`; fail `two_people`.
    """
    halves = [
        float(_unit(vectors[:cut].mean(axis=0)) @ _unit(vectors[cut:].mean(axis=0)))
        for cut in range(WINDOW, len(vectors) - WINDOW + 1)
    ]
    score = min(halves, default=1.0)
    if score < TWO * thresholds.review:
        return Sign(SAME_FACE, Outcome.FAIL, "two_people", score)
    if score < ONE * thresholds.review:
        return Sign(SAME_FACE, Outcome.DOUBT, "perhaps_two_people", score)
    return Sign(SAME_FACE, Outcome.PASS, "one_person", score)


def _ahead(watched: Watched, width: int) -> NDArray[np.float32]:
    """Give the vectors of the frames in which the face looks ahead: (n, d), n may be 0."""
    if not watched.embedded:
        return np.zeros((0, width), np.float32)
    yaw, pitch = from_neutral(watched)
    found = [
        one.vector
        for one, y, p in zip(watched.seen, yaw, pitch, strict=True)
        if one.vector is not None and max(abs(y), abs(p)) <= AHEAD_DEG
    ]
    return np.array(found, np.float32).reshape(-1, width)


def _worst(vectors: NDArray[np.float32], own: NDArray[np.float32], size: int) -> float:
    """Give the lowest cosine of `size` neighbours, taken together, with the mean of the samples."""
    mean = _unit(own.mean(axis=0))
    size = min(size, len(vectors))
    starts = range(len(vectors) - size + 1)
    return min(float(_unit(vectors[start : start + size].mean(axis=0)) @ mean) for start in starts)


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), np.float32)
