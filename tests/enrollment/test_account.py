"""The home page: where somebody stands, in one sentence; and who looked at their data, in words."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from enrollment import audit_words
from enrollment.audit_words import WORDS, Look, in_words
from enrollment.standing import Standing
from enrollment.tables import Account, Subject
from monitor import audit
from monitor.db import utc_now, writing
from tests.enrollment.applicant import ANA

if TYPE_CHECKING:
    from tests.enrollment.residents import Residents

SENTENCES = {
    Standing.STARTING: "We are checking what you gave",
    Standing.HELD: "must look at your enrolment",
    Standing.ACTIVE: "We watch for you since",
    Standing.PAUSED: "The watch is paused",
    Standing.LAPSED: "our messages wait",
}


@pytest.mark.parametrize("standing", list(SENTENCES))
def test_each_standing_has_its_sentence_and_no_other(town: Residents, standing: Standing) -> None:
    who = town.watched()
    with writing(town.town.engine) as session:
        session.get_one(Subject, who).status = standing
    page = town.browsers[ANA].get("/account").text
    lead = re.findall(r'<p class="lead">(.*?)</p>', page, re.DOTALL)[0]
    assert [one for one, words in SENTENCES.items() if words in lead] == [standing]


@pytest.mark.parametrize("standing", [Standing.STARTING, Standing.HELD, Standing.ACTIVE])
def test_during_the_cooling_off_the_page_is_the_same_for_all(town: Residents, standing: Standing) -> None:
    who = town.watched()
    with writing(town.town.engine) as session:
        session.get_one(Subject, who).status = standing
        session.get_one(Account, who).told_from = utc_now() + timedelta(hours=5)
        audit.record(session, "worker", "enrolment.held", who)
        audit.record(session, "operator:mallory", "enrolment.looked_at", who)
    page = town.browsers[ANA].get("/account").text
    assert SENTENCES[Standing.STARTING] in page
    assert "look at your enrolment" not in page
    assert "The first message can come from" in page
    assert "mallory" not in page
    assert "held" not in town.browsers[ANA].get("/account/looks").text


def test_somebody_who_began_is_led_on(town: Residents) -> None:
    town.begun()
    page = town.browsers[ANA].get("/account").text
    assert 'href="/enrol/you"' in page
    assert "You are not watched for" in page


def test_what_was_given_is_counted_with_a_word_on_its_quality(town: Residents) -> None:
    town.watched()
    page = town.browsers[ANA].get("/account").text
    assert re.search(r"2 faces: \w+", page)
    assert "0 voices" in page
    assert "are kept, sealed" in page


def test_an_operator_s_look_is_shown_with_the_name(town: Residents) -> None:
    who = town.watched()
    assert "Nobody but you and the program" in town.browsers[ANA].get("/account").text
    with writing(town.town.engine) as session:
        audit.record(session, "operator:mallory", "subject.show", who)
        audit.record(session, "operator:mallory", "subject.show", "somebody-else")
    said = "The operator mallory looked at your data."
    assert town.browsers[ANA].get("/account").text.count(said) == 1
    assert town.browsers[ANA].get("/account/looks").text.count(said) == 1


def test_every_action_that_the_program_records_has_its_words() -> None:
    """A new one cannot be forgotten: the sources are searched for what is recorded of a subject."""
    found: set[str] = set()
    for package in ("alerts", "enrollment", "monitor"):
        for path in Path(package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            for call in re.findall(r"audit\.record\((.*?)\n?\s*\)", text, re.DOTALL):
                found |= set(re.findall(r'"([a-z_]+\.[a-z_]+)"', call))
    general = {
        one
        for one in found
        if one.partition(".")[0] in {"budget", "feed", "keys", "models", "operator", "source"}
    }
    missing = found - general - set(WORDS) - {"subject.list", "enrolment.list", "subject.erase"}
    assert len(found) > 20
    assert missing == set()


def test_an_action_without_words_is_still_shown() -> None:
    look = Look(utc_now(), "somebody:new", "thing.done", {})
    assert in_words(look) == "The program did something with your data (thing.done)."


def test_the_list_is_of_one_person_and_the_newest_first(town: Residents) -> None:
    who = town.watched()
    town.watched("bea@example.org")
    with writing(town.town.engine) as session:
        looks = audit_words.looks(session, who, utc_now())
    assert looks == sorted(looks, key=lambda one: one.at, reverse=True)
    assert {one.action for one in looks} == {
        "account.begin",
        "account.sign_in",
        "consent.give",
        "consent.refuse",
    }


def test_nobody_who_is_not_signed_in_sees_any_of_it(town: Residents) -> None:
    for path in ("/account", "/account/looks", "/account/pause", "/account/export", "/account/leave"):
        answer = town.town.browser().get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/enrol")
