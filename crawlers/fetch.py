"""Get one media file: guarded, streamed, capped. Runs in a worker thread, never on the reactor.

One call is one file: a HEAD first where it may be large, then a GET whose body goes on to whoever keeps it
piece by piece, then, where the line broke, the rest by a range request. Redirects are given back as
answers: the crawl follows them, so that each hop passes robots.txt, the pace of its host and the guard like
any other request.
"""

from __future__ import annotations

import ssl
import time
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from urllib.parse import urlsplit

import httpcore

from crawlers.early import Early
from crawlers.fetch_guard import Rules, check_url
from crawlers.key_frames import SUFFIXES as FILM_SUFFIXES
from crawlers.pinned import SILENCE_S, PinnedBackend
from crawlers.ranges import Ranges
from monitor.errors import (
    FetchFailed,
    FetchTimeout,
    FetchTooLarge,
    FetchWrongType,
    NotMedia,
    TooLarge,
)
from monitor.intake import HEAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Sent = list[tuple[bytes | str, bytes | str]]

CONNECT_S: Final = 10.0
"""Seconds to get a connection. Every address of a name is tried within it."""

INFLATE_STEP: Final = 2**20
"""Bytes that a compressed body may grow by before the cap is checked again."""

EARLY_SHARE: Final = 4
"""Of the time for one file, one part in so many may go to the key frames of a film."""

RESUMES: Final = 3
"""How often a body that broke off is gone on with, where the server can say that it is still the same."""

VIDEO_SUFFIXES: Final = ".mp4 .m4v .mov .webm .mkv .avi .wmv .flv .mpg .mpeg .ts .3gp"
SOUND_SUFFIXES: Final = ".mp3 .m4a .aac .ogg .oga .opus .flac .wav .aiff"
LARGE_SUFFIXES: Final = (*VIDEO_SUFFIXES.split(" "), *SOUND_SUFFIXES.split(" "))
"""What may be large is asked about before it is asked for. Pictures are not: a GET is stopped at its head
as cheaply, and they are many."""

NO_HEAD: Final = frozenset({400, 403, 404, 405, 501})
"""Answers to HEAD after which GET is asked all the same: many servers know only GET."""

Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on one fetch: bytes of the body, and seconds from the first byte sent to the last one read."""

    max_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Answer(Generic[Kept]):
    """What came back. `headers` has names in lower case; `kept` is None unless `status` is 200.

    `size_bytes` is the length of the body after decompression, `requests` how many it took.
    """

    status: int
    headers: dict[str, str]
    kept: Kept | None
    latency_s: float
    size_bytes: int = 0
    requests: int = 1

    def header(self, name: str) -> str | None:
        """Give one header, or None."""
        return self.headers.get(name)


class Fetcher(Generic[Kept]):
    """Fetches for one source. Safe for use from many threads; connections are kept and shared."""

    def __init__(
        self,
        rules: Rules,
        limits: Limits,
        user_agent: str,
        sniff: Callable[[bytes], object],
        keep: Callable[[Iterable[bytes]], Kept],
    ) -> None:
        """Keep the rules.

        `sniff` gets the first bytes and raises NotMedia when they are not media. `keep` reads the pieces of
        one body to the end, in the thread of the call.
        """
        self._rules, self._limits, self._sniff, self._keep = rules, limits, sniff, keep
        self._headers = {
            "User-Agent": user_agent,
            "Accept": "image/*, video/*, audio/*, */*;q=0.1",
            "Accept-Encoding": "identity",
        }
        self._backend = PinnedBackend(rules)
        self._early = Early(keep)
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

    def get(
        self,
        url: str,
        conditions: dict[str, str] | None = None,
        on_early: Callable[[Kept], None] | None = None,
        pause_s: float = 0.0,
    ) -> Answer[Kept]:
        """Get one file within the caps.

        `conditions` holds If-None-Match or If-Modified-Since. `on_early` is given an early look at a long
        video as an item of its own (early.py); requests for parts are `pause_s` apart.

        Raises FetchRefused, FetchTooLarge, FetchTimeout, FetchWrongType or FetchFailed, and what `keep`
        raises of its own.
        """
        check_url(url, self._rules)
        headers = {**self._headers, **(conditions or {})}
        with self._backend.until(time.monotonic() + self._limits.seconds), _own_errors(url):
            parts = None
            if urlsplit(url).path.lower().endswith(LARGE_SUFFIXES):
                told = self._head(url, headers)
                if told.status not in {HTTPStatus.OK, *NO_HEAD}:
                    return told
                parts = self._parts(url, told, pause_s) if on_early is not None else None
                if parts is not None and on_early is not None and self._early.looked(parts, on_early):
                    on_early = None
                if told.status == HTTPStatus.OK:
                    self._check_length(told.headers)
            answer = self._get(url, headers, on_early)
        return answer if parts is None else replace(answer, requests=answer.requests + parts.requests)

    def piece(self, url: str, headers: dict[str, str], most: int) -> Answer[bytes]:
        """Get a small thing of any kind into memory: a playlist, or a segment of a film.

        `most` bytes are taken at most. Raises as `get` does.
        """
        check_url(url, self._rules)
        with self._backend.until(time.monotonic() + self._limits.seconds), _own_errors(url):
            with self._request("GET", url, self._headers | headers) as (response, latency):
                named, body = _named(response), bytearray()
                if response.status in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
                    for part in decoded(response.iter_stream(), named.get("content-encoding", "")):
                        body += part
                        if len(body) > most:
                            self._too_large(most)
            return Answer(response.status, named, bytes(body), latency, len(body))

    def joined(
        self, pieces: Iterator[bytes], length: int, on_early: Callable[[Kept], None] | None = None
    ) -> Kept:
        """Keep one file that comes in pieces; `length` is about what it will have. Raises as `get` does."""
        body = _Body({})
        checked = self._checked(body, body.counted(pieces), {})
        return self._kept(self._early.watched(checked, length, on_early))

    def _head(self, url: str, headers: dict[str, str]) -> Answer[Kept]:
        """Ask what a large file is before asking for it."""
        with self._request("HEAD", url, headers) as (response, latency):
            return Answer(response.status, _named(response), None, latency)

    def _parts(self, url: str, told: Answer[Kept], pause_s: float) -> Ranges | None:
        """Give a film by its parts, where its server says that it gives them."""
        body = _Body(told.headers)
        gives = told.status == HTTPStatus.OK and told.headers.get("accept-ranges", "").lower() == "bytes"
        if not gives or body.length is None or not urlsplit(url).path.lower().endswith(FILM_SUFFIXES):
            return None
        until = time.monotonic() + self._limits.seconds / EARLY_SHARE

        @contextmanager
        def ask(more: dict[str, str]) -> Iterator[tuple[int, dict[str, str], Iterator[bytes]]]:
            with _own_errors(url), self._request("GET", url, self._headers | more) as (response, _):
                yield response.status, _named(response), response.iter_stream()

        return Ranges(ask, body.length, body.validator, pause_s, until)

    def _get(
        self, url: str, headers: dict[str, str], on_early: Callable[[Kept], None] | None
    ) -> Answer[Kept]:
        with self._request("GET", url, headers) as (response, latency):
            named = _named(response)
            if response.status != HTTPStatus.OK:
                return Answer(response.status, named, None, latency)
            self._check_length(named)
            body = _Body(named)
            pieces = self._checked(body, self._pieces(url, body, response), named)
            kept = self._kept(self._early.watched(pieces, body.length, on_early))
        return Answer(response.status, named, kept, latency, body.size, body.requests)

    def _kept(self, pieces: Iterable[bytes]) -> Kept:
        try:
            return self._keep(pieces)
        except TooLarge as exc:
            raise FetchTooLarge(exc.message) from exc

    def _pieces(self, url: str, body: _Body, response: httpcore.Response) -> Iterator[bytes]:
        """Give the body as it comes; where it breaks off, go on by range as long as it is the same file."""
        chunks: Iterable[bytes] = response.iter_stream()
        while True:
            try:
                with _own_errors(url):
                    yield from body.counted(decoded(chunks, body.encoding))
            except (FetchFailed, FetchTimeout):
                if not body.may_go_on or self._backend.left(None) <= 0:
                    raise
                chunks = self._rest(url, body)
            else:
                return

    def _rest(self, url: str, body: _Body) -> Iterator[bytes]:
        """Ask for what is missing, only if the file is still the same one."""
        body.requests += 1
        with _own_errors(url), self._request("GET", url, self._headers | body.rest()) as (response, _):
            if response.status != HTTPStatus.PARTIAL_CONTENT or not body.goes_on(_named(response)):
                msg = f"{url} broke off, and its server does not go on where it ended"
                raise FetchFailed(msg)
            yield from response.iter_stream()

    def _checked(self, body: _Body, pieces: Iterator[bytes], named: dict[str, str]) -> Iterator[bytes]:
        """Hold a body to its cap, and look at its first bytes before the rest."""
        head, is_seen = b"", False
        for piece in pieces:
            if body.size > self._limits.max_bytes:
                self._too_large()
            if not is_seen:
                head += piece[:HEAD_BYTES]
                if len(head) >= HEAD_BYTES:
                    self._check_head(head, named)
                    is_seen = True
            yield piece
        if not is_seen and head:
            self._check_head(head, named)

    @contextmanager
    def _request(
        self, method: str, url: str, headers: dict[str, str]
    ) -> Iterator[tuple[httpcore.Response, float]]:
        timeouts = {"connect": CONNECT_S, "read": SILENCE_S, "write": SILENCE_S, "pool": self._limits.seconds}
        sent: Sent = list(headers.items())
        began = time.monotonic()
        with self._pool.stream(method, url, headers=sent, extensions={"timeout": timeouts}) as response:
            yield response, time.monotonic() - began

    def _check_length(self, named: dict[str, str]) -> None:
        expected = named.get("content-length", "")
        if expected.isdigit() and int(expected) > self._limits.max_bytes:
            self._too_large()

    def _check_head(self, head: bytes, headers: dict[str, str]) -> None:
        try:
            self._sniff(head[:HEAD_BYTES])
        except NotMedia as exc:
            declared = headers.get("content-type", "")[:60]
            msg = f"not media by its first bytes; the server calls it {declared!r}"
            raise FetchWrongType(msg) from exc

    def _too_large(self, most: int | None = None) -> None:
        msg = f"the body is larger than {most or self._limits.max_bytes} bytes; the rest was not read"
        raise FetchTooLarge(msg)


@dataclass(slots=True)
class _Body:
    """How far one body has come, and what of its headers says that a later part belongs to it."""

    headers: dict[str, str]
    size: int = 0
    requests: int = 1
    resumes: int = field(default=RESUMES)

    @property
    def encoding(self) -> str:
        return self.headers.get("content-encoding", "")

    @property
    def length(self) -> int | None:
        said = self.headers.get("content-length", "")
        return int(said) if said.isdigit() and not self.encoding else None

    @property
    def validator(self) -> str | None:
        """What If-Range takes: a strong ETag, or else the date."""
        tag = self.headers.get("etag", "")
        return tag if tag.startswith('"') else self.headers.get("last-modified")

    @property
    def may_go_on(self) -> bool:
        """Whether the rest can be asked for: something came, of a file that can be recognised."""
        can = self.headers.get("accept-ranges", "").lower() == "bytes" and self.validator is not None
        plain = self.encoding.strip().lower() in {"", "identity"}
        self.resumes -= 1
        return can and plain and self.size > 0 and self.resumes >= 0

    def rest(self) -> dict[str, str]:
        """Give the headers that ask for the rest."""
        return {"Range": f"bytes={self.size}-", "If-Range": self.validator or ""}

    def goes_on(self, named: dict[str, str]) -> bool:
        """Say whether an answer is the rest of this body and of nothing else."""
        begins = named.get("content-range", "").startswith(f"bytes {self.size}-")
        return begins and not named.get("content-encoding", "")

    def counted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.size += len(piece)
            yield piece


def _named(response: httpcore.Response) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}


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
    """Turn what the network raises into our errors; whoever keeps a body meets no others."""
    try:
        yield
    except httpcore.TimeoutException as exc:
        msg = f"{url} was too slow"
        raise FetchTimeout(msg) from exc
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError) as exc:
        msg = f"{url} failed: {type(exc).__name__}"
        raise FetchFailed(msg) from exc
