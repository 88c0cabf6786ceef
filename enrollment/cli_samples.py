"""`likeness subject add-samples` and `check`, and what every verb that takes samples needs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from monitor.errors import MediaError, SampleError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from enrollment.samples import Looked
    from enrollment.sets import Known
    from enrollment.subjects import Ledger
    from monitor.ml.interfaces import Pack
    from monitor.settings import Settings
    from monitor.stages.quality import FaceQuality
    from monitor.stages.voice_quality import VoiceQuality
    from monitor.values import Modality

Typed = Annotated[str, typer.Argument(metavar="ID", help="The subject's id, or its first characters.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


FLAGS = frozenset({"--skip-bad", "--keep-references", "--age-confirmed", "--json"})
"""Options of `add` and `add-samples` that take no value."""


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


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("add-samples", cls=FilesCommand)(add_samples)
    app.command("check")(check)


def add_samples(  # noqa: PLR0917 - Typer passes every one by name
    subject: Typed,
    face: Annotated[
        list[Path], typer.Option(metavar="FILE...", help="Pictures of the face, or folders of them.")
    ] = [],  # noqa: B006 - Typer copies it
    voice: Annotated[
        list[Path], typer.Option(metavar="FILE...", help="Sounds of the voice, or folders of them.")
    ] = [],  # noqa: B006 - as above
    attest: Annotated[
        str,
        typer.Option(metavar="TEXT", help="How you checked it, where they are not like those enrolled."),
    ] = "",
    keep_references: Annotated[
        bool, typer.Option("--keep-references", help="Keep the samples, sealed, for a later model.")
    ] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Add the good samples when some cannot be used.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add pictures and sounds to somebody who is enrolled. Audited.

    They must look and sound like those that are enrolled. Where they do not, or where there is none of their
    kind yet, say with --attest how you made sure that they are this person's own.
    """
    from enrollment import subjects
    from enrollment.sets import advice
    from monitor.gallery import models_of
    from monitor.values import Modality

    settings, ledger = open_all()
    subject_id = subjects.resolve(ledger.engine, subject)
    subjects.show(ledger, subject_id)
    own: dict[Modality, NDArray[np.float32]] = {}

    def known(pack: Pack) -> Known:
        own.update(subjects.own_set(ledger, subject_id, models_of(pack)))
        return {} if attest.strip() else own

    files = [*files_of(face, Modality.FACE), *files_of(voice, Modality.VOICE)]
    looked = [
        _of_a_new_kind(one, own, attest) for one in look_at(settings, files, quiet=as_json, known=known)
    ]
    if not as_json:
        print_looked(looked)
    good = [one.sample for one in looked if one.sample is not None]
    stored = bool(good) and (skip_bad or len(good) == len(looked))
    if stored or not looked:
        subjects.add_samples(ledger, subject_id, good, attested=attest.strip(), keep=keep_references)
    warnings = advice(looked, own)
    if as_json:
        said = {"subject_id": subject_id, "added": len(good) if stored else 0}
        typer.echo(json.dumps(said | {"files": list(map(file_as_json, looked)), "warnings": warnings}))
    else:
        print_warnings(warnings)
    if not stored:
        refuse(len(looked) - len(good), len(looked), said_already=as_json)
    elif not as_json:
        typer.echo(f"{len(good)} samples were added.")


def check(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Pictures, sounds, videos, folders.")
    ],
    as_json: AsJson = False,
) -> None:
    """Judge pictures and sounds as samples, and store nothing. Fails when one of them cannot be used.

    A picture is judged as a face, a sound as a voice, a video as both. Give those of one person.
    """
    from enrollment.sets import advice
    from monitor.settings import load_settings

    looked = look_at(load_settings(), _kinds_of(files), quiet=as_json)
    warnings = advice(looked, {})
    if as_json:
        typer.echo(json.dumps({"files": list(map(file_as_json, looked)), "warnings": warnings}))
    else:
        print_looked(looked)
        print_warnings(warnings)
    if any(one.sample is None for one in looked):
        raise typer.Exit(1)


def _of_a_new_kind(one: Looked, own: Known, attest: str) -> Looked:
    """Refuse a sample of a kind of which nothing is enrolled to hold it against, unless somebody attests."""
    from dataclasses import replace

    from monitor.errors import OtherPerson

    if one.sample is None or attest.strip() or one.modality in own:
        return one
    msg = f"no {one.modality} of this person is enrolled yet that it could be held against"
    error = OtherPerson(msg, hint="Say with --attest how you checked that it is the same person.")
    return replace(one, sample=None, error=error)


def _kinds_of(paths: Sequence[Path]) -> list[tuple[Path, Modality]]:
    from monitor import intake
    from monitor.values import MediaKind, Modality

    both = (Modality.FACE, Modality.VOICE)
    takes = {MediaKind.AUDIO: both[1:], MediaKind.VIDEO: both}
    named: list[tuple[Path, Modality]] = []
    for path, _ in files_of(paths, Modality.FACE):
        try:
            with path.open("rb") as file:
                kind = intake.kind_of(file.read(intake.HEAD_BYTES))
        except (OSError, MediaError):
            kind = MediaKind.IMAGE  # whoever reads it says what is wrong with it
        named += [(path, modality) for modality in takes.get(kind, both[:1])]
    return named


def open_all() -> tuple[Settings, Ledger]:
    """Open what every verb needs. Raises KeyMissing, ConfigError."""
    from enrollment.subjects import Ledger
    from monitor.audit import operator
    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.ledger import open_ledger
    from monitor.settings import load_settings
    from monitor.switching import in_force

    settings = load_settings()
    keks = KeyEncryptionKeys.from_settings(settings)
    engine = open_ledger(settings)
    settings = in_force(engine, settings)
    return settings, Ledger(engine, keks, BlobStore(settings.blobs), operator())


def files_of(paths: Sequence[Path], modality: Modality) -> list[tuple[Path, Modality]]:
    """Name the files, and those in the folders, that are given as faces or voices."""
    files: list[tuple[Path, Modality]] = []
    for path in paths:
        inside = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
        files += [(one, modality) for one in inside]
    return files


def look_at(
    settings: Settings,
    files: list[tuple[Path, Modality]],
    *,
    quiet: bool,
    known: Callable[[Pack], Known] = lambda _: {},
) -> list[Looked]:
    """Load the models and read the samples, with a bar; `known` gives what is enrolled of the subject."""
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
            return look(reader, files, lambda _: bar.advance(task), known(pack))


def refuse(bad: int, all_: int, *, said_already: bool) -> None:
    """End the verb, because samples cannot be used and nothing was stored."""
    if said_already:
        raise typer.Exit(1)
    msg = f"{bad} of {all_} samples cannot be used, so nothing was stored"
    raise SampleError(msg, hint="Replace them, leave them out, or enrol with the rest by --skip-bad.")


def print_looked(looked: Sequence[Looked]) -> None:
    """Print what became of each file."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not looked:
        return
    table = Table("File", "As", "Verdict", "Why")
    for one in looked:
        said = file_as_json(one)
        verdict = Text("accepted", "green") if said["accepted"] else Text("refused", "bold red")
        why = (
            f"{said['quality_in_words']} ({said['quality']}). {' '.join(said['notes'])}"
            if said["accepted"]
            else _reason(said)
        )
        table.add_row(Text(one.path.name), str(one.modality), verdict, Text(why))
    Console().print(table)


def _reason(said: dict[str, Any]) -> str:
    return f"{said['reason']} [{said['code']}]. {said['hint']}".strip()


def print_warnings(warnings: Sequence[str]) -> None:
    """Print whole sentences to the standard error."""
    for warning in warnings:
        typer.secho(f"warning: {warning}", fg="yellow", err=True)


def file_as_json(one: Looked) -> dict[str, Any]:
    """Say what became of one file, for programs."""
    from enrollment.sets import in_words

    said: dict[str, Any] = {
        "file": str(one.path),
        "as": str(one.modality),
        "accepted": one.sample is not None,
    }
    if one.sample is not None:
        return said | {
            "quality": round(one.sample.quality, 2),
            "quality_in_words": in_words(one.sample.quality),
            "parts": _parts(one.sample.judged),
            "notes": list(one.sample.notes),
        }
    if one.error is not None:
        return said | {"code": one.error.code, "reason": one.error.message, "hint": one.error.hint}
    return said


def _parts(judged: FaceQuality | VoiceQuality | None) -> dict[str, Any]:
    """Give what a quality is made of, rounded."""

    def rounded(value: Any) -> Any:  # noqa: ANN401 - numbers, None and dicts of them
        if isinstance(value, dict):
            return {name: rounded(part) for name, part in value.items()}
        return round(value, 2) if isinstance(value, float) else value

    return {} if judged is None else {name: rounded(part) for name, part in asdict(judged).items()}
