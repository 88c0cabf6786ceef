"""What is drawn: random, without repeats, in a language that is heard."""

from __future__ import annotations

from collections import Counter

from enrollment.identity.draw import DIGITS, TURNS, Drawn, draw
from enrollment.identity.turns import Turn


def test_no_two_alike_in_a_row() -> None:
    for _ in range(500):
        drawn = draw("en", ("en",))
        assert len(drawn.turns) == TURNS
        assert len(drawn.digits) == DIGITS
        assert all(one != other for one, other in zip(drawn.turns, drawn.turns[1:], strict=False))
        assert all(one != other for one, other in zip(drawn.digits, drawn.digits[1:], strict=False))


def test_every_order_and_every_digit_is_drawn_alike() -> None:
    drawn = [draw("en", ("en",)) for _ in range(3600)]
    orders = Counter(one.turns for one in drawn)
    assert len(orders) == 34
    assert max(orders.values()) < 106 + 6 * 10  # six deviations of 3600 / 34
    for place in range(DIGITS):
        digits = Counter(one.digits[place] for one in drawn)
        assert set(digits) == set("0123456789")
        assert min(digits.values()) > 360 - 6 * 19


def test_no_order_is_of_nods_alone() -> None:
    assert all({Turn.LEFT, Turn.RIGHT} & set(draw("en", ("en",)).turns) for _ in range(1000))


def test_a_language_that_is_not_heard_is_not_asked_for() -> None:
    assert draw("de", ("en",)).language == "en"
    assert draw("de", ("en", "de")).language == "de"
    assert draw("", ("en",)).language == "en"


def test_it_comes_back_from_its_row() -> None:
    drawn = Drawn((Turn.UP, Turn.LEFT), "315072", "fr")
    assert Drawn.of_json(drawn.as_json()) == drawn
