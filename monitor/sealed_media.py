"""Sealed media of any length, sealed and opened a chunk at a time, so that memory does not grow with it.

    blob    = VERSION, part, part, ...
    part    = 80 bytes: the part's own key, sealed to the intake (HPKE); then chunk, chunk, ...
    chunk   = 4 bytes: length of its plaintext, the highest bit set on the last one of a part; ciphertext

Each chunk is bound to its place: its number is its nonce, and the part's number, the length and the mark of
the last one are its associated data. So chunks cannot be dropped, swapped or cut off within a part (the
STREAM construction: Hoang, Reyhanitabar, Rogaway, Vizar, CRYPTO 2015). Parts that are missing at the end
are known by the digest of the whole, which whoever opens a blob compares (intake.opened).

A part is what one process sealed in one go. Who goes on with a file later, be it another process, begins a
new part: no key has to be kept for it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from monitor.crypto import TAG_BYTES, ChunkCipher, bind, new_key
from monitor.errors import Tampered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from monitor.crypto import IntakeOpener, IntakeSealer

VERSION: Final = b"\x02"
"""First byte of a blob in chunks. One that is sealed whole begins with that of crypto.py."""

CHUNK: Final = 256 * 1024
"""Bytes of plaintext in a chunk: large enough for the cipher's speed, small beside everything else."""

_HEAD = struct.Struct(">I")
_LAST = 1 << 31
_KEY_BYTES: Final = 81
"""A sealed key of 32 bytes: version, 32 of HPKE's own key, ciphertext, tag."""


class Part:
    """One part in the making, for whoever gets its bytes handed over: `head`, then `more`, then `last`."""

    def __init__(self, sealer: IntakeSealer, part: int = 0) -> None:
        """Begin a part; part 0 begins the blob. `head` is to be written first."""
        key = new_key()
        self.head = (VERSION if part == 0 else b"") + sealer.seal(key, _info(part))
        self._cipher, self._part, self._number = ChunkCipher(key), part, 0
        self._waiting = bytearray()

    def more(self, data: bytes) -> Iterator[bytes]:
        """Take some bytes; give what is to be written. Holds back a chunk at most."""
        self._waiting += data
        while len(self._waiting) > CHUNK:
            yield from self._chunk(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]

    def last(self) -> Iterator[bytes]:
        """End the part; give the rest of what is to be written."""
        yield from self._chunk(bytes(self._waiting), last=True)

    def _chunk(self, chunk: bytes, *, last: bool) -> Iterator[bytes]:
        head = _HEAD.pack(len(chunk) | (_LAST if last else 0))
        yield head
        yield self._cipher.seal(self._number, chunk, _place(self._part, head))
        self._number += 1


def sealed(pieces: Iterable[bytes], sealer: IntakeSealer, part: int = 0) -> Iterator[bytes]:
    """Seal one part, from pieces of any size. Gives what to write, in order; part 0 begins the blob."""
    making = Part(sealer, part)
    yield making.head
    for piece in pieces:
        yield from making.more(piece)
    yield from making.last()


def opened(stream: BinaryIO, opener: IntakeOpener) -> Iterator[bytes]:
    """Open a blob chunk by chunk, from behind its VERSION on.

    Raises Tampered where a chunk or a key was changed, moved, dropped or cut off within its part. What was
    given before that must not be used: compare the digest of the whole.
    """
    part = 0
    while wrapped := stream.read(_KEY_BYTES):
        cipher, number, is_last = ChunkCipher(opener.open(wrapped, _info(part))), 0, False
        while not is_last:
            head = _exactly(stream, _HEAD.size)
            (said,) = _HEAD.unpack(head)
            is_last, length = bool(said & _LAST), said & ~_LAST
            if length > CHUNK:
                msg = "a chunk of sealed media is longer than any that is written"
                raise Tampered(msg)
            yield cipher.open(number, _exactly(stream, length + TAG_BYTES), _place(part, head))
            number += 1
        part += 1


def _exactly(stream: BinaryIO, length: int) -> bytes:
    data = stream.read(length)
    if len(data) != length:
        msg = "sealed media ends too early"
        raise Tampered(msg)
    return data


def _info(part: int) -> bytes:
    return bind(b"media-in-chunks", str(part))


def _place(part: int, head: bytes) -> bytes:
    return bind(b"chunk", str(part), head)
