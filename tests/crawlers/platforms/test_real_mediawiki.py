"""A wiki that nobody here wrote: MediaWiki of Debian, read by its API and as a web site."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crawlers.pictures import picture
from tests.crawlers.wiki import Wiki, wiki

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.crawlers.conftest import Crawls


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wiki]:
    with wiki(tmp_path_factory.mktemp("wiki")) as running:
        running.upload({"Red square.png": picture(1), "Blue.png": picture(2)})
        yield running


def test_the_wiki_is_read_by_its_api(crawls: Crawls, real: Wiki) -> None:
    crawls.add(url=f"{real.url}/api.php", kind="mediawiki")
    report = crawls.run()
    assert (report["state"], report["media_taken"], report["dropped"], report["stderr"]) == (
        "finished", 2, {}, "",
    )  # fmt: skip
    origins = {one.title: one for one in crawls.origins()}
    assert origins["Red square"].page_url == f"{real.url}/index.php?title=File%3ARed_square.png"
    report = crawls.run()
    assert (report["media_taken"], report["bytes_fetched"] < 20_000) == (0, True)

    real.upload({"Green.png": picture(3), "Blue.png": picture(4)})  # a new one, and a new version
    report = crawls.run()
    assert (report["media_taken"], report["dropped"]) == (2, {})
    assert report["lag_s"] < 120
    assert len(crawls.items()) == 4

    real.delete("File:Red square.png")
    report = crawls.run()
    assert (report["media_taken"], report["dropped"]) == (0, {"gone": 1})
    gone = [row for row in crawls.seen().values() if row.code == "gone"]
    assert [row.title for row in gone] == ["Red square"]
    assert gone[0].media_id is not None  # what was taken of it stays
    assert crawls.run()["dropped"] == {}


def test_the_wiki_is_searched_for_what_people_asked_for(crawls: Crawls, real: Wiki) -> None:
    crawls.add(url=f"{real.url}/api.php", kind="mediawiki", options={"look": "terms"})
    report = crawls.run("--terms-on-stdin", stdin='{"names": ["Blue"], "tag_key": "' + "cd" * 32 + '"}')
    assert (report["state"], report["dropped"]) == ("finished", {})
    assert [one.title for one in crawls.origins()] == ["Blue"]  # not its older version


def test_the_wiki_is_walked_as_a_site(crawls: Crawls, real: Wiki) -> None:
    crawls.add(url=f"{real.url}/index.php/Special:ListFiles", max_pages=6, depth=1)
    report = crawls.run()
    assert report["state"] == "finished"
    taken = {one.url.rpartition("/")[2] for one in crawls.origins() if one.url}
    assert taken >= {"Blue.png"}
    assert report["media_taken"] >= 2
    report = crawls.run()
    assert (report["media_taken"], report["media_known"] > 0) == (0, True)
