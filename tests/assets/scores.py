"""Makes scores whose distribution is known, so that what the dial promises can be counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm

from monitor.budget import Half
from monitor.live_scores import ALL, Place, add, day_of
from monitor.ml.calibration import Calibration
from monitor.ml.interfaces import Thresholds
from monitor.values import TALLY_BINS, Modality, ModelId, Tally

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray
    from sqlalchemy import Engine

FACE_MODEL = ModelId("faces@0123456789abcdef/112")
VOICE_MODEL = ModelId("voices@0123456789abcdef/80")
MODELS = {Modality.FACE: FACE_MODEL, Modality.VOICE: VOICE_MODEL}
MEAN, SPREAD = 0.05, 0.08
"""Strangers' cosines, about those of a good face recogniser."""

FIXED = Thresholds(alert=0.6, review=0.5, model_id=FACE_MODEL, data_set="set by hand")


def calibration(
    modality: Modality = Modality.FACE, mean: float = MEAN, spread: float = SPREAD, *, down_to: float = 1e-6
) -> Calibration:
    """Make the calibration of normally distributed strangers, measured down to some false match rate."""
    rates = np.geomspace(0.5, down_to, 30)
    tail = tuple((float(norm.isf(rate, mean, spread)), float(np.log10(rate))) for rate in rates)
    return Calibration(
        modality, MODELS[modality], "made up", "2026-05-03", 300, 5_000, 2_000_000, 40.0, -15.0, tail
    )


def measured(scores: NDArray[np.float64], modality: Modality = Modality.FACE) -> Calibration:
    """Make a calibration from strangers' scores, as a measurement would, down to 20 scores."""
    ordered = np.sort(scores)[::-1]
    ranks = np.unique(np.geomspace(20, len(scores) / 2, 25).astype(int))[::-1]
    tail = tuple((float(ordered[rank - 1]), float(np.log10(rank / len(scores)))) for rank in ranks)
    return Calibration(
        modality, MODELS[modality], "made up", "2026-05-03", 300, 5_000, len(scores), 40.0, -15.0, tail
    )


def half(modality: Modality = Modality.FACE, *, calibrated: bool = True) -> Half:
    """Make one half of a pack, as the dial knows it."""
    fixed = Thresholds(alert=0.6, review=0.5, model_id=MODELS[modality], data_set="set by hand")
    return Half(modality, fixed, calibration(modality) if calibrated else None)


def counted(
    comparisons: int, mean: float = MEAN, spread: float = SPREAD, *, below: float = 0.36, seed: int = 3
) -> tuple[int, ...]:
    """Draw how many strangers fall into each bin; those above the review threshold are counted nowhere."""
    edges = np.linspace(0, 1, TALLY_BINS + 1)
    shares = np.diff(norm.cdf(edges, mean, spread))
    rest = max(0.0, 1 - float(shares.sum()))
    drawn = np.random.default_rng(seed).multinomial(comparisons, [*shares, rest])[:-1]
    return tuple(int(count) if at < below - 1e-9 else 0 for at, count in zip(edges, drawn, strict=False))


def tally(
    comparisons: int, counts: tuple[int, ...] = (0,) * TALLY_BINS, modality: Modality = Modality.FACE
) -> Tally:
    """Make what the match hands to the dial."""
    return Tally(modality, MODELS[modality], comparisons, counts)


def seen(
    engine: Engine,
    at: datetime,
    comparisons: int,
    counts: tuple[int, ...],
    modality: Modality = Modality.FACE,
) -> None:
    """Write one day's counts into the ledger."""
    places = {
        Place(day_of(at), modality.value, MODELS[modality], number): count
        for number, count in ((ALL, comparisons), *enumerate(counts))
    }
    add(engine, {place: count for place, count in places.items() if count})
