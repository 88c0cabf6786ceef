"""A fire drill is told in words of its own, joins no real incident, and leaves nothing but its times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from alerts import drills as drilled
from alerts.interfaces import Watched
from alerts.outbox import tell_due
from alerts.overview import page_of
from alerts.tables import Alert, Incident
from monitor import drills
from monitor.db import reading, writing
from monitor.tables import AuditEvent, Drill, Evidence, Finding, MediaItem
from monitor.values import MediaId
from tests.alerts import scene

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys
    from monitor.values import FindingId, SubjectId
    from tests.alerts.scene import Spool


def drill_of(engine: Engine, subject: SubjectId, finding_id: FindingId, clock: scene.Clock) -> str:
    """Make a finding the one of a drill, whose picture was planted just now."""
    with writing(engine) as session:
        media = session.get_one(MediaItem, session.get_one(Finding, finding_id).media_id)
        row = drills.ask(session, subject, "crawl:own", "operator:test", clock())
        session.flush()
        drills.begin(session, row.id, media.sha256, clock())
        return row.id


@pytest.fixture
def told(engine: Engine, keys: KeyEncryptionKeys) -> tuple[SubjectId, Spool, scene.Clock]:
    return scene.subject(engine, keys), scene.spool(), scene.Clock()


def tell(engine: Engine, keys: KeyEncryptionKeys, told: tuple[SubjectId, Spool, scene.Clock]) -> None:
    subject, spool, clock = told
    tell_due(engine, keys, scene.book(subject), [spool], scene.links(clock), clock())


def test_the_message_says_that_it_is_a_test_and_nothing_else(
    engine: Engine, keys: KeyEncryptionKeys, told: tuple[SubjectId, Spool, scene.Clock]
) -> None:
    subject, spool, clock = told
    drill_id = drill_of(engine, subject, scene.finding(engine, keys, subject), clock)
    tell(engine, keys, told)
    (message,) = spool.sent
    assert message.subject == "The test message that was asked for"
    assert "THIS IS A TEST. Nothing was found of you" in message.text
    assert "This is a test. Nothing was found of you" in message.html
    for text in (message.text, message.html):
        assert "http" not in text.replace("http-equiv", "")
        assert "came across" not in text
    with reading(engine) as session:
        assert session.get_one(Drill, drill_id).told_at is not None
        own = [Watched(subject, "")]
        assert page_of(session, keys, own, 1).lines == ()


def test_by_sms_it_says_nothing_of_what_we_do(engine: Engine, keys: KeyEncryptionKeys) -> None:
    subject, spool, clock = scene.subject(engine, keys), scene.spool("sms"), scene.Clock()
    drill_of(engine, subject, scene.finding(engine, keys, subject), clock)
    tell(engine, keys, (subject, spool, clock))
    (message,) = spool.sent
    assert message.text.startswith("This is the test message that was asked for.")
    assert "http" not in message.text


def test_the_real_picture_found_beside_a_drill_is_told_as_what_it_is(
    engine: Engine, keys: KeyEncryptionKeys, told: tuple[SubjectId, Spool, scene.Clock]
) -> None:
    subject, spool, clock = told
    marks = (scene.mark(1),)
    first = scene.finding(engine, keys, subject, marks=marks)
    tell(engine, keys, told)
    drill_of(engine, subject, scene.finding(engine, keys, subject, marks=marks), clock)
    tell(engine, keys, told)
    scene.finding(engine, keys, subject, marks=(scene.mark(2),))
    drill_of(engine, subject, scene.finding(engine, keys, subject, marks=(scene.mark(2),)), clock)
    tell(engine, keys, told)
    kinds = ["A notice", "The test", "A notice", "The test"]
    assert sorted(one.subject.split(" ", 2)[1] for one in spool.sent) == sorted(k.split()[1] for k in kinds)
    with reading(engine) as session:
        assert session.get_one(Finding, first).state == "told"
        assert len(session.exec(select(Incident)).all()) == 4


def test_at_its_end_everything_goes_but_the_times(
    engine: Engine, keys: KeyEncryptionKeys, told: tuple[SubjectId, Spool, scene.Clock]
) -> None:
    subject, _, clock = told
    real = scene.finding(engine, keys, subject, marks=(scene.mark(1),))
    drill_id = drill_of(engine, subject, scene.finding(engine, keys, subject, marks=(scene.mark(1),)), clock)
    tell(engine, keys, told)
    with reading(engine) as session:
        assert not drilled.still_telling(session, drill_id)
    for _ in range(2):
        row = drilled.end(engine, keys, drill_id, "operator:test", clock())
        assert (row.state, row.ended_at) == ("ended", clock())
        assert None not in {row.planted_at, row.taken_at, row.found_at, row.told_at}
    with reading(engine) as session:
        assert [one.id for one in session.exec(select(Finding))] == [real]
        assert len(session.exec(select(Evidence)).all()) == 1
        assert len(session.exec(select(Incident)).all()) == 1
        assert [one.kind for one in session.exec(select(Alert))] == ["incident"]
        actions = [one.action for one in session.exec(select(AuditEvent))]
        assert [actions.count(one) for one in ("drill.ask", "drill.end")] == [1, 1]


def test_one_that_nobody_ends_is_over_after_an_hour_and_never_told_late(
    engine: Engine, keys: KeyEncryptionKeys, told: tuple[SubjectId, Spool, scene.Clock]
) -> None:
    subject, spool, clock = told
    drill_id = drill_of(engine, subject, scene.finding(engine, keys, subject), clock)
    clock.now += drills.LONGEST
    tell(engine, keys, told)
    assert spool.sent == []
    with writing(engine) as session:
        media = session.exec(select(MediaItem)).one()
        assert drills.measure(session, drill_id).state == "ended"
        assert session.exec(select(Finding)).all() == []
    late = scene.finding(engine, keys, subject, media_id=MediaId(media.id))
    tell(engine, keys, told)
    assert spool.sent == []
    with reading(engine) as session:
        assert session.get(Finding, late) is None


def test_somebody_else_in_the_same_picture_is_told_as_always(
    engine: Engine, keys: KeyEncryptionKeys, told: tuple[SubjectId, Spool, scene.Clock]
) -> None:
    subject, _, clock = told
    found = scene.finding(engine, keys, subject)
    drill_of(engine, subject, found, clock)
    other, spool = scene.subject(engine, keys), scene.spool()
    with reading(engine) as session:
        media = session.get_one(Finding, found).media_id
    scene.finding(engine, keys, other, media_id=MediaId(media))
    tell(engine, keys, (other, spool, clock))
    assert [one.subject for one in spool.sent] == ["A notice is waiting for you"]
