"""`likeness audit`: shows who did what and names what was changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from sqlmodel import col, delete
from typer.testing import CliRunner

from monitor import audit
from monitor.commands.audit import app
from monitor.db import open_engine, writing
from monitor.errors import ConfigError, Tampered
from monitor.settings import load_settings
from monitor.tables import AuditEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

run = CliRunner()


def likeness_audit(*arguments: str) -> str:
    done = run.invoke(app, list(arguments), catch_exceptions=False, env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def ledger() -> Iterator[Engine]:
    likeness_audit("verify")
    engine = open_engine(load_settings().database)
    with writing(engine) as session:
        for index in range(4):
            audit.record(session, "operator:[eva]", "subject.show", f"s{index % 2}", index=index)
    yield engine
    engine.dispose()


def test_an_empty_record_is_whole() -> None:
    assert "0 events" in likeness_audit("verify")


def test_a_whole_record_verifies_against_its_own_head(ledger: Engine) -> None:
    said = json.loads(likeness_audit("verify", "--json"))
    assert said["events"] == 4
    assert "4 events" in likeness_audit("verify", "--head", said["head"])
    with writing(ledger) as session:
        session.exec(delete(AuditEvent).where(col(AuditEvent.seq) == 4))
    with pytest.raises(Tampered, match="does not hold the head"):
        likeness_audit("verify", "--head", said["head"])


def test_a_head_that_is_none_is_refused(ledger: Engine) -> None:
    assert ledger.dialect.name == "sqlite"
    with pytest.raises(ConfigError, match="SEQ:LINK"):
        likeness_audit("verify", "--head", "abc")


def test_a_removed_event_is_named(ledger: Engine) -> None:
    with writing(ledger) as session:
        session.exec(delete(AuditEvent).where(col(AuditEvent.seq) == 2))
    with pytest.raises(Tampered, match="event 2"):
        likeness_audit("verify")


def test_show_gives_the_last_events_oldest_first(ledger: Engine) -> None:
    assert ledger.dialect.name == "sqlite"
    lines = [json.loads(line) for line in likeness_audit("show", "--last", "2", "--json").splitlines()]
    assert [line["seq"] for line in lines] == [3, 4]
    assert lines[0]["detail"] == {"index": 2}
    mine = likeness_audit("show", "--subject", "s1", "--json").splitlines()
    assert [json.loads(line)["seq"] for line in mine] == [2, 4]


def test_the_table_shows_an_actor_as_it_stands(ledger: Engine) -> None:
    assert ledger.dialect.name == "sqlite"
    assert "[eva]" in "".join(likeness_audit("show").split())
