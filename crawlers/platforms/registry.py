"""Every kind of source there is, by its word. A new platform is one module and one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from crawlers.platforms.bluesky import Bluesky
from crawlers.platforms.commoncrawl import CommonCrawl
from crawlers.platforms.imageboard import Imageboard
from crawlers.platforms.jetstream import Jetstream
from crawlers.platforms.mastodon import Mastodon
from crawlers.platforms.media_site import MediaSite
from crawlers.platforms.mediawiki import COMMONS, MediaWiki
from crawlers.platforms.peertube import PeerTube
from crawlers.platforms.reddit import Reddit
from crawlers.platforms.telegram import Telegram
from crawlers.platforms.warc import Warc
from crawlers.platforms.wordpress import WordPress
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from crawlers.platforms.interfaces import Kind, Platform

SITE: Final = "site"
"""Web sites, feeds and sitemaps: read by spiders/site.py, which follows links instead of an API."""

PLATFORMS: Final[dict[str, Platform]] = {
    one.kind: one
    for one in (
        COMMONS,
        Bluesky(),
        Imageboard(),
        Mastodon(),
        MediaWiki(),
        PeerTube(),
        Reddit(),
        Telegram(),
        WordPress(),
    )
}

WALKED: Final[dict[str, tuple[Kind, str]]] = {
    "jetstream": (Jetstream(), "crawlers.spiders.stream:StreamSpider"),
    "commoncrawl": (CommonCrawl(), "crawlers.spiders.commoncrawl:CommonCrawlSpider"),
    "media_site": (MediaSite(), "crawlers.spiders.media_site:MediaSiteSpider"),
    "warc": (Warc(), "crawlers.spiders.archive:ArchiveSpider"),
}
"""Kinds with a walk of their own, and where it is: they are not read page by page."""


STREAMS: Final = frozenset({"jetstream"})
"""Kinds that are read as things happen: a run that ended is followed by the next at once."""


def kinds() -> list[str]:
    """Give the words for all kinds of sources."""
    return sorted({SITE, *PLATFORMS, *WALKED})


def kind_of(word: str) -> Kind:
    """Give what is said of a kind. Raises ConfigError naming all kinds."""
    return WALKED[word][0] if word in WALKED else platform_of(word)


def platform_of(kind: str) -> Platform:
    """Give the module of a kind. Raises ConfigError naming all kinds."""
    if kind not in PLATFORMS:
        msg = f"there is no kind of source called {kind[:40]!r}"
        raise ConfigError(msg, hint=f"The kinds are {', '.join(kinds())}.")
    return PLATFORMS[kind]
