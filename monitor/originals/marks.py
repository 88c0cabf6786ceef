"""What an original's copies are known by: hashes and standing-out points of pictures, a print of the sound.

They are made once, when it is registered, and kept sealed (shelf.py). Arrays only: nothing in them runs.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.errors import Tampered
from monitor.originals.aligning import MOST_POINTS, Points, points
from monitor.originals.sound_prints import sound_print
from monitor.stages.picture_hash import BYTES, picture_hashes
from monitor.values import MediaKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.ml.synthetic.interfaces import Clip
    from monitor.stages.decode import DecodeLimits

VERSION: Final = 1

MOST_FRAMES: Final = 80
"""Frames of a video by which it is known, spread over its first MOST_S seconds."""

MOST_S: Final = 300.0
"""Seconds of a video or sound that are compared: decoding them takes some 40 s of a core at 1080 lines. What
comes later is kept, and not looked at."""

FRAME_POINTS: Final = 300
"""Points kept of one frame of a video: 40 kB."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What one original is known by.

    `at_s` (n,) float32 are the seconds of the frames, `hashes` (n, BYTES) uint8 and `points` theirs.
    `sound` is (m,) uint32 (sound_prints.py), empty without sound. `seconds` is its length as looked at.
    """

    kind: MediaKind
    seconds: float
    at_s: NDArray[np.float32]
    hashes: NDArray[np.uint8]
    points: tuple[Points, ...]
    sound: NDArray[np.uint32]


def limited(limits: DecodeLimits, frames_per_second: float = 2.0) -> DecodeLimits:
    """Give the limits under which an original is decoded."""
    most_s = min(limits.max_seconds, MOST_S)
    return replace(limits, max_seconds=most_s, frames_per_second=frames_per_second)


def frames_per_second(seconds: float) -> float:
    """Give how many frames a second of a video this long are enough."""
    return min(2.0, MOST_FRAMES / max(1.0, min(seconds, MOST_S)))


def marks_of(clip: Clip) -> Marks:
    """Read a decoded original to its end. Raises what the decoder raises."""
    still = clip.info.kind is MediaKind.IMAGE
    at_s: list[float] = []
    hashes, found = [], []
    step = 1.0 / frames_per_second(clip.info.duration_s)
    for frame in clip.frames():
        late = bool(at_s) and frame.at_s < at_s[-1] + 0.95 * step
        if late or len(at_s) >= MOST_FRAMES or frame.at_s > MOST_S:
            continue
        at_s.append(frame.at_s)
        hashes.append(picture_hashes(frame.rgb)[0])
        found.append(points(frame.rgb, MOST_POINTS if still else FRAME_POINTS))
    sound = clip.sound() if clip.info.has_sound else None
    samples = np.zeros(0, np.float32) if sound is None else sound.samples
    return Marks(
        clip.info.kind,
        float(clip.info.duration_s),
        np.array(at_s, np.float32),
        np.stack(hashes) if hashes else np.zeros((0, BYTES), np.uint8),
        tuple(found),
        sound_print(samples[: int(MOST_S * 16_000)]),
    )


def packed(marks: Marks) -> bytes:
    """Give the bytes that `unpacked` reads."""
    counts = [len(one.xy) for one in marks.points]
    out = io.BytesIO()
    none = np.zeros((0, 2), np.float32), np.zeros((0, 128), np.uint8)
    np.savez(
        out,
        head=np.array([VERSION, marks.seconds, list(MediaKind).index(marks.kind)], np.float64),
        at_s=marks.at_s,
        hashes=marks.hashes,
        sound=marks.sound,
        counts=np.array(counts, np.int32),
        sizes=np.array([one.size for one in marks.points], np.int32).reshape(-1, 2),
        xy=np.concatenate([none[0], *(one.xy for one in marks.points)]),
        looks=np.concatenate([none[1], *(one.looks for one in marks.points)]),
    )
    return out.getvalue()


def unpacked(data: bytes) -> Marks:
    """Read what `packed` wrote. Raises Tampered where it is something else."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as read:
            version, seconds, kind = read["head"]
            if version != VERSION:
                msg = "the marks of an original are of a version not known here"
                raise Tampered(msg)
            cuts = np.cumsum(read["counts"])[:-1]
            parts = zip(
                np.split(read["xy"], cuts),
                np.split(read["looks"], cuts),
                read["sizes"].tolist(),
                strict=False,
            )
            found = (
                tuple(Points(xy, looks, (w, h)) for xy, looks, (w, h) in parts) if len(read["counts"]) else ()
            )
            return Marks(
                list(MediaKind)[int(kind)], float(seconds), read["at_s"], read["hashes"], found, read["sound"]
            )
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as exc:
        msg = "the marks of an original cannot be read"
        raise Tampered(msg) from exc
