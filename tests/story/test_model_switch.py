"""From the registry pack to edgeface, typed as an operator does it, with real people and both real packs."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import typer
from sqlmodel import select
from typer.testing import CliRunner

from enrollment import cli as subject
from monitor import log as logs
from monitor import switching
from monitor.assembly import build_tools
from monitor.commands import models, scan
from monitor.crypto import new_key_line
from monitor.db import reading
from monitor.errors import ConfigError, WeightsMissing
from monitor.intake import Door, submit
from monitor.jobs import run_worker
from monitor.learning import _tools_for
from monitor.ledger import open_ledger
from monitor.ml.packs import load_faces
from monitor.scanning import origin_of
from monitor.settings import Settings, load_settings
from monitor.tables import Finding, MediaItem
from monitor.values import SubjectId
from tests.assets import people

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from monitor.ml.interfaces import Pack

run = CliRunner()
verbs = typer.Typer()
scan.register(verbs)
verbs.add_typer(models.app, name="models")
verbs.add_typer(subject.app, name="subject")

KEPT, NOT_KEPT = "Gloria_Macapagal_Arroyo", "Angelina_Jolie"
ATTESTED = ("--attest", "seen", "--born", "1990-05-23")


pytestmark = pytest.mark.usefixtures("log_as_before")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Pack) -> Path:
    """Give a home of its own, where both packs can be had."""
    assert pack.name == "registry"
    try:
        load_faces(Settings(pack="edgeface"))
    except WeightsMissing as exc:
        pytest.skip(f"the edgeface pack is missing: {exc}")
    (tmp_path / "kek").write_text(new_key_line("k1"))
    monkeypatch.setenv("LIKENESS_KEK_FILE", str(tmp_path / "kek"))
    return tmp_path


@pytest.fixture
def ledger(home: Path) -> Iterator[Engine]:
    """Give the database of that home."""
    assert home.is_dir()
    engine = open_ledger(load_settings())
    yield engine
    engine.dispose()


def told(*arguments: str) -> Any:
    """Run a verb and read its JSON."""
    done = run.invoke(verbs, [*arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def enrol(data: Path, name: str, *more: str) -> str:
    faces = [str(data / people.FACES / name / f"{name}_{n:04d}.jpg") for n in (1, 2)]
    return str(told("subject", "add", name, "--face", *faces, *ATTESTED, *more)["subject_id"])


def until(true: Callable[[], bool], seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to it in time"
        time.sleep(0.2)


def picture(data: Path, name: str, number: int) -> Path:
    return data / people.FACES / name / f"{name}_{number:04d}.jpg"


def seen_by(ledger: Engine, data: Path, name: str, number: int) -> tuple[str, str]:
    """Put a picture in at the door, wait until the worker looked, and give who was found, by what."""
    path = picture(data, name, number)
    media_id = submit(path.read_bytes(), origin_of(path), Door.of(load_settings(), ledger)).media_id

    def is_done() -> bool:
        with reading(ledger) as session:
            return session.get_one(MediaItem, media_id).state == "done"

    until(is_done)
    with reading(ledger) as session:
        found = session.exec(select(Finding).where(Finding.media_id == media_id)).one()
    return found.subject_id, found.model_id.partition("@")[0]


def test_a_worker_goes_over_and_loses_sight_of_nobody(ledger: Engine, data: Path, home: Path) -> None:
    gloria, angelina = enrol(data, KEPT, "--keep-references"), enrol(data, NOT_KEPT)
    started = told("models", "switch", "edgeface")
    assert (started["state"], started["samples_waiting"]) == ("running", 2)
    assert started["must_give_new_samples"] == 1
    stop = threading.Event()
    logs.configure(json=False)  # as the verb does: what the worker says must not stand in the answers below
    worker = threading.Thread(target=run_worker, args=(load_settings(),), kwargs={"stop": stop})
    worker.start()
    try:
        until(lambda: told("models", "switch", "--status")["state"] == "done")
        until(
            lambda: sum(thread.name.startswith("gallery-follower") for thread in threading.enumerate()) == 2
        )
        assert seen_by(ledger, data, KEPT, 3) == (gloria, "edgeface_xs")
        assert seen_by(ledger, data, NOT_KEPT, 3) == (angelina, "fr_feature")
    finally:
        stop.set()
        worker.join()
    assert worker.is_alive() is False
    (scanned,) = told("scan", str(picture(data, KEPT, 4)))["files"]
    assert [one["subject_id"] for one in scanned["findings"]] == [gloria]
    (scanned,) = told("scan", str(picture(data, NOT_KEPT, 4)))["files"]
    assert [one["subject_id"] for one in scanned["findings"]] == [angelina]
    with build_tools(load_settings(), ledger) as tools, reading(ledger) as session:
        packs = [_tools_for(session, tools, SubjectId(one)).pack.name for one in (gloria, angelina)]
        assert packs == ["edgeface", "registry"], "each learns whom not to take for them by their own model"
    asked = {one["id"]: one["asked_for_pack"] for one in told("subject", "list")["subjects"]}
    assert asked == {gloria: "", angelina: "edgeface"}
    more = ("--face", str(picture(data, NOT_KEPT, 5)), "--attest", "seen again")
    assert told("subject", "add-samples", angelina, *more)["added"] == 1
    assert told("models", "switch", "--status")["must_give_new_samples"] == 0
    assert told("subject", "show", angelina)["asked_for_pack"] == ""
    assert switching.line_up(ledger, Settings(pack="edgeface")).elders == ()
    assert home.is_dir()


def test_it_is_done_by_hand_and_what_disagrees_is_refused(
    ledger: Engine, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gloria = enrol(data, KEPT, "--keep-references")
    done = run.invoke(verbs, ["models", "switch", "edgeface", "--wait"], catch_exceptions=False)
    assert "Went over from registry to edgeface" in done.output
    assert "Known by edgeface: 1 of 1 person." in done.output
    (scanned,) = told("scan", str(picture(data, KEPT, 3)))["files"]
    assert [(one["subject_id"], one["band"]) for one in scanned["findings"]] == [(gloria, "alert")]
    with reading(ledger) as session:
        assert session.exec(select(Finding)).one().model_id.startswith("edgeface_xs")
    monkeypatch.setenv("LIKENESS_PACK", "registry")
    with pytest.raises(ConfigError, match="LIKENESS_PACK is registry"):
        told("scan", str(picture(data, KEPT, 3)))
    with pytest.raises(ConfigError, match="edgeface is the pack in force"):
        told("models", "switch", "edgeface")
    back = told("models", "switch", "registry", "--wait")
    assert (back["to"], back["state"], back["moved"]) == ("registry", "done", 1)
    told("scan", str(picture(data, KEPT, 4)))


def test_weights_that_are_missing_are_named_with_the_command_that_brings_them(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKENESS_MODELS_DIR", str(home / "none"))
    with pytest.raises(WeightsMissing) as refused:
        told("models", "switch", "edgeface")
    assert "likeness models pull --pack edgeface" in refused.value.hint


def test_what_is_typed_must_be_one_thing(home: Path) -> None:
    assert home.is_dir()
    with pytest.raises(ConfigError, match="say one of"):
        told("models", "switch")
    assert told("models", "switch", "--status") == {"pack": "registry"}
