"""Makes the tables, and changes them from release to release. `upgrade` is all that others need.

A developer who changed a `tables.py` runs `python -m monitor.migrations "what changed"`, reads the new
file in `versions/`, and writes its name below as HEAD. A test proves that tables and migrations agree.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text
from sqlalchemy.exc import OperationalError

from monitor.db import is_full
from monitor.errors import ConfigError, StorageError, StorageFull

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config
    from sqlalchemy import Connection, Engine

HEAD = "v0005"
"""The revision of this version's tables. Knowing it here spares every start the reading of scripts."""

LOCK = 0x6C696B656D696772
"""Number of the advisory lock on PostgreSQL ("likemigr"): one process upgrades, the others wait."""


def upgrade(engine: Engine) -> None:
    """Bring the database to this version's tables, in one transaction. Safe to call at every start.

    Raises StorageError when the database cannot be reached, ConfigError when a newer version of the
    program made it.
    """
    try:
        if current(engine) != HEAD:
            _run(engine)
    except OperationalError as exc:
        msg = f"the database {engine.url.render_as_string()} cannot be used: {exc.orig}"
        if is_full(exc):
            raise StorageFull(msg, hint="Free some space on its disk; then do the same again.") from exc
        raise StorageError(
            msg, hint="Check LIKENESS_DATABASE_URL, and that the server or folder is there."
        ) from exc


def current(engine: Engine) -> str | None:
    """Name the revision that the database is at; None: it has no tables of ours yet."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return found


def config(connection: Connection) -> Config:
    """Set alembic up for one connection; there is no ini file."""
    from alembic.config import Config  # noqa: PLC0415 - only an upgrade needs alembic

    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


def _run(engine: Engine) -> None:
    from alembic import command  # noqa: PLC0415 - as above
    from alembic.util.exc import CommandError  # noqa: PLC0415 - as above

    with _alone(engine) as connection:
        try:
            command.upgrade(config(connection), HEAD)
        except CommandError as exc:
            msg = f"the database is not one of this version of the program: {exc}"
            raise ConfigError(msg, hint="Install the version that made it, or a newer one.") from exc


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """Open one transaction that no other process can upgrade beside.

    On SQLite, changing a table means copying and dropping it, and dropping it with foreign keys in force
    would delete every row that hangs on it: they are off meanwhile, and checked before the commit.
    """
    with engine.execution_options(likeness_writing=True).connect() as connection:
        if connection.dialect.name != "sqlite":
            with connection.begin():
                connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": LOCK})
                yield connection
            return
        _pragma(connection, "foreign_keys=OFF")
        try:
            with connection.begin():
                yield connection
                _refuse_orphans(connection)
        finally:
            _pragma(connection, "foreign_keys=ON")


def _pragma(connection: Connection, setting: str) -> None:
    # Straight to the driver: inside a transaction SQLite passes over this one without a word.
    connection.connection.cursor().execute(f"PRAGMA {setting}")


def _refuse_orphans(connection: Connection) -> None:
    orphan = connection.execute(text("PRAGMA foreign_key_check")).first()
    if orphan is not None:
        msg = f"the upgrade would leave rows of {orphan[0]} without what they belong to; nothing was changed"
        raise StorageError(msg, hint="Restore the database from a backup and report this.")
