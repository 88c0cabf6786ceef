"""The scorer of synthetic speech: when it abstains, how it cuts, and real voices against machines'."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.bench.sound import read_sound, telephone
from monitor.ml.synthetic_voice import (
    CLASSIC,
    MOST_WINDOWS,
    SAMPLES,
    Abstains,
    Heard,
    SyntheticVoice,
    gate,
    open_synthetic_voice,
    windows_of,
)
from monitor.settings import load_settings
from monitor.values import SAMPLE_RATE, Sound, Span

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def network() -> SyntheticVoice:
    """Give the network, where its weights were brought."""
    found = open_synthetic_voice(load_settings().models_dir, "cpu")
    if found is None:
        pytest.skip("bring the weights: likeness models pull --pack synthetic --from DIR")
    return found


def whole(sound: Sound) -> tuple[Span, ...]:
    return (Span(0.0, sound.seconds),)


def heard(network: SyntheticVoice, sound: Sound) -> Heard:
    found = network.assess(sound, whole(sound))
    assert isinstance(found, Heard)
    return found


def one(data: Path, folder: str) -> Sound:
    path = min((data / "voices" / folder).rglob("*.flac"))
    return Sound(read_sound(path).samples[: 5 * SAMPLE_RATE])


def test_classic_synthesis_is_told_from_a_reader_at_any_loudness(network: SyntheticVoice, data: Path) -> None:
    machine, reader = one(data, "spoof/espeak"), one(data, "real/librispeech-test-other")
    loud, person = heard(network, machine), heard(network, reader)
    assert loud.score < -9 < person.score - 3
    quiet = heard(network, Sound(machine.samples * np.float32(0.1)))
    assert quiet.score == pytest.approx(loud.score, abs=0.05)
    assert len(loud.windows) == -(-len(machine.samples) // SAMPLES)


def test_it_abstains_from_a_telephone_and_from_a_word(data: Path) -> None:
    reader = one(data, "real/librispeech-test-other")
    assert gate(reader, whole(reader)) is None
    called = Sound(telephone(reader.samples))
    assert gate(called, whole(called)) is Abstains.NARROW_BAND
    assert gate(reader, (Span(0.5, 2.0),)) is Abstains.TOO_SHORT
    assert gate(reader, ()) is Abstains.TOO_SHORT


def test_without_weights_there_is_no_scorer(tmp_path: Path) -> None:
    assert open_synthetic_voice(tmp_path, "cpu", CLASSIC) is None


@pytest.mark.parametrize(("seconds", "count"), [(1.0, 1), (4.1, 2), (12.0, 3), (600.0, MOST_WINDOWS)])
def test_windows_reach_from_first_to_last(seconds: float, count: int) -> None:
    samples = np.arange(int(seconds * SAMPLE_RATE), dtype=np.float32)
    found = windows_of(samples)
    assert len(found) == count
    assert {len(window) for _, window in found} == {SAMPLES}
    assert found[0][1][0] == 0
    assert len(samples) < SAMPLES or found[-1][1][-1] == samples[-1]
