"""The XMP packet of a file: what its maker's software wrote about the making.

An XMP packet is plain XML inside pictures and videos of every format, so it is found by its own marks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element  # the type alone; defusedxml parses

PACKET_BYTES = 256 * 1024
"""Longest packet that is parsed: an honest one is a few kilobytes."""

PACKETS = 4
"""Packets that are parsed; a file has one, and sometimes one more for a thumbnail."""

MOST_VALUES = 200
"""Values looked at in one packet."""

_BEGINS, _ENDS = b"<x:xmpmeta", b"</x:xmpmeta>"
_RESOURCE = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}resource"
_WANTED = {
    "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType": "source_type",
    "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}AISystemUsed": "generator",
    "{http://ns.adobe.com/xap/1.0/}CreatorTool": "software",
    "{http://ns.adobe.com/photoshop/1.0/}Credit": "credit",
    "{http://ns.adobe.com/tiff/1.0/}Software": "software",
    "{http://purl.org/dc/elements/1.1/}description": "prose",
    "{http://ns.adobe.com/exif/1.0/}UserComment": "prose",
}
"""Names of the properties that speak of the making -> our word for each."""


def packets(data: bytes) -> list[bytes]:
    """Find the XMP packets in the bytes of a file."""
    found, start = [], data.find(_BEGINS)
    for _ in range(PACKETS):
        if start < 0:
            break
        end = data.find(_ENDS, start, start + PACKET_BYTES)
        if end >= 0:
            found.append(data[start : end + len(_ENDS)])
        start = data.find(_BEGINS, max(end, start + 1))
    return found


def properties(packet: bytes) -> list[tuple[str, str]]:
    """Give (our word, value) of every property that speaks of the making; nothing for broken XML."""
    try:
        root = fromstring(packet, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return []
    return [found for _, found in zip(range(MOST_VALUES), _values(root), strict=False)]


def _values(root: Element) -> Iterator[tuple[str, str]]:
    for element in root.iter():
        for name, value in element.attrib.items():
            if name in _WANTED:
                yield _WANTED[name], value.strip()
        if element.tag in _WANTED:
            said = element.get(_RESOURCE) or " ".join(text.strip() for text in element.itertext())
            yield _WANTED[element.tag], said.strip()
