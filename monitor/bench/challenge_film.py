"""A made clip: pictures with sound, as a browser's recorder or a camera of its own would give them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import av
import numpy as np

from monitor.values import SAMPLE_RATE, Frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

RATE: Final = 15
"""Frames a second: what a phone's camera gives in a dim room."""

BITS: Final = 1_500_000
"""Bits a second of the pictures; browsers record 640x480 with 1 to 2.5 million."""

OPUS_RATE: Final = 48_000

VP8: Final = {"deadline": "realtime", "cpu-used": "16", "threads": "1"}
H264: Final = {"preset": "ultrafast", "threads": "1"}
"""How the encoders work. On two busy cores threads of libvpx wait for each other by spinning: five seconds of
640x480 took 5.3 CPU seconds with them and takes 0.4 without."""


@dataclass(frozen=True, slots=True)
class Film:
    """n frames (n, h, w, 3) uint8 RGB at `rate`, and (m,) float32 sound at 16 kHz of the same length."""

    frames: NDArray[np.uint8]
    sound: NDArray[np.float32]
    rate: int = RATE

    @property
    def seconds(self) -> float:
        """Length of the pictures."""
        return len(self.frames) / self.rate

    def webm(self, bits: int = BITS) -> bytes:
        """Write VP8 and Opus in WebM, as Chromium's and Firefox's MediaRecorder do."""
        return self._written("webm", "libvpx", "libopus", bits, VP8)

    def mp4(self, bits: int = BITS) -> bytes:
        """Write H.264 and AAC in MP4, as Safari's MediaRecorder does."""
        return self._written("mp4", "libx264", "aac", bits, H264)

    def fake_devices(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write what Chromium takes for a camera (MJPEG) and a microphone (WAV): their two paths."""
        camera, microphone = folder / f"{name}.mjpeg", folder / f"{name}.wav"
        with av.open(str(camera), "w", format="mjpeg") as container:
            _pictures(container, "mjpeg", self, 0, {"q:v": "3"})
        with av.open(str(microphone), "w", format="wav") as container:
            _sound(container, "pcm_s16le", self.sound)
        return camera, microphone

    def shown(self, per_second: float = RATE) -> Iterator[Frame]:
        """Give the frames as the decoder would, without any codec in between."""
        step = self.rate / per_second
        for index in range(int(len(self.frames) / step)):
            number = int(index * step)
            yield Frame(index, number / self.rate, self.frames[number])

    def _written(self, kind: str, pictures: str, sound: str, bits: int, options: dict[str, str]) -> bytes:
        out = io.BytesIO()
        with av.open(out, "w", format=kind) as container:
            # both streams must be known before the first packet goes out
            voice = container.add_stream(sound, rate=OPUS_RATE, layout="mono")
            _pictures(container, pictures, self, bits, options)
            _fill(container, voice, self.sound)
        return out.getvalue()


def _pictures(
    container: Any,  # noqa: ANN401 - PyAV's containers have no common type
    codec: str,
    film: Film,
    bits: int,
    options: dict[str, str],
) -> None:
    stream = container.add_stream(codec, rate=film.rate, options=options)
    stream.height, stream.width = film.frames.shape[1:3]
    stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    if bits:
        stream.bit_rate = bits
    for rgb in film.frames:
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")))
    container.mux(stream.encode())


def _sound(container: Any, codec: str, samples: NDArray[np.float32]) -> None:  # noqa: ANN401 - as above
    _fill(container, container.add_stream(codec, rate=SAMPLE_RATE, layout="mono"), samples)


def _fill(container: Any, stream: Any, samples: NDArray[np.float32]) -> None:  # noqa: ANN401 - as above
    pcm = (np.clip(samples, -1, 1) * 32767).astype(np.int16)[None, :]
    frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
    frame.sample_rate = SAMPLE_RATE
    codec = stream.codec_context
    resampler = av.AudioResampler(
        format=codec.format or "s16", layout="mono", rate=stream.rate, frame_size=codec.frame_size or None
    )
    for piece in (*resampler.resample(frame), *resampler.resample(None)):
        container.mux(stream.encode(piece))
    container.mux(stream.encode())
