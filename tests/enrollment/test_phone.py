"""A phone number in every spelling, proved by a code: few tries, a short time, and nothing in the clear."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from alerts.interfaces import Message
from enrollment import letters, subjects
from enrollment.codes import MOST_TRIES, Answer, Codes
from enrollment.lookups import Lookups
from enrollment.phone import CODE_LASTS, Phones, confirmed, country_names, masked, number_of
from enrollment.profiles import Profile
from enrollment.sessions import Person
from enrollment.standing import Standing
from enrollment.tables import Account, OneTimeCode
from monitor.db import reading, writing
from monitor.errors import ContactInvalid, NotFound
from monitor.values import SubjectId
from tests.alerts import scene
from tests.enrollment.applicant import Town

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys

NOON = datetime(2026, 5, 3, 12, 0, tzinfo=UTC)
NUMBER = "+491701234567"
GERMANY = frozenset({"DE", "US"})


class Desk:
    """Somebody with an account, a telephone, and what sends codes to it."""

    def __init__(self, engine: Engine, keys: KeyEncryptionKeys, **how: object) -> None:
        self.engine, self.keys, self.clock = engine, keys, scene.Clock(NOON)
        self.lookups = Lookups(engine, keys)
        self.codes = Codes(keys, self.lookups)
        self.sms, self.ana = scene.spool("sms"), self.person("ana@example.org")
        self.phones = Phones(
            **{
                "engine": engine,
                "codes": self.codes,
                "countries": GERMANY,
                "sms_per_day": 200,
                "sms_elsewhere": lambda _session, _now: 0,
                "now": self.clock,
                **how,
            }
        )

    def person(self, email: str) -> Person:
        """Make somebody with an account."""
        subject_id, lookup = SubjectId(f"{abs(hash(email)):032x}"), self.lookups.email(email)
        with writing(self.engine) as session:
            profile = Profile("Ana", email)
            subjects.create(session, self.keys, subject_id, profile, standing=Standing.NEW)
            session.add(Account(subject_id=subject_id, email_lookup=lookup))
        return Person(subject_id, "session", second=False)

    def code(self) -> str:
        """Let the worker send, and read the code off the telephone."""
        carriers = letters.Carriers((self.sms,), Message, 200, lambda _session, _now: 0)
        letters.send_due(self.engine, self.keys, carriers, self.clock())
        return self.sms.sent[-1].text.split()[1].rstrip(".")


@pytest.fixture
def desk(engine: Engine, keys: KeyEncryptionKeys) -> Desk:
    return Desk(engine, keys)


@pytest.fixture
def small(sqlite_engine: Engine, keys: KeyEncryptionKeys) -> Desk:
    return Desk(sqlite_engine, keys)


@pytest.mark.parametrize(
    "typed",
    [
        "+49 170 1234567",
        "0049 170 1234567",
        "0170 1234567",
        "0170/123 45-67",
        "(0170) 1234567",
        "+49 (0) 170 1234567",
        "+49.170.1234567",
        "tel:+49-170-1234567",
        "49 170 1234567",
        "170 1234567",
        " +49\u00a0170\u00a01234567 ",
        "\u202a+49 170 1234567\u202c",
        "＋４９　１７０　１２３４５６７",  # noqa: RUF001 - as a Japanese keyboard writes it
        "٠١٧٠١٢٣٤٥٦٧",
    ],
)
def test_one_number_in_ten_spellings_and_more(typed: str) -> None:
    assert number_of(typed, "DE", GERMANY) == NUMBER


@pytest.mark.parametrize(
    ("typed", "country", "why"),
    [
        ("", "DE", "no telephone number"),
        ("hello", "DE", "no telephone number"),
        ("🦊", "DE", "no telephone number"),
        ("0170 1", "DE", "no telephone number"),
        ("0170 1234567", "", "no telephone number"),
        ("0170 1234567", "nowhere", "no telephone number"),
        ("+49 30 123456", "DE", "mobile numbers only"),
        ("+49 900 1 123456", "DE", "mobile numbers only"),
        ("+44 7400 123456", "DE", "this country"),
        ("+881 6 31234567", "DE", "this country|mobile numbers only|no telephone"),
        ("1" * 100_000, "DE", "no telephone number"),
    ],
)
def test_where_no_code_can_go_the_person_reads_why(typed: str, country: str, why: str) -> None:
    with pytest.raises(ContactInvalid, match=why) as told:
        number_of(typed, country, GERMANY)
    assert told.value.hint


def test_a_number_is_the_persons_once_its_code_came_back(desk: Desk) -> None:
    desk.phones.ask(desk.ana, "0170 1234567", "DE", "n")
    with reading(desk.engine) as session:
        assert confirmed(session, desk.codes, desk.ana.subject_id) == ""
        [row] = session.exec(select(OneTimeCode)).all()
    code = desk.code()
    assert desk.sms.sent[0].to == NUMBER
    assert desk.sms.sent[0].subject == ""
    assert desk.phones.awaited(desk.ana) == NUMBER
    assert code not in repr(row)
    assert b"170" not in row.sealed

    assert desk.phones.confirm(desk.ana, f" {code[:3]} {code[3:]} ") is Answer.RIGHT
    with reading(desk.engine) as session:
        assert confirmed(session, desk.codes, desk.ana.subject_id) == NUMBER
        assert session.get_one(Account, desk.ana.subject_id).phone_at == NOON
    assert desk.phones.confirm(desk.ana, code) is Answer.TOO_LATE, "a code is good once"
    assert desk.phones.awaited(desk.ana) == ""


def test_after_five_wrong_guesses_the_right_one_is_wrong_too(desk: Desk) -> None:
    desk.phones.ask(desk.ana, NUMBER, "DE", "n")
    code = desk.code()
    wrong = f"{(int(code) + 1) % 10**6:06d}"

    said = [desk.phones.confirm(desk.ana, wrong) for _ in range(MOST_TRIES)]

    assert set(said) == {Answer.WRONG}
    assert desk.phones.confirm(desk.ana, code) is Answer.TOO_MANY
    desk.phones.ask(desk.ana, NUMBER, "DE", "n")
    assert desk.phones.confirm(desk.ana, desk.code()) is Answer.RIGHT, "a fresh code starts anew"


def test_a_code_is_too_late_after_ten_minutes(small: Desk) -> None:
    small.phones.ask(small.ana, NUMBER, "DE", "n")
    code = small.code()
    small.clock.now = NOON + CODE_LASTS
    assert small.phones.confirm(small.ana, code) is Answer.TOO_LATE


def test_a_code_of_one_person_is_nobody_elses(small: Desk) -> None:
    ben = small.person("ben@example.org")
    small.phones.ask(small.ana, NUMBER, "DE", "n")
    code = small.code()
    assert small.phones.confirm(ben, code) is Answer.TOO_LATE


def test_a_second_factor_goes_to_the_known_number_and_is_no_new_number(small: Desk) -> None:
    with pytest.raises(NotFound):
        small.phones.ask_second(small.ana, "n")
    small.phones.ask(small.ana, NUMBER, "DE", "n")
    small.phones.confirm(small.ana, small.code())

    small.phones.ask_second(small.ana, "n")
    code = small.code()
    assert small.phones.confirm(small.ana, code) is Answer.TOO_LATE
    assert small.phones.confirm_second(small.ana, code) is Answer.RIGHT
    assert small.phones.confirm_second(small.ana, code) is Answer.TOO_LATE


def test_a_number_that_is_removed_is_gone(small: Desk) -> None:
    small.phones.ask(small.ana, NUMBER, "DE", "n")
    small.phones.confirm(small.ana, small.code())
    with writing(small.engine) as session:
        small.phones.remove(session, small.ana.subject_id)
    with reading(small.engine) as session:
        assert subjects.profile_of(session, small.keys, small.ana.subject_id).phone == ""
        assert confirmed(session, small.codes, small.ana.subject_id) == ""


def test_a_code_that_is_too_old_is_not_sent_late(small: Desk) -> None:
    small.phones.ask(small.ana, NUMBER, "DE", "n")
    small.clock.now = NOON + timedelta(minutes=11)
    with pytest.raises(IndexError):
        small.code()


def test_what_is_shown_of_countries_and_numbers() -> None:
    assert country_names(GERMANY) == [("DE", "Germany (+49)"), ("US", "United States (+1)")]
    assert masked(NUMBER) == "+49 … 67"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town.at(tmp_path / "home", twilio_account="AC1", twilio_token="t", twilio_from="+15005550006")
    yield town
    town.close()


def _code_in(town: Town) -> str:
    town.delivered()
    return town.sms.sent[-1].text.split()[1].rstrip(".")


def test_by_the_pages_from_a_mistyped_number_to_a_second_factor(town: Town) -> None:
    browser = town.signed_in()
    assert browser.get("/enrol/safety").headers["location"] == "/enrol/you", "not before its turn"
    page = browser.get("/account/security").text
    assert "Germany (+49)" in page
    assert "/static/passkey.js" in page

    wrong = browser.post("/account/phone", data={"number": "0170 1", "country": "DE"})
    assert wrong.status_code == 422
    assert "no telephone number that can exist" in wrong.text
    assert 'value="0170 1"' in wrong.text, "what was typed is still there"
    answer = browser.post("/account/phone", data={"number": "(0170) 123-4567", "country": "DE"})
    assert answer.headers["location"] == "/account/phone/code?then=/account/security"
    assert NUMBER in browser.get(answer.headers["location"]).text

    code = _code_in(town)
    other = f"{(int(code) + 1) % 10**6:06d}"
    again = browser.post("/account/phone/code", data={"code": other})
    assert "That is not the code" in browser.get(again.headers["location"]).text
    assert browser.post("/account/phone/code", data={"code": code}).headers["location"] == "/account/security"

    page = browser.get("/account/security").text
    assert "+49 … 67" in page
    assert NUMBER not in page
    [letter] = town.delivered()
    assert "A telephone number was added" in letter.text

    laptop = town.signed_in()
    asked = laptop.post("/account/second/send", data={"then": "/account/security"})
    page = laptop.get(asked.headers["location"]).text
    assert "Code from the text message to +49 … 67" in page
    form = {"code": _code_in(town), "then": "/account/security"}
    assert laptop.post("/account/second/code", data=form).headers["location"] == "/account/security"
    assert laptop.get("/account/second?then=/account").headers["location"] == "/account"
    assert laptop.post("/account/phone/remove").headers["location"] == "/account/security?fault=last"


def test_who_asks_too_often_reads_what_else_there_is(town: Town) -> None:
    browser = town.signed_in()
    form = {"number": "0170 1234567", "country": "DE"}
    answers = [browser.post("/account/phone", data=form) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [303, 303, 303, 422]
    assert "Too many codes were asked for" in answers[-1].text
