"""Who is old enough, by what was declared."""

from __future__ import annotations

from datetime import date

import pytest

from enrollment.age import DeclaredAge, declared_age, years
from monitor.errors import AgeInvalid, AgeNotStated, TooYoung

TODAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("born", "age"),
    [("2008-11-23", 18), ("2008-11-24", 17), ("2008-02-29", 18), ("1990-12-31", 35), ("2026-11-23", 0)],
)
def test_full_years_are_counted(born: str, age: int) -> None:
    assert years(date.fromisoformat(born), TODAY) == age


def test_a_birthday_on_the_29th_of_february_comes_on_the_1st_of_march() -> None:
    assert years(date(2008, 2, 29), date(2026, 2, 28)) == 17
    assert years(date(2008, 2, 29), date(2026, 3, 1)) == 18


def test_the_day_somebody_turns_18_is_the_first_one() -> None:
    assert declared_age("2008-11-23", confirmed=False, minimum=18, today=TODAY).born == "2008-11-23"
    with pytest.raises(TooYoung, match="under 18") as caught:
        declared_age("2008-11-24", confirmed=False, minimum=18, today=TODAY)
    assert "2008" not in str(caught.value)
    assert caught.value.hint


def test_a_date_of_birth_outweighs_the_operator_s_word() -> None:
    with pytest.raises(TooYoung):
        declared_age("2012-01-01", confirmed=True, minimum=18, today=TODAY)


def test_an_operator_may_confirm_without_a_date() -> None:
    assert declared_age("", confirmed=True, minimum=16, today=TODAY) == DeclaredAge(confirmed=16)


def test_nothing_said_is_refused_unless_no_age_is_asked_for() -> None:
    with pytest.raises(AgeNotStated, match="18"):
        declared_age("", confirmed=False, minimum=18, today=TODAY)
    assert declared_age("", confirmed=False, minimum=0, today=TODAY) == DeclaredAge()


@pytest.mark.parametrize("born", ["23.5.1990", "yesterday", "2027-01-01", "1890-01-01", "1990-02-30"])
def test_what_is_no_date_of_birth_is_said(born: str) -> None:
    with pytest.raises(AgeInvalid) as caught:
        declared_age(born, confirmed=True, minimum=18, today=TODAY)
    assert caught.value.hint
