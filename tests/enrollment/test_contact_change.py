"""Another address: it counts when its mailbox says so, the old one is told, and nobody learns who is here."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from enrollment import contact_change, subjects, tokens
from enrollment.tables import Account
from monitor.db import reading, writing
from tests.enrollment.applicant import ANA

if TYPE_CHECKING:
    import pytest

    from alerts.interfaces import Message
    from tests.enrollment.residents import Residents

NEW, BEA = "new@example.org", "bea@example.org"


def asked(town: Residents, email: str = NEW) -> list[Message]:
    """Ask for another address; give the letters that went out."""
    answer = town.browsers[ANA].post("/account/contact", data={"email": email})
    assert answer.status_code == 200
    return town.town.delivered()


def link_in(letters: list[Message]) -> str:
    text = "\n".join(letter.text for letter in letters)
    [link] = re.findall(r"https?://[^/]+(/enrol/contact/\S+)", text)
    return str(link)


def test_the_whole_way(town: Residents) -> None:
    who = town.watched()
    letters = asked(town)
    assert {one.to for one in letters} == {NEW, ANA}
    path = link_in([one for one in letters if one.to == NEW])
    assert "/enrol/contact/" not in next(one.text for one in letters if one.to == ANA)
    stranger = town.town.browser()
    assert "Is this your new address?" in stranger.get(path).text
    with reading(town.town.engine) as session:  # a look changes nothing
        assert subjects.profile_of(session, town.town.keys, who).email == ANA
    assert "is changed" in stranger.post(path).text
    with reading(town.town.engine) as session:
        assert subjects.profile_of(session, town.town.keys, who).email == NEW
        assert session.get_one(Account, who).email_lookup == town.town.lookups.email(NEW)
    assert {one.to for one in town.town.delivered()} == {NEW, ANA}
    assert town.town.signed_in(NEW).get("/account").status_code == 200
    assert town.town.subject(NEW) == who


def test_the_link_works_once_and_for_a_day(town: Residents, monkeypatch: pytest.MonkeyPatch) -> None:
    town.watched()
    path = link_in(asked(town))
    assert town.town.browser().post(path).status_code == 200
    assert town.town.browser().post(path).status_code == 410
    monkeypatch.setattr(contact_change, "LASTS", -timedelta(minutes=1))
    token = tokens.made(
        "a-secret-that-only-the-tests-know-of-0123",
        contact_change.PURPOSE,
        {"id": "x", "subject": town.town.subject(NEW), "email": BEA, "until": 0},
    )
    assert town.town.browser().post(f"/enrol/contact/{token}").status_code == 410
    assert town.town.browser().post("/enrol/contact/anything").status_code == 410


def test_an_address_that_is_here_and_one_that_is_not_are_answered_alike(town: Residents) -> None:
    town.watched()
    town.begun(BEA)
    pages = []
    for email in (BEA, NEW):
        answer = town.browsers[ANA].post("/account/contact", data={"email": email})
        pages.append((answer.status_code, answer.text.replace(email, "")))
        assert {one.to for one in town.town.delivered()} == {email, ANA}
    assert pages[0] == pages[1]


def test_an_address_with_an_account_of_its_own_is_not_taken_over(town: Residents) -> None:
    who = town.watched()
    bea = town.begun(BEA)
    answer = town.town.browser().post(link_in(asked(town, BEA)))
    assert answer.status_code == 409
    assert town.town.subject(BEA) == bea
    with reading(town.town.engine) as session:
        assert subjects.profile_of(session, town.town.keys, who).email == ANA


def test_what_is_no_address_sends_nothing_and_too_often_is_too_often(town: Residents) -> None:
    town.watched()
    for email in ("", "nobody", "a@b@c"):
        assert town.browsers[ANA].post("/account/contact", data={"email": email}).status_code == 422
    for number in range(contact_change.PER_PERSON_DAY):
        assert asked(town, f"n{number}@example.org")
    answer = town.browsers[ANA].post("/account/contact", data={"email": "more@example.org"})
    assert answer.status_code == 422
    assert town.town.delivered() == []


def test_of_somebody_who_left_the_link_opens_nothing(town: Residents) -> None:
    town.watched()
    path = link_in(asked(town))
    town.browsers[ANA].post("/account/leave")
    assert town.town.browser().post(path).status_code == 410


def test_with_a_second_factor_at_hand_it_is_asked_for(town: Residents) -> None:
    who = town.watched()
    with writing(town.town.engine) as session:
        session.get_one(Account, who).phone_at = town.clock()
    for path in ("/account/contact", "/account/export", "/account/leave", "/account/delegates"):
        answer = town.browsers[ANA].post(path, data={"email": NEW, "name": "New"})
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/account/second")
    assert town.town.delivered() == []
