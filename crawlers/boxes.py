"""Reads the index of an MP4, MOV or M4V (`moov`) as far as is needed to know which bytes hold what.

The boxes are those of ISO/IEC 14496-12. The bytes are a stranger's: every length is checked against what
holds it, nothing is copied that is not kept, and samples are walked one by one, never laid out in memory.
Whatever is not as it should be raises Unreadable; then the film is looked at when it is whole.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING, Final, NoReturn

from monitor.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD: Final = 8
"""Bytes of a box's length and name."""

LARGE_HEAD: Final = 16
"""The same where the length is one of 64 bits."""

MOST_BOXES: Final = 256
"""Boxes side by side that are walked. Real files have a dozen."""

MOST_SAMPLES: Final = 500_000
"""Samples of one track: two hours of film at 60 frames a second, or three of compressed sound."""

LONGEST_DELAY: Final = 2**40
"""Units of a film before a track begins: more is no delay, and no number that can be written."""

LARGEST_KEPT: Final = 256 * 1024
"""Bytes of a box that is taken over as it is: headers and descriptions of codecs."""

DESCRIPTIONS: Final = 16
"""Where, in a box of descriptions, the first one begins."""

LOCKED: Final = frozenset({b"encv", b"enca"})
"""Samples that are encrypted (ISO/IEC 23001-7)."""

EMPTY_EDIT: Final = -1
"""A media time that says: nothing is shown for so long."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box: its name, and where its content stands, from `start` up to `end`."""

    name: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame, or one packet of sound. `at` and `lasts` are in units of its track; `number` is from 1.

    `shift` is what its time of showing is later than `at`; `described` is its entry among the descriptions.
    """

    number: int
    start: int
    size: int
    at: int
    lasts: int
    shift: int
    is_key: bool
    described: int

    @property
    def end(self) -> int:
        """Give the place behind its last byte."""
        return self.start + self.size


@dataclass(frozen=True, slots=True)
class Track:
    """One track. `kept` are its boxes that are taken over as they are; `tables` those that are walked.

    `delay` (units of the film) and `skipped` (units of the track) are its edit: when it begins, and with
    which moment of its media.
    """

    kind: bytes
    units: int
    count: int
    kept: dict[bytes, bytes]
    tables: dict[bytes, memoryview]
    delay: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Index:
    """The index of a film: `units` a second, its header as it is, and the tracks that are looked at."""

    units: int
    header: bytes
    tracks: tuple[Track, ...]


def boxes(data: bytes | memoryview, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """Walk boxes that stand side by side and fill the space. Raises Unreadable."""
    end, place = len(data) if end is None else end, start
    for _ in range(MOST_BOXES):
        if place == end:
            return
        box = box_at(data, place, end)
        if box.end > end:
            _refuse(f"a box {box.name!r} is longer than what holds it")
        yield box
        place = box.end
    _refuse("too many boxes")


def box_at(data: bytes | memoryview, place: int, end: int) -> Box:
    """Read the head of one box; it may go on beyond `data`. Raises Unreadable."""
    if place + HEAD > min(end, len(data)):
        _refuse("a box is cut off")
    size, name = _number(data, place, 4), bytes(data[place + 4 : place + HEAD])
    head = HEAD
    if size == 1:
        head = LARGE_HEAD
        size = _number(data, place + HEAD, 8)
    elif size == 0:
        size = end - place
    if size < head:
        _refuse(f"a box {name!r} is shorter than its own head")
    return Box(name, place + head, place + size)


def read_index(moov: bytes) -> Index:
    """Read the content of a `moov`: its first video track, and its first sound. Raises Unreadable."""
    data, tracks, header = memoryview(moov), dict[bytes, Track](), b""
    for box in boxes(data):
        if box.name == b"mvex":
            _refuse("the film is in fragments")
        if box.name == b"mvhd":
            header = _kept(data, box)
        if box.name == b"trak":
            track = _track(data, box)
            if track is not None:
                tracks.setdefault(track.kind, track)
    if b"vide" not in tracks:
        _refuse("there is no video in it")
    found = tuple(tracks[kind] for kind in (b"vide", b"soun") if kind in tracks)
    return Index(_timescale(header), header, found)


def samples(track: Track) -> Iterator[Sample]:
    """Walk the samples of a track in the order of decoding. Raises Unreadable where tables disagree."""
    keys = _keys(track)
    next_key = next(keys, 0)
    shifts = chain(_runs(track.tables.get(b"ctts"), ">Ii"), repeat(0))
    lasting = _runs(track.tables[b"stts"], ">II")
    at = 0
    for number, ((start, size, described), shift) in enumerate(zip(_places(track), shifts, strict=False), 1):
        lasts = next(lasting, None)
        if lasts is None:
            _refuse("a film has more samples than times")
        is_key = b"stss" not in track.tables or number == next_key
        if number == next_key:
            next_key = next(keys, 0)
        yield Sample(number, start, size, at, lasts, shift, is_key, described)
        at += lasts


def _track(data: memoryview, trak: Box) -> Track | None:
    """Read one track; None where it is neither video nor sound."""
    inside = {box.name: box for box in boxes(data, trak.start, trak.end)}
    media = _inside(data, inside, b"mdia")
    kind = bytes(data[_need(media, b"hdlr").start + 8 :][:4])
    if kind not in {b"vide", b"soun"}:
        return None
    info = _inside(data, media, b"minf")
    table = _inside(data, info, b"stbl")
    kept = {b"tkhd": _kept(data, _need(inside, b"tkhd"))}
    kept |= {name: _kept(data, _need(media, name)) for name in (b"mdhd", b"hdlr")}
    kept |= {name: _kept(data, info[name]) for name in (b"vmhd", b"smhd") if name in info}
    kept[b"stsd"] = _kept(data, _need(table, b"stsd"))
    if any(entry.name in LOCKED for entry in boxes(kept[b"stsd"], DESCRIPTIONS)):
        _refuse("the film is encrypted")
    tables: dict[bytes, memoryview] = {
        name: data[table[name].start + 4 : table[name].end]
        for name in (b"stts", b"ctts", b"stss", b"stsc", b"stsz", b"stco", b"co64")
        if name in table
    }
    if not {b"stts", b"stsc", b"stsz"} <= tables.keys() or not {b"stco", b"co64"} & tables.keys():
        _refuse("a table of a film is missing")
    count = _number(tables[b"stsz"], 4, 4)
    if not 0 < count <= MOST_SAMPLES:
        _refuse("a track has no samples, or far too many")
    delay, skipped = _edit(data, inside)
    return Track(kind, _timescale(kept[b"mdhd"]), count, kept, tables, delay, skipped)


def _edit(data: memoryview, inside: dict[bytes, Box]) -> tuple[int, int]:
    """Read the edit of a track: (delay, skipped). Of several pieces, the first one counts."""
    if b"edts" not in inside:
        return 0, 0
    lists = [box for box in boxes(data, inside[b"edts"].start, inside[b"edts"].end) if box.name == b"elst"]
    if not lists:
        return 0, 0
    is_long = _number(data, lists[0].start, 1) == 1
    form = struct.Struct(">Qqi" if is_long else ">Iii")
    delay = 0
    for lasts, at, _ in form.iter_unpack(_rows(data[lists[0].start + 4 : lists[0].end], form.size)):
        if at != EMPTY_EDIT:
            return delay, max(0, at)
        delay += lasts
        if delay > LONGEST_DELAY:
            _refuse("a track begins never")
    return delay, 0


def _places(track: Track) -> Iterator[tuple[int, int, int]]:
    """Give (place, size, description) of each sample."""
    sizes, left = _sizes(track), track.count
    for chunk, (per_chunk, described) in zip(_chunks(track), _per_chunk(track), strict=False):
        place = chunk
        for size in (next(sizes) for _ in range(min(per_chunk, left))):
            yield place, size, described
            place += size
            left -= 1
        if left == 0:
            return
    _refuse("a film has more samples than places")


def _sizes(track: Track) -> Iterator[int]:
    table = track.tables[b"stsz"]
    same = _number(table, 0, 4)
    if same:
        return repeat(same, track.count)
    if len(table) < HEAD + 4 * track.count:
        _refuse("a table is shorter than it says")
    return (size for (size,) in struct.iter_unpack(">I", table[HEAD : HEAD + 4 * track.count]))


def _chunks(track: Track) -> Iterator[int]:
    form = ">Q" if b"co64" in track.tables else ">I"
    table = track.tables[b"co64" if b"co64" in track.tables else b"stco"]
    return (place for (place,) in struct.iter_unpack(form, _rows(table, struct.calcsize(form))))


def _per_chunk(track: Track) -> Iterator[tuple[int, int]]:
    """Give the number of samples, and their description, of one chunk after another, without end."""
    chunk, now = 1, (0, 0)
    for first, per_chunk, described in struct.iter_unpack(">III", _rows(track.tables[b"stsc"], 12)):
        if first < chunk:
            _refuse("chunks are not in order")
        yield from repeat(now, first - chunk)
        chunk, now = first, (per_chunk, described)
    yield from repeat(now)


def _keys(track: Track) -> Iterator[int]:
    rows = _rows(track.tables[b"stss"], 4) if b"stss" in track.tables else b""
    return (number for (number,) in struct.iter_unpack(">I", rows))


def _runs(table: memoryview | None, form: str) -> Iterator[int]:
    """Spread a table of (count, value) out, lazily."""
    if table is None:
        return iter(())
    rows = struct.iter_unpack(form, _rows(table, struct.calcsize(form)))
    return chain.from_iterable(repeat(value, count) for count, value in rows)


def _rows(table: memoryview, size: int) -> memoryview:
    """Give the rows behind the count of a table, as many as the count says."""
    length = _number(table, 0, 4) * size
    if length > len(table) - 4:
        _refuse("a table is shorter than it says")
    return table[4 : 4 + length]


def _timescale(header: bytes) -> int:
    """Give the units a second of a movie header or a media header; both keep it at the same place."""
    if len(header) < HEAD + 24:
        _refuse("a header is cut off")
    units = _number(header, HEAD + (20 if header[HEAD] == 1 else 12), 4)
    if units == 0:
        _refuse("a header has no time")
    return units


def _inside(data: memoryview, outer: dict[bytes, Box], name: bytes) -> dict[bytes, Box]:
    box = _need(outer, name)
    return {one.name: one for one in boxes(data, box.start, box.end)}


def _need(found: dict[bytes, Box], name: bytes) -> Box:
    if name not in found:
        _refuse(f"there is no box {name!r}")
    return found[name]


def _kept(data: memoryview, box: Box) -> bytes:
    """Give a whole box with a head of its own."""
    if box.end - box.start > LARGEST_KEPT:
        _refuse(f"a box {box.name!r} is too long")
    return written(box.name, bytes(data[box.start : box.end]))


def written(name: bytes, *parts: bytes) -> bytes:
    """Write one box."""
    return (HEAD + sum(map(len, parts))).to_bytes(4, "big") + name + b"".join(parts)


def _number(data: bytes | memoryview, place: int, length: int) -> int:
    if place + length > len(data):
        _refuse("a box is cut off")
    return int.from_bytes(data[place : place + length], "big")


def _refuse(why: str) -> NoReturn:
    raise Unreadable(why)
