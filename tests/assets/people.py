"""Pictures of real people out of the data folder, and what platforms do to pictures."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

FACES = "faces/lfw-dev"
VOICES = "voices/real/librispeech-test-other"


def pictures(data: Path, person: str) -> list[NDArray[np.uint8]]:
    """Give all pictures of one person of LFW: (250, 250, 3) uint8 RGB each."""
    return [
        np.asarray(Image.open(path).convert("RGB")) for path in sorted((data / FACES / person).glob("*.jpg"))
    ]


def jpeg(rgb: NDArray[np.uint8], quality: int = 92) -> bytes:
    """Write a JPEG."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(out, "JPEG", quality=quality)
    return out.getvalue()


def resized(rgb: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Make it larger or smaller."""
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=how), np.uint8)


def collage(pieces: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Put pictures of one height side by side on a grey page."""
    gap = np.full((pieces[0].shape[0], 24, 3), 90, np.uint8)
    row = np.concatenate([part for piece in pieces for part in (piece, gap)], axis=1)
    return np.pad(row, ((30, 30), (30, 6), (0, 0)), constant_values=90)


def video(
    slides: Sequence[NDArray[np.uint8]],
    seconds_each: float = 1.5,
    codec: str = "mpeg4",
    samples: NDArray[np.float32] | None = None,
) -> bytes:
    """Show pictures of one size one after the other with a slow zoom; `samples` is (n,) float32, 16 kHz."""
    out = io.BytesIO()
    height, width = (side // 2 * 2 for side in slides[0].shape[:2])
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=12)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        voice = container.add_stream("aac", rate=16_000, layout="mono") if samples is not None else None
        for slide in slides:
            for step in range(int(12 * seconds_each)):
                margin = step // 6
                view = slide[margin : slide.shape[0] - margin, margin : slide.shape[1] - margin]
                frame = av.VideoFrame.from_ndarray(cv2.resize(view, (width, height)), format="rgb24")
                container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if voice is not None and samples is not None:
            sound = av.AudioFrame.from_ndarray(
                samples[None, :].astype(np.float32), format="fltp", layout="mono"
            )
            sound.sample_rate = 16_000
            container.mux(voice.encode(sound))
            container.mux(voice.encode())
    return out.getvalue()


def speech(path: Path) -> NDArray[np.float32]:
    """Read a sound as (n,) float32, 16 kHz mono."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
        parts = [f.to_ndarray()[0] for frame in container.decode(audio=0) for f in resampler.resample(frame)]
        parts += [f.to_ndarray()[0] for f in resampler.resample(None)]
    return np.concatenate(parts).astype(np.float32)


def wav(samples: NDArray[np.float32]) -> bytes:
    """Write (n,) float32 at 16 kHz as 16-bit WAV."""
    out = io.BytesIO()
    with av.open(out, "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        pcm = (np.clip(samples, -1, 1) * 32767).astype(np.int16)[None, :]
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return out.getvalue()


def music(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    """Play chords on a few harmonics, with a beat: (n,) float32 at 16 kHz, no voice in it."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * 16_000)) / 16_000
    notes = np.array([220.0, 261.6, 329.6, 392.0, 440.0])
    sound = np.zeros_like(t)
    for beat in range(int(seconds * 2) + 1):
        root = rng.choice(notes)
        inside = (t >= beat / 2) & (t < (beat + 1) / 2)
        fade = np.exp(-4 * (t[inside] - beat / 2))
        for harmonic in (1, 1.26, 1.5, 2):
            sound[inside] += fade * np.sin(2 * np.pi * root * harmonic * t[inside])
    return (0.1 * sound).astype(np.float32)
