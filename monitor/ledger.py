"""Opens the database with this version's tables, for every process alike. Needs no key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor import migrations
from monitor.db import open_engine

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.settings import Settings


def open_ledger(settings: Settings) -> Engine:
    """Open the database with this version's tables; make the home folder, for its owner only, if missing."""
    if not settings.database_url:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = open_engine(settings.database)
    migrations.upgrade(engine)
    return engine
