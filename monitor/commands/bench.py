"""`likeness bench`: the measurements behind every number in README."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.bench import BENCHES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from monitor.bench.frame import Figure, Result

WIDE = 160
"""Columns of a table of figures that goes to a file or to another program."""

app = typer.Typer(no_args_is_help=True, help="The measurements behind every number in README.")


def _list(asked: bool) -> None:
    if asked:
        for name, (_, line) in BENCHES.items():
            typer.echo(f"{name:10} {line}")
        raise typer.Exit


@app.callback()
def bench(
    list_: Annotated[
        bool, typer.Option("--list", is_eager=True, callback=_list, help="Name every bench and leave.")
    ] = False,
) -> None:
    """Measure, and write figures with their bounds, the data set, the models and the seed."""


def _command(name: str) -> Callable[..., None]:
    def run(
        data: Annotated[
            Path | None, typer.Option("--data", "--media", help="The folder to measure on.", exists=True)
        ] = None,
        *,
        json: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
        seed: Annotated[int, typer.Option(help="Fixes every random choice.")] = 0,
        limit: Annotated[int, typer.Option(min=0, help="Items taken at most; 0: all.")] = 0,
        pack: Annotated[str, typer.Option(help="The model pack; empty: that of the settings.")] = "",
        without_errata: Annotated[
            bool, typer.Option("--without-errata", help="Leave labels known to be wrong as they are.")
        ] = False,
        voices: Annotated[
            Path | None,
            typer.Option(help="calibration: recordings beside the pictures in --data.", exists=True),
        ] = None,
        plots: Annotated[Path | None, typer.Option(help="Write the curves into this folder.")] = None,
        markdown: Annotated[Path | None, typer.Option(help="Write the tables to this file.")] = None,
    ) -> None:
        result = _run(
            name,
            data=data,
            seed=seed,
            limit=limit,
            pack=pack,
            voices=voices,
            errata=not without_errata,
            plots=plots is not None,
        )
        for file, text in ((json, result.as_json()), (markdown, result.table or as_table(result.figures))):
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
        if plots is not None:
            plots.mkdir(parents=True, exist_ok=True)
            for file_name, content in result.plots.items():
                (plots / file_name).write_bytes(content)
        _show(result)

    run.__doc__ = BENCHES[name][1]
    return run


for _name in BENCHES:
    app.command(_name)(_command(_name))


@app.command("readme")
def readme_(
    file: Annotated[Path, typer.Argument(help="The file to write.", dir_okay=False)] = Path("README.md"),
) -> None:
    """Write the figures, settings and models of README anew, from the kept results and the program."""
    from monitor.bench.page import readme
    from monitor.commands.settings import as_markdown

    file.write_text(readme(file.read_text(encoding="utf-8"), as_markdown()), encoding="utf-8")


def as_table(figures: Mapping[str, Figure]) -> str:
    """Make a Markdown table of all figures, for a bench that has no tables of its own."""
    lines = ["| figure | value | 95 % interval | n | unit |", "|---|---|---|---|---|"]
    for name, figure in sorted(figures.items()):
        interval = "" if figure.low == figure.high else f"{figure.low:.4g} to {figure.high:.4g}"
        lines.append(f"| `{name}` | {figure.value:.4g} | {interval} | {figure.n:,} | {figure.unit} |")
    return "\n".join(lines) + "\n"


def _run(
    name: str,
    *,
    data: Path | None,
    seed: int,
    limit: int,
    pack: str,
    voices: Path | None,
    errata: bool,
    plots: bool,
) -> Result:
    import importlib

    from rich.console import Console
    from rich.progress import Progress

    from monitor.bench.frame import Request
    from monitor.settings import load_settings

    with Progress(console=Console(stderr=True)) as bars:
        tasks = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        settings = load_settings()
        if pack:
            settings = settings.model_copy(update={"pack": pack})
        request = Request(settings, data, seed, limit, report, errata, plots, voices)
        result: Result = importlib.import_module(BENCHES[name][0]).run(request)
    return result


def _show(result: Result) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{result.name}: {result.data_set}", box=None)
    table.add_column("figure", no_wrap=True)
    for heading in ("value", "95 % interval", "n"):
        table.add_column(heading, no_wrap=True)
    table.add_column("unit", overflow="ellipsis", no_wrap=True)
    for name, figure in sorted(result.figures.items()):
        interval = "" if figure.low == figure.high else f"{figure.low:.4g} to {figure.high:.4g}"
        table.add_row(name, f"{figure.value:.4g}", interval, f"{figure.n:,}", figure.unit)
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDE)  # a file has room for whole lines
    console.print(table)
    said = {"date": result.date, "seed": result.seed, "device": result.device, "models": result.model_ids}
    console.print(jsonlib.dumps(said), soft_wrap=True, highlight=False)
