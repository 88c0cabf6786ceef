"""`likeness scan`, `likeness worker --once` and `likeness item`, as a person or a program calls them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import typer
from sqlmodel import select
from typer.testing import CliRunner

from monitor.blobs import BlobStore
from monitor.commands import item, scan, work
from monitor.crypto import KeyEncryptionKeys, new_key_line
from monitor.db import reading, utc_now
from monitor.errors import NotFound
from monitor.intake import Door, submit
from monitor.ledger import open_ledger
from monitor.settings import Settings, load_settings
from monitor.tables import AuditEvent
from monitor.values import Origin, OriginKind
from tests.assets import media, people
from tests.story.conftest import running

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.ml.interfaces import Pack
    from monitor.stages.decode import Decoder

run = CliRunner()
verbs = typer.Typer()
scan.register(verbs)
work.register(verbs)
verbs.add_typer(item.app, name="item")


pytestmark = pytest.mark.usefixtures("log_as_before")


@pytest.fixture
def settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Pack, decoder: Decoder, data: Path
) -> Settings:
    """Give a home in which somebody is enrolled; the models are those that are loaded already."""
    (tmp_path / "kek").write_text(new_key_line("k1"))
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LIKENESS_KEK_FILE", str(tmp_path / "kek"))
    monkeypatch.setattr("monitor.ml.packs.load_pack", lambda _: pack)
    found = load_settings()
    engine = open_ledger(found)
    keks = KeyEncryptionKeys.from_settings(found)
    for watch in running(engine, keks, BlobStore(found.blobs), pack, decoder):
        watch.enrol("s1", people.jpeg(people.pictures(data, "Gloria_Macapagal_Arroyo")[0]))
    engine.dispose()
    return found


@pytest.fixture
def folder(tmp_path: Path, data: Path) -> Path:
    """Give a folder of media as people have them."""
    there = tmp_path / "media"
    (there / "more").mkdir(parents=True)
    hers = people.pictures(data, "Gloria_Macapagal_Arroyo")
    (there / "hers.jpg").write_bytes(people.jpeg(hers[1]))
    (there / "more" / "film.png").write_bytes(people.video([np.asarray(media.pattern())]))
    (there / "more" / "other.jpg").write_bytes(people.jpeg(people.pictures(data, "Angelina_Jolie")[0]))
    (there / "broken.jpg").write_bytes(media.jpeg()[:300])
    (there / "empty.mp4").write_bytes(b"")
    (there / "notes.txt").write_text("no media")
    (there / ".hidden.jpg").write_bytes(people.jpeg(hers[2]))
    return there


def told(*arguments: str, code: int = 0) -> Any:
    """Run a verb and read its JSON."""
    done = run.invoke(verbs, [*arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


@pytest.mark.usefixtures("settings")
def test_a_folder_is_scanned_and_each_file_accounted_for(folder: Path) -> None:
    said = told("scan", str(folder), code=scan.SOME_NOT_LOOKED_AT)
    by_name = {one["path"].rsplit("/", 1)[-1]: one for one in said["files"]}
    assert sorted(by_name) == ["broken.jpg", "empty.mp4", "film.png", "hers.jpg", "notes.txt", "other.jpg"]
    (finding,) = by_name["hers.jpg"]["findings"]
    assert (finding["subject_id"], finding["band"]) == ("s1", "alert")
    assert (by_name["broken.jpg"]["state"], by_name["broken.jpg"]["code"]) == ("failed", "unreadable")
    assert {by_name[n]["code"] for n in ("empty.mp4", "notes.txt")} == {"empty", "not_media"}
    assert by_name["film.png"]["state"] == by_name["other.jpg"]["state"] == "done"
    assert said["summary"] == {
        "files": 6,
        "looked_at": 3,
        "seen_before": 0,
        "passed_over": 2,
        "not_looked_at": 1,
        "with_findings": 1,
        "findings": 1,
    }
    again = told("scan", str(folder / "hers.jpg"), str(folder / "more"))
    assert again["summary"]["seen_before"] == 3
    assert len(again["files"][0]["findings"]) == 1
    with reading(open_ledger(load_settings())) as session:
        seen = session.exec(select(AuditEvent).where(AuditEvent.action == "finding.show")).all()
    assert [event.subject_id for event in seen] == ["s1", "s1"]


@pytest.mark.usefixtures("settings")
def test_people_get_a_table(folder: Path) -> None:
    done = run.invoke(verbs, ["scan", str(folder)], env={"COLUMNS": "160"})
    assert done.exit_code == scan.SOME_NOT_LOOKED_AT
    for word in ("hers.jpg", "alert", "broken.jpg", "unreadable", "files: 6, 3 looked at"):
        assert word in done.stdout


@pytest.mark.usefixtures("settings")
def test_eighty_columns_hold_a_line_for_each_finding(folder: Path) -> None:
    done = run.invoke(verbs, ["scan", str(folder)], env={"COLUMNS": "80"}, catch_exceptions=False)
    (line,) = [line for line in done.stdout.splitlines() if "hers.jpg" in line]
    assert "alert" in line
    assert str(folder) not in done.stdout


def test_an_empty_folder_is_named_as_such(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    done = run.invoke(verbs, ["scan", str(tmp_path / "nothing")])
    assert (done.exit_code, done.stdout) == (0, "There are no files in what was given.\n")
    assert settings.home.is_dir()


def test_a_worker_empties_the_queue_and_items_can_be_asked_for(settings: Settings, folder: Path) -> None:
    engine = open_ledger(settings)
    origin = Origin(OriginKind.CRAWL, utc_now(), url="https://example.org/x", page_url="https://example.org/")
    good = submit((folder / "hers.jpg").read_bytes(), origin, Door.of(settings, engine)).media_id
    bad = submit((folder / "broken.jpg").read_bytes(), origin, Door.of(settings, engine)).media_id
    engine.dispose()
    assert run.invoke(verbs, ["worker", "--once"], catch_exceptions=False).exit_code == 0
    shown = told("item", "show", good)
    with reading(open_ledger(settings)) as session:  # whoever is shown whom was found is on the record
        event = session.exec(select(AuditEvent).where(AuditEvent.action == "finding.show")).one()
    assert (event.subject_id, event.actor.partition(":")[0]) == ("s1", "operator")
    assert [s["stage"] for s in shown["steps"]] == ["decode", "detect", "embed", "match", "score", "evidence"]
    assert [f["subject_id"] for f in shown["findings"]] == ["s1"]
    assert shown["origins"][0]["page_url"] == "https://example.org/"
    assert [one["id"] for one in told("item", "list", "--failed")] == [bad]
    assert {one["id"] for one in told("item", "list")} == {good, bad}
    assert run.invoke(verbs, ["item", "retry", bad]).exit_code == 0
    assert told("item", "show", bad)["state"] == "received"
    assert bad in run.invoke(verbs, ["item", "show", bad]).stdout
    assert told("item", "show", bad[:12])["id"] == bad  # as the list shows it
    with pytest.raises(NotFound):
        run.invoke(verbs, ["item", "retry", good], catch_exceptions=False)
    with pytest.raises(NotFound):
        run.invoke(verbs, ["item", "show", "nobody"], catch_exceptions=False)


def test_failed_items_are_listed_with_what_to_do_and_tried_again_together(settings: Settings) -> None:
    assert run.invoke(verbs, ["item", "list", "--failed"]).stdout == "None.\n"
    engine = open_ledger(settings)
    hostile = Origin(OriginKind.CRAWL, utc_now(), url="https://example.org/[/bold][red]x")
    broken = [media.jpeg(400, 300, seed=seed)[:4000] for seed in range(3)]
    bad = [submit(one, hostile, Door.of(settings, engine)).media_id for one in broken]
    engine.dispose()
    assert run.invoke(verbs, ["worker", "--once"], catch_exceptions=False).exit_code == 0
    listed = run.invoke(verbs, ["item", "list", "--failed"], env={"COLUMNS": "200"}).stdout
    for word in (*(one[:12] for one in bad), "decode", "unreadable", "likeness item retry ID"):
        assert word in listed
    shown = run.invoke(verbs, ["item", "show", bad[0]], env={"COLUMNS": "200"}, catch_exceptions=False).stdout
    assert "https://example.org/[/bold][red]x" in shown
    assert f"likeness item retry {bad[0]}" in shown
    assert run.invoke(verbs, ["item", "retry", bad[0], bad[1]]).stdout.count("waits for a worker") == 2
    assert run.invoke(verbs, ["item", "retry", "--all", "--code", "too_large"]).stdout.startswith("0 items")
    assert run.invoke(verbs, ["item", "retry", "--all", "--code", "unreadable"]).stdout.startswith("1 items")
    assert told("item", "list", "--failed") == []
    for half in ([], [bad[0], "--all"], ["--code", "unreadable"]):
        assert run.invoke(verbs, ["item", "retry", *half]).exit_code == 2


def test_help_says_the_exit_codes() -> None:
    said = run.invoke(verbs, ["scan", "--help"], env={"COLUMNS": "160"}).stdout
    assert "Exit codes: 0" in said
