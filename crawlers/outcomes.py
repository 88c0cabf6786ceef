"""What went wrong with a request, as a stable code and one sentence."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from scrapy.exceptions import (
    DownloadCancelledError,
    DownloadTimeoutError,
    IgnoreRequest,
    StopDownload,
)
from scrapy.spidermiddlewares.httperror import HttpError

from monitor.errors import (
    FetchFailed,
    FetchRefused,
    FetchTimeout,
    FetchTooLarge,
    FetchWrongType,
    LikenessError,
    RateLimited,
)

BUSY: Final = frozenset({429, 503})
"""A host that answers this wants us to slow down."""

TRAP: Final = "trap"
"""A platform led us in a circle, or on and on without showing anything new."""

FULL: Final = "max_pages"
"""There was more than the source may be read in one run."""

WRONG_DATE: Final = "wrong_date"
"""A post from the future, from before the web, or of no time zone."""

GARBAGE: Final = "stream_garbage"
"""A message of a stream that is not in its documented shape; the stream goes on."""

STREAM_CUT: Final = "stream_cut"
"""A stream was cut and was read on from its cursor: nothing is missing."""

STREAM_GAP: Final = "stream_gap"
"""We were away for longer than a stream's server keeps what it sent: what came at first is missing."""

READER_FAULT: Final = "reader_fault"
"""A fault of ours in reading an answer."""

LATER: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that pass; the others are the server's considered answer."""


class NotAllowed(IgnoreRequest):  # type: ignore[misc]  # Scrapy's types are skipped
    """Robots.txt said no, or could not be read. `code` goes into the record."""

    code = "robots"

    def __init__(self, reason: str) -> None:
        """Keep one sentence for the record."""
        super().__init__(reason)
        self.reason = reason


class RobotsUnreadable(NotAllowed):
    """Nobody can know what robots.txt asks, so nothing of the host is fetched in this run."""

    code = "robots_unreadable"


_SAID: Final = (
    (StopDownload, FetchWrongType.code, "neither a page nor a feed by its type"),
    (DownloadTimeoutError, FetchTimeout.code, "the server was too slow"),
    (DownloadCancelledError, FetchTooLarge.code, "larger than a page may be; the rest was not read"),
    (IgnoreRequest, FetchRefused.code, "led away too often, or off the site"),
)


def outcome_of(error: BaseException) -> tuple[str, str]:
    """Give (code, reason) of a request that gave nothing."""
    ours = _ours(error)
    if ours is not None:
        return ours.code, ours.message
    if isinstance(error, NotAllowed):
        return error.code, error.reason
    if isinstance(error, HttpError):
        status = error.response.status
        if 300 <= status < 400:
            return FetchRefused.code, "led to an address that is not fetched from"
        return _code_of(status), f"the server answered {status}"
    for kind, code, reason in _SAID:
        if isinstance(error, kind):
            return code, reason
    return FetchFailed.code, type(error).__name__


def _code_of(status: int) -> str:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited.code
    return FetchFailed.code if status in LATER else f"http_{status}"


def _ours(error: BaseException | None) -> LikenessError | None:
    """Give the error of ours that this one is, or that Twisted and Scrapy have wrapped into it."""
    while error is not None and not isinstance(error, LikenessError):
        inner = [reason.value for reason in getattr(error, "reasons", ())]
        error = next((one for one in inner if isinstance(one, LikenessError)), error.__cause__)
    return error
