"""Websockets behind the guard: resolved once, connected to a checked address, never sent on elsewhere."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, Any, Final

from websockets.asyncio.client import connect

from crawlers.fetch_guard import check_url, resolve
from monitor.errors import FetchFailed, FetchTimeout

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from crawlers.fetch_guard import Rules

MESSAGE_BYTES: Final = 2**20
"""The largest message taken. A larger one ends the connection before it is read."""

WAITING: Final = 32
"""Messages that wait to be read; with more, the server is not read from. So 32 MiB at the very most."""

PING_S: Final = 20.0
"""Seconds between two pings, and to the answer of one: a connection that died is found out within 40."""

OPEN_S: Final = 20.0
CLOSE_S: Final = 2.0


class _Straight(connect):
    """The library's, which does not go where a server sends it."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Take a redirect for what it is to us: no."""
        return exc


async def opened(url: str, rules: Rules, user_agent: str) -> ClientConnection:
    """Open a websocket at an address of http or https, without compression, cookies or proxy.

    Raises FetchRefused, FetchFailed, FetchTimeout; websockets' InvalidHandshake where the server says no.
    """
    target = check_url(url, rules)
    secure = target.scheme == "https"
    sock = await _connected(target.host, target.port, rules)
    more: dict[str, Any] = (
        {"ssl": ssl.create_default_context(), "server_hostname": target.host} if secure else {}
    )
    try:
        return await _Straight(
            f"{'wss' if secure else 'ws'}{url[len(target.scheme) :]}",
            sock=sock,
            compression=None,
            proxy=None,
            user_agent_header=user_agent,
            max_size=MESSAGE_BYTES,
            max_queue=WAITING,
            open_timeout=OPEN_S,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            close_timeout=CLOSE_S,
            **more,
        )
    except BaseException as exc:  # edge: a task that is given up must not leave its socket open
        sock.close()
        if isinstance(exc, TimeoutError):
            msg = "the server did not open the stream in time"
            raise FetchTimeout(msg) from exc
        if isinstance(exc, OSError | EOFError):
            msg = f"the stream could not be opened: {type(exc).__name__}"
            raise FetchFailed(msg) from exc
        raise


async def _connected(host: str, port: int, rules: Rules) -> socket.socket:
    loop = asyncio.get_running_loop()
    failed: Exception | None = None
    for address in await loop.run_in_executor(None, resolve, host, port, rules):
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)  # noqa: FBT003 - the library's argument
        try:
            await asyncio.wait_for(loop.sock_connect(sock, (address, port)), OPEN_S)
        except (OSError, TimeoutError) as exc:
            sock.close()
            failed = exc
        except BaseException:  # edge: as above
            sock.close()
            raise
        else:
            return sock
    msg = f"no address of {host} answered: {type(failed).__name__}"
    raise FetchFailed(msg) from failed
