"""Which way is up, told by a detector that knows only faces that stand."""

from __future__ import annotations

import numpy as np
import pytest

from enrollment.upright import LARGEST_PX, Upright, which_way
from monitor.ml.align import TEMPLATE
from monitor.values import Box, ClipInfo, DetectedFace, Frame, MediaKind, ModelId

MARK = 255
"""Level of the one corner that says where up is: a "face" below it stands upright."""


class Stands:
    """Finds a "face" of half the picture where the mark is at the top left. A fake, for unit tests only."""

    model_id = ModelId("stands")

    def __init__(self, otherwise: float = 0.0, lean: float = 0.0) -> None:
        """Be `otherwise` sure of the wrong ways, and see the right one leaning by so many degrees."""
        self.otherwise, self.lean = otherwise, np.radians(lean)

    def detect(self, image: np.ndarray) -> tuple[DetectedFace, ...]:
        """Find it."""
        height, width = image.shape[:2]
        right = float(image[: height // 4, : width // 4].mean()) > MARK / 2
        score = 0.9 if right else self.otherwise
        if not score:
            return ()
        box = Box(width / 4, height / 4, 3 * width / 4, 3 * height / 4)
        points = (TEMPLATE - TEMPLATE.mean(axis=0)) / 112 * width / 2
        turn = np.array([[np.cos(self.lean), np.sin(self.lean)], [-np.sin(self.lean), np.cos(self.lean)]])
        return (DetectedFace(box, (points @ turn + [width / 2, height / 2]).astype(np.float32), score),)


class Shown:
    """A clip of pictures (see detect.Shows). A fake, for unit tests only."""

    not_looked = ()

    def __init__(self, *pictures: np.ndarray) -> None:
        """Take the pictures."""
        self.pictures = pictures
        height, width = pictures[0].shape[:2]
        self.info = ClipInfo(MediaKind.IMAGE, width, height, 0.0, has_sound=False)

    def frames(self):  # noqa: ANN201 - as in Shows
        """Give them."""
        return (Frame(i, float(i), picture) for i, picture in enumerate(self.pictures))

    def sound(self) -> None:
        """Give none."""


def marked(width: int = 1200, height: int = 1600) -> np.ndarray:
    picture = np.full((height, width, 3), 40, np.uint8)
    picture[: height // 4, : width // 4] = MARK
    return picture


@pytest.mark.parametrize("turned", range(4))
def test_a_picture_is_turned_until_its_face_stands(turned: int) -> None:
    clip = Upright(Shown(np.rot90(marked(), turned)), Stands())
    (frame,) = clip.frames()
    assert clip.turned == (4 - turned) % 4
    assert frame.rgb[: frame.rgb.shape[0] // 5, : frame.rgb.shape[1] // 5].min() > MARK - 5
    assert (clip.info.width, clip.info.height) == (frame.rgb.shape[1], frame.rgb.shape[0])


def test_a_large_face_is_scaled_down_and_a_small_one_is_not() -> None:
    large = Upright(Shown(marked(3000, 4000)), Stands())
    (frame,) = large.frames()
    assert frame.rgb.shape[0] / 2 == pytest.approx(LARGEST_PX, rel=0.02)
    small = Upright(Shown(marked(240, 320)), Stands())
    (frame,) = small.frames()
    assert frame.rgb.shape == (320, 240, 3)


def test_the_way_in_which_a_picture_came_is_kept_unless_another_is_surer() -> None:
    assert which_way(marked(), Stands(otherwise=0.9)) == (0, pytest.approx(800, rel=0.01))
    found = which_way(np.rot90(marked()), Stands(otherwise=0.7))
    assert found is not None
    assert found[0] == 3


def test_a_face_that_lies_counts_only_when_it_was_turned() -> None:
    assert which_way(marked(), Stands(lean=90.0)) is None
    assert which_way(marked(), Stands(lean=30.0)) is not None


def test_points_that_no_face_has_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    found = which_way(marked(), Stands())
    assert found is not None
    monkeypatch.setattr("tests.enrollment.test_upright.TEMPLATE", TEMPLATE[[3, 4, 2, 0, 1]][:, ::-1])
    assert which_way(marked(), Stands()) is None


def test_frames_before_the_first_face_are_shown_as_they_came() -> None:
    empty = np.full((1200, 1600, 3), 40, np.uint8)
    clip = Upright(Shown(empty, np.rot90(marked())), Stands())
    first, second = clip.frames()
    assert first.rgb.shape == (1200, 1600, 3)
    assert second.rgb.shape[0] > second.rgb.shape[1]
