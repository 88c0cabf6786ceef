"""A delegate who was let in to look tries every button on the person's findings: none does anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlmodel import select

from alerts.tables import Incident
from enrollment.tables import Delegate
from monitor.db import reading, utc_now, writing
from monitor.tables import AuditEvent, Lookalike
from tests.enrollment.applicant import ANA
from tests.enrollment.test_gate import BEN, Street

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi.testclient import TestClient

ONLY_ONES_OWN = {"/sightings/{incident_id}/close"}
"""What a delegate may press: it closes the page in their own browser, and changes nothing of the person's."""


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    there = Street.at(tmp_path / "home")
    yield there
    there.close()


@pytest.fixture
def ben(street: Street) -> TestClient:
    """Give the browser of Ben, whom Ana lets see what was found, with everything that he can show."""
    ana, ben = street.signed_in(ANA), street.signed_in(BEN)
    street.becomes(ANA)
    street.shows_second(ana)
    street.shows_second(ben)
    who, his = street.subject(ANA), street.subject(BEN)
    with writing(street.engine) as session:
        lookup = street.lookups.email(BEN)
        row = Delegate(id="d", subject_id=who, email_lookup=lookup, delegate_id=his, sealed=b"x")
        row.state, row.answered_at = "active", utc_now()
        session.add(row)
    return ben


def acts(street: Street) -> list[str]:
    """List every address at which something can be done to what was found."""
    paths = {
        path
        for route in _routes(street.app.router.routes)
        if "POST" in (getattr(route, "methods", None) or ()) and (path := route.path).startswith("/sightings")
    }
    return sorted(paths - ONLY_ONES_OWN)


def _routes(routes: Any) -> Iterator[Any]:
    for route in routes:
        inner = getattr(route, "routes", None) or getattr(
            getattr(route, "original_router", None), "routes", None
        )
        if inner:
            yield from _routes(inner)
        else:
            yield route


def state(street: Street) -> tuple[list[str], int, list[str]]:
    """Give all that an act could change: the incidents, what was learnt, what the record says was done."""
    with reading(street.engine) as session:
        incidents = list(session.exec(select(Incident.state)))
        learnt = len(session.exec(select(Lookalike)).all())
        done = [row.action for row in session.exec(select(AuditEvent)) if "dismiss" in row.action]
    return incidents, learnt, done


def test_a_delegate_presses_every_button_and_nothing_happens(street: Street, ben: TestClient) -> None:
    path = street.found()
    incident = path.rsplit("/", 1)[-1]
    page = ben.get(path)
    assert page.status_code == 200, "what he was let in for"
    assert "not-me" not in page.text
    before = state(street)
    tried = acts(street)
    assert {"/sightings/{incident_id}/not-me", "/sightings/{incident_id}/not-me/undo"} <= set(tried)
    for one in tried:
        answer = ben.post(one.format(incident_id=incident, finding_id="x"), data={"what": "all"})
        assert answer.status_code == 404, one
    assert ben.get(f"{path}/not-me").status_code == 404
    assert state(street) == before == (["open"], 0, [])


def test_what_the_person_said_is_not_undone_by_a_delegate(street: Street, ben: TestClient) -> None:
    path = street.found()
    own = street.signed_in(ANA)
    street.shows_second(own)
    assert own.post(f"{path}/not-me").status_code == 303
    before = state(street)
    assert before[0] == ["not_me"]
    assert ben.post(f"{path}/not-me/undo").status_code == 404
    assert state(street) == before


def test_closing_the_page_closes_the_delegates_own(street: Street, ben: TestClient) -> None:
    path = street.found()
    own = street.signed_in(ANA)
    street.shows_second(own)
    assert ben.post(f"{path}/close").status_code == 200
    assert ben.get(path).headers["location"].startswith("/account/second")
    assert own.get(path).status_code == 200
