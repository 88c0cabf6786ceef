"""`likeness subject`: enrol, list, show and erase the people watched for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from monitor.errors import ConfigError, NotFound, SampleError, StorageError, Tampered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enrollment.receipts import Receipt
    from enrollment.samples import Looked
    from enrollment.subjects import Ledger, SubjectView
    from monitor.settings import Settings
    from monitor.values import Modality

app = typer.Typer(no_args_is_help=True)

SHORT_ID = 8
"""Characters of an id in a list: enough to type, and enough to be the only one."""

Typed = Annotated[str, typer.Argument(metavar="ID", help="The subject's id, or its first characters.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


FLAGS = frozenset({"--skip-bad", "--keep-references", "--json"})
"""Options of `add` that take no value."""


class FilesCommand(TyperCommand):
    """Lets `--face` and `--voice` take several files, so that a shell's *.jpg works.

    Once the name was given, every word after such an option that is no option itself is one more file.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - Typer's own context
        """Repeat the option before each of its files; then parse as ever."""
        return super().parse_args(ctx, list(_repeated(args)))


def _repeated(args: Sequence[str]) -> list[str]:
    said: list[str] = []
    named, current, before = False, "", ""
    for word in args:
        belongs_to_before = before.startswith("-") and before not in FLAGS and "=" not in before
        if word.startswith("-"):
            option = word.partition("=")[0]
            current = option if option in {"--face", "--voice"} else ""
        elif not belongs_to_before:
            said += [current] if named and current else []
            named = True
        said.append(word)
        before = word
    return said


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
    --email ada@example.org --attest "passport seen in person"
    """
    from enrollment import subjects
    from monitor.values import Modality

    settings, ledger = _open()
    profile = subjects.checked_profile(name, email, phone, attest)
    files = [*_files(face, Modality.FACE), *_files(voice, Modality.VOICE)]
    looked = _look(settings, files, quiet=as_json)
    warnings = _warnings(ledger, profile.email, profile.phone)
    if not as_json:
        _print_looked(looked)
    good = [one.sample for one in looked if one.sample is not None]
    stored = bool(good) and (skip_bad or len(good) == len(looked))
    subject_id = subjects.add(ledger, profile, good, keep=keep_references) if stored or not looked else None
    if as_json:
        said = {
            "subject_id": subject_id,
            "files": [_file_as_json(one) for one in looked],
            "warnings": warnings,
        }
        typer.echo(json.dumps(said))
    else:
        _print_warnings(warnings)
    if subject_id is None:
        _refuse(len(looked) - len(good), len(looked), said_already=as_json)
    elif not as_json:
        typer.echo(f"{profile.name} is watched for from now on. Id: {subject_id}")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List everybody watched for. Audited."""
    from enrollment import subjects

    _, ledger = _open()
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

    _, ledger = _open()
    view = subjects.show(ledger, subjects.resolve(ledger.engine, subject))
    said = _view_as_json(view)
    if as_json:
        typer.echo(json.dumps(said))
        return
    for key, value in said.items():
        typer.echo(f"{key.replace('_', ' '):>12}  {value}")


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

    _, ledger = _open()
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


def _open() -> tuple[Settings, Ledger]:
    from enrollment.subjects import Ledger
    from monitor.audit import operator
    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.ledger import open_ledger
    from monitor.settings import load_settings

    settings = load_settings()
    keks = KeyEncryptionKeys.from_settings(settings)
    engine = open_ledger(settings)
    return settings, Ledger(engine, keks, BlobStore(settings.blobs), operator())


def _files(paths: Sequence[Path], modality: Modality) -> list[tuple[Path, Modality]]:
    files: list[tuple[Path, Modality]] = []
    for path in paths:
        inside = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
        files += [(one, modality) for one in inside]
    return files


def _look(settings: Settings, files: list[tuple[Path, Modality]], *, quiet: bool) -> list[Looked]:
    if not files:
        return []
    from rich.console import Console
    from rich.progress import Progress

    from enrollment.samples import Reader, look
    from monitor.ml.packs import load_pack
    from monitor.stages.decode import DecodeLimits, Decoder

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("Loading the models", total=len(files))
        pack = load_pack(settings)
        bar.update(task, description="Looking at the samples")
        with Decoder(DecodeLimits.of(settings)) as decoder:
            reader = Reader(pack, decoder, settings.max_bytes)
            return look(reader, files, lambda _: bar.advance(task))


def _warnings(ledger: Ledger, email: str, phone: str) -> list[str]:
    from enrollment import subjects

    warnings = [
        f"subject {other[:SHORT_ID]} has the same e-mail address"
        for other in subjects.with_email(ledger.engine, ledger.keks, email)
    ]
    if not email and not phone:
        warnings.append("no e-mail and no phone: findings can be read here, and nobody is told")
    return warnings


def _refuse(bad: int, all_: int, *, said_already: bool) -> None:
    if said_already:
        raise typer.Exit(1)
    msg = f"{bad} of {all_} samples cannot be used, so nothing was stored"
    raise SampleError(msg, hint="Replace them, leave them out, or enrol with the rest by --skip-bad.")


def _print_looked(looked: Sequence[Looked]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not looked:
        return
    table = Table("File", "As", "Verdict", "Why")
    for one in looked:
        said = _file_as_json(one)
        verdict = Text("accepted", "green") if said["accepted"] else Text("refused", "bold red")
        why = f"quality {said['quality']}. {' '.join(said['notes'])}" if said["accepted"] else _reason(said)
        table.add_row(Text(one.path.name), str(one.modality), verdict, Text(why))
    Console().print(table)


def _reason(said: dict[str, Any]) -> str:
    return f"{said['reason']} [{said['code']}]. {said['hint']}".strip()


def _print_warnings(warnings: Sequence[str]) -> None:
    for warning in warnings:
        typer.secho(f"warning: {warning}", fg="yellow", err=True)


def _print_views(views: Sequence[SubjectView]) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    fold = [Column(name, overflow="fold") for name in ("Name", "E-mail", "Phone")]
    table = Table(Column("Id", no_wrap=True), fold[0], "Faces", "Voices", *fold[1:], "Since")
    for view in views:
        who, counts = view.profile, (str(view.faces), str(view.voices))
        row = (view.subject_id[:SHORT_ID], who.name, *counts, who.email, who.phone)
        table.add_row(*map(Text, row), f"{view.created_at:%Y-%m-%d}")
    Console().print(table)


def _file_as_json(one: Looked) -> dict[str, Any]:
    said: dict[str, Any] = {
        "file": str(one.path),
        "as": str(one.modality),
        "accepted": one.sample is not None,
    }
    if one.sample is not None:
        return said | {"quality": round(one.sample.quality, 2), "notes": list(one.sample.notes)}
    if one.error is not None:
        return said | {"code": one.error.code, "reason": one.error.message, "hint": one.error.hint}
    return said


def _view_as_json(view: SubjectView) -> dict[str, Any]:
    return {
        "id": view.subject_id,
        "name": view.profile.name,
        "email": view.profile.email,
        "phone": view.profile.phone,
        "attested": view.profile.attested,
        "status": view.status,
        "since": view.created_at.isoformat(timespec="seconds"),
        "faces": view.faces,
        "voices": view.voices,
        "references": view.references,
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


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as exc:
        msg = f"{file} cannot be read: {exc.strerror}"
        raise NotFound(msg) from exc
    except UnicodeDecodeError as exc:
        msg = "this is not an erasure receipt"
        raise Tampered(msg) from exc


def _key_of(encoded: str) -> bytes:
    import base64
    import binascii

    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error as exc:
        msg = "--public-key is not base64"
        raise ConfigError(msg) from exc
