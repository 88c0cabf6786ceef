"""A long video is looked at before it is here: an excerpt of it, or else its first megabytes, is an item.

The excerpt is made of key frames and sound from all over a film whose server gives parts (key_frames.py).
The first megabytes serve for all others, but only where a player could begin with them: the index of an MP4
may stand at its end, and then its beginning alone is nothing. What the early look shows and what the whole
shows are one incident, because their pictures are the same.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from crawlers import key_frames
from monitor.errors import LikenessError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from crawlers.ranges import Ranges

Kept = TypeVar("Kept")

LONG_BYTES: Final = 32 * 2**20
"""Files from here on are looked at early. Smaller ones are here in seconds."""

EARLY_BYTES: Final = 3 * 2**20
"""As much of it: five to ten seconds of a film in high definition."""

AT_ONCE: Final = 2
"""Beginnings that are gathered in memory at once; further long videos are looked at when they are whole."""

PLAYS_FROM_ITS_START: Final = (b"\x1aE\xdf\xa3", b"FLV\x01", b"\x00\x00\x01\xba", b"ID3")
"""How Matroska and WebM, Flash video, MPEG programme streams and MP3 begin."""

HEADER: Final = 8
"""Bytes of a box's length and name in an MP4 (ISO/IEC 14496-12, 4.2)."""


class Early(Generic[Kept]):
    """Sets the beginning of long files aside as they pass. Safe for many threads."""

    def __init__(self, keep: Callable[[Iterable[bytes]], Kept]) -> None:
        """Keep what keeps."""
        self._keep = keep
        self._room = threading.BoundedSemaphore(AT_ONCE)

    def looked(self, parts: Ranges, on_early: Callable[[Kept], None]) -> bool:
        """Look at key frames and sound of a long film first; False where that cannot be done."""
        if parts.length < LONG_BYTES or not self._room.acquire(blocking=False):
            return False
        try:
            return key_frames.look(parts, self._keep, on_early)
        finally:
            self._room.release()

    def watched(
        self, pieces: Iterator[bytes], length: int | None, on_early: Callable[[Kept], None] | None
    ) -> Iterator[bytes]:
        """Hand pieces through; once EARLY_BYTES of a long file have passed, give them to `on_early`.

        What goes wrong with the beginning is left to the whole, which is looked at in any case.
        """
        if (
            on_early is None
            or length is None
            or length < LONG_BYTES
            or not self._room.acquire(blocking=False)
        ):
            yield from pieces
            return
        try:
            beginning: list[bytes] = []
            for piece in pieces:
                beginning.append(piece)
                yield piece
                if sum(map(len, beginning)) >= EARLY_BYTES:
                    break
            self._give(beginning, on_early)
        finally:
            self._room.release()
        yield from pieces

    def _give(self, beginning: list[bytes], on_early: Callable[[Kept], None]) -> None:
        if not plays_from_its_start(b"".join(beginning)):
            return
        try:
            on_early(self._keep(beginning))
        except LikenessError:
            return


def plays_from_its_start(beginning: bytes) -> bool:
    """Say whether the first megabytes of a file can be played by themselves."""
    if beginning.startswith(PLAYS_FROM_ITS_START) or beginning[:1] == beginning[188:189] == b"G":
        return True
    place = 0
    while place + HEADER <= len(beginning):
        size, name = int.from_bytes(beginning[place : place + 4], "big"), beginning[place + 4 : place + 8]
        if name == b"moov":
            return place + size <= len(beginning)
        if name == b"mdat" or size < HEADER:
            return False
        place += size
    return False
