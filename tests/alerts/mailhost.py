"""SMTP servers for tests: a real one that keeps what it gets, and one that misbehaves at a chosen step."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from email.message import EmailMessage

HANG_UP = b""
"""A reply that is no reply: the server closes the connection."""

SILENCE = b"..."
"""A reply that never comes: the server keeps the connection open and says nothing."""


@dataclass
class Kept:
    """What a mail server took."""

    mails: list[EmailMessage] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    secure: list[bool] = field(default_factory=list)

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep one mail."""
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        self.senders.append(envelope.mail_from)
        self.recipients += envelope.rcpt_tos
        self.secure.append(session.ssl is not None)
        return "250 OK"


def free_port() -> int:
    """Find a port that nobody listens on right now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def mail_server(
    *, port: int = 0, tls: ssl.SSLContext | None = None, login: tuple[str, str] | None = None
) -> Iterator[tuple[int, Kept]]:
    """Run a real mail server on this machine; gives its port and what it took."""
    kept, port = Kept(), port or free_port()

    def check(_server: Any, _session: Any, _envelope: Any, _how: Any, given: Any) -> AuthResult:
        right = login is not None and (given.login.decode(), given.password.decode()) == login
        return AuthResult(success=right, handled=right)

    extra: dict[str, Any] = {"authenticator": check, "auth_required": True} if login else {}
    controller = Controller(
        kept,
        hostname="127.0.0.1",
        port=port,
        tls_context=tls,
        require_starttls=tls is not None,
        server_hostname="mail.test",
        **extra,
    )
    controller.start()
    try:
        yield port, kept
    finally:
        controller.stop()


@contextlib.contextmanager
def bad_server(**replies: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Run a server that answers at `greeting`, `ehlo`, `mail`, `rcpt`, `data`, `end` or `quit` as told.

    Gives its port and the whole messages that arrived up to their final full stop.
    """
    arrived: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                _converse(connection, replies, arrived)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], arrived
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def _converse(connection: socket.socket, replies: dict[str, bytes], arrived: list[bytes]) -> None:
    reader = connection.makefile("rb")
    usual = {
        "greeting": b"220 bad.test",
        "ehlo": b"250 bad.test",
        "mail": b"250 OK",
        "rcpt": b"250 OK",
        "data": b"354 go on",
        "end": b"250 OK",
        "quit": b"221 bye",
    }
    step: str | None = "greeting"
    while step is not None:
        reply = replies.get(step, usual.get(step, b"502 no"))
        if reply == HANG_UP:
            return
        if reply == SILENCE:
            reader.read(1)  # until the other side gives up
            return
        connection.sendall(reply + b"\r\n")
        if step == "data" and reply.startswith(b"354"):
            arrived.append(_body(reader))
            step = "end"
            continue
        line = reader.readline()
        step = line[:4].decode().strip().lower() if line else None


def _body(reader: Any) -> bytes:
    lines: list[bytes] = []
    while (line := reader.readline()) not in {b".\r\n", b""}:
        lines.append(line)
    return b"".join(lines)
