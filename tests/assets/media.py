"""Makes small media for tests. Nothing here shows a real person; real faces come from the data folder."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import av
import numpy as np
from PIL import Image

RATE = 16_000


def pattern(width: int = 160, height: int = 120, seed: int = 0) -> Image.Image:
    """Draw a soft coloured pattern that no face detector takes for a face."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Encode a picture."""
    into = io.BytesIO()
    image.save(into, kind, **options)
    return into.getvalue()


def jpeg(width: int = 160, height: int = 120, seed: int = 0, **options: Any) -> bytes:
    """Make a JPEG."""
    return saved(pattern(width, height, seed), "JPEG", **options)


def png(width: int = 160, height: int = 120, seed: int = 0, **options: Any) -> bytes:
    """Make a PNG."""
    return saved(pattern(width, height, seed), "PNG", **options)


def webp(width: int = 160, height: int = 120, seed: int = 0, **options: Any) -> bytes:
    """Make a WebP."""
    return saved(pattern(width, height, seed), "WEBP", **options)


def animation(
    kind: str = "GIF", frames: int = 6, duration_ms: int = 500, width: int = 64, height: int = 48
) -> bytes:
    """Make an animated GIF, WEBP or PNG whose frames all differ."""
    first, *others = (pattern(width, height, seed) for seed in range(frames))
    return saved(first, kind, save_all=True, append_images=others, duration=duration_ms, loop=0)


def gif(frames: int = 6, duration_ms: int = 500) -> bytes:
    """Make an animated GIF."""
    return animation("GIF", frames, duration_ms)


def endless_gif(frames: int = 100_000, width: int = 32, height: int = 24) -> bytes:
    """Make a GIF of very many frames, quickly: the same two over and over."""
    palette = [level for colour in range(4) for level in (colour * 80,) * 3]
    pictures = []
    for place in (2, 12):
        picture = Image.new("P", (width, height), 1)
        picture.putpalette(palette)
        picture.paste(2, (place, 2, place + 8, 10))
        pictures.append(picture)
    two = saved(pictures[0], "GIF", save_all=True, append_images=pictures[1:], duration=50, loop=0)
    start = two.index(b"\x21\xf9\x04")
    return two[:start] + two[start:-1] * (frames // 2) + b";"


def huge_png(width: int = 50_000, height: int = 50_000) -> bytes:
    """Make a PNG that says it is enormous: a few hundred bytes that would need gigabytes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10_000)))
        + chunk(b"IEND", b"")
    )


def tone(seconds: float = 1.0, hertz: float = 440.0, rate: int = RATE) -> np.ndarray[Any, Any]:
    """Make a sine of half the full height, (n,) float32."""
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def wav(samples: np.ndarray[Any, Any] | None = None, rate: int = RATE) -> bytes:
    """Make a 16-bit mono WAV."""
    return sound(samples, rate, container="wav", codec="pcm_s16le")


def mp3(samples: np.ndarray[Any, Any] | None = None, rate: int = 44_100) -> bytes:
    """Make an MP3."""
    return sound(samples, rate, container="mp3", codec="libmp3lame")


def sound(samples: np.ndarray[Any, Any] | None, rate: int, *, container: str, codec: str) -> bytes:
    """Encode mono sound with any of FFmpeg's encoders."""
    into = io.BytesIO()
    with av.open(into, "w", format=container) as out:
        _write_sound(out, out.add_stream(codec, rate=rate, layout="mono"), samples, rate)
    return into.getvalue()


def video(
    seconds: float = 2.0,
    fps: int = 10,
    size: tuple[int, int] = (160, 120),
    *,
    pictures: list[Image.Image] | None = None,
    samples: np.ndarray[Any, Any] | None = None,
    container: str = "mp4",
    codec: str = "libx264",
    sound_codec: str = "aac",
) -> bytes:
    """Make a video; `pictures` share its length evenly, `samples` at RATE are its sound."""
    shown = [
        picture.convert("RGB").resize(size)
        for picture in pictures or [pattern(*size, seed) for seed in range(4)]
    ]
    count = max(1, round(seconds * fps))
    into = io.BytesIO()
    with av.open(into, "w", format=container) as out:
        stream = out.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        track = None if samples is None else out.add_stream(sound_codec, rate=RATE, layout="mono")
        for index in range(count):
            frame = av.VideoFrame.from_image(shown[index * len(shown) // count])
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if track is not None:
            _write_sound(out, track, samples, RATE)
    return into.getvalue()


def mp4(seconds: float = 2.0, *, with_sound: bool = True, fps: int = 10) -> bytes:
    """Make an MP4 with a tone as its sound."""
    return video(seconds, fps, samples=tone(seconds) if with_sound else None)


def _write_sound(out: Any, stream: Any, samples: np.ndarray[Any, Any] | None, rate: int) -> None:
    wave = tone(1.0, rate=rate) if samples is None else samples
    whole = (np.clip(wave, -1, 1) * 32767).astype(np.int16).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(whole, format="s16", layout="mono")
    frame.sample_rate = rate
    resampler = av.AudioResampler(
        format=stream.codec_context.format,
        layout="mono",
        rate=rate,
        frame_size=stream.codec_context.frame_size or 1024,
    )
    for piece in (*resampler.resample(frame), *resampler.resample(None)):
        out.mux(stream.encode(piece))
    out.mux(stream.encode(None))
