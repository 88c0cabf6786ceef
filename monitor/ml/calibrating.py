"""Fits a calibration to the scores of labelled people. Only histograms of scores are kept, never vectors.

Every person counts as much as any other, and so does every pair of people, however many pictures there are
of them: in LFW one man has two thirds of all genuine pairs and takes part in a third of the impostor pairs,
and what holds for him holds for nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import minimize

from monitor.errors import ConfigError
from monitor.ml.calibration import Calibration, least_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.values import Modality

BINS: Final = 20_000
"""Bins of a histogram of cosines from -1 to 1: 0.0001 each, a hundredth of what moves a threshold."""

ROWS: Final = 512
"""Rows of the score matrix computed at once; bounds memory."""

LEAST_PEOPLE: Final = 20
"""With fewer there are not 200 pairs of people, and no tail to speak of."""

LEAST_GENUINE: Final = 5
"""People with two samples or more: with fewer, the genuine half of the curve is a matter of luck."""

COUNTED: Final = 10
"""Pairs of people of whom a score lies beyond the last point of the tail: it is then known to a third."""

TAIL: Final = 100
"""Pairs of people that the line beyond the last point is fitted on: its slope is then known to a tenth."""

ONE_SIDED: Final = 1.645
"""Standard errors to the upper bound that 95 % of measurements stay under."""

FURTHEST: Final = -8.0
"""log10 of the false match rate to which the tail is drawn."""

BODY: Final = (0.999, 0.99, 0.9, 0.75, 0.5)
"""Shares of strangers at the first points of the tail; quarters of a decade follow."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Histograms of the scores of labelled people: (BINS,) float64 each, bin i from i / 10,000 - 1 on.

    `genuine` sums to the number of people with two samples or more, `impostor` and `nearest` to the number of
    pairs of people: the first spreads a pair over all its scores, the second has the highest of each.
    `genuine_pairs` and `impostor_pairs` are how many pairs of samples were compared.
    """

    people: int
    genuine: NDArray[np.float64]
    impostor: NDArray[np.float64]
    nearest: NDArray[np.float64]
    genuine_pairs: int
    impostor_pairs: int


def score_people(
    vectors: NDArray[np.float32], persons: NDArray[np.int64], sources: NDArray[np.int64] | None = None
) -> Scored:
    """Compare all samples with all: `vectors` (n, d) of length 1, `persons` (n,) numbers.

    Samples of one number in `sources` (n,) are the same picture or the same words and are not compared.
    Raises ValueError for a vector that is not finite.
    """
    if not np.isfinite(vectors).all():
        msg = "a vector is not finite"
        raise ValueError(msg)
    order = np.argsort(persons, kind="stable")
    vectors, people = vectors[order], np.unique(persons[order], return_inverse=True)[1]
    sources = np.arange(len(people)) if sources is None else sources[order]
    samples = np.bincount(people)
    genuine, impostor = np.zeros(BINS), np.zeros(BINS)
    best = np.full((len(samples), len(samples)), -1, np.int16)
    counts = [0, 0]
    for start in range(0, len(vectors), ROWS):
        rows = np.arange(start, min(start + ROWS, len(vectors)))
        places = places_of(vectors[rows] @ vectors.T)
        upper = rows[:, None] < np.arange(len(vectors))[None]
        same = people[rows, None] == people[None]
        other = upper & ~same
        own = same & upper & (sources[rows, None] != sources[None])
        genuine += _spread(places, own, people[rows], _pairs_of(people, sources))
        impostor += np.bincount(
            places[other], (1 / np.outer(samples[people[rows]], samples[people]))[other], BINS
        )
        _note_best(best, np.where(other, places, -1), people[rows], people)
        counts = [counts[0] + int(own.sum()), counts[1] + int(other.sum())]
    nearest = np.bincount(best[best >= 0], minlength=BINS).astype(np.float64)
    return Scored(len(samples), genuine, impostor, nearest, *counts)


def _spread(
    places: NDArray[np.int64], own: NDArray[np.bool_], people: NDArray[np.int64], pairs: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Histogram of the genuine pairs of some rows, in which all pairs of a person weigh 1 together."""
    weights = np.broadcast_to(1 / np.maximum(pairs[people], 1)[:, None], own.shape)
    spread: NDArray[np.float64] = np.bincount(places[own], weights[own], BINS).astype(np.float64)
    return spread


def _pairs_of(people: NDArray[np.int64], sources: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the genuine pairs of each person: (people,)."""
    samples = np.bincount(people)
    pairs: NDArray[np.int64] = samples * (samples - 1) // 2
    _, first, copies = np.unique(sources, return_index=True, return_counts=True)
    np.subtract.at(pairs, people[first], copies * (copies - 1) // 2)
    return pairs


def _note_best(
    best: NDArray[np.int16], places: NDArray[np.int64], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> None:
    """Raise the highest bin of each pair of people, (people, people), by some rows. Both are in order."""
    first_columns = np.flatnonzero(np.diff(columns, prepend=-1))
    first_rows = np.flatnonzero(np.diff(rows, prepend=-1))
    highest = np.maximum.reduceat(np.maximum.reduceat(places, first_columns, axis=1), first_rows, axis=0)
    some = slice(int(rows[0]), int(rows[-1]) + 1)
    best[some] = np.maximum(best[some], highest)


def places_of(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Say in which bin each cosine falls."""
    places: NDArray[np.int64] = np.clip((scores + 1) * (BINS // 2), 0, BINS - 1).astype(np.int64)
    return places


MIDDLES: Final = (np.arange(BINS) + 0.5) * 2 / BINS - 1
"""The cosine in the middle of each bin."""

STARTS: Final = np.arange(BINS) * 2 / BINS - 1
"""The cosine at which each bin begins."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured, on what and when; `made_of` as `digest_of_names` gives it."""

    modality: Modality
    model_id: str
    data_set: str
    date: str
    made_of: str = ""


def fit(scored: Scored, measured: Measured) -> Calibration:
    """Fit line and tail. Raises ConfigError when there are too few people to say anything."""
    with_several = round(float(scored.genuine.sum()))
    if scored.people < LEAST_PEOPLE or with_several < LEAST_GENUINE:
        msg = f"{scored.people} people, {with_several} of them with two samples, are too few to calibrate on"
        hint = f"At least {LEAST_PEOPLE} people, {LEAST_GENUINE} of them with two samples; take hundreds."
        raise ConfigError(msg, hint=hint)
    scale, offset = fit_line(scored)
    tail, measured_to = fit_tail(scored)
    return Calibration(
        measured.modality,
        measured.model_id,
        measured.data_set,
        measured.date,
        scored.people,
        scored.genuine_pairs,
        scored.impostor_pairs,
        round(scale, 4),
        round(offset, 4),
        tail,
        measured_to,
        least_of(measured.model_id),
        made_of=measured.made_of,
    )


def fit_line(scored: Scored) -> tuple[float, float]:
    """Fit scale and offset of the log-likelihood ratio by logistic regression, both classes weighing alike.

    The targets are Platt's ("Probabilistic outputs for support vector machines", 1999): where the classes do
    not overlap, few pairs then do not make a certainty.
    """
    used = np.flatnonzero(scored.genuine + scored.impostor)
    x = MIDDLES[used]
    yes = scored.genuine[used] / scored.genuine.sum() / 2
    no = scored.impostor[used] / scored.impostor.sum() / 2
    high, low = (scored.genuine_pairs + 1) / (scored.genuine_pairs + 2), 1 / (scored.impostor_pairs + 2)
    towards, away = yes * high + no * low, yes * (1 - high) + no * (1 - low)

    def cost(line: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        llr = line[0] * x + line[1]
        worth = towards @ np.logaddexp(0, -llr) + away @ np.logaddexp(0, llr)
        slope = (towards + away) / (1 + np.exp(-np.clip(llr, -500, 500))) - towards
        return float(worth), np.array([slope @ x, slope.sum()])

    found = minimize(cost, np.array([20.0, -5.0]), jac=True, method="BFGS", options={"gtol": 1e-9}).x
    if not found[0] > 0:
        msg = "pairs of one person score no higher than pairs of two"
        raise ConfigError(msg, hint="Are the folders really one per person? Is the pack the right one?")
    return float(found[0]), float(found[1])


def fit_tail(scored: Scored) -> tuple[tuple[tuple[float, float], ...], float]:
    """Read off how many strangers reach a cosine, and draw that on; give points and the last counted rate.

    The counted points end where COUNTED pairs of people have a score beyond. From there on the tail is taken
    for exponential, a straight line in the logarithm (peaks over a threshold with shape 0: Pickands,
    "Statistical inference using extreme order statistics", 1975). Its slope is that of the TAIL highest pairs
    of people, at the upper bound of its scale, so that strangers are rather over- than underestimated.
    """
    rates = np.cumsum(scored.impostor[::-1])[::-1] / scored.impostor.sum()
    people = np.cumsum(scored.nearest[::-1])[::-1]
    last = _last_over(people, COUNTED)
    points = [(-1.0, 0.0)]
    for rate in (*BODY, *10 ** np.arange(-0.5, np.log10(rates[last]) + 0.1, -0.25), rates[last]):
        score = float(STARTS[_last_over(rates, rate)])
        if score > points[-1][0]:
            points.append((round(score, 4), round(float(np.log10(rate)), 4)))
    score, level = points[-1]
    start = _last_over(people, min(TAIL, people[0] / 10))
    above = scored.impostor[start:]
    scale = float(above @ (MIDDLES[start:] - STARTS[start]) / above.sum())
    scale *= 1 + ONE_SIDED / np.sqrt(people[start])
    end = score + (level - FURTHEST) * scale * np.log(10)
    return (*points, (round(float(end), 4), FURTHEST)), float(rates[last])


def _last_over(beyond: NDArray[np.float64], count: float) -> int:
    """Find the highest bin from which on at least `count` is found."""
    return int(np.flatnonzero(beyond >= count)[-1])
