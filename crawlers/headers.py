"""Caps the headers of a page, which Twisted takes without end: nothing but headers would fill the memory.

Media come by fetch.py, whose parser (h11) has a cap of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scrapy.core.downloader.handlers.http11 import (
    _LenientHTTP11ClientFactory,
    _LenientHTTP11ClientProtocol,
    _LenientHTTPClientParser,
)

from monitor.errors import FetchTooLarge

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

HEADER_BYTES: Final = 256 * 1024
"""Status line and headers of one answer: what Chromium takes. Real ones are below 10 KB."""


class CappedParser(_LenientHTTPClientParser):  # type: ignore[misc]  # Scrapy's types are skipped
    """Scrapy's parser, which gives up where the headers do not end."""

    taken = 0

    def lineReceived(self, line: bytes) -> None:  # noqa: N802 - Twisted's name
        """Count a line and read it. Raises FetchTooLarge, which ends the connection."""
        self.taken += len(line)
        if self.taken > HEADER_BYTES:
            msg = f"the headers are larger than {HEADER_BYTES} bytes"
            raise FetchTooLarge(msg)
        super().lineReceived(line)


class CappedProtocol(_LenientHTTP11ClientProtocol):  # type: ignore[misc]  # as above
    """Scrapy's protocol with our parser, put in the way Scrapy puts in its own."""

    def request(self, request: Any) -> Deferred[Any]:  # noqa: ANN401 - Twisted has no types here
        """Send a request and read its answer with a cap."""
        answer: Deferred[Any] = super().request(request)
        self._parser.__class__ = CappedParser
        return answer


class CappedFactory(_LenientHTTP11ClientFactory):  # type: ignore[misc]  # as above
    """Makes CappedProtocol. For the pool of connections of the handler."""

    def buildProtocol(self, addr: Any) -> CappedProtocol:  # noqa: ANN401, ARG002, N802 - Twisted's interface
        """Make one for a connection."""
        return CappedProtocol(self._quiescentCallback)
