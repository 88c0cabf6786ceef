"""README's tables of faces: a row for each pack, nothing where nothing was measured, curves with words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor.bench import page
from monitor.bench.faces_tables import spoken

if TYPE_CHECKING:
    from pathlib import Path


def result(pack: str, **values: float) -> dict[str, object]:
    figures = {
        f"faces.{name}": {"value": value, "low": value - 0.01, "high": value + 0.01, "n": 9, "unit": "share"}
        for name, value in values.items()
    }
    kept = {"name": "faces", "figures": figures, "data_set": "some", "seed": 0, "device": "cpu"}
    return {**kept, "model_ids": ["m"], "date": "2026-11-23", "pack": pack}


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(page, "RESULTS", tmp_path)
    return tmp_path


@pytest.mark.usefixtures("kept")
def test_each_pack_has_its_row_and_the_default_one_comes_first() -> None:
    text = page.faces([result("edgeface", tar_24px=0.95), result("registry", tar_24px=0.55)])
    assert "| what is the matter | registry: recognised | looked at |" in text
    assert "| face of 24 px | 0.550 (0.540 to 0.560) |  |  | 0.950 (0.940 to 0.960) |  |  |" in text
    assert "face of 16 px" not in text
    assert text.count("- `likeness bench faces`") == 2


def test_a_curve_that_is_kept_is_shown_with_its_words(kept: Path) -> None:
    (kept / "faces-det-edgeface.svg").write_text(
        '<svg><desc id="desc">1 % &lt; 2 %.</desc></svg>', encoding="utf-8"
    )
    text = page.faces([result("edgeface", tar_24px=0.95)])
    assert "![1 % < 2 %.](monitor/bench/results/faces-det-edgeface.svg)" in text
    assert "open-set" not in text


@pytest.mark.usefixtures("kept")
def test_a_result_that_names_no_pack_is_of_the_default_one() -> None:
    old = result("", **{"tar_at_far_1e-4": 0.99})
    del old["pack"]
    assert "| registry | 0.990" in page.faces([old])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("24px", "face of 24 px"),
        ("jpeg_q10", "JPEG quality 10"),
        ("rotated_180", "rotated by 180 degrees"),
        ("lower_face_covered", "lower face covered"),
        ("blur_2pct", "blurred by 2 % of the face's size"),
        ("track_1", "one poor frame of 28 px"),
        ("track_8", "track of 8 poor frames of 28 px"),
    ],
)
def test_conditions_have_words(name: str, words: str) -> None:
    assert spoken(name) == words
