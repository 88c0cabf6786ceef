"""`likeness original`: authentic media of somebody who is watched for, by which changed copies are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from enrollment.cli_samples import AsJson, Typed, open_all
from monitor.errors import MediaError, SampleError

if TYPE_CHECKING:
    from enrollment.given import Givers
    from enrollment.originals import OriginalView
    from enrollment.subjects import Ledger
    from monitor.settings import Settings

app = typer.Typer(no_args_is_help=True)

Which = Annotated[str, typer.Argument(metavar="ORIGINAL", help="The original's id.")]


@app.command("add")
def add(
    subject: Typed,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Pictures, videos, recordings.")],
    as_json: AsJson = False,
) -> None:
    """Register authentic media on somebody's behalf. Audited.

    Sealed to that person at once: you cannot open it again. The worker reads it within a second or so, and
    compares it with what is found of this person, and of nobody else.
    """
    from enrollment import originals
    from enrollment.subjects import resolve
    from monitor.db import utc_now

    settings, ledger = open_all()
    subject_id = resolve(ledger.engine, subject)
    givers, said, failed = _givers(settings, ledger), [], 0
    for file in files:
        try:
            data = _bytes_of(file)
            original_id = originals.give(
                givers, ledger.keks, subject_id, file.name, data, ledger.actor, utc_now()
            )
            said.append({"file": str(file), "id": original_id})
        except (SampleError, MediaError) as exc:
            failed += 1
            said.append({"file": str(file), "code": exc.code, "message": exc.message, "hint": exc.hint})
    if as_json:
        typer.echo(json.dumps(said))
    else:
        for one in said:
            typer.echo(f"{one['file']}: {one.get('id') or one['message'] + '. ' + one['hint']}")
    if failed:
        raise typer.Exit(1)


@app.command("list")
def list_(subject: Typed, as_json: AsJson = False) -> None:
    """List somebody's originals: names and what became of them. Audited."""
    from enrollment.subjects import resolve

    _, ledger = open_all()
    found = _listed(ledger, resolve(ledger.engine, subject))
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in found]))
        return
    for one in found:
        typer.echo(f"{one.original_id}  {one.kind:<9} {one.state:<8} {one.name}")
    if not found:
        typer.echo("Nothing was registered.")


@app.command("show")
def show(original: Which, as_json: AsJson = False) -> None:
    """Say what became of one original. Its content is not shown: it is its owner's. Audited."""
    from enrollment import originals
    from monitor.db import reading

    _, ledger = open_all()
    with reading(ledger.engine) as session:
        subject_id = originals.owner_of(session, original)
    [one] = [one for one in _listed(ledger, subject_id) if one.original_id == original]
    said = {"subject": subject_id, **_plain(one)}
    if as_json:
        typer.echo(json.dumps(said))
        return
    for key, value in said.items():
        typer.echo(f"{key:>8}  {value}")


@app.command("remove")
def remove(original: Which) -> None:
    """Take one original away, bytes and all. Audited."""
    from enrollment import originals
    from monitor.db import reading

    settings, ledger = open_all()
    with reading(ledger.engine) as session:
        subject_id = originals.owner_of(session, original)
    originals.remove(_givers(settings, ledger), subject_id, original, ledger.actor)
    typer.echo("It is gone.")


def _listed(ledger: Ledger, subject_id: Any) -> list[OriginalView]:  # noqa: ANN401 - a SubjectId
    from enrollment import originals
    from monitor import audit
    from monitor.db import writing

    with writing(ledger.engine) as session:
        audit.record(session, ledger.actor, "original.list", subject_id)
        return originals.listing(session, ledger.keks, subject_id)


def _givers(settings: Settings, ledger: Ledger) -> Givers:
    from enrollment.given import Givers
    from enrollment.lookups import Lookups

    lookups = Lookups(ledger.engine, ledger.keks)
    return Givers(ledger.engine, ledger.blobs, lookups, settings.sample_max_bytes)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        msg = f"the file cannot be read: {exc.strerror}"
        raise SampleError(msg, hint="Check the path.") from exc


def _plain(one: OriginalView) -> dict[str, str]:
    return {
        "id": one.original_id,
        "name": one.name,
        "kind": one.kind,
        "state": one.state,
        "code": one.code,
        "said": " ".join((one.said.sentence, one.said.hint, *one.said.notes)).strip(),
        "since": one.created_at.isoformat(timespec="seconds"),
    }
