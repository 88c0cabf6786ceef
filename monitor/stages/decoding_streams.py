"""Video and sound, by FFmpeg through PyAV, inside the child: both streams in one pass over the file."""

from __future__ import annotations

import io
import time
from dataclasses import asdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import av
import av.logging
import numpy as np

from monitor.errors import TooManyPixels, Unreadable
from monitor.ml.synthetic import declared
from monitor.stages.decoding_hash import perceptual_hash
from monitor.stages.decoding_wire import LONG_SIDE, DecodeLimits, Job, Outlet, Part
from monitor.values import SAMPLE_RATE, MediaKind

if TYPE_CHECKING:
    from typing import BinaryIO

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    from monitor.values import SyntheticSignal

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,mpegvideo,asf,"
    "ogg,wav,w64,mp3,aac,flac,aiff,amr,caf"
)
"""FFmpeg's readers that may run. Playlists and scripts, which name other files, are not among them."""

CPU_SHARE = 0.9
"""A decode that has used this share of its CPU limit stops by itself and hands over what it has."""

GAP_SAMPLES = SAMPLE_RATE // 10
"""A hole in the sound longer than this is filled with silence, so that seconds stay seconds."""

SKIP_FROM = 4
"""From this many frames for one looked at, those that no other frame needs are not decoded."""

MISSING_S, MISSING_SHARE = 1.0, 0.95
"""A file that ends more than this before its announced end was cut off; headers are never exact."""

FLAT = 4.0
"""Standard deviation of brightness (0 to 255) under which a frame is too plain to be hashed."""


def decode(stream: BinaryIO, job: Job, signals: tuple[SyntheticSignal, ...], outlet: Outlet) -> None:
    """Send the frames that are looked at as they come, then the sound.

    Raises Unreadable, TooManyPixels, and whatever PyAV raises before the first frame. After the first
    frame or sound, damage ends the reading and is told in the note.
    """
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": ""}
    with av.open(stream, options=options, metadata_errors="ignore") as container:
        tags = declared.in_tags(container.metadata) if job.signals else ()
        _Reading(container, job, outlet).run([asdict(signal) for signal in declared.once((*signals, *tags))])


def samples() -> list[bytes]:
    """Set FFmpeg up, and make a tenth of a second of silence beside a black picture."""
    av.logging.set_level(av.logging.PANIC)
    into = io.BytesIO()
    with av.open(into, "w", format="matroska") as container:
        video, audio = container.add_stream("mpeg4", rate=25), container.add_stream("pcm_s16le", rate=8000)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio.layout = "mono"
        sound = av.AudioFrame(format="s16", layout="mono", samples=800)
        sound.sample_rate = 8000
        for stream, frame in ((video, av.VideoFrame(64, 48, "yuv420p")), (audio, sound)):
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return [into.getvalue()]


class _Reading:
    """One pass over one file."""

    def __init__(self, container: InputContainer, job: Job, outlet: Outlet) -> None:
        self._container = container
        self._limits = job.limits
        video = container.streams.best("video") if job.frames or not container.streams.audio else None
        audio = container.streams.best("audio")
        if video is None and audio is None:
            msg = "there is neither a picture nor a sound in it"
            raise Unreadable(msg)
        start_s = max(0, container.start_time or 0) / av.time_base
        self._video = _Pictures(cast("VideoStream", video), job.limits, outlet, start_s) if video else None
        self._audio = _Samples(cast("AudioStream", audio), job.limits, start_s) if audio else None
        self._damaged = 0
        self._outlet = outlet

    def run(self, signals: list[dict[str, Any]]) -> None:
        said = self._header() | {"signals": signals}
        self._outlet.json(Part.INFO, said)
        stopped = self._read()
        if not (self._video and self._video.seen) and not (self._audio and self._audio.length):
            msg = stopped or "nothing in it could be decoded"
            raise Unreadable(msg)
        if self._audio is not None and self._audio.length:
            self._outlet.sound(self._audio.samples)
        self._outlet.json(Part.END, self._ending(stopped, said["duration_s"]))

    def _header(self) -> dict[str, Any]:
        width, height = self._video.size if self._video else (0, 0)
        moving = self._video is not None and not self._video.cover
        duration_s = (self._container.duration or 0) / av.time_base
        most_s = self._limits.max_seconds
        return {
            "kind": (MediaKind.VIDEO if moving else MediaKind.AUDIO).value,
            "width": width,
            "height": height,
            "duration_s": max(0.0, duration_s),
            "has_sound": self._audio is not None,
            "note": f"first {most_s:.0f} s of {duration_s:.0f} s" if duration_s > most_s + 1 else "",
        }

    def _read(self) -> str:
        """Read until everything wanted is there. Gives the reason for stopping before that, or nothing."""
        readers = {reader.index: reader for reader in (self._video, self._audio) if reader is not None}
        try:
            for packet in self._container.demux([reader.stream for reader in readers.values()]):
                reader = readers[packet.stream.index]
                if not reader.done:
                    self._take(reader, packet)
                if all(reader.done for reader in readers.values()):
                    return ""
                if time.process_time() > CPU_SHARE * self._limits.cpu_seconds:
                    return f"decoding stopped at second {self._reached_s():.0f}: it takes too long"
        except (av.error.FFmpegError, EOFError) as exc:
            return f"damaged from second {self._reached_s():.0f} on: {exc}"
        return ""

    def _take(self, reader: _Pictures | _Samples, packet: Packet[Any]) -> None:
        try:
            reader.take(packet)
        except (av.error.InvalidDataError, av.error.UndefinedError, EOFError):
            self._damaged += 1

    def _reached_s(self) -> float:
        return max(
            self._video.reached_s if self._video else 0.0,
            self._audio.length / SAMPLE_RATE if self._audio else 0.0,
        )

    def _ending(self, stopped: str, duration_s: float) -> dict[str, Any]:
        damage = f"{self._damaged} damaged pieces were left out" if self._damaged else ""
        return {
            "note": "; ".join(filter(None, (stopped or self._cut_short(duration_s), damage))),
            "duration_s": max(duration_s, self._reached_s()),
            "perceptual_hash": self._video.hash if self._video else "",
        }

    def _cut_short(self, duration_s: float) -> str:
        """Say that a file ended before the end that it announces."""
        reached_s, due_s = self._reached_s(), min(duration_s, self._limits.max_seconds)
        usual_s = self._video.usual_s if self._video else 0.0
        if self._video is not None and self._video.cover:
            return ""
        if reached_s + usual_s + MISSING_S >= due_s * MISSING_SHARE:
            return ""
        return f"the file ends at second {reached_s:.0f} of {duration_s:.0f}"


class _Pictures:
    """The pictures of a file: sampled, scaled, turned upright, and sent at once."""

    def __init__(self, stream: VideoStream, limits: DecodeLimits, outlet: Outlet, start_s: float) -> None:
        self.stream, self.index = stream, stream.index
        self.cover = bool(stream.disposition & av.stream.Disposition.attached_pic)
        self.done, self.seen, self.reached_s, self.hash = False, 0, 0.0, ""
        self._limits, self._outlet, self._start_s = limits, outlet, start_s
        self._due_s = 0.0
        self._step_s = 1 / limits.frames_per_second
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        self.usual_s = 1 / rate
        codec = stream.codec_context
        codec.thread_count = 1  # the child may start no threads, and the next item has the other core
        if rate * self._step_s >= SKIP_FROM:
            codec.skip_frame = "NONREF"
        self._check(codec.width, codec.height)
        self.size = _fitted(codec.width, codec.height, stream.sample_aspect_ratio)

    def take(self, packet: Packet[Any]) -> None:
        """Decode what is in the packet and send the frames that are due."""
        for frame in packet.decode():
            at_s = frame.time - self._start_s if frame.time is not None else self.reached_s + self.usual_s
            self.reached_s = max(0.0, at_s)
            if self.reached_s > self._limits.max_seconds:
                self.done = True
                return
            if self.reached_s + self.usual_s / 2 >= self._due_s:
                self._send(frame)
            self.done = self.cover

    def _send(self, frame: VideoFrame) -> None:
        self._check(frame.width, frame.height)
        width, height = _fitted(frame.width, frame.height, self.stream.sample_aspect_ratio)
        small = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA", threads=1)
        rgb = _upright(cast("NDArray[np.uint8]", small.to_ndarray()), frame.rotation)
        if not self.hash and rgb[::8, ::8].std() > FLAT:
            self.hash = perceptual_hash(rgb)
        self._outlet.frame(self.seen, self.reached_s, rgb)
        self.seen += 1
        self._due_s = max(self._due_s + self._step_s, self.reached_s + self._step_s / 2)

    def _check(self, width: int, height: int) -> None:
        if width * height > self._limits.max_pixels:
            msg = f"frames of {width} x {height} are more than the {self._limits.max_pixels} pixels decoded"
            raise TooManyPixels(msg)


class _Samples:
    """The sound of a file: mixed to one channel, resampled, kept until the pictures are through."""

    def __init__(self, stream: AudioStream, limits: DecodeLimits, start_s: float) -> None:
        self.stream, self.index = stream, stream.index
        self.done, self.length = False, 0
        self.samples = bytearray()
        self._most, self._start_s = limits.most_samples, start_s
        stream.codec_context.thread_count = 1
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)

    def take(self, packet: Packet[Any]) -> None:
        """Decode what is in the packet; the empty packet at the end flushes."""
        for frame in packet.decode():
            self._fill_gap(cast("AudioFrame", frame))
            for made in self._resampler.resample(frame):
                self._keep(made.to_ndarray().tobytes())
        if packet.size == 0:
            for made in self._resampler.resample(None):
                self._keep(made.to_ndarray().tobytes())

    def _fill_gap(self, frame: AudioFrame) -> None:
        if frame.time is None:
            return
        missing = round((frame.time - self._start_s) * SAMPLE_RATE) - self.length
        if missing > GAP_SAMPLES:
            self._keep(bytes(2 * min(missing, self._most)))

    def _keep(self, samples: bytes) -> None:
        samples = samples[: 2 * (self._most - self.length)]
        self.samples += samples
        self.length += len(samples) // 2
        self.done = self.length >= self._most


def _fitted(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Give the size that shows square pixels and is at most LONG_SIDE long."""
    shape = float(aspect) if aspect and Fraction(1, 8) < aspect < 8 else 1.0
    wide = width * shape
    shrink = min(1.0, LONG_SIDE / max(wide, height, 1))
    return max(1, round(wide * shrink)), max(1, round(height * shrink))


def _upright(rgb: NDArray[np.uint8], rotation: int) -> NDArray[np.uint8]:
    """Turn a frame as its camera was held; `rotation` is in degrees counter-clockwise."""
    return np.ascontiguousarray(np.rot90(rgb, round(rotation / 90)))
