"""Vectors of people who do not exist."""

from __future__ import annotations

import numpy as np

from monitor.bench.verification import Embedded


def some_people(people: int, pictures: int, strangers: int, noise: float, seed: int = 2) -> Embedded:
    """Give people with several pictures near a direction of their own, then strangers with one picture."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(people + strangers, 32))
    persons = np.concatenate([np.repeat(np.arange(people), pictures), people + np.arange(strangers)])
    vectors = centres[persons] + rng.normal(size=(len(persons), 32)) * noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Embedded(vectors.astype(np.float32), persons)
