"""`likeness source`, `likeness crawl` and `likeness scheduler`: what to watch, and watching it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from crawlers.tables import Source

app = typer.Typer(no_args_is_help=True)
crawl_app = typer.Typer(no_args_is_help=True, help="Crawl a source now.")

JsonFlag = Annotated[bool, typer.Option("--json", help="For programs.")]
NameArgument = Annotated[str, typer.Argument(help="Name of the source.")]


def register(root: typer.Typer) -> None:
    """Add the group `crawl` and the verb `scheduler` to the top level."""
    root.add_typer(crawl_app, name="crawl")
    root.command("scheduler")(scheduler)


@app.command()
def add(
    name: NameArgument,
    url: Annotated[str, typer.Argument(help="Its address: a page, an RSS or Atom feed, or a sitemap.")],
    *,
    every: Annotated[str, typer.Option(help="How often to look: 30m, 6h, 1d.")] = "6h",
    max_pages: Annotated[int, typer.Option(help="Pages per look, at most.")] = 500,
    depth: Annotated[int, typer.Option(help="Links to follow from the address, at most.")] = 5,
    delay: Annotated[
        float | None, typer.Option(help="Seconds between two requests to one host, at least.")
    ] = None,
    allow_http: Annotated[bool, typer.Option("--allow-http", help="Allow plain http, unprotected.")] = False,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Allow this host and port inside your own network.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Watch a web site or feed. Its robots.txt is obeyed; its pages stay on its host, its media may not.

    Only public https addresses are reached. For a site on this machine, say so:
    `likeness source add mine http://127.0.0.1:8000/ --allow-http --allow-private`.
    """
    from crawlers import sources

    new = sources.NewSource(
        name,
        url,
        seconds_of(every),
        max_pages,
        depth,
        delay,
        allow_http=allow_http,
        allow_private=allow_private,
    )
    row = sources.add(_engine(), new, _operator())
    if as_json:
        typer.echo(json.dumps(_plain(row)))
        return
    typer.echo(f"{name} is watched, every {every}. `likeness crawl run {name}` looks at once.")
    _warn(row)


@app.command("list")
def list_(as_json: JsonFlag = False) -> None:
    """Show all sources, how their last look went, and what is less than safe about them."""
    from crawlers import runs, sources
    from monitor.db import reading

    with reading(_engine()) as session:
        found = [(row, runs.last(session, row.id)) for row in sources.every(session)]
    if as_json:
        typer.echo(json.dumps([_plain(row) | {"last_run": run and _plain(run)} for row, run in found]))
        return
    lines = [
        (
            row.name,
            row.url,
            _span(row.cadence_s),
            "watched" if row.enabled else "paused",
            "never looked at" if run is None else f"{run.state} {run.started_at:%Y-%m-%d %H:%M} UTC",
            "" if run is None else f"{run.pages} pages, {run.media_taken} new media",
        )
        for row, run in found
    ]
    _table(
        ("Name", "Address", "Every", "", "Last look", ""),
        lines,
        "No sources. `likeness source add` adds one.",
    )
    for row, _ in found:
        _warn(row)


@app.command()
def show(name: NameArgument, as_json: JsonFlag = False) -> None:
    """Show one source, its last looks, and the addresses that gave nothing, with the reason."""
    from sqlmodel import col, select

    from crawlers import sources
    from crawlers.seen import LOOKED
    from crawlers.tables import CrawlRun, SeenUrl
    from monitor.db import reading

    with reading(_engine()) as session:
        row = sources.find(session, name)
        newest = (
            select(CrawlRun).where(CrawlRun.source_id == row.id).order_by(col(CrawlRun.started_at).desc())
        )
        last = session.exec(newest.limit(10)).all()
        failed = select(SeenUrl).where(SeenUrl.source_id == row.id, col(SeenUrl.code).not_in(LOOKED))
        bad = session.exec(failed.order_by(col(SeenUrl.looked_at).desc()).limit(50)).all()
    if as_json:
        kept = [_plain(one) for one in bad]
        typer.echo(json.dumps(_plain(row) | {"runs": [_plain(run) for run in last], "failed": kept}))
        return
    typer.echo(
        f"{row.name}: {row.url}, every {_span(row.cadence_s)}, {'watched' if row.enabled else 'paused'}"
    )
    _warn(row)
    looks = [
        (f"{run.started_at:%Y-%m-%d %H:%M}", run.state, str(run.pages), str(run.media_taken), run.dropped)
        for run in last
    ]
    _table(("Look (UTC)", "State", "Pages", "New media", "Not taken"), looks, "Never looked at.")
    reasons = [(one.code, one.url, one.reason or "") for one in bad]
    _table(("Code", "Address", "Why"), reasons, "Every address gave something.")


@app.command()
def pause(name: NameArgument) -> None:
    """Stop looking at a source until `likeness source resume`."""
    from crawlers import sources

    sources.set_enabled(_engine(), name, _operator(), enabled=False)
    typer.echo(f"{name} is paused.")


@app.command()
def resume(name: NameArgument) -> None:
    """Look at a paused source again."""
    from crawlers import sources

    sources.set_enabled(_engine(), name, _operator(), enabled=True)
    typer.echo(f"{name} is watched again.")


@app.command()
def remove(
    name: NameArgument, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Forget a source and what was seen there. Media taken from it and findings stay."""
    from crawlers import sources

    if not yes:
        typer.confirm(f"Forget {name} and everything that was seen there?", abort=True)
    sources.remove(_engine(), name, _operator())
    typer.echo(f"{name} is removed.")


@crawl_app.command("run")
def crawl_run(name: NameArgument, as_json: JsonFlag = False) -> None:
    """Look at one source now and say what was taken. Needs no key: it can put media in and open none.

    Ends with 1 when the source itself could not be read.
    """
    from crawlers.run import crawl
    from monitor import log
    from monitor.settings import load_settings

    settings = load_settings()
    log.configure(json=settings.log_json)
    _engine().dispose()
    report = crawl(settings, name)
    if as_json:
        typer.echo(json.dumps(report.as_dict()))
    else:
        _tell(name, report.as_dict())
    if report.failed_code is not None:
        raise typer.Exit(1)


def scheduler() -> None:
    """Look at each source when it is due, until stopped. One at a time holds the lease; others refuse."""
    import signal
    import threading

    from crawlers.schedule import run_scheduler
    from monitor import log
    from monitor.settings import load_settings

    settings = load_settings()
    log.configure(json=settings.log_json)
    _engine().dispose()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run_scheduler(settings, stop)


def seconds_of(text: str) -> int:
    """Read `90`, `90s`, `30m`, `6h` or `1d` as seconds. Raises typer.BadParameter."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    if not number.isdigit():
        msg = f"{text!r} is no time; write 30m, 6h or 1d"
        raise typer.BadParameter(msg)
    return int(number) * units[unit]


def _span(seconds: int) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _engine() -> Engine:
    from monitor.ledger import open_ledger
    from monitor.settings import load_settings

    return open_ledger(load_settings())


def _operator() -> str:
    from monitor.audit import operator

    return operator()


def _warn(row: Source) -> None:
    from crawlers import sources

    for sentence in sources.warnings(row):
        typer.secho(f"warning: {row.name}: {sentence}", fg="yellow", bold=True, err=True)


def _plain(row: Any) -> dict[str, Any]:  # noqa: ANN401 - any row of ours
    plain: dict[str, Any] = row.model_dump(mode="json", exclude={"shows"})
    for name in ("dropped", "refused_hosts"):
        if name in plain:
            plain[name] = json.loads(plain[name])
    return plain


def _tell(name: str, report: dict[str, Any]) -> None:
    typer.echo(
        f"{name}: {report['state']}. {report['pages']} pages ({report['pages_unchanged']} unchanged), "
        f"{report['media_found']} media shown, {report['media_taken']} new, {report['media_known']} known, "
        f"{report['media_unchanged']} unchanged."
    )
    for code, count in sorted(report["dropped"].items()):
        typer.echo(f"  not taken: {count} x {code}")
    for host, why in sorted(report["refused_hosts"].items()):
        typer.secho(f"  left alone: {host}: robots.txt could not be read: {why}", fg="yellow")
    if report["failed_code"]:
        typer.secho(f"  {report['failed_code']}: {report['failed_reason']}", fg="red", err=True)


def _table(headings: Sequence[str], lines: Sequence[Sequence[str]], none: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not lines:
        typer.echo(none)
        return
    table = Table(*headings)
    for line in lines:
        table.add_row(*(Text(cell) for cell in line))
    Console().print(table)
