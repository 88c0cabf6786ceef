"""Who comes to the door in the bench of enrolment: people of LFW with recorded voices, and what they say.

The faces are photographs, which challenge_heads.py lets turn and speak; the voice that says the digits is the
one recorded English speaker that comes with Debian (challenge_digits.py), so that all people share it. The
people are none of those on whose clips the bounds of the checks were chosen (challenge_pictures.py).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import av
import numpy as np
from PIL import Image
from scipy import signal

from monitor.bench.challenge_digits import said, sentences
from monitor.bench.challenge_heads import portraits
from monitor.bench.sound import read_sound
from monitor.errors import ConfigError
from monitor.ml.align import align
from monitor.values import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.bench.challenge_heads import Portrait
    from monitor.ml.interfaces import FaceModels, Pack

    Samples = NDArray[np.float32]

FACES: Final = "faces/lfw-dev"
OTHER_VOICES: Final = "voices/real/librispeech-test-other"
"""Folders in --data: a folder for each person."""

CAST: Final = (
    "Alejandro_Toledo",
    "Amelie_Mauresmo",
    "Arnold_Schwarzenegger",
    "Hamid_Karzai",
    "Atal_Bihari_Vajpayee",
    "David_Beckham",
)
"""People who come, in this order. The fifth one wears glasses."""

GLASSES: Final = "Atal_Bihari_Vajpayee"

VOICE: Final = "allison"
SAMPLE_S: Final = 10.0
"""Seconds of a voice sample, as the page asks for."""

MOST_PICTURES: Final = 32
STRANGERS: Final = 24
"""People who are enrolled already and never come: in their gallery somebody may be found by chance."""


@dataclass(frozen=True, slots=True)
class Guest:
    """One person: portraits that films are made of, photographs and a recording to give as samples."""

    name: str
    shown: Sequence[Portrait]
    photographs: tuple[bytes, ...]
    recording: bytes


def guest(data: Path, name: str, models: FaceModels) -> Guest:
    """Read one person of LFW. Raises ConfigError for too few pictures, NotFound for no voice."""
    paths = sorted((data / FACES / name).glob("*.jpg"))[:MOST_PICTURES]
    read = portraits((np.asarray(Image.open(path).convert("RGB")) for path in paths), models)
    frontal = sorted(read, key=lambda one: abs(one.pose.yaw_deg) + abs(one.pose.pitch_deg) / 2)
    given = frontal[2:6:2]
    if len(given) < 2:
        msg = f"{data / FACES / name} does not hold enough pictures"
        raise ConfigError(msg, hint="--data is the folder that holds faces/lfw-dev (a folder per person).")
    rest = tuple(one for one in read if not any(one is sample for sample in given))
    spoken = sentences(VOICE, SAMPLE_S, np.random.default_rng(9))
    return Guest(name, rest, tuple(jpeg(one.rgb) for one in given), wav(spoken))


def stranger_faces(data: Path, pack: Pack) -> Iterator[NDArray[np.float32]]:
    """Give the vectors of people of LFW of whom there is one picture: (d,) float32 each."""
    assert pack.faces is not None  # noqa: S101 - the caller loaded it
    alone = (folder for folder in sorted((data / FACES).iterdir()) if len(list(folder.iterdir())) == 1)
    for folder, _ in zip(alone, range(STRANGERS), strict=False):
        rgb = np.asarray(Image.open(next(folder.iterdir())).convert("RGB"))
        found = pack.faces.detector.detect(rgb)
        if found:
            yield pack.faces.recogniser.embed(align(rgb, found[0].landmarks)[None])[0]


def stranger_recordings(data: Path) -> Iterator[bytes]:
    """Give some ten seconds of each reader of LibriSpeech, as WAV."""
    for folder in sorted((data / OTHER_VOICES).iterdir()):
        read = [read_sound(path).samples for path in sorted(folder.rglob("*.flac"))[:3]]
        yield wav(np.concatenate(read)[: round(12 * SAMPLE_RATE)])


def digits(row: str, seed: int, pace: float = 1.0) -> Samples:
    """Say digits, `pace` times as fast, at the same pitch: (n,) float32 at 16 kHz."""
    spoken = said(VOICE, row, np.random.default_rng(seed))
    return spoken if pace == 1.0 else _stretched(spoken, pace)


def machine(spoken: Samples, formants: float = 1.0) -> Samples:
    """Say it with a machine's voice: only the envelope of 80 mel bands is kept, the phases are guessed.

    It is what speech synthesis ends in where its last stage is Griffin and Lim's ("Signal estimation from
    modified short-time Fourier transform", 1984). `formants` moves the bands up: another speaker.
    """
    _, _, spectrum = signal.stft(spoken, SAMPLE_RATE, nperseg=1024, noverlap=768)
    bands = _mel_bands(spectrum.shape[0])
    heard = bands @ np.abs(spectrum)
    loud = np.maximum(np.linalg.pinv(bands) @ heard, 0)
    if formants != 1.0:
        rows = np.arange(len(loud))
        loud = np.stack([np.interp(rows / formants, rows, column) for column in loud.T], axis=1)
    rng = np.random.default_rng(0)
    phases = np.exp(2j * np.pi * rng.random(loud.shape))
    for _ in range(30):
        _, made = signal.istft(loud * phases, SAMPLE_RATE, nperseg=1024, noverlap=768)
        _, _, again = signal.stft(made, SAMPLE_RATE, nperseg=1024, noverlap=768)
        again = again[:, : loud.shape[1]]
        phases = np.exp(1j * np.angle(np.pad(again, ((0, 0), (0, loud.shape[1] - again.shape[1])))))
    _, made = signal.istft(loud * phases, SAMPLE_RATE, nperseg=1024, noverlap=768)
    made = made[: len(spoken)] * (np.abs(spoken).max() / max(float(np.abs(made).max()), 1e-9))
    return np.asarray(made, np.float32)


def spliced(spoken: Samples) -> Samples:
    """Say the first half with another voice than the second."""
    half = len(spoken) // 2
    return np.concatenate([machine(spoken, 1.25)[:half], spoken[half:]]).astype(np.float32)


def jpeg(rgb: NDArray[np.uint8], quality: int = 92) -> bytes:
    """Write a JPEG."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(out, "JPEG", quality=quality)
    return out.getvalue()


def wav(samples: Samples) -> bytes:
    """Write (n,) float32 at 16 kHz as WAV of 16 bits."""
    out = io.BytesIO()
    with av.open(out, "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono")
        pcm = (np.clip(samples, -1, 1) * 32767).astype(np.int16)[None, :]
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return out.getvalue()


def _stretched(spoken: Samples, pace: float) -> Samples:
    """Make speech quicker or slower at its pitch: windows of 32 ms are laid at other distances."""
    size, hop = 512, 128
    window = np.hanning(size).astype(np.float32)
    count = max(1, int((len(spoken) - size) / (hop * pace)))
    made = np.zeros(count * hop + size, np.float32)
    weight = np.zeros_like(made)
    last = 0
    for number in range(count):
        wanted = int(number * hop * pace)
        at = wanted if number == 0 else _alike(spoken, last + hop, wanted, size)
        place = slice(number * hop, number * hop + size)
        made[place] += window * spoken[at : at + size]
        weight[place] += window
        last = at
    return np.asarray(made / np.maximum(weight, 1e-3), np.float32)


def _alike(spoken: Samples, going_on: int, wanted: int, size: int, reach: int = 160) -> int:
    """Give the place near `wanted` that goes on most like the last window (Verhelst and Roelands, 1993)."""
    pattern = spoken[going_on : going_on + size]
    low, high = max(0, wanted - reach), min(len(spoken) - size, wanted + reach)
    if len(pattern) < size or high <= low:
        return max(0, min(wanted, len(spoken) - size))
    return low + int(np.argmax(np.correlate(spoken[low : high + size], pattern, "valid")))


def _mel_bands(bins: int, count: int = 80) -> NDArray[np.float64]:
    """Give triangles on the mel scale (O'Shaughnessy's formula): (count, bins)."""
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, count + 2) / 2595) - 1)
    hertz = np.linspace(0, SAMPLE_RATE / 2, bins)
    up = (hertz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - hertz) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(up, down)) + 1e-9
