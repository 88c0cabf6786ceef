"""The words in a picture's EXIF that speak of its making. Generators put theirs into fields of all kinds.

A1111 writes its settings into `UserComment` of a JPEG or WebP; ComfyUI its work flow into `Make` and `Model`
of a WebP, which name a camera elsewhere.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

SOFTWARE, DESCRIPTION, MAKE, MODEL = 0x0131, 0x010E, 0x010F, 0x0110
"""Tags of the first directory (EXIF 2.32, table 4)."""

EXIF_DIRECTORY, USER_COMMENT = 0x8769, 0x9286
"""The tag that points to the second directory, and the one in it where users write (table 7)."""

MOST_BYTES: Final = 16_384
"""Bytes of one field that are looked at: a long prompt comes before the settings that tell it."""

MOST_LETTERS: Final = 8_000
"""Letters of one field that are handed on."""


def texts(image: Image.Image) -> Iterator[tuple[str, bool]]:
    """Give (words, whether they name a program) of the EXIF of a picture; nothing where it is broken."""
    try:
        exif = image.getexif()
        fields = [(exif.get(tag), tag == SOFTWARE) for tag in (SOFTWARE, DESCRIPTION, MAKE, MODEL)]
        comment = exif.get_ifd(EXIF_DIRECTORY).get(USER_COMMENT)
    except Exception:  # noqa: BLE001 - edge: Pillow raises anything at all on broken EXIF, and the picture is fine
        return
    for value, program in fields:
        if isinstance(value, str):
            yield value[:MOST_LETTERS], program
    if isinstance(comment, str):
        yield comment[:MOST_LETTERS], False
    elif isinstance(comment, bytes):
        yield _comment(comment[:MOST_BYTES]), False


def _comment(field: bytes) -> str:
    """Read a user comment: eight bytes say in which letters the rest is written."""
    code, rest = field[:8], field[8:]
    if code != b"UNICODE\0":
        return rest.decode("utf-8", "replace")
    big = rest[:1] == b"\0"  # the standard leaves the order open; what is written is mostly Latin
    decode = codecs.utf_16_be_decode if big else codecs.utf_16_le_decode  # no module: a child can open none
    return decode(rest, "replace")[0]
