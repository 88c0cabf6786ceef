"""Podcasts and videos for the demo site, made of its pictures and speech with PyAV."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
from PIL import Image

from monitor.values import SAMPLE_RATE, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

Window = tuple[float, float, float, float]

FRAMES_PER_SECOND = 8
"""Enough for a slow pan; every frame costs time to encode."""

VIDEO_SIZE = (480, 480)
"""Width and height of the demo's videos, pixels."""

SPEECH_RMS = 0.09
"""Loudness that every voice is brought to, so that no clip stands out by its level."""

MUSIC_RMS = 0.012
"""Music under a voice: 17 dB below the speech."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A slow move over one picture, from one window to another, for some seconds."""

    picture: Image.Image
    start: Window
    end: Window
    seconds: float


def read_speech(data: bytes) -> NDArray[np.float32]:
    """Decode a 16 kHz mono 16-bit WAV, or the same without a header, to (n,) float32 in [-1, 1]."""
    if data[:4] == b"RIFF":
        with wave.open(io.BytesIO(data)) as file:
            data = file.readframes(file.getnframes())
    samples = np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2").astype(np.float32) / 32768.0
    return levelled(samples, SPEECH_RMS)


def levelled(samples: NDArray[np.float32], rms: float) -> NDArray[np.float32]:
    """Bring sound to a root mean square, and keep it in [-1, 1]."""
    now = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) or 1.0
    louder: NDArray[np.float32] = np.clip(samples * (rms / now), -1.0, 1.0).astype(np.float32)
    return louder


def music(seconds: float, rms: float = SPEECH_RMS) -> NDArray[np.float32]:
    """Play slow chords with a beat: (n,) float32 at SAMPLE_RATE, and nobody sings."""
    at = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    chords = np.array(
        [(220.0, 277.2, 329.6), (196.0, 246.9, 293.7), (174.6, 220.0, 261.6), (196.0, 246.9, 329.6)]
    )
    notes = chords[(at // 2.0).astype(int) % len(chords)]
    tone = sum(
        np.sin(2 * np.pi * notes[:, voice] * at * factor) / factor for voice in range(3) for factor in (1, 2)
    )
    swell = 0.35 + 0.65 * np.exp(-3.0 * (at % 0.5))
    return levelled((tone * swell).astype(np.float32), rms)


def laid_over(
    ground: NDArray[np.float32], parts: Iterable[tuple[float, NDArray[np.float32]]]
) -> NDArray[np.float32]:
    """Add each part to the ground from its second on; the ground is lowered under a voice."""
    mixed = ground.copy()
    for start_s, samples in parts:
        first = round(start_s * SAMPLE_RATE)
        under = slice(first, first + len(samples))
        mixed[under] = levelled(ground[under], MUSIC_RMS) + samples[: len(mixed[under])]
    return mixed


def span_of(start_s: float, samples: NDArray[np.float32]) -> Span:
    """Say when a part laid at `start_s` is heard."""
    return Span(start_s, round(start_s + len(samples) / SAMPLE_RATE, 2))


def mp3(samples: NDArray[np.float32]) -> bytes:
    """Encode to MP3, 64 kbit/s."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp3") as box:
        stream = box.add_stream("libmp3lame", rate=SAMPLE_RATE, layout="mono")
        stream.bit_rate = 64_000
        _write_sound(box, stream, samples)
    return out.getvalue()


def mp4(scenes: Sequence[Scene], sound: NDArray[np.float32] | None = None) -> bytes:
    """Encode scenes one after the other to MP4 (H.264, AAC), with a sound track or without."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as box:
        stream = box.add_stream("libx264", rate=FRAMES_PER_SECOND)
        stream.width, stream.height = VIDEO_SIZE
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "superfast", "crf": "23"}
        voice = box.add_stream("aac", rate=SAMPLE_RATE, layout="mono") if sound is not None else None
        for rgb in _frames(scenes):
            box.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        box.mux(stream.encode())
        if voice is not None and sound is not None:
            _write_sound(box, voice, sound)
    return out.getvalue()


def clouds(seed: int, seconds: float) -> tuple[Scene, ...]:
    """Make a scene over a coloured cloud that nobody appears in."""
    rng = np.random.default_rng(seed)
    small = rng.integers(30, 220, (9, 9, 3), dtype=np.uint8)
    picture = Image.fromarray(small).resize((960, 960), Image.Resampling.BICUBIC)
    return (Scene(picture, (0.0, 0.0, 0.6, 0.6), (0.4, 0.4, 1.0, 1.0), seconds),)


def _frames(scenes: Sequence[Scene]) -> Iterator[NDArray[np.uint8]]:
    for scene in scenes:
        count = round(scene.seconds * FRAMES_PER_SECOND)
        for number in range(count):
            part = number / max(count - 1, 1)
            left, top, right, bottom = (
                a + (b - a) * part for a, b in zip(scene.start, scene.end, strict=True)
            )
            yield _shown(scene.picture, (left, top, right, bottom))


def _shown(picture: Image.Image, window: Window) -> NDArray[np.uint8]:
    left, top, right, bottom = (part * picture.size[side % 2] for side, part in enumerate(window))
    side = min(right - left, bottom - top)  # the videos are square: keep the middle, from the top
    left += (right - left - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(picture.resize(VIDEO_SIZE, Image.Resampling.BILINEAR, box))


def _write_sound(
    box: av.container.OutputContainer, stream: av.AudioStream, samples: NDArray[np.float32]
) -> None:
    frame = av.AudioFrame.from_ndarray(_as_int16(samples)[None, :], format="s16", layout="mono")
    frame.sample_rate = SAMPLE_RATE
    frame.time_base = Fraction(1, SAMPLE_RATE)
    frame.pts = 0
    box.mux(stream.encode(frame))
    box.mux(stream.encode())


def _as_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    return (np.clip(samples, -1.0, 1.0) * 32767).astype("<i2")
