"""Expected against actual: what is expected is right, and what was dismissed is counted once."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from scipy.stats import norm
from sqlalchemy import text
from sqlmodel import select

from monitor import live_scores, subject_keys
from monitor import log as logs
from monitor.allowance import Allowance, set_budget, tighten
from monitor.balance import balance_of
from monitor.budget import halves_at_rest, halves_of
from monitor.db import reading, utc_now, writing
from monitor.drift import Alarm, Drift, State
from monitor.gallery import add_template
from monitor.jobs import _Rounds
from monitor.live_scores import ALL, Place, day_of
from monitor.ml.calibration import own_path, write_calibration
from monitor.settings import Settings
from monitor.tables import Finding, MediaItem, ScoreCount
from monitor.values import Modality, SubjectId
from tests.assets import scores

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import Engine

    from monitor.balance import Balance
    from monitor.budget import Half
    from monitor.crypto import KeyEncryptionKeys
    from monitor.ml.interfaces import Pack
    from monitor.tools import Tools

NOW = utc_now()
HALF = scores.half()


def _enrol(engine: Engine, keys: KeyEncryptionKeys, *names: str) -> None:
    vector = np.zeros(8, np.float32)
    vector[0] = 1
    for name in names:
        with writing(engine) as session:
            subject_keys.create(session, keys, SubjectId(name))
            for _ in range(2):  # two samples are one person
                add_template(
                    session, keys, SubjectId(name), Modality.FACE, scores.FACE_MODEL, vector, quality=1.0
                )


def _found(engine: Engine, number: int, band: str, state: str, at: datetime = NOW) -> None:
    with writing(engine) as session:
        session.add(MediaItem(id=f"m{number}", sha256=str(number), kind="image", size_bytes=1))
        session.flush()
        session.add(
            Finding(
                id=f"f{number}", subject_id="ana", media_id=f"m{number}", model_id="m", band=band,
                state=state, sealed=b"", created_at=at,
            )
        )  # fmt: skip


def _balance(engine: Engine, *halves: Half) -> Balance:
    with reading(engine) as session:
        return balance_of(session, halves or [HALF], NOW)


def test_what_is_expected_follows_from_the_comparisons_made(engine: Engine, keys: KeyEncryptionKeys) -> None:
    _enrol(engine, keys, "ana", "bea", "cem", "dua")
    scores.seen(engine, NOW, 3_000_000, scores.counted(3_000_000))
    found = _balance(engine)
    assert found.enrolled == found.sides[0].enrolled == 4
    assert found.expected_a_month == pytest.approx(1.0, rel=0.01)
    assert found.expected_in_all == pytest.approx(4.0, rel=0.01)
    assert found.expected_alerts == pytest.approx(10.0, rel=0.01)
    assert found.expected_reviews == pytest.approx(290.0, rel=0.01)
    high = sum((found.sides[0].expected or ())[15:])
    assert high == pytest.approx(3_000_000 * norm.sf(0.3, scores.MEAN, scores.SPREAD), rel=0.05)


def test_who_tightened_expects_less(engine: Engine, keys: KeyEncryptionKeys) -> None:
    _enrol(engine, keys, "ana", "bea")
    with writing(engine) as session:
        tighten(session, SubjectId("ana"), 0.2, NOW)
    found = _balance(engine)
    assert found.tightened == 1
    assert found.expected_in_all == pytest.approx(1.2, rel=0.02)


def test_a_turn_of_the_dial_changes_what_is_expected(engine: Engine, keys: KeyEncryptionKeys) -> None:
    _enrol(engine, keys, "ana")
    with writing(engine) as session:
        set_budget(session, Allowance(0.5, 100_000), NOW)
    assert _balance(engine).expected_in_all == pytest.approx(0.5, rel=0.02)


def test_dismissed_alerts_of_thirty_days_are_counted_and_nothing_else(
    engine: Engine, keys: KeyEncryptionKeys
) -> None:
    _enrol(engine, keys, "ana")
    for number in range(6):
        _found(engine, number, "alert", "dismissed")
    for number, (band, state, at) in enumerate(
        [
            ("alert", "told", NOW),
            ("alert", "dismissed", NOW - timedelta(days=31)),
            ("review", "dismissed", NOW),
            ("review", "held", NOW),
        ],
        start=6,
    ):
        _found(engine, number, band, state, at)
    scores.seen(engine, NOW, 150_000, scores.counted(150_000))
    found = _balance(engine)
    assert (found.false_alerts, found.false_reviews) == (6, 1)
    assert found.drift_of_alerts.state is State.ALARM  # half a false alert was expected


def test_of_a_half_never_measured_nothing_is_made_up(engine: Engine) -> None:
    found = _balance(engine, scores.half(calibrated=False))
    assert found.expected_alerts is found.expected_a_month is found.expected_in_all is None
    assert found.sides[0].share is found.sides[0].expected is None
    assert found.drift_of_alerts.state is State.OK


def test_what_is_known_from_files_is_what_a_loaded_pack_says(pack: Pack) -> None:
    assert halves_at_rest(Settings(pack=pack.name)) == halves_of(pack)


def test_an_operators_own_calibration_counts_and_one_of_other_models_does_not(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    face, _ = halves_at_rest(settings)
    assert face.calibration is not None
    own = own_path(tmp_path, Modality.FACE, "registry")
    write_calibration(own, replace(face.calibration, data_set="mine"))
    assert halves_at_rest(settings)[0].thresholds.data_set == "mine"
    write_calibration(own, replace(face.calibration, data_set="mine", model_id="other@0/1"))
    assert halves_at_rest(settings)[0] == face


def test_the_workers_rounds_listen_for_drift_and_survive_a_ledger_that_is_away(sqlite_engine: Engine) -> None:
    stream = io.StringIO()
    logs.configure(json=True, stream=stream)
    faces = SimpleNamespace(
        thresholds=HALF.thresholds,
        calibration=HALF.calibration,
        recogniser=SimpleNamespace(model_id=scores.FACE_MODEL),
    )
    tools = SimpleNamespace(engine=sqlite_engine, pack=SimpleNamespace(faces=faces, voices=None))
    rounds = _Rounds(
        cast("Tools", tools), None, timedelta(days=1), cast("Any", None)
    )  # no turn: nothing is asked of it
    scores.seen(sqlite_engine, NOW, 10**7, scores.counted(10**7, mean=0.2))
    scores.seen(sqlite_engine, NOW - timedelta(days=500), 10, scores.counted(10))
    rounds._draw_balance()
    with reading(sqlite_engine) as session:
        assert {row.day for row in session.exec(select(ScoreCount))} == {day_of(NOW)}
    with sqlite_engine.begin() as connection:
        connection.execute(text("DROP TABLE score_count"))
    rounds._draw_balance()
    said = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert said == ["drift", "balance_not_drawn"]


def test_old_counts_go_and_the_rest_stays(engine: Engine) -> None:
    for days in (0, 399, 401, 1000):
        live_scores.add(engine, {Place(day_of(NOW - timedelta(days=days)), "face", "m", ALL): 1})
    for _ in range(2):
        with writing(engine) as session:
            live_scores.prune(session, NOW)
    with reading(engine) as session:
        assert len(session.exec(select(ScoreCount)).all()) == 2


def test_the_alarm_says_once_what_changed() -> None:
    stream = io.StringIO()
    logs.configure(json=True, stream=stream)
    alarm = Alarm()
    states = [State.OK, State.ALARM, State.ALARM, State.WATCH, State.OK, State.OK]
    for state in states:
        alarm.hear([Drift("face", state, f"it is {state.value}"), Drift("alerts", State.OK, "well")])
    said = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(one["of"], one["state"], one["level"]) for one in said] == [
        ("face", "alarm", "warning"),
        ("face", "watch", "warning"),
        ("face", "ok", "info"),
    ]
