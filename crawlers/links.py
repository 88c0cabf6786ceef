"""What a page, feed or sitemap shows: its media, and the pages it leads to. Pure functions over bytes.

Everything read here was written by strangers: nothing is executed, no entity is resolved, nothing is
opened by name, and what one page may show is capped.
"""

from __future__ import annotations

import io
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urldefrag, urljoin, urlsplit

import feedparser
from lxml import etree
from lxml import html as lxml_html

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_LINKS: Final = 5000
"""Media, and likewise pages, taken from one page. The largest sitemap that the protocol allows has 50,000
addresses; with a page cap in the hundreds the rest would never be asked for."""

LONGEST_TITLE: Final = 300
"""Characters of a title that are kept for the person who reads the finding."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ENDINGS_OF: Final = {
    "image": _words("jpg jpeg jfif pjpeg png apng gif webp avif heic heif bmp tif tiff"),
    "video": _words("mp4 m4v mov webm mkv avi mpg mpeg ogv 3gp wmv flv m3u8"),
    "audio": _words("mp3 m4a aac ogg oga opus wav flac weba aiff wma"),
}
"""Endings by the kind of media that they promise."""

PLAYLIST: Final = "m3u8"
"""The ending of a film that is given in segments (playlists.py)."""

MEDIA_ENDINGS: Final = frozenset().union(*ENDINGS_OF.values())
"""Endings that make an ordinary link a link to media."""

NEVER_ENDINGS: Final = _words(
    "svg svgz ico css js mjs json map woff woff2 ttf eot pdf zip gz tar rar 7z exe dmg apk iso doc docx xls "
    "xlsx ppt pptx epub torrent"
)
"""Endings of what is neither a page nor a picture, video or sound. (A sitemap may name a compressed one.)"""

META_MEDIA: Final = _words(
    "og:image og:image:url og:image:secure_url og:video og:video:url og:video:secure_url og:audio "
    "og:audio:url og:audio:secure_url twitter:image twitter:image:src twitter:player:stream"
)

LAZY: Final = ("src", "data-src", "data-original", "data-lazy-src")
"""Where pages keep the address of a picture, before and after their scripts have run."""

SITEMAP_MARKS: Final = (b"<urlset", b"<sitemapindex")
FEED_MARKS: Final = (b"<rss", b"<feed", b"<rdf:rdf")
GZIP: Final = b"\x1f\x8b"
MAX_INFLATED: Final = 50 * 2**20
"""Bytes of a compressed sitemap that are read: the size that the protocol allows one to have."""

MARK_BYTES: Final = 2048
"""How far into a document its root may stand, after comments and declarations."""


@dataclass(frozen=True, slots=True)
class MediaLink:
    """One media file as a page shows it; `title` is what the page calls it, or empty."""

    url: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Shows:
    """What one page shows, each address once, in order."""

    title: str = ""
    pages: tuple[str, ...] = ()
    media: tuple[MediaLink, ...] = ()

    def pack(self) -> bytes:
        """Pack it for keeping beside the page's validators."""
        plain = [self.title, list(self.pages), [[one.url, one.title] for one in self.media]]
        return zlib.compress(json.dumps(plain, ensure_ascii=False).encode(), 1)

    @classmethod
    def unpack(cls, packed: bytes) -> Shows:
        """Undo `pack`."""
        title, pages, media = json.loads(zlib.decompress(packed))
        return cls(title, tuple(pages), tuple(MediaLink(url, name) for url, name in media))


def read(body: bytes, url: str, content_type: str = "", encoding: str | None = None) -> Shows:
    """Read a document by what it is: sitemap, feed, JSON feed, or else HTML.

    `url` is the address it came from, after redirects. A broken document shows what could be read of it.
    """
    body = _inflated(body)
    head = body[:MARK_BYTES].lower()
    if any(mark in head for mark in SITEMAP_MARKS):
        return _sitemap(body, url)
    if any(mark in head for mark in FEED_MARKS):
        return _feed(body, url)
    if "json" in content_type.lower():
        return _json_feed(body, url)
    return _html(body, url, encoding)


def _inflated(body: bytes) -> bytes:
    if not body.startswith(GZIP):
        return body
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body, MAX_INFLATED)
    except zlib.error:
        return b""


def shown_in(text: str, url: str) -> tuple[MediaLink, ...]:
    """Give the media that a piece of HTML shows, as platforms give it for a post. `url` is the post's."""
    return _html(text.encode(errors="replace"), url, "utf-8").media if "<" in text else ()


class _Gathering:
    """Collects absolute addresses, each once, up to the cap."""

    def __init__(self, base: str) -> None:
        self.base, self.title = base, ""
        self._pages: dict[str, None] = {}
        self._media: dict[str, str] = {}

    def absolute(self, link: object) -> str | None:
        if not isinstance(link, str) or not link.strip():
            return None
        try:
            found = urldefrag(urljoin(self.base, link.strip())).url
            return found if urlsplit(found).scheme in {"http", "https"} else None
        except ValueError:
            return None

    def add_media(self, link: object, title: object = "") -> None:
        url = self.absolute(link)
        if url is None or ending(url) in NEVER_ENDINGS or len(self._media) >= MAX_LINKS:
            return
        name = clean(title)
        self._media[url] = self._media.get(url) or name

    def add_page(self, link: object) -> None:
        url = self.absolute(link)
        if url is not None and len(self._pages) < MAX_LINKS:
            self._pages[url] = None

    def add_link(self, link: object, title: object = "") -> None:
        """Sort an ordinary link by its ending."""
        url = self.absolute(link)
        if url is None:
            return
        if ending(url) in MEDIA_ENDINGS:
            self.add_media(url, title)
        elif ending(url) not in NEVER_ENDINGS:
            self.add_page(url)

    def shows(self) -> Shows:
        media = tuple(MediaLink(url, title) for url, title in self._media.items())
        return Shows(clean(self.title), tuple(self._pages), media)


def ending(url: str) -> str:
    """Give the ending of the path of a URL in lower case, without its dot, or an empty text."""
    name = urlsplit(url).path.rpartition("/")[2]
    return name.rpartition(".")[2].lower() if "." in name else ""


def kind_by_ending(url: str) -> str:
    """Give `image`, `video` or `audio` where the ending of a URL promises it, else an empty text.

    A promise is enough to leave a file alone; what it is in truth, its first bytes say.
    """
    found = ending(url)
    return next((kind for kind, endings in ENDINGS_OF.items() if found in endings), "")


def clean(title: object) -> str:
    """Give a title in one line, cut to what is kept of it, of letters that a database takes."""
    whole = str(title).encode(errors="replace").decode().replace("\0", " ") if title else ""
    return " ".join(whole.split())[:LONGEST_TITLE]


def _html(body: bytes, url: str, encoding: str | None) -> Shows:
    found = _Gathering(url)
    root = _parsed(body, encoding)
    if root is not None:
        base = root.find(".//base[@href]")
        found.base = url if base is None else found.absolute(base.get("href")) or url
        for element in root.iter(*HTML_READERS):
            HTML_READERS[element.tag](element, found)
    return found.shows()


def _parsed(body: bytes, encoding: str | None) -> Any:  # noqa: ANN401 - lxml has no types
    parser = lxml_html.HTMLParser(encoding=encoding, huge_tree=False, no_network=True, remove_comments=True)
    try:
        return lxml_html.document_fromstring(body, parser=parser)
    except (etree.LxmlError, ValueError, LookupError):
        return None


def _picture(element: Any, found: _Gathering) -> None:  # noqa: ANN401 - as above
    title = element.get("alt") or element.get("title")
    for name in LAZY:
        found.add_media(element.get(name), title)
    for name in ("srcset", "data-srcset"):
        found.add_media(largest(element.get(name) or ""), title)


def _player(element: Any, found: _Gathering) -> None:  # noqa: ANN401 - as above
    found.add_media(element.get("src"), element.get("title"))
    found.add_media(element.get("poster"), element.get("title"))


def _anchor(element: Any, found: _Gathering) -> None:  # noqa: ANN401 - as above
    found.add_link(element.get("href"), element.get("title") or element.text)


def _meta(element: Any, found: _Gathering) -> None:  # noqa: ANN401 - as above
    name = (element.get("property") or element.get("name") or "").lower()
    if name in META_MEDIA:
        found.add_media(element.get("content"))


def _link(element: Any, found: _Gathering) -> None:  # noqa: ANN401 - as above
    relations = (element.get("rel") or "").lower().split()
    if "image_src" in relations:
        found.add_media(element.get("href"))
    elif "next" in relations or ("alternate" in relations and "xml" in (element.get("type") or "")):
        found.add_page(element.get("href"))


def _embedded(element: Any, found: _Gathering) -> None:  # noqa: ANN401 - as above
    link = found.absolute(element.get("src") or element.get("data"))
    if link is not None and ending(link) in MEDIA_ENDINGS:
        found.add_media(link)


def _title(element: Any, found: _Gathering) -> None:  # noqa: ANN401 - as above
    found.title = found.title or element.text or ""


HTML_READERS: Final[dict[str, Callable[[Any, _Gathering], None]]] = {
    "title": _title,
    "meta": _meta,
    "link": _link,
    "img": _picture,
    "source": _picture,
    "video": _player,
    "audio": _player,
    "a": _anchor,
    "area": _anchor,
    "embed": _embedded,
    "object": _embedded,
}


def largest(srcset: str) -> str | None:
    """Give the largest candidate of a srcset: the others are smaller copies of the same picture."""
    best, size = None, -1.0
    for candidate in srcset.replace(",\n", ", ").split(", "):
        parts = candidate.strip().rstrip(",").split()
        if not parts:
            continue
        width = _number(parts[1][:-1]) if len(parts) > 1 else 1.0
        if width > size:
            best, size = parts[0], width
    return best


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _feed(body: bytes, url: str) -> Shows:
    # A stream, never a text: feedparser takes a text for an address or the name of a file and opens it.
    parsed = feedparser.parse(io.BytesIO(body), response_headers={"content-location": url})
    found = _Gathering(url)
    found.title = parsed.feed.get("title", "")
    found.add_media((parsed.feed.get("image") or {}).get("href"), found.title)
    for entry in parsed.entries[:MAX_LINKS]:
        _entry(entry, found)
    return found.shows()


def _entry(entry: Any, found: _Gathering) -> None:  # noqa: ANN401 - feedparser has no types
    title = entry.get("title", "")
    for one in (
        *entry.get("enclosures", ()),
        *entry.get("media_content", ()),
        *entry.get("media_thumbnail", ()),
    ):
        found.add_media(one.get("href") or one.get("url"), title)
    found.add_media((entry.get("image") or {}).get("href"), title)
    found.add_link(entry.get("link"), title)
    texts = [one.get("value", "") for one in entry.get("content", ())] or [entry.get("summary", "")]
    for text in texts:
        if "<" in text:
            inner = _html(text.encode(), found.absolute(entry.get("link")) or found.base, "utf-8")
            for media in inner.media:
                found.add_media(media.url, media.title or title)


def _json_feed(body: bytes, url: str) -> Shows:
    found = _Gathering(url)
    try:
        feed = json.loads(body)
    except ValueError:
        return found.shows()
    items = feed.get("items") if isinstance(feed, dict) else None
    for item in (
        [one for one in items if isinstance(one, dict)][:MAX_LINKS] if isinstance(items, list) else ()
    ):
        title = item.get("title", "")
        found.add_media(item.get("image"), title)
        found.add_media(item.get("banner_image"), title)
        found.add_link(item.get("url"), title)
        for one in item.get("attachments") or ():
            found.add_media(one.get("url") if isinstance(one, dict) else None, title)
    return found.shows()


def _sitemap(body: bytes, url: str) -> Shows:
    found = _Gathering(url)
    for name, text in _texts(body):
        if name == "loc":
            found.add_page(text)
        elif name in {"image:loc", "content_loc", "thumbnail_loc"}:
            found.add_media(text)
    return found.shows()


IMAGE_NAMESPACE: Final = "http://www.google.com/schemas/sitemap-image/1.1"


def _texts(body: bytes) -> Iterator[tuple[str, str]]:
    """Give the name and text of each element as it ends; stop where the document breaks."""
    events = etree.iterparse(
        io.BytesIO(body),
        events=("end",),
        resolve_entities=False,
        no_network=True,
        huge_tree=False,
        recover=True,
    )
    try:
        for _, element in events:
            name = etree.QName(element)
            prefix = "image:" if name.namespace == IMAGE_NAMESPACE else ""
            yield prefix + name.localname, element.text or ""
            element.clear()
    except (etree.LxmlError, ValueError):
        return
