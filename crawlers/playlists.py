"""Reads HLS playlists (RFC 8216), as far as is needed to fetch a film that is given in segments.

A master playlist names variants; of them the smallest that is good enough is taken, and its sound where it
stands by itself. A media playlist names segments; put behind one another they are one film. What is read is a
stranger's: every address is taken apart here and passes robots.txt, the pace of its host and the guard
before it is asked for (segments.py); numbers are capped; encrypted films are left alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin

from crawlers.fetch_guard import split
from monitor.errors import FetchRefused, FetchTooLarge, FetchWrongType, MediaLocked

FIRST_LINE: Final = "#EXTM3U"
MOST_BYTES: Final = 2 * 2**20
"""Largest playlist read. One of a film of three hours has 300 KB."""

MOST_SEGMENTS: Final = 4000
"""Segments of one film: four hours in parts of four seconds, or six in parts of six."""

MOST_VARIANTS: Final = 200

GOOD_ENOUGH: Final = 480
"""Lines: a face in a larger picture is hardly better recognised, and costs many times the bytes."""

GOOD_ENOUGH_BITS: Final = 800_000
"""Bits a second that stand for GOOD_ENOUGH lines where a playlist does not say how many it has."""

ATTRIBUTE: Final = re.compile(r'([A-Z0-9-]{1,40})=("[^"\r\n]{0,4096}"|[^",\s]{1,200})')


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes at an address: all of them where `length` is None."""

    url: str
    start: int = 0
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Segments:
    """What a media playlist names, in order, initialisations where they apply. It lasts `seconds`."""

    pieces: tuple[Piece, ...]
    seconds: float
    is_over: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """The variant of a master playlist that is taken, and the playlist of its sound where it has one."""

    video: str
    sound: str | None
    bits: int


@dataclass(frozen=True, slots=True)
class _Variant:
    url: str
    bits: int
    lines: int
    sounds: str

    @property
    def is_good(self) -> bool:
        return self.lines >= GOOD_ENOUGH if self.lines else self.bits >= GOOD_ENOUGH_BITS


def read(text: str, url: str) -> Choice | Segments:
    """Read a playlist that came from `url`.

    Raises:
        FetchWrongType: it is no playlist, or names nothing.
        FetchRefused: it names an address that is none of the web.
        FetchTooLarge: it names more segments than are fetched.
        MediaLocked: its film is encrypted.
    """
    lines = [line.strip() for line in text.removeprefix("\ufeff").splitlines()]
    if not lines or lines[0] != FIRST_LINE:
        msg = "it is no playlist by its first line"
        raise FetchWrongType(msg)
    if any(line.startswith("#EXT-X-STREAM-INF:") for line in lines):
        return _choice(lines, url)
    return _Reading(url).read(lines)


def _choice(lines: list[str], url: str) -> Choice:
    variants: list[_Variant] = []
    sounds: dict[str, str] = {}
    told: dict[str, str] | None = None
    for line in lines:
        tag, _, value = line.partition(":")
        if tag == "#EXT-X-SESSION-KEY" and _attributes(value).get("METHOD", "NONE") != "NONE":
            _refuse_locked()
        elif tag == "#EXT-X-MEDIA":
            _add_sound(_attributes(value), url, sounds)
        elif tag == "#EXT-X-STREAM-INF":
            told = _attributes(value)
        elif line and not line.startswith("#") and told is not None:
            variants.append(_variant(told, address(line, url)))
            told = None
        if len(variants) > MOST_VARIANTS:
            msg = f"a playlist names more than {MOST_VARIANTS} variants"
            raise FetchTooLarge(msg)
    if not variants:
        msg = "a playlist names no variant"
        raise FetchWrongType(msg)
    good = [one for one in variants if one.is_good]
    best = min(good, key=_size) if good else max(variants, key=_size)
    return Choice(best.url, sounds.get(best.sounds) if best.sounds else None, best.bits)


def _variant(told: dict[str, str], url: str) -> _Variant:
    lines = _whole(told.get("RESOLUTION", "").lower().partition("x")[2])
    return _Variant(url, _whole(told.get("BANDWIDTH")), lines, told.get("AUDIO", ""))


def _size(one: _Variant) -> tuple[int, int]:
    return one.lines, one.bits


def _add_sound(told: dict[str, str], url: str, sounds: dict[str, str]) -> None:
    """Keep where the sound of a group stands: its default one, or else its first."""
    if told.get("TYPE") != "AUDIO" or not told.get("URI"):
        return
    group = told.get("GROUP-ID", "")
    if group and (group not in sounds or told.get("DEFAULT") == "YES") and len(sounds) < MOST_VARIANTS:
        sounds[group] = address(told["URI"], url)


class _Reading:
    """Reads one media playlist, line by line."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pieces: list[Piece] = []
        self._seconds, self._is_over = 0.0, False
        self._range = ""
        self._ends: dict[str, int] = {}

    def read(self, lines: list[str]) -> Segments:
        for line in lines[1:]:
            if line.startswith("#"):
                self._tag(*line.partition(":")[::2])
            elif line:
                self._pieces.append(self._piece(line, self._range))
                self._range = ""
            if len(self._pieces) > MOST_SEGMENTS:
                msg = f"a playlist names more than {MOST_SEGMENTS} segments; none was fetched"
                raise FetchTooLarge(msg)
        if not self._pieces:
            msg = "a playlist names no segment"
            raise FetchWrongType(msg)
        return Segments(tuple(self._pieces), self._seconds, self._is_over)

    def _tag(self, tag: str, value: str) -> None:
        if tag == "#EXT-X-KEY" and _attributes(value).get("METHOD", "NONE") != "NONE":
            _refuse_locked()
        elif tag == "#EXTINF":
            self._seconds += min(_seconds(value.partition(",")[0]), 3600.0)
        elif tag == "#EXT-X-BYTERANGE":
            self._range = value
        elif tag == "#EXT-X-ENDLIST":
            self._is_over = True
        elif tag == "#EXT-X-MAP":
            told = _attributes(value)
            self._pieces.append(self._piece(told.get("URI", ""), told.get("BYTERANGE", "")))

    def _piece(self, link: str, part: str) -> Piece:
        """Make a piece; one that says no beginning goes on where the one before it ended."""
        url = address(link, self._url)
        if not part:
            return Piece(url)
        length, _, start = part.partition("@")
        piece = Piece(url, _whole(start) if start else self._ends.get(url, 0), _whole(length))
        if not piece.length:
            msg = "a playlist names a part of no length"
            raise FetchWrongType(msg)
        self._ends[url] = piece.start + piece.length
        return piece


def address(link: str, url: str) -> str:
    """Give the absolute address of what a playlist names. Raises FetchRefused for none of the web."""
    try:
        found = urljoin(url, link) if link else ""
    except ValueError as exc:
        msg = "a playlist names what is no address"
        raise FetchRefused(msg) from exc
    split(found)
    return found


def _attributes(value: str) -> dict[str, str]:
    return {name: text.strip('"') for name, text in ATTRIBUTE.findall(value)}


def _whole(text: str | None) -> int:
    """Read a whole number of at most 15 digits; what is none is 0."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 15 else 0


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        return 0.0
    return found if 0 <= found < float("inf") else 0.0


def _refuse_locked() -> None:
    msg = "the film is encrypted, and its keys are for its viewers"
    raise MediaLocked(msg)
