"""The engine and the two kinds of session: `reading` and `writing`.

SQLite by default, PostgreSQL by a URL. A writing session takes the write lock at once, so that
"read the last link, append the next" holds on both.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import DateTime, Engine, create_engine, event, func, select
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.types import TypeDecorator
from sqlmodel import Session, SQLModel

from monitor.errors import ConfigError, StorageFull

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine.interfaces import Dialect

SQLITE_BUSY_MS = 30_000
"""How long a writer waits for another one before it gives up; a decode never holds the lock."""

POSTGRES_DISK_FULL = "53100"
"""SQLSTATE "disk_full" (PostgreSQL, appendix A)."""

SQLModel.metadata.naming_convention = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "ix": "ix_%(column_0_label)s",
}
"""Every constraint has a name, so that a later migration can change it on both databases."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC that comes back with its time zone on SQLite too."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse a moment without a time zone."""
        if value is not None and value.tzinfo is None:
            msg = "a moment without a time zone was about to be stored"
            raise ValueError(msg)
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give it back in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def utc_now() -> datetime:
    """Now, in UTC, with its time zone."""
    return datetime.now(UTC)


def open_engine(url: str) -> Engine:
    """Open the database. Creates nothing: `monitor.migrations` makes the tables.

    Raises ConfigError when the address is none, or names a kind of database that cannot be used here.
    """
    if not url.startswith("sqlite"):
        try:
            return create_engine(url, pool_pre_ping=True, hide_parameters=True)
        except (
            ArgumentError,
            ImportError,
            ValueError,
        ) as exc:  # none of their words: a password may stand there
            msg = "LIKENESS_DATABASE_URL is not the address of a database that can be used here"
            raise ConfigError(
                msg, hint="It looks like postgresql+psycopg://user:password@host/name."
            ) from exc
    waiting = {"timeout": SQLITE_BUSY_MS / 1000, "check_same_thread": False}
    engine = create_engine(url, connect_args=waiting, hide_parameters=True)  # no row's content in errors
    event.listen(engine, "connect", _prepare_sqlite)
    writers = _Writers()
    event.listen(engine, "begin", writers.begin)
    event.listen(engine, "commit", writers.end)
    event.listen(engine, "rollback", writers.end)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI connection has no type
    connection.isolation_level = None  # we send BEGIN ourselves
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA secure_delete=ON")  # erased rows leave no bytes in free pages
    cursor.close()


class _Writers:
    """The threads that hold SQLite's one write lock, or wait for it.

    A thread that asks for it twice would wait for itself until SQLITE_BUSY_MS are over: it is told at once.
    """

    def __init__(self) -> None:
        self._threads: set[int] = set()

    def begin(self, connection: Any) -> None:  # noqa: ANN401 - as above
        """Begin a transaction. Raises RuntimeError for a writing one inside a writing one."""
        if not _is_writing(connection):
            connection.exec_driver_sql("BEGIN")
            return
        thread = threading.get_ident()
        if thread in self._threads:
            msg = "`writing` was opened inside another `writing` of the same thread: it would wait for itself"
            raise RuntimeError(msg)
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        self._threads.add(thread)

    def end(self, connection: Any) -> None:  # noqa: ANN401 - as above
        """Note that a transaction is over."""
        if _is_writing(connection):
            self._threads.discard(threading.get_ident())


def _is_writing(connection: Any) -> bool:  # noqa: ANN401 - as above
    return bool(connection.get_execution_options().get("likeness_writing", False))


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """Open a session that only looks. Objects stay usable after it ends."""
    with Session(engine, expire_on_commit=False) as session:
        yield session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """Open a session that commits at the end, or rolls everything back on an error.

    Raises StorageFull when the disk under the database has no room left; nothing is written then.
    """
    marked = engine.execution_options(likeness_writing=True)
    try:
        with Session(marked, expire_on_commit=False) as session, session.begin():
            yield session
    except DBAPIError as exc:
        if not is_full(exc):
            raise
        msg = "no room left for the database"
        raise StorageFull(msg, hint="Free some space on its disk; then do the same again.") from exc


def is_full(error: DBAPIError) -> bool:
    """Say whether the database refused for want of room on its disk.

    SQLite ends the whole transaction then, so that going back to a savepoint fails too: the first error of
    a chain counts as well as the last one.
    """
    found: BaseException | None = error
    while found is not None:
        sqlite_code = getattr(found, "sqlite_errorcode", 0) & 0xFF  # without its extended part
        if sqlite_code == sqlite3.SQLITE_FULL or getattr(found, "sqlstate", "") == POSTGRES_DISK_FULL:
            return True
        found = found.__cause__ or found.__context__
    return False


def one_at_a_time(session: Session, number: int) -> None:
    """Keep every other writer of the same chain out until this transaction ends.

    `session` comes from `writing`: on SQLite it holds the lock of the whole file already, on PostgreSQL it
    takes the advisory lock of that number.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.connection().execute(select(func.pg_advisory_xact_lock(number)))
