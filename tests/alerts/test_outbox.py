"""The outbox: one message per incident and channel, at most once, whatever fails in between."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from alerts import incidents
from alerts.outbox import SENDING_STALE, TRIES, Told, send_again, tell_due, wait_after
from alerts.policy import Policy, resume, stop
from alerts.tables import Alert, Incident, IncidentFinding
from monitor.db import reading, writing
from monitor.errors import ChannelDown, ChannelRefused, ChannelUncertain, NotFound
from monitor.tables import AuditEvent, Finding
from monitor.values import Band, MediaId, ModelId
from tests.alerts import scene

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys


def _alerts(engine: Engine) -> list[Alert]:
    with reading(engine) as session:
        return list(session.exec(select(Alert).order_by(Alert.created_at, Alert.id)))


def _state(engine: Engine, finding_id: str) -> str:
    with reading(engine) as session:
        return session.get_one(Finding, finding_id).state


class House:
    """One subject, one mailbox, one clock."""

    def __init__(self, engine: Engine, keys: KeyEncryptionKeys) -> None:
        self.engine, self.keys = engine, keys
        self.ana = scene.subject(engine, keys)
        self.book, self.mail = scene.book(self.ana), scene.spool()

    def found(self, **how: object) -> str:
        """Find her in something."""
        return scene.finding(self.engine, self.keys, self.ana, **how)

    def tell(self, now: datetime = scene.NOON, limits: Policy | None = None) -> Told:
        """Run the outbox once."""
        return tell_due(self.engine, self.keys, self.book, [self.mail], scene.links(), now, limits=limits)


@pytest.fixture
def house(engine: Engine, keys: KeyEncryptionKeys) -> House:
    return House(engine, keys)


@pytest.fixture
def small(sqlite_engine: Engine, keys: KeyEncryptionKeys) -> House:
    return House(sqlite_engine, keys)


def test_a_finding_is_told_once_however_often_the_outbox_runs(house: House) -> None:
    found = house.found()

    first, second = house.tell(), house.tell(scene.NOON + timedelta(hours=1))

    assert first == Told(incidents=1, sent=1)
    assert second == Told()
    assert [message.to for message in house.mail.sent] == ["ana@example.org"]
    assert _state(house.engine, found) == "told"
    [alert] = _alerts(house.engine)
    assert (alert.state, alert.reference, alert.sent_at) == ("sent", "ref-1", scene.NOON)


def test_copies_of_one_picture_are_one_message_also_when_they_come_later(house: House) -> None:
    marks = (scene.mark(1), scene.mark(2))
    for url in ("https://a.example/1.jpg", "https://b.example/2.jpg"):
        house.found(marks=marks, url=url)
    now = house.tell()
    house.found(marks=(scene.mark(2),), url="https://c.example/mirrored.jpg")

    later = house.tell(scene.NOON + timedelta(hours=1))

    assert (now.incidents, now.merged, now.sent) == (1, 1, 1)
    assert later == Told(merged=1)
    assert len(house.mail.sent) == 1


def test_different_pictures_are_different_messages(house: House) -> None:
    house.found(marks=(scene.mark(1),))
    house.found(marks=(scene.mark(2),))

    assert house.tell() == Told(incidents=2, sent=2)
    assert len({message.idempotency_key for message in house.mail.sent}) == 2


def test_what_two_models_find_in_one_item_is_one_incident(house: House) -> None:
    media = MediaId("one-video")
    house.found(media_id=media)
    house.found(media_id=media, model_id=ModelId("other@00/1"), face=None, voice=0.8)

    assert house.tell() == Told(incidents=1, merged=1, sent=1)


def test_two_subjects_in_one_picture_are_told_apart(house: House) -> None:
    ben = scene.subject(house.engine, house.keys)
    house.book.contacts[ben] = scene.Contact("Ben", "ben@example.org", "")
    house.found(marks=(scene.mark(1),))
    scene.finding(house.engine, house.keys, ben, marks=(scene.mark(1),))

    assert house.tell() == Told(incidents=2, sent=2)
    assert {message.to for message in house.mail.sent} == {"ana@example.org", "ben@example.org"}


def test_every_channel_gets_its_own_message(house: House) -> None:
    sms = scene.spool("sms")
    house.found()

    told = tell_due(house.engine, house.keys, house.book, [house.mail, sms], scene.links(), scene.NOON)

    assert told.sent == 2
    assert sms.sent[0].to == "+491701234567"


def test_a_finding_in_the_review_band_waits_for_an_operator(house: House) -> None:
    found = house.found(band=Band.REVIEW)

    assert house.tell() == Told(held=1)
    assert _state(house.engine, found) == "held"
    with writing(house.engine) as session:
        [incident] = incidents.held(session)
        incidents.decide(session, incident.id, approve=True, actor="operator:eve", now=scene.NOON)
    assert house.tell().sent == 1
    assert "Somebody on our team has looked at it" in house.mail.sent[0].text
    with reading(house.engine) as session:
        [event] = session.exec(select(AuditEvent))
    assert (event.actor, event.action, event.subject_id) == ("operator:eve", "alert.approve", house.ana)


def test_what_was_dismissed_stays_dismissed_for_its_copies(house: House) -> None:
    house.found(band=Band.REVIEW, marks=(scene.mark(1),))
    house.tell()
    with writing(house.engine) as session:
        [incident] = incidents.held(session)
        incidents.decide(session, incident.id, approve=False, actor="operator:eve", now=scene.NOON)

    copy = house.found(band=Band.REVIEW, marks=(scene.mark(1),))
    surer = house.found(band=Band.ALERT, marks=(scene.mark(1),))

    assert house.tell() == Told(held=1)
    assert _state(house.engine, copy) == "dismissed"
    assert _state(house.engine, surer) == "held"
    assert house.mail.sent == []


def test_a_surer_copy_tells_what_was_held(house: House) -> None:
    doubtful = house.found(band=Band.REVIEW, marks=(scene.mark(1),))
    house.tell()
    house.found(band=Band.ALERT, marks=(scene.mark(1),))

    assert house.tell() == Told(incidents=1, sent=1)
    assert _state(house.engine, doubtful) == "told"


def test_a_copy_in_the_review_band_of_something_told_is_merged(house: House) -> None:
    house.found(marks=(scene.mark(1),))
    house.tell()
    house.found(band=Band.REVIEW, marks=(scene.mark(1),))

    assert house.tell() == Told(merged=1)


def test_nothing_is_decided_twice(small: House) -> None:
    small.found(band=Band.REVIEW)
    small.tell()
    with writing(small.engine) as session:
        [incident] = incidents.held(session)
        incidents.decide(session, incident.id, approve=True, actor="operator:eve", now=scene.NOON)
    with pytest.raises(NotFound), writing(small.engine) as session:
        incidents.decide(session, incident.id, approve=False, actor="operator:eve", now=scene.NOON)


def test_a_mail_server_that_is_away_for_ten_minutes_delays_and_loses_nothing(small: House) -> None:
    small.found()
    small.mail.fail = ChannelDown("away")
    tries = 0
    for minute in range(10):
        tries += small.tell(scene.NOON + timedelta(minutes=minute)).later
    small.mail.fail = None

    later = [small.tell(scene.NOON + timedelta(minutes=10 + minute)) for minute in range(10)]

    assert 2 <= tries <= 5, "it must be asked again, and not every minute"
    assert sum(told.sent for told in later) == 1
    assert len(small.mail.sent) == 1


def test_after_a_day_of_trying_the_alert_has_failed_and_says_why(small: House) -> None:
    small.found()
    small.mail.fail = ChannelDown("the mail server could not be used: ConnectionRefusedError")
    now, rounds = scene.NOON, 0
    while _states(small) != ["failed"]:
        small.tell(now)
        now, rounds = now + timedelta(hours=3), rounds + 1
    [alert] = _alerts(small.engine)

    assert rounds == TRIES
    assert (alert.error_code, alert.attempts) == ("channel_down", TRIES)


def _states(house: House) -> list[str]:
    return [alert.state for alert in _alerts(house.engine)]


def test_all_the_waits_together_are_about_a_day() -> None:
    total = sum((wait_after(n) for n in range(1, TRIES)), timedelta())

    assert timedelta(hours=18) < total < timedelta(hours=30)


@pytest.mark.parametrize(
    ("error", "state"), [(ChannelUncertain("?"), "uncertain"), (ChannelRefused("no"), "failed")]
)
def test_uncertain_and_refused_are_never_repeated_by_themselves(
    small: House, error: ChannelUncertain | ChannelRefused, state: str
) -> None:
    small.found()
    small.mail.fail = error
    small.tell()
    small.mail.fail = None

    assert small.tell(scene.NOON + timedelta(days=2)) == Told()
    assert _states(small) == [state]
    assert small.mail.sent == []


def test_an_operator_may_send_again_and_the_message_keeps_its_key(small: House) -> None:
    small.found()
    small.mail.fail = ChannelUncertain("?")
    small.tell()
    small.mail.fail = None
    [alert] = _alerts(small.engine)
    with writing(small.engine) as session:
        send_again(session, alert.id, scene.NOON)

    assert small.tell().sent == 1
    assert small.mail.sent[0].idempotency_key == alert.idempotency_key
    with pytest.raises(NotFound), writing(small.engine) as session:
        send_again(session, alert.id, scene.NOON)


def test_a_sender_that_died_while_sending_leaves_an_uncertain_alert(house: House) -> None:
    house.found()
    house.tell(limits=Policy(burst=0))  # grouped, and nothing sent
    with writing(house.engine) as session:
        alert = session.exec(select(Alert)).one()
        alert.state, alert.sending_since = "sending", scene.NOON

    soon = house.tell(scene.NOON + SENDING_STALE / 2)
    late = house.tell(scene.NOON + SENDING_STALE * 2)

    assert soon == Told(), "it may still be at it"
    assert late == Told(uncertain=1)
    assert house.mail.sent == []


def test_two_processes_at_once_tell_each_incident_once(house: House) -> None:
    for number in range(6):
        house.found(marks=(scene.mark(number // 2),))
    barrier = threading.Barrier(3)
    raised: list[BaseException] = []

    def run() -> None:
        try:
            barrier.wait()
            house.tell()
        except BaseException as exc:  # noqa: BLE001 - shown below
            raised.append(exc)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert raised == []
    assert len(house.mail.sent) == 3
    assert len({message.idempotency_key for message in house.mail.sent}) == 3
    with reading(house.engine) as session:
        assert len(session.exec(select(IncidentFinding)).all()) == 6


def test_somebody_without_an_address_is_told_once_there_is_one(small: House) -> None:
    small.book.contacts[small.ana] = scene.Contact("Ana", "", "")
    small.found()

    assert small.tell() == Told(incidents=1)
    small.book.contacts[small.ana] = scene.ANA
    assert small.tell().sent == 1


def test_an_address_that_went_away_is_a_failure_with_a_reason(small: House) -> None:
    small.found()
    small.tell(limits=Policy(burst=0))
    small.book.contacts[small.ana] = scene.Contact("Ana", "", "")

    assert small.tell(scene.NOON + timedelta(days=2)).failed == 1
    assert "no address" in str(_alerts(small.engine)[0].error_reason)


def test_who_asked_for_quiet_hears_nothing_and_nothing_is_sent_late(small: House) -> None:
    small.found()
    with writing(small.engine) as session:
        stop(session, small.ana, "email", scene.NOON)
        stop(session, small.ana, "email", scene.NOON)
    first = small.tell()
    with writing(small.engine) as session:
        resume(session, small.ana, "email")
    small.found()

    assert first == Told(incidents=1, stopped=1)
    assert small.tell() == Told(incidents=1, sent=1)


def test_an_erased_subject_is_not_told_and_nothing_of_theirs_is_left(house: House) -> None:
    house.found()
    house.tell(limits=Policy(burst=0))
    scene.erase(house.engine, house.ana)

    assert house.tell(scene.NOON + timedelta(days=2)) == Told()
    with reading(house.engine) as session:
        left = [session.exec(select(table)).all() for table in (Alert, Incident, IncidentFinding)]
    assert left == [[], [], []]


def test_a_subject_whose_rows_do_not_open_disturbs_nobody_else(house: House) -> None:
    broken = house.found()
    ben = scene.subject(house.engine, house.keys)
    house.book.contacts[ben] = scene.Contact("Ben", "ben@example.org", "")
    scene.finding(house.engine, house.keys, ben)
    with writing(house.engine) as session:
        session.get_one(Finding, broken).sealed += b"x"

    assert house.tell() == Told(incidents=1, sent=1, unopened=1)
    assert _state(house.engine, broken) == "due", "it stays where an operator finds it"


def test_the_outbox_holds_no_address_name_or_score(small: House) -> None:
    small.found(marks=(scene.mark(1),))
    small.tell()

    with reading(small.engine) as session:
        rows = [
            repr(row) for table in (Alert, Incident, IncidentFinding) for row in session.exec(select(table))
        ]
    text = "\n".join(rows)
    for secret in ("ana@", "Ana", "0.71", scene.mark(1), "pictures.example"):
        assert secret not in text


def test_what_is_found_before_its_time_waits_and_is_told_when_the_time_comes(house: House) -> None:
    cooling_off = timedelta(hours=72)
    house.book.quiet_until = scene.NOON + cooling_off
    for number in range(3):
        house.found(marks=(scene.mark(number),))

    assert house.tell() == Told(incidents=3)
    assert house.tell(scene.NOON + cooling_off - timedelta(seconds=1)) == Told()
    assert house.mail.sent == []
    assert house.tell(scene.NOON + cooling_off) == Told(sent=3)
    assert house.tell(scene.NOON + 2 * cooling_off) == Told()


def test_a_message_that_was_due_waits_while_the_person_is_quiet(house: House) -> None:
    house.found()
    house.mail.fail = ChannelDown("away")
    assert house.tell() == Told(incidents=1, later=1)
    house.mail.fail = None
    house.book.quiet_until = None
    house.found(marks=(scene.mark(7),))

    assert house.tell(scene.NOON + timedelta(hours=5)) == Told(incidents=1)
    assert house.mail.sent == []

    house.book.quiet_until = scene.NOON
    assert house.tell(scene.NOON + timedelta(hours=6)) == Told(sent=2)


def test_one_quiet_person_keeps_nobody_else_waiting(small: House) -> None:
    class TwoMinds(scene.Book):
        """Ana is quiet, and Ben is not."""

        def told_from(self, subject_id: str) -> datetime | None:
            """Say so."""
            return None if subject_id == small.ana else scene.NOON

    ben = scene.subject(small.engine, small.keys)
    with pytest.warns(RuntimeWarning, match="fake"):
        small.book = TwoMinds({small.ana: scene.ANA, ben: scene.Contact("Ben", "ben@example.org", "")})
    small.found()
    scene.finding(small.engine, small.keys, ben)

    assert small.tell() == Told(incidents=2, sent=1)
    assert [message.to for message in small.mail.sent] == ["ben@example.org"]
