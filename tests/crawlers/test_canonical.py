"""One address for the many ways to write it, and two for two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.canonical import canonical

ONE = "https://example.org/a%20b.jpg?size=2&v=1"


@pytest.mark.parametrize(
    "written",
    [
        "https://example.org/a%20b.jpg?size=2&v=1",
        "HTTPS://Example.ORG:443/a b.jpg?v=1&size=2#top",
        "https://example.org./a%20b.jpg?v=1&utm_source=x&size=2&fbclid=IwAR0",
        "https://example.org/a%20b.jpg;jsessionid=0A1B?size=2&v=1&PHPSESSID=7",
    ],
)
def test_many_ways_to_write_one_address(written: str) -> None:
    assert canonical(written) == ONE


@pytest.mark.parametrize(
    "other",
    [
        "http://example.org/a%20b.jpg?size=2&v=1",
        "https://example.org:8443/a%20b.jpg?size=2&v=1",
        "https://www.example.org/a%20b.jpg?size=2&v=1",
        "https://example.org/A%20b.jpg?size=2&v=1",
        "https://example.org/a%20b.jpg?size=3&v=1",
        "https://example.org/a%20b.jpg?size=2&v=1&page=2",
    ],
)
def test_what_may_show_something_else_stays_another_address(other: str) -> None:
    assert canonical(other) != ONE


@pytest.mark.parametrize("odd", ["", "#", "data:,A", "http://", "http://[::1", "x" * 9000, "/a"])
def test_what_is_no_address_is_left_alone(odd: str) -> None:
    assert canonical(odd) == odd


@given(st.text(max_size=60))
def test_canonical_is_canonical(text: str) -> None:
    once = canonical(f"https://example.org/{text}")
    assert canonical(once) == once
