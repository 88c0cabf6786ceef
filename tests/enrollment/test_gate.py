"""Before what was found: her own session, a second factor, the right time; and nobody but whom she let."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from alerts import incidents
from alerts.interfaces import Contact
from alerts.outbox import Told, tell_due
from alerts.tables import Incident
from enrollment import sessions
from enrollment.contacts import EnrolledContacts
from enrollment.standing import Standing
from enrollment.tables import Account, Delegate, Passkey, Subject
from monitor.db import reading, utc_now, writing
from monitor.errors import NotFound, SubjectErased
from monitor.tables import AuditEvent
from monitor.values import Band, SubjectId
from tests.alerts import scene
from tests.alerts.visitor import link_in
from tests.enrollment.applicant import ANA, URL, Town

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from fastapi.testclient import TestClient
    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys

BEN = "ben@example.org"


class Street(Town):
    """People with accounts, and what was found of them."""

    def becomes(self, email: str = ANA, standing: Standing = Standing.ACTIVE, **account: object) -> SubjectId:
        """Set where somebody stands."""
        subject_id = self.subject(email)
        with writing(self.engine) as session:
            session.get_one(Subject, subject_id).status = standing
            row = session.get_one(Account, subject_id)
            for name, value in {"told_from": utc_now() - timedelta(days=1), **account}.items():
                setattr(row, name, value)
        return subject_id

    def shows_second(self, browser: TestClient) -> None:
        """Let the browser's person have shown a second factor."""
        with writing(self.engine) as session:
            person = sessions.person_of(session, browser.cookies["session"], utc_now())
            sessions.show_second(session, person, utc_now())
            if session.get(Passkey, f"key-of-{person.subject_id}") is None:
                row = Passkey(
                    id=f"key-of-{person.subject_id}",
                    subject_id=person.subject_id,
                    public_key=b"x",
                    name="Phone",
                )
                session.add(row)

    def tell(self, now: datetime | None = None) -> Told:
        """Run the outbox once, with the real address book."""
        book = EnrolledContacts(self.engine, self.keys, Contact)
        links = scene.links(scene.Clock(utc_now()), URL)
        return tell_due(self.engine, self.keys, book, [self.mail], links, now or utc_now())

    def found(self, number: int = 1, email: str = ANA, **how: object) -> str:
        """Find somebody in something, and give the path of its page."""
        finding = scene.finding(
            self.engine, self.keys, self.subject(email), marks=(scene.mark(number),), **how
        )
        book = EnrolledContacts(self.engine, self.keys, Contact)
        tell_due(self.engine, self.keys, book, [], scene.links(scene.Clock(utc_now()), URL), utc_now())
        query = select(incidents.IncidentFinding.incident_id)
        with reading(self.engine) as session:
            found = session.exec(query.where(incidents.IncidentFinding.finding_id == finding)).one()
        return f"/sightings/{found}"


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    street = Street.at(tmp_path / "home")
    yield street
    street.close()


@pytest.fixture
def ana(street: Street) -> TestClient:
    browser = street.signed_in()
    street.becomes()
    street.shows_second(browser)
    return browser


def test_signed_in_with_a_second_factor_she_sees_the_list_and_each_page(
    street: Street, ana: TestClient
) -> None:
    path = street.found(url="https://pictures.example/a.jpg")

    listed = ana.get("/sightings")
    assert listed.status_code == 200
    assert f'href="{path}"' in listed.text
    assert "pictures.example" in listed.text
    page = ana.get(path)
    assert (page.status_code, "This is not me" in page.text) == (200, True)
    with reading(street.engine) as session:
        done = [row.action for row in session.exec(select(AuditEvent))]
    assert {"sighting.list", "sighting.open"} <= set(done)


def test_without_a_second_factor_she_is_asked_for_it_and_led_back(street: Street, ana: TestClient) -> None:
    path = street.found()
    other = street.signed_in()
    for page in ("/sightings", path, f"{path}/not-me"):
        answer = other.get(page)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/account/second?then={page}")
    assert other.post(f"{path}/not-me").status_code == 303
    with reading(street.engine) as session:
        assert session.exec(select(Incident.state)).one() == "open"
    assert ana.get(path).status_code == 200


def test_who_is_not_signed_in_is_led_to_where_one_signs_in(street: Street, ana: TestClient) -> None:
    del ana
    path = street.found()
    stranger = street.browser()
    assert stranger.get(path).headers["location"] == "/enrol"
    assert stranger.get("/sightings").headers["location"] == "/enrol"
    assert stranger.get(f"{path}/faces/x", headers={"accept": "image/avif"}).status_code == 401


def test_the_link_of_a_message_alone_opens_nothing_of_hers(street: Street, ana: TestClient) -> None:
    street.found()
    assert street.tell().sent == 1
    link = link_in(street.mail.sent[-1])
    thief = street.browser()

    answer = thief.post(link)

    assert answer.status_code == 303
    assert thief.get(answer.headers["location"]).headers["location"] == "/enrol"
    assert ana.get(answer.headers["location"]).status_code == 200


def test_somebody_else_who_is_signed_in_sees_nothing_of_hers(street: Street, ana: TestClient) -> None:
    del ana
    path = street.found()
    ben = street.signed_in(BEN)
    street.becomes(BEN)
    street.shows_second(ben)
    assert ben.get(path).status_code == 404
    assert path not in ben.get("/sightings").text


def _let_see(street: Street, state: str = "active") -> None:
    with writing(street.engine) as session:
        session.add(
            Delegate(
                id="d1",
                subject_id=street.subject(),
                email_lookup=street.lookups.email(BEN),
                delegate_id=street.subject(BEN),
                sealed=b"x",
                state=state,
            )
        )


def test_a_delegate_sees_what_she_sees_and_changes_nothing(street: Street, ana: TestClient) -> None:
    path = street.found()
    ben = street.signed_in(BEN)
    _let_see(street)
    assert ben.get(path).headers["location"].startswith("/account/second"), "with a second factor of his own"
    street.shows_second(ben)

    assert path in ben.get("/sightings").text
    page = ben.get(path)
    assert (page.status_code, "This is not me" in page.text) == (200, False)
    assert ben.get(f"{path}/not-me").status_code == 404
    assert ben.post(f"{path}/not-me").status_code == 404
    with reading(street.engine) as session:
        actors = {row.actor for row in session.exec(select(AuditEvent)) if row.action == "sighting.open"}
        row = session.get_one(Delegate, "d1")
    assert actors == {f"delegate:{street.subject(BEN)}"}

    with writing(street.engine) as session:
        session.get_one(Delegate, row.id).state = "ended"
    assert ben.get(path).status_code == 404, "ended is ended at once"
    assert ana.get(path).status_code == 200


@pytest.mark.parametrize("state", ["invited", "declined", "ended"])
def test_who_is_no_delegate_yet_or_any_more_sees_nothing(street: Street, ana: TestClient, state: str) -> None:
    del ana
    path = street.found()
    ben = street.signed_in(BEN)
    _let_see(street, state)
    street.shows_second(ben)
    assert ben.get(path).status_code == 404
    assert path not in ben.get("/sightings").text


@pytest.mark.parametrize(
    ("standing", "hours", "shown"),
    [
        (Standing.ACTIVE, -1, True),
        (Standing.PAUSED, -1, True),
        (Standing.LAPSED, -1, False),
        (Standing.HELD, -1, False),
        (Standing.STARTING, -1, False),
        (Standing.NEW, -1, False),
        (Standing.ACTIVE, 1, False),
        (Standing.HELD, 1, False),
        (Standing.PAUSED, 1, False),
    ],
)
def test_nothing_is_shown_before_its_time(
    street: Street, ana: TestClient, standing: Standing, hours: int, shown: object
) -> None:
    path = street.found()
    street.becomes(standing=standing, told_from=utc_now() + timedelta(hours=hours))

    answer = ana.get(path)

    assert answer.status_code == (200 if shown else 303)
    if not shown:
        assert answer.headers["location"] == "/account"
    assert (path in ana.get("/sightings").text) == shown


def test_what_waits_for_an_operator_is_not_in_her_list(street: Street, ana: TestClient) -> None:
    path = street.found(band=Band.REVIEW)
    assert path not in ana.get("/sightings").text
    assert ana.get(path).status_code == 404


def test_closing_the_page_asks_for_the_second_factor_again(street: Street, ana: TestClient) -> None:
    path = street.found()
    assert "This page is closed" in ana.post(f"{path}/close").text
    assert ana.get(path).headers["location"] == f"/account/second?then={path}"


def test_a_long_list_comes_in_pages_newest_first(street: Street, ana: TestClient) -> None:
    paths = [street.found(number) for number in range(23)]
    with writing(street.engine) as session:
        for at, path in enumerate(paths):
            session.get_one(Incident, path.rpartition("/")[2]).opened_at = scene.NOON + timedelta(hours=at)

    first, second = (ana.get(f"/sightings?page={page}").text for page in (1, 2))

    shown = [path for path in reversed(paths) if path in first]
    assert shown == paths[:2:-1]
    assert [first.index(one) for one in shown] == sorted(first.index(one) for one in shown)
    assert "Older ones" in first
    assert all(path in second for path in paths[:3])
    assert "Older ones" not in second
    assert "nothing more" in ana.get("/sightings?page=3").text


@pytest.mark.parametrize(
    ("standing", "told_from", "told"),
    [
        (Standing.ACTIVE, scene.NOON, scene.NOON),
        (Standing.PAUSED, scene.NOON, None),
        (Standing.LAPSED, scene.NOON, None),
        (Standing.HELD, scene.NOON, None),
        (Standing.NEW, None, None),
    ],
)
def test_from_when_on_somebody_is_told(
    street: Street, standing: Standing, told_from: datetime | None, told: datetime | None
) -> None:
    street.signed_in()
    who = street.becomes(standing=standing, told_from=told_from)
    assert EnrolledContacts(street.engine, street.keys, Contact).told_from(who) == told


def test_whoever_an_operator_enrolled_is_told_at_once_and_needs_no_sign_in(street: Street) -> None:
    street.signed_in()
    who = street.becomes()
    with writing(street.engine) as session:
        session.delete(session.get_one(Account, who))
        since = session.get_one(Subject, who).created_at
    book = EnrolledContacts(street.engine, street.keys, Contact)
    assert book.told_from(who) == since
    scene.finding(street.engine, street.keys, who)
    assert street.tell(utc_now() + timedelta(seconds=1)).sent == 1

    browser = street.browser()
    answer = browser.post(link_in(street.mail.sent[-1]))
    assert browser.get(answer.headers["location"]).status_code == 200


def test_nobody_and_the_erased_are_not_told(sqlite_engine: Engine, keys: KeyEncryptionKeys) -> None:
    book = EnrolledContacts(sqlite_engine, keys, Contact)
    with pytest.raises((NotFound, SubjectErased)):
        book.told_from(SubjectId("nobody"))


def test_in_the_cooling_off_nothing_is_sent_and_then_everything(street: Street) -> None:
    street.signed_in()
    told_from = utc_now() + timedelta(hours=72)
    who = street.becomes(told_from=told_from)
    for number in range(2):
        scene.finding(street.engine, street.keys, who, marks=(scene.mark(number),))

    assert street.tell() == Told(incidents=2)
    street.becomes(standing=Standing.PAUSED, told_from=told_from)
    assert street.tell(told_from) == Told()
    street.becomes(told_from=told_from)
    assert street.tell(told_from) == Told(sent=2)
