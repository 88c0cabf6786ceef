"""Reads sound files of a data set for a bench, and does to sound what telephones, codecs and rooms do.

Trusted files only: nothing here is limited or contained.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import av
import numpy as np
from scipy.signal import butter, sosfilt, sosfiltfilt

from monitor.values import SAMPLE_RATE, Sound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

TELEPHONE_HZ: Final = (300.0, 3400.0)
TELEPHONE_RATE: Final = 8000
"""The band and the rate of a telephone (ITU-T G.711, which also defines mu-law)."""

EDGE_ORDER: Final = 4
SHARP_ORDER: Final = 8
"""Order of each edge of the band, once and, for the sharp one, forwards and backwards."""

FULL: Final = 0.999
"""Louder sound is turned down to this before it is written or added to: clipping is another condition."""

BABBLE_VOICES: Final = 6
"""Voices in babble: enough that none can be followed, few enough that it still sounds like speech."""


@dataclass(frozen=True, slots=True)
class Codec:
    """How a sound is written: container and encoder of FFmpeg, rate in Hz, bits a second (0: no choice)."""

    container: str
    encoder: str
    rate: int
    bit_rate: int = 0
    options: Mapping[str, str] | None = None


MU_LAW: Final = Codec("wav", "pcm_mulaw", TELEPHONE_RATE)
MP3_32K: Final = Codec("mp3", "libmp3lame", SAMPLE_RATE, 32_000)
OPUS_12K: Final = Codec("ogg", "libopus", SAMPLE_RATE, 12_000, {"application": "voip"})
"""As a voice message: 12 kbit/s of Opus is about what messengers send over a weak line."""
WAV: Final = Codec("wav", "pcm_s16le", SAMPLE_RATE)


def read_sound(path: Path) -> Sound:
    """Decode to 16 kHz mono float32."""
    with path.open("rb") as file:
        return Sound(_decoded(file))


def _decoded(file: io.BufferedIOBase) -> NDArray[np.float32]:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    with av.open(file) as box:
        frames = [out for frame in box.decode(audio=0) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float32)


def encoded(samples: NDArray[np.float32], codec: Codec) -> bytes:
    """Write (n,) float32 at 16 kHz as a file of this codec."""
    out = io.BytesIO()
    frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
    frame.sample_rate = SAMPLE_RATE
    with av.open(out, "w", format=codec.container) as box:
        stream = box.add_stream(
            codec.encoder, rate=codec.rate, layout="mono", options=dict(codec.options or {})
        )
        if codec.bit_rate:
            stream.bit_rate = codec.bit_rate
        box.mux(stream.encode(frame))
        box.mux(stream.encode())
    return out.getvalue()


def through(samples: NDArray[np.float32], codec: Codec) -> NDArray[np.float32]:
    """Encode and decode for real: (n,) float32 to (n,) float32, in step with the original."""
    heard = _decoded(io.BytesIO(encoded(turned_down(samples), codec)))[: len(samples)]
    return np.pad(heard, (0, len(samples) - len(heard)))


def telephone(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut the band of a telephone, bring it to 8 kHz and write it in mu-law: (n,) float32 to (n,) float32.

    The edges fall by 24 dB an octave, about as the masks of ITU-T G.712 ask for.
    """
    band = butter(EDGE_ORDER, TELEPHONE_HZ, "bandpass", fs=SAMPLE_RATE, output="sos")
    return through(sosfilt(band, samples).astype(np.float32), MU_LAW)


def sharp_telephone(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """As `telephone`, with edges that no line has: nothing at all is left outside the band."""
    band = butter(SHARP_ORDER, TELEPHONE_HZ, "bandpass", fs=SAMPLE_RATE, output="sos")
    return through(sosfiltfilt(band, samples).astype(np.float32), MU_LAW)


def turned_down(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn sound down as a whole where it would clip."""
    peak = float(np.abs(samples).max(initial=0.0))
    return samples * np.float32(FULL / peak) if peak > FULL else samples


def with_noise(
    samples: NDArray[np.float32], noise: NDArray[np.float32], snr_db: float, speech: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Add noise, `snr_db` under the mean power of `speech`: those samples in which somebody speaks."""
    wanted = rms(speech) * 10 ** (-snr_db / 20)
    return turned_down(samples + noise * np.float32(wanted / max(rms(noise), 1e-9)))


def white(length: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """White noise: (length,) float32."""
    return rng.standard_normal(length, np.float32)


def babble(
    length: int, voices: Sequence[NDArray[np.float32]], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Several voices at once, each as loud as the others, each from a place of its own: (length,) float32."""
    heard = np.zeros(length, np.float32)
    for voice in voices:
        turned = np.roll(voice, int(rng.integers(len(voice))))
        heard += np.resize(turned, length) / np.float32(max(rms(voice), 1e-9))
    return heard


def rms(samples: NDArray[np.float32]) -> float:
    """Root of the mean square; 0 for no samples."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0
