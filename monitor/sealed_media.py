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


def sealed(pieces: Iterable[bytes], sealer: IntakeSealer, part: int = 0) -> Iterator[bytes]:
    """Seal one part, from pieces of any size. Gives what to write, in order; part 0 begins the blob."""
    if part == 0:
        yield VERSION
    key = new_key()
    yield sealer.seal(key, _info(part))
    cipher = ChunkCipher(key)
    for number, (chunk, last) in enumerate(_chunks(pieces)):
        head = _HEAD.pack(len(chunk) | (_LAST if last else 0))
        yield head
        yield cipher.seal(number, chunk, _place(part, head))


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


def _chunks(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Cut pieces into chunks; the last one, which may be empty, says so."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) > CHUNK:
            yield bytes(waiting[:CHUNK]), False
            del waiting[:CHUNK]
    yield bytes(waiting), True


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
