"""Reads WARC files (ISO 28500) as a stream: record by record, never holding more than a few pieces.

warcio reads the headers of a record. What it would hold whole is done here in steps: members of a gzip
file, chunked bodies, lines without an end. A broken record is skipped and counted; where the next one begins
is found by its first bytes. `Archive.at` is always a place from which a later reader can go on.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from warcio.exceptions import ArchiveLoadFailed
from warcio.recordloader import ArcWarcRecordLoader
from warcio.statusandheaders import StatusAndHeadersParserException

from crawlers.fetch import decoded
from crawlers.platforms.fields import moment
from monitor.errors import ArchiveBomb, ArchiveBroken, ArchiveTruncated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from typing import Any

STEP: Final = 64 * 1024
"""Bytes that are unpacked at a time."""

TAKEN: Final = 16 * 1024
"""Bytes of the file that are unpacked in one go."""

HEAD_BYTES: Final = 256 * 1024
"""Bytes of all header lines of one record; longer ones are no headers."""

BOMB_FROM: Final = 64 * 2**20
BOMB_RATIO: Final = 200
"""A record that grows beyond so many bytes, and to so many times its packed length, is a bomb: text rarely
packs better than to a twentieth, and deflate ends at 1:1032."""

MOST_BROKEN: Final = 1000
"""Broken records after which a file is no archive."""

GZIP: Final = b"\x1f\x8b"
NEXT_RECORD: Final = re.compile(rb"\x1f\x8b\x08|WARC/1\.")
CHUNK_HEAD: Final = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")
LONGEST_CHUNK_HEAD: Final = 256


@dataclass(frozen=True, slots=True)
class Record:
    """One response that somebody archived. `pieces` is its body, decoded; read before the next record.

    `date` is when it was archived, None where that is not said in a way that can be read. `status` is that of
    HTTP, 200 for a record without HTTP headers. `kind` is its declared type, in lower case.
    """

    uri: str
    date: datetime | None
    status: int
    kind: str
    pieces: Iterator[bytes] = field(repr=False)


class Archive:
    """The records of one file, from `at` on. `broken` counts those that could not be read."""

    def __init__(self, pieces: Iterable[bytes], at: int = 0) -> None:
        """Read `pieces`, which begin `at` so many bytes into the file."""
        self._raw = _Raw(iter(pieces), at)
        self._loader = ArcWarcRecordLoader(verify_http=False, arc2warc=False)
        self._stream: _Stream | None = None
        self._body: Any = None
        self.at, self.broken = at, 0

    def next(self) -> Record | None:
        """Give the next response, or None at the end of the file.

        Raises ArchiveTruncated, ArchiveBomb, ArchiveBroken after too many broken records, and what `pieces`
        raises.
        """
        while True:
            try:
                self.close_record()
                found, is_over = self._begin()
            except ArchiveBroken:
                self.broken += 1
                if self.broken > MOST_BROKEN:
                    msg = f"more than {MOST_BROKEN} records are broken"
                    raise ArchiveBroken(msg) from None
                self._resume()
            else:
                if found is not None or is_over:
                    return found

    def close_record(self) -> None:
        """Read the rest of a record, so that `at` is behind it. Raises as `next`."""
        stream, body = self._stream, self._body
        if stream is None or body is None:
            return
        for _ in _pieces(body, stream):
            pass
        self._body = None
        stream.skip_blank_lines()
        if not stream.packed:
            self.at = self._raw.at - stream.held
        elif not stream.held:
            stream.drain()
            self._stream, self.at = None, self._raw.at

    def _begin(self) -> tuple[Record | None, bool]:
        """Give a record, and whether the file ended. Neither for a record that shows nothing."""
        stream = self._stream
        if stream is None:
            first = self._raw.peek(2)
            if not first.strip(b"\r\n"):
                return None, not self._raw.take(len(first))
            stream = self._stream = _Stream(self._raw, packed=first == GZIP)
        if not stream.packed and not stream.fill():
            return None, True
        stream.begin()
        try:
            found = self._loader.parse_record_stream(stream, known_format="warc")
        except EOFError:
            stream.drain()
            self._stream, self.at = None, self._raw.at
            return None, False
        except (ArchiveLoadFailed, StatusAndHeadersParserException, ValueError, AttributeError) as exc:
            msg = "a record has no headers that can be read"
            raise ArchiveBroken(msg) from exc
        if not (found.rec_headers.get_header("Content-Length") or "").isdigit():
            msg = "a record does not say how long it is"
            raise ArchiveBroken(msg)
        self._body = found.raw_stream
        return _response(found, stream), False

    def _resume(self) -> None:
        """Find the next record behind a broken one."""
        stream, self._stream, self._body = self._stream, None, None
        if stream is not None and stream.packed:
            try:
                stream.drain()
            except ArchiveBroken:
                pass
            else:
                self.at = self._raw.at
                return
        elif stream is not None:
            self._raw.give_back(stream.rest())
        if self._raw.at == self.at:
            self._raw.take(1)
        self._raw.find(NEXT_RECORD)
        self.at = self._raw.at


def _response(found: Any, stream: _Stream) -> Record | None:  # noqa: ANN401 - warcio has no types
    """Make a Record of a response or resource from the web; None for all others."""
    uri = found.rec_headers.get_header("WARC-Target-URI") or ""
    if found.rec_type not in {"response", "resource"} or not uri.lower().startswith(("http://", "https://")):
        return None
    date = moment(found.rec_headers.get_header("WARC-Date"))
    body, http = _pieces(found.raw_stream, stream), found.http_headers
    if http is None:
        return Record(uri, date, 200, (found.content_type or "").lower(), body)
    named = {name.lower(): value for name, value in http.headers}
    status = http.get_statuscode()
    if "chunked" in named.get("transfer-encoding", "").lower():
        body = dechunked(body)
    encoding = named.get("content-encoding", "")
    kind = named.get("content-type", "").lower()
    return Record(uri, date, int(status) if status.isdigit() else 0, kind, decoded(body, encoding))


def _pieces(body: Any, stream: _Stream) -> Iterator[bytes]:  # noqa: ANN401 - as above
    """Give what is left of a record. Raises ArchiveTruncated or ArchiveBroken where it is too short."""
    while body.limit > 0:
        piece = body.read(STEP)
        if not piece:
            stream.ends_too_early()
        yield piece


def dechunked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Undo chunked transfer coding (RFC 9112, 7.1), in pieces. A body that was stored without it passes.

    Raises ArchiveBroken where it breaks off in the middle.
    """
    come, held, is_first = iter(pieces), b"", True
    while True:
        while b"\r\n" not in held[:LONGEST_CHUNK_HEAD] and len(held) < LONGEST_CHUNK_HEAD:
            more = next(come, b"")
            if not more:
                break
            held += more
        head = CHUNK_HEAD.match(held)
        if head is None and is_first:
            yield held
            yield from come
            return
        if head is None:
            msg = "a chunked body breaks off"
            raise ArchiveBroken(msg)
        left, held, is_first = int(head[1], 16), held[head.end() :], False
        if left == 0:
            return
        while left > 0:
            held = held or next(come, b"")
            if not held:
                msg = "a chunked body breaks off"
                raise ArchiveBroken(msg)
            piece, held = held[:left], held[left:]
            left -= len(piece)
            yield piece
        while len(held) < 2 and (more := next(come, b"")):
            held += more
        held = held.removeprefix(b"\r\n")


class _Raw:
    """The bytes of the file as they come, with what was given back. `at` is the place of the next one."""

    def __init__(self, pieces: Iterator[bytes], at: int) -> None:
        self._come, self._held, self.at = pieces, b"", at

    def take(self, most: int) -> bytes:
        """Give up to so many bytes; none at the end."""
        while not self._held:
            piece = next(self._come, None)
            if piece is None:
                return b""
            self._held = piece
        given, self._held = self._held[:most], self._held[most:]
        self.at += len(given)
        return given

    def peek(self, length: int) -> bytes:
        """Give the next bytes without taking them; fewer at the end."""
        while len(self._held) < length:
            piece = next(self._come, None)
            if piece is None:
                break
            self._held += piece
        return self._held[:length]

    def give_back(self, data: bytes) -> None:
        """Put bytes back that were taken last."""
        self._held = data + self._held
        self.at -= len(data)

    def find(self, pattern: re.Pattern[bytes]) -> None:
        """Pass over everything before the first match; everything, where there is none."""
        overlap = 8
        while data := self.peek(TAKEN):
            match = pattern.search(data)
            if match is not None or len(data) < TAKEN:
                self.take(len(data) if match is None else match.start())
                return
            self.take(len(data) - overlap)


class _Stream:
    """Unpacked bytes, as much of a file as warcio is to see: one gzip member, or all that is left."""

    def __init__(self, raw: _Raw, *, packed: bool) -> None:
        self._raw, self.packed, self._begin_at = raw, packed, raw.at
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16) if packed else None
        self._tail, self._held, self._out, self._head_left, self._is_first = b"", b"", 0, HEAD_BYTES, True
        self._is_broken = False

    @property
    def held(self) -> int:
        """Bytes that were unpacked and not read so far."""
        return len(self._held)

    def begin(self) -> None:
        """Begin another record: its headers may be HEAD_BYTES long."""
        self._head_left = HEAD_BYTES

    def rest(self) -> bytes:
        """Give what was unpacked and not read."""
        rest, self._held = self._held, b""
        return rest

    def fill(self) -> bool:
        """Have at least one byte to read. False at the end."""
        while not self._held:
            if self._inflate is None:
                self._held = self._raw.take(STEP)
                return bool(self._held)
            if self._inflate.eof:
                return False
            self._held = self._unpack(self._inflate)
        return True

    def _unpack(self, inflate: Any) -> bytes:  # noqa: ANN401 - zlib does not name its type
        if self._is_broken:
            msg = "a packed record is broken"
            raise ArchiveBroken(msg)
        data = self._tail or self._raw.take(TAKEN)
        if not data:
            msg = "the file ends in the middle of a record"
            raise ArchiveTruncated(msg)
        try:
            piece: bytes = inflate.decompress(data, STEP)
        except zlib.error as exc:
            self._is_broken = True
            self._raw.give_back(data[2:] if self._is_first else data)
            msg = "a packed record is broken"
            raise ArchiveBroken(msg) from exc
        self._tail, self._is_first = inflate.unconsumed_tail, False
        if inflate.eof:
            self._raw.give_back(inflate.unused_data)
        self._out += len(piece)
        if self._out > BOMB_FROM and self._out > BOMB_RATIO * (self._raw.at - self._begin_at):
            msg = f"a record grows to more than {BOMB_RATIO} times its length; the rest was not read"
            raise ArchiveBomb(msg)
        return piece

    def read(self, most: int) -> bytes:
        """Give up to so many bytes; none at the end."""
        if not self.fill():
            return b""
        given, self._held = self._held[:most], self._held[most:]
        return given

    def readline(self, most: int | None = None) -> bytes:
        """Give one line with its end. Raises ArchiveBroken for headers without an end."""
        line = b""
        while not line.endswith(b"\n") and (most is None or len(line) < most) and self.fill():
            place = self._held.find(b"\n") + 1 or len(self._held)
            cut = place if most is None else min(place, most - len(line))
            line, self._held = line + self._held[:cut], self._held[cut:]
            if len(line) > self._head_left:
                msg = f"the headers of a record are longer than {HEAD_BYTES} bytes"
                raise ArchiveBroken(msg)
        self._head_left -= len(line)
        return line

    def tell(self) -> int:
        """Give a number, which warcio only subtracts."""
        return 0

    def skip_blank_lines(self) -> None:
        """Pass over the ends of lines between two records."""
        while self.fill():
            self._held = self._held.lstrip(b"\r\n")
            if self._held:
                return

    def drain(self) -> None:
        """Read to the end."""
        self._held = b""
        while self.fill():
            self._held = b""

    def ends_too_early(self) -> None:
        """Raise what a record is that is shorter than it says."""
        if self.packed:
            msg = "a record is shorter than it says"
            raise ArchiveBroken(msg)
        msg = "the file ends in the middle of a record"
        raise ArchiveTruncated(msg)
