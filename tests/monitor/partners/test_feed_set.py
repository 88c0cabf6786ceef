"""What an operator changes about a feed: only what is named, on record, and never into nonsense."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlmodel import select
from typer.testing import CliRunner

from monitor import cli
from monitor.db import reading
from monitor.errors import FeedInvalid, NotFound
from monitor.partners import feeds
from monitor.partners.feeds import Change, NewFeed
from monitor.partners.tables import Partner
from monitor.tables import AuditEvent

if TYPE_CHECKING:
    from sqlalchemy import Engine

ACTOR = "operator:test"


def added(engine: Engine, way: str = "push") -> dict[str, Any]:
    new = NewFeed("agency", "An Agency", "desk@example.org", way=way, hosts=("img.example.org",))
    return feeds.add(engine, new, ACTOR).model_dump()


def test_what_is_named_is_changed_and_the_rest_stays(engine: Engine) -> None:
    before = added(engine)
    wish = Change(contact="new@example.org", scopes=("items",), per_second=5, hosts=())
    after = feeds.change(engine, "agency", wish, ACTOR).model_dump()
    assert after == before | {"scopes": "items", "per_second": 5, "hosts": ""}
    with reading(engine) as session:
        assert session.exec(select(Partner.contact)).one() == "new@example.org"
        event = session.exec(select(AuditEvent).where(AuditEvent.action == "feed.set")).one()
    said = json.loads(event.detail)
    assert (said["changed"], said["per_second"]) == ("contact,hosts,per_second,scopes", 5)
    assert "example.org" not in event.detail


@pytest.mark.parametrize(
    "wish",
    [
        Change(), Change(every_s=3600), Change(scopes=("all",)), Change(scopes=()), Change(burst=0),
        Change(hosts=("127.0.0.1",)), Change(contact=" "), Change(per_day=0, burst=7),
    ],
)  # fmt: skip
def test_what_makes_no_sense_changes_nothing(sqlite_engine: Engine, wish: Change) -> None:
    before = added(sqlite_engine)
    with pytest.raises(FeedInvalid):
        feeds.change(sqlite_engine, "agency", wish, ACTOR)
    with reading(sqlite_engine) as session:
        assert feeds.find(session, "agency").model_dump() == before


def test_a_feed_that_we_fetch_has_a_cadence(sqlite_engine: Engine) -> None:
    added(sqlite_engine, "s3")
    assert feeds.change(sqlite_engine, "agency", Change(every_s=3600), ACTOR).pull_every_s == 3600
    with pytest.raises(FeedInvalid):
        feeds.change(sqlite_engine, "agency", Change(every_s=59), ACTOR)
    with pytest.raises(NotFound):
        feeds.change(sqlite_engine, "nobody", Change(every_s=3600), ACTOR)


def test_by_command() -> None:
    def likeness(*arguments: str) -> str:
        done = CliRunner().invoke(cli.app, ["feed", *arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    likeness("add", "agency", "--partner", "An Agency", "--contact", "a@example.org")
    assert "burst, hosts" in likeness(
        "set", "agency", "--burst", "7", "--hosts", "*.example.net, a.example.org"
    )
    shown = json.loads(likeness("set", "agency", "--per-day", "9", "--json"))
    assert (shown["burst"], shown["per_day"], shown["hosts"]) == (7, 9, "*.example.net,a.example.org")
    assert json.loads(likeness("set", "agency", "--hosts", "", "--json"))["hosts"] == ""
