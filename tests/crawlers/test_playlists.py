"""Films that are given in segments: playlists are read, segments fetched in order, and one file is made."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.playlists import Choice, Piece, Segments, read
from monitor.blobs import BlobStore
from monitor.errors import FetchRefused, FetchTooLarge, FetchWrongType, LikenessError, MediaLocked
from monitor.intake import opened
from monitor.subject_keys import intake_opener
from monitor.values import BlobId

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from monitor.crypto import KeyEncryptionKeys
    from tests.crawlers.conftest import Crawls
    from tests.crawlers.web import Site

URL = "https://films.example/a/master.m3u8"
PACKET = b"G" + bytes(187)

MASTER = """#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x",URI="sound/other.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="y",DEFAULT=YES,URI="sound/a.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=400000,RESOLUTION=426x240,CODECS="avc1,mp4a",AUDIO="a"
240/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=5000000,RESOLUTION=1920x1080,AUDIO="a"
1080/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=1500000,RESOLUTION=854x480,AUDIO="a"
480/index.m3u8
"""


def test_the_smallest_variant_that_is_good_enough_is_taken_with_its_sound() -> None:
    choice = read(MASTER, URL)
    root = "https://films.example/a"
    assert choice == Choice(f"{root}/480/index.m3u8", f"{root}/sound/a.m3u8", 1_500_000)
    only_small = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100\na\n#EXT-X-STREAM-INF:BANDWIDTH=200\nb"
    assert read(only_small, URL) == Choice(f"{root}/b", None, 200)


def test_segments_parts_and_initialisations_come_in_their_order() -> None:
    text = """#EXTM3U
#EXT-X-MAP:URI="film.mp4",BYTERANGE="700@0"
#EXTINF:4.0,
#EXT-X-BYTERANGE:1000@700
film.mp4
#EXTINF:4.5,title
#EXT-X-BYTERANGE:500
film.mp4
#EXTINF:2,
https://cdn.example/last.m4s
"""
    film = "https://films.example/a/film.mp4"
    pieces = (Piece(film, 0, 700), Piece(film, 700, 1000), Piece(film, 1700, 500))
    last = Piece("https://cdn.example/last.m4s")
    assert read(text, URL) == Segments((*pieces, last), 10.5, is_over=False)
    assert read(text + "#EXT-X-ENDLIST\n", URL) == Segments((*pieces, last), 10.5, is_over=True)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("<html>", FetchWrongType),
        ("#EXTM3U\n#EXT-X-ENDLIST\n", FetchWrongType),
        ('#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF:1,\na.ts\n', MediaLocked),
        ('#EXTM3U\n#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI="k"\n' + MASTER[8:], MediaLocked),
        ("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", FetchRefused),
        ("#EXTM3U\n#EXTINF:1,\ndata:text/plain,x\n", FetchRefused),
        ("#EXTM3U\n#EXTINF:1,\nhttp://[::1\n", FetchRefused),
        ('#EXTM3U\n#EXT-X-MAP:URI="gopher://a/"\n', FetchRefused),
        ("#EXTM3U\n" + "#EXTINF:1,\na.ts\n" * 4001, FetchTooLarge),
        ("#EXTM3U\n#EXT-X-BYTERANGE:0@5\na.ts\n", FetchWrongType),
    ],
)
def test_what_is_no_film_for_us_is_refused_with_its_code(text: str, error: type[LikenessError]) -> None:
    with pytest.raises(error):
        read(text, URL)
    plain = "#EXTM3U\n#EXT-X-KEY:METHOD=NONE\n#EXTINF:1,\na.ts\n"
    assert isinstance(read(plain, URL), Segments)


@given(st.lists(st.sampled_from(MASTER.splitlines()) | st.text(max_size=60)))
def test_any_lines_are_a_playlist_or_refused(lines: list[str]) -> None:
    with contextlib.suppress(LikenessError):
        read("\n".join(["#EXTM3U", *lines]), URL)


def test_a_film_in_segments_is_joined_and_put_in_once(
    crawls: Crawls, web: Site, keys: KeyEncryptionKeys, tmp_path: Path
) -> None:
    segments = [PACKET * (1000 + number) for number in range(3)]
    shaky: list[str] = []

    def once_broken(handler: BaseHTTPRequestHandler) -> None:
        shaky.append(handler.path)
        whole = segments[1]
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", handler.headers["Range"])
        assert asked is not None
        part = whole[int(asked[1]) : int(asked[2]) + 1]
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 0-{len(part) - 1}/{len(whole)}")
        handler.send_header("Content-Length", str(len(part)))
        handler.end_headers()
        handler.wfile.write(part if len(shaky) > 1 else part[:5000])
        handler.close_connection = True

    kind = "application/vnd.apple.mpegurl"
    web.page("/", '<video src="/film/master.m3u8"></video><a href="/locked.m3u8">x</a>')
    web.page("/film/master.m3u8", MASTER.replace(',AUDIO="a"', ""), kind)
    web.page("/film/480/index.m3u8", "#EXTM3U\n#EXTINF:4,\n0.ts\n#EXTINF:4,\n1.ts\n#EXTINF:4,\n2.ts\n", kind)
    web.page("/locked.m3u8", '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="/key"\n#EXTINF:4,\n/0.ts\n', kind)
    for number in (0, 2):
        web.page(f"/film/480/{number}.ts", segments[number], "video/mp2t")
    web.answer("/film/480/1.ts", once_broken)
    crawls.add()
    report = crawls.run()
    assert len(report["stderr"].splitlines()) == 1  # one line, of the film that is locked
    assert (report["media_found"], report["media_taken"], report["dropped"]) == (2, 1, {"media_locked": 1})
    paths = [path for path in web.paths() if "/film/480/" in path]
    in_order = [path for number, path in enumerate(paths) if path not in paths[:number]]
    assert in_order == ["/film/480/index.m3u8"] + [f"/film/480/{number}.ts" for number in range(3)]
    assert not {"/key", "/0.ts", "/film/240/index.m3u8"} & set(web.paths())
    (item,) = crawls.items()
    assert item.size_bytes == sum(map(len, segments))
    assert item.blob_id is not None
    sealed = opened(
        BlobId(item.blob_id), item.sha256, BlobStore(tmp_path / "blobs"), intake_opener(crawls.engine, keys)
    )
    assert b"".join(sealed) == b"".join(segments)
