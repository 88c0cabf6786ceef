"""YuNet and EdgeFace, where their files are at hand: they are in no registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from PIL import Image

from monitor.ml import yunet
from monitor.ml.align import align
from monitor.ml.boxes import suppress
from monitor.ml.lock import read_lock
from monitor.ml.packs import load_pack
from monitor.ml.weights import Pull, entries
from monitor.settings import Settings, load_settings
from monitor.values import model_id

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.ml.interfaces import Pack


def test_maps_are_read_as_published() -> None:
    maps = {}
    for stride in yunet.STRIDES:
        cells = (64 // stride) * (96 // stride)
        for name, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            maps[f"{name}_{stride}"] = np.zeros((1, cells, width), np.float32)
    place = 2 * (96 // 16) + 3
    maps["cls_16"][0, place], maps["obj_16"][0, place] = 0.81, 1.0
    maps["bbox_16"][0, place] = 0.5, -0.5, np.log(2), np.log(3)
    maps["kps_16"][0, place, :2] = 0.25, 0.75
    found = yunet.decode(maps, 64, 96)
    np.testing.assert_allclose(found.scores, [0.9])
    np.testing.assert_allclose(found.boxes, [[56 - 16, 24 - 24, 56 + 16, 24 + 24]], rtol=1e-6)
    np.testing.assert_allclose(found.landmarks[0, 0], [3.25 * 16, 2.75 * 16])


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Settings:
    brought = data.parent / "weights"
    if not brought.is_dir():
        pytest.skip(f"{brought} is missing: YuNet and EdgeFace are in no registry")
    cache, shelf = tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("shelf")
    (shelf / "brought").symlink_to(brought)
    at_hand = (*load_settings().models_dir.iterdir(), *brought.glob("*.onnx"))
    for name, path in {path.name: path for path in at_hand}.items():
        (shelf / name).symlink_to(path)
    Pull(cache, shelf, lambda *_: None).run(entries("edgeface"))
    return Settings(models_dir=cache, pack="edgeface")


@pytest.fixture(scope="module")
def edgeface(settings: Settings) -> Pack:
    return load_pack(settings)


def test_our_reading_of_yunet_agrees_with_opencvs(
    settings: Settings, edgeface: Pack, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yunet, "VOTER", yunet.MIN_SCORE)
    monkeypatch.setattr(yunet, "vote", lambda found, most, _: suppress(found, most))  # OpenCV takes no vote
    weights = str(settings.models_dir / "face_detection_yunet_2026may.onnx")
    opencv = cv2.FaceDetectorYN.create(weights, "", (256, 256), yunet.MIN_SCORE, yunet.MAX_OVERLAP)
    for path in sorted((data / "faces" / "lfw-dev").glob("*/*_0001.jpg"))[:20]:
        image = np.zeros((256, 256, 3), np.uint8)
        image[:250, :250] = np.asarray(Image.open(path).convert("RGB"))
        _, expected = opencv.detect(np.ascontiguousarray(image[..., ::-1]))
        found = edgeface.faces.detector.detect(image)
        best = expected[np.argsort(-expected[:, -1])]
        assert len(found) == len(best)
        for face, row in zip(found, best, strict=True):
            np.testing.assert_allclose([face.box.x0, face.box.y0], row[:2], atol=0.6)
            np.testing.assert_allclose(face.landmarks.reshape(-1), row[4:14], atol=0.6)
            assert face.score == pytest.approx(float(row[14]), abs=0.01)


def test_edgeface_tells_people_apart_and_rows_stand_alone(edgeface: Pack, data: Path) -> None:
    crops = []
    for name in ("George_W_Bush", "Hugo_Chavez"):
        for path in sorted((data / "faces" / "lfw-dev" / name).glob("*.jpg"))[:4]:
            image = np.asarray(Image.open(path).convert("RGB"))
            crops.append(align(image, edgeface.faces.detector.detect(image)[0].landmarks))
    embed = edgeface.faces.recogniser.embed
    vectors = embed(np.stack(crops))
    scores = vectors @ vectors.T
    assert min(scores[:4, :4].min(), scores[4:, 4:].min()) > edgeface.faces.thresholds.review
    assert scores[:4, 4:].max() < edgeface.faces.thresholds.review
    np.testing.assert_array_equal(vectors[3], embed(crops[3][None])[0])


def test_templates_of_the_two_packs_never_meet(pack: Pack, edgeface: Pack) -> None:
    assert pack.faces.recogniser.model_id != edgeface.faces.recogniser.model_id
    assert pack.voices.recogniser.model_id == edgeface.voices.recogniser.model_id


def test_a_template_of_edgeface_names_the_checkpoint_as_published(edgeface: Pack) -> None:
    sha256 = read_lock().named("edgeface_xs_q.pt").sha256
    assert edgeface.faces.recogniser.model_id == model_id("edgeface_xs", sha256, "crop112-rgb-127.5")
