"""Reads a sound file of a data set for a bench. Trusted files only: nothing here is limited or contained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np

from monitor.values import SAMPLE_RATE, Sound

if TYPE_CHECKING:
    from pathlib import Path


def read_sound(path: Path) -> Sound:
    """Decode to 16 kHz mono float32."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    with av.open(str(path)) as box:
        frames = [out for frame in box.decode(audio=0) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
    return Sound(np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float32))
