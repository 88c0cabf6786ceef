"""A web site on this machine that counts who asked for what, when, and how many at once."""

from __future__ import annotations

import io
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    Answer = Callable[[BaseHTTPRequestHandler], None]
    Respond = Callable[[BaseHTTPRequestHandler, dict[str, str]], None]


@dataclass
class Asked:
    """One request as it came in."""

    path: str
    at: float
    headers: dict[str, str]
    at_once: int
    method: str = "GET"


@dataclass
class Site:
    """Pages by path, and the record of who asked."""

    port: int
    pages: dict[str, Answer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    programs: dict[str, Respond] = field(default_factory=dict)
    busy: int = 0
    knows_head: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """Address without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def paths(self) -> list[str]:
        """Every path asked for, in order, without robots.txt."""
        return [one.path for one in self.asked if one.path != "/robots.txt"]

    def page(self, path: str, body: str | bytes, content_type: str = "text/html", **headers: str) -> None:
        """Serve a fixed body; with `etag` or `last_modified` it answers 304 to those who have it."""
        data = body.encode() if isinstance(body, str) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.pages[path] = lambda handler: send(handler, data, content_type, named)

    def answer(self, path: str, answer: Answer) -> None:
        """Serve whatever the function sends."""
        self.pages[path] = answer

    def any(self, path: str, respond: Respond) -> None:
        """Serve a path with whatever parameters: the function gets them, each once, from address or form."""
        self.programs[path] = respond

    def redirect(self, path: str, to: str) -> None:
        """Send everybody who asks for this path somewhere else."""
        self.pages[path] = lambda handler: _redirect(handler, to)

    def status(self, path: str, status: int) -> None:
        """Answer with a bare status."""

        def bare(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        self.pages[path] = bare


def send(handler: BaseHTTPRequestHandler, data: bytes, content_type: str, headers: dict[str, str]) -> None:
    """Send a body, or 304 when the asker's validator still holds."""
    same_tag = "etag" in headers and handler.headers.get("If-None-Match") == headers["etag"]
    modified = headers.get("last-modified")
    same_date = modified is not None and handler.headers.get("If-Modified-Since") == modified
    handler.send_response(304 if same_tag or same_date else 200)
    for name, value in headers.items():
        handler.send_header(name, value)
    if same_tag or same_date:
        handler.end_headers()
        return
    handler.send_header("Content-Type", content_type)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


def _redirect(handler: BaseHTTPRequestHandler, to: str) -> None:
    handler.send_response(302)
    handler.send_header("Location", to)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def slowly(seconds: float, step: float = 0.1) -> Answer:
    """Make an answer that drips one byte at a time, headers first, and never ends by itself."""

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "image/png")
        handler.end_headers()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            handler.wfile.write(b"\x89")
            handler.wfile.flush()
            time.sleep(step)
        handler.close_connection = True

    return drip


def endless(head: bytes, content_type: str) -> Answer:
    """Make an answer whose body never ends."""

    def pour(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", content_type)
        handler.end_headers()
        handler.wfile.write(head)
        while True:
            handler.wfile.write(b"\x00" * 65536)

    return pour


def silence(seconds: float) -> Answer:
    """Make an answer that says nothing for a while, then hangs up."""

    def wait(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)
        handler.close_connection = True

    return wait


@contextmanager
def site() -> Iterator[Site]:
    """Run a web site on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 20

        def do_HEAD(self) -> None:
            if running.knows_head:
                body, self.wfile = self.wfile, _Bodiless(self.wfile)
                self.do_GET()
                self.wfile = body
            else:
                self.send_response(405)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def do_GET(self) -> None:
            with running.lock:
                running.busy += 1
                asked = Asked(
                    self.path, time.monotonic(), dict(self.headers.items()), running.busy, self.command
                )
                running.asked.append(asked)
            try:
                _serve(running, self)
            except (ConnectionError, TimeoutError):
                self.close_connection = True
            finally:
                with running.lock:
                    running.busy -= 1

        do_POST = do_GET  # noqa: N815 - the name that http.server looks for

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # a crawler that hangs up is what these tests are about
    running = Site(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.block_on_close = False
        server.server_close()
        thread.join()


class _Bodiless(io.BytesIO):
    """Passes on what is written before the end of the head, and drops the body."""

    def __init__(self, line: BinaryIO) -> None:
        super().__init__()
        self._line, self._is_over = line, False

    def write(self, data: bytes) -> int:  # type: ignore[override]  # bytes are all that is written
        if not self._is_over:
            self._line.write(data)
            self._is_over = data.endswith(b"\r\n\r\n")
        return len(data)

    def flush(self) -> None:
        self._line.flush()


def _serve(running: Site, handler: BaseHTTPRequestHandler) -> None:
    known, asked = running.pages.get(handler.path), urlsplit(handler.path)
    program = running.programs.get(asked.path)
    if known is None and program is not None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0)).decode()
        program(handler, dict(parse_qsl(asked.query) + parse_qsl(body)))
    elif known is None:
        handler.send_response(404)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
    else:
        known(handler)
