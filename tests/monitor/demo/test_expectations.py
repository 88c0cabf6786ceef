"""The judgement names each kind of fault, and passes only when there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.demo.expectations import (
    DONE,
    UNSURE,
    Broken,
    Decoy,
    Expected,
    Forbidden,
    Observed,
    Person,
    Planted,
    Sighting,
    covers,
    judge,
)
from monitor.values import Band, Span

ANNA = Person("anna", "Anna", "anna@example.org", "+12025550123", faces=("a",))
EXPECTED = Expected(
    people=(ANNA,),
    planted=(
        Planted("/a.jpg", "anna", "whole", "a"),
        Planted("/a-small.jpg", "anna", "resized", "a"),
        Planted("/b.mp3", "anna", "in a podcast", "b", spans=(Span(40.0, 46.0),)),
        Planted("/half.jpg", "anna", "half", "c", UNSURE),
    ),
    decoys=(Decoy("/stranger.jpg", "a stranger"),),
    broken=(Broken("/noise.jpg", "noise", frozenset({"not_media"})),),
    forbidden=(Forbidden("/private.jpg", "robots"),),
)
GOOD = Observed(
    sightings=(
        Sighting("/a.jpg", "anna", Band.ALERT, "i1"),
        Sighting("/a-small.jpg", "anna", Band.ALERT, "i1"),
        Sighting("/b.mp3", "anna", Band.ALERT, "i2", voice_spans=(Span(41.0, 44.5),)),
        Sighting("/half.jpg", "anna", Band.REVIEW),
    ),
    outcomes={"/a.jpg": DONE, "/stranger.jpg": DONE, "/noise.jpg": "not_media"},
    requested=frozenset({"/a.jpg"}),
    messages={("anna", "email"): 2, ("anna", "sms"): 2},
)


def with_sightings(*sightings: Sighting) -> Observed:
    return replace(GOOD, sightings=(*GOOD.sightings, *sightings))


def test_a_good_run_passes() -> None:
    judgement = judge(EXPECTED, GOOD)
    assert judgement.passed, judgement.faults
    assert (judgement.found, judgement.strangers_alerted) == (4, 0)
    assert judgement.incidents == {"anna": {"i1", "i2"}}


FAULTS = {
    "missed": (replace(GOOD, sightings=GOOD.sightings[:1] + GOOD.sightings[2:]), "/a-small.jpg"),
    "only held for review": (
        replace(
            GOOD, sightings=(replace(GOOD.sightings[0], band=Band.REVIEW, incident=""), *GOOD.sightings[1:])
        ),
        "expected alert, got review",
    ),
    "at other seconds": (
        replace(
            GOOD,
            sightings=(
                *GOOD.sightings[:2],
                replace(GOOD.sightings[2], voice_spans=(Span(2.0, 8.0),)),
                GOOD.sightings[3],
            ),
        ),
        "at other seconds",
    ),
    "a stranger told": (
        with_sightings(Sighting("/stranger.jpg", "anna", Band.ALERT, "i1")),
        "anna was told, and is not there",
    ),
    "a stranger not looked at": (
        replace(GOOD, outcomes={"/noise.jpg": "not_media"}),
        "/stranger.jpg: expected nobody, got not_fetched",
    ),
    "another code": (replace(GOOD, outcomes={**GOOD.outcomes, "/noise.jpg": DONE}), "/noise.jpg"),
    "asked for what robots.txt forbids": (
        replace(GOOD, requested=frozenset({"/private.jpg"})),
        "/private.jpg: expected not asked for",
    ),
    "led inside": (replace(GOOD, inside_requests=1), "inside the network"),
    "copies told twice": (
        replace(
            GOOD,
            sightings=(GOOD.sightings[0], replace(GOOD.sightings[1], incident="i9"), *GOOD.sightings[2:]),
            messages={("anna", "email"): 3, ("anna", "sms"): 3},
        ),
        "told as 2 incidents",
    ),
    "two things told as one": (
        replace(
            GOOD,
            sightings=(*GOOD.sightings[:2], replace(GOOD.sightings[2], incident="i1"), GOOD.sightings[3]),
            messages={("anna", "email"): 1, ("anna", "sms"): 1},
        ),
        "told as one incident",
    ),
    "a message too many": (
        replace(GOOD, messages={("anna", "email"): 3, ("anna", "sms"): 2}),
        "3 messages by email",
    ),
    "no SMS": (replace(GOOD, messages={("anna", "email"): 2}), "0 messages by sms"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_named(name: str) -> None:
    observed, said = FAULTS[name]
    judgement = judge(EXPECTED, observed)
    assert not judgement.passed
    assert any(said in fault for fault in judgement.faults), judgement.faults


def test_strangers_told_are_counted_per_sighting_also_where_somebody_else_is_planted() -> None:
    observed = with_sightings(
        Sighting("/stranger.jpg", "anna", Band.ALERT, "i1"), Sighting("/a.jpg", "bert", Band.ALERT, "i3")
    )
    assert judge(EXPECTED, observed).strangers_alerted == 2


@pytest.mark.parametrize(
    ("reported", "right"),
    [
        ([(40, 46)], True),
        ([(41, 43), (43.5, 46)], True),
        ([(40, 42)], False),
        ([], False),
        ([(40, 46), (60, 63)], False),
    ],
)
def test_reported_seconds_must_hold_the_planted_ones_and_nothing_else(
    reported: list[tuple[float, float]],
    right: bool,  # noqa: FBT001 - pytest passes parameters by name
) -> None:
    assert covers([Span(*pair) for pair in reported], [Span(40.0, 46.0)]) is right
