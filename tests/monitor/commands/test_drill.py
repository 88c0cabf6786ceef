"""What a fire drill puts somewhere is surely taken away, and its picture is new each time."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from monitor import drills
from monitor.commands import drill_paths
from monitor.commands.drill import said_of
from monitor.copies import NEAR
from monitor.errors import DrillNotPossible
from monitor.stages.picture_hash import picture_hashes
from monitor.tables import Drill
from tests.assets import media

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("ending", [KeyboardInterrupt, ValueError])
def test_a_planted_page_goes_whatever_happens(tmp_path: Path, ending: type[BaseException]) -> None:
    with pytest.raises(ending), drill_paths.planted(tmp_path, b"picture", "d1"):  # noqa: PT012 - what is raised in the block is the case
        assert "Fire drill" in (tmp_path / "index.html").read_text("utf-8")
        assert (tmp_path / "fire-drill-d1.jpg").read_bytes() == b"picture"
        raise ending
    assert list(tmp_path.iterdir()) == []


def test_a_page_of_somebodys_own_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(DrillNotPossible), drill_paths.planted(tmp_path, b"picture", "d1"):
        pass
    assert [one.read_text() for one in tmp_path.iterdir()] == ["mine"]


def test_two_drills_of_one_picture_are_neither_one_file_nor_copies() -> None:
    shown = np.asarray(media.pattern())
    made = [drills.marked(shown) for _ in range(2)]
    assert made[0] != made[1]
    hashes = [picture_hashes(np.asarray(Image.open(io.BytesIO(one)).convert("RGB"))) for one in made]
    bits = np.unpackbits(hashes[0][:1] ^ hashes[1][:1]).sum()
    assert bits > 2 * NEAR


def test_what_has_not_come_is_named_with_what_to_look_at() -> None:
    row = Drill(id="d", path="feed:a", subject_id="s", asked_by="operator:x")
    row.planted_at = row.taken_at = row.asked_at
    said = said_of(row)
    assert said["seconds"] == {"taken": 0.0, "found": None, "told": None}
    assert said["missing"] == "found"
    assert "likeness worker" in said["look_at"]
