"""Films that are made when asked for: small to decode, as long in bytes as a test needs."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

import av
import numpy as np

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

RATE = 8000


FRAMES_A_SECOND = 5
FILLER = b"\0\0\0\1\x0c"
"""Begins a unit of H.264 that decoders pass over (ITU-T H.264, 7.3.2.7)."""


def shade_at(second: int) -> int:
    """Give the brightness of the frames of a second, 0 to 255."""
    return 40 + 9 * (second % 20)


def film(seconds: int, *, heavy: int = 0, is_front: bool = False, b_frames: int = 0) -> bytes:
    """Make an MP4 with a key frame every two seconds, whose brightness tells the time.

    Its sound is loud in each even second and still in each odd one. Every frame that is no key frame is made
    `heavy` bytes longer. `is_front` puts the index first.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"  # a file, for the index is put first by reading it again
        _write(path, seconds, heavy, b_frames, {"movflags": "faststart"} if is_front else {})
        return path.read_bytes()


def _write(path: Path, seconds: int, heavy: int, b_frames: int, options: dict[str, str]) -> None:
    with av.open(str(path), "w", format="mp4", options=options) as container:
        video = cast("VideoStream", container.add_stream("libx264", rate=FRAMES_A_SECOND))
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        video.options = {"preset": "ultrafast", "bf": str(b_frames), "g": "10", "sc_threshold": "0"}
        sound = cast("AudioStream", container.add_stream("aac", rate=RATE, layout="mono"))
        for second in range(seconds):
            for frame in _frames(second):
                _mux(container, video.encode(frame), heavy)
            container.mux(sound.encode(_sound(second)))
        _mux(container, video.encode(None), heavy)
        container.mux(sound.encode(None))


def _frames(second: int) -> list[av.VideoFrame]:
    picture = np.full((120, 160, 3), shade_at(second), np.uint8)
    picture[40:80, 60:100] += 30
    frames = []
    for number in range(FRAMES_A_SECOND):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = second * FRAMES_A_SECOND + number
        frames.append(frame)
    return frames


def _sound(second: int) -> av.AudioFrame:
    loud = np.sin(np.arange(RATE) * (2 * np.pi * 440 / RATE)) * (0.5 if second % 2 == 0 else 0.0)
    frame = av.AudioFrame.from_ndarray((loud * 32767).astype(np.int16)[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts = RATE, second * RATE
    return frame


def _mux(container: OutputContainer, packets: list[Packet[VideoStream]], heavy: int) -> None:
    for packet in packets:
        made = packet
        if heavy and not packet.is_keyframe:
            made = av.Packet(bytes(packet) + FILLER + b"\xff" * heavy + b"\x80")
            made.pts, made.dts, made.duration = packet.pts, packet.dts, packet.duration
            made.time_base, made.stream = packet.time_base, packet.stream
        container.mux(made)
