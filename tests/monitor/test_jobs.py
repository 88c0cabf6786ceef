"""The worker's rounds: they learn and tell, once more at the end, and one fault ends neither."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import OperationalError

from monitor import jobs
from monitor.errors import KeyMissing
from monitor.learning import Learning

if TYPE_CHECKING:
    from collections.abc import Callable

YEAR = timedelta(days=365)


def rounds(monkeypatch: pytest.MonkeyPatch, learn: Callable[[], None], done: list[str]) -> jobs._Rounds:
    def learn_due(_: object, keep_for: timedelta, now: datetime) -> Learning:
        assert keep_for == YEAR
        assert now.tzinfo is not None
        learn()
        return Learning()

    monkeypatch.setattr(jobs, "learn_due", learn_due)
    monkeypatch.setattr(jobs, "TELL_EVERY_S", 0.001)
    monkeypatch.setattr(jobs._Rounds, "_draw_balance", lambda _: None)
    dial, assessor = SimpleNamespace(tick=lambda: None), SimpleNamespace(rest=lambda _: done.append("rested"))
    tools: Any = SimpleNamespace(dial=dial, assessor=assessor)
    tell: Any = lambda: done.append("told")  # noqa: E731 - a Tell
    turn: Any = SimpleNamespace(take=lambda: None)
    return jobs._Rounds(tools, tell, YEAR, turn)


def test_a_round_learns_and_tells_and_so_does_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    running = rounds(monkeypatch, lambda: done.append("learnt"), done)
    running.stop()

    running.keep_going()

    assert done == ["learnt", "told"]


@pytest.mark.parametrize(
    "error", [KeyMissing("no key"), OperationalError("x", None, Exception()), ZeroDivisionError()]
)
def test_what_goes_wrong_while_learning_never_ends_the_telling(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    done: list[str] = []

    def fail() -> None:
        if done.count("told") > 2:
            running.stop()
        raise error

    running = rounds(monkeypatch, fail, done)
    running.keep_going()

    assert "rested" in done, "what no sighting needs is freed"
    assert done.count("told") >= 3
