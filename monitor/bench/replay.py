"""The yardsticks of the pipeline: its own model calls replayed from memory, and a naive loop."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitor.errors import ConfigError, MediaError
from monitor.ml.align import align
from monitor.stages.turns import turns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.ml.interfaces import Pack
    from monitor.stages.decode import Clip
    from monitor.tools import Tools
    from monitor.values import DetectedFace, Sound, Span

MOST_RECORDED: Final = 3 * 2**30
"""Bytes of model input kept for the replay; more media than that needs --limit."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a model: what was called, with what."""

    function: Callable[[Any], object]
    argument: Any


@dataclass(slots=True)
class Record:
    """All model calls of one run, from any thread."""

    calls: list[Call] = field(default_factory=list)
    held: int = 0

    def add(self, function: Callable[[Any], object], argument: object, size: int) -> None:
        """Keep one call. Raises ConfigError when there are too many to keep."""
        self.held += size
        if self.held > MOST_RECORDED:
            msg = f"the media make more than {MOST_RECORDED >> 30} GiB of model input"
            raise ConfigError(msg, hint="Take fewer files with --limit.")
        self.calls.append(Call(function, argument))


@dataclass(frozen=True, slots=True)
class _Part:
    """One model whose calls are recorded; everything else is the model's own."""

    inner: Any
    record: Record

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the model has
        return getattr(self.inner, name)

    def detect(self, image: NDArray[np.uint8]) -> tuple[DetectedFace, ...]:
        """Record and pass on."""
        self.record.add(self.inner.detect, image, image.nbytes)
        found: tuple[DetectedFace, ...] = self.inner.detect(image)
        return found

    def speech(self, sound: Sound) -> tuple[Span, ...]:
        """Record and pass on."""
        self.record.add(self.inner.speech, sound, sound.samples.nbytes)
        found: tuple[Span, ...] = self.inner.speech(sound)
        return found

    def embed(self, taken: Any) -> NDArray[np.float32]:  # noqa: ANN401 - faces as an array, sounds as a list
        """Record and pass on."""
        size = taken.nbytes if isinstance(taken, np.ndarray) else sum(map(_own_bytes, taken))
        self.record.add(self.inner.embed, taken, size)
        vectors: NDArray[np.float32] = self.inner.embed(taken)
        return vectors


def _own_bytes(sound: Sound) -> int:
    """Count the samples of a sound that was put together; others are views of one recorded before."""
    return sound.samples.nbytes if sound.samples.base is None else 0


def recording(pack: Pack, record: Record) -> Pack:
    """Give the pack with every call written into `record`."""
    faces, voices = pack.faces, pack.voices
    if faces is not None:
        faces = replace(
            faces, detector=_Part(faces.detector, record), recogniser=_Part(faces.recogniser, record)
        )
    if voices is not None:
        voices = replace(
            voices, detector=_Part(voices.detector, record), recogniser=_Part(voices.recogniser, record)
        )
    return replace(pack, faces=faces, voices=voices)


def replay(calls: Sequence[Call], threads: int) -> float:
    """Make the calls again, by so many threads; give the seconds of wall time."""
    waiting: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
    for call in (*calls, *[None] * threads):
        waiting.put(call)

    def work() -> None:
        while (call := waiting.get()) is not None:
            call.function(call.argument)

    crew = [threading.Thread(target=work, name="replay") for _ in range(threads)]
    began = time.perf_counter()
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    return time.perf_counter() - began


def naive(files: Sequence[Path], tools: Tools) -> float:
    """Look at one file, one frame, one face after the other; give the seconds of wall time."""
    began = time.perf_counter()
    for path in files:
        try:
            with tools.decoder.start(path.read_bytes()) as clip:
                _faces(clip, tools.pack)
                _voices(clip, tools.pack)
        except MediaError:
            continue
    return time.perf_counter() - began


def _faces(clip: Clip, pack: Pack) -> None:
    for frame in clip.frames():
        if pack.faces is None:
            continue
        for face in pack.faces.detector.detect(frame.rgb):
            pack.faces.recogniser.embed(align(frame.rgb, face.landmarks)[None])


def _voices(clip: Clip, pack: Pack) -> None:
    sound = clip.sound() if clip.info.has_sound else None
    if sound is None or pack.voices is None:
        return
    for turn in turns(sound, pack.voices)[0]:
        pack.voices.recogniser.embed([turn.sound])
