"""`likeness item`: what happened to one media item; try it again."""

from __future__ import annotations

import json as json_text
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.errors import NotFound

if TYPE_CHECKING:
    from sqlmodel import Session

    from monitor.settings import Settings
    from monitor.tables import Finding, MediaItem

app = typer.Typer(no_args_is_help=True)

SHORT_ID = 12
"""Characters of an id in the list: enough to type, and enough to be the only one."""

SHORTEST_PREFIX = 4
"""Characters of an id that are enough to type, when only one item begins with them."""

Json = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command()
def show(media_id: Annotated[str, typer.Argument(metavar="ID")], json: Json = False) -> None:
    """Show one item: where it was seen, each step with its time, what was not looked at, how it ended."""
    from monitor import audit, findings
    from monitor.db import reading
    from monitor.ledger import open_ledger
    from monitor.settings import load_settings
    from monitor.tables import MediaItem

    settings = load_settings()
    engine = open_ledger(settings)
    with reading(engine) as session:
        told = _told(session, session.get_one(MediaItem, _whole_id(session, media_id)), settings)
    findings.put_on_record(
        engine, audit.operator(), [(one["subject_id"], one["id"]) for one in told["findings"]]
    )
    if json:
        typer.echo(json_text.dumps(told, indent=2))
    else:
        _print(told)


@app.command("list")
def list_items(
    failed: Annotated[bool, typer.Option("--failed", help="Only those that could not be looked at.")] = False,
    limit: Annotated[int, typer.Option(help="At most so many, the newest first.")] = 50,
    json: Json = False,
) -> None:
    """List items, the newest first."""
    from sqlmodel import col, select

    from monitor.db import reading
    from monitor.ledger import open_ledger
    from monitor.settings import load_settings
    from monitor.tables import MediaItem

    query = select(MediaItem).order_by(col(MediaItem.received_at).desc()).limit(limit)
    if failed:
        query = query.where(MediaItem.state == "failed")
    with reading(open_ledger(load_settings())) as session:
        rows = [_brief(row) for row in session.exec(query)]
    if json:
        typer.echo(json_text.dumps(rows, indent=2))
    else:
        _print_list(rows)


@app.command()
def retry(
    media_ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", show_default=False)] = None,
    all_: Annotated[bool, typer.Option("--all", help="All that could not be looked at.")] = False,
    code: Annotated[str, typer.Option(help="With --all: only those that failed with this code.")] = "",
) -> None:
    """Put failed items back into the queue, once the cause is gone; a worker takes them up.

    `likeness item list --failed` lists them with their codes.
    """
    from monitor import claims
    from monitor.db import reading
    from monitor.ledger import open_ledger
    from monitor.settings import load_settings
    from monitor.values import MediaId

    if bool(media_ids) == all_ or (code and not all_):
        msg = "give the items' ids, or --all, or --all --code CODE"
        raise typer.BadParameter(msg)
    engine = open_ledger(load_settings())
    for typed in media_ids or ():
        with reading(engine) as session:
            media_id = _whole_id(session, typed)
        claims.retry(engine, MediaId(media_id))
        typer.echo(f"{media_id} waits for a worker again")
    if all_:
        typer.echo(f"{claims.retry_all(engine, code)} items wait for a worker again")


def _whole_id(session: Session, typed: str) -> str:
    """Turn an id, or its first characters where only one item begins with them, into the id.

    Raises NotFound.
    """
    from sqlmodel import col, select

    from monitor.tables import MediaItem

    ids = select(MediaItem.id).where(col(MediaItem.id).startswith(typed, autoescape=True)).limit(2)
    found = session.exec(ids).all()
    if len(found) != 1 or len(typed) < SHORTEST_PREFIX:
        msg = f"there is no one item {typed}"
        raise NotFound(msg, hint="`likeness item list` lists the newest.")
    return found[0]


def _brief(row: MediaItem) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "failed_stage": row.failed_stage,
        "failed_code": row.failed_code,
        "failed_reason": row.failed_reason,
        "received_at": row.received_at.isoformat(),
    }


def _made(session: Session, finding: Finding, settings: Settings) -> dict[str, Any] | None:
    """Say in short what was found of its being made by a computer; None where nobody looked, or may."""
    from monitor import findings
    from monitor.crypto import KeyEncryptionKeys
    from monitor.errors import KeysError, SubjectErased
    from monitor.explaining import brief
    from monitor.values import FindingId

    try:
        keks = KeyEncryptionKeys.from_settings(settings)
        assessed = findings.read(session, keks, FindingId(finding.id)).detail.synthetic.assessed
    except (KeysError, SubjectErased):
        return None  # without the key there is still the rest of the item to show
    return brief(assessed) if assessed else None


def _told(session: Session, row: MediaItem, settings: Settings) -> dict[str, Any]:
    from sqlmodel import col, select

    from monitor.findings import origins_of
    from monitor.tables import Finding, StageRun
    from monitor.values import MediaId

    runs = session.exec(select(StageRun).where(StageRun.media_id == row.id).order_by(col(StageRun.id)))
    found = session.exec(select(Finding).where(Finding.media_id == row.id))
    return {
        **_brief(row),
        "sha256": row.sha256,
        "size_bytes": row.size_bytes,
        "perceptual_hash": row.perceptual_hash,
        "done_at": row.done_at.isoformat() if row.done_at else None,
        "faces_seen": row.faces_seen,
        "turns_seen": row.turns_seen,
        "not_looked": json_text.loads(row.not_looked) if row.not_looked else [],
        "origins": [
            {"kind": o.kind, "url": o.url, "page_url": o.page_url, "seen_at": o.seen_at.isoformat()}
            for o in origins_of(session, MediaId(row.id))
        ],
        "steps": [{"stage": r.stage, "seconds": round(r.seconds, 4), "outcome": r.outcome} for r in runs],
        "findings": [
            {
                "id": f.id,
                "subject_id": f.subject_id,
                "band": f.band,
                "state": f.state,
                "made": _made(session, f, settings),
            }
            for f in found
        ],
    }


def _print(told: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    facts = Table(show_header=False, box=None)
    for name in (
        "id",
        "kind",
        "state",
        "sha256",
        "size_bytes",
        "received_at",
        "done_at",
        "faces_seen",
        "turns_seen",
    ):
        if told[name] is not None:
            facts.add_row(name.replace("_", " "), str(told[name]))
    if told["state"] == "failed":
        why = f"in {told['failed_stage']}: {told['failed_code']}: {told['failed_reason']}"
        facts.add_row("failed", escape(why))
        facts.add_row("again", f"`likeness item retry {told['id']}`, once the cause is gone")
    for origin in told["origins"]:
        where = " ".join(str(origin[k]) for k in ("kind", "url", "page_url") if origin[k])
        facts.add_row("seen", escape(where))
    for left in told["not_looked"]:
        facts.add_row("not looked at", escape(f"{left['part']}: {left['reason']}"))
    console.print(facts)
    steps = Table("step", "seconds", "outcome")
    for step in told["steps"]:
        steps.add_row(step["stage"], f"{step['seconds']:.3f}", step["outcome"])
    console.print(steps)
    for one in told["findings"]:
        console.print(f"finding {one['id']} of subject {one['subject_id']}: {one['band']}, {one['state']}")
        if one["made"]:
            _print_made(one["made"])


def _print_made(made: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    llr = "" if made["llr"] is None else f", llr {made['llr']:.2f}"
    table = Table(
        "signal", "llr", "says nothing because", title=f"made by a computer: {made['verdict']}{llr}"
    )
    for one in made["signals"]:
        said = "" if one["llr"] is None else f"{one['llr']:.2f}"
        table.add_row(escape(one["name"]), said, one["abstains"] or "")
    Console().print(table)


def _print_list(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    console = Console()
    if not rows:
        console.print("None.")
        return
    table = Table(
        Column("item", no_wrap=True),
        "kind",
        "state",
        "in",
        "code",
        Column("why", overflow="fold"),
        "received",
    )
    for row in rows:
        why = [escape(row[part] or "") for part in ("failed_stage", "failed_code", "failed_reason")]
        table.add_row(
            row["id"][:SHORT_ID], row["kind"], row["state"], *why, row["received_at"][5:16].replace("T", " ")
        )
    console.print(table)
    if any(row["state"] == "failed" for row in rows):
        console.print("`likeness item retry ID` looks again, once the cause is gone; `--all` at all of them.")
