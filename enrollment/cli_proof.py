"""`likeness subject attest|reset-second|invite`: an operator made sure in another way who somebody is."""

from __future__ import annotations

from typing import Annotated

import typer

from enrollment.cli_samples import Typed, open_all


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("attest")(attest)
    app.command("reset-second")(reset_second)
    app.command("invite")(invite)


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


def reset_second(
    subject: Typed,
    how: Annotated[
        str,
        typer.Option("--how", metavar="TEXT", help="How you made sure who it is. It is sealed."),
    ],
) -> None:
    """Take away passkeys and telephone number of somebody who lost them, and sign their browsers out.

    Make sure first who is asking, and not by their mailbox: from now on that alone lets in, until they have
    made a new passkey. Nothing that was found is shown before. Audited, and told to the person by a letter.
    """
    from enrollment.lost import forget_second_ways
    from enrollment.subjects import resolve
    from monitor.db import utc_now

    _, ledger = open_all()
    subject_id = resolve(ledger.engine, subject)
    forget_second_ways(ledger, subject_id, how, utc_now())
    typer.echo(f"Done: {subject_id} makes a new second way in at the next visit.")


def invite(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The name in full, or the id or its first characters.")
    ],
) -> None:
    """Invite somebody whom you enrolled to open a page of their own, by a letter to their e-mail address.

    Nothing changes until they press the button behind its link, within a week. Their page opens when they
    have made a passkey or given a number; from then on what was found is shown by that alone. Audited.
    """
    from enrollment.accounts import Accounts
    from enrollment.inviting import find
    from enrollment.inviting import invite as write
    from enrollment.lookups import Lookups
    from monitor.errors import ConfigError

    settings, ledger = open_all()
    if settings.link_secret is None:
        msg = "LIKENESS_LINK_SECRET is missing: no link can be made without it"
        raise ConfigError(msg, hint="Run this with the settings of the web process.")
    accounts = Accounts(
        ledger.engine,
        ledger.keks,
        Lookups(ledger.engine, ledger.keks),
        settings.link_secret.get_secret_value(),
        settings.public_url,
        is_open=False,
    )
    email = write(accounts, ledger, find(ledger, name))
    typer.echo(f"The invitation goes to {email} with the next round of letters.")
