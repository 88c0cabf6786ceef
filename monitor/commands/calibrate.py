"""`likeness calibrate`: measures what the scores of the operator's own models mean."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.bench.frame import Request
    from monitor.bench.sampling import Samples
    from monitor.ml.calibration import Calibration
    from monitor.settings import Settings
    from monitor.values import Modality

FMRS = (1e-3, 1e-4, 1e-5, 1e-6)
"""False match rates whose thresholds are shown beside those of the usual budget."""

FEW_PEOPLE = 450
"""With fewer, 1 in 10,000 comparisons of strangers, the usual rate of reviews, cannot be counted."""

app = typer.Typer(
    no_args_is_help=True, help="Measure what your own models' scores mean, on people who agreed to it."
)

DataOption = Annotated[
    Path, typer.Option("--data", exists=True, file_okay=False, help="Folder with one folder per person.")
]
NameOption = Annotated[
    str, typer.Option("--name", help="What the data is called in the file; empty: the folder's name.")
]
ToOption = Annotated[
    Path | None, typer.Option("--to", dir_okay=False, help="Write it here instead: it is then not in force.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.command()
def faces(
    data: DataOption,
    pack: Annotated[str, typer.Option("--pack", help="Pack to measure; empty: LIKENESS_PACK.")] = "",
    name: NameOption = "",
    to: ToOption = None,
    json: JsonOption = False,
) -> None:
    """Measure the face recogniser of a pack on labelled pictures.

    A score is a cosine, and how often strangers reach it differs from
    model to model. Give a folder that holds one folder per person, named
    as you like, most of them with two pictures or more:
    people/anna/1.jpg, people/anna/2.jpg, people/ben/1.jpg. The face in
    the middle of a picture is taken for theirs.

    Take people who agreed to it and who are like those you watch among,
    in age, sex and origin; pictures like those you crawl, of different
    days; a few hundred people. Somebody in two folders looks like a false
    match: wrong labels spoil more than missing people.

    Only counts and two curves are written, into
    LIKENESS_HOME/calibrations: no picture, name or vector. From then on
    the thresholds of this pack come from them. Delete the file to go
    back.
    """
    from monitor.values import Modality

    _calibrate(Modality.FACE, data, pack, name, to, json=json)


@app.command()
def voices(
    data: DataOption,
    name: NameOption = "",
    to: ToOption = None,
    json: JsonOption = False,
) -> None:
    """Measure the voice recogniser on labelled recordings.

    Give a folder that holds one folder per person, named as you like,
    most of them with two recordings or more, each with at least two
    seconds of speech. Two recordings of different days and microphones
    tell more than two parts of one. Each is taken as it is and with
    noise. A telephone is a channel of its own: leave its recordings out.

    What `likeness calibrate faces --help` says of people, labels and what
    is written holds here, too.
    """
    from monitor.values import Modality

    _calibrate(Modality.VOICE, data, "", name, to, json=json)


def _calibrate(modality: Modality, data: Path, pack: str, name: str, to: Path | None, *, json: bool) -> None:
    from monitor.ml.calibration import own_path, write_calibration
    from monitor.settings import load_settings

    settings = load_settings()
    settings = settings.model_copy(update={"pack": pack}) if pack else settings
    found, missed = _measure(modality, settings, data, name or data.resolve().name, quiet=json)
    path = to or own_path(settings.home, modality, settings.pack)
    write_calibration(path, found)
    told = _told(found, missed, path)
    if json:
        typer.echo(jsonlib.dumps(told))
    else:
        _show(found, told)


def _measure(
    modality: Modality, settings: Settings, data: Path, name: str, *, quiet: bool
) -> tuple[Calibration, int]:
    """Read, embed, compare and fit; give how many files held nothing, too. The vectors end with it."""
    from datetime import UTC, datetime

    from rich.console import Console
    from rich.progress import Progress

    from monitor.bench.frame import Request
    from monitor.bench.sampling import digest_of_names
    from monitor.ml.calibrating import Measured, fit, score_people

    with Progress(console=Console(stderr=True), disable=quiet) as bars:
        bar = bars.add_task("look at files", total=None)

        def report(_: str, done: int, total: int) -> None:
            bars.update(bar, completed=done, total=total)

        samples, model_id = _sample(modality, Request(settings, data, 0, 0, report, voices=data))
        scored = score_people(samples.vectors, samples.persons, samples.sources)
    today = datetime.now(UTC).date().isoformat()
    return fit(
        scored, Measured(modality, model_id, name, today, digest_of_names(samples.files))
    ), samples.missed


def _sample(modality: Modality, request: Request) -> tuple[Samples, str]:
    from monitor.bench.sampling import sample_faces, sample_voices
    from monitor.errors import ConfigError
    from monitor.ml.packs import load_pack
    from monitor.values import Modality

    pack = load_pack(request.settings, measured=False)
    if modality is Modality.FACE and pack.faces is not None:
        return sample_faces(request, pack.faces), pack.faces.recogniser.model_id
    if modality is Modality.VOICE and pack.voices is not None:
        return sample_voices(request, pack.voices), pack.voices.recogniser.model_id
    msg = f"the pack {pack.name} reads no {modality}s"
    raise ConfigError(msg, hint="`likeness models list` shows what each pack reads.")


def _told(found: Calibration, missed: int, path: Path) -> dict[str, object]:
    from monitor.ml.calibration import thresholds_at

    usual = thresholds_at(found)
    return {
        "file": str(path),
        "model_id": found.model_id,
        "data_set": found.data_set,
        "people": found.people,
        "genuine": found.genuine,
        "impostor": found.impostor,
        "files_without": missed,
        "alert": usual.alert,
        "review": usual.review,
        "counted_down_to": found.measured_to,
        "thresholds": {f"{fmr:.0e}": round(found.score_at(fmr), 4) for fmr in FMRS},
        "warnings": list(_warnings(found, usual.alert)),
    }


def _warnings(found: Calibration, alert: float) -> Iterator[str]:
    from monitor.ml.calibration import ALERT_FMR, REVIEW_TIMES

    if found.people < FEW_PEOPLE:
        yield f"{found.people} people are few: take {FEW_PEOPLE} or more before you rely on it."
    if found.measured_to > ALERT_FMR * REVIEW_TIMES:
        yield (
            f"Strangers were counted down to 1 in {1 / found.measured_to:,.0f} comparisons; all beyond is "
            "drawn on with care, so that the thresholds are rather too high than too low."
        )
    if alert >= 1:
        yield "No score is high enough to be told: nobody would ever be alerted. Check the labels."


def _show(found: Calibration, told: dict[str, object]) -> None:
    from rich.console import Console
    from rich.table import Table

    from monitor.ml.calibration import ALERT_FMR, REVIEW_TIMES

    table = Table(title=f"{found.modality} scores of {found.model_id}")
    for heading in ("strangers who pass", "cosine", "likelihood ratio", ""):
        table.add_column(heading)
    usual = {ALERT_FMR * REVIEW_TIMES: "review", ALERT_FMR: "alert"}
    for fmr in sorted({*FMRS, *usual}, reverse=True):
        score = found.score_at(fmr)
        drawn = "" if fmr >= found.measured_to else "drawn on"
        words = ", ".join(filter(None, (usual.get(fmr, ""), drawn)))
        table.add_row(f"1 in {1 / fmr:,.0f}", f"{score:.3f}", f"e^{found.llr(score):.1f}", words)
    console = Console()
    console.print(table)
    console.print(
        f"{found.people:,} people, {found.genuine:,} pairs of one person, {found.impostor:,} of two; "
        f"nothing found in {told['files_without']} files. "
        f"Alert at {told['alert']:.3f}, review at {told['review']:.3f}.",
        highlight=False,
    )
    for warning in _warnings(found, found.score_at(ALERT_FMR)):
        console.print(f"[yellow]{warning}[/]", highlight=False)
    console.print(f"Written to {told['file']}", highlight=False, soft_wrap=True)
