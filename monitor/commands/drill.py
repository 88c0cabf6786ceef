"""`likeness drill`: whether, and how fast, somebody would be told. Measured with a marked picture."""

from __future__ import annotations

import json
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from enrollment.subjects import Ledger
    from monitor.crypto import KeyEncryptionKeys
    from monitor.settings import Settings
    from monitor.tables import Drill
    from monitor.values import SubjectId

POLL_S = 0.25
NOT_TOLD = 3
INTERRUPTED = 130

STEPS = {
    "taken": "It was not taken. Does `likeness scheduler` run, is the source due, and may programs look at "
    "it (`likeness source show`)? For a feed: `likeness feed show`.",
    "found": "It was taken, and nobody was found in it. Does `likeness worker` run? `likeness item show` "
    "says what became of the picture.",
    "told": "It was found, and no message went out. Is a channel set up, and is the person told at present? "
    "`likeness alerts list` shows what failed, `likeness alerts review` what waits for a look.",
}
"""The steps after planting, and where to look when one has not come."""


def register(app: typer.Typer) -> None:
    """Add the verb to the top level."""
    app.command("drill")(drill)


def drill(  # noqa: PLR0917 - one option each
    name: Annotated[
        str, typer.Argument(help="Id of somebody whom you enrolled, or its beginning; empty: the only one.")
    ] = "",
    plant: Annotated[
        str, typer.Option(help="Put it on a page of this source, which is a site of yours.")
    ] = "",
    folder: Annotated[
        Path | None, typer.Option(help="With --plant: an empty folder, served at the source's own address.")
    ] = None,
    feed: Annotated[str, typer.Option(help="Push it through this feed instead.")] = "",
    url: Annotated[str, typer.Option(help="Where the feed's door is, if not at LIKENESS_PUBLIC_URL.")] = "",
    when_due: Annotated[
        bool, typer.Option("--when-due", help="Wait for the source's turn; else it is looked at now.")
    ] = False,
    wait: Annotated[float, typer.Option(min=1, max=3600, help="Seconds to wait at most.")] = 900.0,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether the person agreed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Put a marked picture of somebody where we look, and measure when they are told.

    Only for people whom an operator enrolled (`likeness subject add --attest ... --keep-references`) and who
    agreed to this; whoever has a page of their own presses the button there. They get a message that says
    that it is a test. At the end, also after Ctrl-C, the picture, the key made for a push, and all that was
    found are removed; the times stay.

    Exit codes: 0 the person was told, 1 it could not start, 3 something did not come in time, 130 stopped.
    """
    from enrollment.subjects import Ledger
    from monitor import audit
    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.ledger import open_ledger
    from monitor.settings import load_settings

    if bool(feed) == bool(plant) or bool(plant) != (folder is not None):
        msg = "give either --plant SOURCE and --folder DIR, or --feed NAME"
        raise typer.BadParameter(msg)
    settings = load_settings()
    engine, keks = open_ledger(settings), KeyEncryptionKeys.from_settings(settings)
    ledger = Ledger(engine, keks, BlobStore(settings.blobs), audit.operator())
    subject_id = _somebody(ledger, name)
    if not yes:
        typer.confirm(f"Did {subject_id} agree to a fire drill, and to a test message now?", abort=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    way = _Way(settings, engine, keks, ledger, folder, plant, feed, url, not when_due)
    try:
        row = _hold(way, subject_id, wait, quiet=as_json)
    except KeyboardInterrupt:
        typer.echo("Stopped. What was planted and found is removed.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    typer.echo(json.dumps(said_of(row))) if as_json else _print(row)
    if row.told_at is None:
        raise typer.Exit(NOT_TOLD)


class _Way:
    """How the picture gets in."""

    def __init__(  # noqa: PLR0917 - what was typed
        self,
        settings: Settings,
        engine: Engine,
        keks: KeyEncryptionKeys,
        ledger: Ledger,
        folder: Path | None,
        source: str,
        feed: str,
        url: str,
        at_once: bool,
    ) -> None:
        self.settings, self.engine, self.keks, self.ledger = settings, engine, keks, ledger
        self._plant, self._source, self._feed, self._at_once = folder, source, feed, at_once
        self._url = f"{(url or settings.public_url).rstrip('/')}/v1/feeds/{feed}/items"
        self.path = f"feed:{feed}" if feed else f"crawl:{source}"

    def check(self) -> None:
        """Raise NotFound or DrillNotPossible before anything is made."""
        from monitor.commands import drill_paths

        if self._plant is None:
            drill_paths.check_feed(self.engine, self._feed)
            return
        drill_paths.check_source(self.engine, self._source)
        drill_paths.check_folder(self._plant)

    def ready(self, stack: ExitStack, picture: bytes, drill_id: str) -> Callable[[], None]:
        """Give what puts it in; the stack takes it out again."""
        from monitor.commands import drill_paths

        if self._plant is not None:
            folder = self._plant

            def put() -> None:
                stack.enter_context(drill_paths.planted(folder, picture, drill_id))
                contact = self.settings.crawl_contact
                drill_paths.check_shown(self.engine, contact, self._source, drill_id)
                if self._at_once:
                    drill_paths.look_now(self.engine, self._source)

            return put
        key = drill_paths.key_of_a_drill(self.engine, self.keks, self._feed, self.ledger.actor)
        secret = stack.enter_context(key)
        return lambda: drill_paths.push(self._url, secret, picture, drill_id)


def _somebody(ledger: Ledger, name: str) -> SubjectId:
    from enrollment import drills, subjects
    from monitor.db import reading
    from monitor.errors import DrillNotPossible

    if name:
        subject_id = subjects.resolve(ledger.engine, name)
        with reading(ledger.engine) as session:
            drills.check_operators(session, ledger, subject_id)
            drills.check_possible(session, subject_id)
        return subject_id
    with reading(ledger.engine) as session:
        found = drills.drillable(session, ledger)
    if len(found) != 1:
        msg = f"{len(found)} people could be drilled with; name one"
        hint = (
            "A drill needs somebody whom you enrolled with `likeness subject add --attest --keep-references`."
        )
        raise DrillNotPossible(msg, hint=hint)
    return found[0]


def _hold(way: _Way, subject_id: SubjectId, wait_s: float, *, quiet: bool) -> Drill:
    """Hold one drill; whatever ends it, everything is taken away again."""
    from alerts.drills import end
    from enrollment.drills import picture_of
    from monitor import drills
    from monitor.db import utc_now, writing
    from monitor.errors import LikenessError
    from monitor.stages.decode import Decoder
    from monitor.values import Digest

    way.check()
    with Decoder.of(way.settings) as decoder:
        picture = picture_of(way.ledger, decoder, subject_id)
    with writing(way.engine) as session:
        drill_id = drills.ask(session, subject_id, way.path, way.ledger.actor, utc_now()).id
    try:
        with ExitStack() as stack:
            put = way.ready(stack, picture, drill_id)
            with writing(way.engine) as session:
                drills.begin(session, drill_id, Digest.of(picture).hex, utc_now())
            put()
            for row in _watched(way.engine, drill_id, wait_s):
                if not quiet:
                    _progress(row)
    except LikenessError as exc:
        with writing(way.engine) as session:
            drills.fail(session, drill_id, exc.code, utc_now())
        raise
    finally:
        row = end(way.engine, way.keks, drill_id, way.ledger.actor, utc_now())
    return row


def _watched(engine: Engine, drill_id: str, wait_s: float) -> Iterator[Drill]:
    """Give the drill's row over and over until it was told, and nothing more is on its way."""
    from alerts.drills import still_telling
    from monitor import drills
    from monitor.db import writing

    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        with writing(engine) as session:
            row = drills.measure(session, drill_id)
            told = row.told_at is not None and not still_telling(session, drill_id)
        yield row
        if told:
            return
        time.sleep(POLL_S)


def seconds_of(row: Drill) -> dict[str, float | None]:
    """Give the seconds from planting to each step; None has not come."""
    at = {"taken": row.taken_at, "found": row.found_at, "told": row.told_at}
    start = row.planted_at
    return {
        step: None if start is None or when is None else round((when - start).total_seconds(), 2)
        for step, when in at.items()
    }


def said_of(row: Drill) -> dict[str, Any]:
    """Give a drill for programs."""
    missing = next(((step, hint) for step, hint in STEPS.items() if seconds_of(row)[step] is None), None)
    return {
        "id": row.id,
        "path": row.path,
        "planted_at": row.planted_at and row.planted_at.isoformat(),
        "seconds": seconds_of(row),
        "missing": missing and missing[0],
        "look_at": missing and missing[1],
    }


def _progress(row: Drill) -> None:
    done = " -> ".join(["planted", *(f"{k} {v:.1f} s" for k, v in seconds_of(row).items() if v is not None)])
    typer.echo(f"\r{done} ", nl=False, err=True)


def _print(row: Drill) -> None:
    typer.echo("", err=True)
    said = said_of(row)
    for step, seconds in said["seconds"].items():
        typer.echo(f"{step:>6}  {'has not come' if seconds is None else f'{seconds:8.2f} s after planting'}")
    if said["look_at"]:
        typer.secho(said["look_at"], fg="yellow", err=True)
    typer.echo("The picture and what was found by it are removed; the times are kept.")
