"""`likeness detector`: the operator's own detectors of made media: list them, and try one out."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from monitor.ml.synthetic.own_manifest import Manifest

app = typer.Typer(no_args_is_help=True, help="Your own detectors of made media: list and try them.")

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.command("list")
def list_(json: JsonFlag = False) -> None:
    """Show the detectors in LIKENESS_DETECTORS: each is checked as at the start of the service."""
    from monitor.ml.synthetic.own_detectors import open_own_detectors
    from monitor.settings import load_settings

    settings = load_settings()
    found = [one.manifest for one in open_own_detectors(settings.detectors, settings.device)]
    if json:
        typer.echo(jsonlib.dumps([_row(one) for one in found]))
        return
    for one in found:
        typer.echo(_line(one))
    if not found:
        typer.echo(
            "You have none. Write a manifest as monitor/README.md shows (“Your own detector”), try it with\n"
            "`likeness detector test FILE`, put its folder into LIKENESS_DETECTORS, and start again."
        )


@app.command("test")
def try_(
    manifest: Annotated[Path, typer.Argument(metavar="FILE", help="The manifest, a .toml file.")],
    on: Annotated[
        Path | None,
        typer.Option("--on", exists=True, dir_okay=False, help="Ask it about this picture, video, sound."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Check one manifest and its file, and ask the detector once. Exits with 1 where it does not answer.

    Without --on it is asked about grey: a face or a sound of nobody. Nothing is stored.
    """
    from monitor.commands.detector_trial import trial
    from monitor.ml.synthetic.own_detectors import open_own_detector
    from monitor.ml.synthetic.own_manifest import read_manifest
    from monitor.settings import load_settings

    settings = load_settings()
    detector = open_own_detector(read_manifest(manifest), settings.device)
    done = trial(detector, settings, on)
    row = _row(detector.manifest) | {"scores": done.scores, "llr": done.llr, "ms": done.ms, "why": done.why}
    if json:
        typer.echo(jsonlib.dumps(row))
    else:
        typer.echo(_line(detector.manifest))
        for line in done.told:
            typer.echo(line)
    if done.why:
        raise typer.Exit(1)


def _row(one: Manifest) -> dict[str, object]:
    from monitor.ml.synthetic.own_manifest import Service

    runs = one.runs
    return {
        "signal": f"own:{one.name}",
        "version": one.version,
        "looks_at": one.input.what,
        "speaks_of": one.aspect.value,
        "counted": one.scale.counted,
        "asks": runs.url if isinstance(runs, Service) else runs.path.name,
        "leaves_this_machine": isinstance(runs, Service) and runs.url.startswith("https:"),
        "manifest": one.path.name,
    }


def _line(one: Manifest) -> str:
    row = _row(one)
    counted = f"counted, at most {one.scale.cap:g}" if one.scale.counted else "shown, never counted: no slope"
    leaves = "; what it looks at LEAVES THIS MACHINE" if row["leaves_this_machine"] else ""
    return f"{row['signal']}  {one.version}  looks at {one.input.what}; {counted}; asks {row['asks']}{leaves}"
