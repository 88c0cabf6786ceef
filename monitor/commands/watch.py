"""`likeness scheduler`: looks at each source when it is due."""

from __future__ import annotations

import signal
import threading

import typer


def register(app: typer.Typer) -> None:
    """Add the verb to the top level."""
    app.command("scheduler")(scheduler)


def scheduler() -> None:
    """Look at each source when it is due, until stopped. One at a time holds the lease; others refuse.

    It needs no key. With a key-encryption key (LIKENESS_KEK_FILE) it also opens the names, handles and
    hashtags that people asked to be looked for, and hands them to the crawls; and it fetches the feeds that
    stand in a partner's bucket or folder.
    """
    from monitor import log
    from monitor.settings import load_settings
    from monitor.watching import run_watch

    settings = load_settings()
    log.configure(json=settings.log_json)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run_watch(settings, stop)
