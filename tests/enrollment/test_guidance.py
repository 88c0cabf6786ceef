"""What is said in front of the camera, from real faces; and the one route that says it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from enrollment.guidance import BYTES, SENTENCES, SIDE, Guide, guide, load_detector
from enrollment.web.guide import PER_SECOND
from monitor.settings import Settings
from tests.assets import people
from tests.enrollment.newcomer import Newcomer

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.ml.interfaces import FaceDetector


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return load_detector(Settings())


@pytest.fixture
def face(data: Path) -> NDArray[np.uint8]:
    """Give a face that looks ahead, in the middle: (SIDE, SIDE, 3) uint8 RGB."""
    return scene(people.pictures(data, "Aaron_Peirsol")[0])


def scene(
    picture: NDArray[np.uint8], factor: float = 1.0, move: tuple[int, int] = (0, 0)
) -> NDArray[np.uint8]:
    """Put a square picture, made larger or smaller, into the middle of a grey square, or beside it."""
    scale = SIDE / picture.shape[0] * factor
    middle = (1 - factor) * SIDE / 2
    where = np.array([[scale, 0, middle + move[0]], [0, scale, middle + move[1]]])
    how = cv2.INTER_AREA
    return cv2.warpAffine(picture, where, (SIDE, SIDE), flags=how, borderValue=(120, 120, 120)).astype(
        np.uint8
    )


def test_a_good_picture_is_said_to_be_one(face: NDArray[np.uint8], detector: FaceDetector) -> None:
    said = guide(face, detector)
    assert (said.code, said.ok) == ("good", True)


@pytest.mark.parametrize(
    ("factor", "move", "code"),
    [
        (0.5, (0, 0), "too_far"),
        (1.9, (0, 0), "too_close"),
        (0.8, (45, 0), "move_right"),
        (0.8, (-45, 0), "move_left"),
        (0.8, (0, 45), "move_up"),
        (0.8, (0, -45), "move_down"),
    ],
)
def test_where_to_go(
    data: Path, detector: FaceDetector, factor: float, move: tuple[int, int], code: str
) -> None:
    """What lies on the right of the unmirrored picture is on the person's own left: they move right."""
    picture = people.pictures(data, "Aaron_Peirsol")[0]
    said = guide(scene(picture, factor, move), detector)
    assert (said.code, said.ok) == (code, False)


@pytest.mark.parametrize(("gain", "code"), [(0.2, "too_dark"), (0.02, "too_dark"), (4.0, "too_bright")])
def test_light(face: NDArray[np.uint8], detector: FaceDetector, gain: float, code: str) -> None:
    lit = np.clip(face.astype(np.float32) * gain, 0, 255).astype(np.uint8)
    if code == "too_bright":  # a face that shines, on the ground as it was
        lit = np.maximum(face, np.uint8(222))
        lit[face < 90] = 190
    assert guide(lit, detector).code == code


def test_two_faces_and_none(data: Path, face: NDArray[np.uint8], detector: FaceDetector) -> None:
    other = cv2.resize(people.pictures(data, "Adrien_Brody")[0], (SIDE, SIDE))
    both = np.concatenate([face[:, SIDE // 4 : -SIDE // 4], other[:, SIDE // 4 : -SIDE // 4]], axis=1)
    assert guide(both, detector).code == "two_faces"
    assert guide(np.full((SIDE, SIDE, 3), 128, np.uint8), detector).code == "no_face"


def test_a_turned_face_is_turned_back_to_the_person_s_own_side(data: Path, detector: FaceDetector) -> None:
    """Mirroring a turned face changes the side that is said, and nothing else."""
    turned = 0
    for folder in sorted((data / people.FACES).iterdir())[:150]:
        picture = scene(people.pictures(data, folder.name)[0])
        code = guide(picture, detector).code
        if code in {"turn_left", "turn_right"}:
            mirrored = guide(np.ascontiguousarray(picture[:, ::-1]), detector).code
            assert mirrored != code
            turned += mirrored in {"turn_left", "turn_right"}
    assert turned >= 3


def post(eva: Newcomer, raw: bytes, site: str = "same-origin") -> tuple[int, dict[str, object]]:
    answer = eva.browser.post("/enrol/guide", content=raw, headers={"sec-fetch-site": site})
    return answer.status_code, answer.json()


def test_the_route_says_it_and_keeps_nothing(eva: Newcomer, face: NDArray[np.uint8], tmp_path: Path) -> None:
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.db*")}
    status, said = post(eva, face.tobytes())
    assert status == 200
    assert said == {"code": "good", "sentence": SENTENCES["good"].sentence, "ok": True}
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.db*")} == files
    assert list(eva.blobs.ids()) == []


def test_anything_but_so_many_bytes_is_refused(eva: Newcomer) -> None:
    assert post(eva, b"")[0] == 422
    assert post(eva, bytes(BYTES - 1))[0] == 422
    assert eva.browser.post("/enrol/guide", content=bytes(BYTES + 1)).status_code == 413
    assert post(eva, bytes(BYTES), site="cross-site")[0] == 403
    eva.browser.cookies.clear()
    assert post(eva, bytes(BYTES))[0] == 401


def test_nobody_asks_more_often_than_it_helps(eva: Newcomer) -> None:
    time.sleep(1 - time.monotonic() % 1)  # the count is by the second
    statuses = [post(eva, b"")[0] for _ in range(3 * PER_SECOND)]
    assert statuses.count(429) >= PER_SECOND
    assert statuses[:PER_SECOND] == [422] * PER_SECOND


def test_without_weights_the_page_goes_by_itself(tmp_path: Path, face: NDArray[np.uint8]) -> None:
    bare = Newcomer.at(tmp_path / "bare", models_dir=tmp_path / "nothing")
    assert post(bare, face.tobytes()) == (503, {"code": "no_guidance", "ok": False})
    bare.close()


def test_the_detector_is_loaded_once(face: NDArray[np.uint8]) -> None:
    held = Guide(Settings())
    assert held._detector is None
    held.say(face.tobytes())
    first = held._detector
    held.say(face.tobytes())
    assert held._detector is first is not None
    with pytest.raises(ValueError, match="reshape"):
        held.say(b"")
