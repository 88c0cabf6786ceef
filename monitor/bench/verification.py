"""All against all, and open set: the two ways in which a recogniser is measured here.

The vectors given to these functions stay in memory; nothing but the figures leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.bench.frame import Figure
from monitor.bench.statistics import mean_of_people, rate_by_person, threshold_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS: Final = 512
"""Rows of the score matrix computed at once; bounds memory."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """`vectors` (n, d) float32 of length 1, or NaN where nothing was found; `persons` (n,) numbers."""

    vectors: NDArray[np.float32]
    persons: NDArray[np.int64]

    @property
    def found(self) -> NDArray[np.bool_]:
        """Where there is a vector."""
        result: NDArray[np.bool_] = ~np.isnan(self.vectors[:, 0])
        return result


@dataclass(frozen=True, slots=True)
class Pairs:
    """Scores of all pairs: `genuine` with the person of each, `impostor`."""

    genuine: NDArray[np.float32]
    persons: NDArray[np.int64]
    impostor: NDArray[np.float32]


def all_pairs(embedded: Embedded) -> Pairs:
    """Score every pair once.

    A genuine pair with a missing vector scores -1: not finding a face is a miss. An impostor pair with
    one does not exist.
    """
    vectors = np.nan_to_num(embedded.vectors)
    genuine, persons, impostor = [], [], []
    for start in range(0, len(vectors), ROWS):
        rows = np.arange(start, min(start + ROWS, len(vectors)))
        scores = vectors[rows] @ vectors.T
        upper = rows[:, None] < np.arange(len(vectors))[None]
        same = (embedded.persons[rows, None] == embedded.persons[None]) & upper
        both = embedded.found[rows, None] & embedded.found[None]
        genuine.append(np.where(both, scores, np.float32(-1))[same])
        persons.append(np.broadcast_to(embedded.persons[rows, None], same.shape)[same])
        impostor.append(scores[upper & ~same & both])
    return Pairs(np.concatenate(genuine), np.concatenate(persons), np.concatenate(impostor))


@dataclass(frozen=True, slots=True)
class Accepted:
    """Share of genuine pairs accepted, over all pairs and as the mean of each person's share; the threshold.

    People with many pictures have nearly all of the pairs (in LFW, one man has two thirds of them), so the
    two shares tell different things.
    """

    of_pairs: Figure
    of_people: Figure
    threshold: Figure


def tar_at_far(pairs: Pairs, far: float, seed: int) -> Accepted:
    """Accept `far` of the impostor pairs: which share of the genuine ones is accepted then?

    The intervals draw whole persons; the threshold stays as measured. Raises ValueError when there are too
    few impostor pairs for this rate.
    """
    threshold = threshold_at(pairs.impostor, far)
    people = int(pairs.persons.max()) + 1
    tries = np.bincount(pairs.persons, minlength=people)
    hits = np.bincount(pairs.persons[pairs.genuine >= threshold], minlength=people)
    some = tries > 0
    return Accepted(
        Figure(*rate_by_person(hits[some], tries[some], seed), len(pairs.genuine), "share of genuine pairs"),
        Figure(*mean_of_people(hits[some] / tries[some], seed), int(some.sum()), "mean share of a person"),
        Figure.exact(threshold, "cosine", len(pairs.impostor)),
    )


def open_set_one(embedded: Embedded, fpir: float, seed: int) -> tuple[Figure, Figure]:
    """Identification among people enrolled with one picture each; and the threshold for it.

    Everybody with several pictures is enrolled with one of them, drawn by `seed`; their other pictures
    are looked for. People with a single picture are the strangers: at most `fpir` of their pictures may
    match anybody. A hit is the right person, first of all, at or over the threshold.
    """
    rng = np.random.default_rng(seed)
    counts = np.bincount(embedded.persons)
    order = rng.permutation(len(embedded.persons))
    _, first = np.unique(embedded.persons[order], return_index=True)
    chosen = order[first]
    gallery = chosen[counts[embedded.persons[chosen]] > 1]
    gallery = gallery[embedded.found[gallery]]
    strangers = np.flatnonzero((counts[embedded.persons] == 1) & embedded.found)
    probes = np.setdiff1d(np.flatnonzero(counts[embedded.persons] > 1), chosen)
    threshold = threshold_at(_best(embedded, strangers, gallery)[0], fpir)
    scores, places = _best(embedded, probes, gallery)
    right = (embedded.persons[gallery[places]] == embedded.persons[probes]) & (scores >= threshold)
    tries = np.bincount(embedded.persons[probes], minlength=len(counts))
    hits = np.bincount(embedded.persons[probes[right]], minlength=len(counts))
    value, low, high = rate_by_person(hits[tries > 0], tries[tries > 0], seed)
    return (
        Figure(value, low, high, len(probes), f"share of looks; {len(gallery)} enrolled"),
        Figure.exact(threshold, "cosine", len(strangers)),
    )


def _best(
    embedded: Embedded, probes: NDArray[np.int64], gallery: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Best score and its place in the gallery for each probe; -1 where the probe has no vector."""
    scores = np.nan_to_num(embedded.vectors[probes]) @ embedded.vectors[gallery].T
    best: NDArray[np.float32] = np.where(embedded.found[probes], scores.max(axis=1), np.float32(-1))
    return best, scores.argmax(axis=1)
