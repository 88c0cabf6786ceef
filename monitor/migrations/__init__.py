"""Makes the tables, and changes them from release to release. `upgrade` is all that others need."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from sqlmodel import SQLModel

if TYPE_CHECKING:
    from sqlalchemy import Engine, MetaData

TABLES = ("monitor.tables", "enrollment.tables", "crawlers.tables", "alerts.tables")
"""Every module that declares tables."""


def metadata() -> MetaData:
    """Gather the tables of all four packages."""
    for module in TABLES:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError:
            continue
    return SQLModel.metadata


def upgrade(engine: Engine) -> None:
    """Bring the database to this version's tables. Safe to call at every start."""
    metadata().create_all(engine)
