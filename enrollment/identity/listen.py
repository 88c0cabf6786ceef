"""What is said in a clip: Whisper (Radford et al. 2022, arXiv 2212.04356), run by CTranslate2.

Two come with the packs: Whisper tiny.en for English, and the multilingual base for every other language of
digits.py. An operator who has a better multilingual one (any size, in CTranslate2's form) names its folder in
LIKENESS_WHISPER_DIR; then that one hears everything. Nothing is ever fetched here.

The listener is never told which digits were asked: with a prompt, Whisper writes what it was told to expect.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from enrollment.identity.digits import LANGUAGES
from monitor.errors import WeightsMissing
from monitor.ml.weights import path_of
from monitor.values import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from monitor.settings import Settings
    from monitor.values import Sound

ENGLISH, MULTILINGUAL, OWN = "whisper-tiny-en", "whisper-base", "own"
"""The networks: the two that come with the packs, and the operator's."""


def files_of(network: str) -> Mapping[str, str]:
    """Give name of a file where the network looks for it -> its name in weights.lock."""
    stem = network.replace("-", "_")
    names = ("config.json", "tokenizer.json", "vocabulary.txt")
    return {"model.bin": f"{stem}.bin"} | {name: f"{stem}_{name}" for name in names}


OWN_FILES: Final = ("model.bin", "config.json", "tokenizer.json")
"""What an operator's own folder must hold; a vocabulary too, whose name differs from model to model."""

KEPT_FOR: Final = timedelta(minutes=10)
"""How long a network stays in memory (some 150 and 250 MB) after the last clip; it loads in half a second."""

BEAM: Final = 5
THREADS: Final = 2

MOST_TOKENS: Final = 48
"""Tokens of one transcript: six digits take some 15 with commas; a network that begins to repeat itself is
stopped here."""

SILENT, UNSURE = 0.6, -1.0
"""Probability that a window holds no speech, and mean log probability of its words, beyond which both words
are not believed: Whisper's own. By the first alone rows of clearly spoken digits were lost."""

AROUND: Final = SAMPLE_RATE // 2
"""Samples of silence that are put before and after: a word that begins with the sound is missed easily."""

QUIET_PEAK: Final = 1e-3
"""A sound whose highest sample is below this, 60 dB under full scale, holds nothing to listen to."""


@dataclass(slots=True)
class Listener:
    """Hears what is said. A network is loaded at its first clip, and freed by `rest`. Safe for threads."""

    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _networks: dict[str, Any] = field(default_factory=dict, repr=False)
    _used_at: datetime | None = None

    def hear(self, settings: Settings, sound: Sound, language: str, now: datetime) -> str | None:
        """Give what was said; None where the network does not know the language: "could not listen".

        Raises WeightsMissing, WeightsDiffer.
        """
        if language not in LANGUAGES:
            return None
        which = OWN if settings.whisper_dir is not None else ENGLISH if language == "en" else MULTILINGUAL
        samples = _levelled(sound.samples)
        if samples is None:
            return ""
        with self._lock:
            self._used_at = now
            if which not in self._networks:
                self._networks[which] = _load(settings, which)
            network = self._networks[which]
            if language not in network.supported_languages:
                return None
            return _transcribe(network, samples, language)

    def rest(self, now: datetime) -> None:
        """Free the networks when none was used for a while. Cheap where there is nothing to do."""
        if self._used_at is None or now - self._used_at < KEPT_FOR:
            return
        with self._lock:
            self._networks, self._used_at = {}, None

    @property
    def loaded(self) -> bool:
        """Whether a network is in memory."""
        return bool(self._networks)


def _transcribe(network: Any, samples: np.ndarray[Any, Any], language: str) -> str:  # noqa: ANN401 - no types
    """Write down what is said, at temperature 0: the same clip gives the same words every time."""
    segments, _ = network.transcribe(
        samples,
        language=language,
        task="transcribe",
        beam_size=BEAM,
        temperature=0.0,
        condition_on_previous_text=False,
        initial_prompt=None,
        hotwords=None,
        without_timestamps=True,
        max_new_tokens=MOST_TOKENS,
        no_speech_threshold=SILENT,
        log_prob_threshold=UNSURE,
    )
    return " ".join(segment.text.strip() for segment in segments)


def _levelled(samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
    """Bring the highest sample to one half, as recordings mostly are, with silence around it.

    None for a sound that holds nothing.
    """
    peak = float(np.max(np.abs(samples), initial=0.0))
    return None if peak < QUIET_PEAK else np.pad(np.asarray(samples * (0.5 / peak), np.float32), AROUND)


def _load(settings: Settings, which: str) -> Any:  # noqa: ANN401 - faster_whisper has no types
    """Load the network from bytes whose digests were checked; from the operator's folder as it is."""
    from faster_whisper import WhisperModel  # noqa: PLC0415 - only who listens waits for it

    options = {"device": "cpu", "compute_type": "int8", "cpu_threads": THREADS}
    if settings.whisper_dir is not None:
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
