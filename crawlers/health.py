"""How a source is: what its last looks gave, cost and met. For verbs, operator's pages and the map."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from crawlers import cadence, runs, sources

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlmodel import Session

    from crawlers.tables import CrawlRun, Source

LOOKS: Final = 50
"""Looks that are added up: so many of the newest, whether they took an hour or a year."""

LATE: Final = timedelta(hours=1)
"""Overdue by this, a source is late: with a scheduler that runs, looks begin within minutes."""

BY_ROBOTS: Final = frozenset({"robots", "robots_unreadable"})
"""Codes of what a robots.txt kept us from."""


class State(StrEnum):
    """How a source is, in one word. REFUSED: its robots.txt, or its server, does not let us look."""

    PAUSED = "paused"
    NEVER = "never looked at"
    WORKING = "working"
    FAILING = "failing"
    REFUSED = "refused"
    LATE = "late"


REFUSALS: Final = BY_ROBOTS | {"http_401", "http_403", "http_451", "fetch_refused"}
"""Codes of a source's own address with which it does not let us look, rather than not being able to."""


@dataclass(frozen=True, slots=True)
class Health:
    """One source and its last looks. `good` is the newest one that could be made, `since` is the oldest.

    `seconds` is how long the looks took, all together; `errors` counts codes without those of robots.txt.
    """

    source: Source
    state: State
    last: CrawlRun | None
    good: CrawlRun | None
    since: datetime | None
    looks: int
    pages: int
    media_found: int
    media_taken: int
    media_copies: int
    requests: int
    bytes_fetched: int
    seconds: float
    by_robots: int
    errors: Counter[str]
    refused_hosts: dict[str, str]
    lag_s: float | None

    @property
    def interval_s(self) -> int:
        """Seconds between two looks, as it is now."""
        return cadence.interval_of(self.source)

    def as_dict(self) -> dict[str, Any]:
        """Give it for programs."""
        sums = ("looks", "pages", "media_found", "media_taken", "media_copies", "requests", "bytes_fetched")
        return {
            "state": self.state.value,
            "since": self.since and self.since.isoformat(),
            **{name: getattr(self, name) for name in sums},
            "seconds": round(self.seconds, 1),
            "by_robots": self.by_robots,
            "errors": dict(self.errors),
            "refused_hosts": self.refused_hosts,
            "lag_s": self.lag_s,
        }


def health_of(session: Session, source: Source, now: datetime) -> Health:
    """Add up the last looks at one source."""
    found = runs.newest(session, source.id, LOOKS)
    dropped: Counter[str] = Counter()
    for run in found:
        dropped.update(json.loads(run.dropped))
    last, good = (found[0] if found else None), next(filter(_is_good, found), None)
    return Health(
        source=source,
        state=_state(source, found, now),
        last=last,
        good=good,
        since=found[-1].started_at if found else None,
        looks=len(found),
        pages=sum(run.pages for run in found),
        media_found=sum(run.media_found for run in found),
        media_taken=sum(run.media_taken for run in found),
        media_copies=sum(run.media_copies for run in found),
        requests=sum(run.requests for run in found),
        bytes_fetched=sum(run.bytes_fetched for run in found),
        seconds=sum(_seconds(run) for run in found),
        by_robots=sum(dropped[code] for code in BY_ROBOTS),
        errors=Counter({code: count for code, count in dropped.items() if code not in BY_ROBOTS}),
        refused_hosts=json.loads(last.refused_hosts) if last is not None else {},
        lag_s=next((run.lag_s for run in found if run.lag_s is not None), None),
    )


def every(session: Session, now: datetime) -> list[Health]:
    """Give all sources by name."""
    return [health_of(session, source, now) for source in sources.every(session)]


def _is_good(run: CrawlRun) -> bool:
    """Say whether a look was made: one that was cut short after its first pages was."""
    return run.state in {runs.FINISHED, runs.STOPPED} and run.pages > 0


def _seconds(run: CrawlRun) -> float:
    return 0.0 if run.finished_at is None else max(0.0, (run.finished_at - run.started_at).total_seconds())


def _state(source: Source, found: Sequence[CrawlRun], now: datetime) -> State:
    if not source.enabled:
        return State.PAUSED
    ended = next((run for run in found if run.state != runs.RUNNING), None)
    if ended is not None and ended.state == runs.FAILED:
        return State.REFUSED if ended.failed_code in REFUSALS else State.FAILING
    running = bool(found) and found[0].state == runs.RUNNING
    if not running and (source.due_at or source.created_at) < now - LATE:
        return State.LATE
    return State.WORKING if any(map(_is_good, found)) else State.NEVER
