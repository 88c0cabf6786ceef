"""A long film in few bytes: which parts of it to fetch, and the small MP4 that is made of them.

Parts (`Window`) begin with key frames that are spread over the film, and take in what stands behind them:
mostly sound. Where all of the sound stands together it is taken whole. The excerpt is written by us: the
header and codecs of the film, tables of our own, then the parts as they come. Each sample keeps its time, so
what is seen or heard in the excerpt is where it is in the film.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Final

from crawlers.boxes import EMPTY_EDIT, HEAD, Index, Sample, Track, samples, written
from monitor.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

SPREAD_S: Final = 10.0
"""Key frames are at least this far apart, seconds."""

MOST_WINDOWS: Final = 24
"""Parts that are fetched, each by one request: a person who skips through a film asks as often."""

ROOM: Final = 12 * 2**20
"""Bytes of all parts together."""

SHARE: Final = 4
"""No more than one byte in so many of the film is fetched early."""

BEHIND: Final = 256 * 1024
"""Bytes fetched behind a key frame: two to four seconds of sound in a usual film for the web."""

FIRST: Final = 2**20
"""Bytes fetched from the first key frame on, with all frames in them: the film's own beginning, by which
the excerpt and the whole are known to be one."""

GAP: Final = 64 * 1024
"""Parts that are no further apart are fetched as one."""

SOUND_WINDOWS: Final = 4
SOUND_ROOM: Final = 6 * 2**20
"""All of the sound is taken where it is in so few parts, and so few bytes."""

LONGEST: Final = 2**31 - 1
"""Units that one sample may last: readers take the number for one with a sign."""

FTYP: Final = written(b"ftyp", b"isom\x00\x00\x02\x00isomiso2mp41")
SELF: Final = written(
    b"dinf", written(b"dref", struct.pack(">II", 0, 1), written(b"url ", b"\x00\x00\x00\x01"))
)
"""Says that the media are in this very file, and in none that the film may name."""


@dataclass(frozen=True, slots=True)
class Window:
    """Bytes of the film that are fetched: from `start` up to `end`."""

    start: int
    end: int


def windows(index: Index, length: int) -> list[Window]:
    """Choose the parts of a film of `length` bytes, in their order. Raises Unreadable."""
    room = min(ROOM, length // SHARE)
    keys = _spread(index.tracks[0])
    while sum(key.size for key in keys) > room and len(keys) > 1:
        keys = keys[::2]
    spare = max(0, room - sum(key.size for key in keys))
    whole_sound = [found for track in index.tracks[1:] for found in _sound(track, spare)]
    spare -= sum(one.end - one.start for one in whole_sound)
    behind = min(BEHIND, max(0, spare) // (len(keys) + FIRST // BEHIND))
    first = [Window(keys[0].start, max(keys[0].end, keys[0].start + behind * FIRST // BEHIND))]
    found = first + [Window(key.start, key.end + behind) for key in keys[1:]] + whole_sound
    if any(one.start >= length for one in found):
        msg = "a film names a place beyond its end"
        raise Unreadable(msg)
    return joined([Window(one.start, min(one.end, length)) for one in found], GAP)


def joined(found: Iterable[Window], gap: int) -> list[Window]:
    """Put parts in order, and make one of those that are at most `gap` bytes apart."""
    made: list[Window] = []
    for one in sorted(found, key=lambda window: window.start):
        if made and one.start <= made[-1].end + gap:
            made[-1] = Window(made[-1].start, max(made[-1].end, one.end))
        else:
            made.append(one)
    return made


def head(index: Index, parts: list[Window]) -> bytes:
    """Write what stands before the parts in the excerpt. Raises Unreadable."""
    chosen = [(track, list(_chosen(track, parts))) for track in index.tracks]
    chosen = [(track, found) for track, found in chosen if found]
    if not chosen or chosen[0][0].kind != b"vide":
        msg = "no key frame is whole in what would be fetched"
        raise Unreadable(msg)
    size = sum(one.end - one.start for one in parts)
    moov = _moov(index, chosen, parts, 0)
    return FTYP + _moov(index, chosen, parts, len(FTYP) + len(moov) + HEAD) + _mdat(size)


def _mdat(size: int) -> bytes:
    return (HEAD + size).to_bytes(4, "big") + b"mdat"


def _spread(track: Track) -> list[Sample]:
    """Choose key frames that are spread over a film, the first one among them."""
    keys, due, most = list[Sample](), 0, round(SPREAD_S * track.units)
    for sample in samples(track):
        if sample.is_key and sample.at >= due and sample.size:
            keys.append(sample)
            due = sample.at + most
        if len(keys) > 2 * MOST_WINDOWS:  # so long a film: further apart
            keys, most = keys[::2], 2 * most
            due = keys[-1].at + most
    if not keys:
        msg = "there is no key frame in it"
        raise Unreadable(msg)
    return keys if len(keys) <= MOST_WINDOWS else keys[::2]


def _sound(track: Track, spare: int) -> list[Window]:
    """Give where the sound stands if it can be taken whole, else nothing."""
    found: list[Window] = []
    size = 0
    for sample in samples(track):
        size += sample.size
        if found and sample.start <= found[-1].end + GAP and sample.start >= found[-1].start:
            found[-1] = Window(found[-1].start, max(found[-1].end, sample.end))
        else:
            found.append(Window(sample.start, sample.end))
        if len(found) > SOUND_WINDOWS or size > SOUND_ROOM:
            return []
    fetched = sum(one.end - one.start for one in found)
    return found if fetched <= min(SOUND_ROOM, spare) else []


def _chosen(track: Track, parts: list[Window]) -> Iterator[Sample]:
    """Give the samples that are whole in the parts: all of the sound, and of the pictures the key frames.

    All frames that follow the first one without a gap are among them too.
    """
    is_beginning = True
    place = 0
    for sample in samples(track):
        while parts[place].start > sample.start and place > 0:
            place -= 1
        while place + 1 < len(parts) and parts[place + 1].start <= sample.start:
            place += 1
        is_inside = parts[place].start <= sample.start and sample.end <= parts[place].end and sample.size > 0
        is_beginning = is_beginning and is_inside and place == 0
        if is_inside and (track.kind == b"soun" or sample.is_key or is_beginning):
            yield sample


def _moov(index: Index, chosen: list[tuple[Track, list[Sample]]], parts: list[Window], place: int) -> bytes:
    """Write the index; `place` is where the first part will stand."""
    tracks = [_trak(index, track, found, parts, place) for track, found in chosen]
    return written(b"moov", index.header, *tracks)


def _trak(index: Index, track: Track, found: list[Sample], parts: list[Window], place: int) -> bytes:
    kept = track.kept
    table = written(
        b"stbl",
        kept[b"stsd"],
        _stts(found),
        *([_ctts(found)] if b"ctts" in track.tables else []),
        _table(b"stss", ">I", [(number,) for number, one in enumerate(found, 1) if one.is_key]),
        *_stsc_and_stco(found, parts, place),
        written(
            b"stsz", struct.pack(">III", 0, 0, len(found)), *(one.size.to_bytes(4, "big") for one in found)
        ),
    )
    shown = [kept[name] for name in (b"vmhd", b"smhd") if name in kept]
    media = written(b"mdia", kept[b"mdhd"], kept[b"hdlr"], written(b"minf", *shown, SELF, table))
    return written(b"trak", kept[b"tkhd"], _edits(index, track, found), media)


def _edits(index: Index, track: Track, found: list[Sample]) -> bytes:
    """Say when the first sample is shown: as late as in the film."""
    late = found[0].at - track.skipped
    delay = track.delay + max(0, late) * index.units // track.units
    lasts = (found[-1].at + found[-1].lasts - found[0].at) * index.units // track.units + 1
    rows = [(delay, EMPTY_EDIT, 1 << 16)] if delay else []
    rows.append((lasts, max(0, -late), 1 << 16))
    return written(b"edts", _table(b"elst", ">QqI", rows, version=1))


def _stts(found: list[Sample]) -> bytes:
    """Let each sample last until the next one begins."""
    lasting = [later.at - one.at for one, later in pairwise(found)] + [found[-1].lasts]
    if max(lasting) > LONGEST:
        msg = "two key frames are too far apart for the tables of an MP4"
        raise Unreadable(msg)
    return _table(b"stts", ">II", [(len(list(run)), value) for value, run in groupby(lasting)])


def _ctts(found: list[Sample]) -> bytes:
    rows = [(len(list(run)), value) for value, run in groupby(one.shift for one in found)]
    return _table(b"ctts", ">Ii", rows, version=int(min(value for _, value in rows) < 0))


def _stsc_and_stco(found: list[Sample], parts: list[Window], place: int) -> tuple[bytes, bytes]:
    """Write each sample as a chunk of its own, at its place in the excerpt."""
    starts, at = [], place
    for part in parts:
        starts.append((part, at))
        at += part.end - part.start
    chunks, number = [], 0
    for one in found:
        while starts[number][0].start > one.start:
            number -= 1
        while starts[number][0].end < one.end:
            number += 1
        chunks.append((starts[number][1] + one.start - starts[number][0].start,))
    runs = groupby(enumerate(found, 1), key=lambda numbered: numbered[1].described)
    per_chunk = [(next(run)[0], 1, described) for described, run in runs]
    return _table(b"stsc", ">III", per_chunk), _table(b"stco", ">I", chunks)


def _table(name: bytes, form: str, rows: Sequence[tuple[int, ...]], version: int = 0) -> bytes:
    row = struct.Struct(form)
    count = struct.pack(">II", version << 24, len(rows))
    return written(name, count, *(row.pack(*values) for values in rows))
