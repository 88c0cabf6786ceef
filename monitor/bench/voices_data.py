"""Who speaks in which recording of a folder: learnt from folders, or from names where files stand flat."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SUFFIXES: Final = frozenset({".flac", ".wav", ".mp3", ".ogg", ".opus", ".m4a"})

LIBRISPEECH: Final = re.compile(r"(\d+)-(\d+)-(\d+)")
"""Names of LibriSpeech: speaker, chapter, utterance."""

NOT_GENUINE: Final = frozenset({"spoof", "spoofs", "spoofed", "fake", "fakes", "synthetic"})
"""Folders of made speech: a copy of a voice is no recording of a person."""

MOST_RECORDINGS: Final = 300
"""Recordings measured at most, so that a run takes minutes: everybody's first, then everybody's second."""

MOST_OF_ONE: Final = 10
"""Recordings of one speaker: more tell little, and would let one voice weigh more than the others."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One file and its speaker, as a number from 0 on."""

    path: Path
    speaker: int


def read_speakers(data: Path | None, limit: int, seed: int) -> tuple[Recording, ...]:
    """Find the recordings under a folder and who speaks in each; `limit` 0 takes MOST_RECORDINGS.

    A name of LibriSpeech names its speaker wherever it stands. Any other recording belongs to the speaker
    whose folder holds it. A folder that holds folders, or LibriSpeech's names of several speakers, is a set
    and no speaker; beside sets every folder of loose files is a set too, and what is loose there is left
    out, as is everything below a folder of made speech. Which recordings of a speaker come first is drawn
    by `seed`.
    Raises ConfigError when there is no such folder, or fewer than two speakers in it.
    """
    if data is None or not data.is_dir():
        msg = f"{data or 'no folder'} is not a data set"
        raise ConfigError(msg, hint="Give a folder that holds one folder per speaker with --data.")
    names: dict[str, list[Path]] = {}
    for name, path in _named(data, data):
        names.setdefault(name, []).append(path)
    if len(names) < 2:
        msg = f"{data} holds fewer than two speakers"
        raise ConfigError(msg, hint="One folder per speaker with their recordings, or LibriSpeech's names.")
    rng = np.random.default_rng(seed)
    shuffled = [[paths[i] for i in rng.permutation(len(paths))] for paths in names.values()]
    found = [
        Recording(paths[turn], speaker)
        for turn in range(MOST_OF_ONE)
        for speaker, paths in enumerate(shuffled)
        if turn < len(paths)
    ]
    return tuple(sorted(found[: limit or MOST_RECORDINGS], key=lambda one: one.speaker))


def _named(root: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Give each recording below a folder that holds speakers or sets, with its speaker's name."""
    yield from _by_name(folder)
    inner = _folders(folder)
    sets = any(_is_set(one) for one in inner)
    for one in inner:
        if sets:
            yield from _named(root, one)
        else:
            own = str(one.relative_to(root))
            for path in _sounds(one):
                by_name = LIBRISPEECH.fullmatch(path.stem)
                yield (by_name[1] if by_name else own), path


def _by_name(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in _sounds(folder):
        if by_name := LIBRISPEECH.fullmatch(path.stem):
            yield by_name[1], path


def _is_set(folder: Path) -> bool:
    return bool(_folders(folder)) or len({name for name, _ in _by_name(folder)}) > 1


def _folders(folder: Path) -> Sequence[Path]:
    return [p for p in sorted(folder.iterdir()) if p.is_dir() and p.name.lower() not in NOT_GENUINE]


def _sounds(folder: Path) -> Sequence[Path]:
    return [p for p in sorted(folder.iterdir()) if p.suffix.lower() in SUFFIXES and p.is_file()]
