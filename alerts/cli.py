"""`likeness alerts`: what was told, what could not be, and what waits for a human look."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from alerts.tables import Incident
    from monitor.crypto import KeyEncryptionKeys

app = typer.Typer(no_args_is_help=True)

JsonFlag = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command("list")
def list_(
    failed: Annotated[
        bool, typer.Option("--failed", help="Only those that failed or are uncertain.")
    ] = False,
    last: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """Show the messages of the outbox: about which incident, by which channel, how far they came.

    States: due (waits for its turn), sending, sent, failed (see why), uncertain (it may have arrived, so it
    is not repeated by itself), stopped (the person wants no messages).
    """
    from sqlmodel import col, select

    from alerts.tables import Alert
    from monitor.db import reading

    query = select(Alert).order_by(col(Alert.created_at).desc(), Alert.id).limit(last)
    if failed:
        query = query.where(col(Alert.state).in_(["failed", "uncertain"]))
    with reading(_engine()) as session:
        rows = [alert.model_dump(mode="json") for alert in session.exec(query)]
    if as_json:
        typer.echo(json.dumps(rows))
    elif not rows:
        typer.echo("No messages yet.")
        _say_what_is_unsorted()
    else:
        _table(rows, ("id", "channel", "kind", "state", "attempts", "created_at", "error_reason"))


@app.command("again")
def again(alert_id: Annotated[str, typer.Argument(help="Id from `likeness alerts list`.")]) -> None:
    """Send a failed or uncertain message again. It may arrive twice if it was uncertain."""
    from alerts.outbox import send_again
    from monitor import audit
    from monitor.db import utc_now, writing

    with writing(_engine()) as session:
        alert = send_again(session, alert_id, utc_now())
        audit.record(session, _operator(), "alert.again", alert.subject_id, alert=alert.id)
    typer.echo(f"{alert_id} is due again; the worker sends it, or `likeness alerts send`.")


@app.command("review")
def review(
    incident_id: Annotated[
        str, typer.Argument(help="The incident to decide on. Empty: list those that wait.")
    ] = "",
    approve: Annotated[bool, typer.Option("--approve", help="It may be this person: tell them.")] = False,
    dismiss: Annotated[
        bool, typer.Option("--dismiss", help="It is not this person: tell nobody, and learn.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """List what waits for a human look, or decide on one of them. Looking and deciding are on record.

    Findings wait here when the comparison alone is not sure enough to trouble the person. What is dismissed
    teaches the watch whom not to take for them; `undo` takes that back.
    """
    if incident_id and approve != dismiss:
        _decide(incident_id, approve=approve, as_json=as_json)
        return
    if incident_id or approve or dismiss:
        msg = "give an incident and one of --approve and --dismiss, or nothing to list"
        raise typer.BadParameter(msg)
    rows = _held()
    if as_json:
        typer.echo(json.dumps(rows))
    elif not rows:
        typer.echo("Nothing waits.")
        _say_what_is_unsorted()
    else:
        _blocks(rows, "incident_id")


@app.command("lookalikes")
def lookalikes(
    subject_id: Annotated[str, typer.Argument(help="The person; see `likeness subject list`.")],
    as_json: JsonFlag = False,
) -> None:
    """List what was called “not me” for a person, and what is kept of it. Looking is on record.

    States: due (a worker learns from it soon), learnt (a sealed lookalike is kept until it expires),
    nothing_to_learn (see why), undone.
    """
    from alerts.dismissed import dismissed
    from monitor import audit
    from monitor.db import reading, writing
    from monitor.values import SubjectId

    engine = _engine()
    with reading(engine) as session:
        rows = dismissed(session, SubjectId(subject_id))
    with writing(engine) as session:
        audit.record(session, _operator(), "lookalike.list", subject_id, rows=len(rows))
    if as_json:
        typer.echo(json.dumps([row.told() for row in rows]))
    elif not rows:
        typer.echo("Nothing was called “not me” for this person.")
    else:
        _blocks([row.told() for row in rows], "finding_id")


@app.command("undo")
def undo(
    subject_id: Annotated[str, typer.Argument(help="The person; see `likeness subject list`.")],
    incident_id: Annotated[str, typer.Argument(help="Id from `likeness alerts lookalikes`.")],
    as_json: JsonFlag = False,
) -> None:
    """Undo a dismissal: what was learnt from it is destroyed. On record.

    What the person dismissed counts as told again; what an operator dismissed waits for a review again.
    """
    from alerts import incidents
    from monitor.db import writing
    from monitor.values import SubjectId

    with writing(_engine()) as session:
        state = incidents.take_back(session, incident_id, SubjectId(subject_id), _operator()).state
    if as_json:
        typer.echo(json.dumps({"incident_id": incident_id, "state": state}))
    else:
        typer.echo(f"{incident_id}: undone; it is {state} again, and nothing learnt from it is left.")


def _decide(incident_id: str, *, approve: bool, as_json: bool) -> None:
    from alerts import incidents
    from monitor.db import utc_now, writing

    with writing(_engine()) as session:
        incident = incidents.decide(session, incident_id, approve=approve, actor=_operator(), now=utc_now())
        state = incident.state
    if as_json:
        typer.echo(json.dumps({"incident_id": incident_id, "state": state}))
    else:
        typer.echo(f"{incident_id}: {'the person will be told' if approve else 'dismissed, nobody is told'}.")


def _say_what_is_unsorted() -> None:
    """Name findings that no outbox has sorted: an empty list would else read as nothing found."""
    from monitor import findings
    from monitor.db import reading

    with reading(_engine()) as session:
        count = len(findings.due(session))
    if count:
        typer.echo(
            f"But findings not yet sorted into messages and reviews: {count}. A worker sorts them once "
            "LIKENESS_SMTP_HOST or LIKENESS_TWILIO_ACCOUNT is set; so does `likeness alerts send`."
        )


def _held() -> list[dict[str, Any]]:
    from alerts import incidents
    from monitor import audit
    from monitor.crypto import KeyEncryptionKeys
    from monitor.db import reading, writing
    from monitor.settings import load_settings

    keks, engine = KeyEncryptionKeys.from_settings(load_settings()), _engine()
    with reading(engine) as session:
        waiting = incidents.held(session)
    rows = [_row(engine, keks, incident) for incident in waiting]
    with writing(engine) as session:
        for incident in waiting:
            audit.record(session, _operator(), "alert.look", incident.subject_id, incident=incident.id)
    return rows


def _row(engine: Engine, keks: KeyEncryptionKeys, incident: Incident) -> dict[str, Any]:
    """Put one held incident into a row: enough to go and look, nothing of the person's body."""
    from alerts import incidents
    from alerts.explained import in_short
    from alerts.words import sighting_of
    from monitor.db import reading

    with reading(engine) as session:
        view = incidents.findings_of(session, keks, incident.id)[0]
    sighting, assessed = sighting_of(view, looked_at=False), view.detail.synthetic.assessed
    return {
        "incident_id": incident.id,
        "subject_id": incident.subject_id,
        "since": incident.opened_at.isoformat(timespec="seconds"),
        "what": sighting.what,
        "where": [address for place in sighting.places for address in place.exact],
        "face": view.detail.face_score,
        "voice": view.detail.voice_score,
        "for": list(sighting.reasons),
        "against": list(sighting.against),
        "made_by_a_computer": list(in_short(assessed)) if assessed else [sighting.synthetic],
    }


def _engine() -> Engine:
    from monitor import ledger
    from monitor.settings import load_settings

    return ledger.open_ledger(load_settings())


def _operator() -> str:
    from monitor.audit import operator

    return operator()


def _table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for name in columns:
        table.add_column(name.replace("_", " "), no_wrap=name == "id")
    for row in rows:
        table.add_row(*[escape(_cell(row[name])) for name in columns])
    Console().print(table)


def _blocks(rows: Sequence[dict[str, Any]], title: str) -> None:
    """Print each row under its title, a line for each fact: addresses and ids stay whole for copying."""
    for row in rows:
        typer.secho(row[title], bold=True)
        for name, value in row.items():
            for one in value if isinstance(value, list) else [value]:
                if name != title and one is not None:
                    typer.echo(f"  {name}: {_cell(one)}")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    return "" if value is None else str(value)
