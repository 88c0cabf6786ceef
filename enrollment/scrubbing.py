"""What a database keeps of a row that was deleted or changed, and how it is taken out of its files.

    SQLite        zeros (secure_delete) once the log is moved into the file, and the log is cut off
    PostgreSQL    a deleted row, and the old form of a changed one, rests in its page. A plain VACUUM marks
                  the place as free and leaves the bytes until something is written over them. VACUUM (FULL)
                  writes the table anew without them and deletes the old file.

Neither reaches replicas, backups, or PostgreSQL's write-ahead log, which is recycled in its own time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine


def scrub(engine: Engine, tables: Sequence[type[Any]], wait_s: int) -> bool:
    """Take what was deleted from these tables out of the database's files; say whether that was done.

    Waits `wait_s` seconds for readers. False where somebody still read after it: nothing is lost, and it can
    be done again. Raises DBAPIError, as for a lock that was not given in time.
    """
    if engine.dialect.name == "sqlite":
        return _cut_log_off(engine, wait_s)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"SET lock_timeout = '{wait_s}s'"))
        for one in tables:
            connection.execute(text(f"VACUUM (FULL) {one.__tablename__}"))
        connection.execute(text("RESET lock_timeout"))
    return True


def _cut_log_off(engine: Engine, wait_s: int) -> bool:
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        before = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
        cursor.execute(f"PRAGMA busy_timeout={wait_s * 1000}")
        busy, _, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        cursor.execute(f"PRAGMA busy_timeout={before}")
    finally:
        connection.close()
    return not busy
