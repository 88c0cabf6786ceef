"""The operator's pages of partner feeds. They change nothing: that is what `likeness feed` is for.

    GET /operator/feeds          every feed: how it is, and what came today
    GET /operator/feeds/NAME     one feed: limits, keys, and what came and was refused on each day

Nothing on them is about a subject. Who may open them is for the caller to say (monitor/operator.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from sqlmodel import func, select

from monitor.db import reading, utc_now
from monitor.partners import counting, feeds, pull_times, uploads
from monitor.partners.entering import FETCH_DUE
from monitor.partners.tables import Feed, FeedItem, Partner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Engine

DAYS_SHOWN: Final = 14

WIDTH, HEIGHT = 700, 260
LEFT, RIGHT, TOP, BOTTOM = 80, 10, 20, 40
"""Size of the picture and its margins, in its own units."""


@dataclass(frozen=True, slots=True)
class Day:
    """One day's counts. `refused` is code -> number."""

    name: str
    accepted: int
    duplicate: int
    takedown: int
    refused: Mapping[str, int]

    @property
    def all_refused(self) -> int:
        """Refusals of every kind."""
        return sum(self.refused.values())

    @property
    def share_refused(self) -> float:
        """Refusals among all that came, 0 to 1."""
        return self.all_refused / max(1, self.accepted + self.duplicate + self.all_refused)


@dataclass(frozen=True, slots=True)
class Bar:
    """One day in the picture: what was taken, and above it what was refused. In units of the picture."""

    name: str
    x: float
    width: float
    taken_y: float
    taken_height: float
    refused_y: float
    refused_height: float


@dataclass(frozen=True, slots=True)
class Picture:
    """Bars of days, oldest first. `most` is the number at the top."""

    bars: tuple[Bar, ...]
    most: int
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    base: int = HEIGHT - BOTTOM


class FeedPages:
    """The routes, over one database. `let_in` raises what keeps everybody but the operator out."""

    def __init__(self, engine: Engine, let_in: Callable[[Request], None]) -> None:
        self._engine, self._let_in = engine, let_in

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(include_in_schema=False)
        router.get("/operator/feeds")(self.every)
        router.get("/operator/feeds/{name}")(self.one)
        return router

    def every(self, request: Request) -> HTMLResponse:
        """Show all feeds."""
        self._let_in(request)
        now = utc_now()
        with reading(self._engine) as session:
            found = [
                (row, partner, day_of(*counting.days(session, row.id, now, 1)[0]))
                for row, partner in feeds.every(session)
            ]
        return _page("feeds.html", found=found)

    def one(self, name: str, request: Request) -> HTMLResponse:
        """Show one feed. Raises NotFound."""
        self._let_in(request)
        now = utc_now()
        with reading(self._engine) as session:
            row = feeds.find(session, name)
            partner = session.get_one(Partner, row.partner_id)
            keys = feeds.keys_of(session, row.id)
            days = [day_of(*one) for one in counting.days(session, row.id, now, DAYS_SHOWN)]
            due = select(func.count()).where(FeedItem.feed_id == row.id, FeedItem.state == FETCH_DUE)
            waiting = session.exec(due).one()
            coming = uploads.unfinished(session, row.id, now)
        return _page(
            "feed.html",
            row=row,
            partner=partner,
            standing=standing_of(row),
            keys=[(key, feeds.counts(key, now)) for key in keys],
            days=days,
            picture=picture_of(days),
            waiting=waiting,
            uploads=coming,
            pulled=pull_times.said_of(row),
            next_at=None if row.pulled_at is None else row.pulled_at + pull_times.wait_of(row),
            late=pull_times.is_late(row, now),
        )


def standing_of(row: Feed) -> str:
    """Say in a word how a feed is."""
    if not row.enabled:
        return "paused"
    if row.pull_failures:
        return "failing"
    return "sandbox" if row.sandbox else "open"


def day_of(name: str, counts: Mapping[str, int]) -> Day:
    """Put one day's counts together."""
    return Day(
        name,
        counts.get(counting.ACCEPTED, 0),
        counts.get(counting.DUPLICATE, 0),
        counts.get(counting.TAKEDOWN, 0),
        {code: number for code, number in counts.items() if code not in counting.WELL},
    )


def picture_of(days: Sequence[Day]) -> Picture | None:
    """Draw the days, newest first as given; None where nothing came."""
    most = max((day.accepted + day.duplicate + day.all_refused for day in days), default=0)
    if most == 0:
        return None
    base, room = HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP
    step = (WIDTH - LEFT - RIGHT) / len(days)
    bars = []
    for number, day in enumerate(reversed(days)):
        taken = (day.accepted + day.duplicate) / most * room
        refused = day.all_refused / most * room
        x = round(LEFT + number * step + step * 0.15, 1)
        upper = base - taken
        bars.append(
            Bar(
                day.name,
                x,
                round(step * 0.7, 1),
                round(upper, 1),
                round(taken, 1),
                round(upper - refused, 1),
                round(refused, 1),
            )
        )
    return Picture(tuple(bars), most)


def _page(name: str, **words: Any) -> HTMLResponse:  # noqa: ANN401 - what a template is given
    return HTMLResponse(_templates().get_template(name).render(words))


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("monitor", "web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["standing_of"] = standing_of
    return environment
