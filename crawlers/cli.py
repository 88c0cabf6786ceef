"""`likeness source` and `likeness crawl`: what to watch, and looking at it now."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crawlers.units import seconds_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

app = typer.Typer(no_args_is_help=True)
crawl_app = typer.Typer(no_args_is_help=True, help="Crawl a source now.")

JsonFlag = Annotated[bool, typer.Option("--json", help="For programs.")]
NameArgument = Annotated[str, typer.Argument(help="Name of the source.")]
KindOption = Annotated[str, typer.Option(help="site, or the word of a platform.")]
OptionsOption = Annotated[list[str] | None, typer.Option("--option", help="key=value, for this kind.")]
HttpFlag = Annotated[bool, typer.Option("--allow-http", help="Allow plain http, unprotected.")]
PrivateFlag = Annotated[
    bool, typer.Option("--allow-private", help="Allow this host and port inside your own network.")
]
BasisOption = Annotated[
    str | None, typer.Option(help="Why we may look: robots, terms, partner or public_api.")
]


def register(root: typer.Typer) -> None:
    """Add the group `crawl` to the top level."""
    root.add_typer(crawl_app, name="crawl")


@app.command()
def add(
    name: NameArgument,
    url: Annotated[str, typer.Argument(help="Its address: a page, an RSS or Atom feed, or a sitemap.")],
    *,
    kind: KindOption = "site",
    option: OptionsOption = None,
    file: Annotated[str, typer.Option(help="kind warc: a file on this machine instead.")] = "",
    every: Annotated[str, typer.Option(help="How often to look: 30m, 6h, 1d.")] = "6h",
    max_pages: Annotated[int, typer.Option(help="Pages per look, at most.")] = 500,
    depth: Annotated[int, typer.Option(help="Links to follow from the address, at most.")] = 5,
    delay: Annotated[
        float | None, typer.Option(help="Seconds between two requests to one host, at least.")
    ] = None,
    basis: BasisOption = None,
    basis_note: Annotated[str, typer.Option(help="Where that is written down.")] = "",
    collect: Annotated[str, typer.Option(help="What is taken: image,video,audio.")] = "image,video,audio",
    keep_days: Annotated[
        int, typer.Option(help="Days for which an address is remembered after it was last met.")
    ] = 90,
    allow_http: HttpFlag = False,
    allow_private: PrivateFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Watch a web site, feed or platform. Its robots.txt is obeyed; its pages stay on its host.

    Only public https addresses are reached. For a site on this machine, say so:
    `likeness source add mine http://127.0.0.1:8000/ --allow-http --allow-private`. Adding the very same
    source again changes nothing.
    """
    from crawlers import showing, sources

    new = sources.NewSource(
        name,
        url,
        seconds_of(every),
        max_pages,
        depth,
        delay,
        allow_http=allow_http,
        allow_private=allow_private,
        kind=kind,
        options=showing.options_from([*(option or []), *([f"file={file}"] if file else [])]),
        basis=basis,
        basis_note=basis_note,
        collects=collect,
        keep_days=keep_days,
    )
    row = sources.add(_engine(), new, _operator())
    if as_json:
        typer.echo(json.dumps(showing.plain(row)))
        return
    typer.echo(f"{name} is watched, every {every}. `likeness crawl run {name}` looks at once.")
    showing.warn(row)


@app.command()
def edit(
    name: NameArgument,
    *,
    url: Annotated[str | None, typer.Option(help="Its address.")] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", help="key=value: replaces all options; '' takes all away.")
    ] = None,
    every: Annotated[str | None, typer.Option(help="How often to look: 30m, 6h, 1d.")] = None,
    max_pages: Annotated[int | None, typer.Option(help="Pages per look, at most.")] = None,
    depth: Annotated[int | None, typer.Option(help="Links to follow, at most.")] = None,
    delay: Annotated[float | None, typer.Option(help="Seconds between two requests to one host.")] = None,
    basis: BasisOption = None,
    basis_note: Annotated[str | None, typer.Option(help="Where that is written down.")] = None,
    collect: Annotated[str | None, typer.Option(help="What is taken: image,video,audio.")] = None,
    keep_days: Annotated[int | None, typer.Option(help="Days for which an address is remembered.")] = None,
    allow_http: Annotated[bool | None, typer.Option("--allow-http/--no-allow-http")] = None,
    allow_private: Annotated[bool | None, typer.Option("--allow-private/--no-allow-private")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Change what is said of a source. What is not named stays."""
    from crawlers import showing, sources

    said: dict[str, Any] = {
        "url": url,
        "options": None if option is None else showing.options_from([one for one in option if one]),
        "cadence_s": None if every is None else seconds_of(every),
        "max_pages": max_pages,
        "depth": depth,
        "delay_s": delay,
        "basis": basis,
        "basis_note": basis_note,
        "collects": collect,
        "keep_days": keep_days,
        "allow_http": allow_http,
        "allow_private": allow_private,
    }
    changes = {field: value for field, value in said.items() if value is not None}
    row, changed = sources.edit(_engine(), name, changes, _operator())
    if as_json:
        typer.echo(json.dumps(showing.plain(row) | {"changed": changed}))
        return
    typer.echo(f"{name}: {', '.join(changed)} changed." if changed else f"{name} is like that already.")
    showing.warn(row)


@app.command("test")
def try_page(
    name_or_url: Annotated[str, typer.Argument(help="Name of a source, or an address that is none yet.")],
    *,
    kind: KindOption = "site",
    option: OptionsOption = None,
    allow_http: HttpFlag = False,
    allow_private: PrivateFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Look at one page and show what would be looked at and asked for next. Keeps nothing.

    The page is asked for as in a crawl: robots.txt, guard, pace and caps hold. Ends with 1 when it gave
    nothing.
    """
    from crawlers import showing, sources
    from crawlers.trying import try_source
    from monitor import log
    from monitor.db import reading
    from monitor.settings import load_settings

    settings = load_settings()
    log.configure(json=settings.log_json)
    if "://" in name_or_url:
        new = sources.NewSource(
            "trial",
            name_or_url,
            allow_http=allow_http,
            allow_private=allow_private,
            kind=kind,
            options=showing.options_from(option or []),
        )
        row = sources.as_row(new)
    else:
        engine = _engine()
        with reading(engine) as session:
            row = sources.find(session, name_or_url)
        engine.dispose()
    found = try_source(settings, row)
    if as_json:
        typer.echo(json.dumps(found.as_dict()))
    else:
        showing.trial(found)
    if found.code is not None:
        raise typer.Exit(1)


@app.command("list")
def list_(as_json: JsonFlag = False) -> None:
    """Show all sources, how their last looks went, and what is less than safe about them."""
    from crawlers import health, showing
    from monitor.db import reading, utc_now

    with reading(_engine()) as session:
        found = health.every(session, utc_now())
    if as_json:
        lines = [
            showing.plain(one.source)
            | {"last_run": one.last and showing.plain(one.last), "health": one.as_dict()}
            for one in found
        ]
        typer.echo(json.dumps(lines))
        return
    showing.listing(found)


@app.command()
def show(name: NameArgument, as_json: JsonFlag = False) -> None:
    """Show one source, its last looks, and the addresses that gave nothing, with the reason."""
    from crawlers import health, runs, showing, sources
    from monitor.db import reading, utc_now

    with reading(_engine()) as session:
        row = sources.find(session, name)
        found = health.health_of(session, row, utc_now())
        last, failed = runs.newest(session, row.id, 10), sources.gave_nothing(session, row.id, 50)
    if as_json:
        lists = {
            "runs": [showing.plain(run) for run in last],
            "failed": [showing.plain(one) for one in failed],
        }
        typer.echo(json.dumps(showing.plain(row) | lists | {"health": found.as_dict()}))
        return
    showing.one_source(found, last, failed)


@app.command()
def coverage(as_json: JsonFlag = False) -> None:
    """Say what is watched, how fresh it is and what nobody sees: what each person reads in their account."""
    from crawlers import showing
    from crawlers.coverage import Coverage
    from monitor.db import utc_now

    found = Coverage(_engine(), dict).places(utc_now())
    if as_json:
        typer.echo(json.dumps(found, default=str))
        return
    showing.coverage(found)


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
    from crawlers import showing
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
        showing.report(name, report.as_dict())
    if report.failed_code is not None:
        raise typer.Exit(1)


def _engine() -> Engine:
    from monitor.ledger import open_ledger
    from monitor.settings import load_settings

    return open_ledger(load_settings())


def _operator() -> str:
    from monitor.audit import operator

    return operator()
