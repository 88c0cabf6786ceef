"""Says what a file is that a person gives, by its first bytes, and what to do where it cannot be taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor import intake
from monitor.errors import EmptyMedia, HeicPicture, NotMedia, TooLarge

if TYPE_CHECKING:
    from monitor.values import MediaKind

HEIC_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
"""Major brands of ISO files that hold HEVC pictures (ISO/IEC 23008-12): phones make them, readers lack."""


def kind_of_file(data: bytes, max_bytes: int, wanted: str) -> MediaKind:
    """Say what a file is. `wanted` names what would be taken, for people.

    Raises EmptyMedia, TooLarge, HeicPicture, NotMedia.
    """
    if not data:
        msg = "the file is empty"
        raise EmptyMedia(msg, hint="Choose it again; if it stays empty, take a new one.")
    if len(data) > max_bytes:
        msg = f"the file is larger than the {max_bytes // 2**20} MB that are taken"
        raise TooLarge(msg, hint="Give a smaller one: a photograph or a short recording.")
    if data[4:8] == b"ftyp" and data[8:12] in HEIC_BRANDS:
        msg = "this is a HEIC picture, which cannot be read here"
        hint = "On an iPhone take the picture here with the camera, or save it as JPEG first."
        raise HeicPicture(msg, hint=hint)
    try:
        return intake.kind_of(data)
    except NotMedia as exc:
        msg = "this is neither a picture, nor a video, nor sound, whatever its name says"
        raise NotMedia(msg, hint=f"Give {wanted}.") from exc
