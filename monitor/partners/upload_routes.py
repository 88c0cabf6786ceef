"""The routes of large files, by the tus protocol 1.0: creation, termination, expiration and checksum.

    OPTIONS /v1/feeds/{feed}/uploads        what is spoken here; the one request that is not signed
    POST    /v1/feeds/{feed}/uploads        begin: Upload-Length, Upload-Metadata
    HEAD    /v1/feeds/{feed}/uploads/{id}   how far it is
    PATCH   /v1/feeds/{feed}/uploads/{id}   the next piece: Upload-Offset, Upload-Checksum, the bytes
    DELETE  /v1/feeds/{feed}/uploads/{id}   forget it

What is signed instead of the body, tus.py says. A piece is sealed as it comes: no more of it than HELD is in
memory, and none of it ever lies on disk as it came. Libraries for this side of tus write what comes into a
file; that is why it is written here.
"""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi import Request, Response

from monitor.errors import BodyTypeUnknown, LikenessError, UploadsBusy
from monitor.partners import signatures, tus
from monitor.partners.receiving import announced
from monitor.partners.reception import Call

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

    from fastapi import APIRouter

    from monitor.partners.receiving import Receiver
    from monitor.partners.reception import Reception
    from monitor.partners.tables import FeedUpload
    from monitor.partners.uploads import Piece

HELD: Final = 512 * 1024
"""Bytes of a piece that are gathered before they are sealed."""

AT_ONCE: Final = 16
"""Pieces on their way in at a time, of all feeds together."""


class UploadRoutes:
    """The routes. `problem` makes an answer of a refusal."""

    def __init__(
        self,
        reception: Reception,
        receiver: Receiver,
        threads: ThreadPoolExecutor,
        problem: Callable[[LikenessError], Response],
    ) -> None:
        self._reception, self._receiver, self._threads = reception, receiver, threads
        self._problem = problem
        self._coming = 0

    def add_to(self, router: APIRouter, unbounded: dict[str, Any]) -> None:
        """Add them to the partners' routes."""
        every, one = "/feeds/{feed}/uploads", "/feeds/{feed}/uploads/{upload}"
        router.options(every, response_model=None)(self.options)
        router.post(every, response_model=None)(self.begin)
        router.head(one, response_model=None)(self.offset)
        router.patch(one, **unbounded)(self.piece)
        router.delete(one, response_model=None)(self.end)

    async def options(self) -> Response:
        """Say what is spoken here."""
        said = {
            "Tus-Version": tus.VERSION,
            "Tus-Extension": tus.EXTENSIONS,
            "Tus-Max-Size": str(self._reception.uploads.most),
            "Tus-Checksum-Algorithm": tus.ALGORITHM,
        }
        return _answer(HTTPStatus.NO_CONTENT, said)

    async def begin(self, request: Request) -> Response:
        """Begin an upload."""

        async def begun(call: Call) -> Response:
            row = await self._threaded(self._reception.begin_upload, call)
            where = {"Location": f"/v1/feeds/{call.feed}/uploads/{row.id}"}
            return _answer(HTTPStatus.CREATED, where | _expires(row))

        return await self._answered(request, begun)

    async def offset(self, request: Request) -> Response:
        """Say how far an upload is."""

        async def found(call: Call) -> Response:
            row = await self._threaded(self._reception.upload, call, request.path_params["upload"])
            said = {"Upload-Offset": str(row.offset), "Upload-Length": str(row.size_bytes)}
            return _answer(HTTPStatus.OK, said | _expires(row))

        return await self._answered(request, found)

    async def piece(self, request: Request) -> Response:
        """Take the next piece."""

        async def taken(call: Call) -> Response:
            row = await self._taken(request, call)
            return _answer(HTTPStatus.NO_CONTENT, {"Upload-Offset": str(row.offset)} | _expires(row))

        return await self._answered(request, taken)

    async def end(self, request: Request) -> Response:
        """Forget an upload."""

        async def ended(call: Call) -> Response:
            await self._threaded(self._reception.end_upload, call, request.path_params["upload"])
            return _answer(HTTPStatus.NO_CONTENT, {})

        return await self._answered(request, ended)

    async def _answered(self, request: Request, take: Callable[[Call], Any]) -> Response:
        """Put together what was signed and take it; whatever is refused becomes a problem."""
        places = request.path_params
        path = "/".join(["/v1/feeds", places["feed"], "uploads", *filter(None, [places.get("upload")])])
        try:
            signatures.read(request.headers, time.time())
            signed = tus.statement(request.method, path, request.headers)
            answer: Response = await take(Call(places["feed"], request.headers, signed))
        except LikenessError as exc:
            answer = self._problem(exc)
        answer.headers["Tus-Resumable"] = tus.VERSION
        return answer

    async def _taken(self, request: Request, call: Call) -> FeedUpload:
        piece = await self._threaded(self._reception.piece, call, request.path_params["upload"])
        self._coming += 1
        try:
            with self._reception.counted(piece.who):
                if self._coming > AT_ONCE:
                    msg = "too many pieces are on their way at this moment"
                    raise UploadsBusy(msg, hint="Wait a second, then send the same again.")
                return await self._received(request, call, piece)
        finally:
            self._coming -= 1
            await asyncio.shield(self._threaded(piece.close))

    async def _received(self, request: Request, call: Call, piece: Piece) -> FeedUpload:
        if call.content_type != tus.PIECE:
            msg = f"Content-Type is not {tus.PIECE}"
            raise BodyTypeUnknown(msg)
        if announced(request) > piece.room:
            raise piece.too_large()
        waiting = bytearray()
        async for data in self._receiver.pieces(request):
            waiting += data
            if len(waiting) >= HELD:
                await self._threaded(piece.take, bytes(waiting))
                waiting.clear()
        if waiting:
            await self._threaded(piece.take, bytes(waiting))
        row: FeedUpload = await self._threaded(piece.finish, tus.checksum_in(call.headers))
        return row

    async def _threaded(self, work: Callable[..., Any], *given: object) -> Any:  # noqa: ANN401 - what `work` gives
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *given)


def _expires(row: FeedUpload) -> dict[str, str]:
    return {"Upload-Expires": tus.expires(row.expires_at)}


def _answer(status: HTTPStatus, headers: dict[str, str]) -> Response:
    return Response(None, status, headers={"Tus-Resumable": tus.VERSION, **headers})
