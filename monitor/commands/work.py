"""`likeness worker`: looks at what came in, tells what was found."""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the verb to the top level."""
    app.command("worker")(worker)


def worker(
    once: Annotated[bool, typer.Option("--once", help="Stop when nothing waits any more.")] = False,
) -> None:
    """Look at every media item that came in, record findings with their evidence, and tell people.

    Needs a key-encryption key (LIKENESS_KEK_FILE) and the models (`likeness models pull`). Ctrl-C or
    SIGTERM lets the items in hand end first. Several workers may share one database.
    """
    from monitor import log
    from monitor.jobs import run_worker
    from monitor.settings import load_settings

    settings = load_settings()
    log.configure(json=settings.log_json)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run_worker(settings, once=once, stop=stop)
