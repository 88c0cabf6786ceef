"""AASIST is written down from its published checkpoints, where they are at hand: they are in no registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.errors import WeightsDiffer, WeightsMissing
from monitor.ml.aasist import SAMPLES, aasist_graph, band_passes
from monitor.ml.checkpoint import read_tensors
from monitor.ml.lock import read_lock
from monitor.ml.sessions import open_session
from monitor.ml.synthetic_voice import CLASSIC, RECENT
from monitor.ml.synthetic_voice import SAMPLES as WINDOW
from monitor.ml.weights import Pull

if TYPE_CHECKING:
    from pathlib import Path

TRAININGS = {CLASSIC: "AASIST.pth", RECENT: "AASIST-ASVspoof5.pth"}


@pytest.fixture(scope="module")
def brought(data: Path) -> Path:
    """Give the folder with the authors' checkpoints."""
    folder = data.parent / "weights"
    if not all((folder / name).is_file() for name in TRAININGS.values()):
        pytest.skip(f"{folder} lacks AASIST's checkpoints: they are in no registry")
    return folder


@pytest.fixture(scope="module")
def written(brought: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give both graphs, by way of a pull from the folder that holds the checkpoints."""
    cache = tmp_path_factory.mktemp("cache")
    Pull(cache, brought, lambda *_: None).run(read_lock().of_pack("synthetic"))
    assert {path.name for path in cache.iterdir()} == set(TRAININGS)
    return cache


@pytest.mark.parametrize("name", TRAININGS)
def test_it_agrees_with_pytorch(name: str, written: Path, brought: Path) -> None:
    torch = pytest.importorskip("torch")
    from tests.monitor.ml.aasist_in_torch import network  # noqa: PLC0415 - needs torch

    rng = np.random.default_rng(3)
    samples = rng.normal(0, 0.1, (2, SAMPLES)).astype(np.float32)
    samples[1] *= np.linspace(0, 3, SAMPLES, dtype=np.float32)  # the two have different best nodes
    theirs = network(read_tensors(brought / TRAININGS[name]))
    with torch.no_grad():
        expected = theirs(torch.from_numpy(samples), torch.from_numpy(band_passes())).numpy()
    session = open_session(written / name, "cpu")
    together = session.run(None, {"samples": samples})[0]
    assert np.abs(together - expected).max() < 1e-4
    alone = session.run(None, {"samples": samples[1:]})[0]
    np.testing.assert_allclose(alone, together[1:], atol=1e-5)


def test_the_scorers_window_is_the_networks() -> None:
    assert WINDOW == SAMPLES


def test_the_filters_are_even_and_pass_their_own_band_only() -> None:
    filters = band_passes()[:, 0]
    np.testing.assert_array_equal(filters, filters[:, ::-1])
    response = np.abs(np.fft.rfft(filters, 4096, axis=1))
    peaks = response.argmax(axis=1) * 16_000 / 4096
    assert (np.diff(peaks) >= 0).all()
    assert peaks[-1] > 7000


def test_another_networks_checkpoint_is_refused(brought: Path) -> None:
    tensors = read_tensors(brought / "AASIST.pth")
    with pytest.raises(WeightsDiffer, match=r"extra\.weight"):
        aasist_graph({**tensors, "extra.weight": np.zeros(3, np.float32)})
    with pytest.raises(KeyError, match="pos_S"):
        aasist_graph({name: tensor for name, tensor in tensors.items() if name != "pos_S"})


def test_without_the_checkpoint_it_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"github\.com/clovaai/aasist") as caught:
        Pull(tmp_path / "cache", None, lambda *_: None).run([read_lock().named(CLASSIC)])
    assert "likeness models pull --pack synthetic --from DIR" in caught.value.hint
