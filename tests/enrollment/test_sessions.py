"""Browsers that are signed in: listed, ended one by one or together, and over after a while."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from enrollment import sessions
from enrollment.sessions import IDLE, LONGEST, SECOND_LASTS
from enrollment.tables import WebSession
from monitor.db import reading, writing
from tests.alerts import scene
from tests.enrollment.applicant import Town

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from enrollment.sessions import Person
    from monitor.crypto import KeyEncryptionKeys
    from monitor.values import SubjectId

NOON = datetime(2026, 5, 3, 12, 0, tzinfo=UTC)
FIREFOX = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town.at(tmp_path / "home")
    yield town
    town.close()


@pytest.fixture
def ana(engine: Engine, keys: KeyEncryptionKeys) -> SubjectId:
    return scene.subject(engine, keys)


def _begin(engine: Engine, who: SubjectId, browser: str = "Firefox on Linux") -> str:
    with writing(engine) as session:
        return sessions.begin(session, who, browser, NOON)


def _person(engine: Engine, cookie: str, now: datetime = NOON) -> Person | None:
    with reading(engine) as session:
        return sessions.person_of(session, cookie, now)


def test_a_cookie_is_somebody_and_the_table_holds_no_cookie(engine: Engine, ana: SubjectId) -> None:
    cookie = _begin(engine, ana)
    assert _person(engine, cookie).subject_id == ana
    assert _person(engine, "") is None
    assert _person(engine, cookie + "x") is None
    with reading(engine) as session:
        [row] = session.exec(select(WebSession)).all()
    assert _person(engine, row.id) is None, "the row's own id opens nothing"
    assert cookie not in repr(row)


def test_a_session_ends_without_visits_and_after_a_week_in_any_case(engine: Engine, ana: SubjectId) -> None:
    cookie = _begin(engine, ana)
    assert _person(engine, cookie, NOON + IDLE) is not None
    assert _person(engine, cookie, NOON + IDLE + timedelta(seconds=1)) is None

    now = NOON
    while now < NOON + LONGEST:
        person = _person(engine, cookie, now)
        with writing(engine) as session:
            sessions.note(session, person, now)
        now += timedelta(hours=11)
    assert _person(engine, cookie, NOON + LONGEST) is None
    with writing(engine) as session:
        sessions.forget_ended(session, NOON + LONGEST)
    with reading(engine) as session:
        assert session.exec(select(WebSession)).all() == []


def test_a_second_factor_lasts_for_half_an_hour(engine: Engine, ana: SubjectId) -> None:
    cookie = _begin(engine, ana)
    assert not _person(engine, cookie).second
    with writing(engine) as session:
        sessions.show_second(session, sessions.person_of(session, cookie, NOON), NOON)
    assert _person(engine, cookie, NOON + SECOND_LASTS).second
    assert not _person(engine, cookie, NOON + SECOND_LASTS + timedelta(seconds=1)).second


def test_nobody_ends_a_session_of_somebody_else(
    engine: Engine, keys: KeyEncryptionKeys, ana: SubjectId
) -> None:
    ben = _person(engine, _begin(engine, scene.subject(engine, keys)))
    cookie = _begin(engine, ana)
    with writing(engine) as session:
        sessions.end(session, ben, _person(engine, cookie).session_id)
        sessions.end_others(session, ben)
    assert _person(engine, cookie) is not None


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (FIREFOX, "Firefox on Android"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) Version/18.0 Safari/605.1", "Safari on a Mac"),
        ("curl/8", "A browser"),
        ("<script>alert(1)</script>" * 50, "A browser"),
    ],
)
def test_a_browser_has_a_name_that_people_know(agent: str, name: str) -> None:
    assert sessions.browser_name(agent) == name


def test_the_person_sees_every_browser_and_signs_out_which_they_like(town: Town) -> None:
    phone, laptop = town.signed_in(), town.browser(FIREFOX)
    laptop.post(town.link(laptop))

    page = phone.get("/account/security").text
    assert "Firefox on Android" in page
    assert "Safari on iPhone</span> (this one)" in page

    phone.post("/account/sessions/end-others")
    assert laptop.get("/account/security").status_code == 303
    assert laptop.get("/account/security").headers["location"] == "/enrol"
    assert "Firefox on Android" not in phone.get("/account/security").text


def test_one_of_many_can_be_signed_out(town: Town) -> None:
    phone, laptop = town.signed_in(), town.browser(FIREFOX)
    laptop.post(town.link(laptop))
    with reading(town.engine) as session:
        rows = session.exec(select(WebSession)).all()
    which = next(row.id for row in rows if "Firefox" in row.browser)

    phone.post("/account/sessions/end", data={"which": which})

    assert laptop.get("/account/security").status_code == 303
    assert phone.get("/account/security").status_code == 200


def test_signing_out_takes_the_cookie_back(town: Town) -> None:
    phone = town.signed_in()
    answer = phone.post("/account/sign-out")
    assert answer.headers["location"] == "/"
    assert 'session=""' in answer.headers["set-cookie"]
    assert phone.get("/enrol").status_code == 200


def test_coming_in_again_leaves_one_session_in_one_browser(town: Town) -> None:
    phone = town.signed_in()
    phone.post("/account/sign-out")
    phone.post(town.link(phone))
    link = town.link(phone)
    phone.post(link)
    with reading(town.engine) as session:
        assert len(session.exec(select(WebSession)).all()) == 1
