"""Lips that follow the voice are told from lips that do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from enrollment.identity.lips import lips
from enrollment.identity.signs import Outcome
from enrollment.identity.watched import Watched
from monitor.ml.lip_motion import MOUTH
from monitor.values import Span
from tests.assets.persons import drawn, path

STEP_S = 0.02
SECONDS = 5.0


def voice(seed: int) -> np.ndarray:
    """How loud somebody is who says six digits: (n,) every 20 ms."""
    rng = np.random.default_rng(seed)
    loud = np.full(int(SECONDS / STEP_S), 0.002, np.float32)
    at = 0.6
    for _ in range(6):
        length = rng.uniform(0.18, 0.45)
        loud[int(at / STEP_S) : int((at + length) / STEP_S)] += rng.uniform(0.05, 0.2)
        at += length + rng.uniform(0.1, 0.35)
    return loud


def speaking(loud: np.ndarray | None, *, late_s: float = 0.0) -> Watched:
    """Somebody whose mouth opens as loud as this, or stays shut."""
    rng = np.random.default_rng(8)
    watched = drawn(path((0, 0, SECONDS)))
    face = rng.normal(0, 1, (160, 160)) * 10 + 140
    seen = []
    for one in watched.seen:
        picture = face + rng.normal(0, 4, face.shape)
        if loud is not None:
            opening = 4 * np.sqrt(np.interp(one.at_s - late_s, np.arange(len(loud)) * STEP_S, loud))
            middle = picture[MOUTH]
            middle[14 : 14 + int(12 * opening)] -= 60
        chip = np.repeat(np.clip(picture, 0, 255)[..., None], 3, axis=-1).astype(np.uint8)
        seen.append(replace(one, chip=chip))
    return replace(watched, seen=tuple(seen))


SPANS = (Span(0.6, 4.0),)


@pytest.mark.parametrize("late_s", [0.0, 0.2, -0.2])
def test_lips_that_follow_pass_even_a_little_early_or_late(late_s: float) -> None:
    sign = lips(speaking(voice(1), late_s=late_s), voice(1), STEP_S, SPANS)
    assert (sign.outcome, sign.code) == (Outcome.PASS, "lips_follow")


def test_a_shut_mouth_is_for_a_person() -> None:
    sign = lips(speaking(None), voice(1), STEP_S, SPANS)
    assert (sign.outcome, sign.code) == (Outcome.DOUBT, "lips_apart")


def test_lips_that_say_something_else_score_lower() -> None:
    own = lips(speaking(voice(1)), voice(1), STEP_S, SPANS)
    others = [lips(speaking(voice(1)), voice(seed), STEP_S, SPANS) for seed in (20, 21, 22, 23)]
    assert max(other.score for other in others) < own.score
    assert sum(other.outcome is Outcome.DOUBT for other in others) >= 3


def test_without_speech_or_face_nothing_is_said() -> None:
    assert lips(speaking(voice(1)), voice(1), STEP_S, ()).code == "lips_not_seen"
    assert lips(drawn([]), voice(1), STEP_S, SPANS).code == "lips_not_seen"


def test_the_same_clip_gets_the_same_answer() -> None:
    assert lips(speaking(voice(2)), voice(3), STEP_S, SPANS) == lips(
        speaking(voice(2)), voice(3), STEP_S, SPANS
    )
