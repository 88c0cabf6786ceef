"""Labelled folders: one folder per person. Wrong labels that are known are put right."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from monitor.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from monitor.bench.frame import Request

Item = TypeVar("Item")
Answer = TypeVar("Answer")

ERRATA: Final = "*-errata.txt"
"""A file of this name, in the data folder or beside it, lists `drop NAME_0001` and `same FOLDER FOLDER`."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One file and the person it shows, as a number."""

    path: Path
    person: int


def read_people(
    data: Path | None, suffixes: frozenset[str], limit: int, *, errata: bool = True
) -> tuple[Labelled, ...]:
    """List the files of a data folder with their persons; `limit` 0 takes all.

    `errata` puts the labels right that are known to be wrong.

    Raises ConfigError when there is no such folder, or fewer than two people in it.
    """
    if data is None or not data.is_dir():
        msg = f"{data or 'no folder'} is not a data set"
        raise ConfigError(msg, hint="Give a folder that holds one folder per person with --data.")
    dropped, same = _errata(data) if errata else (set(), {})
    folders = sorted(path for path in data.iterdir() if path.is_dir())
    numbers: dict[str, int] = {}
    files: list[Labelled] = []
    for folder in folders:
        person = numbers.setdefault(same.get(folder.name, folder.name), len(numbers))
        files += [
            Labelled(path, person)
            for path in sorted(folder.iterdir())
            if path.suffix.lower() in suffixes and path.stem not in dropped
        ]
    taken = tuple(files[:limit] if limit else files)
    if len({file.person for file in taken}) < 2:
        msg = f"{data} holds fewer than two people"
        raise ConfigError(msg, hint="One folder per person, with their pictures or recordings in it.")
    return taken


def _errata(data: Path) -> tuple[set[str], dict[str, str]]:
    dropped: set[str] = set()
    same: dict[str, str] = {}
    for path in (*sorted(data.glob(ERRATA)), *sorted(data.parent.glob(ERRATA))):
        for line in path.read_text(encoding="utf-8").splitlines():
            match line.split():
                case ["drop", name]:
                    dropped.add(name)
                case ["same", first, second]:
                    same[second] = same.get(first, first)
    return dropped, same


def in_threads(
    work: Callable[[Sequence[Item]], Iterable[Answer]],
    items: Sequence[Item],
    request: Request,
    chunk: int,
    what: str = "embed",
) -> list[Answer]:
    """Work through items chunk by chunk in parallel threads; the answers come in the items' order.

    `what` names the work in the progress that is shown.
    """
    chunks = [items[i : i + chunk] for i in range(0, len(items), chunk)]
    answers: list[Answer] = []
    with ThreadPoolExecutor(request.settings.threads or os.cpu_count()) as pool:
        for part in pool.map(lambda some: list(work(some)), chunks):
            answers += part
            request.progress(what, len(answers), len(items))
    return answers
