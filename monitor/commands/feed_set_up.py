"""`likeness feed add` and `likeness feed set`: what a feed may do, how much, and from where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from monitor.commands import feed_pull
from monitor.commands.feed_shown import JsonFlag, NameArgument, list_of, open_feeds, plain, url_of


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
        scopes=list_of(scopes),
        hosts=list_of(hosts),
        per_second=per_second,
        burst=burst,
        per_day=per_day,
    )
    settings, engine = open_feeds()
    entered = None
    if way != "push":
        told = places.Place(way, place, user, "", prefix, bucket, region, host_key, allow_private)
        entered = feed_pull.place_of(settings, told, secret_file)
    row = feeds.add(engine, new, audit.operator())
    if entered is not None:
        feed_pull.write(settings, engine, name, entered, every)
    if as_json:
        typer.echo(json.dumps(plain(row) | {"url": url_of(settings, name)}))
        return
    if entered is not None:
        typer.echo(f"{name} is set up. `likeness feed pull {name}` fetches what is there.")
        return
    typer.echo(f"{name} is set up{' as a sandbox' if sandbox else ''}: {url_of(settings, name)}")
    typer.echo(f"Nobody can push yet. `likeness feed key add {name}` makes the first key.")
    if "urls" in new.scopes and not new.hosts:
        typer.secho("Addresses are refused: no --hosts are named.", fg="yellow", err=True)


def set_(  # noqa: PLR0917 - one option each
    name: NameArgument,
    contact: Annotated[str | None, typer.Option(help="Whom you write to, for all its feeds.")] = None,
    contract: Annotated[str | None, typer.Option(help="Where it is written down that they may push.")] = None,
    scopes: Annotated[str | None, typer.Option(help="All of: items, urls, uploads, takedowns.")] = None,
    hosts: Annotated[
        str | None, typer.Option(help="All hosts of addresses, comma-separated; '' refuses addresses.")
    ] = None,
    per_second: Annotated[float | None, typer.Option(help="Items a second, on average.")] = None,
    burst: Annotated[int | None, typer.Option(help="Items at once, after a quiet while.")] = None,
    per_day: Annotated[int | None, typer.Option(help="Items a day (UTC), for certain.")] = None,
    every: Annotated[
        int | None, typer.Option(help="Of s3 and sftp: seconds from one fetch to the next.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Change what is named of a feed; everything else stays. It counts within a second, and is on record.

    A list is given whole: `--hosts img.example.org,*.example.net` are all hosts from then on. Keys, the
    sandbox and a pause have verbs of their own: `likeness feed key`, `sandbox`, `pause`.

    A partner is too fast for you:   likeness feed set agency --per-second 5 --burst 50

    A new image host was agreed:     likeness feed set agency --hosts img.example.org,new.example.org

    Fetch a bucket every hour:       likeness feed set archive --every 3600
    """
    from monitor import audit
    from monitor.partners import feeds

    wish = feeds.Change(
        contact,
        contract,
        None if scopes is None else list_of(scopes),
        None if hosts is None else list_of(hosts),
        per_second,
        burst,
        per_day,
        every,
    )
    row = feeds.change(open_feeds()[1], name, wish, audit.operator())
    if as_json:
        typer.echo(json.dumps(plain(row)))
        return
    typer.echo(
        f"{name} is changed: {', '.join(sorted(wish.named()))}. `likeness feed show {name}` shows all."
    )
