"""Faces that are turned away by name: real photographs as they are, and after a harm of a known size."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from PIL import Image

from monitor.ml.align import align
from monitor.ml.packs import load_faces
from monitor.ml.synthetic.gates import colour, face_gate, fineness, side, turned
from monitor.ml.synthetic.interfaces import Look
from monitor.ml.synthetic.jpeg_history import coarseness
from monitor.settings import Settings
from monitor.values import Abstention, Box, FaceSample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


def look_at(rgb: NDArray[np.uint8], box: Box, landmarks: NDArray[np.float32]) -> Look:
    rgb = np.ascontiguousarray(rgb)
    return Look(0.0, rgb, FaceSample(0.0, box, landmarks, align(rgb, landmarks), 0.9))


@pytest.fixture(scope="module")
def genuine(data: Path) -> list[Look]:
    """Eight photographs, faces of 90 to 450 pixels."""
    faces = load_faces(Settings()).detector
    paths = sorted((data / "faces" / "lfw-dev").glob("A*/*_0001.jpg"))[:4]
    paths += sorted((data / "synthetic-faces" / "splices-real").glob("*.jpg"))[:4]
    looks = []
    for path in paths:
        rgb = np.asarray(Image.open(path).convert("RGB"))
        face = max(faces.detect(rgb), key=lambda one: one.box.height)
        looks.append(look_at(rgb, face.box, face.landmarks))
    return looks


def scaled(look: Look, factor: float) -> Look:
    rgb = np.asarray(cv2.resize(look.rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    box, points = look.face.box, (look.face.landmarks * factor).astype(np.float32)
    return look_at(rgb, Box(*(v * factor for v in (box.x0, box.y0, box.x1, box.y1))), points)


def with_pixels(look: Look, rgb: NDArray[np.uint8]) -> Look:
    return look_at(rgb, look.face.box, look.face.landmarks)


def jpeg(quality: int) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    def harm(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        into = io.BytesIO()
        Image.fromarray(rgb).save(into, "JPEG", quality=quality)
        return np.asarray(Image.open(into))

    return harm


def grey(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def toned(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(grey(rgb) * np.array([1.0, 0.85, 0.65]), np.uint8)


def test_genuine_photographs_pass(genuine: list[Look]) -> None:
    assert [face_gate(look) for look in genuine] == [None] * 8


def test_what_the_signals_are_promised_to_bear_passes(genuine: list[Look]) -> None:
    for look in genuine:
        assert face_gate(with_pixels(look, jpeg(40)(look.rgb))) is None
        assert face_gate(scaled(look, 0.5)) is None


def test_a_small_face_is_named(genuine: list[Look]) -> None:
    for look in genuine:
        assert face_gate(scaled(look, 36 / side(look.face.box))) is Abstention.FACE_SMALL


def test_a_small_face_that_was_enlarged_is_named_as_blurred(genuine: list[Look]) -> None:
    for look in genuine:
        factor = 20 / side(look.face.box)
        small = scaled(look, factor).rgb
        size = look.rgb.shape[1], look.rgb.shape[0]
        large = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        assert face_gate(with_pixels(look, large)) is Abstention.FACE_BLURRED


def test_black_and_white_and_toned_photographs_are_named_even_with_a_coloured_caption(
    genuine: list[Look],
) -> None:
    for look in genuine:
        for harm in (grey, toned):
            old = jpeg(90)(harm(look.rgb))
            assert face_gate(with_pixels(look, old)) is Abstention.MONOCHROME
    meme = grey(genuine[0].rgb).copy()
    meme[-25:] = (250, 30, 30)
    assert face_gate(with_pixels(genuine[0], meme)) is Abstention.MONOCHROME


@pytest.mark.parametrize("after", [lambda rgb: rgb, jpeg(85), lambda rgb: rgb[3:, 5:]])
def test_hard_compression_is_named_also_after_a_milder_one_and_a_crop(
    genuine: list[Look], after: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> None:
    for look in genuine:
        hard = with_pixels(look, after(jpeg(15)(look.rgb)))
        assert face_gate(hard) is Abstention.RE_ENCODED


def test_coarseness_tells_the_quality(genuine: list[Look]) -> None:
    look = genuine[5]
    steps = {q: coarseness(jpeg(q)(look.rgb), look.face.box) for q in (10, 20, 25, 40)}

    assert steps[10] == pytest.approx(5, rel=0.12)
    assert steps[20] == pytest.approx(2.5, rel=0.12)
    assert steps[25] == pytest.approx(2, rel=0.12)
    assert steps[40] == pytest.approx(1.25, rel=0.12)
    assert coarseness(look.rgb, look.face.box) == 0


def test_a_turned_face_is_named(genuine: list[Look]) -> None:
    points = genuine[0].face.landmarks.copy()
    points[2] = points[1] + (points[1] - points[0]) * 0.1  # the nose beyond an eye
    look = replace(genuine[0], face=replace(genuine[0].face, landmarks=points))

    assert turned(points) > 0.5
    assert face_gate(look) is Abstention.FACE_TURNED


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (50, 3), (40, 40)])
@pytest.mark.parametrize("box", [Box(-50, -50, 60, 60), Box(500, 500, 600, 600), Box(0, 0, 0, 0)])
def test_odd_pictures_and_boxes_are_measured_without_a_crash(size: tuple[int, int], box: Box) -> None:
    rgb = np.zeros((*size, 3), np.uint8)

    assert colour(rgb, box) == pytest.approx(0)
    assert coarseness(rgb, box) == 0
    assert fineness(np.zeros((112, 112, 3), np.uint8)) == 0
    assert turned(np.zeros((5, 2), np.float32)) == 1.0
