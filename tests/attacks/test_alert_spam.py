"""Somebody floods a platform with her pictures, or presses our buttons, so that we bury her in messages."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlmodel import func, select

from alerts.outbox import Told, tell_due
from alerts.policy import BURST, PER_HOUR, Policy
from alerts.tables import Alert, Incident
from monitor.db import reading, utc_now
from tests.alerts import scene
from tests.alerts.visitor import Visitor, link_in

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys


def test_two_hundred_copies_of_one_picture_are_one_message(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    ana, mail = scene.subject(sqlite_engine, keys), scene.spool()
    for number in range(200):
        scene.finding(sqlite_engine, keys, ana, marks=(scene.mark(1),), url=f"https://flood.example/{number}")

    told = tell_due(sqlite_engine, keys, scene.book(ana), [mail], scene.links(), scene.NOON)

    assert told == Told(incidents=1, merged=199, sent=1)
    assert len(mail.sent) == 1


def test_a_flood_of_different_pictures_is_slowed_down_and_none_is_lost(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    ana, mail = scene.subject(sqlite_engine, keys), scene.spool()
    many = BURST + 15
    for number in range(many):
        scene.finding(sqlite_engine, keys, ana, marks=(scene.mark(number),))

    def tell(hours: float) -> Told:
        now = scene.NOON + timedelta(hours=hours)
        return tell_due(sqlite_engine, keys, scene.book(ana), [mail], scene.links(), now)

    assert tell(0).sent == BURST
    assert tell(0.5).sent == 0
    assert sum(tell(10 + minutes / 60).sent for minutes in range(5)) == 10 * PER_HOUR
    for hours in range(11, 80):
        tell(hours)
    assert len(mail.sent) == many
    with reading(sqlite_engine) as session:
        assert session.exec(select(func.count()).select_from(Incident)).one() == many


def test_one_persons_flood_does_not_silence_another(sqlite_engine: Engine, keys: KeyEncryptionKeys) -> None:
    ana, ben = scene.subject(sqlite_engine, keys), scene.subject(sqlite_engine, keys)
    book, mail = scene.book(ana), scene.spool()
    book.contacts[ben] = scene.Contact("Ben", "ben@example.org", "")
    for number in range(BURST + 5):
        scene.finding(sqlite_engine, keys, ana, marks=(scene.mark(number),))
    scene.finding(sqlite_engine, keys, ben)

    tell_due(sqlite_engine, keys, book, [mail], scene.links(), scene.NOON)

    assert [message.to for message in mail.sent].count("ben@example.org") == 1


def test_sms_stop_at_the_spend_cap_of_everybody_together(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    people = [scene.subject(sqlite_engine, keys) for _ in range(5)]
    book, sms = scene.book(people[0]), scene.spool("sms")
    book.contacts.update(dict.fromkeys(people, scene.ANA))
    for one in people:
        scene.finding(sqlite_engine, keys, one)

    def tell(hours: float) -> Told:
        now = scene.NOON + timedelta(hours=hours)
        return tell_due(sqlite_engine, keys, book, [sms], scene.links(), now, limits=Policy(sms_per_day=3))

    assert (tell(0).sent, tell(12).sent) == (3, 0)
    assert tell(26).sent == 2


def test_pressing_for_fresh_links_sends_at_most_one_an_hour(tmp_path: Path) -> None:
    visitor = Visitor.at(tmp_path / "home")
    link = link_in(visitor.message())

    for _ in range(50):
        visitor.browser.post(f"{link}/again")

    # Two where the hour struck in between.
    assert len(visitor.told()) <= 2
    with reading(visitor.engine) as session:
        latest = session.exec(select(func.max(Alert.next_at))).one()
    assert latest <= utc_now()
    visitor.browser.close()
    visitor.engine.dispose()
