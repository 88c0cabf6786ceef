"""The demo's files come out of pinned archives, and another file is refused."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from monitor.demo.sources import Lock, SourceFile, Sources, read_lock
from monitor.errors import NotFound, WeightsDiffer, WeightsMissing
from monitor.ml.lock import Archive

if TYPE_CHECKING:
    from pathlib import Path

PICTURE, SOUND = b"a picture", b"a sound"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sdist(path: Path) -> bytes:
    with tarfile.open(path, "w:gz") as box:
        entry = tarfile.TarInfo("pics-1.0/a.jpg")
        entry.size = len(PICTURE)
        box.addfile(entry, io.BytesIO(PICTURE))
    return path.read_bytes()


def wheel(path: Path) -> bytes:
    with zipfile.ZipFile(path, "w") as box:
        box.writestr("talk/a.wav", SOUND)
    return path.read_bytes()


@pytest.fixture
def given(tmp_path: Path) -> Path:
    folder = tmp_path / "archives"
    folder.mkdir()
    return folder


@pytest.fixture
def lock(given: Path) -> Lock:
    pics, talk = sdist(given / "pics-1.0.tar.gz"), wheel(given / "talk-2.0.whl")
    return Lock(
        archives=(
            Archive("pics", "pypi", "1.0", "pics-1.0.tar.gz", sha(pics), len(pics)),
            Archive("talk", "pypi", "2.0", "talk-2.0.whl", sha(talk), len(talk)),
        ),
        files=(
            SourceFile("face", "pics-1.0/a.jpg", sha(PICTURE), "CC0", "a face", archive="pics"),
            SourceFile("voice", "talk/a.wav", sha(SOUND), "CC0", "a voice", archive="talk"),
        ),
    )


def silent(_name: str, _here: int, _all: int) -> None:
    """Show no progress."""


def test_files_come_out_of_archives_in_a_folder_and_stay_in_the_cache(
    lock: Lock, given: Path, tmp_path: Path
) -> None:
    sources = Sources(lock, tmp_path / "cache")
    assert [archive.name for archive in sources.missing()] == ["pics", "talk"]
    sources.fill(silent, given)
    assert (sources.get("face"), sources.get("voice")) == (PICTURE, SOUND)
    assert sources.missing() == ()
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {"face.jpg", "voice.wav"}


def test_an_archive_that_was_changed_is_refused_before_it_is_opened(
    lock: Lock, given: Path, tmp_path: Path
) -> None:
    (given / "pics-1.0.tar.gz").write_bytes(b"something else")
    with pytest.raises(WeightsDiffer):
        Sources(lock, tmp_path / "cache").fill(silent, given)


def test_a_cached_file_that_was_changed_is_refused(lock: Lock, given: Path, tmp_path: Path) -> None:
    sources = Sources(lock, tmp_path / "cache")
    sources.fill(silent, given)
    sources.path("face").write_bytes(b"somebody else")
    with pytest.raises(WeightsDiffer):
        sources.get("face")


def test_what_is_not_there_is_named(lock: Lock, tmp_path: Path) -> None:
    sources = Sources(lock, tmp_path / "cache")
    with pytest.raises(WeightsMissing, match="'face'"):
        sources.get("face")
    with pytest.raises(NotFound, match="'nobody'"):
        sources.get("nobody")
    with pytest.raises(WeightsMissing, match=r"pics-1\.0"):
        sources.fill(silent, tmp_path)


def test_the_real_lock_names_a_licence_and_one_place_for_every_file() -> None:
    lock = read_lock()
    archives = {archive.name for archive in lock.archives}
    for entry in lock.files:
        assert entry.licence
        assert entry.what
        assert bool(entry.archive) != bool(entry.package)
        assert not entry.archive or entry.archive in archives
        assert len(entry.sha256) == 64


def test_files_of_installed_packages_are_the_ones_that_the_lock_names(tmp_path: Path) -> None:
    sources = Sources(read_lock(), tmp_path)
    for entry in (f for f in sources.lock.files if f.package):
        assert sources.get(entry.name)
