"""The yearly proof: letters in time, messages wait when it is overdue, a challenge ends that."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from enrollment import holds, operators, pausing, reproof
from enrollment.reproof import LETTERS, remind_due
from enrollment.standing import Standing
from enrollment.tables import Account, Letter
from monitor.db import reading, writing
from tests.enrollment.applicant import ANA

if TYPE_CHECKING:
    from monitor.values import SubjectId
    from tests.enrollment.residents import Residents

DAY = timedelta(days=1)


@pytest.fixture
def keys_of_two(town: Residents) -> tuple[str, str]:
    """Give the names of two operators."""
    names = ("kim", "noor")
    with writing(town.town.engine) as session:
        for name in names:
            operators.add(session, name, "operator:root", town.clock())
    return names


def due_on(town: Residents, who: SubjectId) -> datetime:
    with reading(town.town.engine) as session:
        until = session.get_one(Account, who).proved_until
    assert until is not None
    return until


def at(town: Residents, who: SubjectId, from_the_day: timedelta) -> int:
    """Put the clock to so long after the day, work once, and give the letters that went out."""
    town.clock.ahead += due_on(town, who) + from_the_day - town.clock()
    remind_due(town.desk)
    return len(town.town.delivered(town.clock()))


def test_nobody_is_reminded_before_the_month(town: Residents) -> None:
    who = town.watched()
    assert at(town, who, -31 * DAY) == 0
    assert remind_due(town.desk) == 0


def test_a_letter_at_each_moment_and_only_one(town: Residents) -> None:
    who = town.watched()
    for moment in LETTERS:
        assert at(town, who, moment + timedelta(minutes=1)) == 1
        assert remind_due(town.desk) == 0
        assert at(town, who, moment + timedelta(hours=3)) == 0
    assert at(town, who, 365 * DAY) == 0


def test_a_letter_leads_to_the_page_and_says_nothing_else(town: Residents) -> None:
    who = town.watched()
    town.clock.ahead = timedelta(days=340)
    remind_due(town.desk)
    [letter] = town.town.delivered(town.clock())
    assert "/account/proof" in letter.text
    for telling in ("face", "voice", "likeness", "watch"):
        assert telling not in f"{letter.subject} {letter.text}".lower()
    assert due_on(town, who) > town.clock()


def test_when_it_is_overdue_messages_wait_and_the_watch_goes_on(town: Residents) -> None:
    who = town.watched()
    at(town, who, -DAY)
    assert town.standing(who) is Standing.ACTIVE
    at(town, who, timedelta(minutes=1))
    assert town.standing(who) is Standing.LAPSED
    with town.gallery() as gallery:
        assert sum(gallery.sizes.values()) == 2
    assert "time to show again" in town.browsers[ANA].get("/account").text


def test_a_challenge_that_passes_ends_it_for_a_year(town: Residents) -> None:
    who = town.watched()
    at(town, who, 3 * DAY)
    town.clip(who)
    answered = town.clock()
    remind_due(town.desk)
    assert town.standing(who) is Standing.ACTIVE
    assert abs(due_on(town, who) - answered - 365 * DAY) < timedelta(minutes=1)
    assert remind_due(town.desk) == 0
    assert at(town, who, -29 * DAY) == 1


def test_one_given_in_the_month_before_counts_and_an_older_one_does_not(town: Residents) -> None:
    who = town.watched()
    day = due_on(town, who)
    town.clock.ahead = 100 * DAY
    town.clip(who)
    town.clock.ahead = 340 * DAY
    remind_due(town.desk)
    assert due_on(town, who) == day
    town.clip(who)
    remind_due(town.desk)
    assert due_on(town, who) > day + 300 * DAY
    assert town.standing(who) is Standing.ACTIVE


def test_what_is_refused_or_in_doubt_ends_nothing(town: Residents) -> None:
    who = town.watched()
    at(town, who, DAY)
    for state in ("refused", "failed", "held", "expired"):
        town.clip(who, state)
    remind_due(town.desk)
    assert town.standing(who) is Standing.LAPSED


def test_one_in_doubt_waits_for_two_operators(town: Residents, keys_of_two: tuple[str, str]) -> None:
    who = town.watched()
    at(town, who, DAY)
    town.clip(who, "held")
    remind_due(town.desk)
    assert remind_due(town.desk) == 0, "it is held once"
    with reading(town.town.engine) as session:
        [waiting] = holds.listing(session)
    assert waiting.reasons == (holds.Reason.PROOF,)
    for operator in keys_of_two:
        assert town.standing(who) is Standing.LAPSED
        with writing(town.town.engine) as session:
            said = holds.Vote(operator, approve=True, why="seen in person")
            holds.vote(session, town.desk.keks, waiting.hold_id, said, town.clock())
        remind_due(town.desk)
    assert town.standing(who) is Standing.ACTIVE
    assert due_on(town, who) > town.clock() + 300 * DAY


def test_one_in_doubt_that_an_operator_refuses_ends_nothing(
    town: Residents, keys_of_two: tuple[str, str]
) -> None:
    who = town.watched()
    at(town, who, DAY)
    town.clip(who, "held")
    remind_due(town.desk)
    with writing(town.town.engine) as session:
        [waiting] = holds.listing(session)
        said = holds.Vote(keys_of_two[0], approve=False, why="another person")
        holds.vote(session, town.desk.keks, waiting.hold_id, said, town.clock())
    assert remind_due(town.desk) == 0
    assert town.standing(who) is Standing.LAPSED


def test_one_that_passes_after_one_in_doubt_is_enough(town: Residents) -> None:
    who = town.watched()
    at(town, who, DAY)
    town.clip(who, "held")
    remind_due(town.desk)
    town.clip(who)
    remind_due(town.desk)
    assert town.standing(who) is Standing.ACTIVE
    with reading(town.town.engine) as session:
        assert holds.listing(session) == []


def test_nobody_who_paused_is_asked(town: Residents) -> None:
    who = town.watched()
    with writing(town.town.engine) as session:
        pausing.pause(session, who, town.clock())
    assert at(town, who, DAY) == 0
    assert town.standing(who) is Standing.PAUSED


def test_a_short_time_between_proofs_leaves_no_letter_at_once() -> None:
    assert reproof.ahead(2) == DAY
    assert reproof.ahead(365) == reproof.AHEAD


def test_killed_after_the_letter_was_written_it_is_written_once(town: Residents) -> None:
    who = town.watched()
    at(town, who, -29 * DAY)
    for _ in range(3):
        remind_due(town.desk)
    with reading(town.town.engine) as session:
        assert len(session.exec(select(Letter).where(Letter.kind == "proof")).all()) == 1
