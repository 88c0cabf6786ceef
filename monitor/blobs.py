"""Sealed bytes by opaque id, in a folder. What comes here is sealed already; nothing is opened here."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.errors import BlobMissing, StorageError, StorageFull
from monitor.values import BlobId

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

ID_BYTES = 16
"""Random: an id says nothing of its content and cannot be guessed."""

_ID = re.compile(rf"[0-9a-f]{{{2 * ID_BYTES}}}")
_TEMPORARY = ".part-"
HALF_WRITTEN_S = 3600.0
"""Seconds without another byte after which a blob that is being written has nobody who writes it any more."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class BlobStore:
    """A folder of sealed files, spread over 256 sub-folders. Safe for many processes at once."""

    def __init__(self, folder: Path) -> None:
        """Use a folder; it is made, for its owner only, when the first blob comes."""
        self.folder = folder

    def put(self, sealed: bytes) -> BlobId:
        """Store sealed bytes under a new random id. They are on disk, whole, when this returns.

        Raises StorageFull when there is no room, StorageError when the folder fails in another way;
        nothing half-written stays behind.
        """
        return self.put_pieces((sealed,))

    def put_pieces(self, pieces: Iterable[bytes]) -> BlobId:
        """Store sealed bytes as they come, like `put`. What `pieces` raises ends it and is raised again."""
        blob_id = BlobId(secrets.token_hex(ID_BYTES))
        path = self._path(blob_id)
        temporary = path.with_name(f"{_TEMPORARY}{blob_id}")
        try:
            if not path.parent.exists():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _written_whole(temporary) as write:
                for piece in pieces:
                    write(piece)
            temporary.replace(path)
            _sync_folder(path.parent)
        except BaseException as exc:  # edge: half a blob belongs to nobody, whatever stopped the writing
            for left in (temporary, path):
                with contextlib.suppress(OSError):
                    left.unlink(missing_ok=True)
            if isinstance(exc, OSError):
                raise _storage_error(exc, self.folder) from exc
            raise
        return blob_id

    def grow(self, blob_id: BlobId, *, begin: bool) -> Growing | None:
        """Open a blob to write on; with `begin` it is made where it is not there. Close it in any case.

        None where somebody else, be it another process, is at it. Raises BlobMissing, StorageFull,
        StorageError.
        """
        path = self._path(blob_id)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if begin else 0), 0o600)
        except FileNotFoundError as exc:
            raise _not_there(blob_id) from exc
        except OSError as exc:
            raise _storage_error(exc, self.folder) from exc
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return Growing(descriptor, path)

    def get(self, blob_id: BlobId) -> bytes:
        """Read sealed bytes. Raises BlobMissing when they are not there (or the id is not one)."""
        try:
            with self.open(blob_id) as stream:
                return stream.read()
        except OSError as exc:
            raise _storage_error(exc, self.folder) from exc

    def open(self, blob_id: BlobId) -> BinaryIO:
        """Open sealed bytes for reading a piece at a time. Raises like `get`."""
        try:
            return self._path(blob_id).open("rb")
        except FileNotFoundError as exc:
            raise _not_there(blob_id) from exc
        except OSError as exc:
            raise _storage_error(exc, self.folder) from exc

    def delete(self, blob_id: BlobId) -> None:
        """Remove sealed bytes; a second time does nothing. Raises StorageError when the folder fails.

        A power cut within seconds may bring them back, under an id that no row names: jobs.sweep takes them.
        """
        try:
            self._path(blob_id).unlink(missing_ok=True)
        except OSError as exc:
            raise _storage_error(exc, self.folder) from exc

    @contextlib.contextmanager
    def deleted_on_failure(self, blob_id: BlobId) -> Iterator[None]:
        """Delete sealed bytes where the block, which writes their row, ends in any exception; it goes on."""
        try:
            yield
        except BaseException:  # edge: bytes without a row belong to nobody, whatever stopped the writing
            self.delete(blob_id)
            raise

    def ids(self) -> Iterator[BlobId]:
        """Name every blob that is there, in no order."""
        for path in self.folder.glob("??/*"):
            if _ID.fullmatch(path.name):
                yield BlobId(path.name)

    def drop_half_written(self, now_s: float | None = None) -> int:
        """Remove what killed writers left behind, and give how many. `now_s` is Unix time, for tests.

        Raises StorageError when the folder fails.
        """
        before, dropped = (time.time() if now_s is None else now_s) - HALF_WRITTEN_S, 0
        try:
            for path in self.folder.glob(f"??/{_TEMPORARY}*"):
                with contextlib.suppress(FileNotFoundError):  # its writer ended just now
                    if path.stat().st_mtime < before:
                        path.unlink()
                        dropped += 1
        except OSError as exc:
            raise _storage_error(exc, self.folder) from exc
        return dropped

    def _path(self, blob_id: BlobId) -> Path:
        if not _ID.fullmatch(blob_id):
            msg = "that is not the id of sealed bytes"
            raise BlobMissing(msg)
        return self.folder / blob_id[:2] / blob_id


class Growing:
    """A blob that is written on, by one at a time: the lock goes with the process that holds it."""

    def __init__(self, descriptor: int, path: Path) -> None:
        """Take the file, open and locked."""
        self._descriptor, self._path, self.length = descriptor, path, 0

    def cut(self, length: int) -> None:
        """Keep the first `length` bytes and write on behind them. Raises BlobMissing where it is shorter."""
        if os.fstat(self._descriptor).st_size < length:
            raise _not_there(BlobId(self._path.name))
        os.ftruncate(self._descriptor, length)
        os.lseek(self._descriptor, length, os.SEEK_SET)
        self.length = length

    def write(self, sealed: bytes) -> None:
        """Write behind what is there. Raises StorageFull, StorageError."""
        rest = memoryview(sealed)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as exc:
            raise _storage_error(exc, self._path.parent) from exc
        self.length += len(sealed)

    def sync(self) -> None:
        """Return when all of it is on disk. Raises StorageFull, StorageError."""
        try:
            os.fsync(self._descriptor)
            _sync_folder(self._path.parent)
        except OSError as exc:
            raise _storage_error(exc, self._path.parent) from exc

    def close(self) -> None:
        """Let others at it."""
        os.close(self._descriptor)


@contextlib.contextmanager
def _written_whole(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Give what writes to a new file, whose bytes are on disk when the block ends."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def write(data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    try:
        yield write
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _not_there(blob_id: BlobId) -> BlobMissing:
    return BlobMissing(f"the sealed bytes {blob_id} are not there: forgotten after a look, or lost")


def _storage_error(exc: OSError, folder: Path) -> StorageError:
    if exc.errno in _NO_ROOM:
        return StorageFull(f"no room left in {folder}", hint="Free some space; then retry the item.")
    return StorageError(
        f"the folder {folder} failed: {exc.strerror}", hint="Check that it may be written to."
    )
