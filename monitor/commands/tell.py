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
    from monitor import ledger, log
    from monitor.crypto import KeyEncryptionKeys
    from monitor.errors import ConfigError
    from monitor.jobs import teller
    from monitor.settings import load_settings

    settings = load_settings()
    log.configure(json=settings.log_json)
    tell = teller(settings, ledger.open_ledger(settings), KeyEncryptionKeys.from_settings(settings))
    if tell is None:
        msg = "no channel is set up, so nobody can be told"
        raise ConfigError(msg, hint="Set LIKENESS_SMTP_HOST or LIKENESS_TWILIO_ACCOUNT.")
    told = asdict(tell())
    if as_json:
        typer.echo(json.dumps(told))
        return
    typer.echo("  ".join(f"{name} {count}" for name, count in told.items() if count) or "Nothing was due.")
