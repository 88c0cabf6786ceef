"""Boxes, looks, alignment and the face recogniser."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from monitor.ml import centerface
from monitor.ml.align import TEMPLATE, align, similarity
from monitor.ml.boxes import Found, overlaps, suppress
from monitor.ml.letterbox import letterbox
from monitor.ml.looks import Looks, look_twice

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.ml.interfaces import Pack

RNG = np.random.default_rng(5)


def pictures(data: Path, count: int) -> list[NDArray[np.uint8]]:
    paths = sorted((data / "faces" / "lfw-dev").glob("*/*_0001.jpg"))[:count]
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


def some_faces(count: int) -> Found:
    corners = RNG.uniform(0, 60, (count, 2))
    boxes = np.concatenate([corners, corners + RNG.uniform(5, 40, (count, 2))], axis=1).astype(np.float32)
    points = RNG.uniform(0, 100, (count, 5, 2)).astype(np.float32)
    return Found(boxes, points, RNG.uniform(0, 1, count).astype(np.float32))


def brute_overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return wide * high / (areas - wide * high)


def test_overlaps_agree_with_one_pair_at_a_time() -> None:
    boxes = some_faces(30).boxes
    expected = [brute_overlap(boxes[0], box) for box in boxes]
    np.testing.assert_allclose(overlaps(boxes[0], boxes), expected, atol=1e-5)


def test_of_overlapping_boxes_the_best_is_kept() -> None:
    some = some_faces(60)
    found = Found(some.boxes, np.zeros_like(some.landmarks), some.scores)  # none are cheek by cheek
    kept = suppress(found, 0.3)
    for i, box in enumerate(kept.boxes):
        assert (overlaps(box, np.delete(kept.boxes, i, axis=0)) <= 0.3).all()
    for box, score in zip(found.boxes, found.scores, strict=True):
        near = overlaps(box, kept.boxes) > 0.3
        assert (kept.scores[near] >= score).any() or (kept.boxes == box).all(axis=1).any()


def test_no_faces_pass_through_everything() -> None:
    none = some_faces(0)
    assert suppress(none, 0.3).moved(2, 1, 1).faces() == ()


def test_a_letterbox_keeps_places_and_pads_to_the_right_and_below() -> None:
    image = RNG.integers(0, 256, (50, 70, 3)).astype(np.uint8)
    boxed = letterbox(image, 1.0)
    assert boxed.shape == (1, 3, 64, 96)
    np.testing.assert_array_equal(boxed[0, :, :50, :70], image.transpose(2, 0, 1))
    assert boxed[0, :, 50:].max() == 0


def test_centerface_maps_are_read_as_published() -> None:
    heat = np.zeros((1, 1, 8, 8), np.float32)
    size, offset = np.zeros((1, 2, 8, 8), np.float32), np.zeros((1, 2, 8, 8), np.float32)
    points = np.zeros((1, 10, 8, 8), np.float32)
    heat[0, 0, 3, 5] = 0.9
    size[0, :, 3, 5] = np.log([4.0, 2.0])
    offset[0, :, 3, 5] = 0.25, -0.25
    points[0, :, 3, 5] = np.arange(10) / 10
    found = centerface.decode([heat, size, offset, points])
    np.testing.assert_allclose(found.boxes, [[17.0, 7.0, 25.0, 23.0]], rtol=1e-6)
    np.testing.assert_allclose(found.landmarks[0][1], [17 + 0.3 * 8, 7 + 0.2 * 16], rtol=1e-6)


LOOKS = Looks(long_side=100, finer_scale=0.5, finer_long_side=1000, tile=100, overlap=20)


def test_tiles_of_a_second_look_cover_the_whole_picture() -> None:
    image = np.arange(530 * 410 * 3, dtype=np.uint32).reshape(530, 410, 3).astype(np.uint8)
    covered = np.zeros(image.shape[:2], bool)

    def look(part: NDArray[np.uint8], _scale: float) -> Found:
        if part.shape != image.shape:
            offset = (part.__array_interface__["data"][0] - image.__array_interface__["data"][0]) // 3
            top, left = divmod(offset, image.shape[1])
            covered[top : top + part.shape[0], left : left + part.shape[1]] = True
            assert max(part.shape[:2]) <= 200
        return some_faces(0)

    look_twice(look, image, LOOKS)
    assert covered.all()


def test_a_picture_that_the_first_look_shows_fine_enough_is_looked_at_once() -> None:
    calls = []

    def look(_part: NDArray[np.uint8], scale: float) -> Found:
        calls.append(scale)
        return some_faces(0)

    look_twice(look, np.zeros((120, 120, 3), np.uint8), LOOKS)
    assert calls == [100 / 120]


def test_points_on_the_template_stay_where_they_are() -> None:
    np.testing.assert_allclose(similarity(TEMPLATE), [[1, 0, 0], [0, 1, 0]], atol=1e-9)


def test_alignment_agrees_with_insightface() -> None:
    from insightface.utils.face_align import norm_crop  # noqa: PLC0415 - two seconds

    image = RNG.integers(0, 256, (200, 180, 3)).astype(np.uint8)
    for _ in range(10):
        points = (TEMPLATE * RNG.uniform(0.4, 1.4) + RNG.normal(0, 6, (5, 2)) + 20).astype(np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # scikit-image's, about how insightface calls it
            expected = norm_crop(image, points)
        away = np.abs(align(image, points).astype(int) - expected)
        assert (away <= 2).mean() > 0.999


def test_five_points_in_one_place_give_a_crop_and_no_error() -> None:
    assert align(np.zeros((20, 20, 3), np.uint8), np.full((5, 2), 7, np.float32)).shape == (112, 112, 3)


def test_the_face_in_every_picture_is_found(pack: Pack, data: Path) -> None:
    images = pictures(data, 60)
    found = [pack.faces.detector.detect(image) for image in images]
    assert all(found)
    for faces in found:
        assert [face.score for face in faces] == sorted((face.score for face in faces), reverse=True)
        left_eye, right_eye, _, left_mouth, right_mouth = faces[0].landmarks
        assert left_eye[0] < right_eye[0]
        assert left_mouth[0] < right_mouth[0]
        assert left_eye[1] < left_mouth[1]


def test_small_faces_of_a_large_collage_are_found(pack: Pack, data: Path) -> None:
    collage = Image.new("RGB", (2400, 1800), "gray")
    places = [(x, y) for x in range(100, 2300, 450) for y in range(100, 1700, 420)]
    for place, image in zip(places, pictures(data, len(places)), strict=True):
        collage.paste(Image.fromarray(image[60:190, 60:190]).resize((90, 90)), place)
    found = pack.faces.detector.detect(np.asarray(collage))
    centres = np.array([[(f.box.x0 + f.box.x1) / 2, (f.box.y0 + f.box.y1) / 2] for f in found])
    hits = [(np.abs(centres - np.array(place) - 45).max(axis=1) < 20).any() for place in places]
    assert np.mean(hits) >= 0.95
    assert len(found) <= len(places) * 1.1


def test_a_small_face_behind_a_large_one_is_found(pack: Pack, data: Path) -> None:
    large, *small = pictures(data, 9)
    for image in small:
        photograph = Image.fromarray(large[60:190, 60:190]).resize((2400, 2400))
        photograph.paste(Image.fromarray(image[60:190, 60:190]).resize((110, 110)), (60, 60))
        found = pack.faces.detector.detect(np.asarray(photograph))
        assert any(f.box.x0 < 170 and f.box.y0 < 170 for f in found)


def test_a_face_that_fills_the_picture_is_found(pack: Pack, data: Path) -> None:
    for image in pictures(data, 5):
        selfie = np.asarray(Image.fromarray(image[70:180, 70:180]).resize((1600, 1600)))
        assert len(pack.faces.detector.detect(selfie)) == 1


def test_no_face_in_noise_or_nothing(pack: Pack) -> None:
    noise = RNG.integers(0, 256, (200, 300, 3)).astype(np.uint8)
    assert pack.faces.detector.detect(noise) == ()
    assert pack.faces.detector.detect(np.zeros((1, 1, 3), np.uint8)) == ()


def test_a_vector_does_not_depend_on_its_neighbours(pack: Pack) -> None:
    crops = RNG.integers(0, 256, (21, 112, 112, 3)).astype(np.uint8)
    together = pack.faces.recogniser.embed(crops)
    alone = np.concatenate([pack.faces.recogniser.embed(crop[None]) for crop in crops])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-6)
    assert together.dtype == np.float32


def test_a_mirrored_crop_has_the_same_vector(pack: Pack) -> None:
    crop = RNG.integers(0, 256, (1, 112, 112, 3)).astype(np.uint8)
    embed = pack.faces.recogniser.embed
    np.testing.assert_allclose(embed(crop), embed(crop[:, :, ::-1]), atol=1e-6)


def test_no_crops_give_no_vectors(pack: Pack) -> None:
    empty = pack.faces.recogniser.embed(np.empty((0, 112, 112, 3), np.uint8))
    assert empty.shape == (0, pack.faces.recogniser.dimension)


def test_threads_may_share_the_models(pack: Pack, data: Path) -> None:
    images = pictures(data, 8)

    def work(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        face = pack.faces.detector.detect(image)[0]
        return pack.faces.recogniser.embed(align(image, face.landmarks)[None])[0]

    one_by_one = [work(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(work, images))
    np.testing.assert_array_equal(one_by_one, at_once)


def test_people_are_told_apart(pack: Pack, data: Path) -> None:
    people = ("George_W_Bush", "Hugo_Chavez", "Gerhard_Schroeder")
    crops = []
    for name in people:
        for path in sorted((data / "faces" / "lfw-dev" / name).glob("*.jpg"))[:4]:
            image = np.asarray(Image.open(path).convert("RGB"))
            crops.append(align(image, pack.faces.detector.detect(image)[0].landmarks))
    vectors = pack.faces.recogniser.embed(np.stack(crops))
    scores = vectors @ vectors.T
    same = np.equal.outer(np.repeat([0, 1, 2], 4), np.repeat([0, 1, 2], 4))
    assert scores[same].min() > pack.faces.thresholds.review
    assert scores[~same].max() < pack.faces.thresholds.review


def test_the_detector_names_its_weights(pack: Pack) -> None:
    assert pack.faces.detector.model_id.startswith("centerface@09189deaaf8646c5/")
    assert pack.faces.recogniser.model_id.startswith("fr_feature@87aacdfe57510db2/")


@pytest.mark.parametrize("shape", [(31, 900), (900, 31), (640, 641)])
def test_any_shape_of_picture_is_taken(pack: Pack, shape: tuple[int, int]) -> None:
    assert pack.faces.detector.detect(np.zeros((*shape, 3), np.uint8)) == ()
