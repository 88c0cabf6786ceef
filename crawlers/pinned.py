"""Connections that go to the addresses which the guard has checked, and to no other, and that end in time."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import httpcore

from crawlers.fetch_guard import Rules, resolve

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator

SILENCE_S: Final = 20.0
"""Seconds without a single byte after which the other side is given up."""


class PinnedBackend(httpcore.NetworkBackend):
    """Connects to the addresses that the guard has checked, and to no other; keeps the deadline."""

    def __init__(self, rules: Rules) -> None:
        """Keep the rules and wrap httpcore's own sockets."""
        self._rules, self._inner, self._local = rules, httpcore.SyncBackend(), threading.local()

    @contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """Hold everything this thread does to a moment of time.monotonic()."""
        self._local.deadline = deadline
        try:
            yield
        finally:
            del self._local.deadline

    def left(self, timeout: float | None) -> float:
        """Give the seconds that one step may take. Raises httpcore.ReadTimeout when none are left."""
        left = getattr(self._local, "deadline", time.monotonic() + SILENCE_S) - time.monotonic()
        if left <= 0:
            msg = "out of time"
            raise httpcore.ReadTimeout(msg)
        return left if timeout is None else min(left, timeout)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve, check all addresses, and connect to the first of them that answers."""
        failed: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in resolve(host, port, self._rules):
            try:
                stream = self._inner.connect_tcp(
                    address, port, self.left(timeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failed = exc
            else:
                return TimedStream(stream, self)
        raise failed

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        """Refuse: no source is a socket file. Raises httpcore.ConnectError."""
        msg = f"unix sockets are not fetched from: {path}, {timeout}, {socket_options}"
        raise httpcore.ConnectError(msg)


class TimedStream(httpcore.NetworkStream):
    """A connection whose every step ends by the deadline of the thread that uses it."""

    def __init__(self, inner: httpcore.NetworkStream, backend: PinnedBackend) -> None:
        """Wrap an open connection."""
        self._inner, self._backend = inner, backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what is there, for as long as the deadline leaves."""
        return self._inner.read(max_bytes, self._backend.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write, for as long as the deadline leaves."""
        self._inner.write(buffer, self._backend.left(timeout))

    def close(self) -> None:
        """Close it."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Start TLS under the name that was asked for, on the address that was checked."""
        inner = self._inner.start_tls(ssl_context, server_hostname, self._backend.left(timeout))
        return TimedStream(inner, self._backend)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's interface
        """Hand through."""
        return self._inner.get_extra_info(info)
