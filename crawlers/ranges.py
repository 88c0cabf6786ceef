"""Parts of one file, asked for by range requests, one after another and with a pause between them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from monitor.errors import FetchFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Answered = tuple[int, dict[str, str], Iterator[bytes]]
    Ask = Callable[[dict[str, str]], AbstractContextManager[Answered]]


@dataclass(slots=True)
class Ranges:
    """Parts of one file of `length` bytes. `ask` sends one GET with the headers that it is given.

    `validator` is what the file is known by; `pause_s` is the pace of its host. `until` is the moment of
    time.monotonic() after which nothing more is asked for.
    """

    ask: Ask
    length: int
    validator: str | None
    pause_s: float
    until: float
    requests: int = 0
    bytes_read: int = 0

    def read(self, start: int, end: int) -> bytes:
        """Give the bytes from `start` up to `end`. Raises as `pieces` does."""
        return b"".join(self.pieces(start, end))

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """Give the bytes from `start` up to `end` as they come.

        Raises FetchFailed where the server gives anything else, or it takes too long.
        """
        if self.requests:
            time.sleep(self.pause_s)
        if time.monotonic() > self.until:
            self._give_up("takes too long")
        self.requests += 1
        headers = {"Range": f"bytes={start}-{end - 1}"}
        if self.validator is not None:
            headers["If-Range"] = self.validator
        left = end - start
        with self.ask(headers) as (status, named, body):
            expected = f"bytes {start}-{end - 1}/{self.length}"
            if status != HTTPStatus.PARTIAL_CONTENT or named.get("content-range", "") != expected:
                self._give_up("is not given in parts")
            if named.get("content-encoding", "identity") not in {"", "identity"}:
                self._give_up("is given in another coding")
            for piece in body:
                left -= len(piece)
                self.bytes_read += len(piece)
                if left < 0:
                    self._give_up("is longer than its server says")
                yield piece
        if left:
            self._give_up("is shorter than its server says")

    def _give_up(self, why: str) -> None:
        msg = f"a part of the file {why}"
        raise FetchFailed(msg)
