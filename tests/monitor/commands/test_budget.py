"""`likeness budget`: plain words, the numbers for programs, every turn of the dial on record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlmodel import select
from typer.testing import CliRunner

from monitor import subject_keys
from monitor.budget import halves_at_rest
from monitor.commands import budget as command
from monitor.crypto import KeyEncryptionKeys, new_key
from monitor.db import reading, utc_now, writing
from monitor.errors import BudgetInvalid, LikenessError, NotFound
from monitor.ledger import open_ledger
from monitor.live_scores import ALL, Place, add, day_of
from monitor.settings import Settings, load_settings
from monitor.tables import AuditEvent
from monitor.values import Modality, SubjectId
from tests.assets import scores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine


@pytest.fixture
def ledger() -> Iterator[Engine]:
    engine = open_ledger(load_settings())
    with writing(engine) as session:
        subject_keys.create(session, KeyEncryptionKeys({"k1": new_key()}), SubjectId("ana"))
    yield engine
    engine.dispose()


def run(*arguments: str) -> str:
    done = CliRunner().invoke(command.app, list(arguments), catch_exceptions=False, env={"COLUMNS": "120"})
    assert done.exit_code == 0, done.output
    return done.output


def run_json(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json"))


def _compared(engine: Engine, mean: float) -> None:
    half = next(one for one in halves_at_rest(Settings()) if one.modality is Modality.FACE)
    n = 5_000_000
    counts = scores.counted(n, mean, 0.1, below=half.thresholds.review)
    day = day_of(utc_now())
    places = {
        Place(day, "face", half.model_id, number): count for number, count in enumerate(counts) if count
    }
    add(engine, {**places, Place(day, "face", half.model_id, ALL): n})


def test_it_says_where_the_dial_stands_in_words(ledger: Engine) -> None:
    _compared(ledger, mean=0.0)
    said = run("show")
    assert "At most 1 false alert a month for each enrolled person, at 10,000 faces" in said
    assert "one of 300,000 comparisons" in said
    assert "people" in said
    assert "LFW" in said
    assert "< alert" in said
    assert "< human look" in said
    assert "█" in said
    assert "ok    Faces" in said


def test_a_drift_is_said(ledger: Engine) -> None:
    _compared(ledger, mean=0.15)
    said = run("show")
    assert "alarm Faces" in said
    assert "Live scores raised the alert" in said


def test_for_programs_it_says_the_same(ledger: Engine) -> None:
    _compared(ledger, mean=0.0)
    said = run_json("show")
    face = said["modalities"]["face"]
    assert (said["false_alerts_per_month"], said["faces_per_day"]) == (1.0, 10_000)
    assert face["alert"] > face["review"] > 0
    assert face["comparisons"] == 5_000_000
    assert len(face["counts"]) == len(face["expected_counts"]) == 50
    assert face["model_id"].startswith("fr_feature@")
    assert said["last_30_days"]["expected_false_alerts"] == pytest.approx(5_000_000 / 300_000, rel=0.05)
    assert {one["of"] for one in said["drift"]} >= {"face", "alerts"}


@pytest.mark.usefixtures("ledger")
def test_the_dial_is_turned_and_what_is_not_given_stays() -> None:
    before = run_json("show")["modalities"]["face"]["alert"]
    assert run_json("set", "--false-alerts", "0.1") == {
        "false_alerts_per_month": 0.1,
        "faces_per_day": 10_000,
    }
    assert "100,000 faces a day" in run("set", "--faces-a-day", "100000")
    after = run_json("show")
    assert (after["false_alerts_per_month"], after["faces_per_day"]) == (0.1, 100_000)
    assert after["modalities"]["face"]["alert"] > before


def test_every_turn_is_on_record(ledger: Engine) -> None:
    run("set", "--false-alerts", "2")
    run("subject", "ana", "--false-alerts", "0.2")
    run("subject", "ana", "--reset")
    with reading(ledger) as session:
        events = session.exec(select(AuditEvent).order_by(AuditEvent.seq)).all()
    assert [(one.action, one.subject_id, json.loads(one.detail)) for one in events] == [
        ("budget.set", None, {"false_alerts": 2.0, "faces_a_day": 10_000}),
        ("budget.subject", "ana", {"false_alerts": 0.2}),
        ("budget.subject", "ana", {"false_alerts": None}),
    ]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("set",), BudgetInvalid),
        (("set", "--false-alerts", "0"), BudgetInvalid),
        (("set", "--faces-a-day", "0"), BudgetInvalid),
        (("subject", "ana"), BudgetInvalid),
        (("subject", "ana", "--false-alerts", "0.1", "--reset"), BudgetInvalid),
        (("subject", "ana", "--false-alerts", "1.5"), BudgetInvalid),
        (("subject", "nobody", "--false-alerts", "0.1"), NotFound),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    ledger: Engine, arguments: tuple[str, ...], error: type[LikenessError]
) -> None:
    with pytest.raises(error) as told:
        run(*arguments)
    assert told.value.hint
    with reading(ledger) as session:
        assert session.exec(select(AuditEvent)).all() == []
