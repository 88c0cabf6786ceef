"""An alarm for what chance does not explain, and none for trifles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.stats import poisson

from monitor.budget import Allowance, Dialled
from monitor.drift import State, chance_of, judge, of_alerts, of_scores
from monitor.live_scores import LiveScores
from tests.assets import scores

REVIEW = Dialled(scores.half(), Allowance()).review


def _drift(n: int, mean: float = scores.MEAN, *, seed: int = 3, enrolled: int = 100) -> State:
    live = LiveScores(n, scores.counted(n, mean, below=REVIEW, seed=seed))
    return of_scores("face", scores.calibration(), live, REVIEW, enrolled).state


@given(actual=some.integers(1, 10_000), expected=some.floats(0.001, 10_000))
def test_the_chance_is_the_exact_one(actual: int, expected: float) -> None:
    assert chance_of(actual, expected) == pytest.approx(float(poisson.sf(actual - 1, expected)), abs=1e-12)


def test_strangers_as_expected_are_no_reason() -> None:
    assert {_drift(2_000_000, seed=seed) for seed in range(50)} == {State.OK}


def test_strangers_more_alike_are_one() -> None:
    assert _drift(2_000_000, mean=0.1) is State.ALARM


def test_a_tenth_more_of_very_many_is_a_trifle() -> None:
    assert judge(1_100_000, 1_000_000) is State.OK
    assert judge(1_700_000, 1_000_000) is State.WATCH
    assert judge(2_100_000, 1_000_000) is State.ALARM


def test_twice_as_many_of_very_few_is_chance() -> None:
    assert judge(4, 2.0) is State.OK
    assert judge(2, 0.001) is State.ALARM


def test_fewer_than_expected_is_never_a_reason() -> None:
    assert _drift(2_000_000, mean=-0.1) is State.OK
    assert of_alerts(0, 50.0).state is State.OK


@pytest.mark.parametrize("n", [0, 50_000])
def test_of_too_few_comparisons_it_says_so(n: int) -> None:
    live = LiveScores(n, scores.counted(n, mean=0.2, below=REVIEW))
    found = of_scores("face", scores.calibration(), live, REVIEW, 100)
    assert found.state is State.OK
    assert "too few" in found.sentence


def test_of_a_model_never_measured_nothing_is_expected() -> None:
    found = of_scores("voice", None, LiveScores(10**7, scores.counted(10**7)), 0.5, 100)
    assert (found.state, found.expected) == (State.OK, None)
    assert "never measured" in found.sentence
    assert of_alerts(100, None).state is State.OK


def test_alerts_called_false() -> None:
    assert of_alerts(2, 0.0001).state is State.OK, "one clip and its copy"
    assert of_alerts(12, 1.0).state is State.ALARM
    assert of_alerts(12, 10.0).state is State.OK


def test_the_reference_lies_where_the_counts_are_whole() -> None:
    """With many people enrolled only the nearest are scored: low bins have gaps and are not looked at."""
    n = 50_000_000
    counts = np.array(scores.counted(n, below=REVIEW))
    counts[: int(0.28 * 50)] = 10 * counts[: int(0.28 * 50)]
    live = LiveScores(n, tuple(map(int, counts)))
    assert of_scores("face", scores.calibration(), live, REVIEW, 5_000).state is State.OK
    full = replace(live, counts=tuple(3 * count for count in live.counts))
    assert of_scores("face", scores.calibration(), full, REVIEW, 5_000).state is State.ALARM
