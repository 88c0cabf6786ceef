"""Partners' folders and buckets in the map of what is seen: what we fetch, and what of it is missed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from monitor.partners import feeds, pull_times

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel import Session

    from monitor.partners.tables import Feed

SEES: Final = "The files that it puts for us into a folder or bucket of its own, each once."
BLIND_TO: Final = (
    "What it does not put there. Of what it put there before you gave us your samples, the last 30 days are "
    "fetched once more; what is older, or was taken away since, we cannot look at again: we keep no copy of "
    "files in which nobody was found."
)


@dataclass(frozen=True, slots=True)
class Pulled:
    """One place that is fetched by us. `seeing` is seen, not_yet, not_now or paused, as of sources."""

    name: str
    seeing: str
    looked_at: datetime | None
    every_s: float


def every(session: Session, now: datetime) -> list[Pulled]:
    """Give the places of all feeds that we fetch, by the feed's name; sandboxes are none."""
    return [
        Pulled(
            f"{partner.name} (its own folder)",
            seeing_of(row, now),
            None if row.pull_failures else row.pulled_at,
            float(row.pull_every_s),
        )
        for row, partner in feeds.every(session)
        if row.pull is not None and not row.sandbox
    ]


def seeing_of(row: Feed, now: datetime) -> str:
    """Say in a word whether a partner's folder is seen."""
    if not row.enabled:
        return "paused"
    if row.pull_failures or (row.pulled_at is not None and pull_times.is_late(row, now)):
        return "not_now"
    return "not_yet" if row.pulled_at is None else "seen"
