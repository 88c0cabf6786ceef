"""The bench of the decision: it measures the real `match`, and its people are found."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.bench import BENCHES, deciding
from monitor.bench.frame import Request
from monitor.settings import Settings
from monitor.stages.match import match
from monitor.values import Band


def test_its_crowd_is_found_and_strangers_are_not() -> None:
    rng = np.random.default_rng(1)
    crowd = deciding.Crowd(50, rng)
    probes = [deciding._probe(crowd, rng) for _ in range(400)]
    found = match(probes, crowd, deciding.Book(), set).candidates
    assert 15 <= len(found) <= 80  # one in ten
    assert {c.band for c in found} == {Band.ALERT}
    assert len({id(c.appearance) for c in found}) == len(found)


def test_figures_hold_their_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "SIZES", {40: "_tiny", 400: ""})
    monkeypatch.setattr(deciding, "FLUSH_BYTES", 2**20)
    told: list[tuple[int, int]] = []
    request = Request(Settings(), None, 0, 8, lambda _, done, total: told.append((done, total)))
    result = deciding.run(request)
    assert (result.name, result.pack, told[-1]) == ("match", "", (2, 2))
    for name in ("decision_ms", "decision_of_16_ms", "decision_cold_ms", "floor_ms", "over_floor"):
        for suffix in ("", "_tiny"):
            figure = result.figures[f"match.{name}{suffix}"]
            assert 0 < figure.low <= figure.value <= figure.high
    assert BENCHES["match"][0] == "monitor.bench.deciding"
