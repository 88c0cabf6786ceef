"""`likeness serve`: the pages behind the links of messages; with --dev a whole watch on this machine."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from monitor.settings import Settings

CHILD = [sys.executable, "-m", "monitor.cli"]
CHILDREN = ("worker", "scheduler")
"""What `--dev` runs beside the pages: verbs of this same command."""

NO_CONTACT = (
    "No source is crawled: LIKENESS_CRAWL_CONTACT is not set. Set it to a page or an e-mail address "
    "that reaches you, and start again."
)


def register(app: typer.Typer) -> None:
    """Add the verb to the top level."""
    app.command("serve")(serve)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8800,
    dev: Annotated[
        bool, typer.Option("--dev", help="Make the keys in the home folder; run worker and scheduler too.")
    ] = False,
) -> None:
    """Serve the pages that messages link to, and /health and /ready.

    In production, put it behind a proxy that speaks HTTPS, set LIKENESS_PUBLIC_URL to the proxy's address,
    and run `likeness worker` and `likeness scheduler` as processes of their own. `--dev` is for trying
    things out on one machine: keys that lie beside the data protect nothing. It opens enrolment by web form.
    """
    from monitor import log
    from monitor.settings import load_settings

    if dev:
        os.environ.update(dev_environment(load_settings(), host, port))
    settings = load_settings()
    log.configure(json=settings.log_json)
    with _children(_wanted(settings) if dev else ()):
        _run(host, port)


def _wanted(settings: Settings) -> tuple[str, ...]:
    """Name what `--dev` runs. Without a contact the scheduler would not begin: it is left out, and said."""
    if settings.crawl_contact:
        return CHILDREN
    typer.secho(NO_CONTACT, fg="yellow", err=True)
    return tuple(verb for verb in CHILDREN if verb != "scheduler")


def dev_environment(settings: Settings, host: str, port: int) -> Mapping[str, str]:
    """Make keys and secrets that are missing, in the home folder, and give the settings that name them.

    Enrolment by the web form is open unless the setting says otherwise.
    """
    from monitor.commands.keys import write_new
    from monitor.crypto import new_key_line

    made: dict[str, str] = {}
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if settings.kek is None and settings.kek_file is None:
        file = settings.home / "dev-keys"
        if not file.exists():
            write_new(file, new_key_line("dev") + "\n")
        made["LIKENESS_KEK_FILE"] = str(file)
    if settings.link_secret is None:
        file = settings.home / "dev-link-secret"
        if not file.exists():
            write_new(file, secrets.token_urlsafe(32) + "\n")
        made["LIKENESS_LINK_SECRET"] = file.read_text(encoding="utf-8").strip()
    if "public_url" not in settings.model_fields_set:
        # By its name where there is one: no browser makes a passkey for a number.
        named = "localhost" if host == "127.0.0.1" else host
        made["LIKENESS_PUBLIC_URL"] = f"http://{named}:{port}"
    if "enrolment" not in settings.model_fields_set:
        made["LIKENESS_ENROLMENT"] = "open"
    return made


def _run(host: str, port: int) -> None:
    import uvicorn

    typer.echo(f"Serving on http://{host}:{port}; /health and /ready say how it is doing.", err=True)
    # No access log: the addresses of the pages are the keys to them. No handlers of uvicorn's own:
    # monitor.log refuses what must not be in a log.
    uvicorn.run(
        "monitor.app:from_environment",
        factory=True,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
    )


@contextlib.contextmanager
def _children(verbs: tuple[str, ...]) -> Iterator[None]:
    from monitor.commands.children import Children

    # uvicorn ends by raising the signal that it got once more; the default would leave the children alone.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Children({verb: [*CHILD, verb] for verb in verbs}):
        yield
