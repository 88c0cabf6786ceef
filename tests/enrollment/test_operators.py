"""Named operators: a token each, shown once, kept as a digest; revoked at once, and on record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlmodel import select
from typer.testing import CliRunner

from enrollment import operators
from monitor import audit
from monitor.cli import app
from monitor.db import reading, utc_now, writing
from monitor.errors import NotFound, OperatorRefused
from monitor.tables import AuditEvent

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

ROOT = "operator:root"


def made(engine: Engine, name: str) -> str:
    with writing(engine) as session:
        return operators.add(session, name, ROOT, utc_now())


def test_the_token_opens_under_its_own_name_only(engine: Engine) -> None:
    ada, ben = made(engine, "ada"), made(engine, "ben")
    assert len(ada) >= 43
    assert ada != ben
    with reading(engine) as session:
        assert operators.authenticated(session, "ada", ada) == "ada"
        wrong = [("ada", ben), ("ben", ada), ("ada", ""), ("", ada), ("ADA", ada), ("eve", ada)]
        said = set()
        for name, token in [*wrong, ("ada", f"{ada}x"), ("ada", ada[:-1])]:
            with pytest.raises(OperatorRefused) as refused:
                operators.authenticated(session, name, token)
            said.add(str(refused.value))
    assert len(said) == 1


def test_no_row_and_no_record_holds_the_token(engine: Engine) -> None:
    token = made(engine, "ada")
    with reading(engine) as session:
        rows = session.connection().execute(text("SELECT * FROM operator_account")).all()
        events = session.exec(select(AuditEvent)).all()
    assert token not in str(rows)
    assert token not in str(events)
    assert [event.action for event in events] == ["operator.add"]


def test_a_revoked_operator_is_out_and_the_name_stays_taken(engine: Engine) -> None:
    token = made(engine, "ada")
    with writing(engine) as session:
        assert operators.is_anybody(session)
        operators.revoke(session, "ada", ROOT, utc_now())
        operators.revoke(session, "ada", ROOT, utc_now())
    with reading(engine) as session:
        assert not operators.is_anybody(session)
        assert operators.live_names(session) == set()
        with pytest.raises(OperatorRefused):
            operators.authenticated(session, "ada", token)
        actions = [event.action for event in session.exec(select(AuditEvent))]
        audit.verify(session)
    assert actions == ["operator.add", "operator.revoke"]
    with pytest.raises(OperatorRefused, match="there is, or was"):
        made(engine, "ada")


@pytest.mark.parametrize("name", ["", "Ada", "a b", "a:b", "-a", "a-", "ä", "a" * 41, "a\n"])
def test_a_name_that_needs_quoting_is_refused(engine: Engine, name: str) -> None:
    with pytest.raises(OperatorRefused, match="cannot be the name"):
        made(engine, name)


def test_nobody_is_not_revoked(engine: Engine) -> None:
    with pytest.raises(NotFound), writing(engine) as session:
        operators.revoke(session, "nobody", ROOT, utc_now())


def test_the_verbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))
    runner = CliRunner()
    assert "There are no operators" in runner.invoke(app, ["operator", "list"]).stdout
    added = runner.invoke(app, ["operator", "add", "ada"])
    assert added.exit_code == 0
    token = added.stdout.strip()
    assert len(token) >= 43
    assert "not kept" in added.stderr
    assert runner.invoke(app, ["operator", "revoke", "ada"]).exit_code == 0
    [row] = json.loads(runner.invoke(app, ["operator", "list", "--json"]).stdout)["operators"]
    assert row["name"] == "ada"
    assert row["revoked"] is not None
    assert "revoked" in runner.invoke(app, ["operator", "list"]).stdout
    assert token not in runner.invoke(app, ["operator", "list", "--json"]).stdout
