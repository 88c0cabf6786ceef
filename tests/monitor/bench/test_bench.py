"""The frame of the benches, their statistics, and the benches themselves on small data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

from monitor.bench import BENCHES
from monitor.bench.frame import Figure, Request, Result
from monitor.bench.people import in_threads, read_people
from monitor.bench.statistics import mean_of_people, rate_by_person, threshold_at, wilson
from monitor.commands.bench import app
from monitor.errors import ConfigError
from monitor.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(2)


def request(data: Path | None = None) -> Request:
    return Request(Settings(), data, 0, 0, lambda *_: None)


def test_a_threshold_lets_the_asked_share_of_impostors_pass() -> None:
    scores = RNG.normal(size=10_000).astype(np.float32)
    assert (scores >= threshold_at(scores, 0.01)).sum() == 100
    assert (scores >= threshold_at(scores, 1e-4)).sum() == 1


def test_too_few_impostors_for_a_rate_are_refused() -> None:
    with pytest.raises(ValueError, match="99 impostor scores"):
        threshold_at(np.zeros(99, np.float32), 0.01)


def test_impostors_of_one_score_never_pass_too_many() -> None:
    assert threshold_at(np.full(1000, 0.5, np.float32), 0.01) > 0.5


def test_intervals_hold_the_rate_and_narrow_with_more_people() -> None:
    widths = []
    for people in (10, 1000):
        hits = RNG.binomial(10, 0.8, people)
        rate, low, high = rate_by_person(hits, np.full(people, 10), seed=1)
        assert low <= rate <= high
        assert (rate, low, high) == rate_by_person(hits, np.full(people, 10), seed=1)
        assert mean_of_people(hits / 10, seed=1)[0] == pytest.approx(rate)
        widths.append(high - low)
    assert widths[1] < widths[0] / 5


def test_wilsons_interval_is_as_published() -> None:
    rate, low, high = wilson(81, 263)  # Newcombe 1998, table I, method 3
    assert (round(rate, 4), round(low, 4), round(high, 4)) == (0.3080, 0.2553, 0.3662)


def folder_of(path: Path, *names: str) -> Path:
    for name in names:
        (path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (path / "set" / name).write_bytes(b"")
    return path / "set"


def test_errata_drop_pictures_and_join_people(tmp_path: Path) -> None:
    data = folder_of(
        tmp_path, "Ann/Ann_1.jpg", "Ann/Ann_2.jpg", "Ann/note.txt", "Bo/Bo_1.jpg", "Anna/Anna_1.JPG"
    )
    (tmp_path / "some-errata.txt").write_text("# known\ndrop Ann_2\nsame Ann Anna\n", encoding="utf-8")
    files = read_people(data, frozenset({".jpg"}), limit=0)
    numbers = {file.path.name: file.person for file in files}
    assert set(numbers) == {"Ann_1.jpg", "Bo_1.jpg", "Anna_1.JPG"}
    assert numbers["Ann_1.jpg"] == numbers["Anna_1.JPG"] != numbers["Bo_1.jpg"]


def test_data_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a data set"):
        read_people(tmp_path / "gone", frozenset({".jpg"}), limit=0)
    with pytest.raises(ConfigError, match="fewer than two people"):
        read_people(folder_of(tmp_path, "Ann/a.jpg"), frozenset({".jpg"}), limit=0)


def test_answers_of_threads_come_in_order() -> None:
    assert in_threads(lambda some: [n * n for n in some], range(100), request(), 7) == [
        n * n for n in range(100)
    ]


def test_a_result_is_written_with_all_that_repeats_it() -> None:
    result = Result.today("faces", {"faces.x": Figure.exact(3.0, "count")}, request(), "cpu", ("m@1/p",))
    written = json.loads(result.as_json())
    assert written["figures"] == {"faces.x": {"value": 3.0, "low": 3.0, "high": 3.0, "n": 1, "unit": "count"}}
    assert set(written) == {"name", "figures", "data_set", "seed", "device", "model_ids", "date", "pack"}


def test_every_bench_is_listed_in_a_line() -> None:
    said = CliRunner().invoke(app, ["--list"]).output.splitlines()
    assert [line.split()[0] for line in said] == list(BENCHES)
