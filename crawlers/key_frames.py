"""A long film is looked at before any of it is fetched whole: key frames all over it, and sound.

1. its first bytes say where its index stands: at the front, or behind everything (boxes.py);
2. the index says which bytes hold the key frames and the sound (excerpt.py);
3. those are asked for, and go in as a small film of their own.

Fragmented MP4, Matroska, WebM and servers that give no parts are left to early.py, which takes the first
megabytes. What the excerpt shows and what the whole shows are one incident, because their pictures are the
same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from crawlers.boxes import LARGE_HEAD, box_at, read_index
from crawlers.excerpt import head, windows
from monitor.errors import LikenessError, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from crawlers.ranges import Ranges

Kept = TypeVar("Kept")

FRONT: Final = 64 * 1024
"""First bytes asked for: with them comes the whole index of a short film."""

MOST_INDEX: Final = 4 * 2**20
"""Bytes of an index that is read: about two hours of film with sound."""

MOST_STEPS: Final = 8
"""Boxes passed on the way to the index: ftyp, free, wide, uuid, mdat."""

SUFFIXES: Final = (".mp4", ".m4v", ".mov", ".3gp")


def look(parts: Ranges, keep: Callable[[Iterable[bytes]], Kept], on_early: Callable[[Kept], None]) -> bool:
    """Hand in the excerpt of a film; False where none can be made of it. Raises nothing of its own."""
    try:
        index = read_index(_index(parts))
        chosen = windows(index, parts.length)
        beginning = head(index, chosen)
        del index

        def pieces() -> Iterator[bytes]:
            yield beginning
            for one in chosen:
                yield from parts.pieces(one.start, one.end)

        on_early(keep(pieces()))
    except LikenessError:
        return False
    return True


def _index(parts: Ranges) -> bytes:
    """Find the index and give its content. Raises Unreadable, FetchFailed and FetchTimeout."""
    length, place = parts.length, 0
    front = parts.read(0, min(FRONT, length))
    shown, begins = front, 0
    for _ in range(MOST_STEPS):
        if place + LARGE_HEAD > length:
            break
        if place + LARGE_HEAD > begins + len(shown):
            begins = place
            shown = parts.read(place, length if length - place <= MOST_INDEX else place + FRONT)
        box = box_at(shown, place - begins, length - begins)
        if box.name == b"moov":
            return _content(parts, shown, (begins + box.start, begins + box.end), begins)
        if place == 0 and box.name not in {b"ftyp", b"wide", b"free", b"skip", b"mdat"}:
            break
        place = begins + box.end
    msg = "there is no index in it"
    raise Unreadable(msg)


def _content(parts: Ranges, shown: bytes, moov: tuple[int, int], begins: int) -> bytes:
    """Give the content of the index, of which `shown` has the beginning."""
    start, end = moov
    if end - start > MOST_INDEX or end > parts.length:
        msg = "the index of the film is too long"
        raise Unreadable(msg)
    here = shown[start - begins : end - begins]
    missing = start + len(here)
    return here if missing == end else here + parts.read(missing, end)
