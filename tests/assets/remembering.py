"""Real models that are asked each question once in a run of the tests, however many tests ask it.

A network gives the same answer for the same bytes each time, and judging one clip takes seconds: so tests
that judge the same clip in different ways share what the networks said. Everything that is concluded from
that is made anew by each test. What is kept lies in a file of the run, by the model and the digest of what
it was asked; nothing outlives the run.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from monitor.values import Box, DetectedFace, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pytest
    from numpy.typing import NDArray

    from monitor.ml.interfaces import (
        FaceDetector,
        FaceRecogniser,
        Pack,
        SpeechDetector,
        VoiceModels,
        VoiceRecogniser,
    )
    from monitor.values import ModelId, Sound

    Numbers = NDArray[np.float64]

BUSY_S = 60.0
"""How long one process waits for another one to write down an answer."""


class Memory:
    """Bytes by name, in a file that all processes of one run share. Safe for threads."""

    def __init__(self, path: Path) -> None:
        """Open or make the file."""
        self._lock = threading.Lock()
        self._kept = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False, isolation_level=None)
        self._kept.execute("PRAGMA synchronous=OFF")
        self._kept.execute(
            "CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID"
        )

    def get(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Give what is kept under a name; make it, where nothing is. Of two makers the first is kept."""
        with self._lock:
            found = self._kept.execute("SELECT value FROM kept WHERE name = ?", (name,)).fetchone()
        if found is not None:
            return bytes(found[0])
        made = make()
        with self._lock:
            self._kept.execute("INSERT OR IGNORE INTO kept VALUES (?, ?)", (name, made))
        return made

    def numbers(self, model_id: ModelId, asked: Sequence[np.ndarray], make: Callable[[], Numbers]) -> Numbers:  # type: ignore[type-arg]
        """Give the answer of a model to arrays: (n, d) float64. What it raises is raised, and not kept."""
        digest = hashlib.blake2b(str(model_id).encode())
        for one in asked:
            digest.update(f"{one.shape} {one.dtype}".encode())
            digest.update(np.ascontiguousarray(one))

        def written() -> bytes:
            made = np.atleast_2d(make())
            return f"{made.shape[1]} ".encode() + made.astype(np.float64).tobytes()

        width, _, raw = self.get(digest.hexdigest(), written).partition(b" ")
        return np.frombuffer(raw, np.float64).reshape(-1, int(width))

    def close(self) -> None:
        """Close the file."""
        self._kept.close()


def memory_of_the_run(factory: pytest.TempPathFactory) -> Memory:
    """Open the one file of this run: next to the folders of the workers, where there are several."""
    folder = factory.getbasetemp()
    return Memory((folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "remembered.db")


def remembering(pack: Pack, memory: Memory) -> Pack:
    """Let a pack remember what its models answered."""
    faces = pack.faces and replace(
        pack.faces,
        detector=_Faces(pack.faces.detector, memory),
        recogniser=_FaceVectors(pack.faces.recogniser, memory),
    )
    return replace(pack, faces=faces, voices=pack.voices and _voices(pack.voices, memory))


def _voices(models: VoiceModels, memory: Memory) -> VoiceModels:
    return replace(
        models,
        detector=_Speech(models.detector, memory),
        recogniser=_VoiceVectors(models.recogniser, memory),
    )


@dataclass(frozen=True, slots=True)
class _Faces:
    real: FaceDetector
    memory: Memory

    @property
    def model_id(self) -> ModelId:
        return self.real.model_id

    def detect(self, image: NDArray[np.uint8]) -> tuple[DetectedFace, ...]:
        def asked() -> Numbers:
            found = self.real.detect(image)
            lines = [
                [f.box.x0, f.box.y0, f.box.x1, f.box.y1, f.score, *f.landmarks.ravel().tolist()]
                for f in found
            ]
            return np.asarray(lines, np.float64).reshape(-1, 15)

        return tuple(
            DetectedFace(Box(*map(float, one[:4])), one[5:].reshape(5, 2).astype(np.float32), float(one[4]))
            for one in self.memory.numbers(self.model_id, [image], asked)
        )


@dataclass(frozen=True, slots=True)
class _FaceVectors:
    real: FaceRecogniser
    memory: Memory

    @property
    def model_id(self) -> ModelId:
        return self.real.model_id

    @property
    def dimension(self) -> int:
        return self.real.dimension

    def embed(self, aligned: NDArray[np.uint8]) -> NDArray[np.float32]:
        kept = self.memory.numbers(
            self.model_id, [aligned], lambda: self.real.embed(aligned).astype(np.float64)
        )
        return kept.astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Speech:
    real: SpeechDetector
    memory: Memory

    @property
    def model_id(self) -> ModelId:
        return self.real.model_id

    def speech(self, sound: Sound) -> tuple[Span, ...]:
        def asked() -> Numbers:
            found = [(span.start_s, span.end_s) for span in self.real.speech(sound)]
            return np.asarray(found, np.float64).reshape(-1, 2)

        return tuple(
            Span(float(start), float(end))
            for start, end in self.memory.numbers(self.model_id, [sound.samples], asked)
        )


@dataclass(frozen=True, slots=True)
class _VoiceVectors:
    real: VoiceRecogniser
    memory: Memory

    @property
    def model_id(self) -> ModelId:
        return self.real.model_id

    @property
    def dimension(self) -> int:
        return self.real.dimension

    def embed(self, sounds: Sequence[Sound]) -> NDArray[np.float32]:
        asked = [sound.samples for sound in sounds]
        kept = self.memory.numbers(self.model_id, asked, lambda: self.real.embed(sounds).astype(np.float64))
        return kept.astype(np.float32)
