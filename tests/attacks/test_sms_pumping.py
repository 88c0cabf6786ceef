"""Somebody earns on text messages that we are made to send, or makes another person's telephone ring."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlmodel import func, select

from alerts import policy
from alerts.outbox import tell_due
from alerts.policy import Policy
from enrollment import letters
from enrollment.tables import Letter
from monitor.db import reading
from monitor.errors import ContactInvalid, TooOften
from tests.alerts import scene
from tests.enrollment.test_phone import NOON, NUMBER, Desk

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys


@pytest.fixture
def desk(sqlite_engine: Engine, keys: KeyEncryptionKeys) -> Desk:
    return Desk(sqlite_engine, keys)


def _written(desk: Desk) -> int:
    with reading(desk.engine) as session:
        return session.exec(select(func.count()).select_from(Letter)).one()


def _mobile(number: int) -> str:
    return f"+49170{2000000 + number}"


@pytest.mark.parametrize(
    "typed", ["+49 900 1 123456", "+49 137 1234567", "+49 30 123456", "+882 16 12345678"]
)
def test_numbers_that_pay_whoever_owns_them_get_nothing(desk: Desk, typed: str) -> None:
    with pytest.raises(ContactInvalid):
        desk.phones.ask(desk.ana, typed, "DE", "n")
    assert _written(desk) == 0


@pytest.mark.parametrize("typed", ["+7 912 345 67 89", "+992 917 12 34 56", "+94 71 234 5678"])
def test_countries_that_the_operator_did_not_name_get_nothing(desk: Desk, typed: str) -> None:
    with pytest.raises(ContactInvalid):
        desk.phones.ask(desk.ana, typed, "DE", "n")
    assert _written(desk) == 0


def test_where_no_country_is_named_nothing_is_sent_at_all(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    desk = Desk(sqlite_engine, keys, countries=frozenset())
    with pytest.raises(ContactInvalid):
        desk.phones.ask(desk.ana, NUMBER, "DE", "n")
    assert _written(desk) == 0


def _press(
    desk: Desk, times: int, *, person: object = None, number: object = None, network: object = None
) -> int:
    """Ask so often in one hour, each time as another person, number and network unless one is held fixed."""
    sent = 0
    for at in range(times):
        who = person or desk.person(f"somebody{at}@example.org")
        try:
            desk.phones.ask(who, number or _mobile(at), "DE", network or f"198.51.{at}.0/24")
        except TooOften:
            continue
        sent += 1
    assert _written(desk) == sent
    return sent


def test_one_account_gets_three_an_hour_whatever_it_changes(desk: Desk) -> None:
    assert _press(desk, 30, person=desk.ana) == 3


def test_one_number_rings_four_times_a_day_whoever_asks(desk: Desk) -> None:
    assert _press(desk, 30, number=NUMBER) == 4


def test_one_network_sends_six_an_hour_however_many_accounts_it_makes(desk: Desk) -> None:
    assert _press(desk, 30, network="198.51.100.0/24") == 6


def test_all_together_stop_at_the_spend_cap_before_anything_is_written(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    desk = Desk(sqlite_engine, keys, sms_per_day=10, sms_elsewhere=lambda _session, _now: 4)
    assert _press(desk, 30) == 6


def test_alerts_and_codes_share_one_cap(sqlite_engine: Engine, keys: KeyEncryptionKeys) -> None:
    desk = Desk(sqlite_engine, keys)
    for at in range(3):
        desk.phones.ask(desk.person(f"p{at}@example.org"), _mobile(at), "DE", f"198.51.{at}.0/24")
        desk.code()
    subject, book, sms = scene.subject(sqlite_engine, keys), None, scene.spool("sms")
    book = scene.book(subject)
    for number in range(4):
        scene.finding(sqlite_engine, keys, subject, marks=(scene.mark(number),))
    limits = Policy(sms_per_day=5, sms_elsewhere=letters.sms_of_a_day)

    told = tell_due(sqlite_engine, keys, book, [sms], scene.links(), NOON, limits=limits)

    assert (told.sent, told.later) == (2, 2)
    with reading(sqlite_engine) as session:
        assert policy.sms_of_a_day(session, NOON) == 2
        assert letters.sms_of_a_day(session, NOON) == 3
    later = NOON + timedelta(hours=25)
    assert tell_due(sqlite_engine, keys, book, [sms], scene.links(), later, limits=limits).sent == 2
