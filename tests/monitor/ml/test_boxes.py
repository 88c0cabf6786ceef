"""One face found at several places: the best box stays, and all of them vote for the points."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.ml.boxes import Found, vote

MAX_OVERLAP = 0.3


def found(*rows: tuple[float, float, float]) -> Found:
    """Rows of (left edge of a 100 px box, where all its points lie, score)."""
    boxes = np.array([[x, 0, x + 100, 100] for x, _, _ in rows], np.float32).reshape(-1, 4)
    points = np.array([np.full((5, 2), at) for _, at, _ in rows], np.float32).reshape(-1, 5, 2)
    return Found(boxes, points, np.array([score for _, _, score in rows], np.float32))


def test_the_points_are_the_mean_by_score_and_the_box_is_the_best() -> None:
    voted = vote(found((0, 10, 0.9), (4, 20, 0.3)), MAX_OVERLAP, 0.5)
    assert voted.boxes.tolist() == [[0, 0, 100, 100]]
    assert voted.landmarks[0, 0, 0] == pytest.approx((10 * 0.9 + 20 * 0.3) / 1.2)
    assert voted.scores.tolist() == pytest.approx([0.9])


def test_a_box_that_only_touches_has_no_vote_and_is_no_face_of_its_own() -> None:
    voted = vote(found((0, 10, 0.9), (45, 30, 0.8)), MAX_OVERLAP, 0.5)  # they share 38 % of their union
    assert voted.landmarks[:, 0, 0].tolist() == pytest.approx([10])


def test_two_faces_vote_apart() -> None:
    voted = vote(found((0, 10, 0.9), (300, 310, 0.8), (2, 12, 0.9), (302, 314, 0.8)), MAX_OVERLAP, 0.5)
    assert voted.landmarks[:, 0, 0].tolist() == pytest.approx([11, 312])


def test_two_faces_cheek_by_cheek_stay_two_and_vote_apart() -> None:
    voted = vote(found((0, 30, 0.9), (45, 90, 0.8)), MAX_OVERLAP, 0.5)  # boxes that share 38 % of their union
    assert voted.landmarks[:, 0, 0].tolist() == pytest.approx([30, 90])


def test_a_find_with_its_points_elsewhere_has_no_vote() -> None:
    voted = vote(found((0, 10, 0.9), (4, 35, 0.8)), MAX_OVERLAP, 0.5)
    assert voted.landmarks[:, 0, 0].tolist() == pytest.approx([10])


def test_voters_alone_are_no_face() -> None:
    voted = vote(found((0, 10, 0.4), (2, 12, 0.45)), MAX_OVERLAP, 0.5)
    assert voted.landmarks.shape == (0, 5, 2)


def test_nothing_found_is_nobody() -> None:
    assert vote(found(), MAX_OVERLAP, 0.5).boxes.shape == (0, 4)
