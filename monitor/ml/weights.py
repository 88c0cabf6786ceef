"""The cache of weights: pulled from pinned packages, checked before use, never trusted for being there."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from monitor.errors import WeightsDiffer, WeightsMissing
from monitor.ml.archives import check, extract, fetch, sha256_of
from monitor.ml.lock import Weights, read_lock
from monitor.ml.recipes import RECIPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from monitor.ml.archives import Progress

PULL_HINT: Final = "Run `likeness models pull`."


class State(StrEnum):
    """What became of one file of weights."""

    OK = "ok"
    MISSING = "missing"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Checked:
    """One file that the program may load, and whether the cache holds it as it should be."""

    weights: Weights
    state: State


def entries(pack: str | None = None) -> tuple[Weights, ...]:
    """Files that the program may load (of one pack, where it is named), in the lock's order."""
    lock = read_lock()
    return lock.kept() if pack is None else lock.of_pack(pack)


def path_of(models_dir: Path, name: str) -> Path:
    """Where a file of weights lies, its sha256 checked just now.

    Hashing all of a pack takes less than loading it, so no record of an older check is believed.
    Raises WeightsMissing or WeightsDiffer.
    """
    entry = read_lock().named(name)
    path = models_dir / name
    if not path.is_file():
        msg = f"{name} is not in {models_dir}"
        raise WeightsMissing(msg, hint=PULL_HINT)
    return check(path, entry.sha256)


def state_of(models_dir: Path, entry: Weights) -> State:
    """Look at one file in the cache."""
    path = models_dir / entry.name
    if not path.is_file():
        return State.MISSING
    return State.OK if sha256_of(path) == entry.sha256 else State.DIFFERS


def verify(models_dir: Path, pack: str | None = None) -> tuple[Checked, ...]:
    """Check every file that the program may load (of one pack, where it is named)."""
    return tuple(Checked(entry, state_of(models_dir, entry)) for entry in entries(pack))


def _how_to_bring(entry: Weights) -> str:
    """Say what to type once a file that is in no registry is here."""
    lock = read_lock()
    pack = next(one.packs[0] for one in lock.kept() if entry.name in (one.name, *one.sources))
    words = ["likeness models pull", "--pack", pack, "--from DIR"]
    if any(one.must_acknowledge for one in lock.of_pack(pack)):
        words.append("--acknowledge-licence")
    return f"Put what no registry has into a folder DIR and run `{' '.join(words)}`."


def _must_be_whole(missing: Sequence[WeightsMissing]) -> None:
    """Raise one WeightsMissing that says what all of them say, each thing once."""
    if missing:
        said, hints = (
            dict.fromkeys(words) for words in zip(*((str(m), m.hint) for m in missing), strict=True)
        )
        raise WeightsMissing(". ".join(said), hint=" ".join(hints)) from missing[0]


@dataclass(frozen=True, slots=True)
class Pull:
    """One run of `likeness models pull`. What is there and right is left alone, so it can be repeated.

    `source` is a folder that holds the weight files, or their archives, under any sub-folder; with it no
    registry is asked. Files are written beside their place and renamed, so a killed pull leaves nothing half.
    """

    models_dir: Path
    source: Path | None
    progress: Progress

    def run(self, wanted: Iterable[Weights]) -> tuple[Weights, ...]:
        """Bring the wanted files in; give those that were not there before.

        Raises WeightsMissing (a registry or folder does not have some of them; the others are in the cache
        then, so that a second pull from elsewhere completes the first), WeightsDiffer.
        """
        self.models_dir.mkdir(parents=True, exist_ok=True)
        new = tuple(entry for entry in wanted if state_of(self.models_dir, entry) is not State.OK)
        missing: list[WeightsMissing] = []
        for entry in new:
            try:
                self._bring(entry)
            except WeightsMissing as exc:
                missing.append(exc)
        _must_be_whole(missing)
        self._tidy()
        return new

    def _bring(self, entry: Weights) -> None:
        target = self.models_dir / entry.name
        if state_of(self.models_dir, entry) is State.OK:
            return
        found = self._in_source(entry.name, entry.sha256)
        if found is not None:
            partial = target.with_suffix(".partial")
            shutil.copyfile(found, partial)
            partial.replace(target)
        elif entry.sources:
            self._derive(entry, target)
        else:
            extract(self._archive_of(entry), entry.member, target)
        check(target, entry.sha256)
        self.progress(entry.name, entry.bytes, entry.bytes)

    def _derive(self, entry: Weights, target: Path) -> None:
        sources = [read_lock().named(name) for name in entry.sources]
        for source in sources:
            self._bring(source)
        partial = target.with_suffix(".partial")
        partial.write_bytes(RECIPES[entry.recipe](*(self.models_dir / source.name for source in sources)))
        check(partial, entry.sha256).replace(target)

    def _archive_of(self, entry: Weights) -> Path:
        archive = read_lock().archives.get(entry.archive)
        if archive is None:
            where = "missing" if self.source is None else f"not in {self.source}"
            msg = f"{entry.name} is {where}. It comes from {entry.origin}"
            raise WeightsMissing(msg, hint=_how_to_bring(entry))
        if self.source is None:
            return fetch(archive, self._archives, self.progress)
        found = self._in_source(archive.file, archive.sha256)
        if found is None:
            msg = f"{self.source} holds neither {entry.name} nor {archive.file}"
            raise WeightsMissing(
                msg,
                hint="Put one of the two there, or pull without --from where a registry can be reached.",
            )
        return found

    def _in_source(self, name: str, sha256: str) -> Path | None:
        if self.source is None:
            return None
        found = sorted(path for path in self.source.rglob(name) if path.is_file())
        if not found:
            return None
        for path in found:
            if sha256_of(path) == sha256:
                return path
        msg = f"{found[0]} is not the file that weights.lock names (sha256 {sha256})"
        raise WeightsDiffer(msg)

    @property
    def _archives(self) -> Path:
        return self.models_dir / "archives"

    def _tidy(self) -> None:
        """Drop archives and files that only served to make others."""
        shutil.rmtree(self._archives, ignore_errors=True)
        for entry in read_lock().weights.values():
            if not entry.kept:
                (self.models_dir / entry.name).unlink(missing_ok=True)
