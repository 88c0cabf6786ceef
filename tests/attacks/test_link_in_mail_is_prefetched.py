"""Mail programs, virus scanners and previews open every link before the person does. Nothing may happen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from monitor.db import reading
from tests.alerts.visitor import Visitor, link_in
from tests.enrollment.applicant import Town

if TYPE_CHECKING:
    from pathlib import Path

    from alerts.interfaces import Message


def _everything(visitor: Visitor | Town) -> dict[str, list[tuple[object, ...]]]:
    """Read every row of every table."""
    with reading(visitor.engine) as session:
        names = session.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars().all()
        return {
            name: [tuple(row) for row in session.execute(text(f'SELECT * FROM "{name}"'))]  # noqa: S608 - our tables
            for name in names
        }


def _links(message: Message) -> set[str]:
    headers = " ".join(value for _, value in message.headers)
    whole = f"{message.text} {message.html} {headers}"
    return {address.split("testserver")[1] for address in re.findall(r"http://testserver[^\s\"<>]+", whole)}


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PROPFIND"])
@pytest.mark.parametrize("channel", ["email", "sms"])
def test_opening_every_link_of_a_message_changes_nothing(visitor: Visitor, method: str, channel: str) -> None:
    message = visitor.message(channel)
    links = _links(message)
    before = _everything(visitor)

    for _ in range(3):
        for link in links:
            answer = visitor.browser.request(method, link)
            assert "set-cookie" not in answer.headers
            assert "pictures.example" not in answer.text, "nor does it show anything"

    assert len(links) == (2 if channel == "email" else 1)
    assert _everything(visitor) == before


def test_after_a_prefetch_the_link_still_opens_for_the_person(visitor: Visitor) -> None:
    link = link_in(visitor.message())
    for _ in range(5):
        visitor.browser.get(link)

    assert visitor.browser.get(visitor.open(link)).status_code == 200


WAY_OUT = '<script type="module" src="/static/exit.js"></script>'
"""It waits for a press of the person, and then leaves: it asks nothing of us (monitor/web/static/exit.js)."""


def test_no_page_asks_the_browser_to_act_by_itself(visitor: Visitor) -> None:
    message = visitor.message()
    pages = [visitor.browser.get(link).text for link in _links(message)]
    pages.append(visitor.browser.get(visitor.open(link_in(message))).text)

    for page in pages:
        assert page.count("<script") == page.count(WAY_OUT), "the way out is the only script"
        assert "http-equiv" not in page, "no page reloads or leads on by itself"
        assert not re.search(r"\son\w+=", page)
        for form in re.findall(r"<form[^>]*>", page):
            assert 'method="post"' in form


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PROPFIND"])
def test_the_link_that_signs_in_does_so_for_nobody_who_only_opens_it(tmp_path: Path, method: str) -> None:
    town = Town.at(tmp_path / "home")
    scanner, person = town.browser(), town.browser()
    link = town.link(person)
    before = _everything(town)

    for _ in range(3):
        answer = scanner.request(method, link)
        assert "set-cookie" not in answer.headers
        assert "http-equiv" not in answer.text, "no page leads on by itself"

    assert _everything(town) == before
    assert person.post(link).headers["location"] == "/enrol/you", "it still opens for the person"
    town.close()


def test_a_scanner_that_runs_scripts_and_follows_links_presses_no_button(tmp_path: Path) -> None:
    town = Town.at(tmp_path / "home")
    scanner, person = town.browser(), town.browser()
    link = town.link(person)
    page = scanner.get(link).text

    for address in re.findall(r'(?:href|src)="(/[^"]*)"', page):
        scanner.get(address)

    assert re.findall(r'<script type="module" src="([^"]+)">', page) == ["/static/exit.js"]
    assert "submit(" not in scanner.get("/static/exit.js").text
    assert person.post(link).status_code == 303
    town.close()
