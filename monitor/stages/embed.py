"""Step 5: appearances -> vectors. They live in memory for one comparison and are never stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.stages.quality import FLOOR
from monitor.stages.turns import WINDOW_S
from monitor.values import Modality, Probe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.ml.interfaces import FaceModels, Pack, VoiceModels
    from monitor.values import Appearances, FaceTrack, SpeechTurn

FACES_AT_ONCE = 32
"""Aligned faces in one batch: all the speed a batch gives, at about 100 MB of activations."""

TURNS_AT_ONCE = 16
"""Turns in one batch, for the same reason."""


def embed(appearances: Appearances, pack: Pack) -> tuple[Probe, ...]:
    """Turn every appearance above the quality floor into a probe, faces and turns each in batches."""
    faces = _faces(appearances.faces, pack.faces) if pack.faces is not None else ()
    return (*faces, *(_voices(appearances.turns, pack.voices) if pack.voices is not None else ()))


def _faces(tracks: Sequence[FaceTrack], models: FaceModels) -> tuple[Probe, ...]:
    usable = [[s for s in t.samples if s.quality >= FLOOR] for t in tracks]
    aligned = [s.aligned for samples in usable for s in samples]
    vectors = [
        models.recogniser.embed(np.stack(aligned[i : i + FACES_AT_ONCE]))
        for i in range(0, len(aligned), FACES_AT_ONCE)
    ]
    rows = _rows(vectors, [len(samples) for samples in usable])
    return tuple(
        Probe(
            track,
            Modality.FACE,
            models.recogniser.model_id,
            own,
            np.array([s.quality for s in samples], np.float32),
        )
        for track, samples, own in zip(tracks, usable, rows, strict=True)
        if samples
    )


def _voices(turns: Sequence[SpeechTurn], models: VoiceModels) -> tuple[Probe, ...]:
    vectors = [
        models.recogniser.embed([t.sound for t in turns[i : i + TURNS_AT_ONCE]])
        for i in range(0, len(turns), TURNS_AT_ONCE)
    ]
    rows = _rows(vectors, [1] * len(turns))
    return tuple(
        Probe(
            turn,
            Modality.VOICE,
            models.recogniser.model_id,
            own,
            np.array([min(1.0, turn.net_speech_s / WINDOW_S)], np.float32),
        )
        for turn, own in zip(turns, rows, strict=True)
    )


def _rows(batches: Sequence[NDArray[np.float32]], counts: Sequence[int]) -> list[NDArray[np.float32]]:
    """Deal the rows of all batches out again: counts[i] rows to the i-th appearance."""
    if not batches:
        return [np.empty((0, 0), np.float32) for _ in counts]
    together = np.concatenate(batches)
    return list(np.split(together, np.cumsum(counts)[:-1])) if counts else []
