"""Spoken digits, and sentences by the same people: studio recordings that come with Debian.

The packages asterisk-core-sounds-{en,es,fr,it,ru}-g722 hold the prompts of a telephone exchange, each by one
speaker of the language: every digit, and some hundred sentences. They are used here and not given on (CC
BY-SA 3.0 and CC BY 3.0). G.722 carries 7 kHz at 16,000 samples a second, as a good call does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import av
import numpy as np

from monitor.errors import NotFound
from monitor.values import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

SOUNDS: Final = Path("/usr/share/asterisk/sounds")
PACKAGES: Final = "asterisk-core-sounds-{en,es,fr,it,ru}-g722"

PEAK: Final = 0.5
"""The highest sample of each digit: people keep to one loudness while they count."""

PAUSE_S: Final = (0.15, 0.45)
"""Seconds between two digits, at least and at most."""

LEAD_S: Final = 0.3


@dataclass(frozen=True, slots=True)
class Speaker:
    """One speaker: language and folder."""

    language: str
    folder: str


SPEAKERS: Final[Mapping[str, Speaker]] = {
    "allison": Speaker("en", "en_US_f_Allison"),
    "allison-es": Speaker("es", "es_MX_f_Allison"),
    "june": Speaker("fr", "fr_CA_f_June"),
    "carlo": Speaker("it", "it_IT_m_Carlo"),
    "ivrvoice": Speaker("ru", "ru_RU_f_IvrvoiceRU"),
}
"""The first two are one person in two languages."""


def said(speaker: str, digits: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """Say digits one after the other, with pauses: (n,) float32 at 16 kHz. Raises NotFound."""
    parts = [np.zeros(round(LEAD_S * SAMPLE_RATE), np.float32)]
    for digit in digits:
        pause_s = rng.uniform(*PAUSE_S)
        sound = read(_folder(speaker) / "digits" / f"{digit}.g722")
        parts += [sound * (PEAK / np.abs(sound).max()), np.zeros(round(pause_s * SAMPLE_RATE), np.float32)]
    return np.concatenate(parts).astype(np.float32)


def sentences(speaker: str, seconds: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Read sentences, at least so many seconds: (n,) float32 at 16 kHz. Raises NotFound."""
    files = sorted(_folder(speaker).glob("*.g722"))
    parts: list[NDArray[np.float32]] = []
    for place in rng.permutation(len(files)):
        sound = read(files[place])
        if np.abs(sound).max() > 0.05 and len(sound) > SAMPLE_RATE:  # neither silence nor a single word
            parts += [sound * (PEAK / np.abs(sound).max()), np.zeros(SAMPLE_RATE // 5, np.float32)]
        if sum(map(len, parts)) > seconds * SAMPLE_RATE:
            break
    return np.concatenate(parts).astype(np.float32)


def read(path: Path) -> NDArray[np.float32]:
    """Read one recording: (n,) float32 in [-1, 1] at 16 kHz."""
    parts = []
    with av.open(str(path), format="g722") as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
        for frame in (*container.decode(audio=0), None):
            parts += [made.to_ndarray()[0] for made in resampler.resample(frame)]
    return np.concatenate(parts).astype(np.float32)


def _folder(speaker: str) -> Path:
    folder = SOUNDS / SPEAKERS[speaker].folder
    if not folder.is_dir():
        msg = f"the recordings of {speaker} are not in {SOUNDS}"
        raise NotFound(msg, hint=f"They come with Debian: apt-get install {PACKAGES}")
    return folder
