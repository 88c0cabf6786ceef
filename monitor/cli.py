"""The `likeness` command: assembles the verbs of every package. Heavy imports wait for their verb."""

from __future__ import annotations

import importlib
import sys

import typer

from monitor import streams
from monitor.errors import LikenessError

app = typer.Typer(
    name="likeness",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help=(
        "Tells people when their face or voice appears in public media, with evidence to act on.\n\n"
        "First steps: [bold]likeness demo[/bold] shows the whole path on this machine. "
        "[bold]likeness models pull[/bold], [bold]keys new[/bold], [bold]subject add[/bold], "
        "[bold]source add[/bold] and [bold]serve[/bold] set up a watch of your own."
    ),
)

GROUPS = {
    "models": ("monitor.commands.models", "Get, list, verify and change the models."),
    "detector": ("monitor.commands.detector", "Your own detectors of made media: list and try them."),
    "keys": ("monitor.commands.keys", "Make and rotate the key-encryption keys."),
    "subject": ("enrollment.cli", "Enrol, list, show and erase the people watched for."),
    "operator": ("enrollment.cli_operator", "Who may look at held enrolments."),
    "original": ("enrollment.cli_originals", "Authentic media of people, by which changed copies are known."),
    "source": ("crawlers.cli", "The web sites and feeds to watch."),
    "feed": ("monitor.commands.feed", "Partners who push media in: keys, quotas, counts."),
    "item": ("monitor.commands.item", "What happened to one media item; try it again."),
    "budget": ("monitor.commands.budget", "How many false alerts are allowed, and what came of it."),
    "alerts": ("alerts.cli", "What was told, what is held for a human look."),
    "audit": ("monitor.commands.audit", "Who did what; verify that nobody changed the record."),
    "calibrate": (
        "monitor.commands.calibrate",
        "Measure what your own models' scores mean, on people who agreed.",
    ),
    "bench": ("monitor.commands.bench", "The measurements behind every number in README."),
}
"""Verb groups: name -> (module with `app`, one line of help)."""

VERBS = (
    "monitor.commands.demo",
    "monitor.commands.drill",
    "monitor.commands.scan",
    "monitor.commands.serve",
    "monitor.commands.tell",
    "monitor.commands.watch",
    "monitor.commands.work",
    "monitor.commands.settings",
    "crawlers.cli",
)
"""Modules whose `register(app)` adds verbs to the top level."""

for _name, (_module, _help) in GROUPS.items():
    app.add_typer(importlib.import_module(_module).app, name=_name, help=_help)
for _module in VERBS:
    importlib.import_module(_module).register(app)


def main() -> None:
    """Run the command; an error of ours becomes one sentence, its code and what to do."""
    streams.fill_closed()
    try:
        app()
    except LikenessError as exc:
        typer.secho(f"error[{exc.code}]: {exc.message}", fg="red", err=True)
        if exc.hint:
            typer.echo(f"  {exc.hint}", err=True)
        sys.exit(1)
    except Exception as exc:  # edge: a database that went away in the middle is no fault of the program
        if not _is_of_the_database(exc):
            raise
        typer.secho(f"error[storage]: the database does not answer: {type(exc).__name__}", fg="red", err=True)
        typer.echo("  Check LIKENESS_DATABASE_URL and the server or disk; then do the same again.", err=True)
        sys.exit(1)


def _is_of_the_database(exc: Exception) -> bool:
    from sqlalchemy.exc import OperationalError

    return isinstance(exc, OperationalError)


if __name__ == "__main__":
    main()
