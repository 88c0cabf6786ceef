"""`likeness feed pull`, and what `likeness feed add --way s3|sftp` asks for: feeds that we fetch."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys
    from monitor.partners.places import Place
    from monitor.partners.pulling import Pulled
    from monitor.settings import Settings

LONGEST_SECRET = 16 * 2**10
"""Characters: more than a private key of 16,384 bits has."""


def pull(
    name: Annotated[str, typer.Argument(help="Name of the feed; empty: all that are due.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Fetch what is new from the bucket or folder of a feed, now.

    It can be stopped at any time and goes on where it was. No file comes in twice. Without a name all feeds
    that are due are fetched, one after the other; one that fails stops no other. Ends with 1 where one did.
    """
    from monitor.crypto import KeyEncryptionKeys
    from monitor.db import utc_now
    from monitor.errors import LikenessError
    from monitor.ledger import open_ledger
    from monitor.partners import pull_times
    from monitor.settings import load_settings

    settings = load_settings()
    engine, keks = open_ledger(settings), KeyEncryptionKeys.from_settings(settings)
    if name:
        _say(name, _pulled(settings, engine, keks, name, quiet=as_json), as_json=as_json)
        return
    failed = False
    for one in pull_times.due(engine, utc_now()):
        try:
            _say(one, _pulled(settings, engine, keks, one, quiet=as_json), as_json=as_json)
        except LikenessError as exc:
            failed = True
            typer.secho(f"{one}: error[{exc.code}]: {exc.message}", fg="red", err=True)
    if failed:
        raise typer.Exit(1)


def place_of(settings: Settings, place: Place, secret_file: Path | None) -> Place:
    """Complete a place: read its secret, ask for the server's key, and try to enter.

    Raises KeyMissing, FeedInvalid, ExtraMissing, HostKeyDiffers, FetchError.
    """
    from contextlib import closing
    from dataclasses import replace

    from crawlers.pulls import dial
    from monitor.crypto import KeyEncryptionKeys
    from monitor.errors import FeedInvalid
    from monitor.partners import pulled_sftp, pulling
    from monitor.partners.places import S3, SFTP

    KeyEncryptionKeys.from_settings(settings)  # without one nothing could be sealed in the end
    way = place.way
    faults = (
        (way not in {S3, SFTP}, "a way is push, s3 or sftp"),
        (not place.url, "--place is missing: https://s3.example.org or sftp://files.example.org"),
        (not place.user, "--user is missing: the id of the access key, or the name to log in with"),
        (way == S3 and not place.bucket, "--bucket is missing"),
        (secret_file is None, "--secret-file is missing: the secret of the access key, password or key"),
    )
    for wrong, msg in faults:
        if wrong:
            raise FeedInvalid(msg)
    secret = _secret(secret_file) if secret_file is not None else ""
    place = replace(place, secret=secret)
    if way == SFTP and not place.host_key:
        shown = pulled_sftp.key_shown(place.url, dial(place))
        typer.echo(f"The server shows the key {shown.split(' ')[0]} {pulled_sftp.fingerprint(shown)}.")
        typer.confirm("Is that what your partner told you?", abort=True, err=True)
        place = replace(place, host_key=shown)
    if way == SFTP:
        pulled_sftp.fingerprint(place.host_key)
        place = replace(place, host_key=" ".join(place.host_key.split()[:2]))
    with closing(pulling.store_of(place, dial(place))) as store:
        next(store.files(""), None)
    return place


def write(settings: Settings, engine: Engine, name: str, place: Place, every_s: int) -> None:
    """Seal a place into the row of its feed."""
    from monitor import audit
    from monitor.crypto import KeyEncryptionKeys
    from monitor.db import writing
    from monitor.partners import feeds, places

    keks = KeyEncryptionKeys.from_settings(settings)
    with writing(engine) as session:
        row = feeds.find(session, name)
        row.pull_every_s = every_s
        places.seal(session, keks, row, place)
        audit.record(
            session,
            audit.operator(),
            "feed.place",
            feed=name,
            way=place.way,
            place=place.url,
            private=place.allow_private,
        )


def _pulled(settings: Settings, engine: Engine, keks: KeyEncryptionKeys, name: str, *, quiet: bool) -> Pulled:
    from rich.console import Console
    from rich.progress import Progress

    from crawlers.pulls import pull as pull_one
    from monitor.db import reading
    from monitor.partners import feeds, places

    with reading(engine) as session:
        place = places.opened(session, keks, feeds.find(session, name))
    with Progress(console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task(f"Fetching from {name}", total=None)

        def said(done: Pulled) -> None:
            what = f"{name}: {done.seen} seen, {done.taken} taken, {done.taken_bytes / 2**20:.0f} MiB"
            bar.update(task, description=what)

        return pull_one(settings, engine, name, place, said)


def _say(name: str, done: Pulled, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"feed": name, **asdict(done)}))
        return
    refused = ", ".join(f"{number} {code}" for code, number in sorted(done.refused.items())) or "none"
    typer.echo(f"{name}: {done.seen} files, {done.known} known, {done.taken} taken, refused: {refused}.")
    if done.failed:
        typer.secho(
            f"{done.failed} could not be read now; the next round tries again.", fg="yellow", err=True
        )


def _secret(file: Path) -> str:
    from monitor.errors import FeedInvalid

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        msg = f"{file} cannot be read"
        raise FeedInvalid(msg) from exc
    if not 0 < len(text.strip()) <= LONGEST_SECRET:
        msg = f"{file} is empty, or too long for a secret"
        raise FeedInvalid(msg)
    return text.strip()
