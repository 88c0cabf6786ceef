"""`likeness demo` ends with 0 only when everything was as it should be, and writes its figures."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import typer
from typer.testing import CliRunner

from monitor.commands import demo
from monitor.demo import run
from monitor.demo.expectations import Band, Sighting
from tests.monitor.demo.test_expectations import GOOD
from tests.monitor.demo.test_report import ended

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.demo.expectations import Observed


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    made.callback()(lambda: None)
    demo.register(made)
    return made


def call(
    app: typer.Typer, monkeypatch: pytest.MonkeyPatch, observed: Observed, *more: str
) -> tuple[int, str]:
    def run_demo(request: run.Request, screen: run.Screen) -> run.Result:
        screen.step(f"in {request.home}")
        return ended(observed)

    monkeypatch.setattr(run, "run_demo", run_demo)
    result = CliRunner().invoke(app, ["demo", *more], env={"COLUMNS": "200"})
    return result.exit_code, result.output


def test_a_good_demo_ends_with_0_and_writes_its_figures(
    app: typer.Typer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    figures = tmp_path / "out" / "demo.json"
    code, said = call(app, monkeypatch, GOOD, "--home", str(tmp_path / "home"), "--json", str(figures))
    assert code == 0
    assert "The demo passed" in said
    assert str(tmp_path / "home") in said
    written = json.loads(figures.read_text())
    assert set(written["figures"]["demo.found"]) == {"value", "low", "high", "n", "unit"}
    assert written["model_ids"] == ["m@1/p"]


def test_a_stranger_told_ends_with_1(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = Sighting("/stranger.jpg", "anna", Band.ALERT, "i1")
    code, said = call(app, monkeypatch, replace(GOOD, sightings=(*GOOD.sightings, stranger)))
    assert (code, "The demo failed" in said) == (1, True)


def test_somebody_missed_ends_with_1(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _ = call(app, monkeypatch, replace(GOOD, sightings=GOOD.sightings[1:]))
    assert code == 1


def test_help_says_what_it_does_and_what_it_does_not_touch(app: typer.Typer) -> None:
    said = CliRunner().invoke(app, ["demo", "--help"], env={"COLUMNS": "200"}).output
    for part in ("--home", "--from", "--json", "--stay", "Nothing leaves it"):
        assert part in said
