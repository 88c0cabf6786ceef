"""Rates and their bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DRAWS: Final = 2000
"""Bootstrap draws: the bounds then move by less than a tenth of their distance from run to run."""

CONFIDENCE: Final = (2.5, 97.5)
"""Percentiles of a 95 % interval."""


def threshold_at(impostors: NDArray[np.float32], rate: float) -> float:
    """Lowest threshold that at most `rate` of the impostor scores (n,) reach.

    Raises ValueError when there are too few scores to speak of this rate (fewer than one would pass).
    """
    allowed = int(rate * len(impostors))
    if allowed < 1:
        msg = f"{len(impostors)} impostor scores cannot show a rate of {rate}"
        raise ValueError(msg)
    highest_refused = np.partition(impostors, len(impostors) - allowed - 1)[len(impostors) - allowed - 1]
    return float(np.nextafter(highest_refused, np.float32(np.inf)))


def rate_by_person(
    hits: NDArray[np.int64], tries: NDArray[np.int64], seed: int
) -> tuple[float, float, float]:
    """Rate over all tries with a 95 % interval by bootstrap over persons.

    `hits` and `tries` are (persons,). Tries of one person are not independent, so whole persons are drawn.
    """
    rate = float(hits.sum() / tries.sum())
    draws = np.random.default_rng(seed).integers(0, len(hits), (DRAWS, len(hits)))
    rates = hits[draws].sum(axis=1) / np.maximum(tries[draws].sum(axis=1), 1)
    low, high = np.percentile(rates, CONFIDENCE)
    return rate, float(min(low, rate)), float(max(high, rate))


def mean_of_people(rates: NDArray[np.float64], seed: int) -> tuple[float, float, float]:
    """Mean of each person's own rate (persons,), with a 95 % interval by bootstrap over persons."""
    draws = np.random.default_rng(seed).integers(0, len(rates), (DRAWS, len(rates)))
    low, high = np.percentile(rates[draws].mean(axis=1), CONFIDENCE)
    mean = float(rates.mean())
    return mean, float(min(low, mean)), float(max(high, mean))


def wilson(hits: int, tries: int) -> tuple[float, float, float]:
    """Rate with Wilson's 95 % interval, for independent tries."""
    z = 1.959964
    rate = hits / tries
    centre = (rate + z * z / (2 * tries)) / (1 + z * z / tries)
    half = z * np.sqrt(rate * (1 - rate) / tries + z * z / (4 * tries * tries)) / (1 + z * z / tries)
    return rate, max(0.0, min(rate, float(centre - half))), min(1.0, max(rate, float(centre + half)))
