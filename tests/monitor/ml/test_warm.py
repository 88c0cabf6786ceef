"""Warming up: every model of a pack runs once, from every thread that will use it."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import numpy as np

from monitor.ml.warm import warm


class Noted:
    """A model that notes what it was asked, and by whom."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.together = threading.Barrier(2, timeout=10)

    def detect(self, image: Any) -> tuple[()]:
        """See FaceDetector.detect."""
        self.together.wait()  # fails unless two threads are here at once
        self.asked.append(("detect", image.ndim))
        return ()

    def embed(self, taken: Any) -> Any:
        """See FaceRecogniser.embed."""
        self.asked.append(("embed", len(taken)))
        return np.zeros((len(taken), 4), np.float32)

    def speech(self, sound: Any) -> tuple[()]:
        """See SpeechDetector.speech."""
        self.asked.append(("speech", round(sound.seconds)))
        return ()


def pack_of(faces: Noted | None, voices: Noted | None) -> Any:
    def half(model: Noted | None) -> Any:
        return None if model is None else SimpleNamespace(detector=model, recogniser=model)

    return SimpleNamespace(faces=half(faces), voices=half(voices))


def test_each_thread_runs_each_model_once() -> None:
    faces, voices = Noted(), Noted()
    warm(pack_of(faces, voices), 2)
    assert sorted(faces.asked) == [("detect", 3)] * 2 + [("embed", 4)] * 2
    assert sorted(voices.asked) == [("embed", 1)] * 2 + [("speech", 4)] * 2


def test_a_pack_without_voices_is_warmed_too() -> None:
    faces = Noted()
    warm(pack_of(faces, None), 2)
    assert len(faces.asked) == 4
