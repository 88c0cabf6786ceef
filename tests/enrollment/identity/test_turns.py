"""Were the asked turns done, in the asked order?"""

from __future__ import annotations

import pytest

from enrollment.identity.signs import Outcome
from enrollment.identity.turns import Turn, moves, turns_done
from tests.assets.persons import drawn, path

L, R, U, D = Turn.LEFT, Turn.RIGHT, Turn.UP, Turn.DOWN
AHEAD = (0, 0, 0.6)
WHERE = {L: (25, 0), R: (-25, 0), U: (0, 15), D: (0, -15)}


def turning(*turns: Turn, size: float = 1.0, seconds: float = 0.6, neutral: tuple[float, float] = (0, 0)):  # noqa: ANN201 - a Watched
    """Somebody turns like this, then looks ahead for three seconds."""
    steps = [AHEAD]
    for turn in turns:
        yaw, pitch = WHERE[turn]
        steps += [(yaw * size, pitch * size, seconds), (0, 0, seconds)]
    poses = path(*steps, (0, 0, 3))
    return drawn([(yaw + neutral[0], pitch + neutral[1]) for yaw, pitch in poses], jitter=0.4)


@pytest.mark.parametrize("asked", [(L, R, U), (R, D, R), (U, L, D), (D, U, L), (L, R, L)])
def test_turns_in_the_asked_order_pass(asked: tuple[Turn, ...]) -> None:
    sign = turns_done(turning(*asked), asked)
    assert (sign.outcome, sign.code, sign.score) == (Outcome.PASS, "turns_done", 1.0)


@pytest.mark.parametrize("seconds", [0.35, 1.5])
def test_fast_and_slow_turns_pass(seconds: float) -> None:
    assert turns_done(turning(L, U, R, seconds=seconds), (L, U, R)).outcome is Outcome.PASS


@pytest.mark.parametrize("neutral", [(8, 0), (-6, 10), (0, -12)])
def test_a_face_that_does_not_read_as_straight_ahead_is_measured_from_its_own_neutral(
    neutral: tuple[float, float],
) -> None:
    assert turns_done(turning(L, D, R, neutral=neutral), (L, D, R)).outcome is Outcome.PASS


def test_straight_from_left_to_right_is_two_turns() -> None:
    watched = drawn(path(AHEAD, (25, 0, 0.7), (-25, 0, 0.7), (0, 0, 3)))
    assert [move.turn for move in moves(watched)] == [L, R]


@pytest.mark.parametrize(
    ("done", "asked"),
    [((R, L, U), (L, U, R)), ((L, R, U), (L, U, R)), ((L, L, L), (L, R, L)), ((L, U), (L, U, R))],
)
def test_another_order_fails(done: tuple[Turn, ...], asked: tuple[Turn, ...]) -> None:
    sign = turns_done(turning(*done), asked)
    assert (sign.outcome, sign.code) == (Outcome.FAIL, "turns_wrong")
    assert sign.score < 1


def test_no_turn_at_all_fails() -> None:
    sign = turns_done(turning(), (L, R, U))
    assert (sign.outcome, sign.code, sign.score) == (Outcome.FAIL, "turns_missing", 0.0)


def test_a_clip_without_a_face_fails() -> None:
    assert turns_done(drawn([]), (L,)).code == "turns_missing"


@pytest.mark.parametrize(
    ("done", "asked", "code"),
    [((R, U, L), (L, U, R), "turns_mirrored"), ((L, U, R, L), (L, U, R), "turns_extra")],
)
def test_a_mirrored_clip_and_a_turn_too_many_are_for_a_person(
    done: tuple[Turn, ...], asked: tuple[Turn, ...], code: str
) -> None:
    sign = turns_done(turning(*done), asked)
    assert (sign.outcome, sign.code) == (Outcome.DOUBT, code)


def test_slight_turns_are_for_a_person() -> None:
    sign = turns_done(turning(L, R, L, size=0.5), (L, R, L))
    assert (sign.outcome, sign.code) == (Outcome.DOUBT, "turns_slight")


def test_one_frame_gone_astray_is_no_turn() -> None:
    poses = path((0, 0, 3))
    poses[10] = (40, 0)
    assert moves(drawn(poses)) == ()


def test_nothing_asked_is_refused() -> None:
    with pytest.raises(ValueError, match="no turn"):
        turns_done(turning(L), ())
