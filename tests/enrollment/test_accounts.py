"""The way in by e-mail: once, for a short time, from anywhere, and without a word about who is known."""

from __future__ import annotations

import base64
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlmodel import func, select

from enrollment import tokens
from enrollment.accounts import AGAIN_FOR, LINK_LASTS, Accounts, Entered, forget_used
from enrollment.lookups import Lookups
from enrollment.standing import Standing
from enrollment.subjects import profile_of
from enrollment.tables import Account, Letter, LoginUse, Subject, WebSession
from monitor.db import reading, writing
from monitor.errors import ContactInvalid, EnrolmentClosed, LinkInvalid, LinkTooOld, LinkUsed
from tests.alerts import scene
from tests.enrollment.applicant import ANA, Town, link_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys

NOON = datetime(2026, 5, 3, 12, 0, tzinfo=UTC)
SECRET = "a-secret-that-only-the-tests-know-of-0123"


def _accounts(engine: Engine, keys: KeyEncryptionKeys, *, is_open: bool = True) -> Accounts:
    clock = scene.Clock(NOON)
    return Accounts(engine, keys, Lookups(engine, keys), SECRET, "https://watch.example", is_open, clock)


@pytest.fixture
def accounts(engine: Engine, keys: KeyEncryptionKeys) -> Accounts:
    return _accounts(engine, keys)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town.at(tmp_path / "home")
    yield town
    town.close()


def _token(accounts: Accounts, email: str = ANA, **how: object) -> str:
    return accounts.url(email, **{"lasts": LINK_LASTS, **how}).rpartition("/")[2]


def _count(accounts: Accounts, table: type) -> int:
    with reading(accounts.engine) as session:
        return session.exec(select(func.count()).select_from(table)).one()


def test_the_first_link_begins_an_account_and_later_ones_lead_back_to_it(accounts: Accounts) -> None:
    first = accounts.enter(_token(accounts), "Firefox on Linux")
    again = accounts.enter(_token(accounts, "ANA@Example.org"), "Safari on iPhone")

    assert first.subject_id == again.subject_id
    assert first.cookie != again.cookie
    with reading(accounts.engine) as session:
        assert session.get_one(Subject, first.subject_id).status == Standing.NEW
        profile = profile_of(session, accounts.keks, first.subject_id)
        browsers = {row.browser for row in session.exec(select(WebSession))}
    assert (profile.name, profile.email) == ("", ANA)
    assert browsers == {"Firefox on Linux", "Safari on iPhone"}


def test_a_link_opens_once_and_for_a_short_time(accounts: Accounts) -> None:
    used, old = _token(accounts), _token(accounts)
    accounts.enter(used, "")
    with pytest.raises(LinkUsed):
        accounts.enter(used, "")

    accounts.now.now = NOON + LINK_LASTS
    with pytest.raises(LinkTooOld):
        accounts.enter(old, "")
    assert accounts.read(old).email == ANA, "it still asks for a fresh one"
    accounts.now.now += AGAIN_FOR
    with pytest.raises(LinkTooOld):
        accounts.read(old)
    with writing(accounts.engine) as session:
        forget_used(session, accounts.now())
    assert _count(accounts, LoginUse) == 0


def test_the_same_link_pressed_by_many_at_once_opens_for_one(accounts: Accounts) -> None:
    token, came = _token(accounts), []

    def press() -> None:
        try:
            came.append(accounts.enter(token, ""))
        except LinkUsed as exc:
            came.append(exc)

    threads = [threading.Thread(target=press) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(isinstance(one, Entered) for one in came) == 1
    assert sum(isinstance(one, LinkUsed) for one in came) == 5


def test_two_links_of_a_new_address_at_once_begin_one_account(accounts: Accounts) -> None:
    links, came = [_token(accounts) for _ in range(4)], []
    threads = [threading.Thread(target=lambda one=one: came.append(accounts.enter(one, ""))) for one in links]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({one.subject_id for one in came}) == 1
    assert (len(came), _count(accounts, Account)) == (4, 1)


def test_nothing_of_an_address_can_be_read_in_its_link_nor_in_the_database(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    accounts = _accounts(sqlite_engine, keys)
    token = _token(accounts)
    plain = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert b"ana" not in plain
    assert b"example" not in plain
    assert len(token) == len(_token(accounts, "somebody-with-a-much-longer-name@long.example.org"))

    accounts.ask(ANA, "198.51.100.0/24")
    with reading(sqlite_engine) as session:
        connection = session.connection()
        names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars()
        rows = [repr(connection.exec_driver_sql(f'SELECT * FROM "{one}"').all()) for one in list(names)]  # noqa: S608
    for word in (ANA, "ana@", "example.org", "198.51.100"):
        assert word not in "".join(rows)
    assert (_count(accounts, Account), _count(accounts, Subject)) == (0, 0)


@pytest.mark.parametrize("change", [0, 5, 40, 200, -1])
def test_a_link_that_was_changed_opens_nothing(
    sqlite_engine: Engine, keys: KeyEncryptionKeys, change: int
) -> None:
    accounts = _accounts(sqlite_engine, keys)
    token = _token(accounts)
    at = change % len(token)
    forged = token[:at] + ("A" if token[at] != "A" else "g") + token[at + 1 :]
    for wrong in (forged, token[:-8], "", "x", "é" * 8, "A" * 100_000, tokens.made(SECRET, "passkey", {})):
        with pytest.raises(LinkInvalid):
            accounts.enter(wrong, "")
    with pytest.raises(LinkInvalid):
        _accounts(sqlite_engine, keys).read(tokens.made("another" * 8, "enter", {}))


@pytest.mark.parametrize("typed", ["", "  ", "ana", "ana@", "@example.org", "ana@example", "a@b@c.org"])
def test_what_is_no_address_is_said_to_be_none(
    sqlite_engine: Engine, keys: KeyEncryptionKeys, typed: str
) -> None:
    with pytest.raises(ContactInvalid):
        _accounts(sqlite_engine, keys).ask(typed, "n")


def test_one_mailbox_is_not_flooded_and_nobody_is_told_so(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    accounts = _accounts(sqlite_engine, keys)
    for number in range(40):
        accounts.ask(ANA if number % 2 else "Ana@EXAMPLE.org", f"198.51.{number}.0/24")
    assert _count(accounts, Letter) == 5


def test_one_network_does_not_write_to_the_whole_world(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    accounts = _accounts(sqlite_engine, keys)
    for number in range(80):
        accounts.ask(f"person{number}@example.org", "198.51.100.0/24")
    assert _count(accounts, Letter) == 60


def test_where_only_the_operator_enrols_nobody_begins_and_those_who_are_known_come_in(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    known = _accounts(sqlite_engine, keys).enter(_token(_accounts(sqlite_engine, keys)), "").subject_id
    closed = _accounts(sqlite_engine, keys, is_open=False)

    assert closed.enter(_token(closed), "").subject_id == known
    with pytest.raises(EnrolmentClosed):
        closed.enter(_token(closed, "new@example.org"), "")
    invited = closed.enter(_token(closed, "new@example.org", invited=True, then="/account/x"), "")
    assert (invited.subject_id != known, invited.then) == (True, "/account/x")


def test_from_the_first_page_to_the_first_step(town: Town) -> None:
    browser = town.browser()
    page = browser.get("/enrol")
    assert page.status_code == 200
    assert "Leave this page now" in page.text

    link = town.link(browser)
    door = browser.get(link)
    assert door.status_code == 200
    assert "set-cookie" not in door.headers
    answer = browser.post(link)

    assert (answer.status_code, answer.headers["location"]) == (303, "/enrol/you")
    assert browser.get("/enrol").headers["location"] == "/enrol/you"


def test_a_link_opened_on_another_device_signs_in_there(town: Town) -> None:
    laptop, phone = town.browser(), town.browser()
    link = town.link(laptop)

    assert phone.post(link).status_code == 303
    assert laptop.get("/enrol").status_code == 200, "the laptop stays out"
    gone = laptop.post(link)
    assert gone.status_code == 410
    assert "used already" in gone.text

    laptop.post(f"{link}/again")
    [message] = town.delivered()
    assert laptop.post(link_in(message)).status_code == 303


def test_a_link_pressed_twice_in_one_browser_just_goes_on(town: Town) -> None:
    browser = town.browser()
    link = town.link(browser)
    assert [browser.post(link).headers["location"] for _ in range(3)] == ["/enrol/you"] * 3


def test_a_link_that_is_too_old_says_so_and_offers_a_fresh_one(town: Town) -> None:
    browser = town.browser()
    accounts = Accounts(town.engine, town.keys, town.lookups, scene.SECRET, "http://testserver", is_open=True)
    old = accounts.url(ANA, lasts=-timedelta(minutes=1)).removeprefix("http://testserver")

    answer = browser.post(old)

    assert answer.status_code == 410
    assert "too old" in answer.text
    assert f'action="{old}/again"' in answer.text


def test_a_broken_link_asks_to_be_copied_whole(town: Town) -> None:
    answer = town.browser().post("/enter/broken")
    assert answer.status_code == 410
    assert "whole link was copied" in answer.text


def test_an_address_that_is_none_is_said_beside_the_field(town: Town) -> None:
    answer = town.browser().post("/enrol", data={"email": "ana@"})
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert 'value="ana@"' in answer.text


def test_the_home_page_leads_here_where_it_is_open(town: Town, tmp_path: Path) -> None:
    assert 'href="/enrol"' in town.browser().get("/").text
    closed = Town.at(tmp_path / "closed", enrolment="closed")
    assert 'href="/enrol"' not in closed.browser().get("/").text
    assert "Come back in" in closed.browser().get("/enrol").text
    closed.close()


def test_where_it_is_closed_the_letter_says_that_nothing_can_be_started(tmp_path: Path) -> None:
    town = Town.at(tmp_path / "home", enrolment="closed")
    answer = town.browser().post("/enrol", data={"email": ANA})
    assert (answer.status_code, answer.headers["location"]) == (303, "/enrol/sent")
    [message] = town.delivered()
    assert "Nothing can be started there" in message.text
    assert "/enter/" not in message.text
    town.close()
