"""Files as they come from a browser: bounded in bytes and time, held in memory only, never opened here.

The form parser that comes with the web framework writes larger files to a temporary file, in the clear.
A face does not rest on a disk unsealed, so here a multipart form (RFC 7578) is read into memory, which is
counted: what all people together have on its way has a bound, too.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from monitor.errors import LikenessError, TooLarge, UploadBroken, UploadsBusy, UploadTooSlow

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from fastapi import Request

FRAMING: Final = 16 * 2**10
"""Bytes of a form beside its files: boundaries, headers, small fields."""

MOST_FILES: Final = 8
"""Files in one form."""

MOST_FIELDS: Final = 8
LONGEST_FIELD: Final = 256
"""Small fields in one form, and bytes of each."""

LONGEST_NAME: Final = 60
"""Characters of a file's name that are shown again. It is never stored, and says nothing to anybody else."""

AT_ONCE: Final = 2
"""Uploads of one person at the same time: pictures and a recording may overlap."""

UNBOUNDED: Final = 2**63
"""For `max_body_size` of a route that reads with `Receiver`: it bounds by itself, and says so in a page."""

STATUS: Final[dict[type[LikenessError], HTTPStatus]] = {
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UploadBroken: HTTPStatus.BAD_REQUEST,
    UploadTooSlow: HTTPStatus.REQUEST_TIMEOUT,
    UploadsBusy: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""How each refusal is told by HTTP."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one upload may take, and all of them together (`room_bytes`).

    `stall_s` is the longest silence, `total_s` the longest upload, in seconds: 200 MiB in a quarter of
    an hour is 1.9 Mbit/s, and a picture of 4 MB comes through the worst of lines.
    """

    file_bytes: int
    room_bytes: int
    stall_s: float = 20.0
    total_s: float = 900.0


@dataclass(frozen=True, slots=True)
class File:
    """One file that came. `name` is what the browser called it, cut, for the same person to read again."""

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Form:
    """One form that came."""

    files: tuple[File, ...]
    fields: dict[str, str]


class Receiver:
    """Reads forms with files. One for the whole process; its counters are touched by the event loop only."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._held = 0
        self._coming: dict[str, int] = {}

    @contextmanager
    def place(self, who: str) -> Iterator[None]:
        """Hold a place for one upload of `who`. Raises UploadsBusy where they have enough on the way."""
        if self._coming.get(who, 0) >= AT_ONCE:
            msg = "another upload of yours is still on its way"
            raise UploadsBusy(msg, hint="Wait until it is through, then try again.")
        self._coming[who] = self._coming.get(who, 0) + 1
        try:
            yield
        finally:
            self._coming[who] -= 1
            if not self._coming[who]:
                del self._coming[who]

    async def form(self, request: Request, who: str) -> Form:
        """Read one form. `who` was checked to be signed in before, so nobody else can hold memory here.

        Raises TooLarge (early, where the browser says how much is to come), UploadTooSlow, UploadBroken,
        UploadsBusy.
        """
        most = self.limits.file_bytes + FRAMING
        if _announced(request) > most:
            raise _too_large(self.limits.file_bytes)
        reading = _Reading(_boundary(request), self.limits.file_bytes)
        with self.place(who):
            came = 0
            try:
                async for chunk in _chunks(request, self.limits):
                    came += len(chunk)
                    self._held += len(chunk)
                    if came > most:
                        raise _too_large(self.limits.file_bytes)
                    if self._held > self.limits.room_bytes:
                        msg = "many people send something at this moment"
                        raise UploadsBusy(msg, hint="Wait a minute, then try again.")
                    reading.feed(chunk)
                return reading.end()
            finally:
                self._held -= came


def _too_large(most: int) -> TooLarge:
    mib = most // 2**20
    msg = f"this is more than the {f'{mib} MB' if mib else f'{most // 1024} KB'} that are taken at once"
    return TooLarge(msg, hint="Give one file at a time, or a smaller one: a photograph or a short recording.")


async def _chunks(request: Request, limits: Limits) -> AsyncGenerator[bytes]:
    """Give what comes, as long as it comes in time."""
    until = time.monotonic() + limits.total_s
    stream = request.stream()
    while (chunk := await _next(stream, min(limits.stall_s, until - time.monotonic()))) is not None:
        yield chunk


async def _next(stream: AsyncGenerator[bytes], within_s: float) -> bytes | None:
    """Wait for the next bytes; None at the end. Raises UploadTooSlow, UploadBroken."""
    if within_s <= 0:
        raise _slow()
    try:
        async with asyncio.timeout(within_s):
            return await anext(stream, None)
    except TimeoutError as exc:
        raise _slow() from exc
    except ClientDisconnect as exc:
        raise _broken() from exc


def _slow() -> UploadTooSlow:
    msg = "the file came too slowly, and was given up"
    return UploadTooSlow(msg, hint="Try again nearer to the router, or give a smaller file.")


def _announced(request: Request) -> int:
    try:
        return int(request.headers.get("content-length", "0"))
    except ValueError as exc:
        raise _broken() from exc


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise _broken()
    return boundary


def _broken() -> UploadBroken:
    msg = "the file did not come through whole"
    return UploadBroken(msg, hint="Try again.")


@dataclass(slots=True)
class _Part:
    headers: dict[bytes, bytes] = field(default_factory=dict)
    data: bytearray = field(default_factory=bytearray)
    name: str = ""
    filename: str | None = None


class _Reading:
    """One form on its way, part by part, through the callbacks of python_multipart."""

    def __init__(self, boundary: bytes, file_bytes: int) -> None:
        self._file_bytes = file_bytes
        self._part = _Part()
        self._header, self._value = b"", b""
        self._files: list[File] = []
        self._fields: dict[str, str] = {}
        self._ended = False
        names = ("part_begin", "part_data", "part_end", "header_field", "header_value", "header_end")
        callbacks: Any = {f"on_{name}": getattr(self, f"_{name}") for name in names}
        callbacks |= {"on_headers_finished": self._headers_finished, "on_end": self._end}
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except FormParserError as exc:
            raise _broken() from exc

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes in. Raises UploadBroken."""
        try:
            self._parser.write(chunk)
        except FormParserError as exc:
            raise _broken() from exc

    def end(self) -> Form:
        """Give what came. Raises UploadBroken for a form without its end."""
        if not self._ended:
            raise _broken()
        return Form(tuple(self._files), self._fields)

    def _part_begin(self) -> None:
        self._part = _Part()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._part.headers[self._header.lower()] = self._value
        self._header, self._value = b"", b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._part.headers.get(b"content-disposition"))
        self._part.name = _text(options.get(b"name", b""))[:LONGEST_NAME]
        if b"filename" in options:
            self._part.filename = _text(options[b"filename"])[-LONGEST_NAME:]

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        length = len(self._part.data) + end - start
        if self._part.filename is None and length > LONGEST_FIELD:
            raise _broken()
        if length > self._file_bytes:
            raise _too_large(self._file_bytes)
        self._part.data += data[start:end]

    def _part_end(self) -> None:
        part = self._part
        if part.filename is None:
            self._fields[part.name] = _text(bytes(part.data))
        elif part.filename or part.data:  # an empty one is the field in which nothing was chosen
            self._files.append(File(part.filename or "what you gave", bytes(part.data)))
        if len(self._files) > MOST_FILES or len(self._fields) > MOST_FIELDS:
            raise _broken_by_many()

    def _end(self) -> None:
        self._ended = True


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _broken_by_many() -> UploadBroken:
    msg = f"more than {MOST_FILES} files came at once"
    return UploadBroken(msg, hint=f"Give {MOST_FILES} files or fewer at a time.")
