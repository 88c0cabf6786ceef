"""The operator's pages: /metrics for a Prometheus, /operator/budget for a person.

    GET /metrics            counts, thresholds, expected and actual false alerts, drift
    GET /operator/budget    the same as a page

Nothing on them is about a subject. They open for LIKENESS_OPERATOR_TOKEN alone, as the password of HTTP Basic
with any name or as a Bearer token; without that setting there are no such pages, not even closed ones.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import threading
import time
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from starlette.exceptions import HTTPException

from monitor import metrics
from monitor.balance import balance_of
from monitor.budget import halves_at_rest
from monitor.budget_words import dial_sentences, name_of, outcome_sentences, side_sentences, worst_of
from monitor.db import reading, utc_now
from monitor.errors import ConfigError
from monitor.histogram import picture_of, rows_of
from monitor.switching import in_force

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlmodel import Session

    from monitor.balance import Balance
    from monitor.settings import Settings

LEAST_TOKEN = 32
"""Letters of the token. It is all that keeps these pages closed, and nobody has to remember it."""

LONGEST_HEADER = 4096
"""Letters of an Authorization header that are looked at."""

FRESH_S = 10.0
"""How long what was written for /metrics serves: whoever asks often must not keep the ledger busy."""

CHALLENGE = 'Basic realm="operator", charset="UTF-8"'


class OperatorPages:
    """The routes, over one database. Raises ConfigError for a token that is too short or missing."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        """Take the token. What it opens is put together anew for each request, at most every FRESH_S."""
        token = settings.operator_token.get_secret_value() if settings.operator_token else ""
        if len(token) < LEAST_TOKEN:
            msg = f"LIKENESS_OPERATOR_TOKEN is shorter than {LEAST_TOKEN} characters"
            hint = "Make one: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
            raise ConfigError(msg, hint=hint)
        self._token = token.encode()
        self._engine, self._settings = engine, settings
        self._lock = threading.Lock()
        self._written: tuple[float, bytes] | None = None

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(include_in_schema=False)
        router.get("/metrics")(self.metrics)
        router.get("/operator/budget")(self.budget)
        return router

    def metrics(self, request: Request) -> Response:
        """Write down how the watch is doing."""
        self.let_in(request)
        with self._lock:
            now = time.monotonic()
            if self._written is None or now - self._written[0] > FRESH_S:
                with reading(self._engine) as session:
                    self._written = (now, metrics.written(session, self._balance(session)))
            return Response(self._written[1], headers={"Content-Type": metrics.CONTENT_TYPE})

    def budget(self, request: Request) -> HTMLResponse:
        """Show the dial, expected against actual, and strangers' scores."""
        self.let_in(request)
        with reading(self._engine) as session:
            balance = self._balance(session)
        sides = [
            {
                "modality": side.modality.value,
                "name": name_of(side),
                "model": side.thresholds.model_id,
                "sentences": side_sentences(side),
                "picture": picture_of(side),
                "rows": rows_of(side),
            }
            for side in balance.sides
        ]
        page = _template().render(
            dial=dial_sentences(balance),
            outcome=outcome_sentences(balance),
            drifts=balance.drifts,
            worst=worst_of(balance).value,
            sides=sides,
        )
        return HTMLResponse(page)

    def _balance(self, session: Session) -> Balance:
        now = in_force(self._engine, self._settings, going_on=True)
        return balance_of(session, halves_at_rest(now), utc_now())

    def let_in(self, request: Request) -> None:
        """Raise 401 unless the request carries the token. The comparison takes as long for any guess."""
        if not hmac.compare_digest(_token_in(request.headers.get("authorization", "")), self._token):
            raise HTTPException(
                HTTPStatus.UNAUTHORIZED,
                "The operator's token is needed here.",
                headers={"WWW-Authenticate": CHALLENGE},
            )


def _token_in(header: str) -> bytes:
    """Give the token of an Authorization header, as bytes on the wire; empty where it holds none."""
    scheme, _, rest = header[:LONGEST_HEADER].partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip().encode("latin-1")
    if scheme.lower() != "basic":
        return b""
    try:
        _name, _, password = base64.b64decode(rest.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return b""
    return password


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("monitor", "web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("budget.html")
