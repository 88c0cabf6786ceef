"""Run by alembic for an upgrade: gathers the tables of all packages, works in the caller's transaction."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

import alerts.tables
import crawlers.tables
import enrollment.tables
import monitor.originals.tables
import monitor.partners.tables
import monitor.tables
from monitor.db import UtcDateTime

DECLARED = (
    monitor.tables,
    monitor.originals.tables,
    monitor.partners.tables,
    enrollment.tables,
    crawlers.tables,
    alerts.tables,
)
"""Importing them declares the tables of each package."""

PLAIN = {AutoString: "sa.String()", UtcDateTime: "sa.DateTime(timezone=True)"}
"""Column types of ours as plain ones: an old migration must not change when our code does."""


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:  # noqa: ANN401 - alembic's own signature
    """Write a column's type into a new migration."""
    return PLAIN.get(type(item), False) if kind == "type" else False


def run() -> None:
    """Run the migrations that are due."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=True,  # SQLite changes a table by making it anew
        render_item=render_item,
        user_module_prefix="",
    )
    with context.begin_transaction():
        context.run_migrations()


run()
