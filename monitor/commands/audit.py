"""`likeness audit`: who did what, and whether anybody changed the record of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.tables import AuditEvent

app = typer.Typer(no_args_is_help=True)


@app.command("verify")
def verify_chain(
    head: Annotated[
        str,
        typer.Option("--head", help="SEQ:LINK kept from an earlier `audit verify`; it must still be there."),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Walk the chains of the record and of the evidence; what was changed, removed or put in is named."""
    from monitor import audit, findings
    from monitor.db import reading

    kept = _parse_head(head) if head else None
    with reading(_engine()) as session:
        count = audit.verify(session, head=kept)
        seq, link = audit.head(session)
        links = findings.verify_chain(session)
    if as_json:
        typer.echo(json.dumps({"events": count, "head": f"{seq}:{link}", "evidence": links, "whole": True}))
        return
    typer.echo(f"{count} events and {links} pieces of evidence, all in place.")
    typer.echo(f"Head of the events, to keep elsewhere: {seq}:{link}")


@app.command("show")
def show(
    last: Annotated[int, typer.Option("--last", min=1, help="How many events, from the end.")] = 20,
    subject: Annotated[str, typer.Option("--subject", help="Only those about this subject's id.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Show the last events, oldest first."""
    events = _last_events(_engine(), last, subject)
    if as_json:
        for event in events:
            typer.echo(json.dumps(_as_dict(event), ensure_ascii=False))
        return
    _print_table(events)


def _engine() -> Engine:
    from monitor.ledger import open_ledger
    from monitor.settings import load_settings

    return open_ledger(load_settings())


def _parse_head(head: str) -> tuple[int, str]:
    seq, _, link = head.partition(":")
    if not seq.isdigit() or not link:
        msg = f"{head!r} is not SEQ:LINK"
        raise ConfigError(msg, hint="`likeness audit verify` prints it.")
    return int(seq), link


def _last_events(engine: Engine, last: int, subject: str) -> list[AuditEvent]:
    from sqlmodel import col, select

    from monitor.db import reading
    from monitor.tables import AuditEvent

    wanted = select(AuditEvent).order_by(col(AuditEvent.seq).desc()).limit(last)
    if subject:
        wanted = wanted.where(AuditEvent.subject_id == subject)
    with reading(engine) as session:
        return list(session.exec(wanted))[::-1]


def _as_dict(event: AuditEvent) -> dict[str, object]:
    return {
        "seq": event.seq,
        "at": event.at.isoformat(),
        "actor": event.actor,
        "action": event.action,
        "subject_id": event.subject_id,
        "detail": json.loads(event.detail),
        "link": event.link,
    }


def _print_table(events: list[AuditEvent]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    whole = [Column(name, no_wrap=True) for name in ("Seq", "At (UTC)", "Action", "Subject")]
    table = Table(*whole, *(Column(name, overflow="fold") for name in ("Actor", "Detail")))
    for event in events:
        plain = (event.action, (event.subject_id or "")[:8], event.actor, event.detail)
        table.add_row(str(event.seq), f"{event.at:%y-%m-%d %H:%M:%S}", *map(escape, plain))
    Console().print(table)
