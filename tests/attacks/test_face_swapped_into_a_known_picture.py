"""A known picture into which another face was put is not passed over as a copy of it.

The hash of a whole picture hardly changes when a face is swapped; what looks at the face must notice.
"""

# ruff: noqa: F811 - fixtures are arguments

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from monitor import copies
from monitor.stages.picture_hash import picture_hashes
from tests.assets import people
from tests.story.conftest import Watch, decoder, watch  # noqa: F401 - fixtures of the stories

if TYPE_CHECKING:
    from pathlib import Path

CUSTOMARY = 31
"""Bits of 256 up to which PDQ's authors call two pictures the same."""

SHE, OTHER = "Gloria_Macapagal_Arroyo", "Angelina_Jolie"


def swapped(watch: Watch, target: np.ndarray, source: np.ndarray, part: slice) -> np.ndarray:
    """Clone what lies around some of the five points of a face onto another one, without a seam."""
    faces = watch.tools.pack.faces
    assert faces is not None
    (to,), (of,) = (faces.detector.detect(rgb) for rgb in (target, source))
    matrix, _ = cv2.estimateAffinePartial2D(of.landmarks, to.landmarks)
    size = (target.shape[1], target.shape[0])
    moved = cv2.warpAffine(source, matrix, size, borderMode=cv2.BORDER_REFLECT)
    points = to.landmarks[part]
    reach = float(np.linalg.norm(to.landmarks[0] - to.landmarks[1])) * (1.1 if len(points) == 5 else 0.6)
    mask = np.zeros(target.shape[:2], np.uint8)
    middle = tuple(int(v) for v in points.mean(axis=0))
    cv2.ellipse(mask, middle, (int(reach), int(reach)), 0, 0, 360, 255, -1)
    x, y, width, height = cv2.boundingRect(mask)
    return np.asarray(
        cv2.seamlessClone(moved, target, mask, (x + width // 2, y + height // 2), cv2.NORMAL_CLONE)
    )


@pytest.mark.parametrize("part", [slice(0, 5), slice(3, 5)], ids=["the whole face", "the mouth"])
def test_it_is_looked_at(
    watch: Watch,
    data: Path,
    part: slice,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(copies, "FOLLOW_S", 0.0)
    hers = people.pictures(data, SHE)
    watch.enrol("s1", people.jpeg(hers[0]))
    assert watch.look(people.jpeg(hers[1])).findings
    fake = swapped(watch, hers[1], people.pictures(data, OTHER)[0], part)
    outcome = watch.look(people.jpeg(fake, 95))
    assert any(timing.stage == "embed" for timing in outcome.timings)
    assert watch.item(outcome.media_id).copy_of is None


def test_the_hash_alone_would_have_passed_it_over(watch: Watch, data: Path) -> None:
    hers, other = people.pictures(data, SHE)[1], people.pictures(data, OTHER)[0]
    fake = swapped(watch, hers, other, slice(3, 5))
    bits = np.unpackbits(picture_hashes(hers)[0] ^ picture_hashes(fake)[0]).sum()
    assert bits <= CUSTOMARY
