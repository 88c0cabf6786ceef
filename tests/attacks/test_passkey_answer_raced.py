"""One answer of a passkey is sent twice in the same moment, over PostgreSQL: it counts once."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from enrollment import passkeys
from enrollment.passkeys import Passkeys
from enrollment.tables import WebSession
from monitor.db import reading, writing
from tests.enrollment.applicant import Town
from tests.enrollment.authenticator import Authenticator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi.testclient import TestClient
    from httpx import Response
    from sqlalchemy import Engine

URL = "http://watch.example"


@pytest.fixture
def town(tmp_path: Path, postgres_engine: Engine) -> Iterator[Town]:
    """Serve over PostgreSQL, where two transactions really run side by side."""
    address = postgres_engine.url.render_as_string(hide_password=False)
    there = Town.at(tmp_path / "home", database_url=address, public_url=URL)
    yield there
    there.close()


@pytest.fixture
def device(town: Town, monkeypatch: pytest.MonkeyPatch) -> Authenticator:
    """Give Ana's device; each check of its answers takes so long that two of them always overlap."""
    town.signed_in()
    device = Authenticator("watch.example", URL)
    with writing(town.engine) as session:
        session.add(device.row(town.subject()))
    quick = Passkeys._check

    def slow(*arguments: object) -> None:
        time.sleep(0.3)
        quick(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(passkeys.Passkeys, "_check", slow)
    return device


def both(browsers: list[TestClient], path: str, data: dict[str, str]) -> list[Response]:
    """Send one form from two browsers at once."""
    answers: list[Response] = []
    together = threading.Barrier(len(browsers))

    def send(browser: TestClient) -> None:
        together.wait()
        answers.append(browser.post(path, data=data))

    threads = [threading.Thread(target=send, args=(one,)) for one in browsers]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return sorted(answers, key=lambda one: one.status_code)


def here(town: Town) -> TestClient:
    browser = town.browser()
    browser.headers["origin"] = URL
    return browser


def sessions_with_second(town: Town) -> int:
    with reading(town.engine) as session:
        return sum(row.second_at is not None for row in session.exec(select(WebSession)))


def test_a_sign_in_sent_twice_signs_in_once(town: Town, device: Authenticator) -> None:
    first, second = here(town), here(town)
    options = first.post("/enrol/passkey/options")
    second.cookies.set("passkey", first.cookies["passkey"], domain="testserver.local")
    one, other = both([first, second], "/enrol/passkey", {"answer": device.answer(options.text)})
    assert (one.status_code, one.headers["location"]) == (303, "/enrol/you")
    assert other.status_code == 403
    assert "passkey" in other.text
    assert sessions_with_second(town) == 1


def test_a_second_factor_sent_twice_counts_once(town: Town, device: Authenticator) -> None:
    first, second = here(town), here(town)
    path = town.link(first)
    assert first.post(path).status_code == 303
    cookie = first.cookies["session"]
    second.cookies.set("session", cookie, domain="testserver.local")
    options = first.post("/account/second/options")
    answers = both(
        [first, second],
        "/account/second/passkey",
        {"answer": device.answer(options.text), "then": "/account/looks"},
    )
    assert [one.status_code for one in answers] == [303, 303]
    led_to = sorted(one.headers["location"] for one in answers)
    assert led_to[0] == "/account/looks"
    assert led_to[1].startswith("/account/second?")
    assert "fault=passkey" in led_to[1]
