"""Were the asked turns done, in the asked order? Read off the pose of the head, from its own neutral."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from enrollment.identity.signs import Outcome, Sign

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from enrollment.identity.watched import Watched

CHECK: Final = "turns"


class Turn(StrEnum):
    """A turn of the head, from the person's own side: LEFT is to their left."""

    LEFT = "left"
    RIGHT = "right"
    UP = "up"
    DOWN = "down"


MIRRORED: Final = {Turn.LEFT: Turn.RIGHT, Turn.RIGHT: Turn.LEFT, Turn.UP: Turn.UP, Turn.DOWN: Turn.DOWN}
"""What a mirrored picture shows. Browsers record unmirrored; some phones' own recorders do not."""

FULL_YAW, FULL_PITCH = 15.0, 8.0
"""Degrees from neutral from which a turn counts. People asked to turn the head turn by 25 and more; while
reading from a screen and speaking they stay within some 7. Nods are read at half their size (see pose.py),
and a print that is tilted forwards may read as one: no challenge is of nods alone (draw.py)."""

SLIGHT: Final = 0.65
"""Part of those from which a slight turn counts: done slightly, a challenge goes to a person."""

BACK: Final = 0.5
"""A turn ends below this part of where it began: hysteresis, so that one turn is not counted twice."""

LEAST_S: Final = 0.15
"""A shorter turn is a slip of the points, not of a head."""

SMOOTH: Final = 3
"""Frames whose median is taken: one frame with points gone astray changes nothing."""

NEUTRAL_SHARE: Final = 0.35
"""Between turns and while speaking people look ahead: the narrowest range that holds this part of all frames
is around their neutral pose."""


@dataclass(frozen=True, slots=True)
class Move:
    """One turn that was seen: which, when, and how far at most, in degrees from neutral."""

    turn: Turn
    start_s: float
    end_s: float
    reach_deg: float


def turns_done(watched: Watched, asked: Sequence[Turn]) -> Sign:
    """Compare the turns seen with those asked. Score: how many of the asked were done in order, in [0, 1].

    pass `turns_done`; doubt `turns_slight`, `turns_mirrored`, `turns_extra`; fail `turns_missing` (none at
    all), `turns_wrong`. Raises ValueError when nothing was asked.
    """
    if not asked:
        msg = "no turn was asked for"
        raise ValueError(msg)
    full = [move.turn for move in moves(watched)]
    slight = [move.turn for move in moves(watched, SLIGHT)]
    score = _in_order(asked, full) / len(asked)
    mirrored = [MIRRORED[turn] for turn in asked]
    if full == list(asked):
        return Sign(CHECK, Outcome.PASS, "turns_done", 1.0)
    if slight == list(asked):
        return Sign(CHECK, Outcome.DOUBT, "turns_slight", score)
    if mirrored != list(asked) and mirrored in (full, slight):
        return Sign(CHECK, Outcome.DOUBT, "turns_mirrored", score)
    if any(_but_one(seen, list(asked)) for seen in (full, slight)):
        return Sign(CHECK, Outcome.DOUBT, "turns_extra", score)
    return Sign(CHECK, Outcome.FAIL, "turns_wrong" if slight else "turns_missing", score)


def moves(watched: Watched, part: float = 1.0) -> tuple[Move, ...]:
    """Give the turns of a clip, in order of time; `part` scales the degrees from which a turn counts."""
    if len(watched.seen) < SMOOTH:
        return ()
    yaw, pitch = from_neutral(watched)
    reach = np.stack([yaw / FULL_YAW, pitch / FULL_PITCH]) / part
    return tuple(_moves(watched.times, reach, part))


def from_neutral(watched: Watched) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Yaw and pitch in degrees away from the person's neutral pose, smoothed: two (n,) arrays."""
    yaw = _smooth(np.array([one.pose.yaw_deg for one in watched.seen]))
    pitch = _smooth(np.array([one.pose.pitch_deg for one in watched.seen]))
    return yaw - neutral(yaw), pitch - neutral(pitch)


def neutral(angles: NDArray[np.float64]) -> float:
    """Give the middle of the narrowest range that holds NEUTRAL_SHARE of the angles."""
    ordered = np.sort(angles)
    count = max(1, round(NEUTRAL_SHARE * len(ordered)))
    widths = ordered[count - 1 :] - ordered[: len(ordered) - count + 1]
    start = int(np.argmin(widths))
    return float(np.median(ordered[start : start + count]))


def _moves(times: NDArray[np.float64], reach: NDArray[np.float64], part: float) -> Iterator[Move]:
    """Walk through (2, n) reaches: a turn begins at 1 on its axis and ends below BACK."""
    start = axis = side = -1
    for now in range(reach.shape[1] + 1):
        over = now < reach.shape[1]
        if start >= 0 and (not over or reach[axis, now] * side < BACK):
            long_enough = times[now - 1] - times[start] >= LEAST_S
            if long_enough:
                yield _move(times, reach[:, start:now], (start, now - 1), axis, part)
            start = -1
        if over and start < 0:
            axis = int(np.argmax(np.abs(reach[:, now])))
            if abs(reach[axis, now]) >= 1.0:
                start, side = now, 1 if reach[axis, now] > 0 else -1


def _move(
    times: NDArray[np.float64], reach: NDArray[np.float64], ends: tuple[int, int], axis: int, part: float
) -> Move:
    """Name one move by the axis on which it reached furthest."""
    furthest = np.abs(reach).max(axis=1)
    main = int(np.argmax(furthest)) if furthest.max() > furthest[axis] else axis
    peak = reach[main, int(np.argmax(np.abs(reach[main])))]
    named = ((Turn.RIGHT, Turn.LEFT), (Turn.DOWN, Turn.UP))[main][int(peak > 0)]
    degrees = abs(float(peak)) * (FULL_YAW, FULL_PITCH)[main] * part
    return Move(named, float(times[ends[0]]), float(times[ends[1]]), degrees)


def _smooth(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    padded = np.pad(angles, SMOOTH // 2, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, SMOOTH), axis=-1)


def _in_order(asked: Sequence[Turn], seen: Sequence[Turn]) -> int:
    """Count how many of the asked turns come in order among those seen."""
    done = 0
    for turn in seen:
        done += done < len(asked) and turn is asked[done]
    return done


def _but_one(seen: list[Turn], asked: list[Turn]) -> bool:
    """Say whether dropping one of the turns seen leaves those asked: a look aside, an afterthought."""
    return any(seen[:i] + seen[i + 1 :] == asked for i in range(len(seen)))
