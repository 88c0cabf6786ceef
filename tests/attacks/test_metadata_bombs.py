"""Words in a file that unpack to far more, loop, nest or lie: the picture is seen, and nobody accused."""

from __future__ import annotations

import resource
import struct
import time
import zlib
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from monitor.ml.synthetic.fusing import fuse, shipped_fusion
from monitor.ml.synthetic.provenance import Provenance
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.values import Aspect, Made, MediaKind
from tests.assets import media
from tests.assets.sightings import sighting
from tests.assets.signing import CAMERA, Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_S = 15.0
"""Wall-clock seconds for one picture on a busy machine; each takes under one on a quiet one."""

SMILE = "\N{GRINNING FACE}"

BOMB = 100_000_000


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(DecodeLimits(cpu_seconds=10, wall_seconds=60, memory_mb=768)) as running:
        yield running


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*chunks: bytes, behind: bool = False) -> bytes:
    """Put chunks behind the header of a PNG, or in front of its end."""
    whole = media.png()
    place = len(whole) - 12 if behind else 33
    return whole[:place] + b"".join(chunks) + whole[place:]


@cache
def packed(length: int) -> bytes:
    squeeze = zlib.compressobj(9)
    block = b"a" * 1_000_000
    return b"".join(squeeze.compress(block) for _ in range(length // len(block))) + squeeze.flush()


def words(length: int) -> bytes:
    return chunk(b"zTXt", b"Comment\0\0" + packed(length))


def exif(first: bytes, rest: bytes = b"") -> bytes:
    """Write EXIF with one directory, little end first."""
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + first + rest


def entry(tag: int, kind: int, count: int, value: int, following: int = 0) -> bytes:
    return struct.pack("<HHHIII", 1, tag, kind, count, value, following)


def long_comment(length: int) -> bytes:
    body = b"UNICODE\0" + "my holiday ".encode("utf-16-le") * (length // 22)
    return exif(entry(0x8769, 4, 1, 26), entry(0x9286, 7, len(body), 44) + body)


def manifest(length: int) -> bytes:
    """Build a JUMBF box labelled c2pa with nothing but zeros in it."""
    label = b"c2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\x03c2pa\0"
    described = struct.pack(">I", len(label) + 8) + b"jumd" + label
    return struct.pack(">I", length + len(described) + 8) + b"jumb" + described + bytes(length)


def xmp(inside: bytes) -> bytes:
    return media.jpeg() + b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + inside + b"</x:xmpmeta>"


BOMBS: dict[str, Callable[[], bytes]] = {
    "10,000 words": lambda: png(*[chunk(b"tEXt", b"k%d\0v" % number) for number in range(10_000)]),
    "10,000 comments": lambda: png(*[chunk(b"tEXt", b"Comment\0hello")] * 10_000, behind=True),
    "words that unpack": lambda: png(words(BOMB)),
    "words that unpack, behind": lambda: png(words(BOMB), behind=True),
    "100 that unpack a little": lambda: png(*[words(1_000_000)] * 100),
    "XMP that unpacks": lambda: png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + packed(BOMB))),
    "profile that unpacks": lambda: png(chunk(b"iCCP", b"x\0\0" + packed(BOMB))),
    "EXIF that points to itself": lambda: media.jpeg(exif=exif(entry(0x8769, 4, 1, 8, 8))),
    "EXIF that points outside": lambda: media.jpeg(exif=exif(entry(0x010E, 2, 2**31, 2**31))),
    "a comment of 20 MB": lambda: media.webp(exif=long_comment(20_000_000)),
    "deep XMP": lambda: xmp(b"<a>" * 30_000 + b"</a>" * 30_000),
    "wide XMP": lambda: xmp(b"<a b='c'/>" * 20_000),
    "entities": lambda: xmp(b'<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;&b;">]><a>&d;</a>'),
    "50 MB that is no manifest": lambda: png(chunk(b"caBX", manifest(50_000_000))),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_hides_no_picture_and_accuses_nobody(decoder: Decoder, bomb: str) -> None:
    data = BOMBS[bomb]()
    began = time.monotonic()
    with decoder.start(data) as clip:
        frames = list(clip.frames())
        signals, notes = clip.signals, [one.reason for one in clip.not_looked]

    assert len(frames) == 1
    assert frames[0].rgb.std() > 10, "the picture itself is there"
    assert not [signal for signal in signals if signal.weight == "synthetic"]
    assert time.monotonic() - began < MOST_S
    if "unpack" in bomb:
        assert any("unpack" in note for note in notes)


def test_a_flood_of_words_crowds_neither_the_picture_out_nor_the_one_that_counts(decoder: Decoder) -> None:
    names = "".join(f"<x:CreatorTool>Photoshop {n} {SMILE * 50}</x:CreatorTool>" for n in range(190))
    flood = f"<x:d xmlns:x='http://ns.adobe.com/xap/1.0/'>{names}%s</x:d>"
    packets = [flood % f"<x:CreatorTool>Midjourney {SMILE * 40}</x:CreatorTool>"] + [flood % ""] * 3
    data = b"".join(xmp(packet.replace("shop", f"shop{n}").encode()) for n, packet in enumerate(packets))
    with decoder.start(data) as clip:
        assert len(list(clip.frames())) == 1
        assert "synthetic" in {signal.weight for signal in clip.signals}
        assert len(clip.signals) < 50


def test_orientation_and_transparency_outlive_a_bomb(decoder: Decoder) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    picture = Image.new("RGBA", (60, 30), (0, 0, 0, 0))
    whole = media.saved(picture, "PNG", exif=turned)
    with decoder.start(whole[:33] + words(BOMB) + whole[33:]) as clip:
        (frame,) = clip.frames()

    assert frame.rgb.shape == (60, 30, 3)
    assert frame.rgb.min() == 255


def test_a_signed_manifest_of_50_mb_that_lies_counts_nothing(decoder: Decoder) -> None:
    signed = Authority().signed(media.jpeg(320, 240), CAMERA, thumbnail=50_000_000)
    began = time.monotonic()
    with decoder.start(signed) as clip:
        frames, declared = list(clip.frames()), clip.signals

    assert len(frames) == 1
    assert time.monotonic() - began < MOST_S
    assert [(one.weight, one.trusted) for one in declared] == [("captured", False)]
    said = Provenance().assess(replace(sighting(kind=MediaKind.IMAGE), declared=declared))
    assert (said.llr, said.shown_only) == (0.0, True)
    assert fuse([said], [Aspect.FACE], shipped_fusion()).made is Made.CANNOT_TELL


def test_what_a_bomb_unpacks_to_is_never_in_this_process(decoder: Decoder) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with decoder.start(png(words(BOMB))) as clip:
        assert len(list(clip.frames())) == 1

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB
