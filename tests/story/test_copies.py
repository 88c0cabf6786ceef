"""A picture that was told of is known again by its looks: one look serves all its copies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlmodel import select

from monitor import copies, findings
from monitor.db import reading, writing
from monitor.tables import GalleryEvent, MediaHash, SubjectKey
from tests.assets import people

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.progress import Outcome
    from tests.story.conftest import Watch

SHE = "Gloria_Macapagal_Arroyo"


@pytest.fixture(autouse=True)
def _follows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "FOLLOW_S", 0.0)


@pytest.fixture
def hers(data: Path) -> list[np.ndarray]:
    return people.pictures(data, SHE)


def looked_at(outcome: Outcome) -> bool:
    assert outcome.state == "done"
    return any(timing.stage == "embed" for timing in outcome.timings)


def test_all_copies_cost_one_look(watch: Watch, hers: list[np.ndarray]) -> None:
    subject = watch.enrol("s1", people.jpeg(hers[0]))
    first = watch.look(people.jpeg(hers[1]))
    assert looked_at(first)
    copies_ = [people.jpeg(hers[1], quality) for quality in range(40, 90, 4)]
    copies_ += [people.jpeg(hers[1][:, ::-1], quality) for quality in range(60, 80, 5)]
    copies_ += [people.jpeg(np.rot90(hers[1], turns), 80) for turns in (1, 2, 3)]
    copies_ += [people.jpeg(people.resized(hers[1], factor), 85) for factor in np.linspace(1.05, 1.5, 6)]
    outcomes = [watch.look(copy, f"https://example.org/{number}") for number, copy in enumerate(copies_)]
    assert len(outcomes) == 26
    assert not any(looked_at(outcome) for outcome in outcomes)
    (told,) = watch.views(first)
    for outcome in outcomes:
        assert watch.item(outcome.media_id).copy_of == first.media_id
        (view,) = watch.views(outcome)
        assert (view.subject_id, view.band) == (subject, told.band)
        assert findings.same_picture(view.detail.copy_marks, told.detail.copy_marks)
    with reading(watch.tools.engine) as session:
        (view,) = watch.views(outcomes[-1])
        proof = json.loads(findings.evidence_of(session, watch.tools.keks, view.finding_id))
        assert proof["media"]["sha256"] == view.sha256 != told.sha256
        assert proof["copy_of"]["sha256"] == told.sha256
        assert findings.verify_chain(session) == 27
        assert len(session.exec(select(MediaHash)).all()) == 1


def test_after_an_enrolment_a_copy_is_looked_at(watch: Watch, hers: list[np.ndarray]) -> None:
    watch.enrol("s1", people.jpeg(hers[0]))
    watch.look(people.jpeg(hers[1]))
    with writing(watch.tools.engine) as session:
        session.add(GalleryEvent(kind="add", subject_id="s2", template_id="t"))
    assert looked_at(watch.look(people.jpeg(hers[1], 70)))


def test_a_copy_of_a_picture_of_strangers_is_looked_at(
    watch: Watch, data: Path, hers: list[np.ndarray]
) -> None:
    watch.enrol("s1", people.jpeg(hers[0]))
    strangers = people.pictures(data, "Angelina_Jolie")[0]
    watch.look(people.jpeg(strangers))
    assert looked_at(watch.look(people.jpeg(strangers, 70)))


def test_a_picture_that_shows_somebody_else_too_is_always_looked_at(
    watch: Watch, data: Path, hers: list[np.ndarray]
) -> None:
    watch.enrol("s1", people.jpeg(hers[0]))
    both = people.collage([hers[1], people.pictures(data, "Angelina_Jolie")[0]])
    assert watch.look(people.jpeg(both)).findings
    assert looked_at(watch.look(people.jpeg(both, 70)))


def test_a_person_who_left_is_not_told_of_copies(watch: Watch, hers: list[np.ndarray]) -> None:
    subject = watch.enrol("s1", people.jpeg(hers[0]))
    watch.look(people.jpeg(hers[1]))
    with writing(watch.tools.engine) as session:
        session.delete(session.get_one(SubjectKey, subject))
        session.add(GalleryEvent(kind="erase", subject_id=subject))
    watch.tools.gallery.follow()
    outcome = watch.look(people.jpeg(hers[1], 70))
    assert outcome.state == "done"
    assert not outcome.findings
