"""Who appears in an item, each as a whole: a face with all samples of its track, a voice with all turns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from monitor.gallery_shelves import unit_rows
from monitor.values import FaceTrack, Modality, ModelId, Probe, Span, SpeechTurn, pieces_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

LEAST_SPEECH_S = 2.0
"""Net speech of one speaker below which nothing is compared: CAM++ is unsteady there."""

ROUNDING_S = 0.05
"""What cutting speech into samples may take off a length."""

JOIN_S = 1.0
"""Pauses of one voice up to this long, in which nobody else speaks, are not named as seconds of silence."""


@dataclass(frozen=True, slots=True)
class Somebody:
    """One who appears: a face with its samples, or a speaker with all turns.

    `vectors` is (n, d) with `weights` (n,); `mean` is (d,), of length 1. `best` is the best sample's quality.
    `covered`: the lower half of the face seems to be covered.
    """

    modality: Modality
    model_id: ModelId
    appearance: FaceTrack | SpeechTurn
    vectors: NDArray[np.float32]
    weights: NDArray[np.float32]
    mean: NDArray[np.float32]
    best: float
    covered: bool = False


def everybody(probes: Sequence[Probe]) -> Iterable[list[Somebody]]:
    """Put together who appears, by modality and model: a track is one person, a speaker's turns are one.

    A speaker of less than LEAST_SPEECH_S is left out. Raises BadVector where a probe is not of length 1.
    """
    groups: dict[tuple[Modality, ModelId], list[Somebody]] = {}
    turns: dict[tuple[ModelId, int], list[Probe]] = {}
    for probe in probes:
        if isinstance(probe.appearance, SpeechTurn):
            turns.setdefault((probe.model_id, probe.appearance.speaker), []).append(probe)
        else:
            one = somebody([probe], probe.appearance, [probe.qualities])
            groups.setdefault((probe.modality, probe.model_id), []).append(one)
    for (model_id, number), own in turns.items():
        others = [p for (_, speaker), each in turns.items() if speaker != number for p in each]
        speaker = _speaker(own, others)
        if speaker is not None:
            groups.setdefault((Modality.VOICE, model_id), []).append(speaker)
    return groups.values()


def _speaker(own: Sequence[Probe], others: Sequence[Probe]) -> Somebody | None:
    turns = [p.appearance for p in own if isinstance(p.appearance, SpeechTurn)]
    net = sum(t.net_speech_s for t in turns)
    if net < LEAST_SPEECH_S - ROUNDING_S:
        return None
    longest = max(turns, key=lambda t: t.net_speech_s)
    pieces = _joined(_pieces(turns), _pieces(p.appearance for p in others))
    whole = replace(longest, span=Span(pieces[0].start_s, pieces[-1].end_s), net_speech_s=net, pieces=pieces)
    weights = [
        p.qualities * np.float32(t.net_speech_s / max(float(p.qualities.sum()), 1e-9))
        for p, t in zip(own, turns, strict=True)
    ]
    return somebody(own, whole, weights)


def _pieces(turns: Iterable[FaceTrack | SpeechTurn]) -> list[Span]:
    return sorted((piece for t in turns for piece in pieces_of(t)), key=lambda s: s.start_s)


def _joined(own: Sequence[Span], others: Sequence[Span]) -> tuple[Span, ...]:
    """Join what only a short pause parts, unless somebody else speaks in it."""
    starts, ends = np.array([s.start_s for s in others]), np.array([s.end_s for s in others])
    joined: list[Span] = []
    for piece in own:
        end = joined[-1].end_s if joined else 0.0
        near = bool(joined) and piece.start_s - end <= JOIN_S
        if near and not bool(np.any((starts < piece.start_s) & (ends > end))):
            joined[-1] = Span(joined[-1].start_s, max(end, piece.end_s))
        else:
            joined.append(piece)
    return tuple(joined)


def somebody(
    probes: Sequence[Probe], appearance: FaceTrack | SpeechTurn, weights: Sequence[NDArray[np.float32]]
) -> Somebody:
    """Put the samples of one person together; `weights` are those of each probe's rows."""
    first = probes[0]
    vectors = first.vectors if len(probes) == 1 else np.concatenate([p.vectors for p in probes])
    vectors = unit_rows(vectors, "a probe")  # each of them: a mean would hide a broken one
    weighed = weights[0] if len(weights) == 1 else np.concatenate(weights)
    best = max(float(p.qualities.max()) for p in probes)
    mean, covered = _mean(vectors, weighed), any(p.covered for p in probes)
    return Somebody(first.modality, first.model_id, appearance, vectors, weighed, mean, best, covered)


def _mean(vectors: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the weighted mean, of length 1; where samples cancel each other out, the best of them."""
    if len(vectors) == 1:
        return np.asarray(vectors[0])
    mean = (vectors * weights[:, None]).sum(axis=0)
    length = float(np.sqrt(np.vecdot(mean, mean)))
    if length <= 1e-3 * float(weights.sum()) or not length:
        mean, length = vectors[int(weights.argmax())], 1.0
    return np.asarray(mean / length, np.float32)
