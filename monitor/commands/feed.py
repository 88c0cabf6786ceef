"""`likeness feed`: partners who push media in, their keys, quotas and counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.commands import feed_pull

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Engine

    from monitor.partners.tables import Feed, FeedKey
    from monitor.settings import Settings

app = typer.Typer(no_args_is_help=True)
key_app = typer.Typer(no_args_is_help=True, help="Hand out and take back the keys that a partner signs with.")
app.add_typer(key_app, name="key")
app.command("pull")(feed_pull.pull)

JsonFlag = Annotated[bool, typer.Option("--json", help="For programs.")]
NameArgument = Annotated[str, typer.Argument(help="Name of the feed.")]

DAYS = 7
"""Days of counts that `show` gives."""


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Small letters, digits, dashes; part of the address called.")],
    *,
    partner: Annotated[str, typer.Option(help="Who pushes: the platform or agency.")],
    contact: Annotated[str, typer.Option(help="Whom you write to when something is wrong.")],
    contract: Annotated[str, typer.Option(help="Where it is written down that they may push.")] = "",
    scopes: Annotated[
        str,
        typer.Option(help="Comma-separated: items (files), urls (addresses), uploads, takedowns."),
    ] = "items,urls,uploads,takedowns",
    hosts: Annotated[
        str, typer.Option(help="Hosts of addresses, comma-separated: img.example.org, *.example.net.")
    ] = "",
    per_second: Annotated[float, typer.Option(help="Items a second, on average.")] = 50.0,
    burst: Annotated[int, typer.Option(help="Items at once, after a quiet while.")] = 500,
    per_day: Annotated[int, typer.Option(help="Items a day (UTC), for certain.")] = 1_000_000,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Check everything, keep nothing.")] = False,
    way: Annotated[str, typer.Option(help="push; or we fetch: s3, sftp.")] = "push",
    place: Annotated[
        str, typer.Option(help="Where we fetch: https://s3.example.org, sftp://files.example.org.")
    ] = "",
    bucket: Annotated[str, typer.Option(help="Of s3: the bucket.")] = "",
    prefix: Annotated[str, typer.Option(help="Of s3: how names begin. Of sftp: the folder.")] = "",
    region: Annotated[str, typer.Option(help="Of s3.")] = "us-east-1",
    user: Annotated[str, typer.Option(help="Id of the access key, or whom to log in as.")] = "",
    secret_file: Annotated[
        Path | None, typer.Option(help="Holds the secret of the access key, a password or a private key.")
    ] = None,
    host_key: Annotated[
        str, typer.Option(help="Of sftp: the server's key, ssh-ed25519 AAAA...; else it is shown and asked.")
    ] = "",
    every: Annotated[int, typer.Option(help="Seconds from one fetch to the next.", min=60)] = 900,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="The place may be in our own network, without TLS.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Let a partner push media in, or fetch it from their bucket or folder (--way s3, --way sftp).

    The feed opens with its first key: `likeness feed key add NAME`. A partner never learns whom we find:
    the answer to an item is the same whoever is on it. Addresses are fetched only from `--hosts`; without
    any, addresses are refused. Begin with `--sandbox`, and let the partner try it out.
    """
    from monitor import audit
    from monitor.partners import feeds, places

    new = feeds.NewFeed(
        name,
        partner,
        contact,
        contract,
        way,
        sandbox=sandbox,
        scopes=_list(scopes),
        hosts=_list(hosts),
        per_second=per_second,
        burst=burst,
        per_day=per_day,
    )
    settings, engine = _open()
    entered = None
    if way != "push":
        told = places.Place(way, place, user, "", prefix, bucket, region, host_key, allow_private)
        entered = feed_pull.place_of(settings, told, secret_file)
    row = feeds.add(engine, new, audit.operator())
    if entered is not None:
        feed_pull.write(settings, engine, name, entered, every)
    if as_json:
        typer.echo(json.dumps(_plain(row) | {"url": _url(settings, name)}))
        return
    if entered is not None:
        typer.echo(f"{name} is set up. `likeness feed pull {name}` fetches what is there.")
        return
    typer.echo(f"{name} is set up{' as a sandbox' if sandbox else ''}: {_url(settings, name)}")
    typer.echo(f"Nobody can push yet. `likeness feed key add {name}` makes the first key.")
    if "urls" in new.scopes and not new.hosts:
        typer.secho("Addresses are refused: no --hosts are named.", fg="yellow", err=True)


@app.command("list")
def list_(as_json: JsonFlag = False) -> None:
    """Show all feeds: what they may do, and what came today."""
    from monitor.db import reading, utc_now
    from monitor.partners import counting, feeds

    _, engine = _open()
    with reading(engine) as session:
        found = [
            (row, partner, counting.days(session, row.id, utc_now(), 1)[0][1])
            for row, partner in feeds.every(session)
        ]
    if as_json:
        lines = [_plain(row) | {"partner": partner.name, "today": today} for row, partner, today in found]
        typer.echo(json.dumps(lines))
        return
    _table(
        ("Name", "Partner", "", "May", "Taken today", "Refused today"),
        [
            (
                row.name,
                partner.name,
                _standing(row),
                row.scopes.replace(",", ", "),
                str(today.get(counting.ACCEPTED, 0)),
                str(sum(n for code, n in today.items() if code not in counting.WELL)),
            )
            for row, partner, today in found
        ],
        "No feeds. `likeness feed add` adds one.",
    )


@app.command()
def show(name: NameArgument, as_json: JsonFlag = False) -> None:
    """Show one feed: limits, keys (never a secret), and what came and was refused in the last seven days."""
    from monitor.db import reading, utc_now
    from monitor.partners import counting, feeds
    from monitor.partners.tables import Partner

    settings, engine = _open()
    with reading(engine) as session:
        row = feeds.find(session, name)
        partner = session.get_one(Partner, row.partner_id)
        keys = feeds.keys_of(session, row.id)
        days = counting.days(session, row.id, utc_now(), DAYS)
    if as_json:
        said = _plain(row) | {
            "url": _url(settings, name),
            "partner": partner.name,
            "contact": partner.contact,
        }
        typer.echo(json.dumps(said | {"keys": [_plain_key(key) for key in keys], "days": dict(days)}))
        return
    typer.echo(f"{name}: {_standing(row)}, {_url(settings, name)}")
    typer.echo(f"{partner.name} <{partner.contact}>, contract: {partner.contract or 'not written down'}")
    typer.echo(f"May: {row.scopes}. Addresses of: {row.hosts or 'no host'}.")
    if row.way != "push":
        when = "never" if row.pulled_at is None else f"{row.pulled_at:%Y-%m-%d %H:%M} (UTC)"
        typer.echo(f"Fetched by us ({row.way}) every {row.pull_every_s} s, last: {when}.")
    typer.echo(f"{row.per_second:g} items a second, {row.burst} at once, {row.per_day} a day.")
    _keys_table(keys)
    _table(
        ("Day (UTC)", "Code", "Number"),
        [(day, code, str(number)) for day, counts in days for code, number in counts.items()],
        "Nothing came in the last seven days.",
    )


@app.command()
def pause(name: NameArgument) -> None:
    """Refuse everything from a feed (403 feed_paused) until `likeness feed resume`."""
    _set_enabled(name, enabled=False)
    typer.echo(f"{name} is paused. Its partner is told `feed_paused` and keeps the items.")


@app.command()
def resume(name: NameArgument) -> None:
    """Take from a paused feed again."""
    _set_enabled(name, enabled=True)
    typer.echo(f"{name} goes on.")


@app.command()
def sandbox(
    name: NameArgument, off: Annotated[bool, typer.Option("--off", help="Make it a real feed.")] = False
) -> None:
    """Make a feed a sandbox: everything is checked and answered as on a real one, and nothing is kept.

    `--off` makes it real. Keys and limits stay as they are.
    """
    from monitor import audit
    from monitor.partners import feeds

    feeds.set_sandbox(_open()[1], name, audit.operator(), sandbox=not off)
    typer.echo(f"{name} is {'real: what comes is looked at' if off else 'a sandbox: nothing is kept'}.")


@app.command()
def remove(
    name: NameArgument, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Forget a feed, its keys, its items' keys and its counts. Media taken from it and findings stay."""
    from monitor import audit
    from monitor.partners import feeds

    if not yes:
        typer.confirm(f"Forget {name}, its keys and counts?", abort=True)
    feeds.remove(_open()[1], name, audit.operator())
    typer.echo(f"{name} is removed.")


@key_app.command("add")
def key_add(
    name: NameArgument,
    public: Annotated[
        str, typer.Option(help="The partner's own Ed25519 public key, whpk_...; empty: a secret is made.")
    ] = "",
    expires: Annotated[str, typer.Option(help="Last day on which it counts, as 2030-01-31.")] = "",
    to: Annotated[
        Path | None, typer.Option(help="Write the secret to this new file, mode 0600, not to the screen.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a secret for a partner, or take in the partner's public key. It counts within a second.

    A secret is shown once and never again: hand it over on a safe way. Better is `--public`: the partner
    keeps the private half, and nobody else can sign. To change a key without a break: add the new one, wait
    until the partner signs with it (`likeness feed show`), then revoke the old one.
    """
    from monitor import audit
    from monitor.commands.keys import write_new
    from monitor.crypto import KeyEncryptionKeys
    from monitor.partners import feeds

    settings, engine = _open()
    keks = KeyEncryptionKeys.from_settings(settings)
    wish = feeds.KeyWish(public, _day(expires))
    if to is not None and to.exists():
        from monitor.errors import FeedInvalid

        msg = f"{to} is there already; a secret is never written over another"
        raise FeedInvalid(msg, hint="Choose another file name.")
    made = feeds.add_key(engine, keks, name, audit.operator(), wish)
    shown = made.secret
    if to is not None and made.secret:
        write_new(to, made.secret + "\n")
        shown = ""
    if as_json:
        said = {"id": made.id, "scheme": made.scheme.value, "file": None if to is None else str(to)}
        typer.echo(json.dumps(said | ({"secret": shown} if shown else {})))
        return
    typer.echo(f"The key {made.id} ({made.scheme.value}) counts now for {name}.")
    if shown:
        typer.echo(f"Its secret, shown this once: {shown}")
    elif made.secret:
        typer.echo(f"Its secret is in {to}.")


@key_app.command("revoke")
def key_revoke(
    name: NameArgument, key_id: Annotated[str, typer.Argument(help="Id of the key, from `show`.")]
) -> None:
    """Let a key never count again: nothing signed with it is written down from now on (401 key_revoked)."""
    from monitor import audit
    from monitor.partners import feeds

    feeds.revoke_key(_open()[1], name, key_id, audit.operator())
    typer.echo(f"The key {key_id} of {name} is revoked.")


def _open() -> tuple[Settings, Engine]:
    from monitor.ledger import open_ledger
    from monitor.settings import load_settings

    settings = load_settings()
    return settings, open_ledger(settings)


def _set_enabled(name: str, *, enabled: bool) -> None:
    from monitor import audit
    from monitor.partners import feeds

    feeds.set_enabled(_open()[1], name, audit.operator(), enabled=enabled)


def _list(text: str) -> tuple[str, ...]:
    return tuple(part for part in (one.strip().lower() for one in text.split(",")) if part)


def _day(text: str) -> datetime | None:
    """Read the last day of a key as the moment after it."""
    from datetime import UTC, datetime, timedelta

    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=1)
    except ValueError as exc:
        msg = f"{text!r} is no day; write 2030-01-31"
        raise typer.BadParameter(msg) from exc


def _url(settings: Settings, name: str) -> str:
    return f"{settings.public_url.rstrip('/')}/v1/feeds/{name}/items"


def _standing(row: Feed) -> str:
    if not row.enabled:
        return "paused"
    return "sandbox" if row.sandbox else "open"


def _plain(row: Feed) -> dict[str, Any]:
    """Give a feed for programs, without what is sealed."""
    return row.model_dump(mode="json", exclude={"pull"})


def _plain_key(key: FeedKey) -> dict[str, Any]:
    return key.model_dump(mode="json", include={"id", "scheme", "created_at", "expires_at"}) | {
        "revoked_at": key.revoked_at and key.revoked_at.isoformat(),
        "used_at": key.used_at and key.used_at.isoformat(),
    }


def _keys_table(keys: Sequence[FeedKey]) -> None:
    def when(moment: datetime | None, otherwise: str) -> str:
        return otherwise if moment is None else f"{moment:%Y-%m-%d %H:%M}"

    _table(
        ("Key", "Kind", "Made (UTC)", "Until", "Last used", ""),
        [
            (
                key.id,
                key.scheme,
                when(key.created_at, ""),
                when(key.expires_at, "revoked by you"),
                when(key.used_at, "never"),
                "in force" if key.revoked_at is None else f"revoked {key.revoked_at:%Y-%m-%d %H:%M}",
            )
            for key in keys
        ],
        "No key: nobody can push. `likeness feed key add` makes one.",
    )


def _table(headings: Sequence[str], lines: Sequence[Sequence[str]], otherwise: str) -> None:
    from rich.console import Console
    from rich.table import Table

    if not lines:
        typer.echo(otherwise)
        return
    table = Table(*headings, box=None)
    for line in lines:
        table.add_row(*line)
    Console().print(table)
