"""The map of what is seen: each source in plain words, how fresh it is, and what of it nobody sees.

"Could not look" is not "found nothing": a source that is paused, failing, late or closed to us is never shown
as one that is watched.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

from crawlers import coverage_pulled, health
from crawlers.health import State
from crawlers.platforms.registry import SITE, kind_of, kinds
from monitor.db import reading

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

    from crawlers.coverage_pulled import Pulled
    from crawlers.health import Health

SITE_SEES: Final = "The pages of this site that it links to, with their pictures, films and sounds."
SITE_BLIND_TO: Final = (
    "Pages that no other page links to, what is shown only after signing in, and what its robots.txt asks "
    "programs not to look at."
)

STALE: Final = timedelta(days=3)
"""A source that was not looked at for this long, or for three of its intervals, is not called seen."""

SEEING: Final = {
    State.WORKING: "seen",
    State.LATE: "not_now",
    State.FAILING: "not_now",
    State.REFUSED: "not_allowed",
    State.PAUSED: "paused",
    State.NEVER: "not_yet",
}

KINDS: Final = {"image": "pictures", "video": "films", "audio": "sounds"}

STREAM_GAP: Final = "stream_gap"
"""As in outcomes.py, which imports Scrapy."""

P_co = TypeVar("P_co", covariant=True)


class MakesPlace(Protocol[P_co]):
    """What a place is handed on as: the entry file passes the Place of enrolment."""

    def __call__(  # noqa: PLR0913 - what is known of a place
        self,
        *,
        name: str,
        seeing: Any,  # noqa: ANN401 - the other side's enumeration
        sees: str,
        blind_to: str,
        looked_at: datetime | None,
        every_s: float,
        lag_s: float | None,
    ) -> P_co:
        """Make it."""


class Coverage(Generic[P_co]):
    """Says where we look. It fits the `CoverageBook` of enrolment without knowing enrolment."""

    def __init__(
        self,
        engine: Engine,
        make: MakesPlace[P_co],
        seeing: Any = str,  # noqa: ANN401 - as above
    ) -> None:
        """Give places as `make(...)`; `seeing` makes its word for whether a place is seen."""
        self._engine, self._make, self._seeing = engine, make, seeing

    def places(self, now: datetime) -> list[P_co]:
        """Give every source, by name, then the folders of partners that are fetched by us."""
        with reading(self._engine) as session:
            pulled = [self._pulled(one) for one in coverage_pulled.every(session, now)]
            return [*(self._place(one, now) for one in health.every(session, now)), *pulled]

    def _pulled(self, one: Pulled) -> P_co:
        return self._make(
            name=one.name,
            seeing=self._seeing(one.seeing),
            sees=coverage_pulled.SEES,
            blind_to=coverage_pulled.BLIND_TO,
            looked_at=one.looked_at,
            every_s=one.every_s,
            lag_s=None,
        )

    def _place(self, one: Health, now: datetime) -> P_co:
        sees, blind_to = words_of(one)
        return self._make(
            name=name_of(one),
            seeing=self._seeing(seeing_of(one, now)),
            sees=sees,
            blind_to=blind_to,
            looked_at=None if one.good is None else one.good.started_at,
            every_s=float(one.interval_s),
            lag_s=one.lag_s,
        )


def seeing_of(one: Health, now: datetime) -> str:
    """Say in a word whether a source is seen: seen, not_yet, not_now, not_allowed or paused."""
    old = max(STALE, timedelta(seconds=3 * one.interval_s))
    if one.state is State.WORKING and (one.good is None or one.good.started_at < now - old):
        return "not_now"
    return SEEING[one.state]


def name_of(one: Health) -> str:
    """Name a source for people: its host, and what it is; the operator's own word where it is not public."""
    source = one.source
    host = source.name if source.allow_private else (urlsplit(source.url).hostname or source.name)
    bare = host.removeprefix("www.")
    return bare if source.kind == SITE else f"{bare} ({source.kind.replace('_', ' ')})"


def words_of(one: Health) -> tuple[str, str]:
    """Say what is watched of a source, and what of it nobody sees; what is not collected is said, too."""
    source = one.source
    if source.kind == SITE:
        sees, blind_to = SITE_SEES, SITE_BLIND_TO
    elif source.kind in kinds():
        sees, blind_to = kind_of(source.kind).sees, kind_of(source.kind).blind_to
    else:
        sees, blind_to = "Nothing: this service cannot read this kind of place any more.", "All of it."
    left = [word for kind, word in KINDS.items() if kind not in source.collects.split(",")]
    if left:
        blind_to += f" Its {' and '.join(left)} are not taken."
    if one.errors[STREAM_GAP]:
        blind_to += " We were away for longer than it keeps its posts, and those of that time are missing."
    if one.by_robots and one.state is State.WORKING:
        blind_to += " Some of its addresses ask programs not to look, and we keep to that."
    return sees, blind_to
