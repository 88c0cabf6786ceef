"""Somebody lost every second way in: an operator takes the old ones away, and the person hears of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from enrollment.lost import forget_second_ways
from enrollment.subjects import Ledger, profile_of
from enrollment.tables import Account, Passkey, WebSession
from monitor.db import reading, writing
from monitor.errors import ContactInvalid, NotFound
from monitor.values import SubjectId
from tests.enrollment.applicant import ANA

if TYPE_CHECKING:
    from tests.enrollment.residents import Residents

HOW = "passport seen in person"


def ledger(town: Residents) -> Ledger:
    return Ledger(town.town.engine, town.desk.keks, town.blobs, "operator:kim")


def with_a_passkey(town: Residents) -> SubjectId:
    who = town.watched()
    with writing(town.town.engine) as session:
        session.add(Passkey(id="lost", subject_id=who, public_key=b"p", name="phone"))
        session.get_one(Account, who).phone_at = town.clock()
    return who


def test_passkeys_number_and_browsers_go_and_a_letter_says_so(town: Residents) -> None:
    who = with_a_passkey(town)
    town.town.delivered(town.clock())
    forget_second_ways(ledger(town), who, HOW, town.clock())
    with reading(town.town.engine) as session:
        assert session.exec(select(Passkey).where(Passkey.subject_id == who)).all() == []
        assert session.exec(select(WebSession).where(WebSession.subject_id == who)).all() == []
        assert session.get_one(Account, who).phone_at is None
        profile = profile_of(session, town.desk.keks, who)
    assert profile.phone == ""
    assert profile.attested.endswith(HOW)
    [letter] = town.town.delivered(town.clock())
    assert letter.to == ANA
    assert "taken away" in letter.text


def test_it_takes_a_reason_and_an_account(town: Residents) -> None:
    who = with_a_passkey(town)
    with pytest.raises(ContactInvalid, match="how you made sure"):
        forget_second_ways(ledger(town), who, "  ", town.clock())
    with pytest.raises(NotFound):
        forget_second_ways(ledger(town), SubjectId("nobody"), HOW, town.clock())
    with reading(town.town.engine) as session:
        assert session.get(Passkey, "lost") is not None
