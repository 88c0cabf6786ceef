"""A whole crawl of a real site on this machine, in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.blobs import BlobStore
from monitor.intake import seal_info
from monitor.subject_keys import ensure_service_keys, intake_opener
from monitor.values import BlobId
from tests.crawlers.conftest import Crawls
from tests.crawlers.pictures import picture

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys
    from tests.crawlers.web import Site
    from tests.crawlers.zygote import Zygote


def plant(web: Site) -> None:
    """Lay out a small site: two pages, a feed, a sitemap."""
    web.page(
        "/",
        """<html><head><title>A small  site</title><meta property="og:image" content="/og.png"></head><body>
        <img src="/one.png" alt="the first"><img src="/copy.png"><a href="/next.html">next</a>
        <a href="http://elsewhere.invalid/">away</a><a href="/logo.svg">logo</a></body></html>""",
        etag='"front"',
    )
    web.page(
        "/next.html", '<video poster="/poster.jpg"></video><a href="/">back</a><a href="/feed.xml">feed</a>'
    )
    web.page(
        "/feed.xml",
        """<?xml version="1.0"?><rss version="2.0"><channel><title>Feed</title><item><title>An entry</title>
        <enclosure url="/enclosed.png" type="image/png" length="1"/></item></channel></rss>""",
        "application/rss+xml",
    )
    web.page("/one.png", picture(1), "image/png", etag='"one"')
    web.page("/copy.png", picture(1), "image/png")
    web.page("/og.png", picture(2), "image/png", last_modified="Mon, 02 Nov 2026 10:00:00 GMT")
    web.page("/poster.jpg", picture(3, "JPEG"), "image/jpeg")
    web.page("/enclosed.png", picture(4), "image/png")


def test_a_site_is_walked_and_each_file_put_in_once(
    engine: Engine, tmp_path: Path, web: Site, keys: KeyEncryptionKeys, zygote: Zygote
) -> None:
    ensure_service_keys(engine, keys)
    crawls = Crawls(engine, tmp_path, web, zygote)
    plant(web)
    crawls.add()
    report = crawls.run()
    assert (report["state"], report["pages"], report["media_found"]) == ("finished", 3, 5)
    assert (report["media_taken"], report["media_known"]) == (4, 1)  # /copy.png holds the bytes of /one.png
    assert report["dropped"] == {}
    assert report["stderr"] == ""
    assert len(crawls.items()) == 4
    origins = {row.url.removeprefix(web.url): row for row in crawls.origins() if row.url}
    assert set(origins) == {"/one.png", "/copy.png", "/og.png", "/poster.jpg", "/enclosed.png"}
    assert (origins["/one.png"].page_url, origins["/one.png"].title) == (f"{web.url}/", "the first")
    assert (origins["/og.png"].title, origins["/enclosed.png"].title) == ("A small site", "An entry")
    assert origins["/one.png"].media_id == origins["/copy.png"].media_id
    item = next(one for one in crawls.items() if one.id == origins["/one.png"].media_id)
    opener = intake_opener(crawls.engine, keys)
    sealed = BlobStore(crawls.home / "blobs").get(BlobId(item.blob_id or ""))
    assert opener.open(sealed, seal_info(item.sha256)) == picture(1)


def test_a_second_crawl_asks_for_pages_only_and_takes_nothing(crawls: Crawls, web: Site) -> None:
    plant(web)
    crawls.add()
    crawls.run()
    web.asked.clear()
    report = crawls.run()
    assert (report["media_taken"], report["pages"], report["pages_unchanged"]) == (0, 3, 1)
    assert sorted(web.paths()) == ["/", "/feed.xml", "/next.html"]  # behind a page that has not changed, too
    assert web.asked[1].headers["If-None-Match"] == '"front"'
    assert len(crawls.items()) == 4
