"""The bench of the pipeline gives its promised figures, on a few pictures and a sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.bench import pipeline
from monitor.bench.frame import Request
from monitor.errors import ConfigError
from monitor.settings import load_settings
from tests.assets import media, people

if TYPE_CHECKING:
    from pathlib import Path


def request(folder: Path) -> Request:
    return Request(load_settings(), folder, 0, 0, lambda *_: None)


def test_the_figures_are_there(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "ROUNDS", 1)
    for number, picture in enumerate(people.pictures(data, "Angelina_Jolie")[:3]):
        (tmp_path / f"{number}.jpg").write_bytes(people.jpeg(picture))
    (tmp_path / "tone.wav").write_bytes(people.wav(np.asarray(media.tone(3.0, rate=16_000), np.float32)))
    (tmp_path / "broken.jpg").write_bytes(media.jpeg()[:300])
    (tmp_path / "notes.txt").write_text("no media")
    result = pipeline.run(request(tmp_path))
    promised = {"items_per_s", "ratio_to_model_time", "speedup_vs_naive_loop", "worker_peak_mb"}
    assert {f"pipeline.{name}" for name in promised} <= set(result.figures)
    assert {f.n for f in result.figures.values()} == {5}
    assert 50 < result.figures["pipeline.worker_peak_mb"].value < 1500


def test_no_media_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no media"):
        pipeline.run(request(tmp_path))
