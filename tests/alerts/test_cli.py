"""`likeness alerts`: an operator sees what was told, decides what was held, and leaves a record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import typer
from sqlmodel import select
from typer.testing import CliRunner

from alerts.cli import app
from alerts.tables import Alert
from monitor.commands import tell
from monitor.db import reading, writing
from monitor.errors import ConfigError, NotFound
from monitor.tables import AuditEvent
from monitor.values import Band
from tests.alerts.mailhost import mail_server
from tests.alerts.visitor import Visitor, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def visitor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visitor]:
    chosen = settings(tmp_path / "home")
    assert chosen.kek is not None
    assert chosen.link_secret is not None
    monkeypatch.setenv("LIKENESS_HOME", str(chosen.home))
    monkeypatch.setenv("LIKENESS_KEK", chosen.kek.get_secret_value())
    monkeypatch.setenv("LIKENESS_LINK_SECRET", chosen.link_secret.get_secret_value())
    visitor = Visitor.at(chosen.home, kek=chosen.kek)
    yield visitor
    visitor.browser.close()
    visitor.engine.dispose()


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def _json(*arguments: str) -> Any:
    return json.loads(_run(*arguments, "--json"))


def test_the_list_shows_each_message_and_how_far_it_came(visitor: Visitor) -> None:
    assert _run("list") == "No messages yet.\n"
    visitor.message()

    [row] = _json("list")

    assert (row["channel"], row["state"], row["attempts"]) == ("email", "sent", 1)
    assert "sent" in _run("list")
    assert _json("list", "--failed") == []
    assert "ana@example.org" not in json.dumps(row)


def test_what_is_held_is_listed_with_what_an_operator_needs_and_the_look_is_on_record(
    visitor: Visitor,
) -> None:
    assert _run("review") == "Nothing waits.\n"
    visitor.found(band=Band.REVIEW)
    visitor.told()

    [row] = _json("review")

    assert row["what"] == "a picture"
    assert row["where"] == ["https://pictures.example/a/", "https://pictures.example/a/1.jpg"]
    assert (row["face"], row["voice"]) == (0.71, None)
    assert row["against"] == ["The picture is small."]
    said = _run("review")
    assert f"{row['incident_id']}\n" in said
    assert "  where: https://pictures.example/a/1.jpg\n" in said
    assert _actions(visitor) == ["alert.look", "alert.look"]


def test_findings_that_nobody_sorted_yet_are_not_passed_off_as_nothing(visitor: Visitor) -> None:
    visitor.found(band=Band.REVIEW)
    for verb in ("review", "list"):
        assert "not yet sorted into messages and reviews: 1." in _run(verb)
    assert _json("review") == []

    visitor.told()
    assert _run("list") == "No messages yet.\n"


@pytest.mark.parametrize(("flag", "state"), [("--approve", "open"), ("--dismiss", "dismissed")])
def test_a_decision_is_made_once_and_is_on_record(visitor: Visitor, flag: str, state: str) -> None:
    visitor.found(band=Band.REVIEW)
    visitor.told()
    [row] = _json("review")

    assert _json("review", row["incident_id"], flag) == {"incident_id": row["incident_id"], "state": state}
    assert _json("review") == []
    assert len(visitor.told()) == (1 if state == "open" else 0)
    assert _actions(visitor)[-1] == ("alert.approve" if state == "open" else "alert.dismiss")
    with pytest.raises(NotFound):
        _run("review", row["incident_id"], flag)


def _actions(visitor: Visitor) -> list[str]:
    with reading(visitor.engine) as session:
        events = session.exec(select(AuditEvent).order_by(AuditEvent.seq)).all()
    assert all(event.actor.startswith("operator:") for event in events)
    return [event.action for event in events]


@pytest.mark.parametrize("arguments", [["x"], ["--approve"], ["x", "--approve", "--dismiss"]])
def test_half_a_decision_is_none(visitor: Visitor, arguments: list[str]) -> None:  # noqa: ARG001
    assert CliRunner().invoke(app, ["review", *arguments]).exit_code == 2


def test_an_uncertain_message_goes_again_when_an_operator_says_so(visitor: Visitor) -> None:
    visitor.message()
    with writing(visitor.engine) as session:
        alert = session.exec(select(Alert)).one()
        alert.state = "uncertain"

    assert [row["state"] for row in _json("list", "--failed")] == ["uncertain"]
    _run("again", alert.id)

    assert len(visitor.told()) == 1
    assert _actions(visitor) == ["alert.again"]


def test_send_runs_the_outbox_once(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    verbs = typer.Typer()
    verbs.command("send")(tell.send)
    verbs.callback()(lambda: None)
    with pytest.raises(ConfigError, match="no channel"):
        CliRunner().invoke(verbs, ["send"], catch_exceptions=False)
    with mail_server() as (port, kept):
        monkeypatch.setenv("LIKENESS_SMTP_HOST", "127.0.0.1")
        monkeypatch.setenv("LIKENESS_SMTP_PORT", str(port))
        monkeypatch.setenv("LIKENESS_SMTP_TLS", "none")
        monkeypatch.setenv("LIKENESS_MAIL_FROM", "notices@example.net")
        nothing = CliRunner().invoke(verbs, ["send"], catch_exceptions=False)
        counts = json.loads(CliRunner().invoke(verbs, ["send", "--json"], catch_exceptions=False).stdout)

    assert visitor.ana
    assert nothing.stdout == "Nothing was due.\n"
    assert set(counts.values()) == {0}
    assert kept.mails == []
