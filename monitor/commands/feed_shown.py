"""What the verbs of `likeness feed` share: the ledger that they open, and how a feed is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from monitor.partners.tables import Feed
    from monitor.settings import Settings

JsonFlag = Annotated[bool, typer.Option("--json", help="For programs.")]
NameArgument = Annotated[str, typer.Argument(help="Name of the feed.")]


def open_feeds() -> tuple[Settings, Engine]:
    """Give the settings and the ledger."""
    from monitor.ledger import open_ledger
    from monitor.settings import load_settings

    settings = load_settings()
    return settings, open_ledger(settings)


def list_of(text: str) -> tuple[str, ...]:
    """Read a list that was typed with commas."""
    return tuple(part for part in (one.strip().lower() for one in text.split(",")) if part)


def url_of(settings: Settings, name: str) -> str:
    """Give the address that a partner pushes to."""
    return f"{settings.public_url.rstrip('/')}/v1/feeds/{name}/items"


def plain(row: Feed) -> dict[str, Any]:
    """Give a feed for programs, without what is sealed."""
    return row.model_dump(mode="json", exclude={"pull"})


def print_table(headings: Sequence[str], lines: Sequence[Sequence[str]], otherwise: str) -> None:
    """Print a table, or what is said where it is empty."""
    from rich.console import Console
    from rich.table import Table

    if not lines:
        typer.echo(otherwise)
        return
    table = Table(*headings, box=None)
    for line in lines:
        table.add_row(*line)
    Console().print(table)
