"""An operator's own speechbrain speaker model, here a tiny x-vector network made by the test."""

from __future__ import annotations

import sys
import types
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.errors import TooLittleSpeech, WeightsDiffer, WeightsMissing
from monitor.ml import speechbrain_voice
from monitor.ml.packs import load_pack
from monitor.ml.speechbrain_voice import load_speechbrain, make_torchaudio_importable
from monitor.settings import Settings
from monitor.values import Sound

if TYPE_CHECKING:
    from pathlib import Path

HYPERPARAMS = """
pretrained_path: speechbrain/spkrec-on-the-web
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: 16
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.Xvector.Xvector
    in_channels: 16
    activation: !name:torch.nn.LeakyReLU
    tdnn_blocks: 2
    tdnn_channels: [8, 8]
    tdnn_kernel_sizes: [3, 1]
    tdnn_dilations: [1, 1]
    lin_neurons: 12
classifier: !new:speechbrain.lobes.models.Xvector.Classifier
    input_shape: [null, null, 12]
    activation: !name:torch.nn.LeakyReLU
    lin_blocks: 1
    lin_neurons: 8
    out_neurons: 4
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    classifier: !ref <classifier>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
    paths:
        embedding_model: !ref <pretrained_path>/embedding_model.ckpt
"""

NOISE = 1e-3
"""speechbrain's statistics pooling adds a little noise of its own."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the hub gives it: its `pretrained_path` names a place on the web."""
    made = tmp_path_factory.mktemp("speakers") / "tiny-xvector"
    made.mkdir()
    (made / "hyperparams.yaml").write_text(HYPERPARAMS, encoding="utf-8")
    make_torchaudio_importable()
    import torch  # noqa: PLC0415 - seconds, and only for these tests
    from speechbrain.lobes.models.Xvector import Xvector  # noqa: PLC0415

    torch.manual_seed(1)
    sizes = {"tdnn_blocks": 2, "tdnn_channels": [8, 8], "tdnn_kernel_sizes": [3, 1], "tdnn_dilations": [1, 1]}
    network = Xvector(in_channels=16, lin_neurons=12, activation=torch.nn.LeakyReLU, **sizes)
    torch.save(network.state_dict(), made / "embedding_model.ckpt")
    return made


def tone(pitch: float, seconds: float = 2.0) -> Sound:
    times = np.arange(int(seconds * 16000)) / 16000
    return Sound((0.3 * np.sin(2 * np.pi * pitch * times)).astype(np.float32))


def test_sounds_become_vectors_of_the_folders_own_length(folder: Path) -> None:
    voice = load_speechbrain(folder, "cpu")
    vectors = voice.embed([tone(200), tone(900, 3.0), tone(200)])
    assert voice.dimension == 12
    assert vectors.shape == (3, 12)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(vectors[0], vectors[2], atol=NOISE)
    assert vectors[0] @ vectors[1] < 0.9999
    assert voice.embed([]).shape == (0, 12)


def test_the_checkpoint_of_the_folder_is_what_is_loaded(folder: Path) -> None:
    """Two loads give the same vectors only if the weights come from the file and not from chance."""
    first, second = load_speechbrain(folder, "cpu"), load_speechbrain(folder, "cpu")
    np.testing.assert_allclose(first.embed([tone(300)]), second.embed([tone(300)]), atol=NOISE)


def test_loading_leaves_the_folder_as_it_was(folder: Path) -> None:
    before = speechbrain_voice.digest_of(folder)
    model_id = load_speechbrain(folder, "cpu").model_id
    assert speechbrain_voice.digest_of(folder) == before
    assert model_id == f"tiny-xvector@{before[:16]}/speechbrain-16k"


def test_the_pack_reads_voices_with_it(folder: Path) -> None:
    voices = load_pack(Settings(speechbrain_dir=folder)).voices
    assert voices.recogniser.dimension == 12
    stated = replace(speechbrain_voice.THRESHOLDS, model_id=voices.recogniser.model_id)
    assert voices.thresholds == stated
    assert voices.calibration is None


def test_who_looks_at_every_loaded_module_meets_no_missing_one(folder: Path) -> None:
    load_speechbrain(folder, "cpu")
    for module in list(sys.modules.values()):
        getattr(module, "__file__", None)


def test_a_blink_of_sound_is_refused(folder: Path) -> None:
    with pytest.raises(TooLittleSpeech):
        load_speechbrain(folder, "cpu").embed([tone(300, 0.1)])


def test_a_folder_without_hyperparams_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="hyperparams"):
        load_speechbrain(tmp_path, "cpu")


def test_a_folder_without_its_checkpoint_is_refused_and_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "hyperparams.yaml").write_text(HYPERPARAMS, encoding="utf-8")
    with pytest.raises(WeightsDiffer):
        load_speechbrain(tmp_path, "cpu")


def test_the_stand_in_is_inert_where_torchaudio_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = types.ModuleType("torchaudio")
    monkeypatch.setitem(sys.modules, "torchaudio", whole)
    before = sys.modules.get("torchaudio._extension")
    make_torchaudio_importable()
    assert sys.modules["torchaudio"] is whole
    assert sys.modules.get("torchaudio._extension") is before
