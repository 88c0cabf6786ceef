"""An operator's own insightface pack, here one of two tiny networks made by the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from monitor.errors import WeightsDiffer, WeightsMissing
from monitor.ml.align import align
from monitor.ml.packs import load_pack
from monitor.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(3)

ROW, COLUMN = 20, 30
"""Cell of the 8-pixel grid in which the tiny detector always sees a face, 80 pixels wide."""


def save(path: Path, nodes: list[onnx.NodeProto], shape: list[object], outputs: dict, weights: dict) -> None:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input.1", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in outputs.items()],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))


def save_detector(path: Path) -> None:
    """An SCRFD-like network: two anchors a cell on grids of 8, 16 and 32 pixels, scores, boxes, points."""
    weights, outputs, nodes = {}, {}, []
    for kind, width in (("score", 1), ("box", 4), ("points", 10)):
        for stride in (8, 16, 32):
            rows = (640 // stride) ** 2 * 2
            values = np.zeros((rows, width))
            if stride == 8:
                place = (ROW * 80 + COLUMN) * 2
                values[place] = {"score": 0.9, "box": 5.0, "points": [-2, -2, 2, -2, 0, 0, -2, 2, 2, 2]}[kind]
            name = f"{kind}_{stride}"
            weights[f"{name}_w"], outputs[name] = values, [rows, width]
            nodes.append(helper.make_node("Identity", [f"{name}_w"], [name]))
    save(path, nodes, [1, 3, 640, 640], outputs, weights)


def save_recogniser(path: Path, side: int = 112) -> None:
    nodes = [
        helper.make_node("AveragePool", ["input.1"], ["small"], kernel_shape=[28, 28], strides=[28, 28]),
        helper.make_node("Flatten", ["small"], ["flat"]),
        helper.make_node("MatMul", ["flat", "mix"], ["embedding"]),
    ]
    weights = {"mix": RNG.normal(size=((side // 28) ** 2 * 3, 8))}
    save(path, nodes, ["None", 3, side, side], {"embedding": ["None", 8]}, weights)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "tiny_l"
    made.mkdir()
    save_detector(made / "det_tiny.onnx")
    save_recogniser(made / "w600k_tiny.onnx")
    return made


def settings(folder: Path) -> Settings:
    return Settings(pack="insightface", insightface_dir=folder)


def test_detector_and_recogniser_of_the_folder_are_used(folder: Path) -> None:
    faces = load_pack(settings(folder)).faces
    image = RNG.integers(0, 256, (640, 640, 3)).astype(np.uint8)
    (face,) = faces.detector.detect(image)
    assert face.score == pytest.approx(0.9)
    x, y = COLUMN * 8, ROW * 8
    assert (face.box.x0, face.box.y0, face.box.x1, face.box.y1) == (x - 40, y - 40, x + 40, y + 40)
    np.testing.assert_allclose(face.landmarks[2], [x, y])
    crop = align(image, face.landmarks)
    vectors = faces.recogniser.embed(np.stack([crop, crop[::-1], crop]))
    assert faces.recogniser.dimension == 8
    assert vectors.shape == (3, 8)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(vectors[0], vectors[2])


def test_places_are_in_the_pixels_of_a_larger_picture(folder: Path) -> None:
    (face,) = load_pack(settings(folder)).faces.detector.detect(np.zeros((1280, 1280, 3), np.uint8))
    assert face.box.width == pytest.approx(160)


def test_the_model_id_holds_the_digest_of_the_file(folder: Path) -> None:
    first = load_pack(settings(folder)).faces.recogniser.model_id
    save_recogniser(folder / "w600k_tiny.onnx")
    second = load_pack(settings(folder)).faces.recogniser.model_id
    assert first.startswith("tiny_l-recognition@")
    assert first != second


def test_the_voices_of_the_pack_are_those_of_the_registry(folder: Path) -> None:
    assert load_pack(settings(folder)).voices.recogniser.model_id.startswith("campplus@")


def test_an_empty_folder_is_no_pack(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"no \*\.onnx"):
        load_pack(settings(tmp_path))


def test_a_folder_without_a_recogniser_is_refused(folder: Path) -> None:
    (folder / "w600k_tiny.onnx").unlink()
    with pytest.raises(WeightsMissing, match="recognition"):
        load_pack(settings(folder))


def test_a_folder_without_a_detector_is_refused(folder: Path) -> None:
    (folder / "det_tiny.onnx").unlink()
    with pytest.raises(WeightsDiffer):
        load_pack(settings(folder))


def test_a_recogniser_of_another_crop_is_refused(folder: Path) -> None:
    save_recogniser(folder / "w600k_tiny.onnx", side=224)
    with pytest.raises(WeightsDiffer, match="not 112x112"):
        load_pack(settings(folder))
