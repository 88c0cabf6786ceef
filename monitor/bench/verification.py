"""All against all: the way in which a recogniser is measured one pair at a time.

The vectors given to these functions stay in memory; nothing but the figures leaves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from monitor.bench.frame import Figure
from monitor.bench.statistics import mean_of_people, rate_by_person, threshold_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

ROWS: Final = 512
"""Rows of the score matrix computed at once; bounds memory."""

PER_ONE: Final = 100_000
"""Bins in which strangers' scores are counted, to a cosine of 1: finer than any figure that is quoted."""

BINS: Final = 2 * PER_ONE + 1


@dataclass(frozen=True, slots=True)
class Embedded:
    """`vectors` (n, d) float32 of length 1, or NaN where nothing was found; `persons` (n,) numbers.

    `qualities` (n,) float32 in [0, 1] rates the samples, where that was asked for.
    """

    vectors: NDArray[np.float32]
    persons: NDArray[np.int64]
    qualities: NDArray[np.float32] | None = None

    @property
    def found(self) -> NDArray[np.bool_]:
        """Where there is a vector."""
        result: NDArray[np.bool_] = ~np.isnan(self.vectors[:, 0])
        return result

    def only(self, places: NDArray[np.int64]) -> Embedded:
        """Give some of the rows."""
        rated = None if self.qualities is None else self.qualities[places]
        return replace(self, vectors=self.vectors[places], persons=self.persons[places], qualities=rated)


class Compared(Protocol):
    """Pairs that were scored."""

    @property
    def genuine(self) -> NDArray[np.float32]:
        """Scores of pairs of one person."""

    @property
    def persons(self) -> NDArray[np.int64]:
        """Whose pair each genuine one is."""

    @property
    def impostors(self) -> int:
        """How many pairs of two people there are."""

    def threshold_at(self, far: float) -> float:
        """Lowest threshold that at most `far` of the impostor pairs reach; ValueError: they are too few."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Scores of all pairs: `genuine` with the person of each, `impostor`."""

    genuine: NDArray[np.float32]
    persons: NDArray[np.int64]
    impostor: NDArray[np.float32]

    @property
    def impostors(self) -> int:
        """How many pairs of two people there are."""
        return len(self.impostor)

    def threshold_at(self, far: float) -> float:
        """See statistics.threshold_at."""
        return threshold_at(self.impostor, far)


@dataclass(frozen=True, slots=True)
class CountedPairs:
    """The same for any number of pairs: impostor scores are counted in BINS bins, `counts` is (BINS,)."""

    genuine: NDArray[np.float32]
    persons: NDArray[np.int64]
    counts: NDArray[np.int64]

    @property
    def impostors(self) -> int:
        """How many pairs of two people there are."""
        return int(self.counts.sum())

    def threshold_at(self, far: float) -> float:
        """Lowest edge of a bin that at most `far` of the impostor pairs reach; ValueError: too few pairs."""
        allowed = int(far * self.impostors)
        if allowed < 1:
            msg = f"{self.impostors} impostor scores cannot show a rate of {far}"
            raise ValueError(msg)
        return float(edges()[np.argmax(self._reaching() <= allowed)])  # nothing reaches the last edge

    def far_at(self, thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of the impostor pairs that reach each of some thresholds (n,)."""
        reaching = self._reaching()[np.searchsorted(edges(), thresholds).clip(0, BINS)]
        shares: NDArray[np.float64] = np.divide(reaching, max(1, self.impostors), dtype=np.float64)
        return shares

    def _reaching(self) -> NDArray[np.int64]:
        reaching: NDArray[np.int64] = np.append(self.counts[::-1].cumsum()[::-1], 0)
        return reaching


def edges() -> NDArray[np.float64]:
    """Give the edges of the bins (BINS + 1,), from -1 to a little over 1."""
    return np.arange(BINS + 1, dtype=np.float64) / PER_ONE - 1


def all_pairs(embedded: Embedded) -> Pairs:
    """Score every pair once and keep all the scores.

    A genuine pair with a missing vector scores -1: not finding a face is a miss. An impostor pair with
    one does not exist.
    """
    genuine, persons, impostor = [], [], []
    for same, whose, others in _blocks(embedded):
        genuine.append(same)
        persons.append(whose)
        impostor.append(others)
    return Pairs(np.concatenate(genuine), np.concatenate(persons), np.concatenate(impostor))


def count_pairs(embedded: Embedded) -> CountedPairs:
    """Score every pair once, as `all_pairs` does, in memory that does not grow with the impostor pairs."""
    genuine, persons = [], []
    counts = np.zeros(BINS, np.int64)
    for same, whose, others in _blocks(embedded):
        genuine.append(same)
        persons.append(whose)
        places = ((others.astype(np.float64) + 1) * PER_ONE).astype(np.int64).clip(0, BINS - 1)
        counts += np.bincount(places, minlength=BINS)
    return CountedPairs(np.concatenate(genuine), np.concatenate(persons), counts)


Block = tuple["NDArray[np.float32]", "NDArray[np.int64]", "NDArray[np.float32]"]


def _blocks(embedded: Embedded) -> Iterator[Block]:
    """Give genuine scores, their persons and impostor scores of ROWS rows of the score matrix at a time."""
    vectors = np.nan_to_num(embedded.vectors)
    found, everyone = embedded.found, embedded.persons
    for start in range(0, len(vectors), ROWS):
        rows = np.arange(start, min(start + ROWS, len(vectors)))
        scores = vectors[rows] @ vectors.T
        upper = rows[:, None] < np.arange(len(vectors))[None]
        same = (everyone[rows, None] == everyone[None]) & upper
        both = found[rows, None] & found[None]
        whose = np.broadcast_to(everyone[rows, None], same.shape)[same]
        yield np.where(both, scores, np.float32(-1))[same], whose, scores[upper & ~same & both]


def capped(embedded: Embedded, most: int, seed: int) -> Embedded:
    """Keep at most `most` pictures of a person, drawn by `seed`."""
    order = np.random.default_rng(seed).permutation(len(embedded.persons))
    persons = embedded.persons[order]
    sorted_places = np.argsort(persons, kind="stable")
    starts = np.searchsorted(persons[sorted_places], persons[sorted_places])
    rank = np.arange(len(order)) - starts
    return embedded.only(np.sort(order[sorted_places[rank < most]]))


@dataclass(frozen=True, slots=True)
class Accepted:
    """Share of genuine pairs accepted, over all pairs and as the mean of each person's share; the threshold.

    People with many pictures have nearly all of the pairs (in LFW, one man has two thirds of them), so the
    two shares tell different things.
    """

    of_pairs: Figure
    of_people: Figure
    threshold: Figure


def tar_at_far(pairs: Compared, far: float, seed: int) -> Accepted:
    """Accept `far` of the impostor pairs: which share of the genuine ones is accepted then?

    The intervals draw whole persons; the threshold stays as measured. Raises ValueError when there are too
    few impostor pairs for this rate.
    """
    threshold = pairs.threshold_at(far)
    people = int(pairs.persons.max()) + 1
    tries = np.bincount(pairs.persons, minlength=people)
    hits = np.bincount(pairs.persons[pairs.genuine >= threshold], minlength=people)
    some = tries > 0
    return Accepted(
        Figure(*rate_by_person(hits[some], tries[some], seed), len(pairs.genuine), "share of genuine pairs"),
        Figure(*mean_of_people(hits[some] / tries[some], seed), int(some.sum()), "mean share of a person"),
        Figure.exact(threshold, "cosine", pairs.impostors),
    )
