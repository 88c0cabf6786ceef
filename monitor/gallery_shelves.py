"""Vectors in memory that this process owns: every row is overwritten before it is let go.

A library's index keeps erased vectors in the spare room behind its last row and in the blocks it grew out
of, where a core dump finds them. Here a shelf never moves, and what does move is wiped where it stood.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Never

import numpy as np

from monitor.errors import BadVector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SHELF_ROWS = 8192
"""Rows in one shelf: 16 MiB of 512 floats, so that growing by one is quick and moves nothing."""

UNIT_TOLERANCE = 1e-3
"""How far from 1 the length of a vector may be; float16 models round to about 5e-4."""

FIRST_ROOM = 4
"""Rows that a new Rows has room for: most people give three to five samples."""


def unit_rows(vectors: NDArray[np.float32], what: str) -> NDArray[np.float32]:
    """Give (n, d) vectors as contiguous float32, each of length 1; `what` names them in the error.

    Raises BadVector where one is NaN, infinite, zero or of another length: any score with it would be a
    number, and none would mean anything.
    """
    rows = np.ascontiguousarray(vectors, dtype="<f4")
    with np.errstate(all="ignore"):  # what overflows is refused in the next line
        lengths = np.sqrt(np.vecdot(rows, rows))
    if rows.ndim != 2 or not bool(np.all(np.abs(lengths - 1.0) <= UNIT_TOLERANCE)):
        msg = f"{what} is one vector of length 1; this is not"
        raise BadVector(
            msg, hint="The model that made it, or its runtime, is broken: check `likeness models`."
        )
    return rows


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


class Shelves:
    """Rows without holes on shelves that never move: an erased row is filled with the last one."""

    def __init__(self, dimension: int) -> None:
        """Start empty, for rows of `dimension` floats."""
        self.dimension = dimension
        self.each = SHELF_ROWS
        self._shelves: list[NDArray[np.float32]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Give the rows that are in use, shelf by shelf: views of (n, dimension) float32."""
        for first in range(0, self._count, self.each):
            yield self._shelves[first // self.each][: min(self.each, self._count - first)]

    def __reduce__(self) -> Never:
        """Refuse to be pickled: the vectors exist in this process's memory alone."""
        msg = "a gallery is never pickled"
        raise TypeError(msg)

    def row(self, number: int) -> NDArray[np.float32]:
        """Give one row to read or to write: a view of (dimension,) float32."""
        row: NDArray[np.float32] = self._shelves[number // self.each][number % self.each]
        return row

    def append(self) -> int:
        """Make one more row, all zeros, and give its number."""
        if self._count == len(self._shelves) * self.each:
            self._shelves.append(np.zeros((self.each, self.dimension), dtype=np.float32))
        self._count += 1
        return self._count - 1

    def remove(self, number: int) -> int:
        """Overwrite a row with the last one, wipe that one's place, and give the number that it had."""
        last = self._count - 1
        if number != last:
            self.row(number)[:] = self.row(last)
        self.row(last)[:] = 0
        self._count = last
        if len(self._shelves) * self.each >= last + 2 * self.each:
            self._shelves.pop()  # one empty shelf stays: adding and erasing at the edge maps no memory
        return last

    def wipe(self) -> None:
        """Overwrite and forget everything."""
        for shelf in self._shelves:
            shelf[:] = 0
        self._shelves.clear()
        self._count = 0


class Rows:
    """The few vectors of one subject, by name. They grow into new room, and the old room is wiped."""

    def __init__(self, dimension: int) -> None:
        """Start empty, for vectors of `dimension` floats."""
        self.names: list[str] = []
        self._held = np.zeros((0, dimension), dtype=np.float32)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def vectors(self) -> NDArray[np.float32]:
        """The vectors in order of `names`: a view of (n, dimension) float32."""
        return self._held[: len(self.names)]

    def add(self, name: str, vector: NDArray[np.float32]) -> None:
        """Copy a vector in, behind the others."""
        if len(self.names) == len(self._held):
            room = np.zeros((max(FIRST_ROOM, 2 * len(self._held)), self._held.shape[1]), dtype=np.float32)
            room[: len(self.names)] = self._held
            self._held[:] = 0
            self._held = room
        self._held[len(self.names)] = vector
        self.names.append(name)

    def remove(self, name: str) -> None:
        """Overwrite one vector; the last one takes its place. Raises ValueError where it is not here."""
        number, last = self.names.index(name), len(self.names) - 1
        self._held[number] = self._held[last]
        self._held[last] = 0
        self.names[number] = self.names[last]
        self.names.pop()

    def wipe(self) -> None:
        """Overwrite and forget everything."""
        self._held[:] = 0
        self.names.clear()
