"""Several small pictures that came through the same hands are decoded by one child, one after the other.

A child costs as much as decoding six small pictures, and most of what a watch looks at are small pictures.
A picture that takes its decoder over can lie about those that come after it in the same child, so whoever
calls `Room.start` puts together only what one hand could have changed anyway (monitor/neighbours.py). And
only what is least dangerous shares at all: small files of the two formats whose readers are the simplest.

A shared child is believed only where it gives a whole, sensible picture. Whatever else comes of an item (an
error, nonsense, a child that died or dawdled, a picture that turned out large or moving) is not its end: it
is decoded again in a child of its own, and so are all items behind it that the first child did not get to.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from monitor.errors import DecoderKilled, MediaError
from monitor.stages.decoding_clip import Clip, Source
from monitor.stages.decoding_wire import FRAME_HEAD, HEAD, JSON_BYTES, DecodeLimits, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.values import MediaKind

MOST_TOGETHER = 32
"""Pictures of one child. More save little: its share of the fork is a quarter of a millisecond by then."""

SHARED_BYTES = 512 * 1024
"""Largest file that shares a child."""

SHARED_PIXELS = 2_000_000
"""Largest picture that shares a child: what is read ahead of its turn stays under 100 MB."""

SHARED_SECONDS = 5.0
"""CPU time of a shared child, and half of its wall time: its pictures need hundredths of a second each."""

PLAIN = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
"""How JPEG and PNG begin. Other formats always have a child of their own."""

LONGEST = {Part.INFO: JSON_BYTES, Part.FRAME: FRAME_HEAD.size + 3 * SHARED_PIXELS, Part.END: JSON_BYTES}
"""The parts of a whole picture and their longest bodies."""


class Starts(Protocol):
    """What is needed of a decode.Decoder."""

    def start(self, data: bytes, kind: MediaKind | None = None) -> Clip:
        """Start to decode in a child of its own."""

    def line(self, data: bytes, sizes: Sequence[int] = ()) -> Source:
        """Start a child and give what it says: of one item, or of as many as there are sizes."""

    @property
    def limits(self) -> DecodeLimits:
        """What a decode may take."""


def shared_limits(limits: DecodeLimits) -> DecodeLimits:
    """Give the narrower limits of a shared child: who reaches them is decoded alone under the full ones."""
    return replace(
        limits,
        max_pixels=min(limits.max_pixels, SHARED_PIXELS),
        cpu_seconds=min(limits.cpu_seconds, SHARED_SECONDS),
        wall_seconds=min(limits.wall_seconds, 2 * SHARED_SECONDS),
    )


class Room:
    """A child that several pictures will share. `start` what goes in, then `open` it, from one thread.

    The clips may be read in any order, by any threads.
    """

    def __init__(self, decoder: Starts) -> None:
        self._decoder = decoder
        self._lock = threading.Lock()
        self._turns: list[_Turn] = []
        self._words: dict[int, bytearray] = {}
        self._wanted: set[int] = set()
        self._next = 0
        self._line: Source | None = None

    def start(self, data: bytes, kind: MediaKind | None = None) -> Clip:
        """Take one item in, or start it alone at once where it may not share. See Decoder.start."""
        if len(data) > SHARED_BYTES or not data.startswith(PLAIN):
            return self._decoder.start(data, kind)
        turn = _Turn(self, len(self._turns), data)
        self._turns.append(turn)
        self._wanted.add(turn.number)
        return Clip(turn, self._decoder.limits)

    def open(self) -> None:
        """Start the child. Where that fails, every item is started alone when its turn comes."""
        turns, self._turns = self._turns, []
        if len(turns) == 1:
            turns[0].start_alone()
            return
        items = [turn.data for turn in turns]
        with self._lock, contextlib.suppress(DecoderKilled):
            if self._wanted:
                self._line = self._decoder.line(b"".join(items), [len(one) for one in items])

    def line_of(self, number: int, data: bytes) -> Source:
        """Give what was said of one item: by the shared child if that is a whole picture, else by its own."""
        with self._lock:
            while self._line is not None and self._next <= number:
                self._read_next(self._line)
            words = self._words.pop(number, None)
            self._leave(number)
        if words is not None and _is_whole(words, self._decoder.limits):
            return _Words(words)
        return self.alone(data)

    def alone(self, data: bytes) -> Source:
        """Start a child for one item."""
        return self._decoder.line(data)

    def give_up(self, number: int) -> None:
        """Note that nobody will read an item; with the last one the child goes."""
        with self._lock:
            self._words.pop(number, None)
            self._leave(number)

    def _leave(self, number: int) -> None:
        self._wanted.discard(number)
        if not self._wanted and self._line is not None:
            self._line.close()
            self._line = None

    def _read_next(self, line: Source) -> None:
        """Read what is said of the next item; a child that fails is not asked again."""
        try:
            words = _words(line)
        except DecoderKilled:
            line.close()
            self._line = None
            return
        if words is not None and self._next in self._wanted:
            self._words[self._next] = words
        self._next += 1


class _Turn:
    """The line of one item in a room: decided when it is first read."""

    def __init__(self, room: Room, number: int, data: bytes) -> None:
        self.number = number
        self.data = data
        self._room = room
        self._line: Source | None = None
        self._open = True

    def start_alone(self) -> None:
        """Start a child for this item alone: nobody came to share. A failure shows when it is read."""
        if self._open:
            with contextlib.suppress(DecoderKilled):
                self._line = self._room.alone(self.data)

    def read(self, length: int) -> bytes:
        """See Line.read."""
        return self._chosen().read(length)

    def fill(self, view: memoryview) -> None:
        """See Line.fill."""
        self._chosen().fill(view)

    def close(self) -> None:
        """End the item's own child, or its claim on the shared one. May be called twice."""
        if self._open:
            self._open = False
            if self._line is not None:
                self._line.close()
            else:
                self._room.give_up(self.number)

    def _chosen(self) -> Source:
        if self._line is None:
            self._line, self.data = self._room.line_of(self.number, self.data), b""
        return self._line


class _Words:
    """What a shared child said of one item, read again from memory."""

    def __init__(self, words: bytearray) -> None:
        self._rest = memoryview(words)

    def read(self, length: int) -> bytes:
        """See Line.read."""
        body = bytearray(length)
        self.fill(memoryview(body))
        return bytes(body)

    def fill(self, view: memoryview) -> None:
        """See Line.fill."""
        if len(view) > len(self._rest):
            msg = "the decoder stopped half-way"
            raise DecoderKilled(msg)
        view[:] = self._rest[: len(view)]
        self._rest = self._rest[len(view) :]

    def close(self) -> None:
        """See Line.close."""


def _words(line: Source) -> bytearray | None:
    """Read everything up to the end of one item; None for an error. Raises DecoderKilled for nonsense."""
    words = bytearray()
    for _ in range(len(LONGEST)):
        head = line.read(HEAD.size)
        kind, length = HEAD.unpack(head)
        if kind == Part.ERROR and length <= JSON_BYTES:
            line.read(length)
            return None
        if length > LONGEST.get(kind, -1):
            break
        words += head
        start = len(words)
        words += bytes(length)
        line.fill(memoryview(words)[start:])
        if kind == Part.END:
            return words
    msg = "the decoder sent something that is no picture"
    raise DecoderKilled(msg)


def _is_whole(words: bytearray, limits: DecodeLimits) -> bool:
    """Read it once to the end, with every check."""
    clip = Clip(_Words(words), limits)
    try:
        return sum(1 for _ in clip.frames()) == 1
    except MediaError:
        return False
