"""From what was heard to a row of digits, in every language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrollment.identity.digits import LANGUAGES, digits_of, distance, preferred


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_words_that_are_shown_are_read_back(code: str) -> None:
    language = LANGUAGES[code]
    for row in ("0123456789", "907142", "385061"):
        words = [language.word(digit) for digit in row]
        assert digits_of(", ".join(words).upper() + ".", code) == row
        assert digits_of(" ".join(words), code) == row


@pytest.mark.parametrize("code", LANGUAGES)
def test_no_word_stands_for_two_digits(code: str) -> None:
    for digit, words in enumerate(LANGUAGES[code].words):
        for word in words:
            assert digits_of(word, code) == str(digit), word


@pytest.mark.parametrize(
    ("heard", "code", "row"),
    [
        (" 8. 1. 8. 6. 8.", "en", "81868"),
        ("83747", "en", "83747"),
        ("3-1-5, 0-7", "en", "31507"),
        ("Three, eight, oh, one, fivezero.", "en", "380150"),
        ("for two ate", "en", "428"),
        ("dreieins zwo fuenf", "de", "3125"),
        ("DREI eins", "de", "31"),
        ("zero uno cinque", "it", "015"),
        ("п\u2019ять сім вісім", "uk", "578"),
        ("пять, семь", "ru", "57"),
        ("SIFIR BİR ÜÇ", "tr", "013"),
        ("trois un cinq zero", "fr", "3150"),
        ("\u0663\u0661", "en", "31"),
        ("", "en", ""),
        ("See you next time! Thank you.", "en", ""),
        ("seventeen", "en", ""),
    ],
)
def test_what_listeners_write_is_read(heard: str, code: str, row: str) -> None:
    assert digits_of(heard, code) == row


def test_a_language_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        digits_of("one", "xx")


@given(st.text(max_size=80), st.sampled_from(sorted(LANGUAGES)))
def test_any_text_gives_digits_alone(text: str, code: str) -> None:
    assert set(digits_of(text, code)) <= set("0123456789")


@given(st.text("0123456789", max_size=8), st.text("0123456789", max_size=8))
def test_distance_is_a_distance(one: str, other: str) -> None:
    assert distance(one, other) == distance(other, one)
    assert (distance(one, other) == 0) == (one == other)
    assert distance(one, other) <= max(len(one), len(other))


def test_distance_counts_changes() -> None:
    assert distance("315072", "315072") == 0
    assert distance("315072", "15072") == 1
    assert distance("315072", "315972") == 1
    assert distance("315072", "3150722") == 1
    assert distance("315072", "") == 6


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("zh-Hans-CN, ja;q=0.9, fr-CA;q=0.7, en;q=0.3", "fr"),
        ("en;q=0.2, RU;q=0.8", "ru"),
        ("it;q=0, en", "en"),
        ("it;q=0", "en"),
        ("zh", "en"),
        ("*", "en"),
        ("", "en"),
        ("de;q=1.1.1, , ;;;, q=", "en"),
        ("x" * 10_000 + ",de", "en"),
    ],
)
def test_the_language_is_the_one_that_a_browser_asks_for_most(asked: str, given: str) -> None:
    assert preferred(asked) == given
