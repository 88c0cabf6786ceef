"""Waves of a filmed screen stand out of a face's spectrum."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from enrollment.identity.moire import peak, screen
from enrollment.identity.signs import Outcome
from tests.assets.persons import drawn, path


def pieces(waves: float, wave_px: float = 7.0, noise: float = 3.0) -> np.ndarray:
    """Twelve pieces of a smooth face with a sensor's noise, and waves of so many grey levels over them."""
    rng = np.random.default_rng(2)
    made = []
    x, y = np.meshgrid(np.arange(128), np.arange(128))
    for number in range(12):
        skin = cv2.GaussianBlur(rng.normal(0, 1, (128, 128)).astype(np.float32), (0, 0), 8)
        skin = 130 + 40 * skin / skin.std()
        grid = waves * np.cos(2 * np.pi * (x * 0.8 + y * 0.6) / wave_px + number)
        grey = skin + grid + cv2.GaussianBlur(rng.normal(0, noise * 3, (128, 128)), (0, 0), 1.0)
        made.append(np.repeat(np.clip(grey, 0, 255)[..., None], 3, axis=-1).astype(np.uint8))
    return np.stack(made)


@pytest.mark.parametrize("wave_px", [4.0, 7.0, 12.0])
def test_waves_stand_out(wave_px: float) -> None:
    assert peak(pieces(12.0, wave_px)) > peak(pieces(0.0)) + 0.5


def test_waves_are_for_a_person_and_never_refuse() -> None:
    watched = drawn(path((0, 0, 2)))
    for waves, outcome in ((0.0, Outcome.PASS), (14.0, Outcome.DOUBT)):
        closes = pieces(waves)
        seen = tuple(replace(one, close=closes[i % 12]) for i, one in enumerate(watched.seen))
        assert screen(replace(watched, seen=seen)).outcome is outcome


def test_where_too_little_was_kept_nothing_is_said() -> None:
    assert screen(drawn(path((0, 0, 2)))).code == "waves_not_looked_for"
