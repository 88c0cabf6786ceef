"""Sources of generated media under the names of `deploy/demo.lock`, so that no test needs the real ones."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from monitor.demo.sources import Sources, read_lock

if TYPE_CHECKING:
    from pathlib import Path


class MadeSources(Sources):
    """Gives noise of the right kind for every name."""

    def __init__(self, folder: Path) -> None:
        super().__init__(read_lock(), folder)

    def get(self, name: str) -> bytes:
        """Make the file, the same one each time."""
        seed = sum(name.encode())
        suffix = self.path(name).suffix
        if suffix in {".wav", ".raw"}:
            return sound(seed, header=suffix == ".wav")
        return picture(seed, "PNG" if suffix == ".png" else "JPEG")


def picture(seed: int, kind: str) -> bytes:
    small = np.random.default_rng(seed).integers(0, 255, (12, 8, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(small).resize((240, 360)).save(out, kind)
    return out.getvalue()


def sound(seed: int, *, header: bool) -> bytes:
    samples = np.random.default_rng(seed).integers(-9000, 9000, 32_000, dtype="<i2").tobytes()
    if not header:
        return samples
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(samples)
    return out.getvalue()
