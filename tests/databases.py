"""An empty database with all tables, ready-made: the migrations run once in a process of tests, not per test.

`tests/monitor/test_migrations.py` is where they run for their own sake.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from monitor import migrations
from monitor.db import open_engine

if TYPE_CHECKING:
    from monitor.settings import Settings


@cache
def migrated() -> bytes:
    """Give the bytes of a SQLite database that the migrations made."""
    with tempfile.TemporaryDirectory(prefix="likeness-") as folder:
        path = Path(folder) / "likeness.db"
        engine = open_engine(f"sqlite:///{path}")
        migrations.upgrade(engine)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        engine.dispose()
        return path.read_bytes()


def in_place(settings: Settings) -> Settings:
    """Put an empty database where these settings look for theirs, unless one is there; give them back."""
    if not settings.database_url:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = settings.home / "likeness.db"
        if not path.exists():
            path.write_bytes(migrated())
    return settings
