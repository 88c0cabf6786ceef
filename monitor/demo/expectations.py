"""Who must be found where, and the comparison with what was found.

Paths are those of the demo site, like `/photos/speech.jpg`. Nothing here knows how the site is made or
how the ledger is read, so the judgement can be tested by itself.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from monitor.values import Band, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DONE = "done"
"""Outcome of a path whose media was looked at to the end."""

NOT_FETCHED = "not_fetched"
"""Outcome of a path that nobody asked the site for."""

SURE = frozenset({Band.ALERT})
UNSURE = frozenset({Band.ALERT, Band.REVIEW})
"""Half a face may wait for a human look; everything else must be told."""

COVERED = 0.5
"""Part of a planted span that must be reported: a window of speech is about three seconds long, so the
edges of a six-second clip may fall away."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody to enrol. `faces` and `voices` are names in `deploy/demo.lock`."""

    key: str
    name: str
    email: str
    phone: str
    faces: tuple[str, ...] = ()
    voices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Planted:
    """One appearance of a person. Paths with the same `incident` show copies of one photograph.

    Copies are one incident, except where a human look is allowed: half a face shows too little of the
    picture to tell what it is a copy of. `spans` are the seconds at which she speaks; empty
    where nobody has to.
    """

    path: str
    person: str
    how: str
    incident: str
    bands: frozenset[Band] = SURE
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Decoy:
    """Media that shows nobody enrolled. It must be looked at, and nobody told."""

    path: str
    what: str


@dataclass(frozen=True, slots=True)
class Broken:
    """Something that cannot be looked at, and the codes that may say so."""

    path: str
    what: str
    codes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Something that must not even be asked for."""

    path: str
    what: str


@dataclass(frozen=True, slots=True)
class Expected:
    """The ground truth of one site."""

    people: tuple[Person, ...]
    planted: tuple[Planted, ...]
    decoys: tuple[Decoy, ...]
    broken: tuple[Broken, ...]
    forbidden: tuple[Forbidden, ...]


@dataclass(frozen=True, slots=True)
class Sighting:
    """One finding at one path. `incident` is the incident's id, empty when nobody was told."""

    path: str
    person: str
    band: Band
    incident: str = ""
    face_score: float | None = None
    voice_score: float | None = None
    voice_spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Observed:
    """What the run brought. `messages` counts the messages per person key and channel.

    `outcomes` maps a path to DONE or to the code that stopped it; a path nobody asked for is left
    out. `inside_requests` are the requests that reached the server that a redirect pointed to.
    """

    sightings: tuple[Sighting, ...]
    outcomes: Mapping[str, str]
    requested: frozenset[str]
    messages: Mapping[tuple[str, str], int]
    inside_requests: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the judgement: what was expected at a path and what came."""

    path: str
    what: str
    expected: str
    found: str
    good: bool
    group: str = ""
    sighting: Sighting | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """Everything compared. `faults` are whole sentences; none means that the demo passed."""

    planted: tuple[Line, ...]
    strangers: tuple[Line, ...]
    broken: tuple[Line, ...]
    forbidden: tuple[Line, ...]
    incidents: Mapping[str, frozenset[str]]
    strangers_alerted: int
    faults: tuple[str, ...] = field(default=())

    @property
    def found(self) -> int:
        """How many planted appearances were found in a band they may have."""
        return sum(line.good for line in self.planted)

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def judge(expected: Expected, observed: Observed) -> Judgement:
    """Compare what was found with what was planted."""
    planted = tuple(_judge_planted(entry, observed) for entry in expected.planted)
    strangers = tuple(_judge_decoy(entry, observed) for entry in expected.decoys)
    broken = tuple(_judge_broken(entry, observed) for entry in expected.broken)
    forbidden = tuple(_judge_forbidden(entry, observed) for entry in expected.forbidden)
    wrong = wrongly_told(expected, observed)
    lines = (*planted, *strangers, *broken, *forbidden)
    faults = [f"{line.path}: expected {line.expected}, got {line.found}." for line in lines if not line.good]
    faults += [f"{s.path}: {s.person} was told, and is not there." for s in wrong]
    faults += _incident_faults(expected, observed)
    faults += _message_faults(expected, observed)
    if observed.inside_requests:
        faults.append(f"{observed.inside_requests} requests reached a server inside the network.")
    return Judgement(
        planted, strangers, broken, forbidden, incidents_of(observed.sightings), len(wrong), tuple(faults)
    )


def wrongly_told(expected: Expected, observed: Observed) -> tuple[Sighting, ...]:
    """Give the sightings in the alert band of somebody who is not at that path."""
    there = {(entry.path, entry.person) for entry in expected.planted}
    return tuple(s for s in observed.sightings if s.band is Band.ALERT and (s.path, s.person) not in there)


def incidents_of(sightings: Iterable[Sighting]) -> dict[str, frozenset[str]]:
    """Give the incidents that each person was told of."""
    told: dict[str, set[str]] = defaultdict(set)
    for sighting in sightings:
        if sighting.incident:
            told[sighting.person].add(sighting.incident)
    return {person: frozenset(ids) for person, ids in told.items()}


def covers(reported: Iterable[Span], planted: Iterable[Span]) -> bool:
    """Say whether the reported seconds hold enough of each planted span, and nothing apart from them."""
    reported, planted = tuple(reported), tuple(planted)
    enough = all(
        sum(_overlap(span, said) for said in reported) >= COVERED * (span.end_s - span.start_s)
        for span in planted
    )
    return enough and all(any(_overlap(said, span) > 0 for span in planted) for said in reported)


def _overlap(one: Span, other: Span) -> float:
    return max(0.0, min(one.end_s, other.end_s) - max(one.start_s, other.start_s))


def _judge_planted(entry: Planted, observed: Observed) -> Line:
    seen = [s for s in observed.sightings if (s.path, s.person) == (entry.path, entry.person)]
    expected = " or ".join(sorted(entry.bands))
    if not seen:
        outcome = observed.outcomes.get(entry.path, NOT_FETCHED)
        found = "nobody" if outcome == DONE else outcome
        return Line(entry.path, entry.how, expected, found, good=False, group=entry.incident)
    best = min(seen, key=lambda s: s.band is not Band.ALERT)
    right_time = not entry.spans or covers(best.voice_spans, entry.spans)
    found = str(best.band) if right_time else f"{best.band} at other seconds"
    good = right_time and best.band in entry.bands
    return Line(entry.path, entry.how, expected, found, good=good, group=entry.incident, sighting=best)


def _judge_decoy(entry: Decoy, observed: Observed) -> Line:
    alerts = [s for s in observed.sightings if s.path == entry.path and s.band is Band.ALERT]
    held = [s for s in observed.sightings if s.path == entry.path and s.band is Band.REVIEW]
    outcome = observed.outcomes.get(entry.path, NOT_FETCHED)
    found = "alert" if alerts else "held for review" if held else "nobody" if outcome == DONE else outcome
    return Line(entry.path, entry.what, "nobody", found, good=not alerts and outcome == DONE)


def _judge_broken(entry: Broken, observed: Observed) -> Line:
    outcome = observed.outcomes.get(entry.path, NOT_FETCHED)
    expected = " or ".join(sorted(entry.codes))
    return Line(entry.path, entry.what, expected, outcome, good=outcome in entry.codes)


def _judge_forbidden(entry: Forbidden, observed: Observed) -> Line:
    asked = entry.path in observed.requested
    return Line(
        entry.path, entry.what, "not asked for", "asked for" if asked else "not asked for", good=not asked
    )


def _incident_faults(expected: Expected, observed: Observed) -> list[str]:
    group_of = {(e.path, e.person): e.incident for e in expected.planted if e.bands == SURE}
    told: dict[str, set[str]] = defaultdict(set)
    for s in observed.sightings:
        if s.incident and (s.path, s.person) in group_of:
            told[group_of[s.path, s.person]].add(s.incident)
    faults = [
        f"{group}: copies of one appearance were told as {len(told[group])} incidents."
        for group in sorted(set(group_of.values()))
        if len(told[group]) != 1
    ]
    ids = [i for group in told.values() for i in group]
    if len(ids) != len(set(ids)):
        faults.append("Two different appearances were told as one incident.")
    return faults


def _message_faults(expected: Expected, observed: Observed) -> list[str]:
    told = incidents_of(observed.sightings)
    faults = []
    for person in expected.people:
        for channel in [c for c, address in (("email", person.email), ("sms", person.phone)) if address]:
            wanted, came = len(told.get(person.key, ())), observed.messages.get((person.key, channel), 0)
            if wanted != came:
                faults.append(f"{person.name}: {wanted} incidents, but {came} messages by {channel}.")
    return faults
