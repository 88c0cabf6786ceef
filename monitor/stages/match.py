"""Step 6: vectors -> enrolled subjects who may be the ones who appear. Most probes match nobody.

The decision is open-set: a score below the thresholds is nobody, however near the nearest subject is. One
bad frame never convicts: an appearance's score is the mean over its samples, weighted by quality.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from monitor.stages.quality import WEAK
from monitor.values import Band, Candidate, FaceTrack, Modality, ModelId, Probe, Span, SpeechTurn, SubjectId

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.gallery import Hit
    from monitor.ml.interfaces import Thresholds

    Alive = Callable[[Collection[SubjectId]], Collection[SubjectId]]

NEAREST = 32
"""Templates looked at for one vector: those of some ten subjects."""

NEAR_TIE = 0.05
"""Margin below which two enrolled subjects cannot be told apart, about the spread of one person's scores
between two frames (LFW, fr_feature): both go to a human, nobody is told about a twin."""

JOIN_S = 2.0
"""Turns of one voice that are no further apart are one stretch of speech."""

EDGE = 0.7
"""Turns at the ends of a stretch that score less than this part of its best hold mostly somebody else: with a
LibriVox reader between two other speakers the span was up to 3 s too long without this (CAM++, 2026-11)."""


class Searches(Protocol):
    """What is needed of the gallery."""

    def search(
        self, modality: Modality, model_id: ModelId, vectors: NDArray[np.float32], k: int
    ) -> list[list[Hit]]:
        """Give the k nearest templates of each row, best first. Raises GalleryNotReady, ModelMismatch."""


@dataclass(frozen=True, slots=True)
class _Rated:
    """One subject's score for one appearance, before anything is decided."""

    probe: Probe
    subject_id: SubjectId
    score: float
    margin: float


def match(
    probes: Sequence[Probe], gallery: Searches, thresholds: Mapping[Modality, Thresholds], alive: Alive
) -> tuple[Candidate, ...]:
    """Find the enrolled subjects among the probes, best score first.

    `alive` says which of some subjects are enrolled at this moment, so that an erased one cannot match even
    before the gallery has heard of it. Raises GalleryNotReady and ModelMismatch.
    """
    rated: list[_Rated] = []
    for (modality, model_id), group in _by_model(probes).items():
        rated += _rate(group, gallery, modality, model_id, thresholds[modality].review)
    living = set(alive({r.subject_id for r in rated})) if rated else set()
    rated = [r for r in rated if r.subject_id in living]
    faces = _one_face_each([r for r in rated if r.probe.modality is Modality.FACE])
    voices = [r for r in rated if r.probe.modality is Modality.VOICE]
    found = [_candidate(r, thresholds[Modality.FACE]) for r in faces]
    found += _stretches([_candidate(r, thresholds[Modality.VOICE]) for r in voices], thresholds)
    return tuple(sorted(found, key=lambda c: -c.score))


def _by_model(probes: Sequence[Probe]) -> dict[tuple[Modality, ModelId], list[Probe]]:
    groups: dict[tuple[Modality, ModelId], list[Probe]] = {}
    for probe in probes:
        groups.setdefault((probe.modality, probe.model_id), []).append(probe)
    return groups


def _rate(
    probes: Sequence[Probe], gallery: Searches, modality: Modality, model_id: ModelId, least: float
) -> list[_Rated]:
    """Search all vectors at once; of each probe keep the best subject and those in a near tie with it."""
    hits = gallery.search(modality, model_id, np.concatenate([p.vectors for p in probes]), NEAREST)
    rows = iter(hits)
    rated: list[_Rated] = []
    for probe in probes:
        scores = _scores(probe, [next(rows) for _ in probe.vectors])
        ranked = sorted(scores.items(), key=lambda item: -item[1])
        for subject, score in ranked:
            if score < least or ranked[0][1] - score >= NEAR_TIE:
                break
            others = max((s for other, s in ranked if other != subject), default=-1.0)
            rated.append(_Rated(probe, subject, score, score - others))
    return rated


def _scores(probe: Probe, hits: Sequence[Sequence[Hit]]) -> dict[SubjectId, float]:
    """Give the quality-weighted mean over the samples of each subject's best cosine.

    A subject that is not among a sample's nearest is counted with the furthest of them, which it cannot beat.
    """
    subjects = {h.subject_id for row in hits for h in row}
    weights = probe.qualities / max(float(probe.qualities.sum()), 1e-9)
    totals = dict.fromkeys(subjects, 0.0)
    for weight, row in zip(weights, hits, strict=True):
        best: dict[SubjectId, float] = {}
        for hit in row:
            best[hit.subject_id] = max(hit.score, best.get(hit.subject_id, -1.0))
        last = min((h.score for h in row), default=-1.0)
        for subject in subjects:
            totals[subject] += float(weight) * best.get(subject, last)
    return totals


def _one_face_each(rated: Sequence[_Rated]) -> list[_Rated]:
    """Of two faces in one frame only the better can be a subject: nobody stands beside himself."""
    kept: list[_Rated] = []
    for r in sorted(rated, key=lambda r: -r.score):
        same = (k for k in kept if k.subject_id == r.subject_id)
        if not any(_together(k.probe.appearance, r.probe.appearance) for k in same):
            kept.append(r)
    return kept


def _together(a: FaceTrack | SpeechTurn, b: FaceTrack | SpeechTurn) -> bool:
    return a.span.start_s <= b.span.end_s and b.span.start_s <= a.span.end_s


def _candidate(rated: _Rated, thresholds: Thresholds) -> Candidate:
    band = _band(rated.score, thresholds)
    doubtful = rated.margin < NEAR_TIE or float(rated.probe.qualities.max()) < WEAK
    return Candidate(
        subject_id=rated.subject_id,
        modality=rated.probe.modality,
        model_id=rated.probe.model_id,
        score=rated.score,
        margin=rated.margin,
        band=Band.REVIEW if doubtful and band is Band.ALERT else band,
        appearance=rated.probe.appearance,
    )


def _band(score: float, thresholds: Thresholds) -> Band:
    if score >= thresholds.alert:
        return Band.ALERT
    return Band.REVIEW if score >= thresholds.review else Band.BELOW


def _stretches(candidates: Sequence[Candidate], thresholds: Mapping[Modality, Thresholds]) -> list[Candidate]:
    """Join neighbouring turns of one voice into one candidate for the whole stretch."""
    joined: list[Candidate] = []
    ordered = sorted(candidates, key=lambda c: (c.subject_id, c.appearance.span.start_s))
    for _, turns in itertools.groupby(ordered, key=lambda c: c.subject_id):
        stretch: list[Candidate] = []
        for turn in turns:
            if stretch and turn.appearance.span.start_s - stretch[-1].appearance.span.end_s > JOIN_S:
                joined.append(_join(stretch, thresholds[Modality.VOICE]))
                stretch = []
            stretch.append(turn)
        joined.append(_join(stretch, thresholds[Modality.VOICE]))
    return joined


def _join(stretch: Sequence[Candidate], thresholds: Thresholds) -> Candidate:
    """Score a stretch by the mean of its turns; one doubtful turn does not make the others doubtful."""
    best = max(stretch, key=lambda c: c.score)
    hers = [number for number, c in enumerate(stretch) if c.score >= EDGE * best.score]
    stretch = stretch[hers[0] : hers[-1] + 1]
    score = float(np.mean([c.score for c in stretch]))
    span = Span(stretch[0].appearance.span.start_s, max(c.appearance.span.end_s for c in stretch))
    natural = _band(score, thresholds)
    held = natural is Band.ALERT and all(c.band is not Band.ALERT for c in stretch)
    return replace(
        best,
        score=score,
        margin=min(c.margin for c in stretch),
        band=Band.REVIEW if held else natural,
        appearance=replace(best.appearance, span=span),
    )
