"""The operator's pages of sources. They change nothing: that is what `likeness source` is for.

    GET /operator/sources          every source: how it is, and what its last looks gave and cost
    GET /operator/sources/NAME     one source: its runs, and what gave nothing and why

Nothing on them is about a subject. Who may open them is for the caller to say (monitor/operator.py).
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from crawlers import health, runs, sources
from crawlers.units import size, span
from monitor.db import reading, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

RUNS_SHOWN: Final = 50
ADDRESSES_SHOWN: Final = 100
"""On the page of a source, the newest first."""


class SourcePages:
    """The routes, over one database. `let_in` raises what keeps everybody but the operator out."""

    def __init__(self, engine: Engine, let_in: Callable[[Request], None]) -> None:
        self._engine, self._let_in = engine, let_in

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(include_in_schema=False)
        router.get("/operator/sources")(self.every)
        router.get("/operator/sources/{name}")(self.one)
        return router

    def every(self, request: Request) -> HTMLResponse:
        """Show all sources."""
        self._let_in(request)
        now = utc_now()
        with reading(self._engine) as session:
            found = health.every(session, now)
        return _page("sources.html", found=found, now=now)

    def one(self, name: str, request: Request) -> HTMLResponse:
        """Show one source. Raises NotFound."""
        self._let_in(request)
        now = utc_now()
        with reading(self._engine) as session:
            row = sources.find(session, name)
            found = health.health_of(session, row, now)
            last = runs.newest(session, row.id, RUNS_SHOWN)
            failed = sources.gave_nothing(session, row.id, ADDRESSES_SHOWN)
        return _page(
            "source.html",
            one=found,
            options=sorted(sources.options_of(row).items()),
            warnings=sources.warnings(row),
            last=[(run, json.loads(run.dropped), json.loads(run.refused_hosts)) for run in last],
            failed=failed,
            most=ADDRESSES_SHOWN,
            now=now,
        )


def _page(name: str, **words: Any) -> HTMLResponse:  # noqa: ANN401 - what a template is given
    return HTMLResponse(_templates().get_template(name).render(words))


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("crawlers"), PackageLoader("monitor", "web")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"span": span, "size": size}
    return environment
