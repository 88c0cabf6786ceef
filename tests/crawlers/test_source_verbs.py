"""Sources as data: what can be said of one, changed, and shown; on the record each time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import typer
from sqlmodel import select
from typer.testing import CliRunner

from crawlers import cli, runs, sources
from crawlers.platforms.interfaces import Basis
from crawlers.sources import NewSource
from crawlers.tables import Source
from crawlers.units import size, span
from monitor.db import reading, utc_now, writing
from monitor.errors import ConfigError, FetchRefused, LikenessError
from monitor.tables import AuditEvent
from monitor.values import SourceId

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

root = typer.Typer()
root.add_typer(cli.app, name="source")
URL = "https://site.example/"


@pytest.fixture
def likeness(sqlite_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path))
    monkeypatch.setenv("LIKENESS_DATABASE_URL", str(sqlite_engine.url))
    monkeypatch.delenv("LIKENESS_KEK", raising=False)
    return CliRunner()


def test_everything_can_be_said_of_a_source_and_is_shown(likeness: CliRunner) -> None:
    said = [
        "--every", "2h", "--delay", "3", "--basis", "terms", "--basis-note", "terms of 3 May, section 4",
        "--collect", "audio,image", "--keep-days", "14", "--json",
    ]  # fmt: skip
    row = json.loads(likeness.invoke(root, ["source", "add", "news", URL, *said]).stdout)
    assert (row["basis"], row["collects"], row["keep_days"], row["delay_s"]) == (
        "terms",
        "image,audio",
        14,
        3.0,
    )
    assert (row["kind"], row["options"], row["cadence_s"]) == ("site", {}, 7200)
    shown = likeness.invoke(root, ["source", "show", "news"], env={"COLUMNS": "200"}).stdout
    assert "section 4" in shown
    assert "14 days" in shown


def test_the_very_same_source_again_changes_nothing_and_another_is_refused(
    likeness: CliRunner, sqlite_engine: Engine
) -> None:
    add = ["source", "add", "news", URL, "--json"]
    first, second = (json.loads(likeness.invoke(root, add).stdout) for _ in range(2))
    assert first == second
    other = likeness.invoke(root, [*add, "--keep-days", "20"])
    assert isinstance(other.exception, ConfigError)
    assert "edit news" in (other.exception.hint or "")
    with reading(sqlite_engine) as session:
        assert [event.action for event in session.exec(select(AuditEvent))] == ["source.add"]


def test_an_edit_changes_what_it_names_and_says_what_changed(
    likeness: CliRunner, sqlite_engine: Engine
) -> None:
    likeness.invoke(root, ["source", "add", "news", URL, "--delay", "2"])
    asked = ["source", "edit", "news", "--every", "1h", "--keep-days", "30", "--json"]
    done = json.loads(likeness.invoke(root, asked).stdout)
    assert done["changed"] == ["cadence_s", "keep_days"]
    assert (done["cadence_s"], done["keep_days"], done["delay_s"]) == (3600, 30, 2.0)
    assert json.loads(likeness.invoke(root, asked).stdout)["changed"] == []
    assert "like that already" in likeness.invoke(root, ["source", "edit", "news", "--every", "1h"]).stdout
    refused = likeness.invoke(root, ["source", "edit", "news", "--url", "https://127.0.0.1/"])
    assert isinstance(refused.exception, FetchRefused)
    with reading(sqlite_engine) as session:
        row = session.exec(select(Source)).one()
        assert (row.url, row.due_at is not None and row.due_at <= utc_now()) == (URL, True)
        events = [(event.action, json.loads(event.detail)) for event in session.exec(select(AuditEvent))]
        assert events[1:] == [("source.edit", {"source": "news", "changed": "cadence_s,keep_days"})]


@pytest.mark.parametrize(
    "change",
    [
        {"basis": "because"}, {"basis": "terms"}, {"basis": "partner", "basis_note": " "},
        {"collects": "image,text"},
        {"collects": ""}, {"keep_days": 7}, {"keep_days": 4000}, {"kind": "nonsense"},
        {"options": {"a": "b"}},
        {"cadence_s": 91 * 86400}, {"basis": "terms", "basis_note": "x" * 501},
    ],
)  # fmt: skip
def test_what_will_not_do_is_refused_with_a_hint(sqlite_engine: Engine, change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        sources.add(sqlite_engine, NewSource(**{"name": "a", "url": URL, **change}), "me")


def test_a_site_is_read_on_the_basis_of_its_robots_txt_unless_somebody_says_otherwise(
    sqlite_engine: Engine,
) -> None:
    assert sources.add(sqlite_engine, NewSource("a", URL), "me").basis == Basis.ROBOTS
    noted = NewSource("b", URL, basis="partner", basis_note="contract 7")
    assert sources.add(sqlite_engine, noted, "me").basis == Basis.PARTNER


def test_an_option_is_a_pair(likeness: CliRunner) -> None:
    wrong = likeness.invoke(root, ["source", "add", "a", URL, "--option", "nothing"])
    assert wrong.exit_code == 2
    refused = likeness.invoke(root, ["source", "add", "a", URL, "--option", "a=b"])
    assert isinstance(refused.exception, LikenessError)


def test_the_list_says_what_cannot_be_looked_at_and_the_map_never_calls_it_seen(
    likeness: CliRunner, sqlite_engine: Engine
) -> None:
    for name, failed in (("fine", None), ("closed", ("robots", "no")), ("broken", ("fetch_timeout", "slow"))):
        row = sources.add(
            sqlite_engine, NewSource(name, f"https://www.{name}.example/", collects="image"), "me"
        )
        run_id = runs.begin(sqlite_engine, SourceId(row.id))
        state = runs.FAILED if failed else runs.FINISHED
        runs.end(sqlite_engine, run_id, runs.Tally(pages=0 if failed else 3), state, failed)
    sources.add(sqlite_engine, NewSource("new", "https://new.example/"), "me")
    listed = json.loads(likeness.invoke(root, ["source", "list", "--json"]).stdout)
    states = {one["name"]: one["health"]["state"] for one in listed}
    assert states == {"fine": "working", "closed": "refused", "broken": "failing", "new": "never looked at"}
    places = {
        one["name"]: one for one in json.loads(likeness.invoke(root, ["source", "coverage", "--json"]).stdout)
    }
    seeing = {name: one["seeing"] for name, one in places.items()}
    assert seeing == {
        "fine.example": "seen", "closed.example": "not_allowed",
        "broken.example": "not_now", "new.example": "not_yet",
    }  # fmt: skip
    assert "films and sounds are not taken" in places["fine.example"]["blind_to"]
    assert "closed to us" in likeness.invoke(root, ["source", "coverage"], env={"COLUMNS": "240"}).stdout


def test_a_look_that_was_long_ago_is_not_called_seen(likeness: CliRunner, sqlite_engine: Engine) -> None:
    row = sources.add(sqlite_engine, NewSource("old", "https://old.example/"), "me")
    run_id = runs.begin(sqlite_engine, SourceId(row.id))
    runs.end(sqlite_engine, run_id, runs.Tally(pages=3), runs.FINISHED)
    with writing(sqlite_engine) as session:
        session.exec(select(runs.CrawlRun)).one().started_at = utc_now().replace(year=2020)
        session.exec(select(Source)).one().due_at = utc_now()
    [place] = json.loads(likeness.invoke(root, ["source", "coverage", "--json"]).stdout)
    assert place["seeing"] == "not_now"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0s"), (90, "90s"), (120, "2m"), (3600, "1h"), (8400, "2.3h"), (86400, "1d"), (200000, "2.3d"),
    ],
)  # fmt: skip
def test_times_are_written(seconds: int, said: str) -> None:
    assert span(seconds) == said


def test_sizes_are_written() -> None:
    assert [size(count) for count in (5, 2048, 3 * 2**20, 2**41)] == ["5 B", "2.0 KiB", "3.0 MiB", "2.0 TiB"]
