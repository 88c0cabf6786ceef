"""Whisper (Radford et al. 2022, arXiv 2212.04356), run by CTranslate2: which networks there are.

Two come with the packs: Whisper tiny.en for English, and the multilingual base for every other language. An
operator who has a better multilingual one (any size, in CTranslate2's form) names its folder in
LIKENESS_WHISPER_DIR; then that one hears everything it knows. Nothing is ever fetched here.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitor.errors import WeightsMissing
from monitor.ml.weights import path_of
from monitor.values import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.settings import Settings

ENGLISH, MULTILINGUAL, OWN = "whisper-tiny-en", "whisper-base", "own"
"""The networks: the two that come with the packs, and the operator's."""

OWN_FILES: Final = ("model.bin", "config.json", "tokenizer.json")
"""What an operator's own folder must hold; a vocabulary too, whose name differs from model to model."""

KEPT_FOR: Final = timedelta(minutes=10)
"""How long a network stays in memory (some 150 and 250 MB) after the last sound; it loads in a second."""

SILENT, UNSURE = 0.6, -1.0
"""Probability that a window holds no speech, and mean log probability of its words, beyond which both words
are not believed: Whisper's own. By the first alone rows of clearly spoken digits were lost."""

AROUND: Final = SAMPLE_RATE // 2
"""Samples of silence that are put before and after: a word that begins with the sound is missed easily."""

QUIET_PEAK: Final = 1e-3
"""A sound whose highest sample is below this, 60 dB under full scale, holds nothing to listen to."""


def files_of(network: str) -> Mapping[str, str]:
    """Give name of a file where the network looks for it -> its name in weights.lock."""
    stem = network.replace("-", "_")
    names = ("config.json", "tokenizer.json", "vocabulary.txt")
    return {"model.bin": f"{stem}.bin"} | {name: f"{stem}_{name}" for name in names}


@dataclass(slots=True)
class Networks:
    """Holds networks in memory. One is loaded at its first use, and freed by `rest`. Safe for threads.

    `threads` are those of one run; `held` are the loaded ones by their names.
    """

    threads: int
    held: dict[str, Any] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _used_at: datetime | None = None

    @contextlib.contextmanager
    def lent(self, settings: Settings, now: datetime) -> Iterator[Lent]:
        """Lend the networks to one thread at a time: a second run would fight over the same cores."""
        with self._lock:
            self._used_at = now
            yield Lent(settings, self)

    def rest(self, now: datetime) -> None:
        """Free the networks when none was used for a while. Cheap where there is nothing to do."""
        if self._used_at is None or now - self._used_at < KEPT_FOR:
            return
        with self._lock:
            self.held, self._used_at = {}, None

    @property
    def loaded(self) -> bool:
        """Whether a network is in memory."""
        return bool(self.held)


@dataclass(frozen=True, slots=True)
class Lent:
    """Networks that are one thread's alone for a while."""

    settings: Settings
    networks: Networks

    def get(self, which: str) -> Any:  # noqa: ANN401 - faster_whisper has no types
        """Give a network, loaded if it must be. Raises WeightsMissing, WeightsDiffer."""
        held = self.networks.held
        if which not in held:
            held[which] = _load(self.settings, which, self.networks.threads)
        return held[which]


def levelled(samples: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Bring the highest of (n,) samples to one half, as recordings mostly are, with AROUND of silence around.

    None for a sound that holds nothing.
    """
    peak = float(np.max(np.abs(samples), initial=0.0))
    return None if peak < QUIET_PEAK else np.pad(np.asarray(samples * (0.5 / peak), np.float32), AROUND)


def _load(settings: Settings, which: str, threads: int) -> Any:  # noqa: ANN401 - faster_whisper has no types
    """Load the network from bytes whose digests were checked; from the operator's folder as it is."""
    from faster_whisper import WhisperModel  # noqa: PLC0415 - only who listens waits for it

    options = {"device": "cpu", "compute_type": "int8", "cpu_threads": threads}
    if which == OWN and settings.whisper_dir is not None:
        return WhisperModel(str(_own(settings.whisper_dir)), local_files_only=True, **options)
    named = files_of(which).items()
    files = {name: path_of(settings.models_dir, entry).read_bytes() for name, entry in named}
    return WhisperModel(which, files=files, **options)


def _own(folder: Path) -> Path:
    """Look whether the operator's folder is whole: faster_whisper would fetch what is missing."""
    missing = [name for name in OWN_FILES if not (folder / name).is_file()]
    if missing:
        msg = f"LIKENESS_WHISPER_DIR: {folder} holds no {', '.join(missing)}"
        raise WeightsMissing(msg, hint="Give the folder of a Whisper that was made for CTranslate2.")
    return folder
