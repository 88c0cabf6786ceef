"""One item as a partner describes it, read strictly: what is not asked for is refused, not ignored.

    key       the partner's own name of the item: the same key is the same item for ever (idempotency)
    content   the file itself, in base64; or, in a multipart form, a second part with its bytes
    url       where the file stands. Without content, it is fetched from there
    page_url  the page that shows it
    title     what the page calls it

Everything that a partner says stands in the body, since only the body is signed.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from monitor.errors import BodyBroken, ItemBroken
from monitor.partners import addresses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ITEM_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")
"""Of a key: 1 to 200 visible letters of ASCII."""

LONGEST_TITLE: Final = 500
"""Characters."""

PLAIN: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
"""No control letters, and no halves of a letter, which no database keeps."""

FIELDS: Final = frozenset({"key", "content", "url", "page_url", "title"})

MOST_LINES: Final = 1000
"""Items in one batch."""

NEWLINE: Final = b"\n"


@dataclass(frozen=True, slots=True)
class Item:
    """One item that was read. `content` is None where `url` is fetched; `body_sha256` is of all of it."""

    key: str
    content: bytes | None = field(repr=False)
    url: str | None
    page_url: str | None
    title: str | None
    body_sha256: str


def of_json(raw: bytes, hosts: Iterable[str]) -> Item:
    """Read one item from JSON. `hosts` may be fetched from.

    Raises BodyBroken, ItemBroken, AddressRefused.
    """
    said = object_of(raw)
    if "content" not in said:
        return _item(said, None, hosts)
    content = said.pop("content")
    if not isinstance(content, str):
        msg = "content is not text in base64"
        raise ItemBroken(msg)
    return _item(said, _decoded(content), hosts)


def of_multipart(body: bytes, content_type: str, hosts: Iterable[str]) -> Item:
    """Read one item from a form of two parts: `item` (JSON without content) and `content` (bytes).

    Raises BodyBroken, ItemBroken, AddressRefused.
    """
    parts = _parts(body, content_type)
    if set(parts) != {"item", "content"}:
        msg = "the form has not just the two parts `item` and `content`"
        raise BodyBroken(msg)
    said = object_of(parts["item"])
    if "content" in said:
        msg = "the content stands in the form's second part, not in `item`"
        raise ItemBroken(msg)
    return _item(said, parts["content"], hosts)


def lines_of(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Give the lines of a batch that hold anything, with their numbers from 1, one at a time."""
    start, number = 0, 0
    while start < len(body):
        end = body.find(NEWLINE, start)
        end = len(body) if end < 0 else end
        number += 1
        line = body[start:end].strip()
        if line:
            yield number, line
        start = end + 1


def key_in(raw: bytes) -> str | None:
    """Give the key of a line that was refused, where it has one that can be shown again."""
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    key = said.get("key") if isinstance(said, dict) else None
    return key if isinstance(key, str) and ITEM_KEY.fullmatch(key) else None


def object_of(raw: bytes) -> dict[str, Any]:
    """Read one JSON object. Raises BodyBroken for anything else, a name twice and NaN included."""
    try:
        said = json.loads(raw, object_pairs_hook=_once, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        msg = "this is not JSON in UTF-8"
        raise BodyBroken(msg) from exc
    if not isinstance(said, dict):
        msg = "this is not a JSON object"
        raise BodyBroken(msg)
    return said


def text_in(said: dict[str, Any], name: str, longest: int) -> str | None:
    """Give a text of an object, None where it is not there. Raises ItemBroken."""
    if name not in said:
        return None
    text = said[name]
    if not isinstance(text, str) or not text or len(text) > longest:
        msg = f"{name} is not text of 1 to {longest} characters"
        raise ItemBroken(msg)
    if not PLAIN.fullmatch(text):
        msg = f"{name} holds control letters, or half a letter"
        raise ItemBroken(msg)
    return text


def key_of(said: dict[str, Any]) -> str:
    """Give the key of an object. Raises ItemBroken."""
    key = said.get("key")
    if not isinstance(key, str) or not ITEM_KEY.fullmatch(key):
        msg = "key is missing, or is not 1 to 200 visible letters of ASCII"
        raise ItemBroken(msg, hint="Give your own name of the item; the same name is the same item for ever.")
    return key


def check_names(said: dict[str, Any], known: frozenset[str]) -> None:
    """Raise ItemBroken where an object holds what is not asked for."""
    unknown = sorted(said.keys() - known)
    if unknown:
        msg = f"there is no member {unknown[0][:40]!a} here"
        raise ItemBroken(msg, hint=f"Known are {', '.join(sorted(known))}.")


def body_digest(digest: str | None, url: str | None, page_url: str | None, title: str | None) -> str:
    """Give the digest of all that an item is, the same whether its file is pushed or comes in pieces.

    `digest` is the file's own SHA-256 in hex, None where it is fetched.
    """
    return hashlib.sha256(json.dumps([digest, url, page_url, title]).encode()).hexdigest()


def _item(said: dict[str, Any], content: bytes | None, hosts: Iterable[str]) -> Item:
    check_names(said, FIELDS)
    key = key_of(said)
    url, page_url = (text_in(said, name, addresses.LONGEST_URL) for name in ("url", "page_url"))
    title = text_in(said, "title", LONGEST_TITLE)
    if page_url is not None:
        addresses.check_named(page_url)
    if content is None and url is None:
        msg = "the item has neither content nor a url to fetch it from"
        raise ItemBroken(msg)
    if url is not None:
        if content is None:
            addresses.check_fetched(url, hosts)
        else:
            addresses.check_named(url)
    digest = None if content is None else hashlib.sha256(content).hexdigest()
    return Item(key, content, url, page_url, title, body_digest(digest, url, page_url, title))


def _decoded(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (UnicodeEncodeError, binascii.Error) as exc:
        msg = "content is not base64 (RFC 4648, with padding, in one piece)"
        raise ItemBroken(msg) from exc


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        msg = "a name stands twice"
        raise ValueError(msg)
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _parts(body: bytes, content_type: str) -> dict[str, bytes]:
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    reading = _Form()
    try:
        if not boundary:
            raise _no_form()
        parser = MultipartParser(boundary, reading.callbacks())
        parser.write(body)
    except (FormParserError, UnicodeDecodeError) as exc:
        raise _no_form() from exc
    if not reading.ended:
        raise _no_form()
    return reading.parts


def _no_form() -> BodyBroken:
    msg = "this is not a whole form of multipart/form-data (RFC 7578)"
    return BodyBroken(msg)


class _Form:
    """The parts of one form by their names, through the callbacks of python_multipart."""

    def __init__(self) -> None:
        self.parts: dict[str, bytes] = {}
        self.ended = False
        self._header, self._value, self._name = b"", b"", ""
        self._data: list[bytes] = []

    def callbacks(self) -> Any:  # noqa: ANN401 - the parser's own type is private
        """Give what the parser calls."""
        names = ("part_begin", "part_data", "part_end", "header_field", "header_value", "header_end", "end")
        return {f"on_{name}": getattr(self, f"_{name}") for name in names}

    def _part_begin(self) -> None:
        self._name, self._data = "", []

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            self._name = options.get(b"name", b"").decode()
        self._header, self._value = b"", b""

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def _part_end(self) -> None:
        if self._name in self.parts:
            raise _no_form()
        self.parts[self._name] = b"".join(self._data)

    def _end(self) -> None:
        self.ended = True
