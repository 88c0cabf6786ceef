"""Delegates: invited by the person alone, accepted by their own account, ended by either side."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from enrollment import delegates
from enrollment.delegates import MOST
from enrollment.tables import Delegate
from monitor.db import reading
from monitor.tables import AuditEvent
from tests.enrollment.applicant import ANA, link_in

if TYPE_CHECKING:
    from monitor.values import SubjectId
    from tests.enrollment.residents import Residents

BEA = "bea@example.org"


def invited(town: Residents, email: str = BEA) -> str:
    """Let Ana invite somebody; give the id of the invitation."""
    answer = town.browsers[ANA].post("/account/delegates", data={"name": "Bea", "email": email})
    assert answer.status_code == 303, answer.text
    with reading(town.town.engine) as session:
        lookup = town.town.lookups.email(email)
        return session.exec(select(Delegate.id).where(Delegate.email_lookup == lookup)).one()


def accepted(town: Residents) -> tuple[SubjectId, SubjectId, str]:
    """Let Bea see what Ana's findings are; give Ana, Bea, and the invitation."""
    ana, bea = town.watched(), town.begun(BEA)
    invitation = invited(town)
    answer = town.browsers[BEA].post(f"/account/delegates/{invitation}", data={"what": "accept"})
    assert answer.status_code == 303
    return ana, bea, invitation


def sees(town: Residents, viewer: SubjectId, subject: SubjectId) -> bool:
    with reading(town.town.engine) as session:
        return delegates.may_see(session, viewer, subject)


def test_the_whole_way_from_the_letter_to_the_end(town: Residents) -> None:
    ana = town.watched()
    invited(town)
    [letter] = town.town.delivered()
    assert letter.to == BEA
    assert "Ana" not in letter.text  # a slip in the address tells a stranger no name
    browser = town.town.browser()
    answer = browser.post(link_in(letter))  # an account of her own begins by this link
    assert answer.headers["location"] == "/account/delegates"
    bea = town.town.subject(BEA)
    page = browser.get("/account/delegates").text
    assert "Ana</strong> asks you" in page
    assert not sees(town, bea, ana)
    [invitation] = re.findall(r'action="/account/delegates/(\w+)"', page)
    browser.post(f"/account/delegates/{invitation}", data={"what": "accept"})
    assert sees(town, bea, ana)
    assert not sees(town, ana, bea)
    assert "may see your findings since" in town.browsers[ANA].get("/account/delegates").text
    assert "lets you see" in browser.get("/account/delegates").text
    browser.post(f"/account/delegates/{invitation}", data={"what": "end"})
    assert not sees(town, bea, ana)


@pytest.mark.parametrize("who", [ANA, BEA])
def test_either_side_ends_it_at_once_and_both_see_it(town: Residents, who: str) -> None:
    ana, bea, invitation = accepted(town)
    town.browsers[who].post(f"/account/delegates/{invitation}", data={"what": "end"})
    assert not sees(town, bea, ana)
    assert "ended on" in town.browsers[ANA].get("/account/delegates").text
    assert "lets you see" not in town.browsers[BEA].get("/account/delegates").text


def test_declined_is_shown_and_can_be_invited_again(town: Residents) -> None:
    ana, bea = town.watched(), town.begun(BEA)
    invitation = invited(town)
    town.browsers[BEA].post(f"/account/delegates/{invitation}", data={"what": "decline"})
    assert "declined on" in town.browsers[ANA].get("/account/delegates").text
    assert invited(town) != invitation
    assert not sees(town, bea, ana)


def test_a_second_click_writes_no_second_letter(town: Residents) -> None:
    town.watched()
    assert invited(town) == invited(town)
    assert len(town.town.delivered()) == 1


def test_one_s_own_address_and_a_sixth_one_are_refused(town: Residents) -> None:
    town.watched()
    own = town.browsers[ANA].post("/account/delegates", data={"name": "Me", "email": ANA.upper()})
    assert own.status_code == 422
    for number in range(MOST):
        invited(town, f"d{number}@example.org")
    sixth = town.browsers[ANA].post("/account/delegates", data={"name": "X", "email": "x@example.org"})
    assert sixth.status_code == 422
    assert f"no more than {MOST}" in sixth.text.lower()


@pytest.mark.parametrize(("name", "email"), [("", BEA), ("Bea", ""), ("Bea", "nobody"), ("\x00", BEA)])
def test_what_is_no_name_or_address_invites_nobody(town: Residents, name: str, email: str) -> None:
    town.watched()
    answer = town.browsers[ANA].post("/account/delegates", data={"name": name, "email": email})
    assert answer.status_code == 422
    with reading(town.town.engine) as session:
        assert session.exec(select(Delegate)).all() == []


def test_name_and_address_rest_sealed(town: Residents) -> None:
    town.watched()
    invited(town)
    with reading(town.town.engine) as session:
        row = session.exec(select(Delegate)).one()
    assert b"Bea" not in row.sealed
    assert BEA.encode() not in row.sealed


def test_every_step_is_on_record(town: Residents) -> None:
    ana, _, invitation = accepted(town)
    town.browsers[BEA].post(f"/account/delegates/{invitation}", data={"what": "end"})
    with reading(town.town.engine) as session:
        query = select(AuditEvent).where(AuditEvent.subject_id == ana)
        events = [(one.actor, one.action) for one in session.exec(query) if "delegate" in one.action]
    assert events == [
        ("subject", "delegate.invite"),
        ("delegate", "delegate.accept"),
        ("delegate", "delegate.end"),
    ]
    assert "Somebody you let see your findings" in town.browsers[ANA].get("/account/looks").text


def test_who_is_erased_lets_nobody_see_and_sees_nothing(town: Residents) -> None:
    ana, bea, _ = accepted(town)
    town.browsers[ANA].post("/account/leave")
    assert not sees(town, bea, ana)
    assert "lets you see" not in town.browsers[BEA].get("/account/delegates").text
