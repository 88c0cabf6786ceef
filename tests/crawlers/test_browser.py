"""Pages that show their pictures by script, with the option and without."""

from __future__ import annotations

import pytest

from crawlers import browser, sources
from crawlers.sources import NewSource
from monitor.errors import ConfigError
from tests.crawlers.conftest import Crawls
from tests.crawlers.pictures import picture
from tests.crawlers.web import Site

SCRIPTED = """<title>Später</title><p id="here"></p><script src="/show.js"></script>"""

SHOW = """fetch('/list.json').then(answer => answer.json()).then(names => names.forEach(name => {
  const image = document.createElement('img'); image.src = name; image.alt = document.title;
  document.getElementById('here').append(image);
}));"""


def plant(web: Site) -> None:
    web.page("/", SCRIPTED, "text/html; charset=utf-8", etag='"1"')
    web.page("/show.js", SHOW, "text/javascript")
    web.page("/list.json", '["/0.png", "/secret.png"]', "application/json")
    web.page("/robots.txt", "User-agent: *\nDisallow: /secret.png\n", "text/plain")
    web.page("/0.png", picture(0), "image/png")


def test_a_picture_that_a_script_adds_is_seen_only_where_the_source_says_so(
    crawls: Crawls, web: Site
) -> None:
    plant(web)
    crawls.add()
    report = crawls.run()
    assert (report["media_found"], sorted(set(web.paths()))) == (0, ["/"])
    web.asked.clear()
    sources.edit(crawls.engine, "local", {"options": {"javascript": "yes"}}, "test")
    web.page("/", SCRIPTED, "text/html; charset=utf-8", etag='"2"')
    report = crawls.run()
    assert (report["media_taken"], report["dropped"]) == (1, {"robots": 1})
    assert web.paths().count("/0.png") == 1  # by our fetcher, not by the browser too
    assert {one.headers["User-Agent"].split("/")[0] for one in web.asked} == {"LikenessWatch"}
    assert [row.title for row in crawls.origins()] == ["Später"]


def test_a_page_whose_script_never_ends_is_read_as_it_came(crawls: Crawls, web: Site) -> None:
    web.page("/", '<img src="/0.png"><script>for (;;) {}</script>')
    web.page("/0.png", picture(0), "image/png")
    crawls.add(options={"javascript": "yes"})
    report = crawls.run()
    assert (report["state"], report["media_taken"]) == ("finished", 1)
    assert report["dropped"] == {"render_failed": 1}


def test_a_missing_browser_is_said_with_what_to_do(crawls: Crawls, web: Site) -> None:
    crawls.add(options={"javascript": "yes"})
    child = crawls.start(LIKENESS_CHROMIUM="/nowhere/chromium")
    _, err = child.communicate(timeout=60)
    assert (child.returncode, web.asked) == (1, [])
    assert err.startswith("error[config]: a source says javascript=yes, and there is no browser at /nowhere")


def test_a_missing_library_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError) as said:
        browser.executable()
    assert "likeness-watch[javascript]" in (said.value.hint or "")


@pytest.mark.parametrize("options", [{"javascript": "maybe"}, {"script": "yes"}])
def test_a_site_has_no_other_option(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="javascript"):
        sources.check(NewSource("a", "https://site.example/", options=options))
