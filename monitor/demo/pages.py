"""The pages, feed, sitemap and robots.txt of the demo site: every way in which media are linked."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from monitor.demo.local_server import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from monitor.demo.expectations import Expected

FRAME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>{head}</head>
<body><h1>{title}</h1>
<nav><a href="/">Home</a> <a href="/photos.html">Photos</a> <a href="/watch.html">Watch</a>
<a href="/listen.html">Listen</a> <a href="/odd.html">Odds and ends</a></nav>
{body}
</body></html>
"""

FEED = """<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/"><channel>
<title>The Commons</title><link>/</link><description>What is new on The Commons</description>
<item><title>Episode 12: Reading aloud</title><link>/listen.html</link>
<enclosure url="/audio/episode-12.mp3" type="audio/mpeg" length="{length}"/></item>
<item><title>A visit</title><link>/photos.html</link>
<media:content url="/photos/blue-room-crop.jpg" type="image/jpeg"/></item>
</channel></rss>
"""

SITEMAP = """<?xml version="1.0" encoding="utf-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
<url><loc>{base}/archive/2011.html</loc></url></urlset>
"""

ROBOTS = """User-agent: *
Disallow: /members/

Sitemap: {base}/sitemap.xml
"""

ONLY_IN_FEED = ("/audio/episode-12.mp3", "/photos/blue-room-crop.jpg")
ONLY_IN_OG = "/photos/lectern.jpg"
ONLY_IN_SRCSET = ("/photos/lectern-small.jpg", "/photos/blue-room-small.jpg")
ONLY_LINKED = ("/photos/lectern-again.jpg", "/photos/friends.jpg")


def make_pages(expected: Expected) -> Mapping[str, Answer]:
    """Link everything that is expected to be found, and what is not. `add_address` completes it."""
    paths = [e.path for group in (expected.planted, expected.decoys, expected.broken) for e in group]
    photos = [p for p in paths if p.startswith("/photos/")]
    return {
        "/": _page("The Commons", _home()),
        "/photos.html": _page(
            "Photos", _photos(photos), f'<meta property="og:image" content="{ONLY_IN_OG}">'
        ),
        "/watch.html": _page("Watch", "".join(map(_video, _under(paths, "/video/")))),
        "/listen.html": _page("Listen", "".join(map(_audio, _under(paths, "/audio/")))),
        "/odd.html": _page("Odds and ends", "".join(map(_image, _under(paths, "/odd/", "/go/")))),
        "/archive/2011.html": _page("2011", "".join(map(_image, _under(paths, "/archive/")))),
        "/members/album.html": _page("Members", _image("/members/private.jpg")),
    }


def add_address(answers: Mapping[str, Answer], base: str) -> dict[str, Answer]:
    """Add what must name the site's own address: feed, sitemap and robots.txt."""
    length = len(answers[ONLY_IN_FEED[0]].body)
    feed = FEED.format(length=length).replace('url="/', f'url="{base}/').replace("<link>/", f"<link>{base}/")
    return {
        **answers,
        "/feed.xml": Answer(feed.encode(), "application/rss+xml"),
        "/sitemap.xml": Answer(SITEMAP.format(base=base).encode(), "application/xml"),
        "/robots.txt": Answer(ROBOTS.format(base=base).encode(), "text/plain"),
    }


def _home() -> str:
    return (
        '<p><a href="/feed.xml">News feed</a> <a href="/members/album.html">Members</a></p>'
        '<p><a href="/members/private.jpg">A picture for members</a></p>'
    )


def _photos(paths: Iterable[str]) -> str:
    apart = {ONLY_IN_OG, *ONLY_IN_FEED, *ONLY_IN_SRCSET, *ONLY_LINKED}
    sets = "".join(f'<picture><source srcset="{path} 1x"></picture>' for path in ONLY_IN_SRCSET)
    links = "".join(f'<p><a href="{path}">in full</a></p>' for path in ONLY_LINKED)
    return "".join(_image(path) for path in paths if path not in apart) + sets + links


def _under(paths: Iterable[str], *folders: str) -> list[str]:
    return [path for path in paths if path.startswith(folders) and path not in ONLY_IN_FEED]


def _image(path: str) -> str:
    return f'<figure><img src="{escape(path)}" alt=""></figure>'


def _video(path: str) -> str:
    return f'<video controls><source src="{escape(path)}" type="video/mp4"></video>'


def _audio(path: str) -> str:
    return f'<audio controls src="{escape(path)}"></audio>'


def _page(title: str, body: str, more: str = "") -> Answer:
    head = '<link rel="alternate" type="application/rss+xml" href="/feed.xml">' + more
    return Answer(FRAME.format(title=title, head=head, body=body).encode())
