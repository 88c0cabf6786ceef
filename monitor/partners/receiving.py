"""Bodies as they come from partners: bounded in bytes and time, and held in memory.

Nobody reads one before the signature over all of it is verified. Small bodies have room of their own, so
that a few large ones, or many slow ones, never keep them out.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect

from monitor.errors import BodyTypeUnknown, TooLarge, UploadBroken, UploadsBusy, UploadTooSlow

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from fastapi import Request

UNBOUNDED: Final = 2**63
"""For `max_body_size` of a route that reads with `Receiver`: it bounds by itself."""

SMALL_BYTES: Final = 2**20
"""A body up to here is small: a picture, or some lines of addresses."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes that small and large bodies may hold together; seconds of the longest silence and of all.

    `least_rate` is in bytes/s: beyond `grace_s`, whoever is slower is given up. 32 kB/s is 64 MiB in half an
    hour, and a small body comes within the grace through the worst of lines.
    """

    small_room: int = 64 * 2**20
    large_room: int = 256 * 2**20
    stall_s: float = 10.0
    grace_s: float = 20.0
    least_rate: float = 32 * 1024


class Receiver:
    """Reads bodies. One for the whole process; its counters are touched by the event loop only."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._small = self._large = 0

    async def body(self, request: Request, most: int) -> bytes:
        """Read one body whole.

        Raises BodyTypeUnknown for a compressed one, TooLarge (early, where the sender says how much is to
        come), UploadTooSlow, UploadBroken, UploadsBusy.
        """
        _check_plain(request)
        if announced(request) > most:
            raise too_large(most)
        held = _Held(self)
        pieces: list[bytes] = []
        try:
            async for chunk in self.pieces(request):
                held.grow(len(chunk))
                if held.bytes > most:
                    raise too_large(most)
                pieces.append(chunk)
            return b"".join(pieces)
        finally:
            held.release()

    def move(self, small: int, large: int) -> None:
        """Change what is held. Raises UploadsBusy, with nothing changed, where there is no room."""
        if (small > 0 and self._small + small > self.limits.small_room) or (
            large > 0 and self._large + large > self.limits.large_room
        ):
            msg = "too much is on its way at this moment"
            raise UploadsBusy(msg, hint="Wait a second, then send the same again.")
        self._small += small
        self._large += large

    async def pieces(self, request: Request) -> AsyncGenerator[bytes]:
        """Give a body as it comes, and hold none of it; it is for the caller to bound it.

        Raises BodyTypeUnknown for a compressed one, UploadTooSlow, UploadBroken.
        """
        _check_plain(request)
        began, came = time.monotonic(), 0
        stream = request.stream()
        while True:
            left = self.limits.grace_s + came / self.limits.least_rate - (time.monotonic() - began)
            chunk = await _next(stream, min(self.limits.stall_s, left))
            if chunk is None:
                return
            came += len(chunk)
            yield chunk


class _Held:
    """What one body holds of the rooms: of the small one until it is no longer small."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver, self.bytes = receiver, 0

    def grow(self, more: int) -> None:
        before, after = self.bytes, self.bytes + more
        if after <= SMALL_BYTES:
            self._receiver.move(more, 0)
        elif before <= SMALL_BYTES:
            self._receiver.move(0, after)
            self._receiver.move(-before, 0)
        else:
            self._receiver.move(0, more)
        self.bytes = after

    def release(self) -> None:
        is_small = self.bytes <= SMALL_BYTES
        self._receiver.move(-self.bytes if is_small else 0, 0 if is_small else -self.bytes)


def too_large(most: int) -> TooLarge:
    """Say how much is taken at once."""
    return TooLarge(
        f"a body of this kind has at most {most} bytes",
        hint="Send fewer items at once; large files come in pieces, by the upload of this feed.",
    )


async def _next(stream: AsyncGenerator[bytes], within_s: float) -> bytes | None:
    """Wait for the next bytes; None at the end. Raises UploadTooSlow, UploadBroken."""
    try:
        async with asyncio.timeout(max(0.0, within_s)):
            return await anext(stream, None)
    except TimeoutError as exc:
        msg = "the body came too slowly, and was given up"
        raise UploadTooSlow(msg, hint="Send the same again.") from exc
    except ClientDisconnect as exc:
        raise _broken() from exc


def _check_plain(request: Request) -> None:
    if request.headers.get("content-encoding", "identity") != "identity":
        msg = "compressed bodies are not read"
        raise BodyTypeUnknown(msg, hint="Send the body as it is, without Content-Encoding.")


def announced(request: Request) -> int:
    """Give the length of a body as its sender says it, 0 where nothing is said. Raises UploadBroken."""
    try:
        return int(request.headers.get("content-length", "0"))
    except ValueError as exc:
        raise _broken() from exc


def _broken() -> UploadBroken:
    msg = "the body did not come through whole"
    return UploadBroken(msg, hint="Send the same again.")
