"""The partners' routes, and how their answers look.

    POST /v1/feeds/{feed}/items       one item, or a batch of lines
    POST /v1/feeds/{feed}/uploads     a large file in pieces, by tus (partners/upload_routes.py)
    POST /v1/feeds/{feed}/takedowns   what became of an item at the partner's
    GET  /v1/feeds/{feed}             the feed's own limits and counts
    GET  /v1/openapi.json             all of this for a program

Every request but the last is signed. Every refusal is problem+json (RFC 9457) with a stable code. The answer
to an item says that it is written down, and has one shape: nobody learns from it whom anybody found.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from monitor.errors import (
    AddressRefused,
    BodyBroken,
    BodyTypeUnknown,
    ChecksumWrong,
    EmptyMedia,
    FeedPaused,
    ItemBroken,
    ItemKeyTaken,
    ItemUnknown,
    LikenessError,
    MessageReplayed,
    NotMedia,
    OffsetWrong,
    QuotaSpent,
    ScopeMissing,
    SignatureRefused,
    StorageError,
    TooFast,
    TooLarge,
    TusVersionUnknown,
    UploadBroken,
    UploadInUse,
    UploadsBusy,
    UploadTooSlow,
    UploadUnknown,
)
from monitor.partners import openapi, signatures, tus
from monitor.partners.entering import Receipt
from monitor.partners.receiving import UNBOUNDED, Receiver
from monitor.partners.reception import Call, Reception
from monitor.partners.upload_routes import UploadRoutes

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.partners.reception import LineAnswer
    from monitor.settings import Settings

PATH: Final = "/v1"

BATCH: Final = "application/x-ndjson"
JSON: Final = "application/json"
FORM: Final = "multipart/form-data"

FRAMING: Final = 16 * 2**10
"""Bytes of a body beside the file: names, addresses, boundaries."""

MOST_JSON: Final = 16 * 2**20
"""Bytes of one item as JSON. Base64 takes memory three times over; larger files come as a form."""

MOST_BATCH: Final = 16 * 2**20
"""Bytes of a batch."""

MOST_REPORT: Final = 16 * 2**10
"""Bytes of a takedown report."""

THREADS: Final = 8
"""Items sealed and stored at once: each waits for the disk most of the time."""

BATCHES_AT_ONCE: Final = 2

BUSY_S: Final = 1
"""Seconds to wait, told with a 503."""

CHECKSUM_MISMATCH: Final = 460
"""A status of tus, which HTTP itself does not have."""

STATUS: Final[dict[type[LikenessError], int]] = {
    SignatureRefused: HTTPStatus.UNAUTHORIZED,
    FeedPaused: HTTPStatus.FORBIDDEN,
    ScopeMissing: HTTPStatus.FORBIDDEN,
    MessageReplayed: HTTPStatus.CONFLICT,
    ItemKeyTaken: HTTPStatus.CONFLICT,
    ItemUnknown: HTTPStatus.NOT_FOUND,
    UploadUnknown: HTTPStatus.NOT_FOUND,
    UploadInUse: HTTPStatus.CONFLICT,
    OffsetWrong: HTTPStatus.CONFLICT,
    ChecksumWrong: CHECKSUM_MISMATCH,
    TusVersionUnknown: HTTPStatus.PRECONDITION_FAILED,
    BodyBroken: HTTPStatus.BAD_REQUEST,
    UploadBroken: HTTPStatus.BAD_REQUEST,
    BodyTypeUnknown: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    NotMedia: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ItemBroken: HTTPStatus.UNPROCESSABLE_ENTITY,
    AddressRefused: HTTPStatus.UNPROCESSABLE_ENTITY,
    EmptyMedia: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    TooFast: HTTPStatus.TOO_MANY_REQUESTS,
    QuotaSpent: HTTPStatus.TOO_MANY_REQUESTS,
    UploadTooSlow: HTTPStatus.REQUEST_TIMEOUT,
    UploadsBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    StorageError: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""How each refusal is told by HTTP. What is not here is a fault of ours."""

CHALLENGE: Final = "Standard-Webhooks"


class PartnerRoutes:
    """The routes over one database. Opens nothing before the first request."""

    def __init__(self, engine: Engine, keks: KeyEncryptionKeys, blobs: BlobStore, settings: Settings) -> None:
        """Join the parts."""
        self.reception = Reception(engine, keks, blobs, settings.max_bytes)
        self.receiver = Receiver()
        self._document = openapi.document(settings.public_url, self.reception.most_content)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="feed")
        self._batches = ThreadPoolExecutor(BATCHES_AT_ONCE, thread_name_prefix="feed-batch")

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(prefix=PATH, include_in_schema=False)
        router.get("/openapi.json")(self.document)
        router.get("/feeds/{feed}", response_model=None)(self.status)
        unbounded: dict[str, Any] = {"response_model": None, "max_body_size": UNBOUNDED}
        router.post("/feeds/{feed}/items", **unbounded)(self.items)
        router.post("/feeds/{feed}/takedowns", **unbounded)(self.takedowns)
        UploadRoutes(self.reception, self.receiver, self._threads, problem).add_to(router, unbounded)
        return router

    def close(self) -> None:
        """Write down what waits, and end the threads."""
        self._threads.shutdown()
        self._batches.shutdown()
        self.reception.close()

    def document(self) -> JSONResponse:
        """Describe the routes (OpenAPI 3.1)."""
        return JSONResponse(self._document)

    async def items(self, request: Request) -> Response:
        """Take one item or a batch."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        most = {JSON: MOST_JSON, BATCH: MOST_BATCH, FORM: self.reception.most_content + FRAMING}.get(kind)
        if most is None:
            msg = f"Content-Type is none of {JSON}, {BATCH} and {FORM}"
            return problem(BodyTypeUnknown(msg))
        return await self._answered(request, most, self._batch if kind == BATCH else self._one)

    async def takedowns(self, request: Request) -> Response:
        """Take a report about an item."""
        return await self._answered(request, MOST_REPORT, self._takedown)

    async def status(self, request: Request) -> Response:
        """Say how the feed is doing."""
        return await self._answered(request, 0, self._status)

    async def _answered(self, request: Request, most: int, take: Callable[[Call], Any]) -> Response:
        """Read the body and take it; whatever is refused becomes a problem."""
        try:
            signatures.read(request.headers, time.time())  # before a byte of the body is held for anybody
            body = await self.receiver.body(request, most)
            answer: Response = await take(Call(request.path_params["feed"], request.headers, body))
        except LikenessError as exc:
            return problem(exc)
        return answer

    async def _one(self, call: Call) -> Response:
        loop = asyncio.get_running_loop()
        future = await loop.run_in_executor(self._threads, self.reception.one, call)
        entered = await asyncio.wrap_future(future)
        if entered.error is not None:
            return problem(entered.error)
        [found] = entered.items
        if not isinstance(found, Receipt):
            return problem(found)
        body = {"key": found.key, "id": found.id, "status": "accepted"}
        return JSONResponse(body, HTTPStatus.ACCEPTED)

    async def _batch(self, call: Call) -> Response:
        loop = asyncio.get_running_loop()
        answers = await loop.run_in_executor(self._batches, self.reception.batch, call)
        lines = [_line(one) for one in answers]
        ends = Counter(line["status"] for line in lines)
        counts = {
            "accepted": ends["accepted"],
            "duplicates": ends["duplicate"],
            "refused": ends["refused"],
        }
        return JSONResponse({**counts, "items": lines}, HTTPStatus.ACCEPTED)

    async def _takedown(self, call: Call) -> Response:
        loop = asyncio.get_running_loop()
        report = await loop.run_in_executor(self._threads, self.reception.takedown, call)
        return JSONResponse({"key": report.key, "status": report.status}, HTTPStatus.ACCEPTED)

    async def _status(self, call: Call) -> Response:
        loop = asyncio.get_running_loop()
        return JSONResponse(await loop.run_in_executor(self._threads, self.reception.status, call))


def problem(exc: LikenessError) -> Response:
    """Tell a refusal. Raises it again where it is a fault of ours and no refusal."""
    status = next((code for kind, code in STATUS.items() if isinstance(exc, kind)), None)
    if status is None:
        raise exc
    said = f"{exc.message[:1].upper()}{exc.message[1:]}." + (f" {exc.hint}" if exc.hint else "")
    body = {
        "type": "about:blank",
        "title": "Checksum Mismatch" if status == CHECKSUM_MISMATCH else HTTPStatus(status).phrase,
        "status": status,
        "detail": said,
        "code": exc.code,
    }
    headers: dict[str, str] = {}
    if isinstance(exc, TusVersionUnknown):
        headers["Tus-Version"] = tus.VERSION
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = CHALLENGE
    if isinstance(exc, TooFast | QuotaSpent):
        headers["Retry-After"] = str(math.ceil(exc.after_s))
    elif status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(BUSY_S)
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")


def _line(answer: LineAnswer) -> dict[str, Any]:
    found = answer.found
    said: dict[str, Any] = {"line": answer.line, "key": answer.key}
    if isinstance(found, Receipt):
        return said | {"status": "duplicate" if found.again else "accepted", "id": found.id}
    return said | {"status": "refused", "code": found.code, "detail": f"{found.message}."}
