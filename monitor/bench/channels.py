"""Learns what channels do to a voice's vector: `python -m monitor.bench.channels VOICES MAP.json`.

Takes the speakers of a folder of whom there is one recording, so that those with several stay unheard for
the bench. Each recording is degraded in several ways, with edges, rates, loudness and noise drawn anew, never
those of `voices_conditions.py`; what is kept is how far two seconds move from the vector of the whole.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.signal import butter, fftconvolve, sosfilt, sosfiltfilt

from monitor.bench.frame import Request
from monitor.bench.mixing import music, pink
from monitor.bench.people import in_threads
from monitor.bench.sound import MU_LAW, Codec, babble, read_sound, rms, through, white, with_noise
from monitor.bench.voices_data import read_speakers
from monitor.bench.voices_reading import cut, net_speech, windows
from monitor.ml.channels import learn
from monitor.ml.packs import load_pack
from monitor.ml.vectors import unit_rows
from monitor.ml.voices import CamPlusPlus
from monitor.settings import load_settings
from monitor.values import SAMPLE_RATE, Sound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.bench.voices_data import Recording
    from monitor.ml.channels import ChannelMap
    from monitor.ml.interfaces import VoiceModels

SEED: Final = 77
"""Another than that of the benches."""

SECONDS: Final = 2
PIECES: Final = 2
"""Seconds of a degraded piece, the shortest speech that is compared, and pieces of one recording."""

SHRINKAGE: Final = 2.0
KEPT: Final = 16
"""How much of a sphere the covariance gets, and directions that are shrunk. Of 0.5, 1, 2 and 4, and 8, 16,
24, 32, 64 and all 192, these two have the lowest mean equal error rate over CHANNELS, learnt on one half of
117 speakers and tried on the other, three times both ways: 0.65 %, and without a map 0.90 %. Strangers' 1 in
10,000 is then at 0.475, without a map at 0.521; more directions brought nothing more (2026-11)."""

LENT: Final = 40
"""First speakers of the folder: they are the bench's babble, and so never this one's."""

AROUND: Final = (3, 9)
"""Fewest voices in babble, and one more than the most."""

LOW_HZ: Final = (200.0, 400.0)
HIGH_HZ: Final = (3000.0, 3700.0)
"""Where the edges of a telephone band may lie."""

ECHO_S: Final = (0.2, 0.8)
ECHO_DB: Final = (3.0, 10.0)
"""Time in which a room's echo falls by 60 dB, and how far all of it lies under the voice itself."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Speech that is about to be degraded: `samples` (n,) float32, who may be heard around, and chance."""

    samples: NDArray[np.float32]
    around: Sequence[NDArray[np.float32]]
    rng: np.random.Generator


def _telephone(spoken: Spoken, *, sharp: bool) -> NDArray[np.float32]:
    edges = (spoken.rng.uniform(*LOW_HZ), spoken.rng.uniform(*HIGH_HZ))
    order = int(spoken.rng.integers(5, 9) if sharp else spoken.rng.integers(2, 5))
    band = butter(order, edges, "bandpass", fs=SAMPLE_RATE, output="sos")
    heard = (sosfiltfilt if sharp else sosfilt)(band, spoken.samples)
    return through(heard.astype(np.float32), MU_LAW)


def _mp3(spoken: Spoken) -> NDArray[np.float32]:
    rate = int(spoken.rng.choice([24, 40, 48])) * 1000
    return through(spoken.samples, Codec("mp3", "libmp3lame", SAMPLE_RATE, rate))


def _opus(spoken: Spoken) -> NDArray[np.float32]:
    rate = int(spoken.rng.choice([8, 10, 16])) * 1000
    return through(spoken.samples, Codec("ogg", "libopus", SAMPLE_RATE, rate, {"application": "voip"}))


def _noise(
    spoken: Spoken,
    kind: Callable[[int, np.random.Generator], NDArray[np.float32]],
    low_db: float,
    high_db: float,
) -> NDArray[np.float32]:
    noise = kind(len(spoken.samples), spoken.rng)
    return with_noise(spoken.samples, noise, spoken.rng.uniform(low_db, high_db), spoken.samples)


def _babble(spoken: Spoken, low_db: float, high_db: float) -> NDArray[np.float32]:
    count = min(int(spoken.rng.integers(*AROUND)), len(spoken.around))
    drawn = spoken.rng.choice(len(spoken.around), count, replace=False)
    noise = babble(len(spoken.samples), [spoken.around[i] for i in drawn], spoken.rng)
    return with_noise(spoken.samples, noise, spoken.rng.uniform(low_db, high_db), spoken.samples)


def _room(spoken: Spoken) -> NDArray[np.float32]:
    count = int(spoken.rng.uniform(*ECHO_S) * SAMPLE_RATE)
    echo = spoken.rng.standard_normal(count) * 10 ** (-3 * np.arange(count) / count)
    echo *= 10 ** (-spoken.rng.uniform(*ECHO_DB) / 20) / (rms(echo.astype(np.float32)) * np.sqrt(count))
    echo[0] = 1.0
    heard: NDArray[np.float32] = fftconvolve(spoken.samples, echo)[: len(spoken.samples)].astype(np.float32)
    return heard


CHANNELS: Final[Mapping[str, Callable[[Spoken], NDArray[np.float32]]]] = {
    "as recorded": lambda spoken: spoken.samples,
    "telephone": partial(_telephone, sharp=False),
    "telephone, sharp edges": partial(_telephone, sharp=True),
    "MP3, 24 to 48 kbit/s": _mp3,
    "Opus, 8 to 16 kbit/s": _opus,
    "white noise, 8 to 20 dB": partial(_noise, kind=white, low_db=8, high_db=20),
    "white noise, 2 to 8 dB": partial(_noise, kind=white, low_db=2, high_db=8),
    "pink noise, 0 to 10 dB": partial(_noise, kind=pink, low_db=0, high_db=10),
    "music, 2 to 12 dB": partial(_noise, kind=music, low_db=2, high_db=12),
    "babble, 8 to 20 dB": partial(_babble, low_db=8, high_db=20),
    "babble, 3 to 8 dB": partial(_babble, low_db=3, high_db=8),
    "babble, 3 to 8 dB, drawn again": partial(_babble, low_db=3, high_db=8),
    "room": _room,
}
"""What is done to speech, by name. The names stand in the file."""


@dataclass(frozen=True, slots=True)
class Moved:
    """One speaker: `whole` (d,) float32 of length 1; `by` channel, (n, d), how far pieces lie from it."""

    whole: NDArray[np.float32]
    by: Mapping[str, NDArray[np.float32]]


def moved(numbered: Sequence[tuple[int, Recording]], models: VoiceModels, lent: _Lent) -> Iterator[Moved]:
    """Degrade some recordings, each in every way; those with less than two seconds of speech give nothing."""
    for number, recording in numbered:
        speech = net_speech(read_sound(recording.path), models.detector)
        if len(speech) < SECONDS * SAMPLE_RATE:
            continue
        around = [voice for speaker, voice in lent.items() if speaker != recording.speaker]
        spoken = Spoken(speech, around, np.random.default_rng((SEED, number)))
        whole = unit_rows(models.recogniser.embed(windows(speech)).mean(axis=0, keepdims=True))[0]
        by = {}
        for name, channel in CHANNELS.items():
            pieces = cut(channel(spoken), SECONDS, PIECES)
            by[name] = models.recogniser.embed([Sound(piece.samples) for piece in pieces]) - whole
        yield Moved(whole, by)


_Lent = dict[int, "NDArray[np.float32]"]


def chosen(data: Path) -> tuple[list[Recording], list[Recording]]:
    """Give the recordings of speakers who have one, and those of them who may be heard in babble."""
    everybody = read_speakers(data, 0, 0)
    count = Counter(one.speaker for one in everybody)
    single = [one for one in everybody if count[one.speaker] == 1]
    order = list(dict.fromkeys(one.speaker for one in everybody))
    spared = set(order[:LENT])
    return single, [one for one in single if one.speaker not in spared]


def put_together(found: Sequence[Moved]) -> ChannelMap:
    """Learn the map from all speakers."""
    clean = np.stack([one.whole for one in found])
    by_channel = [np.concatenate([one.by[name] for one in found]) for name in CHANNELS]
    return learn(clean, by_channel, SHRINKAGE, KEPT)


def main(data: Path, to: Path) -> None:
    """Learn from the recordings under `data` and write the map."""
    settings = load_settings()
    pack = load_pack(settings, measured=False)
    if pack.voices is None or not isinstance(pack.voices.recogniser, CamPlusPlus):
        msg = "the map is of CAM++ alone"
        raise TypeError(msg)
    models = replace(pack.voices, recogniser=replace(pack.voices.recogniser, channels=None))
    single, others = chosen(data)
    lent: _Lent = {one.speaker: net_speech(read_sound(one.path), models.detector) for one in others}
    request = Request(settings, data, SEED, 0, lambda *_: None)
    found = in_threads(lambda some: moved(some, models, lent), list(enumerate(single)), request, 1)
    numbers = rounded(put_together(found))
    words = {
        "version": version_of(numbers),
        "of": models.recogniser.model_id.rpartition("-")[0],
        "data_set": f"{data.resolve().name}, speakers with one recording",
        "date": datetime.now(UTC).date().isoformat(),
        "speakers": len(found),
        "pieces": {name: sum(len(one.by[name]) for one in found) for name in CHANNELS},
        "seconds": SECONDS,
        "shrinkage": SHRINKAGE,
        **numbers,
    }
    to.write_text(json.dumps(words) + "\n", encoding="utf-8")


def rounded(made: ChannelMap) -> dict[str, list[float]]:
    """Write a map's arrays down in five places: a cosine moves by less than 0.0001."""
    parts = (("gains", made.gains), ("centre", made.centre), ("directions", made.directions))
    return {name: np.round(part.astype(np.float64), 5).tolist() for name, part in parts}


def version_of(numbers: dict[str, list[float]]) -> str:
    """Name a map by its numbers: another map is another model."""
    return "channels" + hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()[:8]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
