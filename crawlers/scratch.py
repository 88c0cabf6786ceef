"""What one crawl has to remember, in a file without a name, so that memory does not grow with the site.

An SQLite database of its own that no other program can open: the system deletes it with the process. It
holds what the database holds anyway (addresses, validators), no media and no person.
"""

from __future__ import annotations

import sqlite3
import weakref
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CACHE_KIB: Final = 4096
"""Memory that all addresses of a crawl take; the rest lies on the disk."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def connect(script: str) -> sqlite3.Connection:
    """Open such a file and make its tables."""
    made = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    made.executescript(
        f"PRAGMA cache_size=-{CACHE_KIB}; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; {script}"
    )
    return made


class Met:
    """A set of addresses, by their keys (seen.key_of)."""

    def __init__(self) -> None:
        """Begin with none."""
        self._file = connect("CREATE TABLE met (key BLOB PRIMARY KEY) WITHOUT ROWID")
        weakref.finalize(self, self._file.close)

    def add(self, key: str) -> bool:
        """Add one. False where it is there already."""
        return self._file.execute("INSERT OR IGNORE INTO met VALUES (?)", (bytes.fromhex(key),)).rowcount > 0


class Frontier:
    """Pages that are to be asked for, those of least depth first, and of these the one that was met first."""

    def __init__(self) -> None:
        """Begin with none."""
        self._file = connect(
            "CREATE TABLE page (depth INTEGER, seq INTEGER, url TEXT, run INTEGER, PRIMARY KEY (depth, seq))"
            " WITHOUT ROWID"
        )
        weakref.finalize(self, self._file.close)
        self._seq = 0

    def put(self, url: str, depth: int, run: int) -> None:
        """Add a page. `run` is whatever belongs to it (spiders/site.py: how long nothing new was shown)."""
        self._seq += 1
        self._file.execute("INSERT INTO page VALUES (?, ?, ?, ?)", (depth, self._seq, url, run))

    def take(self, most: int) -> list[tuple[str, int, int]]:
        """Take some out: (address, depth, run)."""
        found = self._file.execute(
            "SELECT * FROM page ORDER BY depth, seq LIMIT ?", (max(0, most),)
        ).fetchall()
        self._file.executemany("DELETE FROM page WHERE depth=? AND seq=?", [one[:2] for one in found])
        return [(url, depth, run) for depth, _, url, run in found]


class Rows:
    """Rows by key. `columns` are their names; times with a zone go in and come out as such."""

    def __init__(self, columns: tuple[str, ...], times: frozenset[str]) -> None:
        """Begin with none. `times` are the columns that hold a moment."""
        self._times = tuple(number for number, name in enumerate(columns, 1) if name in times)
        names = ", ".join(columns)
        self._file = connect(f"CREATE TABLE seen (key BLOB PRIMARY KEY, {names})")
        weakref.finalize(self, self._file.close)
        marks = ", ".join("?" * (len(columns) + 1))
        changes = ", ".join(f"{one}=excluded.{one}" for one in columns)
        insert = f"INSERT INTO seen VALUES ({marks})"  # noqa: S608 - names of fields
        self._put = f"{insert} ON CONFLICT (key) DO UPDATE SET {changes}"
        self._indexed: set[str] = set()

    def put(self, key: str, values: Iterable[Any]) -> None:
        """Write one, in place of an older one."""
        self._file.execute(self._put, self._packed(key, values))

    def fill(self, rows: Iterable[tuple[str, Iterable[Any]]]) -> None:
        """Write many."""
        self._file.execute("BEGIN")
        self._file.executemany(self._put, (self._packed(key, values) for key, values in rows))
        self._file.execute("COMMIT")

    def get(self, key: str) -> tuple[Any, ...] | None:
        """Give the values of one, or None."""
        found = self._file.execute("SELECT * FROM seen WHERE key=?", (bytes.fromhex(key),)).fetchone()
        return None if found is None else self._unpacked(found)[1]

    def where(self, column: str, value: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """Give (key, values) of those with a value, in order. Nothing may be put in meanwhile."""
        if column not in self._indexed:
            self._file.execute(f"CREATE INDEX by_{column} ON seen ({column})")
            self._indexed.add(column)
        query = f"SELECT * FROM seen WHERE {column}=? ORDER BY rowid"  # noqa: S608 - a name of a field
        for row in self._file.execute(query, (value,)):
            yield self._unpacked(row)

    def _packed(self, key: str, values: Iterable[Any]) -> list[Any]:
        row = [bytes.fromhex(key), *values]
        for number in self._times:
            row[number] = round((row[number] - EPOCH).total_seconds() * 1e6)
        return row

    def _unpacked(self, row: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
        values = list(row)
        for number in self._times:
            values[number] = datetime.fromtimestamp(values[number] / 1e6, UTC)
        return row[0].hex(), tuple(values[1:])
