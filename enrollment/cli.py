"""`likeness subject`: enrol, list, show and erase the people watched for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from enrollment import cli_proof, cli_review, cli_samples, cli_search
from enrollment.cli_samples import (
    AsJson,
    FilesCommand,
    Typed,
    file_as_json,
    files_of,
    look_at,
    open_all,
    print_looked,
    print_warnings,
    refuse,
)
from monitor.errors import ConfigError, NotFound, StorageError, Tampered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enrollment.receipts import Receipt
    from enrollment.subjects import Ledger, SubjectView

app = typer.Typer(no_args_is_help=True)
cli_samples.register(app)
cli_review.register(app)
cli_proof.register(app)
cli_search.register(app)

SHORT_ID = 8
"""Characters of an id in a list: enough to type, and enough to be the only one."""


@app.command("add", cls=FilesCommand)
def add(  # noqa: PLR0917 - Typer passes every one by name
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the person is called in messages.")],
    attest: Annotated[
        str, typer.Option(metavar="TEXT", help="How you checked that these are this person's own samples.")
    ],
    face: Annotated[
        list[Path], typer.Option(metavar="FILE...", help="Pictures of the face, or folders of them.")
    ] = [],  # noqa: B006 - Typer copies it
    voice: Annotated[
        list[Path], typer.Option(metavar="FILE...", help="Sounds of the voice, or folders of them.")
    ] = [],  # noqa: B006 - as above
    email: Annotated[str, typer.Option(help="Where to tell the person.")] = "",
    phone: Annotated[str, typer.Option(help="Where to tell by SMS: +49 30 123456.")] = "",
    born: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="The person's date of birth.")] = "",
    age_confirmed: Annotated[
        bool,
        typer.Option("--age-confirmed", help="You made sure that the person is of the age needed here."),
    ] = False,
    keep_references: Annotated[
        bool, typer.Option("--keep-references", help="Keep the samples, sealed, for a later model.")
    ] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Enrol with the good samples when some cannot be used.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Enrol one person from pictures and sounds.

    Best: three or more sharp pictures, face to the camera, nobody beside it;
    and ten seconds or more of plain speech. When a sample cannot be used,
    nothing is stored, and you are told why, for each file.

    likeness subject add "Ada Example" --face ada1.jpg ada2.jpg --voice ada.flac
    --email ada@example.org --born 1990-05-23 --attest "passport seen in person"
    """
    from enrollment import subjects
    from enrollment.age import declared_age
    from enrollment.profiles import checked_profile
    from enrollment.sets import advice
    from monitor.db import utc_now
    from monitor.values import Modality

    settings, ledger = open_all()
    today, minimum = utc_now().date(), settings.minimum_age
    age = declared_age(born, confirmed=age_confirmed, minimum=minimum, today=today)
    profile = checked_profile(name, email, phone, attest, age)
    files = [*files_of(face, Modality.FACE), *files_of(voice, Modality.VOICE)]
    looked = look_at(settings, files, quiet=as_json)
    warnings = [*_warnings(ledger, profile.email, profile.phone), *advice(looked, {})]
    if not as_json:
        print_looked(looked)
    good = [one.sample for one in looked if one.sample is not None]
    stored = bool(good) and (skip_bad or len(good) == len(looked))
    subject_id = subjects.add(ledger, profile, good, keep=keep_references) if stored or not looked else None
    if as_json:
        said = {
            "subject_id": subject_id,
            "files": [file_as_json(one) for one in looked],
            "warnings": warnings,
        }
        typer.echo(json.dumps(said))
    else:
        print_warnings(warnings)
    if subject_id is None:
        refuse(len(looked) - len(good), len(looked), said_already=as_json)
    elif not as_json:
        typer.echo(f"{profile.name} is watched for from now on. Id: {subject_id}")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List everybody watched for. Audited."""
    from enrollment import subjects

    _, ledger = open_all()
    views = subjects.listing(ledger)
    if as_json:
        typer.echo(json.dumps({"subjects": [_view_as_json(view) for view in views]}))
        return
    if not views:
        typer.echo("Nobody is watched for. Enrol somebody with `likeness subject add`.")
        return
    _print_views(views)


@app.command("show")
def show(subject: Typed, as_json: AsJson = False) -> None:
    """Show one person: how to reach them, how identity was checked, what is enrolled. Audited."""
    from enrollment import subjects

    _, ledger = open_all()
    view = subjects.show(ledger, subjects.resolve(ledger.engine, subject))
    said = _view_as_json(view)
    if as_json:
        typer.echo(json.dumps(said))
        return
    for key, value in said.items():
        if key != "samples":
            typer.echo(f"{key.replace('_', ' '):>13}  {value}")
    for number, one in enumerate(said["samples"], start=1):
        kept = ", the sample itself kept" if one["kept"] else ""
        typer.echo(f"{f'sample {number}':>13}  {one['as']}, {one['quality']} ({one['since']}{kept})")


@app.command("erase")
def erase(
    subject: Typed,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    receipt: Annotated[
        Path | None, typer.Option(help="Where the signed receipt goes; erasure-ID.json by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Erase one person for good: unmatched at once, key destroyed, rows and files gone, signed receipt.

    There is no way back. Run it again if it was broken off: it goes on, and gives the same receipt.
    """
    from enrollment import erasure, subjects

    _, ledger = open_all()
    subject_id = subjects.resolve(ledger.engine, subject)
    if not erasure.is_erased(ledger.engine, subject_id) and not yes:
        _ask(subjects.show(ledger, subject_id))
    done = erasure.erase(ledger.engine, ledger.keks, ledger.blobs, subject_id, ledger.actor)
    path = receipt or Path(f"erasure-{subject_id}.json")
    _write(path, done)
    if as_json:
        typer.echo(done.to_json())
        return
    removed = ", ".join(f"{count} {name}" for name, count in done.removed if count)
    typer.echo(f"Erased: {removed}. The signed receipt is in {path}; give it to the person.")


@app.command("verify-receipt")
def verify_receipt(
    file: Annotated[Path, typer.Argument(help="A receipt that `likeness subject erase` wrote.")],
    public_key: Annotated[
        str, typer.Option(help="Base64 of the service's receipt key, to check without its database.")
    ] = "",
) -> None:
    """Check the signature of an erasure receipt, and, beside the database, that it is true."""
    from enrollment import erasure, receipts

    text = _text_of(file)
    if public_key:
        done = receipts.verify(text, _key_of(public_key))
        typer.echo(f"Genuine: subject {done.subject_id} was erased at {done.erased_at}.")
        return
    from monitor import subject_keys
    from monitor.ledger import open_ledger
    from monitor.settings import load_settings

    engine = open_ledger(load_settings())
    done = receipts.verify(text, subject_keys.receipt_public(engine))
    if not erasure.is_erased(engine, done.subject_id):
        msg = f"the receipt is genuine, but rows of subject {done.subject_id} are in the database again"
        raise Tampered(msg, hint="Was a backup restored? Erase the subject again.")
    typer.echo(f"Genuine and true: subject {done.subject_id} was erased at {done.erased_at}.")


@app.command("verify-consent")
def verify_consent(
    file: Annotated[Path, typer.Argument(help="A signed record of consent, downloaded from the account.")],
    public_key: Annotated[
        str, typer.Option(help="Base64 of the service's receipt key, to check without its database.")
    ] = "",
) -> None:
    """Check the signature of a record of consent, and print what was agreed to."""
    from enrollment import consent

    text = _text_of(file, "this is not a record of consent")
    if public_key:
        public = _key_of(public_key)
    else:
        from monitor import subject_keys
        from monitor.ledger import open_ledger
        from monitor.settings import load_settings

        public = subject_keys.receipt_public(open_ledger(load_settings()))
    record = consent.verify(text, public)
    said = "yes" if record.given else "no"
    typer.echo(f"Genuine: subject {record.subject_id} said {said} at {record.at} to {record.version}.")
    typer.echo("")
    typer.echo(record.text)


def _warnings(ledger: Ledger, email: str, phone: str) -> list[str]:
    from enrollment import subjects

    warnings = [
        f"subject {other[:SHORT_ID]} has the same e-mail address"
        for other in subjects.with_email(ledger.engine, ledger.keks, email)
    ]
    if not email and not phone:
        warnings.append("no e-mail and no phone: findings can be read here, and nobody is told")
    return warnings


def _print_views(views: Sequence[SubjectView]) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    fold = [Column(name, overflow="fold") for name in ("Name", "E-mail", "Phone")]
    table = Table(Column("Id", no_wrap=True), fold[0], "Faces", "Voices", *fold[1:], "Since")
    for view in views:
        asked = f", new ones for {view.asked_for_pack}" if view.asked_for_pack else ""
        who, counts = view.profile, (f"{view.faces}{asked}", str(view.voices))
        row = (view.subject_id[:SHORT_ID], who.name, *counts, who.email, who.phone)
        table.add_row(*map(Text, row), f"{view.created_at:%Y-%m-%d}")
    Console().print(table)


def _view_as_json(view: SubjectView) -> dict[str, Any]:
    from enrollment.sets import in_words

    return {
        "id": view.subject_id,
        "name": view.profile.name,
        "email": view.profile.email,
        "phone": view.profile.phone,
        "attested": view.profile.attested,
        "born": view.profile.born,
        "age_confirmed": view.profile.age_confirmed,
        "status": view.status,
        "since": view.created_at.isoformat(timespec="seconds"),
        "faces": view.faces,
        "voices": view.voices,
        "references": view.references,
        "asked_for_pack": view.asked_for_pack,
        "samples": [
            {
                "as": str(one.modality),
                "quality": in_words(one.quality),
                "value": round(one.quality, 2),
                "since": f"{one.created_at:%Y-%m-%d}",
                "kept": one.kept,
            }
            for one in view.samples
        ],
    }


def _ask(view: SubjectView) -> None:
    typer.echo(f"{view.profile.name}, enrolled {view.created_at:%Y-%m-%d}, is erased for good: no way back.")
    if typer.prompt("Type the name to go on").strip() != view.profile.name:
        msg = "that is not the name, so nothing was erased"
        raise ConfigError(msg, hint="Type it exactly as shown, or pass --yes.")


def _write(path: Path, receipt: Receipt) -> None:
    text = receipt.to_json()
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as exc:
        msg = f"the subject is erased, but the receipt could not be written to {path}: {exc.strerror}"
        raise StorageError(msg, hint="Run the same command with another --receipt FILE.") from exc


def _text_of(file: Path, otherwise: str = "this is not an erasure receipt") -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as exc:
        msg = f"{file} cannot be read: {exc.strerror}"
        raise NotFound(msg) from exc
    except UnicodeDecodeError as exc:
        raise Tampered(otherwise) from exc


def _key_of(encoded: str) -> bytes:
    import base64
    import binascii

    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error as exc:
        msg = "--public-key is not base64"
        raise ConfigError(msg) from exc
