"""PNG files whose words or colour profile unpack to far more than they are: read without them.

Browsers show such a picture as if nothing were. If we refused it, a few bytes in a file would hide every face
in it from this service.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"

KEPT = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"eXIf", b"acTL", b"fcTL", b"fdAT"})
"""Chunks that make the picture (PNG, third edition, 11): no words, no profile, and nothing unknown."""

HEAD = struct.Struct(">I4s")
CHECKSUM_BYTES = 4

LEFT_OUT = "its words and colour profile were left out: they unpack to far more than any real ones"
"""What is noted of such a picture."""


def is_bomb(error: ValueError) -> bool:
    """Say whether Pillow refused a PNG for what its words or its profile unpack to."""
    return any(words in str(error) for words in ("MAX_TEXT_CHUNK", "MAX_TEXT_MEMORY"))


def without_words(stream: BinaryIO) -> BinaryIO:
    """Copy a PNG with the chunks that make the picture alone; where a chunk is cut off the copy ends."""
    stream.seek(0)
    into = io.BytesIO()
    into.write(stream.read(len(SIGNATURE)))
    while len(head := stream.read(HEAD.size)) == HEAD.size:
        length, kind = HEAD.unpack(head)
        if kind in KEPT:
            into.write(head)
            into.write(stream.read(length + CHECKSUM_BYTES))
        else:
            stream.seek(length + CHECKSUM_BYTES, io.SEEK_CUR)
    into.seek(0)
    return into
