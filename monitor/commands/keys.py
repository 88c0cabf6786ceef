"""`likeness keys`: make, rotate and count the key-encryption keys. No verb ever prints a key."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys

app = typer.Typer(no_args_is_help=True)


@app.command("new")
def new(
    file: Annotated[Path, typer.Argument(help="Where the key goes; the file must not be there yet.")],
    key_id: Annotated[
        str, typer.Option("--id", help="Name of the key. Empty: today's date, as k20300131.")
    ] = "",
) -> None:
    """Make a key-encryption key in a new file that only its owner can read.

    Keep a copy somewhere safe and apart from the database: without it nothing opens again. To rotate, put
    the new line after the old one in every process's key file, then move it to the front, then run
    `likeness keys rotate`.
    """
    from monitor.crypto import new_key_line
    from monitor.db import utc_now

    chosen = key_id or f"k{utc_now():%Y%m%d}"
    write_new(file, new_key_line(chosen) + "\n")
    typer.echo(f"The key {chosen} is in {file}. Set LIKENESS_KEK_FILE to that file, and keep a copy apart.")


def write_new(file: Path, text: str) -> None:
    """Write a new file with mode 0600. Raises ConfigError when it is there, StorageError on failure."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as exc:
        msg = f"{file} is there already; a key is never overwritten"
        raise ConfigError(msg, hint="Choose another file name.") from exc
    except OSError as exc:
        msg = f"{file} cannot be made: {exc.strerror}"
        raise StorageError(msg) from exc
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())


@app.command("show")
def show(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show the ids of the keys that were given and how many keys each one wraps. Never a key itself."""
    from monitor import subject_keys

    engine, keks = _open()
    subject_keys.ensure_service_keys(engine, keks)
    under = subject_keys.wrapped_under(engine)
    lines = [
        {"id": kek_id, "active": kek_id == keks.active_id, "given": kek_id in keks.ids, "wraps": number}
        for kek_id, number in ({kek_id: under.get(kek_id, 0) for kek_id in keks.ids} | under).items()
    ]
    if as_json:
        typer.echo(json.dumps({"keys": lines, "warnings": _warnings()}))
        return
    _print_table(lines)


def _warnings() -> list[str]:
    """Say when others on this machine can read the key file; a mounted secret may have to be so."""
    from monitor.settings import load_settings

    file = load_settings().kek_file
    if file is not None and file.stat().st_mode & 0o077:
        return [f"{file} can be read by others on this machine: chmod 600 it"]
    return []


def _print_table(lines: list[dict[str, object]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("Key", "Active", "Given", "Keys wrapped under it")
    for line in lines:
        marks = ("yes" if line["active"] else "", "yes" if line["given"] else "[bold red]missing[/bold red]")
        table.add_row(str(line["id"]), *marks, str(line["wraps"]))
    Console().print(table)
    for warning in _warnings():
        typer.secho(f"warning: {warning}", fg="yellow", err=True)


@app.command("rotate")
def rotate(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Wrap every key anew under the active key, while the service runs.

    Before it, every process must have both keys, the new one first. It can be stopped and run again
    at any time; records are not touched, only the keys that seal them.
    """
    from rich.console import Console
    from rich.progress import Progress as Bar

    from monitor import audit, subject_keys
    from monitor.db import writing

    engine, keks = _open()
    done = 0
    with Bar(console=Console(stderr=True), transient=True, disable=as_json) as bar:
        task = bar.add_task(f"Wrapping under {keks.active_id}", total=None)
        for progress in subject_keys.rotate(engine, keks):
            done = progress.done
            bar.update(task, completed=done, total=progress.total)
    with writing(engine) as session:
        audit.record(session, audit.operator(), "keys.rotate", active=keks.active_id, wrapped=done)
    said = json.dumps({"active": keks.active_id, "wrapped": done})
    typer.echo(said if as_json else f"{done} keys are now wrapped under {keks.active_id}.")


def _open() -> tuple[Engine, KeyEncryptionKeys]:
    from monitor.crypto import KeyEncryptionKeys
    from monitor.ledger import open_ledger
    from monitor.settings import load_settings

    settings = load_settings()
    keks = KeyEncryptionKeys.from_settings(settings)
    return open_ledger(settings), keks
