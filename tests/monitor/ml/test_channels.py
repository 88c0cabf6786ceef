"""What a channel put into a voice's vector is taken out again, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.bench.sound import read_sound, sharp_telephone
from monitor.errors import ConfigError
from monitor.ml.channels import ChannelMap, learn, read_channel_map, shipped_channel_map
from monitor.ml.vectors import unit_rows
from monitor.ml.voices import CamPlusPlus
from monitor.values import SAMPLE_RATE, Sound

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.ml.interfaces import Pack

RNG = np.random.default_rng(3)
WIDTH = 24
AXIS = np.eye(1, WIDTH, 5, dtype=np.float32)


def people(count: int) -> np.ndarray:
    return unit_rows(RNG.standard_normal((count, WIDTH)))


def disturbed(voices: np.ndarray) -> np.ndarray:
    """Each is moved along one axis, by another amount, and a little at random."""
    along = RNG.normal(1.0, 0.5, (len(voices), 1)).astype(np.float32) * AXIS
    return unit_rows(voices + along + 0.02 * RNG.standard_normal(voices.shape))


def made(shrinkage: float = 0.1) -> ChannelMap:
    voices = people(400)
    return learn(voices, [disturbed(voices) - voices, np.zeros_like(voices)], shrinkage, 1)


def test_the_axis_of_a_channel_is_found_and_strangers_on_it_part_again() -> None:
    found, voices = made(), people(60)
    assert abs(float(found.directions[0] @ AXIS[0])) > 0.95
    heard = disturbed(voices)
    before, after = heard @ voices.T, found(heard) @ found(voices).T
    assert np.diag(after).mean() > np.diag(before).mean() + 0.15
    others = ~np.eye(60, dtype=bool)
    strangers_before, strangers_after = heard @ heard.T, found(heard) @ found(heard).T
    assert strangers_before[others].mean() > 0.3
    assert abs(strangers_after[others].mean()) < 0.05


def test_more_of_a_sphere_shrinks_less() -> None:
    assert made(0.1).gains[0] < made(1.0).gains[0] < made(100.0).gains[0] <= 1


def test_rows_have_length_1_and_do_not_depend_on_their_neighbours() -> None:
    found, voices = made(), people(7)
    np.testing.assert_allclose(np.linalg.norm(found(voices), axis=1), 1, rtol=1e-6)
    alone = np.concatenate([found(row[None]) for row in voices])
    np.testing.assert_allclose(found(voices), alone, atol=1e-6)
    assert found(np.empty((0, WIDTH), np.float32)).shape == (0, WIDTH)


@pytest.mark.parametrize(
    "change",
    [
        {"gains": np.array([0.0], np.float32)},
        {"gains": np.array([1.5], np.float32)},
        {"gains": np.array([0.5, 0.5], np.float32)},
        {"centre": np.full(WIDTH, np.nan, np.float32)},
        {"directions": np.ones((1, WIDTH + 1), np.float32)},
    ],
)
def test_what_is_no_map_is_refused(change: dict) -> None:
    with pytest.raises(ValueError, match="no channel map"):
        replace(made(), **change)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"version": "x", "centre": [1], "gains": [2]}'])
def test_a_file_that_is_no_map_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "map.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="no channel map"):
        read_channel_map(path)


def test_a_map_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = made()
    words = {name: getattr(found, name).tolist() for name in ("centre", "directions", "gains")}
    path = tmp_path / "map.json"
    path.write_text(json.dumps({"version": "made"} | words))
    np.testing.assert_array_equal(read_channel_map(path).directions, found.directions)


def test_the_map_that_is_shipped_is_the_recognisers_and_in_its_name(pack: Pack) -> None:
    found = shipped_channel_map()
    assert pack.voices.recogniser.channels is found
    assert pack.voices.recogniser.model_id.endswith(found.version)
    np.testing.assert_allclose(found.directions @ found.directions.T, np.eye(len(found.gains)), atol=1e-3)


def test_a_sharp_telephone_changes_a_voice_less_than_it_did(pack: Pack, data: Path) -> None:
    """On speakers of whom nothing was learnt: the map knows only those with one recording."""
    recogniser = pack.voices.recogniser
    assert isinstance(recogniser, CamPlusPlus)
    folder = data / "voices" / "real" / "librispeech-test-other"
    clips = [read_sound(min((folder / who).iterdir())) for who in ("1688", "1998", "2033", "2414")]
    near = [Sound(clip.samples[: 3 * SAMPLE_RATE]) for clip in clips]
    far = [Sound(sharp_telephone(one.samples)) for one in near]

    def told_apart(some: CamPlusPlus) -> float:
        scores = some.embed(near) @ some.embed(far).T
        others = ~np.eye(len(scores), dtype=bool)
        return float(np.diag(scores).mean() - scores[others].mean())

    assert told_apart(recogniser) > told_apart(replace(recogniser, channels=None)) + 0.05
