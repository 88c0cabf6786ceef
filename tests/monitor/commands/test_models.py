"""`likeness models` as a person or a program meets it."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from monitor.commands.models import app
from monitor.errors import ConfigError, PackUnknown
from monitor.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

REGISTRY = {
    "centerface-any-size.onnx",
    "fr_feature-any-batch.onnx",
    "silero_vad_16k_sequence.onnx",
    "campplus_192.onnx",
    "fr_liveness.onnx",
    "whisper_base.bin",
    "whisper_base_config.json",
    "whisper_base_tokenizer.json",
    "whisper_base_vocabulary.txt",
    "whisper_tiny_en.bin",
    "whisper_tiny_en_config.json",
    "whisper_tiny_en_tokenizer.json",
    "whisper_tiny_en_vocabulary.txt",
}


def likeness(*words: str) -> Result:
    return CliRunner().invoke(app, words)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of weights, beside the filled one that the other tests use."""
    monkeypatch.setenv("LIKENESS_MODELS_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def filled() -> Path:
    return load_settings().models_dir


def test_pull_from_a_folder_fills_the_cache_and_verify_agrees(filled: Path, cache: Path) -> None:
    assert likeness("verify", "--json").exit_code == 1
    pulled = likeness("pull", "--from", str(filled), "--json")
    assert pulled.exit_code == 0, pulled.output
    assert set(json.loads(pulled.stdout)["new"]) == REGISTRY
    assert {path.name for path in cache.iterdir()} == REGISTRY
    assert likeness("verify").exit_code == 0
    again = likeness("pull", "--from", str(filled))
    assert f"0 new, {len(REGISTRY)} already there" in again.output


def test_verify_names_the_file_that_differs(filled: Path, cache: Path) -> None:
    shutil.copytree(filled, cache)
    with (cache / "campplus_192.onnx").open("ab") as file:
        file.write(b"\0")
    said = likeness("verify", "--json")
    assert said.exit_code == 1
    states = {row["name"]: row["state"] for row in json.loads(said.stdout)["weights"]}
    assert states == {name: "differs" if name.startswith("campplus") else "ok" for name in REGISTRY}


def test_list_gives_licence_and_origin_of_every_file(cache: Path) -> None:
    rows = json.loads(likeness("list", "--json").stdout)["weights"]
    assert {row["state"] for row in rows} == {"missing"}
    assert all(row["licence"] and row["origin"] and row["sha256"] for row in rows)
    assert "MIT" in likeness("list").output
    assert not cache.exists()


def test_a_licence_that_is_not_plainly_free_has_to_be_acknowledged(filled: Path, cache: Path) -> None:
    ended = likeness("pull", "--pack", "edgeface", "--from", str(filled))
    assert isinstance(ended.exception, ConfigError)
    assert "--acknowledge-licence" in ended.exception.hint
    assert not cache.exists()


def test_an_unknown_pack_is_refused() -> None:
    assert isinstance(likeness("pull", "--pack", "best").exception, PackUnknown)
