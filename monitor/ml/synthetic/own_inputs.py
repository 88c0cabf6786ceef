"""What an operator's own detector is given of a sighting: face crops, whole pictures, or pieces of sound."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from monitor.values import SAMPLE_RATE, Abstention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.ml.synthetic.interfaces import Look, Sighting
    from monitor.ml.synthetic.own_manifest import Input

MOST_PIECES: Final = 4
"""Pictures or pieces of sound of one sighting that a detector is asked about: the best, or the first."""

SHARE_OF_SPEECH: Final = 0.5
"""Part of a window that must be speech: what is shorter is repeated, and a repeated second says little."""


def pieces(sighting: Sighting, wanted: Input) -> Sequence[NDArray[np.generic]] | Abstention:
    """Give (side, side, 3) uint8 RGB pictures or (samples,) float32 sounds, or why there are none."""
    if wanted.what == "sound":
        return _sounds(sighting, wanted.samples)
    looks = sorted(sighting.looks, key=lambda look: -look.face.quality)[:MOST_PIECES]
    if not looks:
        return Abstention.NO_FACE
    if wanted.what == "face":
        return [cut(look, wanted.side, wanted.widen) for look in looks]
    return [resized(look.rgb, wanted.side) for look in looks]


def cut(look: Look, side: int, widen: float) -> NDArray[np.generic]:
    """Cut a square around a face, `widen` times its box; beyond the picture's edge its edge goes on."""
    box = look.face.box
    half = max(box.width, box.height) * widen / 2
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    reach = int(np.ceil(half)) + 1
    top, left = int(y) - reach, int(x) - reach
    rows = np.clip(np.arange(top, top + 2 * reach + 1), 0, look.rgb.shape[0] - 1)
    columns = np.clip(np.arange(left, left + 2 * reach + 1), 0, look.rgb.shape[1] - 1)
    return resized(np.ascontiguousarray(look.rgb[np.ix_(rows, columns)]), side)


def resized(rgb: NDArray[np.uint8], side: int) -> NDArray[np.generic]:
    """Make a (h, w, 3) picture a square of this side."""
    how = cv2.INTER_AREA if min(rgb.shape[:2]) > side else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, (side, side), interpolation=how), np.uint8)


def _sounds(sighting: Sighting, samples: int) -> Sequence[NDArray[np.generic]] | Abstention:
    if not sighting.turns:
        return Abstention.NO_SPEECH
    own = np.concatenate([turn.sound.samples for turn in sighting.turns])
    if len(own) < samples * SHARE_OF_SPEECH:
        return Abstention.TOO_LITTLE_SPEECH
    return windows(own, samples)


def windows(sound: NDArray[np.float32], samples: int) -> Sequence[NDArray[np.generic]]:
    """Cut a sound into pieces of this length; one that is shorter is repeated, an empty one gives none."""
    if not len(sound):
        return []
    whole = np.resize(sound, max(samples, len(sound)))
    starts = range(0, len(whole) - samples + 1, samples)
    return [np.ascontiguousarray(whole[start : start + samples]) for start in starts][:MOST_PIECES]


def blank(wanted: Input) -> NDArray[np.generic]:
    """Give a piece that shows nobody: grey, or silence."""
    if wanted.what == "sound":
        return np.zeros(wanted.samples, np.float32)
    return np.full((wanted.side, wanted.side, 3), 128, np.uint8)


def png(rgb: NDArray[np.generic]) -> bytes:
    """Write a picture as PNG."""
    done, data = cv2.imencode(".png", np.asarray(rgb)[..., ::-1])
    assert done  # noqa: S101 - a PNG of pixels that we made
    return data.tobytes()


def wav(samples: NDArray[np.generic]) -> bytes:
    """Write a sound as WAV, 16 bits, mono, SAMPLE_RATE."""
    into = io.BytesIO()
    with wave.open(into, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(SAMPLE_RATE)
        sound.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return into.getvalue()


def tensor(piece: NDArray[np.generic], wanted: Input) -> NDArray[np.float32]:
    """Make of one piece what a graph takes: a batch of one."""
    if wanted.what == "sound":
        return np.asarray(piece, np.float32)[None]
    mean, std = np.array(wanted.mean, np.float32), np.array(wanted.std, np.float32)
    pixels = (np.asarray(piece, np.float32) / np.float32(wanted.scale) - mean) / std
    if wanted.colour == "bgr":
        pixels = pixels[..., ::-1]
    ordered = pixels.transpose(2, 0, 1) if wanted.layout == "nchw" else pixels
    return np.ascontiguousarray(ordered[None], np.float32)
