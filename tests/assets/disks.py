"""Disks that are full, for as long as a `with` lasts."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = 'disk_full'; END $$
"""

TABLES = ("template", "media_item", "finding", "evidence", "stage_run")


@contextmanager
def full(engine: Engine) -> Iterator[None]:
    """Let the disk under a database be full.

    SQLite is given no page more, and refuses with the very code of a full disk. PostgreSQL raises that code
    wherever rows of media, templates or findings are written.
    """
    with _full_sqlite(engine) if engine.dialect.name == "sqlite" else _full_postgres(engine):
        yield


@contextmanager
def _full_sqlite(engine: Engine) -> Iterator[None]:
    def fill(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA max_page_count=1")  # it never goes below what there is

    event.listen(engine, "connect", fill)
    engine.dispose()  # whoever asks from now on gets a new connection
    try:
        yield
    finally:
        event.remove(engine, "connect", fill)
        engine.dispose()


@contextmanager
def _full_postgres(engine: Engine) -> Iterator[None]:
    with engine.begin() as connection:
        connection.execute(text(REFUSE))
        for table in TABLES:
            begin = f"CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {table}"
            connection.execute(text(f"{begin} FOR EACH ROW EXECUTE FUNCTION refuse()"))
    try:
        yield
    finally:
        with engine.begin() as connection:
            connection.execute(text("DROP FUNCTION refuse() CASCADE"))
