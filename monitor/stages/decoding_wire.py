"""What the decoder's parent and child say to each other: plain framed bytes, never pickles.

The child reads hostile files, so the parent believes nothing that it says: every header is checked
against the limits before a byte of its body is read.

    child -> parent   INFO, then FRAME*, then SOUND?, then END; or ERROR at any point
    each part         one byte of kind, eight bytes of length, that many bytes of body
    a shared child    says all this for one picture after the other
"""

from __future__ import annotations

import json
import os
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from monitor.values import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from monitor.settings import Settings

HEAD = struct.Struct("<BQ")
"""Kind of the part, length of its body in bytes."""

FRAME_HEAD = struct.Struct("<IdII")
"""Index, seconds from the start, width, height; width * height * 3 bytes of RGB follow."""

JSON_BYTES = 256 * 1024
"""Longest JSON body that the parent reads: a few hundred signals fit, a flood does not."""

PICTURE_PIXELS = 24_000_000
"""Larger pictures are scaled down to this: a camera's full picture fits, and a worker's memory is safe."""

LONG_SIDE = 1280
"""Frames of a video are scaled to this many pixels on their long side; the detector looks at 640."""

ANIMATION_FRAMES = 200
"""Frames of an animation that are looked at, spread over its length."""

SPARE_SECONDS = 30.0
"""Wall-clock seconds over the CPU limit that the parent waits: the machine may be busy."""


class Part(IntEnum):
    """The kinds of part that a child may send."""

    INFO = 1
    FRAME = 2
    SOUND = 3
    END = 4
    ERROR = 5


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What one decode may take. Pixels are those of a picture or frame before scaling.

    `cpu_seconds` is the child's own CPU time, `wall_seconds` how long the parent waits for it in all (the
    time in which the parent does other work does not count), `memory_mb` what the child may map over
    what its libraries already do.
    """

    max_pixels: int = 100_000_000
    max_seconds: float = 3600.0
    frames_per_second: float = 4.0
    cpu_seconds: float = 600.0
    wall_seconds: float = 630.0
    memory_mb: int = 2048

    @classmethod
    def of(cls, settings: Settings) -> DecodeLimits:
        """Take the limits that the operator set."""
        return cls(
            max_pixels=settings.max_pixels,
            max_seconds=settings.max_seconds,
            frames_per_second=settings.frames_per_second,
            cpu_seconds=settings.decode_seconds,
            wall_seconds=settings.decode_seconds + SPARE_SECONDS,
            memory_mb=settings.decode_memory_mb,
        )

    @property
    def most_frames(self) -> int:
        """More frames than this no honest child sends."""
        return max(ANIMATION_FRAMES, int(self.max_seconds * self.frames_per_second) + 2)

    @property
    def most_frame_pixels(self) -> int:
        """More pixels in one frame than this no honest child sends."""
        return min(self.max_pixels, PICTURE_PIXELS)

    @property
    def most_samples(self) -> int:
        """More samples of sound than this no honest child sends."""
        return int(self.max_seconds * SAMPLE_RATE)


@dataclass(frozen=True, slots=True)
class Job:
    """What a child is asked to do with the bytes in its hand.

    `frames` is False when only the sound is wanted. `trust_pem` is the operator's list of the signers of
    Content Credentials that count as trusted. `sizes`, where given, cuts the bytes into that many pictures,
    which are decoded one after the other (decoding_shared.py).
    """

    limits: DecodeLimits
    frames: bool = True
    signals: bool = True
    trust_pem: str = ""
    sizes: Sequence[int] = ()


class Outlet:
    """The child's end of the line to its parent."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def json(self, part: Part, said: dict[str, Any]) -> None:
        """Send a part whose body is JSON."""
        self._send(part, [json.dumps(said).encode()])

    def frame(self, index: int, at_s: float, rgb: NDArray[np.uint8]) -> None:
        """Send one frame; `rgb` is (h, w, 3) uint8 and contiguous."""
        height, width, _ = rgb.shape
        self._send(Part.FRAME, [FRAME_HEAD.pack(index, at_s, width, height), rgb.data.cast("B")])

    def sound(self, samples: bytearray) -> None:
        """Send the whole sound, 16-bit little-endian mono at SAMPLE_RATE, in one part."""
        self._send(Part.SOUND, [memoryview(samples)])

    def _send(self, part: Part, bodies: Sequence[bytes | memoryview]) -> None:
        length = sum(len(body) for body in bodies)
        for piece in (HEAD.pack(part, length), *bodies):
            view = memoryview(piece)
            while view:
                view = view[os.write(self._fd, view) :]
