"""`likeness feed key`: the keys that a partner signs with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.commands.feed_shown import JsonFlag, NameArgument, open_feeds, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from monitor.partners.tables import FeedKey

key_app = typer.Typer(no_args_is_help=True, help="Hand out and take back the keys that a partner signs with.")


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

    settings, engine = open_feeds()
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

    feeds.revoke_key(open_feeds()[1], name, key_id, audit.operator())
    typer.echo(f"The key {key_id} of {name} is revoked.")


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


def plain_key(key: FeedKey) -> dict[str, Any]:
    """Give a key for programs; never its secret."""
    return key.model_dump(mode="json", include={"id", "scheme", "created_at", "expires_at"}) | {
        "revoked_at": key.revoked_at and key.revoked_at.isoformat(),
        "used_at": key.used_at and key.used_at.isoformat(),
    }


def keys_table(keys: Sequence[FeedKey]) -> None:
    """Print the keys of a feed; never a secret."""

    def when(moment: datetime | None, otherwise: str) -> str:
        return otherwise if moment is None else f"{moment:%Y-%m-%d %H:%M}"

    print_table(
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
