"""Reads `deploy/weights.lock`: every file of weights, where it comes from, its digest and its licence."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from monitor.errors import WeightsMissing


@dataclass(frozen=True, slots=True)
class Archive:
    """One file of a package registry. `file` is its name there, `bytes` its size."""

    name: str
    registry: Literal["pypi", "npm"]
    version: str
    file: str
    sha256: str
    bytes: int
    pip_args: tuple[str, ...] = ()

    @classmethod
    def of(cls, row: dict[str, Any]) -> Archive:
        """Read one row of a lock file."""
        return cls(**{**row, "pip_args": tuple(row.get("pip_args", ()))})

    @property
    def label(self) -> str:
        """Name and version, for people."""
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class Weights:
    """One file of weights.

    `archive` and `member` say which registry package holds it; without them it is only taken from a
    folder. `sources` and `recipe` are set on a derived file: it is made from `sources`. `kept` is False where
    a file serves only to make a derived one. `packs` are the model packs that load it.
    """

    name: str
    sha256: str
    bytes: int
    licence: str
    origin: str
    task: str
    preprocessing: str
    archive: str = ""
    member: str = ""
    licence_note: str = ""
    must_acknowledge: bool = False
    kept: bool = True
    packs: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    recipe: str = ""


@dataclass(frozen=True, slots=True)
class Lock:
    """The whole file, by name."""

    archives: dict[str, Archive]
    weights: dict[str, Weights]

    def kept(self) -> tuple[Weights, ...]:
        """Files that stay in the cache, in the lock's order."""
        return tuple(entry for entry in self.weights.values() if entry.kept)

    def of_pack(self, pack: str) -> tuple[Weights, ...]:
        """Files that a pack loads, in the lock's order; empty for a pack that the lock does not know."""
        return tuple(entry for entry in self.kept() if pack in entry.packs)

    def packs(self) -> tuple[str, ...]:
        """Packs that some file belongs to; `synthetic` is no recogniser, and goes with each of them."""
        return tuple(dict.fromkeys(pack for entry in self.kept() for pack in entry.packs))

    def named(self, name: str) -> Weights:
        """One entry. Raises WeightsMissing for a name that the lock does not know."""
        try:
            return self.weights[name]
        except KeyError as exc:
            msg = f"weights.lock names no file {name}"
            raise WeightsMissing(msg) from exc


_INHERITED = ("licence", "licence_note", "must_acknowledge", "origin", "task", "preprocessing")


def _derived(row: dict[str, Any], sources: dict[str, Weights]) -> Weights:
    first = sources[row["sources"][0]]
    inherited = {name: getattr(first, name) for name in _INHERITED}
    return Weights(**{**inherited, **row, "packs": tuple(row["packs"]), "sources": tuple(row["sources"])})


@cache
def read_lock() -> Lock:
    """Read the lock that is packaged with the program."""
    rows = tomllib.loads(files("monitor.ml").joinpath("weights.lock").read_text(encoding="utf-8"))
    archives = [Archive.of(row) for row in rows["archive"]]
    published = [Weights(**{**row, "packs": tuple(row.get("packs", ()))}) for row in rows["file"]]
    weights = {entry.name: entry for entry in published}
    weights |= {row["name"]: _derived(row, weights) for row in rows["derived"]}
    return Lock({archive.name: archive for archive in archives}, weights)
