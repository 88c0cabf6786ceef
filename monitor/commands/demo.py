"""`likeness demo`: the whole path on this machine, on real pictures and speech."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from rich.status import Status

    from monitor.demo.run import Screen
    from monitor.demo.watching import Progress


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("demo")(demo)


def demo(
    home: Annotated[
        Path, typer.Option("--home", help="Folder for everything it makes; cleared when it runs again.")
    ] = Path("demo-output"),
    given: Annotated[
        Path | None,
        typer.Option(
            "--from",
            exists=True,
            file_okay=False,
            help="Folder of the archives in deploy/demo.lock; no index is asked.",
        ),
    ] = None,
    stay: Annotated[
        bool,
        typer.Option("--stay", help="Leave the web pages on until Ctrl-C, to follow the links of the mails."),
    ] = False,
    json: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Show the whole path on this machine: enrol, crawl, find, tell. Takes about a minute.

    Enrols one person by a photograph and one by voice, serves a small web site with their pictures and
    speech among strangers', broken files and traps, watches it with the real processes, and delivers
    mail and SMS to catchers on this machine. Nothing leaves it, and no data of yours is touched.

    Exits with 1 if somebody was missed, a stranger was told, or anything else is not as it should be.
    """
    from rich.console import Console

    from monitor.demo.bench import as_result
    from monitor.demo.report import report
    from monitor.demo.run import request_of, run_demo, serve_pages
    from monitor.demo.sources import read_lock
    from monitor.settings import load_settings

    settings, console, lock = load_settings(), Console(), read_lock()
    with _ends_like_ctrl_c(), console.status("Starting") as status:
        screen = _screen(console, status)
        result = run_demo(request_of(settings, home.resolve(), os.environ, given), screen)
    console.print(
        report(result, lock), crop=False
    )  # a command to be copied is longer than a terminal is wide
    if json is not None:
        json.parent.mkdir(parents=True, exist_ok=True)
        json.write_text(as_result(result, settings.device).as_json(), encoding="utf-8")
    if stay:
        console.print(f"The pages are at {result.made.public_url}; Ctrl-C ends them.")
        serve_pages(result, os.environ)
    raise typer.Exit(0 if result.judgement.passed else 1)


@contextmanager
def _ends_like_ctrl_c() -> Iterator[None]:
    """Let a SIGTERM or a closed terminal end what was started first, the way Ctrl-C does."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _screen(console: Console, status: Status) -> Screen:
    from monitor.demo.run import Screen

    def step(text: str) -> None:
        console.print(f"[dim]•[/dim] {text}")
        status.update(text)

    def progress(now: Progress) -> None:
        status.update(
            f"Crawling, looking and telling: {now.addresses} addresses, {now.looked_at} of {now.items} files "
            f"looked at, {now.findings} sightings, {now.alerts_sent} messages"
        )

    def fetching(name: str, here: int, size: int) -> None:
        status.update(f"Fetching {name}: {here / 1e6:.1f} of {size / 1e6:.1f} MB")

    return Screen(step, progress, fetching)
