"""The web process: the pages behind the links of messages, and how the service is doing.

An entry file: it joins the packages and holds no rules of its own. The process opens sealed findings for
the person they belong to, so it needs the key-encryption key. It loads no models but one: where enrolment
is open, the face detector, at the first use of somebody's camera (enrollment/guidance.py).
"""

from __future__ import annotations

import gc
import importlib.metadata
import importlib.resources
import uuid
from contextlib import asynccontextmanager
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, StrictUndefined
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException

from alerts import policy
from alerts.interfaces import Watched
from alerts.links import Links
from alerts.web import Pages
from crawlers.coverage import Coverage
from crawlers.web import SourcePages
from enrollment.gate import EnrolledGate
from enrollment.interfaces import Place, Seeing
from enrollment.lookups import Lookups
from enrollment.web.frame import Frame
from enrollment.web.routers import routers
from monitor import claims, ledger, subject_keys
from monitor import log as logs
from monitor.api import PartnerRoutes
from monitor.blobs import BlobStore
from monitor.crypto import KeyEncryptionKeys
from monitor.db import reading, utc_now
from monitor.errors import KeysError, LikenessError, LinkInvalid, NotFound, SignInNeeded, SubjectErased
from monitor.ml.weights import entries
from monitor.operator import OperatorPages
from monitor.partners.page import FeedPages
from monitor.settings import Settings, load_settings
from monitor.switching import in_force
from monitor.tables import Lease

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy import Engine
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


log = logs.get(__name__)

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""On every answer. No script can run, nobody can frame a page, no other site learns an address."""

FORM_HEADERS = HEADERS | {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' blob:; "
        "media-src 'self' blob:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Permissions-Policy": (
        "camera=(self), microphone=(self), geolocation=(), "
        "publickey-credentials-create=(self), publickey-credentials-get=(self)"
    ),
}
"""On the pages of enrolment: scripts of our own alone, and camera and microphone when the person says so."""

FORM_PATHS = ("/enrol", "/account", "/enter")
"""Where FORM_HEADERS are sent."""

EXIT_HEADERS = HEADERS | {
    "Content-Security-Policy": HEADERS["Content-Security-Policy"].replace(
        "style-src", "script-src 'self'; style-src"
    )
}
"""On the pages of what was found: the one script is the way out, which goes faster than a link."""

EXIT_PATH = "/sightings"
"""Where EXIT_HEADERS are sent."""

PRIVATE = "no-store"
"""Pages about a person stay in no cache, of the browser or on the way."""

STATIC = "public, max-age=3600"
"""The style sheet is the same for everybody."""

TITLES = {
    HTTPStatus.NOT_FOUND: "This page is not here",
    HTTPStatus.UNAUTHORIZED: "This page is the operator's",
    HTTPStatus.FORBIDDEN: "This page does not open",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong on our side",
}
"""What a person reads instead of the phrases of HTTP."""

NOT_HERE = "There is no such page. If a link in a message led here, check that the whole link was copied."

LITTER = (50_000, 20, 50)
"""When Python looks for garbage (gc.set_threshold), once all that was imported is out of its way. Before, a
look held every request up for a quarter of a second (`likeness bench push`: p99 280 ms, then 95)."""

LARGEST_BODY = 16 * 2**10
"""Bytes of a form. The largest one of ours has a few dozen."""

STATUS = {
    NotFound: HTTPStatus.NOT_FOUND,
    SubjectErased: HTTPStatus.NOT_FOUND,
    LinkInvalid: HTTPStatus.FORBIDDEN,
}
"""How our errors are told by HTTP. An erased subject is the same as one who never was; the rest is 500."""


def from_environment() -> FastAPI:
    """Make the application from the environment, for a server that is given a name to call.

    What lives as long as the process is taken out of every later search for garbage.
    """
    app = create_app(load_settings())
    gc.collect()
    gc.freeze()
    gc.set_threshold(*LITTER)
    return app


def create_app(settings: Settings) -> FastAPI:
    """Join the parts into one application.

    Raises ConfigError without a link secret, or where another pack is in force, and KeysError without a
    key-encryption key: a process that cannot do its work does not start.
    """
    keks, links = KeyEncryptionKeys.from_settings(settings), Links.from_settings(settings)
    engine = ledger.open_ledger(settings)
    settings = in_force(engine, settings)
    partners = PartnerRoutes(engine, keks, BlobStore(settings.blobs), settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        partners.close()
        engine.dispose()

    app = FastAPI(
        title="Likeness Watch",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
        max_body_size=LARGEST_BODY,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.engine = engine
    app.add_middleware(_Headers, https=links.public_url.startswith("https:"))
    app.add_exception_handler(SignInNeeded, _sign_in)
    app.add_exception_handler(LikenessError, _ours)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _unusable)
    app.add_exception_handler(Exception, _unknown)
    app.include_router(partners.router())  # first: routes are tried in turn, and these are asked most
    app.mount("/static", StaticFiles(directory=str(importlib.resources.files("monitor") / "web" / "static")))
    if settings.operator_token is not None and settings.operator_token.get_secret_value():
        operators = OperatorPages(engine, settings)
        app.include_router(operators.router())
        app.include_router(SourcePages(engine, operators.let_in).router())
        app.include_router(FeedPages(engine, operators.let_in).router())
    frame = Frame(
        engine,
        keks,
        BlobStore(settings.blobs),
        settings,
        Lookups(engine, keks),
        links.secret,
        sms_elsewhere=policy.sms_of_a_day,
        coverage=Coverage(engine, Place, Seeing),
    )
    gate = EnrolledGate(frame, Watched)
    sightings = Pages(
        engine,
        keks,
        links,
        gate,
        lookalike_days=settings.lookalike_days,
        exit_url=settings.safe_exit_url,
    )
    app.include_router(sightings.router())
    for router in routers(frame):
        app.include_router(router)
    home = _home(is_open=settings.enrolment == "open")
    app.add_api_route("/", home, response_class=HTMLResponse, include_in_schema=False)
    _add_health(app, settings, engine, keks)
    return app


def _home(*, is_open: bool) -> Callable[[], str]:
    def home() -> str:
        """Tell somebody who comes without a link what this is, and nothing about anybody."""
        page: str = _page("home.html").render(is_open=is_open)
        return page

    return home


def _add_health(app: FastAPI, settings: Settings, engine: Engine, keks: KeyEncryptionKeys) -> None:
    @app.get("/health", include_in_schema=False)
    def health() -> dict[str, Any]:
        """Say that the process is alive, and what it and the workers are set up with."""
        return {
            "status": "alive",
            "version": importlib.metadata.version("likeness-watch"),
            "pack": settings.pack,
            "models": [f"{entry.name}@{entry.sha256[:16]}" for entry in entries(settings.pack)],
            "device": settings.device,
            "provider": "CUDAExecutionProvider" if settings.device == "cuda" else "CPUExecutionProvider",
        }

    @app.get("/ready", include_in_schema=False)
    def ready() -> JSONResponse:
        """Say whether the service can do its work; 503 and the reasons where it cannot."""
        checks = _checks(engine, keks)
        fine = all(said == "ok" for said in checks.values())
        body = {"status": "ready" if fine else "not ready", "checks": checks}
        return JSONResponse(body, HTTPStatus.OK if fine else HTTPStatus.SERVICE_UNAVAILABLE)


def _checks(engine: Engine, keks: KeyEncryptionKeys) -> dict[str, str]:
    try:
        return {"database": "ok", "keys": _keys(engine, keks), "gallery": _gallery(engine)}
    except SQLAlchemyError as exc:
        return {"database": f"does not answer: {type(exc).__name__}"}


def _keys(engine: Engine, keks: KeyEncryptionKeys) -> str:
    try:
        subject_keys.intake_opener(engine, keks)
    except KeysError as exc:
        return f"{exc.code}: {exc.message}"
    return "ok"


def _gallery(engine: Engine) -> str:
    """Read the workers' signs of life: a worker gives one only while its gallery is fresh."""
    with reading(engine) as session:
        until = session.exec(
            select(Lease.until)
            .where(col(Lease.name).startswith(claims.WORKER))
            .order_by(col(Lease.until).desc())
        ).first()
    if until is None:
        return "no worker is running"
    stale_s = (utc_now() - until).total_seconds()
    return "ok" if stale_s < 0 else f"no worker has given a sign of life for {stale_s:.0f} s past its lease"


async def _ours(request: Request, exc: Exception) -> Response:
    status = next((code for kind, code in STATUS.items() if isinstance(exc, kind)), None)
    if status is None or not isinstance(exc, LikenessError):
        return await _unknown(request, exc)
    return _problem(request, status, exc.code, exc.message)


async def _sign_in(request: Request, exc: Exception) -> Response:
    """Lead a browser to where one signs in; tell anything else that it must."""
    if isinstance(exc, SignInNeeded) and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(exc.path, HTTPStatus.SEE_OTHER)
    return _problem(request, HTTPStatus.UNAUTHORIZED, SignInNeeded.code, "Sign in to see this page.")


async def _http(request: Request, exc: Exception) -> Response:
    status = HTTPStatus(exc.status_code) if isinstance(exc, HTTPException) else HTTPStatus.BAD_REQUEST
    said = NOT_HERE if status == HTTPStatus.NOT_FOUND else status.description or status.phrase
    answer = _problem(request, status, status.phrase.lower().replace(" ", "_"), said)
    if isinstance(exc, HTTPException) and exc.headers:
        answer.headers.update(exc.headers)
    return answer


async def _unusable(request: Request, _exc: Exception) -> Response:
    return _problem(
        request, HTTPStatus.UNPROCESSABLE_ENTITY, "unusable", "What was sent is not what this page asks for."
    )


async def _unknown(request: Request, exc: Exception) -> Response:
    """Tell nothing but a number under which the operator finds the reason in the log."""
    number = uuid.uuid4().hex[:12]
    logs.get(__name__).error("request_failed", id=number, error=type(exc).__name__, exc_info=exc)
    said = "It is on record, and it is not your fault. Please try again later."
    return _problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, "internal", said, number)


def _problem(request: Request, status: HTTPStatus, code: str, detail: str, number: str = "") -> Response:
    """Answer with problem+json (RFC 9457), or with a page where the asker is a browser."""
    detail = f"{detail[:1].upper()}{detail[1:]}"
    if "text/html" in request.headers.get("accept", ""):
        page = _page("problem.html").render(title=TITLES.get(status, status.phrase), detail=detail, id=number)
        answer: Response = HTMLResponse(page, status)
    else:
        body = {
            "type": "about:blank",
            "title": status.phrase,
            "status": status,
            "detail": detail,
            "code": code,
        }
        body |= {"id": number} if number else {}
        answer = JSONResponse(body, status, media_type="application/problem+json")
    answer.headers.update(HEADERS | {"Cache-Control": PRIVATE})
    return answer


@cache
def _page(name: str) -> Any:  # noqa: ANN401 - a template of Jinja's
    environment = Environment(
        loader=PackageLoader("monitor", "web"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template(name)


def _headers_of(path: str) -> dict[str, str]:
    if path.startswith(FORM_PATHS):
        return FORM_HEADERS
    return EXIT_HEADERS if path.startswith(EXIT_PATH) else HEADERS


class _Headers:
    """Puts HEADERS on every answer."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app, self._https = app, https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._mark(MutableHeaders(scope=message), scope["path"])
            await send(message)

        await self._app(scope, receive, sending)

    def _mark(self, headers: MutableHeaders, path: str) -> None:
        headers.update(_headers_of(path))
        headers["Cache-Control"] = STATIC if path.startswith("/static/") else PRIVATE
        if self._https:
            headers["Strict-Transport-Security"] = "max-age=31536000"
