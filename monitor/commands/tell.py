"""`likeness alerts send`: run the outbox once by hand. It joins the voice with the address book."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from alerts.cli import app as alerts_app


def register(_app: typer.Typer) -> None:
    """Add `send` to the `alerts` verbs."""
    alerts_app.command("send")(send)


def send(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Run the outbox once: sort what was found, send what is due. The worker does this by itself."""
    from alerts.channels import channels_from
    from alerts.interfaces import Contact
    from alerts.links import Links
    from alerts.outbox import tell_due
    from alerts.policy import Policy
    from enrollment.contacts import EnrolledContacts
    from monitor import assembly
    from monitor.crypto import KeyEncryptionKeys
    from monitor.db import utc_now
    from monitor.settings import load_settings

    settings = load_settings()
    keks, channels = KeyEncryptionKeys.from_settings(settings), channels_from(settings)
    engine = assembly.open_ledger(settings)
    told = tell_due(
        engine,
        keks,
        EnrolledContacts(engine, keks, Contact),
        channels,
        Links.from_settings(settings),
        utc_now(),
        limits=Policy(sms_per_day=settings.sms_per_day),
    )
    if as_json:
        typer.echo(json.dumps(asdict(told)))
        return
    if not channels:
        typer.echo("No channel is on: set LIKENESS_SMTP_HOST or LIKENESS_TWILIO_ACCOUNT to tell anybody.")
    typer.echo(
        "  ".join(f"{name} {count}" for name, count in asdict(told).items() if count) or "Nothing was due."
    )
