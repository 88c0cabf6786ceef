"""`likeness budget`: how many false alerts are allowed, what follows from it, and what came of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.errors import BudgetInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from sqlalchemy import Engine

    from monitor.balance import Balance, Side
    from monitor.settings import Settings

app = typer.Typer(no_args_is_help=True)

WIDEST = 40
"""Columns of the longest bar."""

COLOURS = {"ok": "green", "watch": "yellow", "alarm": "bold red"}

Json = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command("show")
def show(as_json: Json = False) -> None:
    """Show the dial, the thresholds that follow, and expected against actual false alerts."""
    from monitor.balance import balance_of
    from monitor.budget import halves_at_rest
    from monitor.db import reading, utc_now

    settings, engine = _open()
    with reading(engine) as session:
        balance = balance_of(session, halves_at_rest(settings), utc_now())
    if as_json:
        typer.echo(json.dumps(as_dict(balance), ensure_ascii=False))
        return
    _print(balance)


@app.command("set")
def turn(
    false_alerts: Annotated[
        float | None, typer.Option("--false-alerts", help="Most false alerts a month for each person.")
    ] = None,
    faces_a_day: Annotated[
        int | None, typer.Option("--faces-a-day", help="Faces and turns of speech that are looked at a day.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Turn the dial; what is not given stays. Every worker follows within seconds."""
    from monitor import audit
    from monitor.allowance import Allowance, allowance_of, set_budget
    from monitor.budget_words import alerts
    from monitor.db import utc_now, writing

    if false_alerts is None and faces_a_day is None:
        msg = "nothing was given to set"
        raise BudgetInvalid(msg, hint="For example: likeness budget set --false-alerts 1 --faces-a-day 10000")
    _settings, engine = _open()
    with writing(engine) as session:
        before = allowance_of(session)
        now = Allowance(
            before.false_alerts_per_month if false_alerts is None else false_alerts,
            before.faces_per_day if faces_a_day is None else faces_a_day,
        )
        set_budget(session, now, utc_now())
        audit.record(
            session,
            audit.operator(),
            "budget.set",
            false_alerts=now.false_alerts_per_month,
            faces_a_day=now.faces_per_day,
        )
    if as_json:
        typer.echo(json.dumps(_dial(now.false_alerts_per_month, now.faces_per_day)))
        return
    typer.echo(
        f"At most {alerts(now.false_alerts_per_month)} a month for each person, at "
        f"{now.faces_per_day:,} faces a day. `likeness budget show` says what follows."
    )


@app.command("subject")
def subject(
    subject_id: Annotated[str, typer.Argument(help="Id of the subject.")],
    false_alerts: Annotated[
        float | None, typer.Option("--false-alerts", help="Most false alerts a month for this person.")
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Back to the operator's number.")] = False,
    as_json: Json = False,
) -> None:
    """Tighten the budget of one person, at their wish. It can never be looser than the operator's."""
    from monitor import audit
    from monitor.allowance import tighten
    from monitor.db import utc_now, writing
    from monitor.values import SubjectId

    if reset == (false_alerts is not None):
        msg = "give either --false-alerts or --reset"
        raise BudgetInvalid(msg, hint="For example: likeness budget subject ID --false-alerts 0.2")
    _settings, engine = _open()
    with writing(engine) as session:
        tighten(session, SubjectId(subject_id), false_alerts, utc_now())
        audit.record(session, audit.operator(), "budget.subject", subject_id, false_alerts=false_alerts)
    if as_json:
        typer.echo(json.dumps({"subject_id": subject_id, "false_alerts_per_month": false_alerts}))
        return
    typer.echo(
        f"{subject_id} has the operator's budget again."
        if reset
        else f"{subject_id}: at most {false_alerts:g} false alerts a month; the rest goes to a human look."
    )


def as_dict(balance: Balance) -> dict[str, object]:
    """Give the whole balance for programs."""
    return {
        **_dial(balance.allowance.false_alerts_per_month, balance.allowance.faces_per_day),
        "alert_fmr": balance.allowance.alert_fmr,
        "review_fmr": balance.allowance.review_fmr,
        "enrolled": balance.enrolled,
        "tightened": balance.tightened,
        "expected_a_month_per_person": balance.expected_a_month,
        "expected_a_month_in_all": balance.expected_in_all,
        "last_30_days": {
            "expected_false_alerts": balance.expected_alerts,
            "dismissed_alerts": balance.false_alerts,
            "expected_reviews_of_strangers": balance.expected_reviews,
            "dismissed_reviews": balance.false_reviews,
        },
        "drift": [
            {
                "of": one.of,
                "state": one.state.value,
                "said": one.sentence,
                "actual": one.actual,
                "expected": one.expected,
            }
            for one in balance.drifts
        ],
        "modalities": {side.modality.value: _side(side) for side in balance.sides},
    }


def _dial(false_alerts: float, faces: int) -> dict[str, float]:
    return {"false_alerts_per_month": false_alerts, "faces_per_day": faces}


def _side(side: Side) -> dict[str, object]:
    thresholds = side.thresholds
    return {
        "alert": thresholds.alert,
        "review": thresholds.review,
        "raised_by_live_scores": side.raised,
        "model_id": thresholds.model_id,
        "data_set": thresholds.data_set,
        "date": thresholds.date,
        "people": thresholds.people,
        "genuine": thresholds.genuine,
        "impostor": thresholds.impostor,
        "enrolled": side.enrolled,
        "comparisons": side.comparisons,
        "counts": list(side.counts),
        "expected_counts": None if side.expected is None else list(side.expected),
        "expected_false_alerts": side.expected_alerts,
    }


def _print(balance: Balance) -> None:
    from rich.console import Console

    from monitor.budget_words import dial_sentences, name_of, outcome_sentences, side_sentences

    console = Console(highlight=False)
    _say(console, "The dial", (*dial_sentences(balance), *outcome_sentences(balance)))
    if not balance.sides:
        console.print("This pack's thresholds are its own, and only a worker that has loaded it knows them.")
    for side in balance.sides:
        model = f"{name_of(side)} ({side.thresholds.model_id})"
        _say(console, model, side_sentences(side))
        _print_bars(console, side)
    console.print("\n[bold]Expected and actual[/bold]")
    for one in balance.drifts:
        colour = COLOURS[one.state.value]
        console.print(f"  [{colour}]{one.state.value:<5}[/{colour}] {one.sentence}", soft_wrap=True)


def _say(console: Console, heading: str, sentences: Sequence[str]) -> None:
    from rich.markup import escape

    console.print(f"\n[bold]{escape(heading)}[/bold]", soft_wrap=True)
    for sentence in sentences:
        console.print(f"  {escape(sentence)}", soft_wrap=True)


def _print_bars(console: Console, side: Side) -> None:
    """Draw one line for each bin that has something in it, as long as its number has digits."""
    from monitor.histogram import rows_of

    rows = rows_of(side)
    if not rows:
        return
    most = max(row.height for row in rows)
    console.print("  [dim]cosine      live  expected  (a bar grows by as much for each further digit)[/dim]")
    for row in rows:
        bar = "█" * round(WIDEST * row.height / most) if most else ""
        mark = f" [bold]< {row.mark}[/bold]" if row.mark else ""
        expected = "-" if row.expected is None else f"{row.expected:,.0f}"
        console.print(f"  {row.low:.2f} {row.count:>11,} {expected:>9}  [cyan]{bar}[/cyan]{mark}")


def _open() -> tuple[Settings, Engine]:
    from monitor.ledger import open_ledger
    from monitor.settings import load_settings
    from monitor.switching import in_force

    settings = load_settings()
    engine = open_ledger(settings)
    return in_force(engine, settings), engine
