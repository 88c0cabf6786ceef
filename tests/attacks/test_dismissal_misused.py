"""Who could misuse “this is not me”: a prefetcher, another site, another person, an old link."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlmodel import select

from alerts import incidents
from alerts.links import visit_of
from alerts.tables import Incident
from monitor.db import reading, writing
from monitor.errors import LinkInvalid, NotFound
from monitor.tables import Dismissal, Finding
from monitor.values import Band, SubjectId
from tests.alerts import scene
from tests.alerts.visitor import Visitor, link_in

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys


def _decided(visitor: Visitor) -> tuple[list[str], set[str]]:
    with reading(visitor.engine) as session:
        dismissals = [row.state for row in session.exec(select(Dismissal))]
        return dismissals, {row.state for row in session.exec(select(Incident))}


def _everything(visitor: Visitor) -> dict[str, list[tuple[object, ...]]]:
    with reading(visitor.engine) as session:
        names = session.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars().all()
        return {
            name: [tuple(row) for row in session.execute(text(f'SELECT * FROM "{name}"'))]  # noqa: S608 - our tables
            for name in names
        }


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
def test_only_a_post_dismisses_or_undoes(visitor: Visitor, method: str) -> None:
    path = visitor.opened()
    before = _everything(visitor)
    for _ in range(3):
        for address in (f"{path}/not-me", f"{path}/not-me/undo", f"{path}/not-me?what=dismiss"):
            visitor.browser.request(method, address)
    assert _everything(visitor) == before

    visitor.browser.post(f"{path}/not-me")
    before = _everything(visitor)
    for address in (f"{path}/not-me", f"{path}/not-me/undo"):
        visitor.browser.request(method, address)
    assert _everything(visitor) == before


@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"}],
)
def test_a_form_from_another_site_neither_dismisses_nor_undoes(
    visitor: Visitor, headers: dict[str, str]
) -> None:
    path = visitor.opened()

    assert visitor.browser.post(f"{path}/not-me", headers=headers).status_code == 403
    assert _decided(visitor) == ([], {"open"})
    visitor.browser.post(f"{path}/not-me")
    assert visitor.browser.post(f"{path}/not-me/undo", headers=headers).status_code == 403
    assert _decided(visitor) == (["due"], {"not_me"})


def test_without_the_cookie_of_that_very_incident_nothing_happens(visitor: Visitor) -> None:
    visitor.found(marks=(scene.mark(1),))
    visitor.told()
    path = visitor.opened(marks=(scene.mark(2),))
    with reading(visitor.engine) as session:
        [other] = {row.id for row in session.exec(select(Incident))} - {path.rpartition("/")[2]}
    cookie = {"cookie": f"page={visitor.browser.cookies.get('page')}"}

    for act in ("not-me", "not-me/undo"):
        answer = visitor.browser.post(f"/sightings/{other}/{act}", headers=cookie)
        assert answer.status_code == 403
        assert visitor.browser.post(f"/sightings/nonsense/{act}", headers=cookie).status_code == 403
    visitor.browser.cookies.clear()
    for act in ("not-me", "not-me/undo"):
        assert visitor.browser.post(f"{path}/{act}").status_code == 403
    assert _decided(visitor) == ([], {"open"})


def test_another_subjects_finding_cannot_be_dismissed(visitor: Visitor) -> None:
    """Even with a cookie whose incident was put in its place: the ledger asks whose it is."""
    path = visitor.opened()
    stranger = scene.subject(visitor.engine, visitor.keys)
    theirs = scene.finding(visitor.engine, visitor.keys, stranger)
    with writing(visitor.engine) as session:
        incident = session.exec(select(Incident)).one()
        incident.subject_id = stranger

    assert visitor.browser.post(f"{path}/not-me").status_code == 404
    assert visitor.browser.post(f"{path}/not-me/undo").status_code == 404

    with reading(visitor.engine) as session:
        assert session.get_one(Finding, theirs).state == "due"
    assert _decided(visitor) == ([], {"open"})


def test_a_finding_of_somebody_else_in_ones_incident_stays_theirs(
    engine: Engine, keys: KeyEncryptionKeys
) -> None:
    ana, ben = (scene.subject(engine, keys) for _ in range(2))
    found = scene.finding(engine, keys, ben)
    with writing(engine) as session:
        session.add(Incident(id="i1", subject_id=ben, state=incidents.State.OPEN))
    for act in (incidents.not_me, lambda *a: incidents.take_back(*a, "subject")):
        with writing(engine) as session, pytest.raises(NotFound):
            act(session, "i1", ana)
    with reading(engine) as session:
        assert session.get_one(Finding, found).state == "due"
        assert session.get_one(Incident, "i1").state == "open"


def test_what_waits_for_an_operator_cannot_be_waved_through_by_the_subject(
    engine: Engine, keys: KeyEncryptionKeys
) -> None:
    ana = scene.subject(engine, keys)
    scene.finding(engine, keys, ana, band=Band.REVIEW)
    with writing(engine) as session:
        session.add(Incident(id="i1", subject_id=ana, state=incidents.State.HELD))
    with writing(engine) as session, pytest.raises(NotFound):
        incidents.not_me(session, "i1", SubjectId(ana))


def test_a_link_that_was_used_dismisses_nothing_more(visitor: Visitor) -> None:
    link = link_in(visitor.message())
    path = visitor.open(link)
    visitor.browser.post(f"{path}/close")
    visitor.browser.cookies.clear()

    assert visitor.browser.post(link).status_code == 410
    assert visitor.browser.post(f"{path}/not-me").status_code == 403
    with pytest.raises(LinkInvalid):
        visit_of(visitor.engine, visitor.links, "guessed", path.rpartition("/")[2])
    assert _decided(visitor) == ([], {"open"})


def test_saying_it_many_times_writes_it_once(visitor: Visitor) -> None:
    path = visitor.opened()
    for _ in range(5):
        visitor.browser.post(f"{path}/not-me")
    assert _decided(visitor) == (["due"], {"not_me"})
