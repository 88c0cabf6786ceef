"""The dial: thresholds keep the promise, a subject may only tighten, live scores may only raise."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.stats import norm
from sqlalchemy import event, text
from sqlmodel import select

from monitor import budget as budgets
from monitor import subject_keys
from monitor.allowance import ALERT_MOST, DAYS, REVIEW_MOST, Allowance, allowance_of, set_budget, tighten
from monitor.budget import Dial, Dialled, Half, standing_of
from monitor.db import reading, utc_now, writing
from monitor.errors import BudgetInvalid, NotFound
from monitor.live_scores import ALL, LiveScores
from monitor.tables import ScoreCount, SubjectBudget
from monitor.values import TALLY_BINS, Modality, SubjectId
from tests.assets import scores

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys

ANA, BEA = SubjectId("ana"), SubjectId("bea")
FACE, VOICE = Modality.FACE, Modality.VOICE
NOW = utc_now()


@pytest.fixture
def subjects(engine: Engine, keys: KeyEncryptionKeys) -> None:
    with writing(engine) as session:
        for one in (ANA, BEA):
            subject_keys.create(session, keys, one)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a dial read and write at every turn."""
    monkeypatch.setattr(budgets, "REFRESH_S", -1.0)
    monkeypatch.setattr(budgets, "FLUSH_S", -1.0)


def _turn(engine: Engine, false_alerts: float, faces: int = 10_000) -> None:
    with writing(engine) as session:
        set_budget(session, Allowance(false_alerts, faces), NOW)


def _tighten(engine: Engine, subject: SubjectId, false_alerts: float | None) -> None:
    with writing(engine) as session:
        tighten(session, subject, false_alerts, NOW)


def _rows(engine: Engine) -> dict[int, int]:
    with reading(engine) as session:
        return {row.bin: row.count for row in session.exec(select(ScoreCount))}


# The promise


def test_one_false_alert_a_month_at_ten_thousand_faces_a_day_is_three_in_a_million() -> None:
    default = Allowance()
    assert default.alert_fmr == pytest.approx(1 / 300_000)
    assert default.review_fmr == pytest.approx(1e-4)


def test_a_small_watch_does_not_take_anybody_for_a_subject() -> None:
    tiny = Allowance(10, 1)
    assert (tiny.alert_fmr, tiny.review_fmr) == (ALERT_MOST, REVIEW_MOST)


def test_thresholds_say_what_they_were_measured_on() -> None:
    found = Dialled(scores.half(), Allowance()).thresholds
    assert (found.model_id, found.data_set, found.date) == (scores.FACE_MODEL, "made up", "2026-05-03")
    assert (found.people, found.genuine, found.impostor) == (300, 5_000, 2_000_000)
    assert found.alert == pytest.approx(norm.isf(1 / 300_000, scores.MEAN, scores.SPREAD), abs=0.003)
    assert found.review == pytest.approx(norm.isf(1e-4, scores.MEAN, scores.SPREAD), abs=0.003)


def test_a_half_that_was_never_measured_keeps_its_thresholds(engine: Engine) -> None:
    half = scores.half(VOICE, calibrated=False)
    scores.seen(engine, NOW, 10**7, scores.counted(10**7, mean=0.3), VOICE)
    _turn(engine, 0.01)
    with Dial(engine, [half]) as dial:
        assert dial.of(VOICE, ANA) == half.thresholds
        assert (dial.least(VOICE), dial.llr(VOICE, 0.9)) == (0.5, 0.0)


@pytest.mark.parametrize("kind", ["normal", "skewed", "broad"])
@pytest.mark.parametrize("false_alerts", [1.0, 3.0])
def test_on_scores_kept_aside_the_dial_is_right_within_a_factor_of_two(
    kind: str, false_alerts: float
) -> None:
    """A month of 1,000 faces a day, for each of 200 people: six million comparisons nobody calibrated on."""
    draw = {
        "normal": lambda rng, n: rng.normal(0.05, 0.08, n),
        "skewed": lambda rng, n: 0.6 * rng.beta(2, 16, n),
        "broad": lambda rng, n: 0.05 + 0.02 * rng.standard_t(12, n),
    }[kind]
    people, faces = 200, 1_000
    calibration = scores.measured(draw(np.random.default_rng(1), 2_000_000))
    dialled = Dialled(Half(FACE, scores.FIXED, calibration), Allowance(false_alerts, faces))

    fresh = draw(np.random.default_rng(2), people * faces * DAYS)
    count = int((fresh >= dialled.thresholds.alert).sum())

    predicted = people * false_alerts
    assert predicted == pytest.approx(people * faces * DAYS * (dialled.fmr(dialled.thresholds.alert) or 0))
    assert predicted / 2 <= count <= predicted * 2


# Subjects


@given(operator=some.floats(0.01, 100), own=some.floats(0.0001, 1000), faces=some.integers(1, 10**7))
def test_tightening_never_loosens(operator: float, own: float, faces: int) -> None:
    general = Allowance(operator, faces)
    dialled = Dialled(scores.half(), general)
    hers = dialled.thresholds_at(general.tightened(own))
    assert hers.alert >= dialled.thresholds.alert
    assert hers.review == dialled.thresholds.review, "what is not told at once goes to a human look"
    assert hers.alert >= hers.review


@pytest.mark.usefixtures("subjects", "at_once")
def test_a_subjects_own_budget_holds_within_seconds_and_for_nobody_else(engine: Engine) -> None:
    with Dial(engine, [scores.half()]) as dial:
        before = dial.of(FACE, ANA)
        _tighten(engine, ANA, 0.05)
        assert dial.of(FACE, ANA).alert > before.alert
        assert dial.of(FACE, BEA) == before
        assert dial.least(FACE) == before.review
        _turn(engine, 0.01)  # the operator goes below her: the smaller number holds
        assert dial.of(FACE, ANA) == dial.of(FACE, BEA)
        assert dial.of(FACE, BEA).alert > before.alert
        _turn(engine, 1.0)
        _tighten(engine, ANA, None)
        assert dial.of(FACE, ANA) == dial.of(FACE, BEA) == before


@pytest.mark.usefixtures("subjects")
def test_who_asks_to_loosen_is_refused(engine: Engine) -> None:
    for loose in (1.5, 0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(BudgetInvalid):
            _tighten(engine, ANA, loose)
    with pytest.raises(NotFound):
        _tighten(engine, SubjectId("nobody"), 0.5)
    _tighten(engine, ANA, None)  # nothing to take back is no error


@pytest.mark.parametrize(
    ("alerts", "faces"), [(0, 1), (-1, 1), (float("nan"), 1), (2000, 1), (1, 0), (1, 10**10)]
)
def test_a_dial_that_cannot_be_kept_is_refused(engine: Engine, alerts: float, faces: int) -> None:
    with pytest.raises(BudgetInvalid):
        _turn(engine, alerts, faces)
    with reading(engine) as session:
        assert allowance_of(session) == Allowance()


@pytest.mark.usefixtures("subjects")
def test_an_erased_subjects_budget_is_gone(engine: Engine) -> None:
    _tighten(engine, ANA, 0.5)
    with writing(engine) as session:
        session.execute(text("DELETE FROM subject_key WHERE subject_id = 'ana'"))
    with reading(engine) as session:
        assert session.exec(select(SubjectBudget)).all() == []


# Live scores


@pytest.mark.parametrize(("mean", "spread"), [(0.09, 0.08), (0.05, 0.095), (0.02, 0.095)])
def test_where_strangers_are_more_alike_the_alert_meets_the_budget_still(mean: float, spread: float) -> None:
    n = 20_000_000
    level = Dialled(scores.half(), Allowance())
    live = LiveScores(n, scores.counted(n, mean, spread, below=level.review))
    raised = Dialled(scores.half(), Allowance(), live, 200)

    wanted = Allowance().alert_fmr
    assert norm.sf(level.thresholds.alert, mean, spread) > 2.5 * wanted
    assert wanted / 2 <= norm.sf(raised.thresholds.alert, mean, spread) <= wanted * 2
    assert raised.thresholds.review == level.thresholds.review
    assert raised.fmr(raised.thresholds.alert) == pytest.approx(wanted, rel=0.01)


@given(
    mean=some.floats(-0.3, 0.3),
    spread=some.floats(0.01, 0.2),
    n=some.integers(0, 10**9),
    false_alerts=some.floats(0.01, 10),
    enrolled=some.integers(0, 10_000),
)
def test_live_scores_raise_and_never_lower(
    mean: float, spread: float, n: int, false_alerts: float, enrolled: int
) -> None:
    allowance = Allowance(false_alerts)
    level = Dialled(scores.half(), allowance).thresholds
    live = LiveScores(n, scores.counted(n, mean, spread, below=level.review))
    found = Dialled(scores.half(), allowance, live, enrolled).thresholds
    assert level.alert <= found.alert <= min(1.0, level.alert + 0.2) + 1e-12
    assert found.review == level.review


@pytest.mark.parametrize("seed", range(20))
def test_live_scores_like_those_measured_change_nothing_to_speak_of(seed: int) -> None:
    level = Dialled(scores.half(), Allowance())
    n = 3_000_000
    live = LiveScores(n, scores.counted(n, below=level.review, seed=seed))
    assert Dialled(scores.half(), Allowance(), live, 200).thresholds.alert < level.thresholds.alert + 0.004


def test_too_few_comparisons_move_nothing() -> None:
    level = Dialled(scores.half(), Allowance())
    n = 90_000
    live = LiveScores(n, scores.counted(n, mean=0.2, below=level.review))
    assert Dialled(scores.half(), Allowance(), live, 200).thresholds == level.thresholds


def test_old_counts_and_those_of_another_model_are_not_read(engine: Engine) -> None:
    counts = scores.counted(10**7, mean=0.15)
    scores.seen(engine, NOW - timedelta(days=31), 10**7, counts)
    scores.seen(engine, NOW, 10**7, counts, VOICE)
    with reading(engine) as session:
        standing = standing_of(session, [scores.half()], NOW)
    assert standing.halves[FACE].thresholds == Dialled(scores.half(), Allowance()).thresholds


# The dial at work


@pytest.mark.usefixtures("at_once")
def test_one_question_to_the_ledger_for_each_refresh(engine: Engine) -> None:
    scores.seen(engine, NOW, 1000, scores.counted(1000))
    dial = Dial(engine, [scores.half(), scores.half(VOICE)])
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    dial.of(FACE, ANA)
    assert len([one for one in asked if one.lstrip().upper().startswith("SELECT")]) == 1


def test_between_refreshes_nothing_is_asked(engine: Engine) -> None:
    dial = Dial(engine, [scores.half()])
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    for _ in range(1000):
        dial.of(FACE, ANA)
        dial.note([scores.tally(3)])
    assert asked == []
    dial.close()
    assert _rows(engine) == {ALL: 3000}


@pytest.mark.usefixtures("at_once")
def test_many_threads_and_two_workers_lose_no_count(engine: Engine) -> None:
    counts = tuple(number % 3 for number in range(TALLY_BINS))
    dials = [Dial(engine, [scores.half(), scores.half(VOICE)]) for _ in range(2)]

    def work(dial: Dial) -> None:
        for _ in range(25):
            dial.note([scores.tally(7, counts), scores.tally(5, counts, VOICE)])
            dial.of(FACE, ANA)

    threads = [threading.Thread(target=work, args=(dial,)) for dial in dials for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for dial in dials:
        dial.close()

    with reading(engine) as session:
        standing = standing_of(session, [scores.half(), scores.half(VOICE)], utc_now())
    for modality, each in ((FACE, 7), (VOICE, 5)):
        live = standing.halves[modality].live
        assert live == LiveScores(150 * each, tuple(150 * count for count in counts))


@pytest.mark.usefixtures("at_once")
def test_a_ledger_that_is_away_stops_no_look_and_gets_the_counts_later(sqlite_engine: Engine) -> None:
    dial = Dial(sqlite_engine, [scores.half()])
    before = dial.of(FACE, ANA)
    _rename(sqlite_engine, "score_count", "away")
    for _ in range(3):
        dial.note([scores.tally(10)])
        assert dial.of(FACE, ANA) == before
    _rename(sqlite_engine, "away", "score_count")
    dial.tick()
    assert _rows(sqlite_engine) == {ALL: 30}
    dial.close()
    assert _rows(sqlite_engine) == {ALL: 30}, "nothing is counted twice"


def _rename(engine: Engine, old: str, new: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))
