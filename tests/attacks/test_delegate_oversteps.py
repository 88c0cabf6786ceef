"""A delegate who wants more than was given: to see others, to change, to stay, to come in uninvited."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from enrollment import delegates, subjects
from enrollment.standing import Standing
from enrollment.tables import Consent, Delegate
from monitor.db import reading
from tests.enrollment.applicant import ANA
from tests.enrollment.residents import Residents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.values import SubjectId

BEA, EVE = "bea@example.org", "eve@example.org"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Residents]:
    there = Residents.at(tmp_path / "home")
    yield there
    there.close()


def invited(town: Residents) -> str:
    """Let Ana invite Bea."""
    town.browsers[ANA].post("/account/delegates", data={"name": "Bea", "email": BEA})
    with reading(town.town.engine) as session:
        return session.exec(select(Delegate.id)).one()


def sees(town: Residents, viewer: SubjectId, subject: SubjectId) -> bool:
    with reading(town.town.engine) as session:
        return delegates.may_see(session, viewer, subject)


@pytest.mark.parametrize("what", ["accept", "decline", "end"])
def test_an_invitation_is_of_no_use_to_another_address(town: Residents, what: str) -> None:
    ana, eve = town.watched(), town.begun(EVE)
    invitation = invited(town)
    answer = town.browsers[EVE].post(f"/account/delegates/{invitation}", data={"what": what})
    assert answer.status_code == 404
    assert not sees(town, eve, ana)
    with reading(town.town.engine) as session:
        assert session.exec(select(Delegate.state)).one() == "invited"


def test_the_person_cannot_be_made_to_accept_for_the_delegate(town: Residents) -> None:
    town.watched()
    invitation = invited(town)
    answer = town.browsers[ANA].post(f"/account/delegates/{invitation}", data={"what": "accept"})
    assert answer.status_code == 404


def test_nobody_becomes_a_delegate_without_an_invitation(town: Residents) -> None:
    ana, bea = town.watched(), town.begun(BEA)
    for invitation in ("x", ana, bea):
        answer = town.browsers[BEA].post(f"/account/delegates/{invitation}", data={"what": "accept"})
        assert answer.status_code == 404
    assert not sees(town, bea, ana)


def test_ended_is_ended_also_for_an_old_page_that_is_still_open(town: Residents) -> None:
    ana, bea = town.watched(), town.begun(BEA)
    invitation = invited(town)
    for who, what in ((BEA, "accept"), (ANA, "end")):
        town.browsers[who].post(f"/account/delegates/{invitation}", data={"what": what})
    for what in ("accept", "end"):
        answer = town.browsers[BEA].post(f"/account/delegates/{invitation}", data={"what": what})
        assert answer.status_code == 404
    assert not sees(town, bea, ana)


def test_trust_is_not_handed_on(town: Residents) -> None:
    """Whom a delegate lets see sees the delegate's findings, and nobody else's."""
    ana, bea, eve = town.watched(), town.watched(BEA), town.begun(EVE)
    invitation = invited(town)
    town.browsers[BEA].post(f"/account/delegates/{invitation}", data={"what": "accept"})
    town.browsers[BEA].post("/account/delegates", data={"name": "Eve", "email": EVE})
    with reading(town.town.engine) as session:
        second = session.exec(select(Delegate.id).where(Delegate.subject_id == bea)).one()
    town.browsers[EVE].post(f"/account/delegates/{second}", data={"what": "accept"})
    assert sees(town, eve, bea)
    assert not sees(town, eve, ana)


def test_what_a_delegate_does_in_the_account_is_done_to_their_own(town: Residents) -> None:
    ana, bea = town.watched(), town.begun(BEA, "Bea")
    invitation = invited(town)
    town.browsers[BEA].post(f"/account/delegates/{invitation}", data={"what": "accept"})
    for path, data in (
        ("/account/pause", {"of": ana}),
        ("/account/resume", {"of": ana}),
        ("/account/consents/biometrics", {"answer": "no", "subject_id": ana}),
        ("/account/export", {"what": "order", "of": ana}),
        ("/account/contact", {"email": "new@example.org", "of": ana}),
    ):
        town.browsers[BEA].post(f"{path}?of={ana}", data=data)
    assert town.standing(ana) is Standing.ACTIVE
    with reading(town.town.engine) as session:
        assert subjects.profile_of(session, town.town.keys, ana).email == ANA
        said = session.exec(select(Consent.given).where(Consent.subject_id == ana)).all()
    assert len(said) == 3
    town.browsers[BEA].post(f"/account/leave?of={ana}")
    assert town.standing(ana) is Standing.ACTIVE
    assert not sees(town, bea, ana)  # Bea erased herself, and is no delegate any more
