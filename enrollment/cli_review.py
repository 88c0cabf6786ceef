"""`likeness subject review`: held enrolments on the command line, by the rules of the page."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.errors import ConfigError

if TYPE_CHECKING:
    from enrollment.holds import HoldDetail, HoldView
    from enrollment.subjects import Ledger

TOKEN = "REVIEW_TOKEN"  # noqa: S105 - the name of a variable
"""Environment variable with the operator's own token; without it the token is asked for."""

SHORT_ID = 8


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("review")(review)


def review(
    hold: Annotated[
        str, typer.Argument(metavar="ID", help="The hold's id, or its first characters. None: list them.")
    ] = "",
    *,
    name: Annotated[str, typer.Option("--as", metavar="NAME", help="Your name as an operator.")],
    approve: Annotated[bool, typer.Option("--approve", help="Say yes. It takes two operators.")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="Say no. One is enough.")] = False,
    why: Annotated[str, typer.Option(metavar="TEXT", help="What you checked, and how.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List held enrolments, show one, or vote on it. Every look and vote is on record.

    Your token is asked for, or taken from REVIEW_TOKEN. Make operators with `likeness operator add`.

    likeness subject review --as ada
    likeness subject review 3f2a91c4 --as ada --approve --why "passport seen in a video call"
    """
    from enrollment import holds
    from enrollment.cli_samples import open_all
    from monitor import audit
    from monitor.db import utc_now, writing

    if approve and reject:
        msg = "--approve and --reject are two answers"
        raise ConfigError(msg, hint="Give one of them.")
    _, ledger = open_all()
    operator = _operator(ledger, name)
    if not hold:
        if approve or reject:
            msg = "a vote is on one enrolment"
            raise ConfigError(msg, hint="Give its id; without one they are listed.")
        with writing(ledger.engine) as session:
            audit.record(session, f"operator:{operator}", "enrolment.list")
            _print_list(holds.listing(session), as_json=as_json)
        return
    with writing(ledger.engine) as session:
        hold_id = holds.resolve(session, hold)
        if approve or reject:
            said = holds.Vote(operator, approve=approve, why=why)
            state = holds.vote(session, ledger.keks, hold_id, said, utc_now())
            _print_vote(str(state), as_json=as_json)
        else:
            _print_one(holds.show(session, ledger.keks, hold_id, operator), as_json=as_json)


def _operator(ledger: Ledger, name: str) -> str:
    from enrollment import operators
    from monitor.db import reading

    token = os.environ.get(TOKEN) or typer.prompt("Token", hide_input=True, err=True)
    with reading(ledger.engine) as session:
        return operators.authenticated(session, name, token.strip())


def _print_list(views: list[HoldView], *, as_json: bool) -> None:
    from enrollment.holds import WORDS, YES_NEEDED

    if as_json:
        said = [
            {
                "id": view.hold_id,
                "since": view.since.isoformat(timespec="seconds"),
                "reasons": list(view.reasons),
                "yes": list(view.voted),
            }
            for view in views
        ]
        typer.echo(json.dumps({"holds": said}))
        return
    if not views:
        typer.echo("Nobody waits for a decision.")
    for view in views:
        why = " ".join(WORDS[reason] for reason in view.reasons)
        yes = f"{len(view.voted)} of {YES_NEEDED} said yes"
        typer.echo(f"{view.hold_id[:SHORT_ID]}  {view.since:%Y-%m-%d %H:%M} UTC  {yes}  {why}")


def _print_one(detail: HoldDetail, *, as_json: bool) -> None:
    from enrollment.holds import WORDS

    near = [
        {
            "subject": one.subject_id[:SHORT_ID],
            "as": str(one.modality),
            "likeness": round(one.score, 2),
            "enrolled": one.enrolled,
            "samples_kept": one.kept,
        }
        for one in detail.near
    ]
    votes = [
        {
            "operator": name,
            "yes": yes,
            "why": why,
            "at": at.isoformat(timespec="seconds"),
        }
        for name, yes, why, at in detail.votes
    ]
    said = {
        "id": detail.view.hold_id,
        "state": str(detail.state),
        "since": detail.view.since.isoformat(timespec="seconds"),
        "reasons": [WORDS[reason] for reason in detail.view.reasons],
        "subject": detail.subject_id,
        "name": detail.name,
        "email": detail.email,
        "born": detail.born,
        "near": near,
        "checks": [f"{name}: {finding}" for name, finding in detail.checks],
        "votes": votes,
    }
    if as_json:
        typer.echo(json.dumps(said))
        return
    for key, value in said.items():
        for one in value if isinstance(value, list) else [value]:
            words = ", ".join(f"{k}: {v}" for k, v in one.items()) if isinstance(one, dict) else one
            typer.echo(f"{key:>8}  {words}")


def _print_vote(state: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"state": state}))
        return
    words = {
        "open": "Your yes is on record. It takes a second operator.",
        "approved": "Two operators said yes: the worker lets them in now.",
        "rejected": "Rejected: what they gave is deleted when their cooling-off is over, and they are told.",
    }
    typer.echo(words[state])
