"""Sealed bytes in a folder: whole or not at all, private, and gone when deleted."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

import pytest

from monitor.blobs import HALF_WRITTEN_S, BlobStore
from monitor.errors import BlobMissing, StorageError, StorageFull
from monitor.values import BlobId

if TYPE_CHECKING:
    from pathlib import Path


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_is_put_comes_back_under_an_id_that_says_nothing(blobs: BlobStore) -> None:
    one, other = blobs.put(b"sealed"), blobs.put(b"sealed")
    assert one != other
    assert (blobs.get(one), blobs.get(other)) == (b"sealed", b"sealed")
    assert set(blobs.ids()) == {one, other}


def test_an_empty_blob_and_a_large_one_come_back(blobs: BlobStore) -> None:
    large = os.urandom(5_000_000)
    assert blobs.get(blobs.put(b"")) == b""
    assert blobs.get(blobs.put(large)) == large


def test_files_and_folders_are_the_owners_alone(blobs: BlobStore) -> None:
    blobs.put(b"sealed")
    (path,) = files_under(blobs.folder)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_deleted_blob_is_gone_and_deleting_again_does_nothing(blobs: BlobStore) -> None:
    blob_id = blobs.put(b"sealed")
    blobs.delete(blob_id)
    blobs.delete(blob_id)
    assert files_under(blobs.folder) == []
    with pytest.raises(BlobMissing):
        blobs.get(blob_id)


@pytest.mark.parametrize("wrong", ["../../etc/passwd", "", "ab", "A" * 32, "0" * 31 + "/"])
def test_an_id_is_never_a_path(blobs: BlobStore, wrong: str) -> None:
    with pytest.raises(BlobMissing):
        blobs.get(BlobId(wrong))
    with pytest.raises(BlobMissing):
        blobs.delete(BlobId(wrong))


@pytest.mark.parametrize("step", ["write", "fsync"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_nothing_behind(
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    kept = blobs.put(b"there before")

    def full(*_arguments: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, step, full)
    with pytest.raises(StorageFull) as refused:
        blobs.put(b"sealed" * 100)
    assert refused.value.retryable
    monkeypatch.undo()
    assert list(blobs.ids()) == [kept]
    assert len(files_under(blobs.folder)) == 1
    assert blobs.get(kept) == b"there before"


def test_a_disk_that_takes_half_of_each_write_still_keeps_the_whole(
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[: max(1, len(data) // 2)]))
    assert blobs.get(blobs.put(b"sealed" * 100)) == b"sealed" * 100


def test_what_a_killed_writer_left_is_no_blob(blobs: BlobStore) -> None:
    blob_id = blobs.put(b"sealed")
    (path,) = files_under(blobs.folder)
    path.with_name(".part-" + "0" * 32).write_bytes(b"half")
    assert list(blobs.ids()) == [blob_id]


def test_what_a_killed_writer_left_is_dropped_and_what_is_being_written_is_not(blobs: BlobStore) -> None:
    whole = blobs.put(b"sealed")
    half = blobs.folder / whole[:2] / f".part-{whole}"
    half.write_bytes(b"sea")
    written_s = half.stat().st_mtime
    assert blobs.drop_half_written(written_s + HALF_WRITTEN_S - 1) == 0
    assert half.exists()
    assert blobs.drop_half_written(written_s + HALF_WRITTEN_S + 1) == 1
    assert files_under(blobs.folder) == [blobs.folder / whole[:2] / whole]


def test_a_folder_that_is_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("a file")
    store = BlobStore(tmp_path / "blobs")
    with pytest.raises(StorageError, match="failed"):
        store.put(b"sealed")
    with pytest.raises(StorageError):
        store.get(BlobId("0" * 32))
