"""The button: once a day, with a second factor, only where a picture was kept; the worker holds the drill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import select

from enrollment import sessions
from enrollment.drills import drill_due
from monitor.db import reading, writing
from monitor.tables import AuditEvent, Drill, MediaItem
from tests.enrollment.applicant import ANA

if TYPE_CHECKING:
    from tests.enrollment.residents import Residents


def shows_second(town: Residents) -> None:
    cookie = next(one.value for one in town.browsers[ANA].cookies.jar if "session" in one.name)
    with writing(town.town.engine) as session:
        person = sessions.person_of(session, str(cookie), town.clock())
        assert person is not None
        sessions.show_second(session, person, town.clock())


def rows(town: Residents) -> list[Drill]:
    with reading(town.town.engine) as session:
        return list(session.exec(select(Drill)))


def test_it_is_asked_for_once_a_day_by_a_form(town: Residents) -> None:
    who = town.watched()
    browser = town.browsers[ANA]
    for answer in (browser.get("/account/drill"), browser.post("/account/drill")):
        assert answer.headers["location"].startswith("/account/second")
    shows_second(town)
    assert "Send me a test" in browser.get("/account/drill").text
    assert rows(town) == []
    assert browser.post("/account/drill", headers={"origin": "https://evil.example"}).status_code >= 400
    assert rows(town) == []
    assert browser.post("/account/drill").status_code == 303
    assert browser.post("/account/drill").status_code == 429
    (row,) = rows(town)
    assert (row.subject_id, row.path, row.state, row.asked_by) == (who, "door", "asked", "subject")
    with reading(town.town.engine) as session:
        assert "drill.ask" in [one.action for one in session.exec(select(AuditEvent))]


def test_where_no_picture_was_kept_there_is_none(town: Residents) -> None:
    town.watched(keep=False)
    shows_second(town)
    browser = town.browsers[ANA]
    assert "Send me a test" not in browser.get("/account/drill").text
    assert browser.post("/account/drill").status_code == 422
    assert rows(town) == []
    assert drill_due(town.desk) == 0
    with reading(town.town.engine) as session:
        assert session.exec(select(MediaItem)).all() == []
