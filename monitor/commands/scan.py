"""`likeness scan`: looks for the enrolled in files and folders of this machine."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitor.scanning import Scanned

SOME_NOT_LOOKED_AT = 3
INTERRUPTED = 130

SHORT_ID = 8
"""Characters of an id in a table: `likeness subject show` takes them, and 80 columns have room."""
"""Exit codes, as `likeness scan --help` tells them; 130 is what a shell gives for Ctrl-C."""


def register(app: typer.Typer) -> None:
    """Add the verb to the top level."""
    app.command("scan")(scan)


def scan(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", exists=True, help="Files, or folders with all they hold."),
    ],
    json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Look for the enrolled in files and folders, and record what is found.

    Pictures, animations, videos and sounds are looked at; other files are passed over. Run it again to go
    on where it was stopped: what was looked at is not looked at again, unless somebody was enrolled since.
    People are told by `likeness worker`, not by this.

    Exit codes: 0 every media file was looked at (with or without findings), 1 it could not start, 3 some
    media files could not be looked at, 130 interrupted.
    """
    from monitor.scanning import files_of

    files = files_of(paths)
    try:
        scanned = _run(files, paths, quiet=json)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if json:
        typer.echo(
            json_text.dumps({"files": [s.told() for s in scanned], "summary": _summary(scanned)}, indent=2)
        )
    else:
        _print(scanned)
    if _summary(scanned)["not_looked_at"]:
        raise typer.Exit(SOME_NOT_LOOKED_AT)


def _run(files: Sequence[Path], named: Sequence[Path], *, quiet: bool) -> list[Scanned]:
    from monitor import audit, findings, log
    from monitor.assembly import build_tools
    from monitor.intake import Door
    from monitor.ledger import open_ledger
    from monitor.scanning import scan as scan_files
    from monitor.settings import load_settings

    settings = load_settings()
    log.configure(json=settings.log_json)
    engine = open_ledger(settings)
    with build_tools(settings, engine) as tools:
        looks = scan_files(
            files,
            tools,
            Door.of(settings, engine),
            threads=settings.threads,
            lease_s=settings.lease_seconds,
            named=named,
        )
        scanned = list(looks if quiet else _with_bar(looks, len(files)))
    shown = [(view.subject_id, view.finding_id) for one in scanned for view in one.findings]
    findings.put_on_record(engine, audit.operator(), shown)
    return scanned


def _with_bar(looks: Iterator[Scanned], total: int) -> Iterator[Scanned]:
    from rich.console import Console
    from rich.progress import track

    yield from track(looks, "looking", total=total, console=Console(stderr=True))


def _summary(scanned: Sequence[Scanned]) -> dict[str, int]:
    from monitor.scanning import NO_MEDIA

    passed_over = sum(s.state == "refused" and s.code in NO_MEDIA for s in scanned)
    return {
        "files": len(scanned),
        "looked_at": sum(s.state == "done" and not s.seen_before for s in scanned),
        "seen_before": sum(s.state == "done" and s.seen_before for s in scanned),
        "passed_over": passed_over,
        "not_looked_at": sum(s.state != "done" for s in scanned) - passed_over,
        "with_findings": sum(bool(s.findings) for s in scanned),
        "findings": sum(len(s.findings) for s in scanned),
    }


def _short_names(paths: Sequence[Path]) -> dict[Path, str]:
    """Name files as seen from the folder that holds all of them: a narrow terminal has no room for more."""
    import os

    above = os.path.commonpath([path.parent for path in paths]) if paths else ""
    return {path: os.path.relpath(path, above or ".") for path in paths}


def _print(scanned: Sequence[Scanned]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    from monitor.scanning import NO_MEDIA

    names = _short_names([one.path for one in scanned])
    found = Table(
        Column("file", overflow="fold"),
        Column("subject", no_wrap=True),
        *(Column(name, no_wrap=True) for name in ("band", "face", "voice")),
        "at seconds",
        title="found",
    )
    trouble = Table(Column("file", overflow="fold"), "where", "why", title="could not be looked at")
    for one in scanned:
        for view in one.told()["findings"]:
            spans = [*view["face_seconds"], *view["voice_seconds"]]
            at = ", ".join(f"{a:.0f}-{b:.0f}" for a, b in spans if b > 0)
            scores = [f"{s:.2f}" if s is not None else "" for s in (view["face_score"], view["voice_score"])]
            found.add_row(escape(names[one.path]), view["subject_id"][:SHORT_ID], view["band"], *scores, at)
        if one.state != "done" and one.code not in NO_MEDIA:
            where = one.stage or "at the door"
            trouble.add_row(escape(names[one.path]), where, escape(f"{one.code}: {one.reason}"))
        for left in one.not_looked:
            trouble.add_row(
                escape(names[one.path]), left["part"], escape(f"{left['code']}: {left['reason']}")
            )
    console = Console()
    for table in (found, trouble):
        if table.row_count:
            console.print(table)
    if not scanned:
        console.print("There are no files in what was given.")
        return
    said = _summary(scanned)
    console.print(
        f"files: {said['files']}, {said['looked_at']} looked at, {said['seen_before']} seen before, "
        f"{said['passed_over']} not media, {said['not_looked_at']} could not be looked at; "
        f"findings: {said['findings']}, in {said['with_findings']} of the files"
    )
