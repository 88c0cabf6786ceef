"""Open set: who of the enrolled is this, if anybody? Measured as NIST does: FNIR at a stated FPIR.

"Face Recognition Technology Evaluation, part 2: Identification" (Grother et al., NIST IR 8271). FPIR is the
share of strangers' looks that match anybody; FNIR the share of looks of the enrolled that do not give the
right person, first of all, at or over the threshold; TPIR = 1 - FNIR. The vectors stay in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.bench.frame import Figure
from monitor.bench.statistics import mean_of_people, rate_by_person, threshold_at
from monitor.gallery_sets import Entry, FlatSets
from monitor.values import SubjectId, TemplateId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.bench.verification import Embedded

FEWEST_STRANGERS: Final = 100
"""Fewer strangers than this cannot show an FPIR of 1 %."""

DRAWS: Final = 100
"""Times that the enrolled pictures are drawn anew. One draw of 650 people's single pictures moves the TPIR by
0.003 to 0.005 (standard deviation, LFW A to I); the mean of a hundred by less than 0.0005."""


@dataclass(frozen=True, slots=True)
class Roles:
    """Who can be enrolled, and who never is: `known` and `strangers` are persons, in an order by seed."""

    known: NDArray[np.int64]
    strangers: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Looks:
    """What one gallery said.

    `strangers` (s,) are their best scores; `mated` (m,) the best scores of the enrolled, with whose look it
    was and whether the best was that person.
    """

    strangers: NDArray[np.float32]
    mated: NDArray[np.float32]
    persons: NDArray[np.int64]
    right: NDArray[np.bool_]
    enrolled: int


@dataclass(frozen=True, slots=True)
class Identified:
    """The figures of one rate: `tpir` of all looks, `by_person` the mean of each person's share.

    Over several draws they are the means; `n` is then the looks of one draw, and the bounds still come from
    drawing whole persons, with all that was seen of each in every draw.
    """

    tpir: Figure
    by_person: Figure
    fnir: Figure
    threshold: Figure


def roles(embedded: Embedded, seed: int) -> Roles:
    """Deal out the people: who has a single picture is a stranger.

    Where these are too few, others are drawn to be strangers too, at most half of the people.
    """
    rng = np.random.default_rng(seed)
    people, counts = np.unique(embedded.persons, return_counts=True)
    several, single = rng.permutation(people[counts > 1]), rng.permutation(people[counts == 1])
    missing = max(0, min(FEWEST_STRANGERS - len(single), len(several) - len(people) // 2))
    return Roles(several[missing:], np.concatenate([single, several[:missing]]))


def open_set(embedded: Embedded, dealt: Roles, samples: int, size: int, seed: int) -> tuple[Looks, ...]:
    """Enrol people with `samples` pictures each, `size` of them in one gallery; 0: all who have enough.

    With fewer in a gallery than there are, the people are dealt into as many galleries as they fill. With
    more, strangers fill it up and are looked for no longer. Gives () where the people are too few for it.
    """
    rng = np.random.default_rng([seed, samples])
    chosen = _chosen(embedded, dealt.known, samples, rng, spare=1)
    known, others = list(chosen), dealt.strangers
    if size > len(known):
        fillers, others = np.split(others, [size - len(known)])
        filling = _chosen(embedded, fillers, samples, rng, spare=0)
        if not known or len(others) < FEWEST_STRANGERS or len(known) + len(filling) < size:
            return ()
        return (_look(embedded, chosen | filling, known, others),)
    step = size or max(1, len(known))
    galleries = [known[i : i + step] for i in range(0, len(known) - step + 1, step)]
    return tuple(_look(embedded, {p: chosen[p] for p in some}, some, others) for some in galleries)


def drawn(embedded: Embedded, samples: int, size: int, seed: int, draws: int = DRAWS) -> tuple[Looks, ...]:
    """Do `open_set` this many times, each time with the roles and enrolled pictures of another seed.

    Which picture of a person happens to be enrolled decides much where it is one: a poor one is missed by all
    looks. Gives the galleries of all draws, () where the people are too few.
    """
    return tuple(
        gallery
        for draw in range(draws)
        for gallery in open_set(embedded, roles(embedded, seed + draw), samples, size, seed + draw)
    )


def identified(looks: Sequence[Looks], fpir: float, seed: int, draws: int = 1) -> Identified:
    """Let at most `fpir` of the strangers' looks through, in each gallery by its own threshold.

    `looks` are those of `draws` draws. The intervals draw whole persons. Raises ValueError when the strangers
    are too few to speak of that rate.
    """
    thresholds = [threshold_at(gallery.strangers, fpir) for gallery in looks]
    hits = [g.right & (g.mated >= t) for g, t in zip(looks, thresholds, strict=True)]
    persons = np.concatenate([gallery.persons for gallery in looks])
    tries = np.bincount(persons)
    found = np.bincount(persons, weights=np.concatenate(hits).astype(np.float64)).astype(np.int64)
    some = tries > 0
    value, low, high = rate_by_person(found[some], tries[some], seed)
    galleries = len(looks) // draws
    enrolled = f"{galleries} x {looks[0].enrolled}" if galleries > 1 else f"{looks[0].enrolled}"
    unit = f"share of looks; {enrolled} enrolled" + (f", mean of {draws} draws" if draws > 1 else "")
    count = round(len(persons) / draws)
    return Identified(
        Figure(value, low, high, count, unit),
        Figure(*mean_of_people(found[some] / tries[some], seed), int(some.sum()), "mean share of a person"),
        Figure(1 - value, 1 - high, 1 - low, count, unit),
        Figure.exact(
            float(np.mean(thresholds)), "cosine", round(sum(len(g.strangers) for g in looks) / draws)
        ),
    )


def _chosen(
    embedded: Embedded, people: NDArray[np.int64], samples: int, rng: np.random.Generator, *, spare: int
) -> dict[int, NDArray[np.int64]]:
    """Draw the pictures that each person is enrolled with; at least `spare` are left to look for."""
    chosen: dict[int, NDArray[np.int64]] = {}
    for person in people.tolist():
        places = np.flatnonzero(embedded.persons == person)
        usable = rng.permutation(places[embedded.found[places]])
        if len(usable) >= max(1, samples * spare) and len(places) >= samples * spare + spare:
            chosen[person] = usable[:samples]
    return chosen


def _look(
    embedded: Embedded, gallery: dict[int, NDArray[np.int64]], known: Sequence[int], others: NDArray[np.int64]
) -> Looks:
    taken = np.concatenate(list(gallery.values()))
    probes = np.setdiff1d(np.flatnonzero(np.isin(embedded.persons, known)), taken)
    strangers = np.flatnonzero(np.isin(embedded.persons, others) & embedded.found)
    sets = _enrol(embedded, gallery)
    scores, who = _best(embedded, probes, sets)
    persons = embedded.persons[probes]
    return Looks(_best(embedded, strangers, sets)[0], scores, persons, who == persons, len(gallery))


def _enrol(embedded: Embedded, gallery: dict[int, NDArray[np.int64]]) -> FlatSets:
    """Enrol each person's pictures by the service's own rule for sets."""
    sets = FlatSets(embedded.vectors.shape[1])
    rated = embedded.qualities
    sets.add(
        [
            Entry(
                SubjectId(str(person)),
                TemplateId(str(place)),
                embedded.vectors[place],
                1.0 if rated is None else float(rated[place]),
            )
            for person, places in gallery.items()
            for place in places
        ]
    )
    return sets


def _best(
    embedded: Embedded, probes: NDArray[np.int64], sets: FlatSets
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Best score and whose it is for each probe; -1 and nobody (-1) where the probe has no vector."""
    scores, who = np.full(len(probes), -1, np.float32), np.full(len(probes), -1, np.int64)
    looked = np.flatnonzero(embedded.found[probes])
    nearest = sets.compare(embedded.vectors[probes[looked]], 1).nearest
    scores[looked] = [line[0].score for line in nearest]
    who[looked] = [int(line[0].subject_id) for line in nearest]
    return scores, who
