"""Black frames, frozen pictures and loops are told from a picture that lives."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from enrollment.identity.signs import Outcome
from enrollment.identity.stillness import alive, black, frozen, loop
from enrollment.identity.watched import FRAMES_PER_SECOND, Sight, Watched


def watched(frames: np.ndarray) -> Watched:
    return Watched(tuple(Sight(i / FRAMES_PER_SECOND, frame, 1) for i, frame in enumerate(frames)), ())


def living(seconds: float = 8.0, seed: int = 3, noise: float = 2.0) -> np.ndarray:
    """A picture that sways, with a sensor's noise: (n, 240, 320) uint8."""
    rng = np.random.default_rng(seed)
    scene = cv2.GaussianBlur(rng.integers(0, 255, (300, 380), dtype=np.uint8), (0, 0), 6).astype(np.float32)
    scene = (scene - scene.mean()) * 8 + 120
    total = int(seconds * FRAMES_PER_SECOND)
    way = np.cumsum(rng.normal(0, 1.2, (total, 2)), axis=0)
    way = np.clip(way - way.mean(axis=0), -28, 28)
    frames = []
    for x, y in way:
        matrix = np.array([[1, 0, x - 30], [0, 1, y - 30]])
        moved = cv2.warpAffine(scene, matrix, (320, 240), borderMode=cv2.BORDER_REFLECT)
        frames.append(np.clip(moved + rng.normal(0, noise, moved.shape), 0, 255).astype(np.uint8))
    return np.stack(frames)


def test_a_picture_that_lives_passes_all_three() -> None:
    assert {sign.outcome for sign in alive(watched(living()))} == {Outcome.PASS}


def test_a_dark_room_is_not_black() -> None:
    dark = (living() * 0.12).astype(np.uint8)
    assert black(watched(dark)).outcome is Outcome.PASS


@pytest.mark.parametrize("part", [0.5, 1.0])
def test_black_frames_fail(part: float) -> None:
    frames = living()
    frames[: int(len(frames) * part)] = 2
    sign = black(watched(frames))
    assert (sign.outcome, sign.code) == (Outcome.FAIL, "black_frames")
    assert sign.score == pytest.approx(part, abs=0.02)


def test_no_frames_at_all_fail() -> None:
    assert black(watched(np.zeros((0, 240, 320), np.uint8))).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("seconds", "outcome"), [(0.5, Outcome.PASS), (1.5, Outcome.DOUBT), (3.0, Outcome.FAIL)]
)
def test_a_picture_that_stands_still(seconds: float, outcome: Outcome) -> None:
    frames = living()
    frames[20 : 21 + int(seconds * FRAMES_PER_SECOND)] = frames[20]
    sign = frozen(watched(frames))
    assert sign.outcome is outcome
    assert sign.score == pytest.approx(seconds, abs=0.1)


def test_a_piece_that_comes_again_fails_even_when_it_was_encoded_anew() -> None:
    piece = living(2.0)
    again = np.concatenate([piece] * 4).astype(np.float32)
    again += np.random.default_rng(1).normal(0, 0.7, again.shape)
    sign = loop(watched(np.clip(again, 0, 255).astype(np.uint8)))
    assert (sign.outcome, sign.code) == (Outcome.FAIL, "loop")


def test_a_short_clip_holds_no_loop() -> None:
    assert loop(watched(living(1.0))).score == float("inf")
