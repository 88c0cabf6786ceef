"""`likeness calibrate` as an operator meets it: from folders of people to a file of counts and curves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from monitor.commands.calibrate import app
from monitor.errors import ConfigError
from monitor.ml.calibration import own_path, read_calibration, shipped_for
from monitor.settings import load_settings
from monitor.values import Modality

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

PEOPLE = 24


def likeness(*words: str) -> Result:
    return CliRunner().invoke(app, words, catch_exceptions=True)


@pytest.fixture
def real(data: Path, tmp_path: Path) -> Path:
    """A few real people with two pictures each."""
    folders = [f for f in sorted((data / "faces" / "lfw-dev").iterdir()) if len(list(f.iterdir())) > 1]
    for folder in folders[:PEOPLE]:
        own = tmp_path / "people" / folder.name
        own.mkdir(parents=True)
        for picture in sorted(folder.iterdir())[:2]:
            (own / picture.name).symlink_to(picture)
    return tmp_path / "people"


def test_real_people_become_counts_and_curves_and_nothing_else(real: Path) -> None:
    ended = likeness("faces", "--data", str(real), "--json")
    assert ended.exit_code == 0, ended.output
    told = json.loads(ended.stdout)
    path = own_path(load_settings().home, Modality.FACE, "registry")
    assert told["file"] == str(path)
    assert told["people"] == PEOPLE
    assert told["genuine"] == PEOPLE
    assert list(told["thresholds"]) == ["1e-03", "1e-04", "1e-05", "1e-06"]
    assert "few" in told["warnings"][0]
    found = read_calibration(path)
    assert found.model_id == told["model_id"]
    assert shipped_for(found.model_id) is not None
    text = path.read_text()
    assert len(text) < 4000
    assert not any(folder.name in text for folder in real.iterdir())
    shown = likeness(
        "faces", "--data", str(real), "--name", "ours", "--to", str(real.parent / "elsewhere.json")
    )
    assert shown.exit_code == 0, shown.output
    assert "1 in 300,000" in shown.output
    assert "24 people, 24 pairs of one person" in shown.output
    assert read_calibration(real.parent / "elsewhere.json").data_set == "ours"


def test_three_people_are_too_few_and_nothing_is_written(real: Path) -> None:
    for folder in sorted(real.iterdir())[3:]:
        for picture in folder.iterdir():
            picture.unlink()
        folder.rmdir()
    ended = likeness("faces", "--data", str(real))
    assert isinstance(ended.exception, ConfigError)
    assert "20 people" in ended.exception.hint
    assert not own_path(load_settings().home, Modality.FACE, "registry").exists()


def test_help_teaches_what_to_give() -> None:
    said = " ".join(likeness("faces", "--help").output.split())
    for words in ("one folder per person", "agreed", "no picture, name or vector", "Delete the file"):
        assert words in said
