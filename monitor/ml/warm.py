"""Runs every model once before the first item: what a network takes at its first run, it takes then."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.values import SAMPLE_RATE, Sound

if TYPE_CHECKING:
    from monitor.ml.interfaces import Pack

SIDE: Final = 640
"""Pixels of the picture that is looked at: the size that most looks have."""

FACES: Final = 4
"""Faces that are embedded: with their mirrored copies, the largest batch of a CPU."""

SECONDS: Final = 4
"""Seconds of the silence that is listened to."""


def warm(pack: Pack, threads: int) -> None:
    """Run all models of the pack on nothing, from as many threads as will use them (0: one per core).

    A network's memory is taken, and its first pages are touched, when it first runs: a fifth of a second
    that the first items of a worker would wait otherwise.
    """
    count = threads or os.cpu_count() or 1
    crew = [threading.Thread(target=_once, args=(pack,), name="warm") for _ in range(count)]
    for one in crew:
        one.start()
    for one in crew:
        one.join()


def _once(pack: Pack) -> None:
    if pack.faces is not None:
        pack.faces.detector.detect(np.zeros((SIDE, SIDE, 3), np.uint8))
        pack.faces.recogniser.embed(np.zeros((FACES, 112, 112, 3), np.uint8))
    if pack.voices is not None:
        silence = Sound(np.zeros(SECONDS * SAMPLE_RATE, np.float32))
        pack.voices.detector.speech(silence)
        pack.voices.recogniser.embed([silence])
