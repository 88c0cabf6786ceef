"""The pictures and the speech of the demo, out of packages that `deploy/demo.lock` pins.

An archive is fetched once with pip, which checks its hash before it looks into it (to read the metadata
of an sdist, pip runs the sdist's build backend), and is only read: never installed. What the demo needs
of it is kept in a cache beside the models. Every file is checked by its own hash each time it is read.
"""

from __future__ import annotations

import hashlib
import importlib.util
import tempfile
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.errors import NotFound, WeightsDiffer, WeightsMissing
from monitor.ml import archives
from monitor.ml.lock import Archive

if TYPE_CHECKING:
    from monitor.ml.archives import Progress

LOCK_NAME = "demo.lock"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One picture or sound: where it comes from and what it must hash to.

    Either `archive` or `package` is set; `member` is the path in that archive, or below the folder
    of that installed package.
    """

    name: str
    member: str
    sha256: str
    licence: str
    what: str
    archive: str = ""
    package: str = ""


@dataclass(frozen=True, slots=True)
class Lock:
    """What `deploy/demo.lock` says."""

    archives: tuple[Archive, ...]
    files: tuple[SourceFile, ...]

    def file(self, name: str) -> SourceFile:
        """Find an entry. Raises NotFound."""
        for entry in self.files:
            if entry.name == name:
                return entry
        msg = f"{LOCK_NAME} names no file {name!r}"
        raise NotFound(msg)


def read_lock() -> Lock:
    """Read the lock that is packaged with the program."""
    said = tomllib.loads(files("monitor.demo").joinpath(LOCK_NAME).read_text(encoding="utf-8"))
    return Lock(
        archives=tuple(Archive.of(entry) for entry in said["archive"]),
        files=tuple(SourceFile(**entry) for entry in said["file"]),
    )


class Sources:
    """The files by name. `get` reads one and refuses it when its hash differs."""

    def __init__(self, lock: Lock, cache: Path) -> None:
        self.lock = lock
        self._cache = cache

    def path(self, name: str) -> Path:
        """Where the file lies on this machine; it may not be there yet."""
        entry = self.lock.file(name)
        if entry.package:
            return _package_folder(entry.package) / entry.member
        return self._cache / f"{entry.name}{Path(entry.member).suffix}"

    def get(self, name: str) -> bytes:
        """Read one file. Raises WeightsMissing when it is not there, WeightsDiffer when it is another."""
        path = self.path(name)
        if not path.is_file():
            msg = f"the demo's file {name!r} is not in {path.parent}"
            raise WeightsMissing(msg, hint="Run `likeness demo` where pip reaches a package index.")
        return checked(path.read_bytes(), self.lock.file(name).sha256, name)

    def missing(self) -> tuple[Archive, ...]:
        """Name the archives of which a file is not in the cache."""
        wanted = {f.archive for f in self.lock.files if f.archive and not self.path(f.name).is_file()}
        return tuple(a for a in self.lock.archives if a.name in wanted)

    def fill(self, progress: Progress, given: Path | None = None) -> None:
        """Take what is missing out of its archives: from the folder `given`, or else through pip.

        Raises WeightsMissing when an archive cannot be had, WeightsDiffer when it is another one.
        """
        self._cache.mkdir(parents=True, exist_ok=True)
        for archive in self.missing():
            with tempfile.TemporaryDirectory(dir=self._cache, prefix="partial-") as name:
                work = Path(name)
                found = _given(archive, given) if given else archives.fetch(archive, work, progress)
                self._keep(archive, found, work)

    def _keep(self, archive: Archive, found: Path, work: Path) -> None:
        for entry in (f for f in self.lock.files if f.archive == archive.name):
            target = self.path(entry.name)
            partial = work / target.name
            archives.extract(found, entry.member, partial)
            checked(partial.read_bytes(), entry.sha256, entry.name)
            partial.replace(target)


def checked(data: bytes, sha256: str, name: str) -> bytes:
    """Give the bytes back if they hash to `sha256`. Raises WeightsDiffer."""
    if hashlib.sha256(data).hexdigest() != sha256:
        msg = f"{name} is not the file that {LOCK_NAME} names: its SHA-256 differs"
        raise WeightsDiffer(msg, hint="Delete it and run `likeness demo` again.")
    return data


def _package_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or []) if spec else []
    if not folders:
        msg = f"the package {package} is not installed"
        raise NotFound(msg, hint="Run `make setup`.")
    return Path(folders[0])


def _given(archive: Archive, folder: Path) -> Path:
    found = folder / archive.file
    if not found.is_file():
        msg = f"{folder} holds no {archive.file}"
        raise WeightsMissing(msg, hint="`deploy/demo.lock` names the archives that the demo reads.")
    checked(found.read_bytes(), archive.sha256, archive.file)
    return found
