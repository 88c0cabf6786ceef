"""A small web server on this machine that serves answers from memory and notes every request."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ENDLESS_CAP = 256 * 2**20
"""Where an "endless" body ends after all, bytes: a client without a cap shall fail, not fill the disk."""


class _Quiet(ThreadingHTTPServer):
    """Says nothing of a client that hung up: the crawler does so when it has seen enough."""

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as socketserver has it
        """Pass over a connection that ended; report anything else."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one path answers. `endless` repeats the body; `location` makes it a redirect."""

    body: bytes = b""
    content_type: str = "text/html; charset=utf-8"
    status: int = HTTPStatus.OK
    location: str = ""
    endless: bool = False


@dataclass(frozen=True, slots=True)
class Posted:
    """One POST: its path, headers in lower case and body."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class LocalServer:
    """Answers GET from a mapping and POST by a function; `requested` lists the paths asked for."""

    def __init__(
        self, answers: Mapping[str, Answer], on_post: Callable[[Posted], Answer] | None = None
    ) -> None:
        self.answers = dict(answers)
        self.on_post = on_post
        self._lock = threading.Lock()
        self._requested: list[str] = []
        self._http = _Quiet(("127.0.0.1", 0), _handler_of(self))
        self._http.daemon_threads = True

    @property
    def url(self) -> str:
        """Scheme, address and port, without a slash at the end."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def requested(self) -> tuple[str, ...]:
        """Paths in the order they were asked for, repeated as often as they were."""
        with self._lock:
            return tuple(self._requested)

    def note(self, path: str) -> None:
        """Write a request down."""
        with self._lock:
            self._requested.append(path)

    @contextmanager
    def running(self) -> Iterator[LocalServer]:
        """Serve until the block ends."""
        thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            self._http.server_close()
            thread.join(timeout=5)


def _handler_of(server: LocalServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        owner = server

    return Handler


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    owner: LocalServer
    protocol_version = "HTTP/1.1"
    server_version = "demo"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.owner.note(path)
        self._send(self.owner.answers.get(path, Answer(b"not here", "text/plain", HTTPStatus.NOT_FOUND)))

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        path = urlsplit(self.path).path
        self.owner.note(path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.owner.on_post
        self._send(
            answer(Posted(path, headers, body)) if answer else Answer(status=HTTPStatus.METHOD_NOT_ALLOWED)
        )

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - http.server's signature
        """Say nothing: `requested` keeps the record."""

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        if answer.location:
            self.send_header("Location", answer.location)
        if answer.endless:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(answer)

    def _send_body(self, answer: Answer) -> None:
        try:
            self.wfile.write(answer.body)
            sent = len(answer.body)
            while answer.endless and sent < ENDLESS_CAP:
                sent += self.wfile.write(answer.body)
        except OSError:
            self.close_connection = True  # the client hung up, which is what a cap looks like from here
