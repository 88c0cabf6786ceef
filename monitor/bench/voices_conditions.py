"""What happens to a voice before the service hears it: a telephone, codecs, noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from monitor.bench.sound import (
    MP3_32K,
    OPUS_12K,
    babble,
    sharp_telephone,
    telephone,
    through,
    white,
    with_noise,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

SNR_DB: Final = (20, 10, 5)


@dataclass(frozen=True, slots=True)
class Heard:
    """One recording and what its condition may draw on.

    `samples` is (n,) float32; `speech` those of them in which somebody speaks; `voices` are other speakers,
    for babble; `rng` is the recording's own.
    """

    samples: NDArray[np.float32]
    speech: NDArray[np.float32]
    voices: Sequence[NDArray[np.float32]]
    rng: np.random.Generator


def _clean(heard: Heard) -> NDArray[np.float32]:
    return heard.samples


def _telephone(heard: Heard) -> NDArray[np.float32]:
    return telephone(heard.samples)


def _sharp_telephone(heard: Heard) -> NDArray[np.float32]:
    return sharp_telephone(heard.samples)


def _mp3(heard: Heard) -> NDArray[np.float32]:
    return through(heard.samples, MP3_32K)


def _opus(heard: Heard) -> NDArray[np.float32]:
    return through(heard.samples, OPUS_12K)


def _white(heard: Heard, snr_db: float) -> NDArray[np.float32]:
    return with_noise(heard.samples, white(len(heard.samples), heard.rng), snr_db, heard.speech)


def _babble(heard: Heard, snr_db: float) -> NDArray[np.float32]:
    noise = babble(len(heard.samples), heard.voices, heard.rng)
    return with_noise(heard.samples, noise, snr_db, heard.speech)


CONDITIONS: Final[Mapping[str, Callable[[Heard], NDArray[np.float32]]]] = {
    "clean": _clean,
    "telephone": _telephone,
    "telephone_sharp": _sharp_telephone,
    "mp3_32k": _mp3,
    "opus_12k": _opus,
    **{f"white_{snr}db": partial(_white, snr_db=snr) for snr in SNR_DB},
    **{f"babble_{snr}db": partial(_babble, snr_db=snr) for snr in SNR_DB},
}
"""Name of a condition -> (n,) float32 as the service would hear it, in step with what was said."""

POOLED: Final[Mapping[str, tuple[str, ...]]] = {
    **{name: (name,) for name in CONDITIONS},
    **{f"noise_{snr}db": (f"white_{snr}db", f"babble_{snr}db") for snr in SNR_DB},
}
"""Name in the figures -> the conditions whose trials count: `noise` is white noise and babble together."""
