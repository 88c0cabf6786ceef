"""Guidance in front of the camera: a small square of pixels in, one sentence out, nothing kept or logged.

    POST /enrol/guide    exactly guidance.BYTES bytes; {"code", "sentence", "ok"}

503 where there is no detector (the page goes by brightness alone then), 429 above PER_SECOND.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from enrollment.guidance import BYTES, Guide

if TYPE_CHECKING:
    from enrollment.web.frame import Frame

PER_SECOND: Final = 4
"""Looks in one second of one session. The page asks for two."""

AT_ONCE: Final = 2
"""Looks at the same time: 10 ms each, and the rest of the process must go on."""

WITHIN_S: Final = 5.0
"""The bytes are there within so many seconds, or guidance is of no use any more."""

REMEMBERED: Final = 4096
"""Sessions whose last second is remembered; the oldest is forgotten first."""


class GuidePage:
    """The one route, with its counts. Its state is touched by the event loop only."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._guide = Guide(frame.settings)
        self._asked: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._looking = asyncio.Semaphore(AT_ONCE)

    def router(self) -> APIRouter:
        """Give the route for an application to include."""
        router = APIRouter(include_in_schema=False)
        router.post("/enrol/guide", response_model=None, max_body_size=BYTES)(self.look)
        return router

    async def look(self, request: Request) -> Response:
        """Say what to do now."""
        person = await run_in_threadpool(self._frame.changing, request)
        if not self._may(person.session_id):
            return _no(HTTPStatus.TOO_MANY_REQUESTS, "too_often")
        try:
            async with asyncio.timeout(WITHIN_S):
                raw = await request.body()
        except (TimeoutError, ClientDisconnect):
            return _no(HTTPStatus.REQUEST_TIMEOUT, "upload_too_slow")
        if len(raw) != BYTES:
            return _no(HTTPStatus.UNPROCESSABLE_ENTITY, "unusable")
        async with self._looking:
            said = await run_in_threadpool(self._guide.say, raw)
        if said is None:
            return _no(HTTPStatus.SERVICE_UNAVAILABLE, "no_guidance")
        return JSONResponse({"code": said.code, "sentence": said.sentence, "ok": said.ok})

    def _may(self, session_id: str) -> bool:
        """Count one more look of a session, and say whether it is within PER_SECOND."""
        second = int(time.monotonic())
        since, count = self._asked.pop(session_id, (second, 0))
        count = count + 1 if since == second else 1
        self._asked[session_id] = (second, count)
        if len(self._asked) > REMEMBERED:
            self._asked.popitem(last=False)
        return count <= PER_SECOND


def _no(status: HTTPStatus, code: str) -> JSONResponse:
    return JSONResponse({"code": code, "ok": False}, status)
