"""The pages of the last step: what was given, what is missing, the button, and what happens next."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from sqlmodel import select

from enrollment.standing import Standing
from enrollment.tables import Account, Challenge
from enrollment.web.start import in_words
from monitor.blobs import BlobStore
from monitor.crypto import new_key_line
from monitor.db import writing
from tests.enrollment.applicant import ANA, URL, Town
from tests.enrollment.newcomers import Door, door_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi.testclient import TestClient

    from monitor.ml.interfaces import Pack


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town.at(tmp_path / "home", kek=SecretStr(new_key_line("k1")))
    yield town
    town.close()


@pytest.fixture
def door(town: Town, tmp_path: Path, pack: Pack) -> Iterator[Door]:
    blobs = BlobStore(tmp_path / "home" / "blobs")
    with door_of(town.engine, town.keys, blobs, pack, public_url=URL) as door:
        yield door


@pytest.fixture
def ana(town: Town, door: Door) -> TestClient:
    """Ana's browser, before the last click."""
    browser = town.signed_in()
    door.newcomer(ANA, door.vectors(count=2), subject_id=town.subject())
    return browser


def test_the_summary_says_what_was_given_and_when_the_first_message_comes(ana: TestClient) -> None:
    page = ana.get("/enrol/start").text
    assert "2 pictures of your face, and 1 recording of your voice" in page
    assert "after 3 days at the earliest" in page
    assert "are deleted when you" in page
    assert '<form method="post" action="/enrol/start">' in page


def test_looking_starts_nothing_and_another_site_neither(town: Town, door: Door, ana: TestClient) -> None:
    for _ in range(2):
        assert ana.get("/enrol/start").status_code == 200
    assert ana.get("/enrol/done").headers["location"] == "/enrol/start"
    assert ana.post("/enrol/start", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert door.standing(town.subject()) is Standing.NEW


def test_the_click_leads_on_and_can_be_pressed_again(town: Town, door: Door, ana: TestClient) -> None:
    for _ in range(2):
        assert ana.post("/enrol/start").headers["location"] == "/enrol/done"
    assert ana.get("/enrol/start").headers["location"] == "/enrol/done"
    assert "That was all" in ana.get("/enrol/done").text
    assert door.work() == 1
    assert "That was all" in ana.get("/enrol/done").text
    with writing(town.engine) as session:
        account = session.exec(select(Account)).one()
        account.told_from = account.created_at
    assert "Everything is set up" in ana.get("/enrol/done").text


def test_an_old_proof_is_said_and_asked_for_again(town: Town, ana: TestClient) -> None:
    with writing(town.engine) as session:
        proof = session.exec(select(Challenge)).one()
        proof.ended_at = proof.drawn_at - timedelta(days=8)
    page = ana.get("/enrol/start").text
    assert "more than a week ago" in page
    assert '<button type="submit">Start</button>' not in page
    assert ana.post("/enrol/start").headers["location"] == "/enrol/start"
    page = ana.get("/enrol/start").text
    assert "One thing is missing" in page
    assert 'href="/enrol/proof"' in page


def test_nobody_without_a_session_starts_anything(town: Town) -> None:
    browser = town.browser()
    for path in ("/enrol/start", "/enrol/done"):
        assert browser.get(path).headers["location"] == "/enrol"
    assert browser.post("/enrol/start").headers["location"] == "/enrol"


def test_whom_it_could_harm_is_said_to_anybody_and_linked(town: Town) -> None:
    browser = town.browser()
    assert 'href="/enrol/impact"' in browser.get("/").text
    assert "Whom this could harm" in browser.get("/enrol/impact").text


@pytest.mark.parametrize(
    ("hours", "words"), [(0, ""), (1, "one hour"), (36, "36 hours"), (24, "one day"), (72, "3 days")]
)
def test_a_cooling_off_in_words(hours: float, words: str) -> None:
    assert in_words(hours) == words
