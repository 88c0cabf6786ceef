"""A stream in Jetstream's documented shape, and the host of its media, on one port of this machine.

For the bench and for tests: it keeps what it sent, replays from a cursor, and can cut, go away and send
garbage. Everything in it is made up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 256


@dataclass
class Server:
    """What was sent, (time_us, message), in order; media by path; and who asked for what.

    `cut_after` cuts the first connection after so many messages. `live` keeps a connection open at its end.
    """

    log: list[tuple[int, str]] = field(default_factory=list)
    media: dict[str, bytes] = field(default_factory=dict)
    cut_after: int | None = None
    away: bool = False
    hold_media: threading.Event = field(default_factory=threading.Event)
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    sent: int = 0
    began: float = 0.0
    last_fetch: float = 0.0
    open: int = 0
    most_open: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        """Where to subscribe."""
        return f"ws://127.0.0.1:{self.port}/subscribe"

    @property
    def host(self) -> str:
        """Where media are."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            target = head.split(b" ", 2)[1].decode()
            if target.startswith("/subscribe"):
                await self._stream(head, target, reader, writer)
            else:
                await self._file(head, target, writer)
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()

    async def _file(self, head: bytes, target: str, writer: asyncio.StreamWriter) -> None:
        path = target if target in self.media else urlsplit(target).path
        if path != "/robots.txt":
            self.fetched.append(path)
            self.last_fetch = time.perf_counter()
            while self.hold_media.is_set():  # noqa: ASYNC110 - set by another thread
                await asyncio.sleep(0.02)
        body = b"User-agent: *\nAllow: /\n" if path == "/robots.txt" else self.media.get(target)
        status, kind = ("200 OK", "image/jpeg") if body is not None else ("404 Not Found", "text/plain")
        kind = "text/plain" if path == "/robots.txt" else kind
        body = body or b""
        said = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        writer.write(said.encode() + b"Connection: close\r\n\r\n" + (b"" if head[:4] == b"HEAD" else body))
        await writer.drain()

    async def _stream(
        self, head: bytes, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self.away:
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            return
        protocol = ServerProtocol()
        protocol.receive_data(head)
        request: Any = protocol.events_received()[0]
        protocol.send_response(protocol.accept(request))
        writer.writelines(protocol.data_to_send())
        asked = parse_qs(urlsplit(target).query)
        self.asked.append(asked)
        self.heads.append(head.decode("latin-1"))
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        answering = asyncio.ensure_future(self._answer(protocol, reader, writer))
        try:
            await self._send(asked, writer, answering)
        finally:
            self.open -= 1
            answering.cancel()

    async def _send(
        self, asked: dict[str, list[str]], writer: asyncio.StreamWriter, answering: asyncio.Future[None]
    ) -> None:
        begin = int(asked.get("cursor", ["0"])[0])
        dids = set(asked.get("wantedDids", ()))
        place, count = next((n for n, (when, _) in enumerate(self.log) if when >= begin), len(self.log)), 0
        self.began = self.began or time.perf_counter()
        while not answering.done():
            if place >= len(self.log):
                await asyncio.sleep(0.02)
                continue
            chunk = self.log[place : place + CHUNK]
            if self.cut_after is not None:
                chunk = chunk[: max(0, self.cut_after - count)]
            for _, message in chunk:
                if not dids or any(one in message for one in dids):
                    writer.write(Frame(Opcode.TEXT, message.encode()).serialize(mask=False))
            place, count = place + len(chunk), count + len(chunk)
            self.sent += len(chunk)
            await writer.drain()
            if self.cut_after is not None and count >= self.cut_after:
                self.cut_after = None
                return

    async def _answer(
        self, protocol: ServerProtocol, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer pings and closing, until the other side is gone."""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
                protocol.receive_data(data)
                writer.writelines(protocol.data_to_send())
                if protocol.close_expected():
                    return


@contextlib.contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Run it in a thread of its own, on a port of its own."""
    ready, loops, over = threading.Event(), [], asyncio.Event()

    async def work() -> None:
        loops.append(asyncio.get_running_loop())
        async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
            server.port = listening.sockets[0].getsockname()[1]
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(work()), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield server
    finally:
        loops[0].call_soon_threadsafe(over.set)
        thread.join()


def commit(when_us: int, did: str, rkey: str, record: dict[str, Any] | None, **more: str) -> str:
    """Make one event: `more` names operation and collection; a deletion has no record."""
    said = {"rev": "3l4", "operation": "create", "collection": "app.bsky.feed.post", "rkey": rkey} | more
    if record is not None:
        said |= {"record": record, "cid": "bafyreih" + "a" * 51}  # type: ignore[dict-item]
    event = {"did": did, "time_us": when_us, "kind": "commit", "commit": said}
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False)


def post(text: str, *cids: str, alt: str = "", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Make the record of a post with images."""
    record: dict[str, Any] = {
        "$type": "app.bsky.feed.post",
        "createdAt": "2026-11-23T12:00:00.000Z",
        "langs": ["en"],
        "text": text,
    } | more
    if cids:
        images = [{"alt": alt, "aspectRatio": {"height": 3, "width": 4}, "image": blob(cid)} for cid in cids]
        record["embed"] = {"$type": "app.bsky.embed.images", "images": images}
    return record


def blob(cid: str, kind: str = "image/jpeg") -> dict[str, Any]:
    """Make a reference to a file."""
    return {"$type": "blob", "ref": {"$link": cid}, "mimeType": kind, "size": 100_000}


def cid_of(number: int) -> str:
    """Make a content address: 59 letters of base 32."""
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    tail = "".join(letters[number >> shift & 31] for shift in range(30, -1, -5))
    return "bafkrei" + "q" * (52 - len(tail)) + tail
