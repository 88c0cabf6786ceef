"""Exact search over enrolled vectors, in memory that this process owns.

FAISS computes (its exhaustive inner-product search), but the vectors stand in shelves of our own: a
FAISS index keeps erased vectors in the spare room behind its last row and in the blocks it grew out
of. Here a shelf never moves, and a row that is erased is overwritten before `remove` returns.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Never

import faiss
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from monitor.values import SubjectId, TemplateId

SHELF_ROWS = 8192
"""Rows in one shelf: 16 MiB of 512 floats, so that growing by one is quick and moves nothing."""

SEARCH_THREADS = 1
"""Items are looked at in parallel, one thread each; a search that takes all cores takes them from others.
8,192 x 512 rows and 32 probes take 10 ms on one thread (2026, FAISS 1.15.1), so 100,000 rows take 0.12 s."""

LOOKS = 2
"""Looks per search: a second one when a subject was erased during the first, so that k hits come back."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One enrolled template near a probe. `score` is the cosine in [-1, 1]."""

    subject_id: SubjectId
    template_id: TemplateId
    score: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One template on its way into the index. `vector` is (d,) float32 of length 1; it is copied."""

    subject_id: SubjectId
    template_id: TemplateId
    vector: NDArray[np.float32]


class Turnstile:
    """Many may search at once; a change waits for them and they wait for it, but never for long."""

    def __init__(self) -> None:
        """Start open."""
        self._condition = threading.Condition()
        self._searching = 0
        self._changes = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Search. A change that waits goes first, so that erasing is never starved."""
        with self._condition:
            self._condition.wait_for(lambda: self._changes == 0)
            self._searching += 1
        try:
            yield
        finally:
            with self._condition:
                self._searching -= 1
                self._condition.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Change. One at a time: the condition's own lock is held throughout."""
        with self._condition:
            self._changes += 1
            try:
                self._condition.wait_for(lambda: self._searching == 0)
                yield
            finally:
                self._changes -= 1
                self._condition.notify_all()


class FlatIndex:
    """The vectors of one modality and model. Safe for any number of threads.

    Row i belongs to `_entries[i]`. Rows stand without holes: an erased row is filled with the last one.
    """

    def __init__(self, dimension: int) -> None:
        """Start empty, for vectors of `dimension` floats."""
        self.dimension = dimension
        self._shelves: list[NDArray[np.float32]] = []
        self._entries: list[tuple[SubjectId, TemplateId]] = []
        self._templates: set[TemplateId] = set()
        self._rows_of: dict[SubjectId, set[int]] = {}
        self._erased: set[SubjectId] = set()
        self._turnstile = Turnstile()

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"FlatIndex({len(self)} x {self.dimension})"

    def __reduce__(self) -> Never:
        """Refuse to be pickled: the vectors exist in this process's memory alone."""
        msg = "a gallery is never pickled"
        raise TypeError(msg)

    def add(self, entries: Sequence[Entry]) -> int:
        """Copy entries in and give how many were new. Known templates and erased subjects are passed over."""
        with self._turnstile.exclusive():
            before = len(self._entries)
            for entry in entries:
                if entry.template_id not in self._templates and entry.subject_id not in self._erased:
                    self._append(entry)
            return len(self._entries) - before

    def remove(self, subject_id: SubjectId) -> int:
        """Erase a subject for good and give how many rows went.

        From the first line on no search returns the subject, also one that is running; at the end the
        bytes of the vectors are overwritten.
        """
        self._erased.add(subject_id)
        with self._turnstile.exclusive():
            rows = sorted(self._rows_of.get(subject_id, ()), reverse=True)
            for row in rows:
                self._fill_with_last(row)
            self._rows_of.pop(subject_id, None)
            return len(rows)

    def clear(self) -> None:
        """Overwrite and forget everything."""
        with self._turnstile.exclusive():
            for shelf in self._shelves:
                shelf[:] = 0
            for held in (self._shelves, self._entries, self._templates, self._rows_of):
                held.clear()

    def search(self, vectors: NDArray[np.float32], k: int) -> list[list[Hit]]:
        """Find the k nearest rows of each probe, best first; fewer where fewer are enrolled.

        `vectors` is (n, dimension) float32. Every score is an exact inner product.
        """
        probes = np.ascontiguousarray(vectors, dtype=np.float32)
        found: list[list[Hit]] = [[] for _ in probes]
        for _ in range(LOOKS):
            with self._turnstile.shared():
                found = self._nearest(probes, k)
            kept = [[hit for hit in hits if hit.subject_id not in self._erased] for hits in found]
            if sum(map(len, kept)) == sum(map(len, found)):
                break
            found = kept
        return found

    def _nearest(self, probes: NDArray[np.float32], k: int) -> list[list[Hit]]:
        count = len(self._entries)
        if not count or not len(probes) or k < 1:
            return [[] for _ in probes]
        faiss.omp_set_num_threads(SEARCH_THREADS)  # the setting is the calling thread's own
        scores, rows = [], []
        for first in range(0, count, SHELF_ROWS):
            shelf = self._shelves[first // SHELF_ROWS][: min(SHELF_ROWS, count - first)]
            near, at = faiss.knn(probes, shelf, min(k, len(shelf)), metric=faiss.METRIC_INNER_PRODUCT)
            scores.append(near)
            rows.append(at + first)
        return self._hits(np.concatenate(scores, axis=1), np.concatenate(rows, axis=1), k)

    def _hits(self, scores: NDArray[np.float32], rows: NDArray[np.int64], k: int) -> list[list[Hit]]:
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        best = np.take_along_axis(scores, order, axis=1).tolist()
        where = np.take_along_axis(rows, order, axis=1).tolist()
        return [
            [
                Hit(self._entries[row][0], self._entries[row][1], score)
                for score, row in zip(line, at, strict=True)
            ]
            for line, at in zip(best, where, strict=True)
        ]

    def _append(self, entry: Entry) -> None:
        row = len(self._entries)
        if row == len(self._shelves) * SHELF_ROWS:
            self._shelves.append(np.zeros((SHELF_ROWS, self.dimension), dtype=np.float32))
        self._row(row)[:] = entry.vector
        self._entries.append((entry.subject_id, entry.template_id))
        self._templates.add(entry.template_id)
        self._rows_of.setdefault(entry.subject_id, set()).add(row)

    def _fill_with_last(self, row: int) -> None:
        last = len(self._entries) - 1
        moved, _ = self._entries[last]
        self._rows_of[moved].discard(last)
        if row != last:
            self._row(row)[:] = self._row(last)
            self._rows_of[moved].add(row)
        self._row(last)[:] = 0
        gone = self._entries[row]
        self._entries[row] = self._entries[last]
        self._entries.pop()
        self._templates.discard(gone[1])
        self._forget_empty_shelf()

    def _row(self, row: int) -> NDArray[np.float32]:
        shelf = self._shelves[row // SHELF_ROWS]
        vector: NDArray[np.float32] = shelf[row % SHELF_ROWS]
        return vector

    def _forget_empty_shelf(self) -> None:
        # One empty shelf stays, so that adding and erasing at the edge does not map memory each time.
        if len(self._shelves) * SHELF_ROWS >= len(self._entries) + 2 * SHELF_ROWS:
            self._shelves.pop()
