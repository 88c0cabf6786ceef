"""The report says what was expected and found, where everything lies, and which figures came out."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from monitor.demo.bench import as_result
from monitor.demo.catchers import Mail, Text
from monitor.demo.expectations import Observed, Sighting, judge
from monitor.demo.report import link_of, report
from monitor.demo.run import Result
from monitor.demo.sources import read_lock
from monitor.demo.surroundings import Surroundings
from monitor.demo.watching import CrawlFigures, StageTime
from monitor.values import Band
from tests.monitor.demo.test_expectations import EXPECTED, GOOD

HOME = Path("/somewhere/demo-output")
LINK = "http://127.0.0.1:8801/m/token"
MAIL = Mail(
    HOME / "mail" / "001.eml",
    "anna@example.org",
    "Something new about you",
    f"A voice that sounds like yours speaks in it, from 0:41\nto 0:46.\n\n{LINK}\n",
)


def ended(observed: Observed = GOOD) -> Result:
    return Result(
        expected=EXPECTED,
        observed=observed,
        judgement=judge(EXPECTED, observed),
        phases=(("crawl, look, tell", 12.3),),
        stages=(StageTime("decode", 4, 0.8, 0.5),),
        crawl=CrawlFigures(6, 5, 0, 4.2),
        mails=(MAIL, MAIL),
        texts=(Text("+12025550123", "You have a message."),) * 2,
        made=Surroundings(HOME, 8801, "secret", "token"),
        env_file=HOME / "demo.env",
        worker_peak_mb=640.0,
        model_ids=("m@1/p",),
        seconds=34.56,
    )


def shown(result: Result) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(report(result, read_lock()))
    return out.getvalue()


def test_a_good_run_is_shown_with_everything_one_wants_to_know() -> None:
    text = shown(ended())
    for said in (
        "/a-small.jpg",
        "at 41-44 s",
        "The demo passed",
        "4 of 4 planted appearances found",
        "0 strangers told",
        "2 incidents, 2 mails, 2 SMS",
        "34.6 s",
        "001.eml",
        "Something new about you",
        "A voice that sounds like yours speaks in it, from 0:41 to 0:46.",
        "You have a message.",
        "likeness serve --port 8801",
        LINK,
        "public domain",
        "640 MiB",
        "not_media",
    ):
        assert said in text, said
    assert "✘" not in text


def test_a_bad_run_names_its_faults_and_is_called_failed() -> None:
    stranger = Sighting("/stranger.jpg", "anna", Band.ALERT, "i1")
    text = shown(ended(replace(GOOD, sightings=(*GOOD.sightings[1:], stranger), inside_requests=1)))
    for said in (
        "The demo failed",
        "3 of 4",
        "1 strangers told",
        "/a.jpg: expected alert, got nobody",
        "1 requests",
    ):
        assert said in text, said


def test_the_link_of_a_mail_is_found() -> None:
    assert link_of(ended()) == LINK
    assert not link_of(replace(ended(), mails=()))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("demo.planted", 4),
        ("demo.found", 4),
        ("demo.strangers_alerted", 0),
        ("demo.alerts", 2),
        ("demo.seconds", 34.56),
    ],
)
def test_figures_have_the_names_that_programs_know(name: str, value: float) -> None:
    result = as_result(ended(), "cpu")
    assert result.figures[name].value == value
    assert name in result.as_json()
