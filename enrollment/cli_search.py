"""`likeness subject look-for`: names, handles and hashtags of somebody whom an operator enrolled."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from enrollment.cli_samples import AsJson, Typed, open_all

if TYPE_CHECKING:
    from enrollment.search_terms import TermView

Several = list[str] | None


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("look-for")(look_for)


def look_for(
    subject: Typed,
    *,
    name: Annotated[Several, typer.Option(help="A name that the person is called by.")] = None,
    handle: Annotated[Several, typer.Option(help="What the person is called on a platform.")] = None,
    hashtag: Annotated[Several, typer.Option(help="A hashtag that is put on posts about them.")] = None,
    remove: Annotated[Several, typer.Option(metavar="ID", help="Take one away, by its id.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what to search for on somebody's behalf, as they told you; without options, list it. Audited.

    Up to twenty for each person, sealed to them. A name is no finding: what is found is compared with face
    and voice as ever. Mind your shell's history, or let the person do it by their own page.
    """
    from enrollment import search_terms
    from enrollment.lookups import Lookups
    from enrollment.search_terms import TermKind
    from enrollment.subjects import resolve
    from monitor import audit
    from monitor.db import utc_now, writing

    _, ledger = open_all()
    subject_id = resolve(ledger.engine, subject)
    given = {TermKind.NAME: name, TermKind.HANDLE: handle, TermKind.HASHTAG: hashtag}
    lookups = Lookups(ledger.engine, ledger.keks)
    lookups.digest("search", "")  # unwraps the secret: not inside of the transaction below
    with writing(ledger.engine) as session:
        for term_id in remove or []:
            search_terms.remove(session, subject_id, term_id, ledger.actor)
        for kind, texts in given.items():
            for text in texts or []:
                term = (kind, text)
                search_terms.add(session, ledger.keks, lookups, subject_id, term, ledger.actor, utc_now())
        audit.record(session, ledger.actor, "search.list", subject_id)
        found = search_terms.listing(session, ledger.keks, subject_id)
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in found]))
        return
    for one in found:
        typer.echo(f"{one.term_id}  {one.kind}: {one.text}")
    if not found:
        typer.echo("Nothing is searched for on their behalf.")


def _plain(one: TermView) -> dict[str, str]:
    since = one.created_at.isoformat(timespec="seconds")
    return {"id": one.term_id, "kind": one.kind, "text": one.text, "since": since}
