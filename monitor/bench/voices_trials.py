"""Trials of voices: a probe against somebody enrolled, scored by cosine; and the equal error rate of many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.bench.frame import Figure
from monitor.bench.statistics import CONFIDENCE, DRAWS, wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BINS: Final = 2001
"""Places of a cosine in the bootstrap's histograms: each 0.001 wide, from -1 to 1."""

PART: Final = 200
"""Bootstrap draws computed at once; bounds memory."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Everybody's enrolments, several for a speaker with enough recordings.

    `vectors` is (m, d) float32 of length 1, `speakers` (m,); `recordings` says from which each was made.
    """

    vectors: NDArray[np.float32]
    speakers: NDArray[np.int64]
    recordings: tuple[frozenset[int], ...]


@dataclass(frozen=True, slots=True)
class Probes:
    """Probes of one condition and length: `vectors` (n, d) float32 of length 1, the others (n,)."""

    vectors: NDArray[np.float32]
    speakers: NDArray[np.int64]
    recordings: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Trials:
    """Scores with the speaker of each probe: `genuine`, `of` (g,); `impostor`, `by` (i,)."""

    genuine: NDArray[np.float32]
    of: NDArray[np.int64]
    impostor: NDArray[np.float32]
    by: NDArray[np.int64]


def all_trials(probes: Probes, enrolled: Enrolled, unfair: NDArray[np.bool_] | None = None) -> Trials:
    """Score every probe against everybody enrolled.

    A genuine trial is across recordings only: an enrolment made from the probe's own recording is no trial.
    Nor are the pairs marked in `unfair` (n, m): the enrolled speaker is heard in the probe's babble.
    """
    scores = probes.vectors @ enrolled.vectors.T
    same = probes.speakers[:, None] == enrolled.speakers[None]
    own = np.array([[r in made for made in enrolled.recordings] for r in probes.recordings.tolist()], bool)
    genuine = same & ~own.reshape(same.shape)
    impostor = ~same if unfair is None else ~same & ~unfair
    by = np.broadcast_to(probes.speakers[:, None], same.shape)
    return Trials(scores[genuine], by[genuine], scores[impostor], by[impostor])


def pooled(parts: Sequence[Trials]) -> Trials:
    """Put the trials of several conditions together."""
    return Trials(
        np.concatenate([t.genuine for t in parts]),
        np.concatenate([t.of for t in parts]),
        np.concatenate([t.impostor for t in parts]),
        np.concatenate([t.by for t in parts]),
    )


def equal_error(genuine: NDArray[np.float32], impostor: NDArray[np.float32]) -> float:
    """Rate at which as many genuine trials are refused as impostors are accepted.

    Between two measured thresholds the rates are taken to go in a straight line. Raises ValueError without
    trials of both kinds.
    """
    refused, accepted = det(genuine, impostor)
    return float(_crossing(refused[None], accepted[None])[0])


def det(
    genuine: NDArray[np.float32], impostor: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of genuine trials under, and of impostors at or over, each threshold: (t,) each, t ascending."""
    if not len(genuine) or not len(impostor):
        msg = "an error rate needs genuine and impostor trials"
        raise ValueError(msg)
    thresholds = np.append(np.unique(np.concatenate([genuine, impostor])), np.inf)
    refused = np.searchsorted(np.sort(genuine), thresholds) / len(genuine)
    accepted = 1 - np.searchsorted(np.sort(impostor), thresholds) / len(impostor)
    return refused, accepted


def eer_figure(trials: Trials, seed: int) -> Figure:
    """Give the equal error rate with a 95 % interval by bootstrap over speakers; n counts genuine trials.

    Speakers with genuine trials and speakers of impostor probes are drawn apart. Where no trial errs, drawing
    tells nothing: the upper bound is then that of no miss in this many genuine trials.
    """
    value = equal_error(trials.genuine, trials.impostor)
    draws = _drawn(trials, seed)
    low, high = np.percentile(draws, CONFIDENCE)
    if value == 0:
        high = max(float(high), wilson(0, len(trials.genuine))[2])
    return Figure(
        value, min(value, float(low)), max(value, float(high)), len(trials.genuine), "equal error rate"
    )


def _drawn(trials: Trials, seed: int) -> NDArray[np.float64]:
    """Equal error rates of DRAWS draws of speakers: (DRAWS,)."""
    rng = np.random.default_rng(seed)
    genuine, impostor = _histograms(trials.genuine, trials.of), _histograms(trials.impostor, trials.by)
    rates = []
    for start in range(0, DRAWS, PART):
        count = min(PART, DRAWS - start)
        hit, miss = _resampled(genuine, count, rng), _resampled(impostor, count, rng)
        rates.append(_crossing(_under(hit), 1 - _under(miss)))
    return np.concatenate(rates)


def _histograms(scores: NDArray[np.float32], speakers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Counts of scores by speaker: (speakers, BINS)."""
    _, rows = np.unique(speakers, return_inverse=True)
    places = np.clip((scores + 1) * (BINS - 1) / 2, 0, BINS - 1).astype(np.int64)
    flat = np.bincount(rows * BINS + places, minlength=(rows.max() + 1) * BINS)
    return flat.reshape(-1, BINS).astype(np.float64)


def _resampled(counts: NDArray[np.float64], draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Histograms of `draws` draws of as many speakers as there are: (draws, BINS)."""
    people = len(counts)
    drawn: NDArray[np.float64] = rng.multinomial(people, np.full(people, 1 / people), draws) @ counts
    return drawn


def _under(histograms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the scores under the start of each bin, and under the end of the last: (draws, BINS + 1)."""
    totals = np.maximum(histograms.sum(axis=1, keepdims=True), 1)
    shares: NDArray[np.float64] = np.pad(np.cumsum(histograms, axis=1), ((0, 0), (1, 0))) / totals
    return shares


def _crossing(refused: NDArray[np.float64], accepted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the two rates meet, for each row; `refused` rises and `accepted` falls along the columns."""
    gap = refused - accepted
    after = np.argmax(gap >= 0, axis=1)
    before = np.maximum(after - 1, 0)
    rows = np.arange(len(gap))
    step = gap[rows, after] - gap[rows, before]
    part = np.where(step > 0, -gap[rows, before] / np.where(step > 0, step, 1), 0)
    met: NDArray[np.float64] = refused[rows, before] + part * (refused[rows, after] - refused[rows, before])
    return met
