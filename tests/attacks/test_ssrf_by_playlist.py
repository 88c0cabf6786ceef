"""A playlist that names addresses inside our own network gets nothing fetched from there."""

from __future__ import annotations

from tests.crawlers.conftest import Crawls, crawls, web, zygote  # noqa: F401 - fixtures of the crawler's tests
from tests.crawlers.web import Site, site

KIND = "application/vnd.apple.mpegurl"


def test_no_playlist_leads_into_our_network(crawls: Crawls, web: Site) -> None:  # noqa: F811
    with site() as inside:
        inside.page("/secret.ts", b"G" + bytes(187), "video/mp2t")
        inside.page("/secret.m3u8", "#EXTM3U\n#EXTINF:1,\nsecret.ts\n", KIND)
        there = f"http://127.0.0.1:{inside.port}"
        evil = [
            f"#EXTINF:1,\n{there}/secret.ts",
            f"#EXTINF:1,\nhttp://localhost:{inside.port}/secret.ts",
            f"#EXTINF:1,\nhttp://2130706433:{inside.port}/secret.ts",
            f"#EXTINF:1,\n//127.1:{inside.port}/secret.ts",
            "#EXTINF:1,\nhttp://169.254.169.254/latest/a.ts",
            "#EXTINF:1,\nfile:///etc/passwd",
            "#EXTINF:1,\ndata:video/mp2t;base64,R0dH",
            "#EXTINF:1,\nconcat:/etc/passwd|/etc/group",
            f'#EXT-X-MAP:URI="{there}/secret.ts"\n#EXTINF:1,\n/fine.ts',
            f'#EXT-X-KEY:METHOD=AES-128,URI="{there}/key"\n#EXTINF:1,\n/fine.ts',
            f"#EXT-X-STREAM-INF:BANDWIDTH=1\n{there}/secret.m3u8",
            "#EXTINF:1,\n/moved.ts",
        ]
        web.redirect("/moved.ts", f"{there}/secret.ts")
        for number, text in enumerate(evil):
            web.page(f"/{number}.m3u8", f"#EXTM3U\n{text}\n", KIND)
        web.page("/", "".join(f'<video src="/{number}.m3u8"></video>' for number in range(len(evil))))
        crawls.add()
        report = crawls.run()
        assert report["state"] == "finished"
        assert inside.asked == []
    assert crawls.items() == []
    assert sorted(web.paths()) == sorted(["/", "/moved.ts", *(f"/{n}.m3u8" for n in range(len(evil)))])
    assert sum(report["dropped"].values()) == len(evil)
    assert report["dropped"] == {"fetch_refused": len(evil) - 1, "media_locked": 1}
