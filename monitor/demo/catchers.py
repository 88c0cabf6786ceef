"""Where the demo's messages go: a real SMTP server and one that speaks Twilio's API, on this machine.

They keep what they get as files that a mail program and a person can open.
"""

from __future__ import annotations

import base64
import json
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from aiosmtpd.controller import Controller

from monitor.demo.local_server import Answer, LocalServer, Posted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MESSAGES = "/2010-04-01/Accounts/{account}/Messages.json"
"""Path of Twilio's API for sending one message."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One message that was delivered, and the file it lies in."""

    path: Path
    to: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """One SMS that was accepted."""

    to: str
    body: str


class MailCatcher:
    """Accepts every message and writes it to `folder` as `001.eml`, `002.eml`, ..."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._lock = threading.Lock()
        self._caught: list[Mail] = []
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def caught(self) -> tuple[Mail, ...]:
        """What came so far, in order."""
        with self._lock:
            return tuple(self._caught)

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802, ANN401 - aiosmtpd's names
        """Keep one message; aiosmtpd calls this when the dot has come."""
        self._keep(bytes(envelope.content), ", ".join(envelope.rcpt_tos))
        return "250 kept"

    def _keep(self, content: bytes, to: str) -> None:
        message = message_from_bytes(content, policy=policy.default)
        body = message.get_body(("plain",))
        text = str(body.get_content()).replace("\r\n", "\n") if body else ""
        with self._lock:
            path = self.folder / f"{len(self._caught) + 1:03}.eml"
            path.write_bytes(content)
            self._caught.append(Mail(path, to, str(message["Subject"] or ""), text))

    @contextmanager
    def running(self) -> Iterator[MailCatcher]:
        """Accept mail until the block ends."""
        controller = Controller(self, hostname="127.0.0.1", port=self.port)
        controller.start()
        try:
            yield self
        finally:
            controller.stop(no_assert=True)


class TextCatcher:
    """Speaks enough of Twilio's API: basic auth, To, From, Body; answers 201 with a sid.

    A wrong account or token gets Twilio's 401. Every SMS is written to `folder` as `001.txt`, ...
    """

    def __init__(self, folder: Path, account: str, token: str) -> None:
        self.folder = folder
        self._path = MESSAGES.format(account=account)
        self._right = "Basic " + base64.b64encode(f"{account}:{token}".encode()).decode()
        self._lock = threading.Lock()
        self._caught: list[Text] = []
        self._server = LocalServer({}, self._answer)
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """Address to give as LIKENESS_TWILIO_URL."""
        return self._server.url

    @property
    def caught(self) -> tuple[Text, ...]:
        """What came so far, in order."""
        with self._lock:
            return tuple(self._caught)

    @contextmanager
    def running(self) -> Iterator[TextCatcher]:
        """Accept messages until the block ends."""
        with self._server.running():
            yield self

    def _answer(self, posted: Posted) -> Answer:
        if posted.path != self._path:
            return _said(HTTPStatus.NOT_FOUND, {"code": 20404, "message": "The resource was not found"})
        if posted.headers.get("authorization") != self._right:
            return _said(HTTPStatus.UNAUTHORIZED, {"code": 20003, "message": "Authenticate"})
        form = {name: values[0] for name, values in parse_qs(posted.body.decode()).items()}
        if not form.get("To") or not form.get("Body"):
            return _said(HTTPStatus.BAD_REQUEST, {"code": 21602, "message": "Message body is required"})
        return _said(HTTPStatus.CREATED, {"sid": self._keep(form["To"], form["Body"]), "status": "queued"})

    def _keep(self, to: str, body: str) -> str:
        with self._lock:
            self._caught.append(Text(to, body))
            number = len(self._caught)
        (self.folder / f"{number:03}.txt").write_text(f"To: {to}\n\n{body}\n", encoding="utf-8")
        return f"SM{number:032x}"


def free_port() -> int:
    """Find a port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _said(status: int, body: dict[str, object]) -> Answer:
    return Answer(json.dumps(body).encode(), "application/json", status)
