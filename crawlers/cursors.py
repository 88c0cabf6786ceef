"""How far each line of pages of a source was read, in memory for one crawl, written with the journal.

The journal takes cursors before it takes what was looked at, and writes both in one transaction: a cursor
that is in the database never stands behind something that is not.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import select

from crawlers.tables import SourceCursor
from monitor.db import reading, utc_now

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlmodel import Session

    from monitor.values import SourceId

LONGEST_TAG: Final = 200
LONGEST_CURSOR: Final = 4000
"""Characters. A platform's cursor that is longer is not one, and is not kept: its line is read again."""


class CursorBook:
    """The cursors of one source. `keep` is called by the crawl's own thread, `take_batch` by the writer's."""

    def __init__(self, source_id: SourceId, known: dict[str, str]) -> None:
        """Keep what `read_cursors` read."""
        self._source_id, self.known = source_id, known
        self._batch: dict[str, str] = {}
        self._lock = threading.Lock()

    def keep(self, tag: str, value: str) -> bool:
        """Keep a cursor. False when tag or value is longer than any that is meant."""
        if len(tag) > LONGEST_TAG or len(value) > LONGEST_CURSOR:
            return False
        with self._lock:
            self.known[tag] = self._batch[tag] = value
        return True

    def take_batch(self) -> dict[str, str]:
        """Take what is not written yet."""
        with self._lock:
            batch, self._batch = self._batch, {}
        return batch

    def give_back(self, batch: dict[str, str]) -> None:
        """Take back a batch that could not be written; newer cursors win."""
        with self._lock:
            self._batch = batch | self._batch

    def write(self, session: Session, batch: dict[str, str]) -> None:
        """Write a batch in the caller's transaction."""
        if batch:
            rows = [
                {"source_id": self._source_id, "tag": tag, "value": value, "at": utc_now()}
                for tag, value in batch.items()
            ]
            session.connection().execute(_upsert(session.get_bind().dialect.name), rows)


def _upsert(dialect: str) -> Any:  # noqa: ANN401 - two classes of the same interface
    table = SourceCursor.__table__  # type: ignore[attr-defined]  # SQLModel makes it
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    return insert.on_conflict_do_update(
        index_elements=["source_id", "tag"], set_={"value": insert.excluded.value, "at": insert.excluded.at}
    )


def read_cursors(engine: Engine, source_id: SourceId) -> CursorBook:
    """Read the cursors of a source."""
    with reading(engine) as session:
        found = session.exec(select(SourceCursor).where(SourceCursor.source_id == source_id)).all()
        return CursorBook(source_id, {row.tag: row.value for row in found})
