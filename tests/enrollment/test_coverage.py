"""Where we look, as a person reads it: what is seen, how fresh, and what is not."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from enrollment.web.coverage import often
from tests.enrollment.applicant import ANA

if TYPE_CHECKING:
    from tests.enrollment.residents import Residents

from crawlers import runs, sources
from crawlers.sources import NewSource
from monitor.values import SourceId


def source(town: Residents, name: str, state: str | None, failed: tuple[str, str] | None = None) -> None:
    row = sources.add(town.town.engine, NewSource(name, f"https://www.{name}.example/"), "me")
    if state is not None:
        run_id = runs.begin(town.town.engine, SourceId(row.id))
        tally = runs.Tally(pages=0 if failed else 2, lag_s=None if failed else 7200)
        runs.end(town.town.engine, run_id, tally, state, failed)


def test_the_map_says_what_is_seen_how_fresh_and_what_could_not_be_looked_at(town: Residents) -> None:
    town.watched()
    source(town, "fine", runs.FINISHED)
    source(town, "broken", runs.FAILED, ("fetch_timeout", "secret reason"))
    source(town, "closed", runs.FAILED, ("robots", "asks us not to"))
    source(town, "new", None)
    source(town, "off", runs.FINISHED)
    sources.set_enabled(town.town.engine, "off", "me", enabled=False)
    page = town.browsers[ANA].get("/account/coverage").text
    seen, unseen = page.split("<h2>Where we could not look</h2>")
    assert "fine.example" in seen
    assert "2 hours after it was made" in seen
    assert "every 6 hours" in seen
    for name, said in (
        ("broken", "it did not work"), ("closed", "does not let programs"), ("new", "have not looked there"),
        ("off", "stopped looking there"),
    ):  # fmt: skip
        assert f"{name}.example" not in seen
        assert said in unseen.split(f"{name}.example")[1][:200]
    assert "is not the same as found nothing" in unseen
    assert "secret reason" not in page
    assert "We compare pictures and films with your face" in page
    assert "We do not know your voice" in page


def test_somebody_who_is_not_watched_for_is_told_so(town: Residents) -> None:
    town.begun(name="Ana")
    page = town.browsers[ANA].get("/account/coverage").text
    assert "nobody is compared with you" in page
    assert "We look at no place by ourselves" in page


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(seconds=5), "a moment"), (timedelta(seconds=60), "a minute"),
        (timedelta(minutes=5), "5 minutes"),
        (timedelta(minutes=90), "2 hours"), (timedelta(hours=6), "6 hours"), (timedelta(days=1), "1 day"),
        (timedelta(days=9), "9 days"),
    ],
)  # fmt: skip
def test_lengths_are_words(length: timedelta, said: str) -> None:
    assert often(length.total_seconds()) == said
