"""What a file says about its own making: Content Credentials, XMP and IPTC, EXIF, PNG text, tags of a video.

Runs on hostile bytes, so it runs inside the decoder's child. Everything said here is the file's own claim:
anybody can write it, and anybody can strip it, so that a file which says nothing proves nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.ml.synthetic import credentials, watermark, xmp
from monitor.ml.synthetic.exif import texts
from monitor.ml.synthetic.sources import (
    CAPTURED,
    EDITED,
    SYNTHETIC,
    from_prose,
    from_software,
    from_source_type,
    quoted,
)
from monitor.values import SyntheticAssessment, SyntheticSignal, SyntheticStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import BinaryIO

    from PIL import Image

HEAD_BYTES = 16 * 2**20
TAIL_BYTES = 1 * 2**20
"""Bytes at the start and the end of a file that are searched: the metadata of every format lie there."""

PNG_KEYS = {
    "parameters": "the settings of a picture generator",
    "prompt": "the prompt of a picture generator",
    "workflow": "the work flow of a picture generator",
    "sd-metadata": "the settings of a picture generator",
    "invokeai_metadata": "the settings of a picture generator",
    "Dream": "the prompt of a picture generator",
}
"""Keys of PNG text under which generators keep how a picture was made."""

SOFTWARE_KEYS = ("Software", "Source", "encoder", "software")
"""Keys of PNG text and of a video's tags that name a program."""

PROSE_KEYS = ("Description", "Comment", "comment", "title", "Title", "description")
"""Keys under which people write what they like."""

MOST_TEXT = 2_000
"""Letters of the name of a program that are looked at."""

MOST_PROSE = 8_000
"""Letters of a caption or comment that are looked at: settings come after a long prompt."""

WEIGHTS = (SYNTHETIC, CAPTURED, EDITED)
"""What a declaration can weigh, the heaviest first."""

MOST_SIGNALS = 30
"""Things said by one part of a file that are handed on: a flood of them must not crowd the picture out."""

STRIPPABLE = "what a file says about itself can be stripped or forged"
NOT_COVERED = "not assessed: no scorer installed"


def declared(signals: Iterable[SyntheticSignal]) -> SyntheticAssessment:
    """Say what is known about an item being synthetic: what it declares, and that nothing else was looked at.

    A declaration of synthetic parts outweighs one of a capture; edits alone declare neither.
    """
    reasons = tuple(signals)
    weights = {signal.weight for signal in reasons}
    if "synthetic" in weights:
        return SyntheticAssessment(SyntheticStatus.DECLARED, reasons, f"{NOT_COVERED}; {STRIPPABLE}")
    if "captured" in weights:
        return SyntheticAssessment(SyntheticStatus.DECLARED_CAPTURED, reasons, f"{NOT_COVERED}; {STRIPPABLE}")
    return SyntheticAssessment(SyntheticStatus.NOT_ASSESSED, reasons, NOT_COVERED)


def in_bytes(stream: BinaryIO, *, trust_pem: str = "") -> tuple[SyntheticSignal, ...]:
    """Read what stands in the bytes of any format: Content Credentials and XMP. Moves the stream."""
    data = _ends(stream)
    found: list[SyntheticSignal] = []
    if credentials.may_have(data):
        stream.seek(0)
        found += credentials.read(stream, trust_pem)
    for packet in xmp.packets(data):
        found += _of_xmp(xmp.properties(packet))
    return once(found)


def in_picture(image: Image.Image) -> tuple[SyntheticSignal, ...]:
    """Read EXIF, PNG text and the invisible mark of a loaded picture, not scaled yet."""
    found: list[SyntheticSignal] = []
    for text, program in texts(image):
        found += _named("exif", text, "Its EXIF") if program else _written("exif", text, "Its EXIF")
    found += _of_text("png", image.info, "Its PNG text")
    maker = watermark.program_in(image)
    if maker is not None:
        says = f"Its pixels hold the invisible mark that the programs of {maker} write into their pictures."
        found.append(SyntheticSignal("watermark", says, SYNTHETIC))
    return once(found)


def in_tags(tags: Mapping[str, str]) -> tuple[SyntheticSignal, ...]:
    """Read the tags of a video or sound."""
    return once(_of_text("tags", tags, "Its metadata"))


def once(signals: Iterable[SyntheticSignal]) -> tuple[SyntheticSignal, ...]:
    """Drop what was said before; of a flood keep what counts most, in its order."""
    said = list(dict.fromkeys(signals))
    if len(said) > MOST_SIGNALS:
        said = sorted(said, key=lambda one: (not one.trusted, WEIGHTS.index(one.weight)))[:MOST_SIGNALS]
    return tuple(said)


def _ends(stream: BinaryIO) -> bytes:
    """Read the start and the end of a file."""
    data = stream.read(HEAD_BYTES)
    size = stream.seek(0, 2)
    if size > len(data):
        stream.seek(max(len(data), size - TAIL_BYTES))
        data += stream.read(TAIL_BYTES)
    return data


def _of_xmp(properties: Iterable[tuple[str, str]]) -> Iterator[SyntheticSignal]:
    for word, value in properties:
        if word == "source_type":
            signal = from_source_type("iptc", value, where="Its IPTC metadata")
        elif word == "generator":
            says = f"Its IPTC metadata names the AI system {quoted(value)}."
            signal = SyntheticSignal("iptc", says, SYNTHETIC)
        elif word == "prose":
            signal = from_prose("xmp", value[:MOST_PROSE], where="Its XMP metadata")
        else:
            signal = from_software("xmp", value[:MOST_TEXT], where="Its XMP metadata")
        if signal is not None:
            yield signal


def _of_text(source: str, texts: Mapping[Any, object], where: str) -> Iterator[SyntheticSignal]:
    for key, what in PNG_KEYS.items():
        if source == "png" and isinstance(texts.get(key), str):
            yield SyntheticSignal(source, f"{where} holds {what}.", SYNTHETIC)
    for key in SOFTWARE_KEYS:
        yield from _named(source, texts.get(key), where)
    for key in PROSE_KEYS:
        yield from _written(source, texts.get(key), where)


def _written(source: str, text: object, where: str) -> Iterator[SyntheticSignal]:
    signal = from_prose(source, text[:MOST_PROSE], where=where) if isinstance(text, str) else None
    if signal is not None:
        yield signal


def _named(source: str, text: object, where: str) -> Iterator[SyntheticSignal]:
    signal = from_software(source, text[:MOST_TEXT], where=where) if isinstance(text, str) else None
    if signal is not None:
        yield signal
