"""The dial: how many false alerts a person may get in a month, and the thresholds that keep this promise.

The operator says "at most N false alerts a month, for each enrolled person, at M faces a day". Turns of
speech count as faces. Each face that is looked at is compared with each person, so a person's false alerts
are the faces times the false match rate of one comparison, however many people are enrolled: the rate is N /
(30 * M). The calibration says at which cosine so many strangers score, and live counts may raise that, never
lower it.

A subject may tighten N and never loosen it. Only the alert band becomes narrower then: what no longer is
told at once goes to a human look, at the operator's own threshold, and nothing is lost.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Float, String, cast, func, literal, null, select, union_all
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from monitor import live_scores
from monitor import log as logs
from monitor.allowance import Allowance
from monitor.db import reading, utc_now
from monitor.errors import StorageError
from monitor.live_scores import ALL, LEVEL, NOTHING_YET, WINDOW, Lift, LiveScores, Place, day_of, lift_of
from monitor.ml.calibration import own_path, read_calibration, thresholds_at
from monitor.tables import Budget, ScoreCount, SubjectBudget, SubjectKey
from monitor.values import TALLY_BINS, Modality, ModelId, SubjectId

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from sqlalchemy import CompoundSelect, Engine
    from sqlmodel import Session

    from monitor.ml.calibration import Calibration
    from monitor.ml.interfaces import Pack, Thresholds
    from monitor.settings import Settings
    from monitor.values import Tally

REFRESH_S = 3.0
"""How long a turn of the dial, here or by another process, takes to be felt at most."""

FLUSH_S = 5.0
"""How often counts are written. Those of the last seconds are lost when a worker is killed: they are
statistics."""

SHIPPED_VOICES = "voices-campplus.json"
"""Calibration of the voices of every pack whose voices are ours."""

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Half:
    """What is known of one recogniser: the thresholds that came with it and, if measured, its calibration."""

    modality: Modality
    thresholds: Thresholds
    calibration: Calibration | None

    @property
    def model_id(self) -> ModelId:
        """The recogniser."""
        return self.thresholds.model_id


def halves_of(pack: Pack) -> tuple[Half, ...]:
    """Take what the dial needs of a loaded pack."""
    halves = {Modality.FACE: pack.faces, Modality.VOICE: pack.voices}
    return tuple(
        Half(modality, replace(half.thresholds, model_id=half.recogniser.model_id), half.calibration)
        for modality, half in halves.items()
        if half is not None
    )


def halves_at_rest(settings: Settings) -> tuple[Half, ...]:
    """Find the same without loading a model, for pages and verbs: as far as it is known from files.

    A half that only its own model's folder tells of is left out. An operator's calibration of other models
    than those that came with the program's one is passed over here as it is when the pack is loaded.
    """
    found = (_at_rest(modality, settings) for modality in Modality)
    return tuple(Half(one.modality, thresholds_at(one), one) for one in found if one is not None)


def _at_rest(modality: Modality, settings: Settings) -> Calibration | None:
    own = own_path(settings.home, modality, settings.pack)
    name = own.name if modality is Modality.FACE else SHIPPED_VOICES
    with_us = files("monitor.ml").joinpath("calibrations", name)
    elsewhere = modality is Modality.VOICE and settings.speechbrain_dir is not None
    came = read_calibration(with_us) if with_us.is_file() and not elsewhere else None
    made_here = read_calibration(own) if own.is_file() else None
    if made_here is None or (came is not None and came.model_id != made_here.model_id):
        return came
    return made_here


@dataclass(frozen=True)
class Dialled:
    """One half under one allowance, with what strangers have scored lately and how many people there are."""

    half: Half
    allowance: Allowance
    live: LiveScores = NOTHING_YET
    enrolled: int = 0

    @cached_property
    def thresholds(self) -> Thresholds:
        """The operator's thresholds."""
        return self.thresholds_at(self.allowance)

    @cached_property
    def lift(self) -> Lift:
        """How far live strangers score above the measured ones."""
        calibration = self.half.calibration
        if calibration is None:
            return LEVEL
        return lift_of(calibration, self.live, self.review, self.enrolled)

    @cached_property
    def review(self) -> float:
        """The cosine from which on a human looks, the same for every subject. Live counts leave it alone.

        A subject who is not recognised raises the live tail. Were this raised with it, more of that subject
        would go unrecognised, and so on; as it is, what an alert loses comes to a human look.
        """
        return self._measured(self.allowance).review

    @property
    def measured_alert(self) -> float:
        """The cosine from which on the person is told, before live scores raised it."""
        return max(self._measured(self.allowance).alert, self.review)

    def thresholds_at(self, allowance: Allowance) -> Thresholds:
        """Give the thresholds of somebody with this allowance, which is the operator's or a tighter one."""
        found = self._measured(allowance)
        return replace(found, alert=max(self.lift.raised(found.alert), self.review), review=self.review)

    def fmr(self, score: float) -> float | None:
        """Share of strangers' comparisons that reach a cosine, by the live tail where it is the higher one.

        None where nobody has measured the recogniser.
        """
        calibration = self.half.calibration
        return None if calibration is None else calibration.fmr(self.lift.measured(score))

    def _measured(self, allowance: Allowance) -> Thresholds:
        calibration = self.half.calibration
        if calibration is None:
            return self.half.thresholds
        return thresholds_at(calibration, allowance.alert_fmr, allowance.review_fmr)


class Standing:
    """Where the dial stands at one moment: what was read, and the thresholds that follow from it."""

    def __init__(
        self, halves: Iterable[Half], allowance: Allowance, tighter: Mapping[SubjectId, float], read: _Read
    ) -> None:
        """Hold what was read. Thresholds are worked out when they are asked for, once for each allowance."""
        self.allowance = allowance
        self.tighter = tighter
        self.halves = {
            half.modality: Dialled(
                half,
                allowance,
                read.live.get((half.modality, half.model_id), NOTHING_YET),
                read.enrolled,
            )
            for half in halves
        }
        self._known: dict[tuple[Modality, float | None], Thresholds] = {}

    def of(self, modality: Modality, subject_id: SubjectId) -> Thresholds:
        """Give the thresholds of one subject."""
        own = self.tighter.get(subject_id)
        known = self._known.get((modality, own))
        if known is None:
            known = self.halves[modality].thresholds_at(self.allowance.tightened(own))
            self._known[modality, own] = known
        return known

    def least(self, modality: Modality) -> float:
        """Give the lowest cosine at which anybody is anything but a stranger."""
        return self.halves[modality].thresholds.review

    def llr(self, modality: Modality, score: float) -> float:
        """Natural logarithm of the likelihood ratio of a cosine; 0, which says nothing, if never measured."""
        calibration = self.halves[modality].half.calibration
        return 0.0 if calibration is None else calibration.llr(score)


@dataclass(frozen=True, slots=True)
class _Read:
    """Live scores by (modality, model), and how many people are enrolled, with whatever models."""

    live: Mapping[tuple[Modality, str], LiveScores]
    enrolled: int


def standing_of(session: Session, halves: Iterable[Half], now: datetime) -> Standing:
    """Read where the dial stands, in one query."""
    allowance, tighter, enrolled = Allowance(), {}, 0
    comparisons: dict[tuple[Modality, str], int] = {}
    counts: dict[tuple[Modality, str], list[int]] = {}
    asked = _question(day_of(now - WINDOW))
    for kind, name, model_id, number, value, faces in session.connection().execute(asked):
        if kind == "budget":
            allowance = Allowance(value, int(faces))
        elif kind == "subject":
            tighter[SubjectId(name)] = value
        elif kind == "enrolled":
            enrolled = int(value)
        elif number == ALL:
            comparisons[Modality(name), model_id] = int(value)
        elif 0 <= number < TALLY_BINS:
            counts.setdefault((Modality(name), model_id), [0] * TALLY_BINS)[number] = int(value)
    live = {
        key: LiveScores(comparisons.get(key, 0), tuple(counts.get(key, [0] * TALLY_BINS)))
        for key in comparisons.keys() | counts.keys()
    }
    return Standing(halves, allowance, tighter, _Read(live, enrolled))


def _question(since: str) -> CompoundSelect[Any]:
    """Ask for (kind, name, model, bin, value, faces a day) of budgets, counts and the enrolled at once."""
    no_faces = cast(null(), Float)
    words = (literal("score"), col(ScoreCount.modality), col(ScoreCount.model_id), col(ScoreCount.bin))
    budget = select(
        literal("budget"),
        literal(""),
        literal(""),
        literal(0),
        cast(col(Budget.false_alerts_per_month), Float),
        cast(col(Budget.faces_per_day), Float),
    ).where(col(Budget.id) == 1)
    subjects = select(
        literal("subject"),
        cast(col(SubjectBudget.subject_id), String),
        literal(""),
        literal(0),
        cast(col(SubjectBudget.false_alerts_per_month), Float),
        no_faces,
    )
    scores = (
        select(*words, cast(func.sum(col(ScoreCount.count)), Float), no_faces)
        .where(col(ScoreCount.day) > since)
        .group_by(col(ScoreCount.modality), col(ScoreCount.model_id), col(ScoreCount.bin))
    )
    enrolled = select(
        literal("enrolled"),
        literal(""),
        literal(""),
        literal(0),
        cast(func.count(col(SubjectKey.subject_id)), Float),
        no_faces,
    )
    return union_all(budget, subjects, scores, enrolled)


class Dial:
    """The dial of a worker: thresholds that follow the ledger within seconds, and counts on their way to it.

    Safe to share between threads. One of them reads or writes now and then; the others never wait for it.
    """

    def __init__(
        self, engine: Engine, halves: Iterable[Half], *, now: Callable[[], datetime] = utc_now
    ) -> None:
        """Read the ledger once. Raises SQLAlchemyError where it does not answer."""
        self._engine, self._halves, self._now = engine, tuple(halves), now
        self._reading, self._writing, self._counting = (threading.Lock() for _ in range(3))
        self._counts: Counter[Place] = Counter()
        self._ledger_answers = True
        self._standing = self._read()
        self._read_at = self._written_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def standing(self) -> Standing:
        """Where the dial stands, read again after REFRESH_S; the last that was read where that fails."""
        if time.monotonic() - self._read_at > REFRESH_S and self._reading.acquire(blocking=False):
            try:
                self._standing = self._read()
                self._heard(answers=True)
            except SQLAlchemyError as exc:
                self._heard(answers=False, error=exc)
            finally:
                self._read_at = time.monotonic()
                self._reading.release()
        return self._standing

    def of(self, modality: Modality, subject_id: SubjectId) -> Thresholds:
        """Give the thresholds of one subject."""
        return self.standing.of(modality, subject_id)

    def least(self, modality: Modality) -> float:
        """Give the lowest cosine at which anybody is anything but a stranger."""
        return self.standing.least(modality)

    def llr(self, modality: Modality, score: float) -> float:
        """Natural logarithm of the likelihood ratio of a cosine."""
        return self.standing.llr(modality, score)

    def note(self, tallies: Iterable[Tally]) -> None:
        """Count what one item's comparisons scored. It is written some seconds later; see `tick`."""
        counts = live_scores.places(tallies, self._now())
        with self._counting:
            self._counts.update(counts)
        self.tick()

    def tick(self) -> None:
        """Write the counts where it is time to. A ledger that does not answer gets them later."""
        if time.monotonic() - self._written_at > FLUSH_S and self._writing.acquire(blocking=False):
            try:
                self._flush()
            finally:
                self._written_at = time.monotonic()
                self._writing.release()

    def close(self) -> None:
        """Write what is still counted here."""
        with self._writing:
            self._flush()

    def _read(self) -> Standing:
        with reading(self._engine) as session:
            return standing_of(session, self._halves, self._now())

    def _flush(self) -> None:
        with self._counting:
            counts, self._counts = self._counts, Counter()
        try:
            live_scores.add(self._engine, counts)
            self._heard(answers=True)
        except (SQLAlchemyError, StorageError) as exc:
            with self._counting:
                self._counts.update(counts)
            self._heard(answers=False, error=exc)

    def _heard(self, *, answers: bool, error: Exception | None = None) -> None:
        """Say once that the ledger went away: each look would say it again."""
        if self._ledger_answers and not answers:
            log.warning("dial_waits_for_the_ledger", error=type(error).__name__)
        self._ledger_answers = answers
