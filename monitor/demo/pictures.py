"""What people do to a picture before they post it again.

Every function takes and gives encoded bytes; the pictures in between are RGB.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps

if TYPE_CHECKING:
    from collections.abc import Sequence

QUALITY = 90
"""JPEG quality of a picture that somebody saves without thinking about it."""

CELL = (420, 520)
"""Width and height of one picture of a collage, pixels."""

GAP = 8
"""Pixels between two pictures of a collage."""


def opened(data: bytes) -> Image.Image:
    """Decode to RGB."""
    return Image.open(io.BytesIO(data)).convert("RGB")


def encoded(picture: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:  # noqa: ANN401 - Pillow's own options
    """Encode; a JPEG at QUALITY unless told."""
    out = io.BytesIO()
    picture.save(out, kind, **({"quality": QUALITY} | options))
    return out.getvalue()


def resized(data: bytes, factor: float) -> bytes:
    """Make it smaller or larger by a factor of its sides."""
    picture = opened(data)
    return encoded(picture.resize((round(picture.width * factor), round(picture.height * factor))))


def recompressed(data: bytes, quality: int) -> bytes:
    """Save it again as a JPEG of that quality."""
    return encoded(opened(data), quality=quality)


def as_webp(data: bytes) -> bytes:
    """Save it again as WebP."""
    return encoded(opened(data), "WEBP", quality=80, method=2)


def cropped(data: bytes, window: tuple[float, float, float, float]) -> bytes:
    """Cut a window out: left, top, right, bottom as parts of the sides, in [0, 1]."""
    return encoded(window_of(opened(data), window))


def window_of(picture: Image.Image, window: tuple[float, float, float, float]) -> Image.Image:
    """Cut a window out of a decoded picture; parts of the sides, in [0, 1]."""
    left, top, right, bottom = window
    width, height = picture.size
    return picture.crop(
        (round(left * width), round(top * height), round(right * width), round(bottom * height))
    )


def mirrored(data: bytes) -> bytes:
    """Turn left and right around."""
    return encoded(ImageOps.mirror(opened(data)))


def collage(pictures: Sequence[Image.Image], columns: int) -> bytes:
    """Lay pictures out in a grid, each filling its cell from its top."""
    rows = -(-len(pictures) // columns)
    width, height = CELL[0] + GAP, CELL[1] + GAP
    sheet = Image.new("RGB", (columns * width + GAP, rows * height + GAP), "white")
    for number, picture in enumerate(pictures):
        cell = ImageOps.fit(picture, CELL, centering=(0.5, 0.0))
        sheet.paste(cell, (GAP + number % columns * width, GAP + number // columns * height))
    return encoded(sheet)


def corrupt_png(data: bytes) -> bytes:
    """Save as PNG and overwrite the middle of its pixels: the header stays whole."""
    png = bytearray(encoded(opened(data).resize((200, 200)), "PNG"))
    middle = len(png) // 2
    png[middle : middle + 4000] = bytes(4000)
    return bytes(png)


def huge_png(side: int = 50_000) -> bytes:
    """Make a PNG of a few hundred bytes whose header claims side x side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(64))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
