"""The first step: names of every kind in one spelling, a declared age, and nothing kept of a child."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest

from enrollment.names import LONGEST, checked_name
from enrollment.steps import Step
from enrollment.subjects import profile_of
from enrollment.tables import Account
from monitor.db import reading
from monitor.errors import NameInvalid
from tests.enrollment.applicant import ANA

if TYPE_CHECKING:
    from enrollment.profiles import Profile
    from tests.enrollment.residents import Residents

NAMES = [
    "Ana",
    "Ada Núñez-O'Neill",
    "李小龍",
    "محمد عبد الله",
    "עדה",
    "🦊",
    "Ana 👩‍👩‍👧",
    "می‌خواهم",
    "Ṣẹ́gun",
    "X",
]


def profile(town: Residents) -> Profile:
    with reading(town.town.engine) as session:
        return profile_of(session, town.town.keys, town.town.subject())


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_any_script_comes_back_as_it_was_given(name: str) -> None:
    assert checked_name(f"  {unicodedata.normalize('NFD', name)} ") == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize("name", ["", "   ", "\u200d", "a\x00b", "\ue000", "\ud800", "x" * (LONGEST + 1)])
def test_what_is_no_name_is_refused_with_a_hint(name: str) -> None:
    with pytest.raises(NameInvalid) as caught:
        checked_name(name)
    assert caught.value.hint


def test_a_name_cannot_turn_the_words_around_it() -> None:
    assert checked_name("Ana\u202e gro.live") == "Ana gro.live"
    assert checked_name("a\n b\t c") == "a b c"


@pytest.mark.parametrize("name", ["محمد", "Ana 🦊"])
def test_the_step_is_taken_and_the_page_shows_the_name_apart(town: Residents, name: str) -> None:
    town.begun()
    given = {"name": name, "born": "1990-05-23", "language": "en"}
    answer = town.browsers[ANA].post("/enrol/you", data=given)
    assert (answer.status_code, answer.headers["location"]) == (303, "/enrol/consent")
    assert (profile(town).name, profile(town).born, profile(town).email) == (name, "1990-05-23", ANA)
    assert f"<bdi>{name}</bdi>" in town.browsers[ANA].get("/account").text
    assert f'value="{name}"' in town.browsers[ANA].get("/enrol/you").text


def test_who_is_too_young_is_refused_with_help_and_nothing_is_kept(town: Residents) -> None:
    town.begun()
    year = town.clock().year - 12
    answer = town.browsers[ANA].post("/enrol/you", data={"name": "Kid", "born": f"{year}-01-01"})
    assert answer.status_code == 422
    for part in ("Nobody under 18", "116 111", "takeitdown.ncmec.org", "was not kept"):
        assert part in answer.text
    assert (profile(town).name, profile(town).born) == ("", "")
    assert town.town.progress().ahead is Step.YOU


@pytest.mark.parametrize("born", ["", "yesterday", "1990-02-30", "3000-01-01", "1800-01-01"])
def test_what_is_no_birthday_is_asked_again_and_the_name_stays_in_the_form(
    town: Residents, born: str
) -> None:
    town.begun()
    answer = town.browsers[ANA].post("/enrol/you", data={"name": "Ana", "born": born})
    assert answer.status_code == 422
    assert 'id="born-fault"' in answer.text
    assert 'value="Ana"' in answer.text
    assert profile(town).name == ""


def test_a_language_that_is_not_heard_here_is_not_taken(town: Residents) -> None:
    who = town.begun()
    given = {"name": "Ana", "born": "1990-05-23", "language": "xx"}
    town.browsers[ANA].post("/enrol/you", data=given)
    with reading(town.town.engine) as session:
        assert session.get_one(Account, who).language == "en"


def test_who_is_watched_for_does_not_change_the_birthday_here(town: Residents) -> None:
    town.watched()
    given = {"name": "Other", "born": "1970-01-01"}
    answer = town.browsers[ANA].post("/enrol/you", data=given)
    assert answer.headers["location"] == "/account"
    assert profile(town).name == "Ana"
