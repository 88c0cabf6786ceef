"""What is read out of pages, feeds and sitemaps, also broken and hostile ones."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawlers.links import MAX_LINKS, MediaLink, Shows, ending, largest, read

if TYPE_CHECKING:
    from pathlib import Path

HERE = "https://site.example/folder/page.html"


def media(body: str | bytes, content_type: str = "text/html") -> list[str]:
    data = body.encode() if isinstance(body, str) else body
    return [link.url for link in read(data, HERE, content_type, "utf-8").media]


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<img src="a.png">', "https://site.example/folder/a.png"),
        ('<img data-src="//cdn.example/a.png">', "https://cdn.example/a.png"),
        ('<img srcset="s.png 100w, l.png 900w, m.png 500w">', "https://site.example/folder/l.png"),
        ('<picture><source srcset="x1.webp, x2.webp 2x"></picture>', "https://site.example/folder/x2.webp"),
        ('<video src="/v">', "https://site.example/v"),
        ('<video poster="p.jpg">', "https://site.example/folder/p.jpg"),
        ('<audio><source src="a.ogg"></audio>', "https://site.example/folder/a.ogg"),
        ('<meta property="og:video:secure_url" content="/v.mp4">', "https://site.example/v.mp4"),
        ('<meta name="twitter:image" content="/t.jpg">', "https://site.example/t.jpg"),
        ('<a href="song.MP3?x=1#t">', "https://site.example/folder/song.MP3?x=1"),
        ('<link rel="image_src" href="/i.jpg">', "https://site.example/i.jpg"),
        ('<embed src="old.flv">', "https://site.example/folder/old.flv"),
        ('<base href="https://other.example/b/"><img src="a.png">', "https://other.example/b/a.png"),
    ],
)
def test_html_shows_media_in_many_places(html: str, found: str) -> None:
    assert media(f"<html><body>{html}</body></html>") == [found]


@pytest.mark.parametrize(
    "html",
    [
        "", "\x00\x01", "<<<<", '<img src="">', '<img src="logo.svg">', '<a href="page.html">',
        '<img src="data:image/png;base64,AAAA">', '<img src="javascript:alert(1)">',
        '<img src="http://[broken/">', '<object data="x.pdf">',
    ],
)  # fmt: skip
def test_what_is_no_media_is_not_taken_for_media(html: str) -> None:
    assert media(html) == []


def test_a_page_leads_to_pages_next_pages_and_feeds() -> None:
    html = """<link rel="alternate" type="application/rss+xml" href="/feed"><link rel="next" href="?page=2">
    <a href="a.html#top">a</a><a href="mailto:x@example.org">m</a><a href="thing.zip">z</a>
    <a href="style.css">c</a>"""
    assert read(html.encode(), HERE).pages == (
        "https://site.example/feed",
        "https://site.example/folder/page.html?page=2",
        "https://site.example/folder/a.html",
    )


def test_a_feed_shows_enclosures_thumbnails_and_pictures_in_its_texts() -> None:
    feed = """<?xml version="1.0"?><rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/"><channel>
    <title>News</title><item><title>One</title><link>/one</link><enclosure url="/pod.mp3" type="audio/mpeg"/>
    <media:content url="/m.mp4"/><media:thumbnail url="/t.jpg"/>
    <description>&lt;p&gt;&lt;img src="/in.png"&gt;</description></item></channel></rss>"""
    shows = read(feed.encode(), "https://site.example/feed")
    assert [link.url.removeprefix("https://site.example") for link in shows.media] == [
        "/pod.mp3", "/m.mp4", "/t.jpg", "/in.png",
    ]  # fmt: skip
    assert (shows.title, shows.media[0].title, shows.pages) == ("News", "One", ("https://site.example/one",))


def test_an_atom_feed_and_a_json_feed_are_feeds() -> None:
    atom = """<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><entry><title>A</title>
    <link rel="enclosure" href="https://site.example/a.ogg"/><link href="https://site.example/a"/></entry></feed>"""
    assert media(atom) == ["https://site.example/a.ogg"]
    feed = b'{"items": [{"url": "/i", "image": "/i.png", "attachments": [{"url": "/a.m4a"}, 3]}, 7]}'
    assert media(feed, "application/feed+json") == [
        "https://site.example/i.png",
        "https://site.example/a.m4a",
    ]
    assert media(b"{not json", "application/json") == []
    assert media(b"[1]", "application/json") == []


def test_a_sitemap_and_its_index_lead_to_pages_also_compressed() -> None:
    index = b'<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><sitemap><loc>https://site.example/s.xml.gz</loc></sitemap></sitemapindex>'
    assert read(index, HERE).pages == ("https://site.example/s.xml.gz",)
    urls = b"""<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"
    xmlns:image="http://www.google.com/schemas/sitemap-image/1.1"><url><loc>https://site.example/p</loc>
    <image:image><image:loc>https://site.example/p.jpg</image:loc></image:image></url></urlset>"""
    shows = read(gzip.compress(urls), HERE)
    assert shows.pages == ("https://site.example/p",)
    assert shows.media == (MediaLink("https://site.example/p.jpg"),)


def test_entities_that_name_files_or_grow_are_not_resolved(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("https://site.example/stolen.png")
    sitemap = f"""<?xml version="1.0"?><!DOCTYPE u [<!ENTITY x SYSTEM "file://{secret}">]>
    <urlset><url><loc>&x;</loc></url></urlset>"""
    assert read(sitemap.encode(), HERE) == Shows()
    bomb = "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(12))
    grown = f'<?xml version="1.0"?><!DOCTYPE u [<!ENTITY a0 "x">{bomb}]><urlset><loc>&a12;</loc></urlset>'
    assert len(read(grown.encode(), HERE).pages) == 0
    assert read(grown.replace("urlset", "rss").encode(), HERE).media == ()


def test_a_feed_that_names_a_file_is_not_opened_as_one(tmp_path: Path) -> None:
    feed = tmp_path / "<rss"
    feed.write_text('<rss version="2.0"><channel><item><enclosure url="/stolen.png"/></item></channel></rss>')
    assert read(str(feed).encode(), HERE).media == ()


def test_what_one_page_may_show_is_capped() -> None:
    html = "".join(f'<img src="/{n}.png"><a href="/{n}">x</a>' for n in range(MAX_LINKS + 50))
    shows = read(html.encode(), HERE)
    assert (len(shows.media), len(shows.pages)) == (MAX_LINKS, MAX_LINKS)


def test_what_a_page_shows_comes_back_from_its_packing() -> None:
    shows = Shows("Títle", ("https://a.example/",), (MediaLink("https://a.example/a.png", "ä"),))
    assert Shows.unpack(shows.pack()) == shows


def test_small_readers() -> None:
    assert (ending("https://a.example/b.c/d.JPG?x=.png"), ending("https://a.example/b.c/d")) == ("jpg", "")
    assert (largest(""), largest("a.png"), largest("a.png 1x, b.png oddx")) == (None, "a.png", "a.png")


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=400),
    st.sampled_from(["", "<rss>", "<urlset>", "<feed>", "\x1f\x8b", "<html><img src="]),
)
def test_no_bytes_break_the_reader(body: bytes, begin: str) -> None:
    shows = read(begin.encode("latin-1") + body, HERE, "application/json" if not begin else "")
    assert all(link.url.startswith(("http://", "https://")) for link in shows.media)
