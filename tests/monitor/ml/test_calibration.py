"""What a score means: read off where the truth is known, drawn on with care, and refused where it is none."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from math import log10
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import norm

from monitor.errors import ConfigError
from monitor.ml.calibrating import (
    BINS,
    MIDDLES,
    STARTS,
    Measured,
    Scored,
    fit,
    fit_line,
    fit_tail,
    places_of,
    score_people,
)
from monitor.ml.calibration import (
    ALERT_FMR,
    MOST_LLR,
    REVIEW_TIMES,
    Calibration,
    least_of,
    read_calibration,
    shipped,
    thresholds_at,
    write_calibration,
)
from monitor.values import Modality

if TYPE_CHECKING:
    from pathlib import Path

MEASURED = Measured(Modality.FACE, "fake@1/none", "made", "2026-11-23", "abc")

MADE = Calibration(
    Modality.FACE,
    "fake@1/none",
    "made",
    "2026-11-23",
    100,
    500,
    9000,
    scale=20.0,
    offset=-8.0,
    tail=((-1.0, 0.0), (0.0, -0.3), (0.2, -2.0), (0.4, -4.0), (0.8, -8.0)),
)


def histogram(scores: np.ndarray) -> np.ndarray:
    return np.bincount(places_of(scores.astype(np.float32)), minlength=BINS).astype(float)


def bell(mean: float, spread: float, whole: float) -> np.ndarray:
    """A histogram without luck: a normal distribution that sums to `whole`."""
    share = norm.pdf(MIDDLES, mean, spread)
    return share / share.sum() * whole


def scored(genuine: np.ndarray, impostor: np.ndarray, pairs: int = 10**6) -> Scored:
    return Scored(1000, genuine, impostor, impostor, pairs, pairs)


def people(count: int, pictures: int, seed: int, noise: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of length 1 around a direction for each of some people."""
    rng = np.random.default_rng(seed)
    persons = np.repeat(np.arange(count), pictures)
    vectors = rng.normal(size=(count, 64))[persons] + rng.normal(size=(len(persons), 64)) * noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), persons


def test_the_true_likelihood_ratio_is_found() -> None:
    """Two normal distributions of one spread have a straight log-likelihood ratio, known in advance."""
    spread, low, high = 0.1, 0.1, 0.4
    scale, offset = fit_line(scored(bell(high, spread, 500), bell(low, spread, 1e5)))
    assert scale == pytest.approx((high - low) / spread**2, rel=0.01)
    assert -offset / scale == pytest.approx((high + low) / 2, abs=0.002)


def test_classes_weigh_the_same_however_many_pairs_each_has() -> None:
    few = fit_line(scored(bell(0.4, 0.1, 5), bell(0.1, 0.1, 1e7)))
    many = fit_line(scored(bell(0.4, 0.1, 1e7), bell(0.1, 0.1, 5)))
    assert few == pytest.approx(many, rel=1e-3)


def test_classes_that_do_not_overlap_make_no_certainty_of_few_pairs() -> None:
    scale, offset = fit_line(scored(bell(0.8, 0.01, 10), bell(0.0, 0.01, 45), pairs=18))
    assert 1 / (1 + np.exp(-(scale * 0.8 + offset))) == pytest.approx(0.95, abs=0.01)


def test_one_person_with_a_hundred_pictures_counts_once() -> None:
    vectors, persons = people(30, 2, 0)
    rng = np.random.default_rng(1)
    crowd = rng.normal(size=64) + rng.normal(size=(100, 64)) * 3
    crowd /= np.linalg.norm(crowd, axis=1, keepdims=True)
    found = score_people(np.vstack([vectors, crowd.astype(np.float32)]), np.append(persons, [30] * 100))
    assert (found.people, found.genuine_pairs) == (31, 30 + 4950)
    assert found.genuine.sum() == pytest.approx(31)
    assert found.impostor.sum() == pytest.approx(31 * 30 / 2)
    assert found.nearest.sum() == 31 * 30 / 2
    assert found.genuine[places_of(np.float32(0.5)) :].sum() > 25


def test_blocks_give_what_a_loop_over_all_pairs_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """The brute-force twin of the histograms."""
    monkeypatch.setattr("monitor.ml.calibrating.ROWS", 7)
    vectors, persons = people(9, 3, 2)
    order = np.random.default_rng(3).permutation(27)
    vectors, persons = vectors[order], persons[order]
    sources = np.where(np.arange(27) < 20, np.arange(27), 99 + persons)
    found = score_people(vectors, persons, sources)
    genuine, impostor, nearest = np.zeros(BINS), np.zeros(BINS), {}
    of_person: dict[int, list[int]] = {}
    for i in range(27):
        for j in range(i + 1, 27):
            place = int(places_of(vectors[i] @ vectors[j]))
            if persons[i] != persons[j]:
                impostor[place] += 1 / 9
                pair = tuple(sorted((persons[i], persons[j])))
                nearest[pair] = max(nearest.get(pair, 0), place)
            elif sources[i] != sources[j]:
                of_person.setdefault(persons[i], []).append(place)
    for places in of_person.values():
        np.add.at(genuine, places, 1 / len(places))
    near = np.bincount(list(nearest.values()), minlength=BINS)
    for one, other in ((found.genuine, genuine), (found.impostor, impostor), (found.nearest, near)):
        # a score on the edge of a bin may fall to either side of it
        np.testing.assert_allclose(one.cumsum(), other.cumsum(), atol=1.001)
        assert np.abs(one.cumsum() - other.cumsum()).mean() < 1e-3
    assert found.genuine_pairs == sum(map(len, of_person.values()))


def test_a_vector_that_is_no_number_is_refused() -> None:
    vectors, persons = people(3, 2, 0)
    vectors[1, 5] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        score_people(vectors, persons)


def test_the_tail_falls_and_agrees_with_what_is_counted() -> None:
    strangers = bell(0.1, 0.08, 1e6)
    tail, measured_to = fit_tail(scored(strangers, strangers))
    assert all(x0 < x1 and y0 > y1 for (x0, y0), (x1, y1) in pairwise(tail))
    found = replace(MADE, tail=tail)
    assert measured_to == pytest.approx(1e-5, rel=0.1)
    for rate in (0.3, 1e-2, 1e-3, 1e-4, 3e-5):
        assert found.score_at(rate) == pytest.approx(norm.isf(rate, 0.1, 0.08), abs=0.003)
        assert found.fmr(found.score_at(rate)) == pytest.approx(rate, rel=1e-6)


def test_beyond_what_was_counted_strangers_are_overestimated() -> None:
    """The tail of a normal distribution falls faster than any straight line, and ours must lie above it."""
    strangers = bell(0.1, 0.08, 1e6)
    found = replace(MADE, tail=fit_tail(scored(strangers, strangers))[0])
    for score in np.arange(0.46, 0.9, 0.02):
        assert found.fmr(float(score)) >= norm.sf(score, 0.1, 0.08)
    assert found.score_at(1e-8) > norm.isf(1e-8, 0.1, 0.08)


def test_an_exponential_tail_is_followed_three_decades_on() -> None:
    """The upper bound of its slope costs less than a factor of three there."""
    drawn = np.random.default_rng(5).exponential(0.03, 200_000)
    strangers = histogram(drawn)
    found = replace(MADE, tail=fit_tail(scored(strangers, strangers))[0])
    truth = 0.03 * np.log(1e7)
    assert 1e-7 / 1.5 < found.fmr(truth) < 1e-7 * 10


def test_people_never_seen_are_promised_what_comes() -> None:
    for seed in range(4):
        half, other = (score_people(*people(120, 3, 10 * seed + turn)) for turn in (1, 2))
        promised = fit(half, MEASURED)
        for rate in (1e-2, 3e-3):
            place = int(np.searchsorted(STARTS, promised.score_at(rate)))
            counted = other.impostor[place:].sum() / other.impostor.sum()
            assert 0.5 < rate / counted < 2


def test_too_few_people_are_refused_with_how_many_it_takes() -> None:
    with pytest.raises(ConfigError) as caught:
        fit(score_people(*people(19, 3, 0)), MEASURED)
    assert "20 people" in caught.value.hint


def test_people_with_one_picture_each_are_refused() -> None:
    with pytest.raises(ConfigError, match="0 of them with two"):
        fit(score_people(*people(50, 1, 0)), MEASURED)


def test_labels_that_mean_nothing_are_refused() -> None:
    low = scored(bell(0.1, 0.1, 100), bell(0.4, 0.1, 1e5))
    with pytest.raises(ConfigError, match="no higher"):
        fit_line(low)


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_what_is_no_number_has_no_meaning(score: float) -> None:
    for reading in (MADE.llr, MADE.probability, MADE.fmr):
        with pytest.raises(ValueError, match="no cosine"):
            reading(score)


def test_an_impossible_rate_or_prior_is_refused() -> None:
    for rate in (0.0, -1.0, 1.5, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            MADE.score_at(rate)
    with pytest.raises(ValueError, match="prior"):
        MADE.probability(0.4, prior=1.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": 0.0},
        {"offset": float("nan")},
        {"tail": ((0.0, -1.0),)},
        {"tail": ((0.0, -1.0), (0.1, -0.5))},
        {"tail": ((0.1, -1.0), (0.1, -2.0))},
    ],
)
def test_a_calibration_that_makes_no_sense_does_not_exist(wrong: dict) -> None:
    with pytest.raises(ValueError, match="no calibration"):
        replace(MADE, **wrong)


def test_scores_read_as_they_should() -> None:
    assert MADE.llr(0.4) == pytest.approx(0.0)
    assert MADE.probability(0.4) == pytest.approx(0.5)
    assert MADE.probability(0.4, prior=0.01) == pytest.approx(0.01)
    assert (replace(MADE, scale=200.0).llr(1.0), replace(MADE, scale=200.0).llr(-1.0)) == (
        MOST_LLR,
        -MOST_LLR,
    )
    assert log10(MADE.fmr(0.3)) == pytest.approx(-3.0)
    assert log10(MADE.fmr(0.9)) == pytest.approx(-9.0)
    assert MADE.fmr(-1.0) == 1.0
    assert MADE.score_at(1e-9) == pytest.approx(0.9)
    assert MADE.score_at(1e-12) == 1.0
    assert MADE.score_at(1.0) == -1.0


def test_thresholds_follow_the_budget_and_never_go_below_the_least() -> None:
    usual = thresholds_at(MADE)
    assert usual.alert == pytest.approx(MADE.score_at(ALERT_FMR))
    assert usual.review == pytest.approx(MADE.score_at(ALERT_FMR * REVIEW_TIMES))
    assert (usual.model_id, usual.people) == (MADE.model_id, 100)
    assert usual.source == "made, 2026-11-23: 100 people, 500 pairs of one person, 9,000 of two"
    floored = thresholds_at(replace(MADE, least=(0.9, 0.45)))
    assert (floored.alert, floored.review) == (0.9, 0.45)
    with pytest.raises(ValueError, match="more strangers"):
        thresholds_at(MADE, 1e-3, 1e-4)


def test_the_voice_recogniser_keeps_the_floor_that_telephones_ask_for() -> None:
    assert least_of("campplus@92f2/fbank80-cmn") == (0.62, 0.50)
    assert least_of("else@1/x") == (-1.0, -1.0)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "faces.json"
    write_calibration(path, MADE)
    assert read_calibration(path) == MADE
    assert [one.name for one in path.parent.iterdir()] == ["faces.json"]


@pytest.mark.parametrize("change", [{"scale": "NaN"}, {"tail": [[0, 0]]}, {"people": None, "more": 1}])
def test_a_file_that_was_tampered_with_is_refused(tmp_path: Path, change: dict) -> None:
    path = tmp_path / "faces.json"
    write_calibration(path, MADE)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ConfigError, match="no calibration"):
        read_calibration(path)


def test_what_comes_with_the_program_names_its_data_and_holds_nobody() -> None:
    assert {(one.modality, one.model_id.partition("@")[0]) for one in shipped()} == {
        (Modality.FACE, "fr_feature"),
        (Modality.FACE, "edgeface_xs"),
        (Modality.VOICE, "campplus"),
    }
    for one in shipped():
        assert one.date
        assert one.made_of
        assert one.people > 100
        assert len(one.tail) < 40
        usual = thresholds_at(one)
        assert 0.3 < usual.review < usual.alert < 0.8
