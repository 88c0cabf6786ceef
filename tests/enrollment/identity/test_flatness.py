"""A plane that is moved by hand is told from a head by its five points."""

from __future__ import annotations

import pytest

from enrollment.identity.flatness import depth, residual_share
from enrollment.identity.signs import Outcome
from tests.assets.persons import drawn, path

TURNS = ((0, 0, 1), (25, 0, 0.8), (0, 0, 0.6), (0, -15, 0.8), (0, 0, 0.6), (-25, 0, 0.8), (0, 0, 3))


def test_a_head_that_turns_has_depth() -> None:
    sign = depth(drawn(path(*TURNS), jitter=0.5))
    assert (sign.outcome, sign.code) == (Outcome.PASS, "has_depth")
    assert sign.score == pytest.approx(1, abs=0.35)


def test_a_tilted_picture_has_none() -> None:
    tilted = [(yaw * 1.8, pitch * 1.8) for yaw, pitch in path(*TURNS)]
    sign = depth(drawn(tilted, flat=True, jitter=0.5))
    assert sign.outcome is Outcome.FAIL
    assert sign.code == "flat"


def test_a_picture_that_is_held_still_shows_nothing_either_way() -> None:
    sign = depth(drawn(path((0, 0, 4)), flat=True, jitter=0.3))
    assert (sign.outcome, sign.code) == (Outcome.DOUBT, "depth_not_seen")


def test_no_face_shows_nothing() -> None:
    assert depth(drawn([])).code == "depth_not_seen"
    assert residual_share(drawn([])) is None
