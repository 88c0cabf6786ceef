"""The operator's pages of sources: what they say, for whom, and what they never say."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from crawlers import runs, sources
from crawlers.seen import MEDIA, PAGE, read_book
from crawlers.sources import NewSource
from monitor.db import utc_now, writing
from monitor.values import SourceId
from tests.alerts.mailhost import free_port
from tests.alerts.visitor import Visitor
from tests.operator_pages import is_for_everybody
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "an-operators-token-of-the-tests-0123456789"
ASKER = {"authorization": f"Bearer {TOKEN}", "accept": "text/html"}


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Visitor]:
    visitor = Visitor.at(tmp_path / "home", operator_token=SecretStr(TOKEN))
    yield visitor
    visitor.browser.close()
    visitor.engine.dispose()


def look(
    visitor: Visitor, row: sources.Source, tally: runs.Tally, failed: tuple[str, str] | None = None
) -> None:
    run_id = runs.begin(visitor.engine, SourceId(row.id))
    runs.end(visitor.engine, run_id, tally, runs.FAILED if failed else runs.FINISHED, failed)


def test_each_source_says_how_it_is_and_what_it_cost(operator: Visitor) -> None:
    engine = operator.engine
    fine = sources.add(engine, NewSource("fine", "https://fine.example/"), "me")
    tally = runs.Tally(
        pages=7, media_found=41, media_taken=5, requests=1234, bytes_fetched=3 * 2**20, lag_s=7200
    )
    tally.dropped.update({"robots": 17, "http_404": 3})
    look(operator, fine, tally)
    closed = sources.add(engine, NewSource("closed", "https://closed.example/"), "me")
    look(operator, closed, runs.Tally(), ("robots", "robots.txt asks us not to"))
    broken = sources.add(engine, NewSource("broken", "https://broken.example/"), "me")
    look(operator, broken, runs.Tally(), ("fetch_timeout", "the server was too slow"))
    late = sources.add(engine, NewSource("late", "https://late.example/"), "me")
    sources.add(engine, NewSource("off", "https://off.example/"), "me")
    sources.set_enabled(engine, "off", "me", enabled=False)
    with writing(engine) as session:
        row = session.get(sources.Source, late.id)
        assert row is not None
        row.due_at = utc_now() - timedelta(hours=3)
    page = operator.browser.get("/operator/sources", headers=ASKER).text
    rows = {
        cell.split(">")[1].split("<")[0]: cell
        for cell in page.split("<tr>")[2:]
        for cell in [cell.split("href=")[1]]
    }
    words = {
        name: row.split('<span class="state ')[1].split("</span>")[0].split(">")[1]
        for name, row in rows.items()
    }
    assert words == {
        "fine": "working", "closed": "refused", "broken": "failing", "late": "late", "off": "paused",
    }  # fmt: skip
    for said in (
        "1,234",
        "3.0 MiB",
        "<td>2h</td>",
        "<td>17</td>",
        "<code>http_404</code>",
        "<td>41</td>",
    ):
        assert said in rows["fine"]
    assert "3 of 5 sources cannot be looked at" in page


def test_a_source_shows_its_runs_and_what_gave_nothing_and_why(operator: Visitor) -> None:
    new = NewSource("news", "https://news.example/", basis="terms", basis_note="terms of 3 May", keep_days=30)
    row = sources.add(operator.engine, new, "me")
    tally = runs.Tally(pages=2)
    tally.refused_hosts["https://cdn.example"] = "status 503"
    look(operator, row, tally)
    book = read_book(operator.engine, SourceId(row.id), by_hand=False)
    book.failed("https://news.example/gone.jpg", MEDIA, "http_410", "the server answered 410")
    book.failed("https://news.example/<script>alert(1)</script>", PAGE, "fetch_timeout", "<b>slow</b>")
    book.looked("https://news.example/good.jpg", MEDIA, "taken")
    with writing(operator.engine) as session:
        book.write(session, book.take_batch())
    page = operator.browser.get("/operator/sources/news", headers=ASKER).text
    for said in (
        "terms of 3 May",
        "30 days",
        "http_410",
        "the server answered 410",
        "status 503",
        "It is watched",
    ):
        assert said in page
    assert "good.jpg" not in page
    assert "<script" not in page
    assert "<b>slow" not in page


def test_there_is_no_page_of_a_source_that_there_is_not(operator: Visitor) -> None:
    assert operator.browser.get("/operator/sources/nobody", headers=ASKER).status_code == 404
    assert operator.browser.get("/operator/sources/nobody").status_code == 401
    assert "No sources" in operator.browser.get("/operator/sources", headers=ASKER).text


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    home, port = tmp_path_factory.mktemp("sources"), free_port()
    visitor = Visitor.at(home, operator_token=SecretStr(TOKEN), public_url=f"http://127.0.0.1:{port}")
    row = sources.add(visitor.engine, NewSource("fine", "https://fine.example/"), "me")
    tally = runs.Tally(pages=7)
    tally.dropped.update({"http_404": 3})
    look(visitor, row, tally, ("fetch_timeout", "the server was too slow"))
    book = read_book(visitor.engine, SourceId(row.id), by_hand=False)
    book.failed("https://fine.example/" + "long" * 60, MEDIA, "http_410", "the server answered 410")
    with writing(visitor.engine) as session:
        book.write(session, book.take_batch())
    with serving(visitor.app, port):
        yield visitor
    visitor.browser.close()
    visitor.engine.dispose()


@pytest.mark.parametrize("path", ["/operator/sources", "/operator/sources/fine"])
@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light")])
def test_the_pages_are_readable_in_every_light_and_on_every_screen(
    served: Visitor, chromium: Any, path: str, width: int, scheme: str
) -> None:
    is_for_everybody(chromium, f"{served.links.public_url}{path}", TOKEN, width, scheme)
