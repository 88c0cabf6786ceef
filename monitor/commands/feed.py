"""`likeness feed`: partners who push media in, their keys, quotas and counts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.commands import feed_keys, feed_pull, feed_set_up
from monitor.commands.feed_keys import keys_table, plain_key
from monitor.commands.feed_shown import JsonFlag, NameArgument, open_feeds, plain, print_table, url_of

if TYPE_CHECKING:
    from monitor.partners.pull_times import Said
    from monitor.partners.tables import Feed

app = typer.Typer(no_args_is_help=True)
app.command("add")(feed_set_up.add)
app.command("set")(feed_set_up.set_)
app.add_typer(feed_keys.key_app, name="key")
app.command("pull")(feed_pull.pull)

DAYS = 7
"""Days of counts that `show` gives."""


@app.command("list")
def list_(as_json: JsonFlag = False) -> None:
    """Show all feeds: what they may do, and what came today."""
    from monitor.db import reading, utc_now
    from monitor.partners import counting, feeds

    _, engine = open_feeds()
    with reading(engine) as session:
        found = [
            (row, partner, counting.days(session, row.id, utc_now(), 1)[0][1])
            for row, partner in feeds.every(session)
        ]
    if as_json:
        lines = [plain(row) | {"partner": partner.name, "today": today} for row, partner, today in found]
        typer.echo(json.dumps(lines))
        return
    print_table(
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
    from monitor.partners import counting, feeds, pull_times
    from monitor.partners.tables import Partner

    settings, engine = open_feeds()
    with reading(engine) as session:
        row = feeds.find(session, name)
        partner = session.get_one(Partner, row.partner_id)
        keys = feeds.keys_of(session, row.id)
        days = counting.days(session, row.id, utc_now(), DAYS)
    if as_json:
        said = plain(row) | {
            "url": url_of(settings, name),
            "partner": partner.name,
            "contact": partner.contact,
        }
        typer.echo(json.dumps(said | {"keys": [plain_key(key) for key in keys], "days": dict(days)}))
        return
    typer.echo(f"{name}: {_standing(row)}, {url_of(settings, name)}")
    typer.echo(f"{partner.name} <{partner.contact}>, contract: {partner.contract or 'not written down'}")
    typer.echo(f"May: {row.scopes}. Addresses of: {row.hosts or 'no host'}.")
    if row.way != "push":
        when = "never" if row.pulled_at is None else f"{row.pulled_at:%Y-%m-%d %H:%M} (UTC)"
        typer.echo(f"Fetched by us ({row.way}) every {row.pull_every_s} s, last: {when}.")
        _say_pulled(pull_times.said_of(row), row.pull_failures)
    typer.echo(f"{row.per_second:g} items a second, {row.burst} at once, {row.per_day} a day.")
    keys_table(keys)
    print_table(
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

    feeds.set_sandbox(open_feeds()[1], name, audit.operator(), sandbox=not off)
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
    feeds.remove(open_feeds()[1], name, audit.operator())
    typer.echo(f"{name} is removed.")


def _say_pulled(said: Said | None, failures: int) -> None:
    if said is None:
        return
    typer.echo(
        f"It gave {said.seen} files: {said.known} known, {said.taken} taken, {said.failed} unreadable."
    )
    if said.code:
        typer.secho(f"{failures} in a row failed: {said.code}. {said.hint}", fg="yellow", err=True)


def _set_enabled(name: str, *, enabled: bool) -> None:
    from monitor import audit
    from monitor.partners import feeds

    feeds.set_enabled(open_feeds()[1], name, audit.operator(), enabled=enabled)


def _standing(row: Feed) -> str:
    if not row.enabled:
        return "paused"
    return "sandbox" if row.sandbox else "open"
