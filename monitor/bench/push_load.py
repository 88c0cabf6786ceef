"""The partners of the push bench, in a process of its own: signed pushes over kept connections.

`python -m monitor.bench.push_load PLAN REPORT`: a plan in JSON in, a report in JSON out. Written straight on
sockets, since a client of comfort would take more of the machine than the service that is measured.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from monitor import crypto

AGAIN_S: Final = 0.1
"""Seconds before a request is sent again that was cut off, or told to wait."""

ANSWER_S: Final = 60.0
"""Longest wait for one answer."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to push. `rate` is items/s offered, 0 for as fast as `connections` go one after the other.

    Each item is one of the files `pictures`, in turns, and a few bytes of its own behind it. `first` numbers
    the first item.
    """

    port: int
    feed: str
    secret: str
    pictures: list[str]
    items: int
    first: int
    rate: float
    connections: int


@dataclass(slots=True)
class Report:
    """What came of it. `latencies` are seconds from when a push was due to its answer; `keys` those taken.

    `due` is key -> seconds since 1970 at which it was due.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    due: dict[str, float] = field(default_factory=dict)
    again: int = 0
    refused: dict[str, int] = field(default_factory=dict)


class Partner:
    """Pushes by the plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._secret = base64.b64decode(plan.secret.removeprefix("whsec_"))
        self._pictures = [Path(one).read_bytes() for one in plan.pictures]
        self._head = f"POST /v1/feeds/{plan.feed}/items HTTP/1.1\r\nhost: 127.0.0.1:{plan.port}\r\n"
        self.report = Report()
        self._next = 0
        self._began = 0.0

    async def run(self) -> Report:
        """Push everything, then give the report."""
        self._began = time.perf_counter()
        await asyncio.gather(*(self._connection() for _ in range(self._plan.connections)))
        self.report.seconds = time.perf_counter() - self._began
        return self.report

    async def _connection(self) -> None:
        line: _Line | None = None
        while self._next < self._plan.items:
            number, self._next = self._next, self._next + 1
            due = self._began + number / self._plan.rate if self._plan.rate else time.perf_counter()
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            key = f"item-{self._plan.first + number}"
            body = self._body(key, self._pictures[number % len(self._pictures)])
            self.report.due[key] = time.time() - (time.perf_counter() - due)
            while True:
                try:
                    line = line or await _Line.open(self._plan.port)
                    status, said = await line.ask(self._signed(body))
                except (OSError, EOFError, TimeoutError, asyncio.IncompleteReadError):
                    line, status, said = None, 0, b""
                if status not in {0, 429, 503}:
                    break
                self.report.again += 1
                await asyncio.sleep(AGAIN_S)
            self.report.latencies.append(time.perf_counter() - due)
            self._note(key, status, said)

    def _note(self, key: str, status: int, said: bytes) -> None:
        if status == 202:
            self.report.keys.append(key)
        else:
            code = str(json.loads(said).get("code", status))
            self.report.refused[code] = self.report.refused.get(code, 0) + 1

    def _body(self, key: str, picture: bytes) -> bytes:
        content = base64.b64encode(picture + key.encode()).decode()
        return json.dumps({"key": key, "content": content, "url": f"https://img.example.org/{key}"}).encode()

    def _signed(self, body: bytes) -> bytes:
        message_id, now = secrets.token_hex(12), str(int(time.time()))
        signature = base64.b64encode(crypto.mac(self._secret, f"{message_id}.{now}.".encode(), body)).decode()
        head = (
            f"{self._head}content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            f"webhook-id: {message_id}\r\nwebhook-timestamp: {now}\r\n"
            f"webhook-signature: v1,{signature}\r\n\r\n"
        )
        return head.encode() + body


class _Line:
    """One kept connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> _Line:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        async with asyncio.timeout(ANSWER_S):
            self._writer.write(request)
            await self._writer.drain()
            head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            body = await self._reader.readexactly(length)
        return int(head.split(b" ", 2)[1]), body


def main(plan: Path, report: Path) -> None:
    """Read the plan, push, write the report."""
    partner = Partner(Plan(**json.loads(plan.read_text(encoding="utf-8"))))
    report.write_text(json.dumps(asdict(asyncio.run(partner.run()))), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
