"""WARC files, written by warcio, and a server that gives parts of them."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.server import BaseHTTPRequestHandler

DATE = "2026-01-02T03:04:05Z"


class Written:
    """One archive under way. `places` are the offsets at which its records begin."""

    def __init__(self, *, packed: bool = True) -> None:
        """Begin with the record that says who wrote it."""
        self._held, self.places = io.BytesIO(), list[int]()
        self._writer = WARCWriter(self._held, gzip=packed)
        self._write(self._writer.create_warcinfo_record("test", {"software": "tests"}))

    def add(
        self, uri: str, body: bytes, kind: str = "image/png", date: str = DATE, *, chunked: bool = False
    ) -> Written:
        """Write one response."""
        headers = [("Content-Type", kind)]
        if chunked:
            headers.append(("Transfer-Encoding", "chunked"))
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        http = StatusAndHeaders("200 OK", headers, protocol="HTTP/1.1")
        self.places.append(self._held.tell())
        record = self._writer.create_warc_record(
            uri,
            "response",
            payload=io.BytesIO(body),
            http_headers=http,
            warc_headers_dict={"WARC-Date": date},
        )
        self._write(record)
        return self

    def _write(self, record: Any) -> None:
        self._writer.write_record(record)
        record.raw_stream.close()  # where warcio held it to digest it

    @property
    def data(self) -> bytes:
        """Give what was written so far."""
        return self._held.getvalue()


def ranged(
    data: bytes, tag: str = '"1"', ends: int | None = None
) -> Callable[[BaseHTTPRequestHandler], None]:
    """Serve a file in parts; the line breaks after `ends` bytes of an answer."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range", ""))
        if asked is not None and handler.headers.get("If-Range", tag) != tag:
            asked = None
        first = int(asked[1]) if asked else 0
        last = int(asked[2]) if asked and asked[2] else len(data) - 1
        if asked and first >= len(data):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(data)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206 if asked else 200)
        handler.send_header("ETag", tag)
        handler.send_header("Accept-Ranges", "bytes")
        handler.send_header("Content-Length", str(last + 1 - first))
        if asked:
            handler.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        handler.end_headers()
        part = data[first : last + 1]
        handler.wfile.write(part if ends is None else part[:ends])
        handler.close_connection = ends is not None

    return answer
