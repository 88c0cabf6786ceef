"""The words that a person reads: calm, exact, and never a stranger's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.words import about_synthetic, clock, defanged, place_of, times
from monitor.values import Origin, OriginKind, Span, SyntheticAssessment, SyntheticSignal, SyntheticStatus
from tests.alerts.scene import NOON, NOT_ASSESSED


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://pictures.example/a/1.jpg", "pictures[.]example/a/1[.]jpg"),
        ("http://127.0.0.1:8000/x", "127[.]0[.]0[.]1:8000/x"),
        ("https://user:password@evil.example/", "evil[.]example/"),
        ("https://bücher.example/ü", "xn--bcher-kva[.]example/?"),
        ("https://a.example/?q=1#part", "a[.]example/?q=1"),
        ("https://a.example/\u202egpj.exe", "a[.]example/?gpj[.]exe"),
        ("", ""),
        ("not an address", ""),
        ("https://[broken", "an address that cannot be written"),
    ],
)
def test_an_address_can_be_read_and_not_clicked(url: str, shown: str) -> None:
    assert defanged(url) == shown


@given(st.text(max_size=400))
def test_whatever_a_hostile_site_calls_itself_only_short_plain_text_comes_out(text: str) -> None:
    shown = defanged(f"https://a.example/{text}")

    assert len(shown) <= 170
    assert all(" " <= letter <= "~" for letter in shown)
    assert "://" not in shown.partition("/")[0]


def test_moments_and_stretches_of_time() -> None:
    assert [clock(0), clock(61.9), clock(3725)] == ["0:00", "1:01", "1:02:05"]
    assert times([]) == ""
    assert times([Span(62.5, 80.1), Span(12.2, 44.2)]) == (
        "from 0:12 to 0:45 and from 1:02 to 1:21 (minutes:seconds)"
    )


def test_stretches_with_a_breath_between_them_are_one() -> None:
    assert times([Span(1, 4), Span(5, 8), Span(3, 4)]) == "from 0:01 to 0:08 (minutes:seconds)"


def test_a_hundred_stretches_stay_one_readable_sentence() -> None:
    said = times([Span(10 * n, 10 * n + 2) for n in range(100)])

    assert said.endswith("and 94 more times (minutes:seconds)")
    assert len(said) < 200


def test_what_is_not_assessed_is_said_to_be_not_assessed() -> None:
    assert "not checked whether it is real" in about_synthetic(NOT_ASSESSED)


@pytest.mark.parametrize("status", [SyntheticStatus.DECLARED, SyntheticStatus.DECLARED_CAPTURED])
def test_what_a_file_declares_is_passed_on_as_its_own_claim(status: SyntheticStatus) -> None:
    signal = SyntheticSignal("xmp", "Call 0900 12345 now", "synthetic")
    said = about_synthetic(SyntheticAssessment(status, (signal,), ""))

    assert "The file itself says" in said
    assert "no proof" in said
    assert "0900" not in said, "the file's own words never reach a message"


def test_a_place_without_an_address_is_named() -> None:
    assert place_of(Origin(OriginKind.SCAN, NOON)).site == "a file that was given to us to check"
    assert place_of(Origin(OriginKind.PUSH, NOON)).site == "a place without an address"
