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
from monitor.bench.verification import Embedded, all_pairs, open_set_one, tar_at_far
from monitor.commands.bench import app
from monitor.errors import ConfigError
from monitor.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(2)


def request(data: Path | None = None) -> Request:
    return Request(Settings(), data, 0, 0, lambda *_: None)


def some_people(people: int, pictures: int, strangers: int, noise: float) -> Embedded:
    """People with several pictures near a direction of their own, then strangers with one picture."""
    centres = RNG.normal(size=(people + strangers, 32))
    persons = np.concatenate([np.repeat(np.arange(people), pictures), people + np.arange(strangers)])
    vectors = centres[persons] + RNG.normal(size=(len(persons), 32)) * noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Embedded(vectors.astype(np.float32), persons)


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


def test_all_pairs_agree_with_one_pair_at_a_time() -> None:
    embedded = some_people(20, 3, 15, noise=0.8)
    pairs = all_pairs(embedded)
    genuine, impostor = [], []
    for i in range(len(embedded.persons)):
        for j in range(i + 1, len(embedded.persons)):
            score = embedded.vectors[i] @ embedded.vectors[j]
            same = embedded.persons[i] == embedded.persons[j]
            (genuine if same else impostor).append(score)
    np.testing.assert_allclose(np.sort(pairs.genuine), np.sort(genuine), atol=1e-6)
    np.testing.assert_allclose(np.sort(pairs.impostor), np.sort(impostor), atol=1e-6)


def test_a_face_that_was_not_found_is_a_miss_and_no_impostor() -> None:
    embedded = some_people(4, 2, 0, noise=0.1)
    embedded.vectors[0] = np.nan
    pairs = all_pairs(embedded)
    assert (pairs.genuine == -1).sum() == 1
    assert len(pairs.impostor) == 24 - 6  # of four people with two pictures, less the pairs of the lost one


def test_recognition_without_errors_gives_ones_and_by_chance_gives_little() -> None:
    sharp = tar_at_far(all_pairs(some_people(30, 3, 60, noise=0.05)), 1e-3, seed=0)
    assert sharp.of_pairs.value == sharp.of_people.value == 1.0
    blurred = tar_at_far(all_pairs(some_people(30, 3, 60, noise=50.0)), 1e-3, seed=0)
    assert blurred.of_pairs.value < 0.1


def test_open_set_finds_the_enrolled_and_keeps_strangers_out() -> None:
    found, threshold = open_set_one(some_people(40, 4, 300, noise=0.1), 0.01, seed=0)
    assert found.value == 1.0
    assert found.n == 40 * 3
    assert threshold.n == 300
    lost, _ = open_set_one(some_people(40, 4, 300, noise=50.0), 0.01, seed=0)
    assert lost.value < 0.1


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


def test_the_bench_of_faces_runs_on_a_few_people(data: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    source = data / "faces" / "lfw-dev"
    many = [path for path in sorted(source.iterdir()) if len(list(path.iterdir())) == 3][:8]
    ones = [path for path in sorted(source.iterdir()) if len(list(path.iterdir())) == 1][:100]
    for person in (*many, *ones):
        (few / person.name).symlink_to(person)
    ended = CliRunner().invoke(app, ["faces", "--data", str(few), "--json", str(tmp_path / "out" / "f.json")])
    assert ended.exit_code == 0, ended.output
    written = json.loads((tmp_path / "out" / "f.json").read_text(encoding="utf-8"))
    assert written["figures"]["faces.found"]["n"] == 124
    assert written["figures"]["faces.tar_at_far_1e-3"]["value"] > 0.9
    assert written["figures"]["faces.open_set_1_tpir_at_fpir_1pct"]["value"] > 0.7
    assert written["model_ids"][1].startswith("fr_feature@")
