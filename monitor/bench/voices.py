"""How well voices are told apart, on a folder of recordings with a folder per speaker (as in LibriSpeech)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.bench.frame import Figure, Result
from monitor.bench.people import Labelled, in_threads, read_people
from monitor.bench.sound import read_sound
from monitor.bench.statistics import rate_by_person, wilson
from monitor.bench.verification import Embedded, Pairs, all_pairs
from monitor.ml.packs import load_pack
from monitor.values import SAMPLE_RATE, Sound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from monitor.bench.frame import Request
    from monitor.ml.interfaces import Thresholds, VoiceModels

SUFFIXES: Final = frozenset({".flac", ".wav", ".mp3", ".ogg", ".opus", ".m4a"})

SECONDS: Final = (2, 4, 8)
"""Lengths of speech that are compared; each has its own figures."""

CHUNK: Final = 4
"""Recordings that one thread takes at a time."""


def run(request: Request) -> Result:
    """Cut the speech out of every recording, embed its first seconds, compare all with all."""
    files = read_people(request.data, SUFFIXES, request.limit)
    pack = load_pack(request.settings)
    if pack.voices is None:
        msg = f"the pack {pack.name} reads no voices"
        raise ValueError(msg)
    models = pack.voices
    rows = np.stack(in_threads(lambda some: _embed(some, models), files, request, CHUNK))
    persons = np.array([file.person for file in files])
    figures: dict[str, Figure] = {}
    for place, seconds in enumerate(SECONDS):
        pairs = all_pairs(Embedded(rows[:, place], persons))
        figures |= _figures(pairs, f"voices.{seconds}s", models.thresholds, request.seed)
    ids = (models.detector.model_id, models.recogniser.model_id)
    return Result.today("voices", figures, request, pack.provider, ids)


def _figures(pairs: Pairs, name: str, thresholds: Thresholds, seed: int) -> dict[str, Figure]:
    """Share of genuine and of impostor pairs over the pack's own two thresholds, and where they end.

    A recording with too little speech counts as not looked at: its pairs are left out.
    """
    looked = pairs.genuine > -1
    genuine, persons = pairs.genuine[looked], pairs.persons[looked]
    if not len(genuine) or not len(pairs.impostor):
        return {}
    figures = {
        f"{name}.highest_impostor": Figure.exact(float(pairs.impostor.max()), "cosine", len(pairs.impostor)),
        f"{name}.lowest_genuine": Figure.exact(float(genuine.min()), "cosine", len(genuine)),
    }
    for band, threshold in (("alert", thresholds.alert), ("review", thresholds.review)):
        tries = np.bincount(persons)
        hits = np.bincount(persons[genuine >= threshold], minlength=len(tries))
        value, low, high = rate_by_person(hits[tries > 0], tries[tries > 0], seed)
        figures[f"{name}.tar_at_{band}"] = Figure(value, low, high, len(genuine), "share of genuine pairs")
        value, low, high = wilson(int((pairs.impostor >= threshold).sum()), len(pairs.impostor))
        figures[f"{name}.far_at_{band}"] = Figure(
            value, low, high, len(pairs.impostor), "share of impostor pairs"
        )
    return figures


def _embed(files: Sequence[Labelled], models: VoiceModels) -> Iterator[NDArray[np.float32]]:
    """(lengths, dimension) for each recording; NaN where it holds less speech than a length."""
    for file in files:
        speech = _speech(read_sound(file.path), models)
        rows = np.full((len(SECONDS), models.recogniser.dimension), np.nan, np.float32)
        enough = [seconds for seconds in SECONDS if len(speech) >= seconds * SAMPLE_RATE]
        sounds = [Sound(speech[: seconds * SAMPLE_RATE]) for seconds in enough]
        rows[: len(enough)] = models.recogniser.embed(sounds)
        yield rows


def _speech(sound: Sound, models: VoiceModels) -> NDArray[np.float32]:
    spans = models.detector.speech(sound)
    parts = [sound.samples[int(s.start_s * SAMPLE_RATE) : int(s.end_s * SAMPLE_RATE)] for s in spans]
    return np.concatenate([np.empty(0, np.float32), *parts])
