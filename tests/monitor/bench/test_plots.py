"""Curves are pictures that open, that carry their words, and that come out the same again."""

from __future__ import annotations

import io
import sys
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from monitor.bench.faces_curves import identification, verification
from monitor.bench.identification import open_set, roles
from monitor.bench.plots import POINTS, Curve, Mark, Picture, draw, ready, thinned
from monitor.bench.verification import capped, count_pairs
from monitor.errors import ConfigError
from monitor.ml.interfaces import Thresholds
from monitor.values import ModelId
from tests.monitor.bench.embedded import some_people

SVG = "{http://www.w3.org/2000/svg}"
LARGEST = 60_000
"""Bytes of a curve that is kept beside the program."""


def steps() -> Curve:
    false = np.logspace(-5, -1, 2000)
    return Curve("a <line>", false, np.linspace(0.2, 0.01, 2000))


def drawn() -> dict[str, bytes]:
    marks = [Mark("alert 0.5", 1e-4, 0.1)]
    return draw(Picture("A & B", "false", "missed", [steps()], marks, "It falls < 1 %."), "curve")


def test_a_curve_comes_as_png_svg_and_words() -> None:
    files = drawn()
    assert set(files) == {"curve.png", "curve.svg", "curve.txt"}
    with Image.open(io.BytesIO(files["curve.png"])) as picture:
        picture.load()
        assert min(picture.size) > 600
    root = ET.fromstring(files["curve.svg"])  # noqa: S314 - our own bytes
    assert root.find(f"{SVG}title").text == "A & B"
    assert root.find(f"{SVG}desc").text == "It falls < 1 %."
    assert root.get("role") == "img"
    assert files["curve.txt"].decode() == "A & B\n\nIt falls < 1 %.\n"


def test_the_same_curve_gives_the_same_bytes() -> None:
    assert drawn()["curve.svg"] == drawn()["curve.svg"]


def test_a_curve_is_thinned_evenly_and_keeps_its_ends() -> None:
    curve = steps()
    places = thinned(curve.false, curve.missed)
    assert len(places) <= POINTS
    assert (places[0], places[-1]) == (0, 1999)


def test_the_curves_of_faces_are_small_and_say_what_they_show() -> None:
    embedded = some_people(120, 6, 400, noise=1.0)
    thresholds = Thresholds(0.7, 0.6, ModelId("m"), "nowhere")
    ways = {"of pairs": count_pairs(embedded), "capped": count_pairs(capped(embedded, 3, 0))}
    looks = {n: open_set(embedded, roles(embedded, 0), n, 0, 0) for n in (1, 3)}
    files = {
        **verification(ways, thresholds, "nobody", "det"),
        **identification(looks, thresholds, "nobody", "open"),
    }
    assert set(files) == {f"{name}.{end}" for name in ("det", "open") for end in ("png", "svg", "txt")}
    assert max(len(content) for name, content in files.items() if name.endswith("svg")) < LARGEST
    assert "of pairs: " in files["det.txt"].decode()
    assert "At the threshold alert 0.7, " in files["det.txt"].decode()
    assert "3 enrolled pictures: " in files["open.txt"].decode()


def test_a_recogniser_without_errors_can_be_drawn() -> None:
    embedded = some_people(30, 4, 150, noise=0.001)
    thresholds = Thresholds(0.9, 0.8, ModelId("m"), "nowhere")
    looks = {1: open_set(embedded, roles(embedded, 0), 1, 0, 0), 3: ()}
    assert len(verification({"of pairs": count_pairs(embedded)}, thresholds, "x", "det")) == 3
    assert len(identification(looks, thresholds, "x", "open")) == 3
    assert identification({1: ()}, thresholds, "x", "open") == {}


def test_without_matplotlib_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match="matplotlib is not installed") as refused:
        ready()
    assert "likeness-watch[bench]" in refused.value.hint
