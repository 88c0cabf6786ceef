"""The worst sign counts, and the person's text says nothing of it."""

from __future__ import annotations

import json

import pytest

from enrollment.identity.signs import Outcome, Sign
from enrollment.identity.verdict import State, join, words_of

GOOD = Sign("turns", Outcome.PASS, "turns_done", 1.0)
UNSURE = Sign("voice", Outcome.DOUBT, "voice_unsure", 0.4)
BAD = Sign("digits", Outcome.FAIL, "digits_other", 5.0)


def test_the_worst_sign_counts() -> None:
    assert join((GOOD, GOOD)).state is State.PASSED
    assert join((GOOD, UNSURE)).state is State.HELD
    assert join((GOOD, UNSURE, BAD)).state is State.REFUSED
    assert join((GOOD, UNSURE, BAD)).codes == ("digits_other", "voice_unsure")


def test_nothing_checked_is_no_pass() -> None:
    with pytest.raises(ValueError, match="no check"):
        join(())


def test_the_report_names_what_was_not_assessed() -> None:
    read = json.loads(join((GOOD, BAD), ("synthetic_voice",)).report())
    assert read["state"] == "refused"
    assert read["not assessed"] == ["synthetic_voice"]
    assert [one["code"] for one in read["signs"]] == ["turns_done", "digits_other"]


def test_whoever_is_held_reads_what_whoever_passed_reads() -> None:
    assert words_of(State.PASSED) == words_of(State.HELD)


@pytest.mark.parametrize("state", [State.PASSED, State.HELD, State.REFUSED, State.FAILED])
def test_no_text_names_a_check(state: State) -> None:
    words = words_of(state)
    text = f"{words.heading} {words.text}".lower()
    for told in (
        "turn",
        "voice",
        "lips",
        "replay",
        "mask",
        "photo",
        "screen",
        "wrong",
        "match",
        "score",
        "held",
    ):
        assert told not in text


def test_an_open_challenge_has_no_text() -> None:
    with pytest.raises(KeyError):
        words_of(State.WAITING)
