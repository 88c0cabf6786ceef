"""Who is enrolled with what, when voices are measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.bench.voices_trials import Enrolled, Probes
from monitor.ml.vectors import unit_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from monitor.bench.voices_data import Recording
    from monitor.bench.voices_reading import Read

TOGETHER: Final = 3
"""Recordings that make one enrolment, about what a person gives; of few, so many that some are left."""


def enrolments(recordings: Sequence[Recording], reads: Sequence[Read]) -> Enrolled:
    """Enrol everybody: a speaker's recordings in groups of about TOGETHER, the mean of each group's vectors.

    So a speaker of nine recordings is enrolled three times, one of two twice, one of a single one once.
    """
    groups: list[list[int]] = []
    for speaker in sorted({one.speaker for one in recordings}):
        own = [
            n for n, one in enumerate(recordings) if one.speaker == speaker and reads[n].vector is not None
        ]
        parts = max(min(2, len(own)), len(own) // TOGETHER)
        groups += [own[part::parts] for part in range(parts)]
    return Enrolled(
        np.stack([mean_of(reads, group) for group in groups]),
        np.array([recordings[group[0]].speaker for group in groups]),
        tuple(frozenset(group) for group in groups),
    )


def mean_of(reads: Sequence[Read], numbers: Collection[int]) -> NDArray[np.float32]:
    """Mean of the vectors of some recordings, of length 1: (d,) float32."""
    vectors = [reads[n].vector for n in numbers]
    found: NDArray[np.float32] = unit_rows(np.mean([v for v in vectors if v is not None], axis=0)[None])[0]
    return found


def probes_of(recordings: Sequence[Recording], reads: Sequence[Read], condition: str, seconds: int) -> Probes:
    """Put the probes of one condition and length together."""
    rows = [read.probes[condition, seconds] for read in reads if (condition, seconds) in read.probes]
    numbers = [n for n, read in enumerate(reads) if (condition, seconds) in read.probes]
    counts = [len(some) for some in rows]
    of = np.repeat(np.array(numbers, np.int64), counts)
    speakers = np.array([one.speaker for one in recordings], np.int64)
    vectors = np.concatenate(rows) if rows else np.empty((0, 0), np.float32)
    return Probes(vectors, speakers[of], of)


def unfair_pairs(probes: Probes, enrolled: Enrolled, reads: Sequence[Read]) -> NDArray[np.bool_]:
    """Where somebody enrolled is heard in a probe's babble: (probes, enrolled) bool."""
    heard = [set(read.in_babble) for read in reads]
    marked = [[int(s) in heard[r] for s in enrolled.speakers] for r in probes.recordings.tolist()]
    return np.array(marked, bool).reshape(len(probes.recordings), len(enrolled.speakers))


def known_voices(
    recordings: Sequence[Recording], reads: Sequence[Read], enrols: Collection[int]
) -> dict[int, NDArray[np.float32]]:
    """Enrol speakers once, from the recordings in `enrols`: speaker -> (d,) float32 of length 1."""
    own: dict[int, list[int]] = {}
    for number in sorted(enrols):
        if reads[number].vector is not None:
            own.setdefault(recordings[number].speaker, []).append(number)
    return {speaker: mean_of(reads, numbers) for speaker, numbers in own.items()}
