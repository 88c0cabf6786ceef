"""`likeness operator`: who may look at held enrolments."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sqlalchemy import Engine

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Small letters, digits, and . _ - inside.")]


@app.command("add")
def add(name: Name) -> None:
    """Make an operator, and print their token: it is shown this once. Audited.

    Make one for each person who decides. Letting somebody in takes two of them.
    """
    from enrollment import operators
    from monitor.audit import operator
    from monitor.db import utc_now, writing

    with writing(_engine()) as session:
        token = operators.add(session, name, operator(), utc_now())
    typer.echo(token)
    typer.echo(f"This is the token of {name}. It is not kept: hand it over now, by a safe way.", err=True)


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """List everybody who is or was an operator."""
    from enrollment import operators
    from monitor.db import reading

    with reading(_engine()) as session:
        views = operators.listing(session)
    if as_json:
        said = [
            {
                "name": view.name,
                "since": view.created_at.isoformat(timespec="seconds"),
                "revoked": view.revoked_at.isoformat(timespec="seconds") if view.revoked_at else None,
            }
            for view in views
        ]
        typer.echo(json.dumps({"operators": said}))
        return
    if not views:
        typer.echo("There are no operators. Make one with `likeness operator add NAME`.")
    for view in views:
        ended = f", revoked {view.revoked_at:%Y-%m-%d}" if view.revoked_at else ""
        typer.echo(f"{view.name}  since {view.created_at:%Y-%m-%d}{ended}")


@app.command("revoke")
def revoke(name: Name) -> None:
    """Take an operator's token away, at once. Audited.

    What they said yes to counts no more where it is not decided yet.
    """
    from enrollment import operators
    from monitor.audit import operator
    from monitor.db import utc_now, writing

    with writing(_engine()) as session:
        operators.revoke(session, name, operator(), utc_now())
    typer.echo(f"{name} is no operator any more.")


def _engine() -> Engine:
    from monitor.ledger import open_ledger
    from monitor.settings import load_settings

    return open_ledger(load_settings())
