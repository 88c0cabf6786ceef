"""`likeness subject attest`: an operator made sure in another way that somebody is who they say."""

from __future__ import annotations

from typing import Annotated

import typer

from enrollment.cli_samples import Typed, open_all


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("attest")(attest)


def attest(
    subject: Typed,
    how: Annotated[
        str,
        typer.Option("--how", metavar="TEXT", help="What you looked at, and who was there. It is sealed."),
    ],
) -> None:
    """Say that the samples somebody gave by the web form are their own, in place of the recording.

    For who cannot turn the head, speak, or has no camera. You met them, or saw a document of theirs: a
    photograph that was sent is not enough. Audited, and shown to the person.
    """
    from enrollment.identity import challenges
    from enrollment.subjects import resolve
    from monitor.db import utc_now

    _, ledger = open_all()
    subject_id = resolve(ledger.engine, subject)
    challenges.attest(ledger.engine, ledger.keks, subject_id, ledger.actor, how, utc_now())
    typer.echo(f"Noted: {subject_id} is proved by your word, for the samples given so far.")
