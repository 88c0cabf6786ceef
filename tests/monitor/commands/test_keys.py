"""`likeness keys`: makes a key nobody else can read, never prints one, rotates, counts."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from monitor import audit, subject_keys
from monitor.commands.keys import app
from monitor.crypto import KeyEncryptionKeys, parse_keys
from monitor.db import open_engine, reading, writing
from monitor.errors import ConfigError, KeyMissing, StorageError
from monitor.settings import load_settings
from monitor.values import SubjectId

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

run = CliRunner()


def likeness_keys(*arguments: str) -> str:
    done = run.invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "old.key"
    likeness_keys("new", str(file), "--id", "old")
    monkeypatch.setenv("LIKENESS_KEK_FILE", str(file))
    return file


@pytest.fixture
def ledger(key_file: Path) -> Iterator[Engine]:
    likeness_keys("show")
    engine = open_engine(load_settings().database)
    keks = KeyEncryptionKeys(parse_keys(key_file.read_text().splitlines()))
    with writing(engine) as session:
        for name in ("ana", "ben", "eva"):
            subject_keys.create(session, keks, SubjectId(name))
    yield engine
    engine.dispose()


def test_a_new_key_is_its_owners_alone_and_is_not_printed(tmp_path: Path) -> None:
    file = tmp_path / "kek"
    said = likeness_keys("new", str(file))
    ((key_id, _),) = parse_keys(file.read_text().splitlines()).items()
    assert key_id.startswith("k20")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().partition(":")[2].strip() not in said
    assert "LIKENESS_KEK_FILE" in said


def test_a_key_is_never_overwritten(key_file: Path) -> None:
    before = key_file.read_text()
    with pytest.raises(ConfigError, match="never overwritten"):
        likeness_keys("new", str(key_file))
    assert key_file.read_text() == before


def test_a_folder_that_is_not_there_and_an_id_that_is_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be made"):
        likeness_keys("new", str(tmp_path / "no folder" / "kek"))
    with pytest.raises(ConfigError, match="the id"):
        likeness_keys("new", str(tmp_path / "kek"), "--id", "a b")
    assert not (tmp_path / "kek").exists()


def test_show_counts_and_names_no_key(ledger: Engine, key_file: Path) -> None:
    assert ledger.dialect.name == "sqlite"
    said = json.loads(likeness_keys("show", "--json"))
    assert said == {"keys": [{"id": "old", "active": True, "given": True, "wraps": 6}], "warnings": []}
    assert "old" in likeness_keys("show")
    assert key_file.read_text().partition(":")[2].strip() not in likeness_keys("show") + str(said)


def test_show_warns_of_a_key_file_that_others_can_read(key_file: Path) -> None:
    key_file.chmod(0o644)
    assert "chmod 600" in json.loads(likeness_keys("show", "--json"))["warnings"][0]


def test_show_says_which_key_is_missing(
    ledger: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ledger.dialect.name == "sqlite"
    likeness_keys("new", str(tmp_path / "new.key"), "--id", "new")
    monkeypatch.setenv("LIKENESS_KEK_FILE", str(tmp_path / "new.key"))
    lines = json.loads(likeness_keys("show", "--json"))["keys"]
    assert lines == [
        {"id": "new", "active": True, "given": True, "wraps": 0},
        {"id": "old", "active": False, "given": False, "wraps": 6},
    ]
    with pytest.raises(KeyMissing, match="'old'"):
        likeness_keys("rotate")


def test_rotate_wraps_all_and_is_written_down(ledger: Engine, key_file: Path, tmp_path: Path) -> None:
    likeness_keys("new", str(tmp_path / "new.key"), "--id", "new")
    new = (tmp_path / "new.key").read_text()
    key_file.write_text(new + key_file.read_text())
    assert json.loads(likeness_keys("rotate", "--json")) == {"active": "new", "wrapped": 6}
    assert "0 keys" in likeness_keys("rotate")
    assert subject_keys.wrapped_under(ledger) == {"new": 6}
    alone = KeyEncryptionKeys(parse_keys(new.splitlines()))
    with reading(ledger) as session:
        assert len(subject_keys.key_of(session, alone, SubjectId("ana"))) == 32
        assert audit.verify(session) == 2


def test_without_a_key_nothing_starts() -> None:
    with pytest.raises(KeyMissing) as refused:
        likeness_keys("show")
    assert "likeness keys new" in refused.value.hint
    assert not load_settings().home.exists()
