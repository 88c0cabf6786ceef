"""The bench of faces from the folder to the figures: with models that are none, and with the real ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from monitor.bench import faces, faces_disturbed, faces_seeing, faces_tables
from monitor.bench.faces_conditions import CONDITIONS
from monitor.bench.faces_tracks import LENGTHS
from monitor.bench.frame import Request
from monitor.commands.bench import app
from monitor.errors import ConfigError
from monitor.ml.align import TEMPLATE
from monitor.ml.interfaces import FaceModels, Pack, Thresholds
from monitor.settings import Settings
from monitor.values import Box, DetectedFace, ModelId

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.bench.frame import Result

SIDE = 150
"""Pixels of a picture's side; the face that is none fills the middle."""


class MiddleDetector:
    """A fake: says that there is a face in the middle of every picture, whatever it shows."""

    model_id = ModelId("a-fake-detector@0/none")

    def detect(self, image: np.ndarray) -> tuple[DetectedFace, ...]:
        """Give one face that fills three quarters of the picture."""
        scale = min(image.shape[:2]) / SIDE
        middle = np.array([image.shape[1], image.shape[0]]) / 2
        landmarks = (TEMPLATE - np.float32([56, 56])) * scale + middle.astype(np.float32)
        x, y = middle
        return (
            DetectedFace(Box(x - 56 * scale, y - 56 * scale, x + 56 * scale, y + 56 * scale), landmarks, 1),
        )


class ColourRecogniser:
    """A fake: takes the mean colours of nine places for a face."""

    model_id = ModelId("a-fake-recogniser@0/none")
    dimension = 27

    def embed(self, aligned: np.ndarray) -> np.ndarray:
        """Map (n, 112, 112, 3) to (n, 27) of length 1."""
        cells = (
            aligned[:, :111, :111].reshape(-1, 3, 37, 3, 37, 3).mean(axis=(2, 4)).reshape(len(aligned), -1)
        )
        centred = cells - 127.5
        return (centred / np.linalg.norm(centred, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def fake_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the bench load models that are none."""
    models = FaceModels(
        MiddleDetector(), ColourRecogniser(), Thresholds(0.9, 0.8, ModelId("a-fake"), "a fake")
    )
    monkeypatch.setattr(faces, "load_pack", lambda settings: Pack(settings.pack, "cpu", "CPU", models, None))


def folder(path: Path, people: int, strangers: int) -> Path:
    """Make pictures of coloured squares: each person has colours of their own, each picture some noise."""
    rng = np.random.default_rng(5)
    for number in range(people + strangers):
        own = rng.integers(0, 256, (6, 6, 3))
        (path / f"p{number}").mkdir(parents=True)
        for picture in range(4 if number < people else 1):
            cells = np.clip(own + rng.normal(0, 10, own.shape), 0, 255).astype(np.uint8)
            fine = np.kron(cells, np.ones((25, 25, 1), np.uint8))
            noise = rng.integers(-20, 20, fine.shape)
            pixels = np.clip(fine.astype(int) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(path / f"p{number}" / f"{picture}.png")
    return path


def measure(data: Path, seed: int = 0, *, plots: bool = False) -> Result:
    return faces.run(Request(Settings(), data, seed, 0, lambda *_: None, plots=plots))


@pytest.mark.usefixtures("fake_pack")
def test_every_figure_has_its_name_and_the_same_seed_gives_the_same_numbers(tmp_path: Path) -> None:
    data = folder(tmp_path / "set", people=12, strangers=110)
    result = measure(data, plots=True)
    assert {
        *("faces.found", "faces.looked", "faces.conditions_threshold"),
        *(
            f"faces.tar_at_far_{far}{way}"
            for far in ("1e-3", "1e-4")
            for way in ("", "_by_person", "_capped")
        ),
        *(
            f"faces.open_set_{samples}_{rate}_at_fpir_1pct"
            for samples in (1, 2, 3)
            for rate in ("tpir", "fnir", "threshold")
        ),
        *(
            f"faces.{kind}_{name}"
            for kind in ("tar", "looked", "too_poor", "not_found", "said_covered")
            for name in CONDITIONS
        ),
        *(f"faces.{kind}_track_{frames}" for kind in ("tar", "looked") for frames in LENGTHS),
        *("faces.tar_24px", "faces.tar_lower_face_covered", "faces.open_set_3_tpir_at_fpir_1pct"),
    } <= set(result.figures)
    assert result.figures["faces.tar_undisturbed"].value == 1.0
    assert measure(data).figures == result.figures
    assert {"faces-det-registry.svg", "faces-open-set-registry.png"} <= set(result.plots)
    assert "| face of 24 px | " in result.table
    for figure in result.figures.values():
        assert figure.low <= figure.value <= figure.high


@pytest.mark.usefixtures("fake_pack")
def test_a_folder_of_strangers_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nobody has two pictures"):
        measure(folder(tmp_path / "set", people=0, strangers=3))


@pytest.mark.usefixtures("fake_pack")
def test_a_folder_with_one_person_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fewer than two people"):
        measure(folder(tmp_path / "set", people=1, strangers=0))


@pytest.mark.usefixtures("fake_pack")
def test_two_people_are_enough_for_some_figures(tmp_path: Path) -> None:
    figures = measure(folder(tmp_path / "set", people=2, strangers=0)).figures
    assert "faces.tar_24px" in figures
    assert "faces.tar_at_far_1e-4" not in figures  # 16 pairs of two people cannot show it


@pytest.mark.usefixtures("fake_pack")
def test_the_pack_and_the_labels_are_chosen_on_the_command_line(tmp_path: Path) -> None:
    data = folder(tmp_path / "set", people=4, strangers=20)
    (tmp_path / "some-errata.txt").write_text("drop 3\n", encoding="utf-8")
    out = tmp_path / "out"
    words = ["faces", "--data", str(data), "--pack", "edgeface", "--json", str(out / "f.json")]
    words += ["--markdown", str(out / "f.md"), "--plots", str(out / "plots")]
    for errata, pictures in (([], 32), (["--without-errata"], 36)):
        ended = CliRunner().invoke(app, [*words, *errata])
        assert ended.exit_code == 0, ended.output
        written = json.loads((out / "f.json").read_text(encoding="utf-8"))
        assert written["pack"] == "edgeface"
        assert written["figures"]["faces.found"]["n"] == pictures
        assert ("labels as they came" in written["data_set"]) == bool(errata)
    assert "| face of 24 px | " in (out / "f.md").read_text(encoding="utf-8")
    assert (out / "plots" / "faces-det-edgeface.svg").is_file()


FEW_CONDITIONS: Final = ("undisturbed", "24px", "mirrored", "lower_face_covered")


def test_the_bench_runs_on_a_few_people(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # the names of all conditions are looked for above, with models that cost nothing
    for place in (faces_disturbed, faces_seeing, faces_tables):
        monkeypatch.setattr(place, "CONDITIONS", {name: CONDITIONS[name] for name in FEW_CONDITIONS})
    few = tmp_path / "few"
    few.mkdir()
    source = data / "faces" / "lfw-dev"
    many = [path for path in sorted(source.iterdir()) if len(list(path.iterdir())) == 3][:5]
    ones = [path for path in sorted(source.iterdir()) if len(list(path.iterdir())) == 1][:100]
    for person in (*many, *ones):
        (few / person.name).symlink_to(person)
    ended = CliRunner().invoke(app, ["faces", "--data", str(few), "--json", str(tmp_path / "out" / "f.json")])
    assert ended.exit_code == 0, ended.output
    written = json.loads((tmp_path / "out" / "f.json").read_text(encoding="utf-8"))
    assert written["figures"]["faces.found"]["n"] == 115
    assert written["figures"]["faces.tar_at_far_1e-3"]["value"] > 0.9
    assert written["figures"]["faces.open_set_1_tpir_at_fpir_1pct"]["value"] > 0.7
    assert written["figures"]["faces.tar_mirrored"]["value"] > 0.7
    assert written["model_ids"][1].startswith("fr_feature@")
