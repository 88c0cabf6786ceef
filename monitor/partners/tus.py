"""The tus protocol, version 1.0: what its headers mean, and what of a request is signed.

A piece may be large and is sealed as it comes, so its signature cannot be over its bytes: it is over a
statement of seven lines, which holds the digest of the bytes. So who it is stands before a byte was read.

    METHOD
    /v1/feeds/FEED/uploads, or /v1/feeds/FEED/uploads/ID
    Upload-Length    as it is sent; empty where the request has none; so with the following
    Upload-Metadata
    Upload-Offset
    Upload-Checksum  `sha256 ` and the digest of the bytes in base64
    Tus-Resumable

Joined by line feeds, this takes the place of the body in what Standard Webhooks signs. No other body that a
feed signs is a statement: none of them is JSON.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import asdict, dataclass
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final, Self

from monitor.errors import BodyBroken, EmptyMedia, ItemBroken, TooLarge, TusVersionUnknown
from monitor.partners import addresses, items

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,termination,expiration,checksum"
ALGORITHM: Final = "sha256"
"""Of checksums. A weaker one could not stand for the bytes in what is signed."""

SIGNED: Final = ("upload-length", "upload-metadata", "upload-offset", "upload-checksum", "tus-resumable")
"""Headers of a statement, in its order."""

PIECE: Final = "application/offset+octet-stream"
NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,15}")
ID: Final = re.compile(r"[0-9a-f]{32}")
DIGEST: Final = re.compile(r"[0-9a-f]{64}")
DIGEST_BYTES: Final = 32
MOST_METADATA: Final = 16 * 2**10
"""Characters of Upload-Metadata."""

FIELDS: Final = frozenset({"key", "sha256", "url", "page_url", "title"})


@dataclass(frozen=True, slots=True)
class Wish:
    """A file that is to come: what is said of it at the beginning. `sha256` is its digest in hex."""

    key: str
    size_bytes: int
    sha256: str
    url: str | None
    page_url: str | None
    title: str | None

    @property
    def body_sha256(self) -> str:
        """Digest of the item, the same as if it was pushed."""
        return items.body_digest(self.sha256, self.url, self.page_url, self.title)

    def kept(self) -> str:
        """Give what is written down of it beside key and size."""
        said = asdict(self)
        return json.dumps({name: said[name] for name in ("sha256", "url", "page_url", "title")})

    @classmethod
    def of_row(cls, key: str, size_bytes: int, meta: str) -> Self:
        """Read what was written down."""
        return cls(key, size_bytes, **json.loads(meta))


def statement(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    """Give what is signed instead of a body."""
    return "\n".join([method, path, *(headers.get(name, "") for name in SIGNED)]).encode()


def check_version(headers: Mapping[str, str]) -> None:
    """Raise TusVersionUnknown where the request is not of this version."""
    if headers.get("tus-resumable") != VERSION:
        msg = f"Tus-Resumable is not {VERSION}"
        raise TusVersionUnknown(msg)


def wish_of(headers: Mapping[str, str], most: int) -> Wish:
    """Read what a creation says. `most` is the largest file.

    Raises BodyBroken, ItemBroken, AddressRefused, EmptyMedia, TooLarge.
    """
    size = number_in(headers, "upload-length")
    said = _metadata(headers.get("upload-metadata", ""))
    items.check_names(said, FIELDS)
    key, digest = items.key_of(said), said.get("sha256", "")
    if not DIGEST.fullmatch(digest):
        msg = "sha256 is missing, or is not 64 hexadecimal digits in small letters"
        raise ItemBroken(msg, hint="Give the SHA-256 of the whole file: it is checked at the end.")
    url, page_url = (items.text_in(said, name, addresses.LONGEST_URL) for name in ("url", "page_url"))
    title = items.text_in(said, "title", items.LONGEST_TITLE)
    for address in filter(None, (url, page_url)):
        addresses.check_named(address)
    if size == 0:
        msg = "the file is empty"
        raise EmptyMedia(msg)
    if size > most:
        msg = f"the file has {size} bytes, and {most} are taken"
        raise TooLarge(msg)
    return Wish(key, size, digest, url, page_url, title)


def number_in(headers: Mapping[str, str], name: str) -> int:
    """Read a header that is a number of bytes. Raises BodyBroken."""
    said = headers.get(name, "")
    if not NUMBER.fullmatch(said):
        msg = f"{name} is missing, or is not a number of bytes"
        raise BodyBroken(msg)
    return int(said)


def checksum_in(headers: Mapping[str, str]) -> bytes:
    """Read the 32 bytes of Upload-Checksum. Raises BodyBroken."""
    name, _, encoded = headers.get("upload-checksum", "").partition(" ")
    try:
        digest = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if name != ALGORITHM or len(digest) != DIGEST_BYTES:
        msg = f"Upload-Checksum is missing, or is not `{ALGORITHM}`, a blank, and a digest in base64"
        raise BodyBroken(msg)
    return digest


def expires(at: datetime) -> str:
    """Write a moment as Upload-Expires has it."""
    return format_datetime(at.replace(microsecond=0), usegmt=True)


def _metadata(header: str) -> dict[str, str]:
    said: dict[str, str] = {}
    if len(header) > MOST_METADATA:
        msg = "Upload-Metadata is too long"
        raise BodyBroken(msg)
    for pair in filter(None, header.split(",")):
        name, _, encoded = pair.strip().partition(" ")
        try:
            text = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, ValueError) as exc:
            msg = "Upload-Metadata is not names with base64 of UTF-8 after them"
            raise BodyBroken(msg) from exc
        if name in said:
            msg = "a name stands twice in Upload-Metadata"
            raise BodyBroken(msg)
        said[name] = text
    return said
