"""EdgeFace is written down from its published checkpoint, where that is at hand: it is in no registry."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from PIL import Image

from monitor.errors import WeightsDiffer, WeightsMissing
from monitor.ml.align import align
from monitor.ml.checkpoint import read_tensors
from monitor.ml.edgeface import SIDE, STAGES, edgeface_graph
from monitor.ml.lock import read_lock
from monitor.ml.recipes import RECIPES
from monitor.ml.sessions import open_session
from monitor.ml.weights import Pull
from monitor.ml.yunet import YuNet

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CHECKPOINT, WRITTEN = "edgeface_xs_q.pt", "edgeface_xs_512.onnx"


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    return vectors / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)


@pytest.fixture(scope="module")
def brought(data: Path) -> Path:
    folder = data.parent / "weights"
    if not (folder / CHECKPOINT).is_file():
        pytest.skip(f"{folder / CHECKPOINT} is missing: EdgeFace is in no registry")
    return folder


@pytest.fixture(scope="module")
def written(brought: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The graph, by way of a pull from the folder that holds the checkpoint."""
    cache = tmp_path_factory.mktemp("cache")
    Pull(cache, brought, lambda *_: None).run([read_lock().named(WRITTEN)])
    assert [path.name for path in cache.iterdir()] == [WRITTEN]
    return cache / WRITTEN


@pytest.fixture(scope="module")
def crops(brought: Path, data: Path) -> NDArray[np.float32]:
    """Faces of forty people, aligned: (n, 3, 112, 112) in -1..1."""
    detector = YuNet("yunet@1/test", open_session(brought / "face_detection_yunet_2026may.onnx", "cpu"))
    found = []
    for path in sorted((data / "faces" / "lfw-dev").glob("*/*_0001.jpg"))[:400:10]:
        image = np.asarray(Image.open(path).convert("RGB"))
        found += [align(image, face.landmarks) for face in detector.detect(image)[:1]]
    assert len(found) >= 30
    return ((np.stack(found).astype(np.float32) - 127.5) / 127.5).transpose(0, 3, 1, 2)


def test_it_agrees_with_an_export_by_pytorch_on_real_faces(
    brought: Path, written: Path, crops: NDArray[np.float32]
) -> None:
    exported = brought / "edgeface_xs_q.onnx"
    if not exported.is_file():
        pytest.skip(f"{exported} is missing")
    ours, theirs = (
        unit(open_session(path, "cpu").run(None, {"input": crops})[0]) for path in (written, exported)
    )
    assert np.abs(ours - theirs).max() < 2e-6
    assert (ours * theirs).sum(axis=1).min() > 0.999999


def test_no_embedding_depends_on_its_neighbours(written: Path, crops: NDArray[np.float32]) -> None:
    session = open_session(written, "cpu")
    together = session.run(None, {"input": crops[:5]})[0]
    for crop, vector in zip(crops, together, strict=False):
        np.testing.assert_array_equal(session.run(None, {"input": crop[None]})[0][0], vector)


def test_writing_it_down_needs_no_pytorch_and_no_package_but_onnx(brought: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from monitor.ml.recipes import edgeface_onnx\n"
        f"assert len(edgeface_onnx(Path({str(brought / CHECKPOINT)!r}))) > 1_000_000\n"
        "assert not {'torch', 'timm', 'onnxruntime'} & set(sys.modules)\n"
    )
    ended = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr.decode()


def test_a_changed_or_cut_checkpoint_is_refused_by_its_digest(brought: Path, tmp_path: Path) -> None:
    whole = (brought / CHECKPOINT).read_bytes()
    for data in (whole[:-1], whole[: len(whole) // 2], whole + b"\0", b""):
        (tmp_path / CHECKPOINT).write_bytes(data)
        with pytest.raises(WeightsDiffer, match=r"edgeface_xs_q\.pt"):
            Pull(tmp_path / "cache", tmp_path, lambda *_: None).run([read_lock().named(WRITTEN)])
        assert not (tmp_path / "cache" / WRITTEN).exists()


def test_without_the_checkpoint_it_says_where_it_is_published_and_what_to_type(tmp_path: Path) -> None:
    for source in (None, tmp_path):
        with pytest.raises(
            WeightsMissing, match=r"edgeface_xs_q\.pt .* github\.com/otroshi/edgeface"
        ) as caught:
            Pull(tmp_path / "cache", source, lambda *_: None).run([read_lock().named(WRITTEN)])
        assert "likeness models pull --pack edgeface --from DIR --acknowledge-licence" in caught.value.hint


def made_up() -> dict[str, NDArray[np.float32]]:
    """Weights of the right shapes, that no training saw."""
    random = np.random.default_rng(7)
    tensors: dict[str, NDArray[np.float32]] = {}

    def layer(name: str, *shape: int) -> None:
        tensors[f"model.{name}.weight"] = random.normal(0, 0.1, shape).astype(np.float32)
        tensors[f"model.{name}.bias"] = random.normal(0, 0.1, shape[0]).astype(np.float32)

    def mixed(name: str, channels: int) -> None:
        layer(f"{name}.norm", channels)
        layer(f"{name}.mlp.fc1", 4 * channels, channels)
        layer(f"{name}.mlp.fc2", channels, 4 * channels)
        tensors[f"model.{name}.gamma"] = np.ones(channels, np.float32)

    layer("stem.0", 32, 3, 4, 4)
    layer("stem.1", 32)
    before = 32
    for number, stage in enumerate(STAGES):
        channels = stage.channels
        if number:
            layer(f"stages.{number}.downsample.0", before)
            layer(f"stages.{number}.downsample.1", channels, before, 2, 2)
        before = channels
        for block in range(stage.blocks):
            layer(f"stages.{number}.blocks.{block}.conv_dw", channels, 1, stage.kernel, stage.kernel)
            mixed(f"stages.{number}.blocks.{block}", channels)
        last = f"stages.{number}.blocks.{stage.blocks}"
        if stage.splits:
            for group in range(stage.splits - 1):
                layer(f"{last}.convs.{group}", -(-channels // stage.splits), 1, 3, 3)
            layer(f"{last}.norm_xca", channels)
            layer(f"{last}.xca.qkv", 3 * channels, channels)
            layer(f"{last}.xca.proj", channels, channels)
            tensors[f"model.{last}.gamma_xca"] = np.ones(channels, np.float32)
            tensors[f"model.{last}.xca.temperature"] = np.ones((4, 1, 1), np.float32)
            mixed(last, channels)
        if stage.placed:
            layer(f"{last}.pos_embd.token_projection", channels, 64, 1, 1)
    layer("head.norm", before)
    layer("head.fc", 512, before)
    return tensors


def test_the_graph_takes_any_number_of_crops_and_is_the_same_every_time(tmp_path: Path) -> None:
    model = edgeface_graph(made_up())
    onnx.checker.check_model(model, full_check=True)
    assert edgeface_graph(made_up()).SerializeToString() == model.SerializeToString()
    (tmp_path / "made-up.onnx").write_bytes(model.SerializeToString())
    session = open_session(tmp_path / "made-up.onnx", "cpu")
    for number in (1, 3):
        pictures = np.zeros((number, 3, SIDE, SIDE), np.float32)
        assert session.run(None, {"input": pictures})[0].shape == (number, 512)


def test_a_missing_tensor_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = made_up()
    del tensors["model.stages.2.blocks.4.gamma"]
    monkeypatch.setattr("monitor.ml.checkpoint.read_tensors", lambda _: tensors)
    with pytest.raises(WeightsDiffer, match=r"stages\.2\.blocks\.4\.gamma"):
        RECIPES["edgeface_onnx"](tmp_path / CHECKPOINT)


def test_the_checkpoint_holds_what_the_network_asks_for_and_hardly_more(brought: Path) -> None:
    held, asked = read_tensors(brought / CHECKPOINT), made_up()
    assert {name: tensor.shape for name, tensor in asked.items()} == {
        name: tensor.shape
        for name, tensor in held.items()
        if not name.endswith((".scale", ".zero_point"))  # of activations in eight bits, which are not used
    }
