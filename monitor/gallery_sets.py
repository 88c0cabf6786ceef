"""Everybody enrolled with one model, as sets: a centroid, the exemplars it is made of, known lookalikes.

**The set rule.** The centroid of a set is the mean of its templates weighted by their quality, brought to
length 1. The score of a probe is its cosine to the centroid, or to the best exemplar less a handicap where
that is higher. All centroids are compared, exactly; exemplars and lookalikes only of the k nearest subjects.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Never

import faiss
import numpy as np

from monitor.errors import GalleryNotReady, ModelMismatch
from monitor.gallery_shelves import Rows, Shelves, Turnstile, unit_rows
from monitor.values import TemplateId

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.values import SubjectId

HANDICAP = 0.06
"""What the best exemplar loses against the centroid: a safeguard for somebody with and without glasses. Three
pictures, open set, TPIR at FPIR 1 %: centroid 0.9935, best exemplar 0.9895, this 0.9937 (LFW, 2026-11)."""

CENTRED = 0.009
"""What a centroid's score is lowered by for each doubling of its templates. A centroid lies nearer to
everybody than a single picture does: at FMR 1e-3 and 1e-4 strangers' scores rose by 0.002 to 0.009 for two
pictures, 0.006 to 0.020 for three, 0.010 to 0.024 for five (LFW A to I, fr_feature and EdgeFace xs, 2026-11).
Thresholds are measured between single pictures, and hold for sets only with this."""

LEAST_WEIGHT = 0.05
"""A template of no quality still counts this much, so that a set of such templates has a centroid."""

SEARCH_THREADS = 1
"""Items are looked at in parallel, one thread each. On one thread FAISS's exhaustive search takes 0.4 ms for
a probe among 10,000 x 512, the time of reading them. numpy's matrix product is as quick on an idle machine,
but takes every core, and on a busy one waits 8 to 16 ms for them (2 cores, FAISS 1.15.1, 2026-11)."""

LOOKS = 2
"""Looks per search: a second one when a subject was erased during the first, so that k come back."""


CANARY_NEAREST = 10
"""How many of the nearest are looked through for somebody who was taken out: they would be the first."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One vector on its way in: a template, or a lookalike (whose id stands in `template_id`).

    `vector` is (d,) float32 of length 1 and is copied; `quality` in [0, 1] weighs it in the centroid.
    """

    subject_id: SubjectId
    template_id: TemplateId
    vector: NDArray[np.float32]
    quality: float = 1.0


class SetScore(NamedTuple):
    """How near a probe is to one subject's set, and to that subject's nearest known lookalike: cosines.

    `lookalike` is -1 where the subject has none.
    """

    subject_id: SubjectId
    score: float
    lookalike: float


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison gave: `nearest` of each probe, best first, out of `subjects` who were compared."""

    subjects: int
    nearest: tuple[tuple[SetScore, ...], ...]


class _Set:
    """One subject's vectors. `row` is that of the centroid, -1 while there is no template."""

    __slots__ = ("exemplars", "lookalikes", "row", "weights")

    def __init__(self, dimension: int) -> None:
        self.row = -1
        self.exemplars = Rows(dimension)
        self.lookalikes = Rows(dimension)
        self.weights: list[float] = []


class FlatSets:
    """The sets of one modality and model. Safe for any number of threads.

    Row i of the centroids belongs to `_subjects[i]`.
    """

    def __init__(self, dimension: int, handicap: float = HANDICAP) -> None:
        """Start empty, for vectors of `dimension` floats."""
        self.dimension = dimension
        self._handicap = handicap
        self._centroids = Shelves(dimension)
        self._subjects: list[SubjectId] = []
        self._sets: dict[SubjectId, _Set] = {}
        self._templates: set[TemplateId] = set()
        self._learnt: dict[str, SubjectId] = {}
        self._erased: set[SubjectId] = set()
        self._scratch = np.zeros(dimension, dtype=np.float32)
        self._turnstile = Turnstile()

    def __len__(self) -> int:
        """Count the templates."""
        return len(self._templates)

    def __repr__(self) -> str:
        return f"FlatSets({len(self)} x {self.dimension} of {len(self._subjects)})"

    def __reduce__(self) -> Never:
        """Refuse to be pickled: the vectors exist in this process's memory alone."""
        msg = "a gallery is never pickled"
        raise TypeError(msg)

    @property
    def subjects(self) -> int:
        """How many subjects have a set."""
        return len(self._subjects)

    def add(self, entries: Sequence[Entry]) -> int:
        """Copy templates in and give how many were new. Known templates and erased subjects are passed over.

        Raises BadVector, and takes nothing in, where one is not a vector of length 1.
        """
        for entry in entries:
            self._check(entry)
        with self._turnstile.exclusive():
            before = len(self._templates)
            for entry in entries:
                if entry.template_id not in self._templates and entry.subject_id not in self._erased:
                    self._append(entry)
            return len(self._templates) - before

    def remove(self, subject_id: SubjectId) -> int:
        """Erase a subject for good, lookalikes and all, and give how many templates went.

        From the first line on no search returns the subject, also one that is running; at the end the
        bytes of the vectors are overwritten. Raises GalleryNotReady where a search with the subject's own
        vector still finds the subject afterwards.
        """
        self._erased.add(subject_id)
        return self.leave(subject_id)

    def leave(self, subject_id: SubjectId) -> int:
        """Take a subject out, who may come back, and give how many templates went. Raises as `remove`.

        A search that is running may still return the subject.
        """
        with self._turnstile.exclusive():
            own = self._sets.pop(subject_id, None)
            if own is None:
                return 0
            gone = len(own.exemplars)
            self._templates.difference_update(own.exemplars.names)
            for name in own.lookalikes.names:
                del self._learnt[name]
            own.exemplars.wipe()
            own.lookalikes.wipe()
            if own.row >= 0:
                self._scratch[:] = self._centroids.row(own.row)
                self._close_gap(own.row)
                self._refuse_to_find(subject_id)
            return gone

    def _refuse_to_find(self, subject_id: SubjectId) -> None:
        """Search with the vector in the scratch row, as if it had been seen somewhere, and wipe it."""
        try:
            rows = self._nearest(self._scratch[None], CANARY_NEAREST)[1] if self._subjects else ()
        finally:
            self._scratch[:] = 0
        if any(self._subjects[row] == subject_id for line in rows for row in line):
            msg = f"subject {subject_id} was taken out of the gallery and is still found"
            raise GalleryNotReady(msg, hint="The gallery is loaded anew; report this as a fault.")

    def drop(self, subject_id: SubjectId, template_id: str) -> bool:
        """Overwrite one template of a subject and say whether it was here; the rest of the set stays."""
        with self._turnstile.exclusive():
            own = self._sets.get(subject_id)
            if own is None or template_id not in own.exemplars.names:
                return False
            number = own.exemplars.names.index(template_id)
            own.exemplars.remove(template_id)
            own.weights[number] = own.weights[-1]  # the last one takes its place there too
            own.weights.pop()
            self._templates.discard(TemplateId(template_id))
            if own.weights:
                self._centre(own)
            else:
                self._close_gap(own.row)
                own.row = -1
            return True

    def learn(self, entry: Entry) -> bool:
        """Copy a lookalike in and say whether it was new. Of an erased subject nothing is learnt.

        Raises BadVector where it is not a vector of length 1.
        """
        self._check(entry)
        with self._turnstile.exclusive():
            if entry.template_id in self._learnt or entry.subject_id in self._erased:
                return False
            self._set_of(entry.subject_id).lookalikes.add(entry.template_id, entry.vector)
            self._learnt[entry.template_id] = entry.subject_id
            return True

    def unlearn(self, lookalike_id: str) -> bool:
        """Overwrite one lookalike and say whether it was here."""
        with self._turnstile.exclusive():
            subject_id = self._learnt.pop(lookalike_id, None)
            if subject_id is None:
                return False
            self._sets[subject_id].lookalikes.remove(lookalike_id)
            return True

    def clear(self) -> None:
        """Overwrite and forget everything."""
        with self._turnstile.exclusive():
            self._centroids.wipe()
            for own in self._sets.values():
                own.exemplars.wipe()
                own.lookalikes.wipe()
            for held in (self._subjects, self._sets, self._templates, self._learnt):
                held.clear()

    def compare(self, vectors: NDArray[np.float32], k: int) -> Compared:
        """Compare each probe with everybody and give its k nearest subjects; fewer where fewer are enrolled.

        `vectors` is (n, dimension) float32, rows of length 1; n may be 0. Every cosine is exact. Raises
        BadVector where a row is not of length 1.
        """
        probes = unit_rows(vectors, "a probe")
        compared = Compared(0, ())
        for _ in range(LOOKS):
            with self._turnstile.shared():
                compared = self._compared(probes, k)
            kept = tuple(
                tuple(one for one in line if one.subject_id not in self._erased) for line in compared.nearest
            )
            if kept == compared.nearest:
                break
            compared = Compared(compared.subjects, kept)
        return compared

    def against(
        self, vectors: NDArray[np.float32], subject_ids: Collection[SubjectId]
    ) -> Mapping[SubjectId, tuple[SetScore, ...]]:
        """Compare each probe with these subjects alone: one SetScore per probe, by subject.

        Whoever has no set here is left out. Raises BadVector where a row is not of length 1.
        """
        probes = unit_rows(vectors, "a probe")
        with self._turnstile.shared():
            found: dict[SubjectId, tuple[SetScore, ...]] = {}
            for subject_id in subject_ids:
                own = self._sets.get(subject_id)
                if own is not None and own.row >= 0:
                    cosines = np.vecdot(probes, self._centroids.row(own.row)).tolist()
                    found[subject_id] = tuple(map(self._score, probes, [subject_id] * len(probes), cosines))
        return {subject_id: line for subject_id, line in found.items() if subject_id not in self._erased}

    def _compared(self, probes: NDArray[np.float32], k: int) -> Compared:
        if not self._subjects or not len(probes) or k < 1:
            return Compared(len(self._subjects), tuple(() for _ in probes))
        cosines, rows = self._nearest(probes, k)
        nearest = []
        for probe, line, at in zip(probes, cosines.tolist(), rows.tolist(), strict=True):
            scored = [
                self._score(probe, self._subjects[row], cosine) for cosine, row in zip(line, at, strict=True)
            ]
            nearest.append(tuple(sorted(scored, key=lambda one: -one.score)))
        return Compared(len(self._subjects), tuple(nearest))

    def _nearest(self, probes: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Give the cosines to the k nearest centroids, best first, and their rows: (n, k) each."""
        faiss.omp_set_num_threads(SEARCH_THREADS)  # the setting is the calling thread's own
        found = []
        for number, shelf in enumerate(self._centroids):
            near, at = faiss.knn(probes, shelf, min(k, len(shelf)), metric=faiss.METRIC_INNER_PRODUCT)
            found.append((near, at + number * self._centroids.each))
        if len(found) == 1:
            return found[0]
        cosines = np.concatenate([near for near, _ in found], axis=1)
        rows = np.concatenate([at for _, at in found], axis=1)
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(cosines, order, axis=1), np.take_along_axis(rows, order, axis=1)

    def _score(self, probe: NDArray[np.float32], subject_id: SubjectId, cosine: float) -> SetScore:
        """Apply the set rule to one subject, whose centroid is `cosine` away from the probe."""
        own = self._sets[subject_id]
        score, lookalike = cosine, -1.0
        if len(own.exemplars) > 1:
            score -= CENTRED * math.log2(len(own.exemplars))
            score = max(score, float(np.vecdot(own.exemplars.vectors, probe).max()) - self._handicap)
        if own.lookalikes.names:
            lookalike = float(np.vecdot(own.lookalikes.vectors, probe).max())
        return SetScore(subject_id, score, lookalike)

    def _append(self, entry: Entry) -> None:
        own = self._set_of(entry.subject_id)
        if own.row < 0:
            own.row = self._centroids.append()
            self._subjects.append(entry.subject_id)
        own.exemplars.add(entry.template_id, entry.vector)
        own.weights.append(max(LEAST_WEIGHT, entry.quality))
        self._templates.add(entry.template_id)
        self._centre(own)

    def _centre(self, own: _Set) -> None:
        """Compute a centroid in its place: a copy anywhere else would outlive an erasure."""
        row = self._centroids.row(own.row)
        row[:] = 0
        for weight, exemplar in zip(own.weights, own.exemplars.vectors, strict=True):
            np.multiply(exemplar, np.float32(weight), out=self._scratch)
            np.add(row, self._scratch, out=row)
        self._scratch[:] = 0
        length = math.sqrt(float(np.vecdot(row, row)))
        if length > LEAST_WEIGHT / 2:
            np.divide(row, np.float32(length), out=row)
        else:  # templates that point in opposite directions have no middle: the best one stands for them
            row[:] = own.exemplars.vectors[own.weights.index(max(own.weights))]

    def _close_gap(self, row: int) -> None:
        moved = self._centroids.remove(row)
        if moved != row:
            self._subjects[row] = self._subjects[moved]
            self._sets[self._subjects[row]].row = row
        self._subjects.pop()

    def _set_of(self, subject_id: SubjectId) -> _Set:
        own = self._sets.get(subject_id)
        if own is None:
            own = self._sets[subject_id] = _Set(self.dimension)
        return own

    def _check(self, entry: Entry) -> None:
        if entry.vector.shape != (self.dimension,):
            msg = f"a vector of {entry.vector.shape} in a gallery of ({self.dimension},)"
            raise ModelMismatch(msg)
        unit_rows(entry.vector[None], "a template")
