"""The rough look of a picture: copies are near, others far, however it is laid."""

from __future__ import annotations

import cv2
import imagehash
import numpy as np
import pytest
from PIL import Image

from monitor.stages.picture_hash import BYTES, WAYS, laid, picture_hashes
from tests.assets import people


def picture(seed: int, width: int = 250, height: int = 200) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 255, (9, 11, 3)).astype(np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def apart(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.unpackbits(one ^ other).sum())


def test_it_is_the_published_hash() -> None:
    rgb = picture(1, 64, 64)
    theirs = imagehash.phash(Image.fromarray(rgb), hash_size=16, highfreq_factor=4)
    ours = picture_hashes(rgb)
    assert ours.shape == (WAYS, BYTES)
    assert apart(ours[0], np.packbits(theirs.hash.ravel())) <= 2  # they round grey in another way


@pytest.mark.parametrize("way", range(WAYS))
def test_every_way_to_lay_it_is_among_them(way: int) -> None:
    rgb = picture(2)
    assert apart(picture_hashes(rgb)[way], picture_hashes(laid(rgb, way))[0]) == 0


def test_copies_are_near_and_others_far() -> None:
    rgb = picture(3)
    for copy in (people.resized(rgb, 0.5), people.resized(rgb, 1.7)):
        assert apart(picture_hashes(rgb)[0], picture_hashes(copy)[0]) <= 8
    others = [apart(picture_hashes(rgb)[0], picture_hashes(picture(seed))[0]) for seed in range(4, 60)]
    assert min(others) > 60


def test_a_picture_of_one_colour_or_one_pixel_has_a_hash_too() -> None:
    for rgb in (np.zeros((40, 30, 3), np.uint8), np.full((1, 1, 3), 7, np.uint8)):
        assert picture_hashes(rgb).shape == (WAYS, BYTES)
