"""Pictures that are copies of an original: known again, compared, and no more claimed than there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from monitor.originals.marks import packed, unpacked
from monitor.originals.outcomes import ADDED_LLR, CHANGED_LLR, SAME_LLR
from monitor.values import Abstention, Aspect, Box, MediaKind, SubjectId
from tests.monitor.originals.conftest import ANA, jpeg, scaled, scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tests.monitor.originals.conftest import Bench

    Picture = NDArray[np.uint8]

ORIGINAL = scene(1)


def cut(picture: Picture) -> Picture:
    return picture[30:-20, 40:-10]


def darker(picture: Picture) -> Picture:
    return np.clip(255 * (picture / 255.0) ** 1.3 * 0.9, 0, 255).astype(np.uint8)


def grey(picture: Picture) -> Picture:
    return np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def bordered(picture: Picture) -> Picture:
    return cv2.copyMakeBorder(picture, 60, 60, 20, 20, cv2.BORDER_CONSTANT, value=(250, 250, 250))


def set_into(picture: Picture) -> Picture:
    around = scene(77, (800, 600))
    around[200:410, 300:580] = scaled(picture, 0.7)
    return around


def turned(picture: Picture) -> Picture:
    return np.ascontiguousarray(np.rot90(picture))


GENUINE: list[tuple[Callable[[Picture], Picture], str]] = [
    (lambda p: p, ""),
    (lambda p: scaled(p, 0.6), ""),
    (cut, "the rest was cut off"),
    (darker, ""),
    (grey, "made black and white"),
    (lambda p: np.ascontiguousarray(p[:, ::-1]), "mirrored"),
    (bordered, "such as a border"),
    (set_into, "such as a border"),
    (turned, ""),
]


@pytest.mark.parametrize(("how", "said"), GENUINE, ids=range(len(GENUINE)))
def test_a_copy_that_was_only_passed_on_is_called_a_copy_and_nothing_more(
    bench: Bench, how: Callable[[Picture], Picture], said: str
) -> None:
    bench.add(jpeg(ORIGINAL))
    found = bench.ask(jpeg(how(ORIGINAL), 70))
    assert found.llr == SAME_LLR, found.reasons
    assert "nothing in it was changed" in found.reasons[0]
    assert found.strong
    assert found.aspect is Aspect.WHOLE
    assert said in " ".join(found.reasons[1:])


def test_a_changed_place_is_found_after_scaling_and_compression_and_shown(bench: Bench) -> None:
    bench.add(jpeg(ORIGINAL))
    changed = ORIGINAL.copy()
    changed[100:142, 200:256] = scene(5)[10:52, 20:76]  # 2 % of it
    found = bench.ask(jpeg(scaled(changed, 0.7), 60), Box(135, 65, 175, 105))
    assert found.llr == CHANGED_LLR
    assert "around the face" in found.reasons[0]
    assert "an area of 2 % of it" in found.reasons[0] or "an area of 3 % of it" in found.reasons[0]
    [heat] = found.heats
    assert (heat.box.x1, heat.box.y1) == (280.0, 210.0)
    cells = np.array(heat.cells)
    row, column = np.unravel_index(cells.argmax(), cells.shape)
    assert 140 <= (column + 0.5) / cells.shape[1] * 280 <= 180
    assert 70 <= (row + 0.5) / cells.shape[0] * 210 <= 100
    [plate] = found.plates
    shown = cv2.imdecode(np.frombuffer(plate.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape[1] > 1000, "both pictures, side by side"
    assert "Left your original, right what was found" in plate.says


def test_text_over_it_is_called_something_added_and_counts_for_less(bench: Bench) -> None:
    quiet = cv2.GaussianBlur(ORIGINAL, (0, 0), 2.5)
    bench.add(jpeg(quiet, 95))
    meme = quiet.copy()
    cv2.putText(meme, "WHEN THE CAKE IS GONE", (20, 285), cv2.FONT_HERSHEY_DUPLEX, 0.9, (255, 255, 255), 2)
    found = bench.ask(jpeg(meme, 80), Box(180, 40, 240, 110))
    assert found.llr == ADDED_LLR
    assert "something was added at the bottom" in found.reasons[0]


def test_text_over_the_face_is_a_change_of_the_face(bench: Bench) -> None:
    quiet = cv2.GaussianBlur(ORIGINAL, (0, 0), 2.5)
    bench.add(jpeg(quiet, 95))
    meme = quiet.copy()
    cv2.putText(meme, "LIAR", (170, 90), cv2.FONT_HERSHEY_DUPLEX, 1.2, (255, 255, 255), 3)
    assert bench.ask(jpeg(meme, 80), Box(180, 40, 240, 110)).llr == CHANGED_LLR


def test_what_was_wiped_out_is_called_gone(bench: Bench) -> None:
    bench.add(jpeg(ORIGINAL))
    wiped = ORIGINAL.copy()
    wiped[40:110, 60:150] = cv2.GaussianBlur(wiped[40:110, 60:150], (0, 0), 15)
    found = bench.ask(jpeg(wiped, 85))
    assert found.llr == CHANGED_LLR
    assert "taken away or blurred" in found.reasons[0]


def test_another_picture_is_no_copy(bench: Bench) -> None:
    bench.add(jpeg(ORIGINAL))
    found = bench.ask(jpeg(scene(2)))
    assert (found.llr, found.abstains) == (None, Abstention.NO_ORIGINAL)


def test_another_picture_of_the_same_moment_is_not_called_changed(bench: Bench) -> None:
    wall, person = scene(3), scene(4, (160, 240))
    first, second = wall.copy(), wall.copy()
    first[60:300, 120:280] = person
    second[60:300, 142:302] = person  # a step aside
    bench.add(jpeg(first))
    found = bench.ask(jpeg(second))
    assert found.llr is None, found.reasons


def test_only_the_originals_of_the_sightings_own_subject_are_asked(bench: Bench) -> None:
    bench.add(jpeg(ORIGINAL), SubjectId("b" * 32))
    assert bench.ask(jpeg(ORIGINAL)).abstains is Abstention.NO_ORIGINAL
    assert bench.ask(jpeg(ORIGINAL), subject=SubjectId("b" * 32)).llr == SAME_LLR


def test_a_picture_without_anything_that_stands_out_is_laid_over_as_a_whole(bench: Bench) -> None:
    soft = np.asarray(cv2.GaussianBlur(scene(8), (0, 0), 30), np.uint8)
    bench.add(jpeg(soft, 95))
    found = bench.ask(jpeg(scaled(soft, 0.8), 90))
    assert found.llr in {None, SAME_LLR}, found.reasons


def test_marks_are_read_as_they_were_packed(bench: Bench) -> None:
    bench.add(jpeg(ORIGINAL))
    marks = bench.known(ANA)[0].marks
    again = unpacked(packed(marks))
    assert marks.kind is MediaKind.IMAGE
    assert np.array_equal(again.points[0].xy, marks.points[0].xy)
    assert np.array_equal(again.points[0].looks, marks.points[0].looks)
    assert np.array_equal(again.hashes, marks.hashes)
    assert again.points[0].size == (400, 300)
