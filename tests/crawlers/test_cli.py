"""The verbs, as people and programs use them; and that none of them can open anything."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import typer
from typer.testing import CliRunner

from crawlers import cli, units
from monitor.errors import FetchRefused, NotFound

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

root = typer.Typer()
root.add_typer(cli.app, name="source")
cli.register(root)


@pytest.fixture
def likeness(sqlite_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path))
    monkeypatch.setenv("LIKENESS_DATABASE_URL", str(sqlite_engine.url))
    for name in ("LIKENESS_KEK", "LIKENESS_KEK_FILE", "LIKENESS_CRAWL_CONTACT"):
        monkeypatch.delenv(name, raising=False)
    return CliRunner()


def test_a_source_lives_through_its_verbs(likeness: CliRunner) -> None:
    added = likeness.invoke(
        root, ["source", "add", "news", "https://site.example/feed", "--every", "30m", "--json"]
    )
    assert json.loads(added.stdout)["cadence_s"] == 1800
    assert "paused" in likeness.invoke(root, ["source", "pause", "news"]).stdout
    listed = json.loads(likeness.invoke(root, ["source", "list", "--json"]).stdout)
    assert [(one["name"], one["enabled"], one["last_run"]) for one in listed] == [("news", False, None)]
    likeness.invoke(root, ["source", "resume", "news"])
    assert "never looked at" in likeness.invoke(root, ["source", "list"], env={"COLUMNS": "200"}).stdout
    shown = json.loads(likeness.invoke(root, ["source", "show", "news", "--json"]).stdout)
    assert (shown["enabled"], shown["runs"], shown["failed"]) == (True, [], [])
    assert "Never looked at" in likeness.invoke(root, ["source", "show", "news"]).stdout
    assert likeness.invoke(root, ["source", "remove", "news"], input="n\n").exit_code == 1
    assert likeness.invoke(root, ["source", "remove", "news", "--yes"]).exit_code == 0
    assert "No sources" in likeness.invoke(root, ["source", "list"]).stdout


def test_a_site_on_this_machine_is_added_knowingly_and_shown_with_a_warning(likeness: CliRunner) -> None:
    plain = ["source", "add", "demo", "http://127.0.0.1:8000/"]
    assert isinstance(likeness.invoke(root, plain).exception, FetchRefused)
    assert isinstance(likeness.invoke(root, [*plain, "--allow-http"]).exception, FetchRefused)
    done = likeness.invoke(root, [*plain, "--allow-http", "--allow-private"])
    assert done.exit_code == 0
    assert "warning: demo" in done.stderr
    assert "warning: demo" in likeness.invoke(root, ["source", "list"]).stderr


def test_an_unknown_source_and_an_odd_time_are_told_apart(likeness: CliRunner) -> None:
    assert isinstance(likeness.invoke(root, ["source", "show", "nobody"]).exception, NotFound)
    assert (
        likeness.invoke(root, ["source", "add", "a", "https://a.example/", "--every", "soon"]).exit_code == 2
    )


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("6h", 21600), ("1d", 86400)]
)
def test_times_are_read(text: str, seconds: int) -> None:
    assert units.seconds_of(text) == seconds


def test_the_eyes_know_neither_the_gallery_nor_the_models_nor_anybody() -> None:
    code = (
        "import sys, crawlers.run, crawlers.schedule, crawlers.spiders.site, crawlers.pipelines\n"
        "import crawlers.handler, crawlers.middlewares\n"
        "inner = ('monitor.gallery', 'monitor.ml', 'monitor.pipeline', 'monitor.stages')\n"
        "others = ('enrollment', 'alerts', 'faiss', 'torch', 'onnxruntime', 'cv2', 'av')\n"
        "print([name for name in sys.modules if name.startswith(inner + others)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
