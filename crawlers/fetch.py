"""Get one media file: guarded, streamed, capped. Runs in a worker thread, never on the reactor.

One call is one request. Redirects are given back as answers: the crawl follows them, so that each hop
passes robots.txt, the pace of its host and the guard like any other request.
"""

from __future__ import annotations

import io
import ssl
import threading
import time
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httpcore

from crawlers.fetch_guard import Rules, check_url, resolve
from monitor.errors import FetchFailed, FetchTimeout, FetchTooLarge, FetchWrongType, NotMedia
from monitor.intake import HEAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CONNECT_S: Final = 10.0
"""Seconds to get a connection. Every address of a name is tried within it."""

SILENCE_S: Final = 20.0
"""Seconds without a single byte after which the other side is given up."""

LARGE_BYTES: Final = 32 * 2**20
LARGE_AT_ONCE: Final = 2
"""Bodies above LARGE_BYTES are held in memory by this many threads at once, the others wait their turn."""

INFLATE_STEP: Final = 2**20
"""Bytes that a compressed body may grow by before the cap is checked again."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on one fetch: bytes of the body, and seconds from the first byte sent to the last one read."""

    max_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `headers` has names in lower case; `body` is empty unless `status` is 200."""

    status: int
    headers: dict[str, str]
    body: bytes
    latency_s: float

    def header(self, name: str) -> str | None:
        """Give one header, or None."""
        return self.headers.get(name)


class Fetcher:
    """Fetches for one source. Safe for use from many threads; connections are kept and shared."""

    def __init__(
        self, rules: Rules, limits: Limits, user_agent: str, sniff: Callable[[bytes], object]
    ) -> None:
        """Keep the rules. `sniff` gets the first bytes and raises NotMedia when they are not media."""
        self._rules, self._limits, self._sniff = rules, limits, sniff
        self._headers = {
            "User-Agent": user_agent,
            "Accept": "image/*, video/*, audio/*, */*;q=0.1",
            "Accept-Encoding": "identity",
        }
        self._large = threading.BoundedSemaphore(LARGE_AT_ONCE)
        self._backend = PinnedBackend(rules)
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=64,
            max_keepalive_connections=16,
            keepalive_expiry=15.0,
            network_backend=self._backend,
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def get(self, url: str, conditions: dict[str, str] | None = None) -> Answer:
        """Send one GET and read the answer within the caps.

        `conditions` holds If-None-Match or If-Modified-Since. Raises FetchRefused, FetchTooLarge,
        FetchTimeout, FetchWrongType or FetchFailed.
        """
        check_url(url, self._rules)
        with self._backend.until(time.monotonic() + self._limits.seconds), _own_errors(url):
            return self._get(url, {**self._headers, **(conditions or {})})

    def _get(self, url: str, headers: dict[str, str]) -> Answer:
        timeouts = {"connect": CONNECT_S, "read": SILENCE_S, "write": SILENCE_S, "pool": self._limits.seconds}
        began = time.monotonic()
        sent: list[tuple[bytes | str, bytes | str]] = list(headers.items())
        with self._pool.stream("GET", url, headers=sent, extensions={"timeout": timeouts}) as response:
            latency = time.monotonic() - began
            named = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
            }
            body = self._body(named, response.iter_stream()) if response.status == HTTPStatus.OK else b""
        return Answer(response.status, named, body, latency)

    def _body(self, headers: dict[str, str], chunks: Iterable[bytes]) -> bytes:
        expected = headers.get("content-length", "")
        if expected.isdigit() and int(expected) > self._limits.max_bytes:
            self._too_large()
        body, sniffed, large = io.BytesIO(), False, False
        try:
            for chunk in decoded(chunks, headers.get("content-encoding", "")):
                body.write(chunk)
                if body.tell() > self._limits.max_bytes:
                    self._too_large()
                if not sniffed and body.tell() >= HEAD_BYTES:
                    self._check_head(body, headers)
                    sniffed = True
                if not large and body.tell() > LARGE_BYTES:
                    large = self._take_turn()
        finally:
            if large:
                self._large.release()
        if not sniffed and body.tell():
            self._check_head(body, headers)
        return body.getvalue()

    def _check_head(self, body: io.BytesIO, headers: dict[str, str]) -> None:
        try:
            self._sniff(bytes(body.getbuffer()[:HEAD_BYTES]))
        except NotMedia as exc:
            msg = (
                f"not media by its first bytes; the server calls it {headers.get('content-type', '')[:60]!r}"
            )
            raise FetchWrongType(msg) from exc

    def _take_turn(self) -> bool:
        if not self._large.acquire(timeout=self._limits.seconds):
            msg = "too many large bodies at once; this one waited in vain"
            raise FetchTimeout(msg)
        return True

    def _too_large(self) -> None:
        msg = f"the body is larger than {self._limits.max_bytes} bytes; the rest was not read"
        raise FetchTooLarge(msg)


def decoded(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Undo the content encoding in steps of at most INFLATE_STEP bytes, so that a bomb meets the cap.

    We ask for none, yet some servers compress everything. Raises FetchWrongType for an encoding we do
    not know, FetchFailed for a broken one.
    """
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        yield from chunks
        return
    if name not in {"gzip", "x-gzip", "deflate"}:
        msg = f"the body is encoded as {name[:40]!r}, which we did not ask for"
        raise FetchWrongType(msg)
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        for chunk in chunks:
            rest = chunk
            while rest:
                yield inflate.decompress(rest, INFLATE_STEP)
                rest = inflate.unconsumed_tail
        yield inflate.flush()
    except zlib.error as exc:
        msg = "the compressed body is broken"
        raise FetchFailed(msg) from exc


@contextmanager
def _own_errors(url: str) -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException as exc:
        msg = f"{url} was too slow"
        raise FetchTimeout(msg) from exc
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError) as exc:
        msg = f"{url} failed: {type(exc).__name__}"
        raise FetchFailed(msg) from exc


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
