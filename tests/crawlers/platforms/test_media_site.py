"""yt-dlp reads pages through our guard and finds addresses; what it may use is what the operator named."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from crawlers.platforms import registry
from crawlers.platforms.media_site import MediaSite, code_of, files_of
from monitor.errors import ConfigError
from tests.crawlers.pictures import picture
from tests.crawlers.web import Site, site

if TYPE_CHECKING:
    from tests.crawlers.conftest import Crawls

FILM = b"\x1aE\xdf\xa3" + bytes(4000)


def test_a_page_is_read_by_the_named_extractor_and_its_film_is_fetched_by_us(
    crawls: Crawls, web: Site
) -> None:
    html = '<title>A film</title><video poster="/p.png"><source src="/film.webm" type="video/webm"></video>'
    web.page("/watch", f"<html>{html}</html>")
    web.page("/film.webm", FILM, "video/webm")
    crawls.add("/watch", kind="media_site", options={"extractors": "generic"})
    report = crawls.run()
    assert (report["state"], report["media_taken"]) == ("finished", 1), report
    assert crawls.origins()[0].url == f"{web.url}/film.webm"
    assert {one.headers["User-Agent"].partition("/")[0] for one in web.asked} == {"LikenessWatch"}
    assert web.asked[0].path == "/robots.txt"


def test_nothing_inside_is_reached_however_a_page_names_it(crawls: Crawls, web: Site) -> None:
    with site() as inside:
        inside.page("/secret.png", picture(1), "image/png")
        inside.page("/secret.webm", FILM, "video/webm")
        at = f"http://127.0.0.1:{inside.port}/secret.webm"
        sources = [at, "file:///etc/passwd", "concat:/etc/passwd", "data:video/webm;base64,GkXfow==",
                   "http://169.254.169.254/a.webm", "rtmp://127.0.0.1/a.mp4"]  # fmt: skip
        shown = "".join(f'<video><source src="{one}" type="video/webm"></video>' for one in sources)
        web.page("/watch", f"<html><title>x</title>{shown}</html>")
        web.page(
            "/list.m3u8",
            f"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXTINF:1,\n{at}\n",
            "application/x-mpegurl",
        )
        web.redirect("/moved", at)
        for path in ("/watch", "/list.m3u8", "/moved"):
            crawls.add(path, kind="media_site", options={"extractors": "generic"})
            report = crawls.run()
            assert report["media_taken"] == 0, report
            assert report["dropped"], path
            from crawlers import sources as rows  # noqa: PLC0415 - one source after the other

            rows.remove(crawls.engine, "local", "test")
        assert inside.asked == []


def test_robots_txt_is_obeyed_and_an_extractor_that_was_not_named_is_not_used(
    crawls: Crawls, web: Site
) -> None:
    web.page("/robots.txt", "User-agent: *\nDisallow: /watch\n", "text/plain")
    crawls.add("/watch", kind="media_site", options={"extractors": "generic"})
    assert crawls.run()["dropped"] == {"robots": 1}
    from crawlers import sources  # noqa: PLC0415

    sources.edit(crawls.engine, "local", {"options": {"extractors": "vimeo"}}, "test")
    assert web.paths() == []
    assert crawls.run()["dropped"] == {"media_unsupported": 1}
    assert web.paths() == []


@pytest.mark.parametrize(
    "attempt",
    [
        "__import__('socket').create_connection(('127.0.0.1', 9))",
        "__import__('socket').getaddrinfo('example.org', 80)",
        "__import__('subprocess').run(['true'])",
        "__import__('os').system('true')",
        "open('/etc/passwd')",
        "open('/dev/shm/x', 'w')",
    ],
)
def test_what_runs_in_the_child_can_reach_nothing(attempt: str) -> None:
    begin = "import sys, os, socket, subprocess\nfrom crawlers import extracting\n"
    code = f"{begin}sys.addaudithook(extracting._refuse)\n{attempt}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "PermissionError" in done.stderr


def test_what_cannot_be_had_has_a_code() -> None:
    assert code_of("Private video. Sign in", "ExtractorError") == "media_private"
    assert code_of("This video is DRM protected", "ExtractorError") == "media_locked"
    assert code_of("x", "GeoRestrictedError") == "media_geo"
    assert code_of("Video removed by the user", "ExtractorError") == "media_removed"
    assert code_of("something else", "ExtractorError") == "media_extractor"
    assert (
        files_of({"is_live": True, "formats": [{"url": "https://a/b", "protocol": "https"}]})[1]
        == "media_live"
    )
    assert (
        files_of({"formats": [{"url": "https://a/b", "protocol": "http_dash_segments"}]})[1]
        == "media_segments_only"
    )
    assert (
        files_of({"formats": [{"url": "https://a/b", "protocol": "https", "has_drm": True}]})[1]
        == "media_locked"
    )
    both = {"protocol": "https", "vcodec": "h264", "acodec": "aac"}
    sizes = [both | {"url": f"https://a/{height}", "height": height} for height in (360, 720, 1080)]
    assert files_of({"formats": sizes})[0][0].url == "https://a/720"
    apart = [{"url": "https://a/v", "protocol": "https", "vcodec": "h264", "acodec": "none", "height": 720},
             {"url": "https://a/a", "protocol": "https", "vcodec": "none", "acodec": "aac"}]  # fmt: skip
    assert [one.url for one in files_of({"formats": apart})[0]] == ["https://a/v", "https://a/a"]


def test_extractors_have_to_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for options in ({}, {"extractors": "nosuchthing"}, {"extractors": "vimeo", "x": "1"}):
        with pytest.raises(ConfigError):
            MediaSite().check("https://example.org/", options)
    monkeypatch.setattr("crawlers.platforms.media_site.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="not installed"):
        registry.kind_of("media_site").check("https://example.org/", {"extractors": "vimeo"})
