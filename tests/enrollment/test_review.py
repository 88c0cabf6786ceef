"""The operators' page and the verb: nobody without a name and token, nothing on GET, two people for a yes."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from pydantic import SecretStr
from sqlmodel import select
from typer.testing import CliRunner

from enrollment import operators
from enrollment.holds import State
from enrollment.standing import Standing
from enrollment.tables import HoldVote
from monitor.blobs import BlobStore
from monitor.cli import app
from monitor.crypto import new_key_line
from monitor.db import reading, utc_now, writing
from monitor.errors import ConfigError, OperatorRefused, VoteRefused
from monitor.tables import AuditEvent
from tests.enrollment.applicant import URL, Town
from tests.enrollment.newcomers import Door, door_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result
    from fastapi.testclient import TestClient

    from monitor.ml.interfaces import Pack
    from monitor.values import SubjectId

LIST = "/operator/enrolments"
OWN = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def kek() -> str:
    return new_key_line("k1")


@pytest.fixture
def town(tmp_path: Path, kek: str) -> Iterator[Town]:
    town = Town.at(tmp_path / "home", kek=SecretStr(kek))
    yield town
    town.close()


@pytest.fixture
def door(town: Town, tmp_path: Path, pack: Pack) -> Iterator[Door]:
    blobs = BlobStore(tmp_path / "home" / "blobs")
    with door_of(town.engine, town.keys, blobs, pack, public_url=URL) as door:
        yield door


@pytest.fixture
def browser(town: Town) -> TestClient:
    """A browser that says nothing of where its forms come from."""
    browser = town.browser()
    del browser.headers["origin"]
    return browser


def made(town: Town, name: str) -> dict[str, str]:
    with writing(town.engine) as session:
        return basic(name, operators.add(session, name, "operator:root", utc_now()))


def basic(name: str, token: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{token}".encode()).decode()}


def held(door: Door, data: bytes = b"no picture") -> tuple[SubjectId, SubjectId, str]:
    """Hold a newcomer with an enrolled face: (newcomer, owner, hold)."""
    face = door.vectors()
    owner = door.enrolled("owner@example.org", face, keep=True)
    eve = door.newcomer("eve@example.org", door.again(face), data=data)
    assert door.click(eve) is None
    assert door.work() == 1
    return eve, owner, door.hold(eve).id


def test_without_an_operator_there_is_no_such_page(town: Town, browser: TestClient) -> None:
    nothing = browser.get("/nothing")
    for path in (LIST, f"{LIST}/x", f"{LIST}/x/face"):
        answer = browser.get(path, headers=basic("ada", "x"))
        assert (answer.status_code, answer.content) == (404, nothing.content)
    ada = made(town, "ada")
    assert browser.get(LIST, headers=ada).status_code == 200
    with writing(town.engine) as session:
        operators.revoke(session, "ada", "operator:root", utc_now())
    assert browser.get(LIST, headers=ada).status_code == 404


def test_only_a_name_with_its_own_token_comes_in(town: Town, browser: TestClient) -> None:
    ada, ben = made(town, "ada"), made(town, "ben")
    token = base64.b64decode(ada["authorization"][6:]).decode().partition(":")[2]
    wrong: list[dict[str, str]] = [
        {},
        basic("ada", ""),
        basic("ada", f"{token}x"),
        basic("ben", token),
        basic("", token),
        {"authorization": f"Bearer {token}"},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic " + "a" * 60_000},
    ]
    for headers in wrong:
        answer = browser.get(LIST, headers=headers)
        assert answer.status_code == 401, headers
        assert answer.headers["www-authenticate"].startswith("Basic ")
    for headers in (ada, ben):
        assert browser.get(LIST, headers=headers).status_code == 200
    assert browser.get(f"{LIST}?token={token}").status_code == 401


def test_the_list_names_nobody_and_the_look_is_on_record(town: Town, door: Door, browser: TestClient) -> None:
    eve, owner, hold = held(door)
    ada = made(town, "ada")
    text = browser.get(LIST, headers=ada).text
    assert "A face like this one is here already." in text
    for secret in ("eve@example.org", "Ann Other", "owner@example.org", eve, owner):
        assert secret not in text
    assert "enrolment.looked_at" not in door.actions(eve)
    page = browser.get(f"{LIST}/{hold}", headers=ada).text
    assert "Ann Other" in page
    assert "likeness 0.9" in page
    assert "They agreed that their samples are kept; these are not shown." in page
    assert "owner@example.org" not in page
    assert door.actions(eve).count("enrolment.looked_at") == 1
    assert door.actions(owner).count("enrolment.like_you_looked_at") == 1
    with reading(town.engine) as session:
        event = session.exec(select(AuditEvent).where(AuditEvent.action == "enrolment.looked_at")).one()
    assert event.actor == "operator:ada"


def test_the_picture_is_the_newcomer_s_and_small(
    town: Town, door: Door, browser: TestClient, data: Path
) -> None:
    photograph = (data / "faces/lfw-dev/Adrien_Brody/Adrien_Brody_0001.jpg").read_bytes()
    _, _, hold = held(door, photograph)
    answer = browser.get(f"{LIST}/{hold}/face", headers=made(town, "ada"))
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"] == "no-store"
    assert Image.open(io.BytesIO(answer.content)).size == (112, 112)
    assert browser.get(f"{LIST}/{hold}/face").status_code == 401


def test_nothing_is_decided_on_get_nor_by_another_site(town: Town, door: Door, browser: TestClient) -> None:
    _, _, hold = held(door)
    ada = made(town, "ada")
    yes = {"answer": "approve", "why": "seen"}
    path = f"{LIST}/{hold}"
    assert browser.get(path, params=yes, headers=ada).status_code == 200
    others: list[dict[str, str]] = [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {},
    ]
    for headers in others:
        assert browser.post(path, data=yes, headers=ada | headers).status_code == 403
    assert browser.post(path, data=yes, headers=OWN).status_code == 401
    with reading(town.engine) as session:
        assert session.exec(select(HoldVote)).all() == []


def test_two_operators_let_somebody_in(town: Town, door: Door, browser: TestClient) -> None:
    eve, _, hold = held(door)
    ada, ben = made(town, "ada"), made(town, "ben")
    path = f"{LIST}/{hold}"
    first = browser.post(path, data={"answer": "approve", "why": "passport"}, headers=ada | OWN)
    assert (first.status_code, first.headers["location"]) == (303, path)
    assert "It takes a second operator" in browser.get(path, headers=ada).text
    again = browser.post(path, data={"answer": "approve", "why": "once more"}, headers=ada | OWN)
    assert again.status_code == 422
    assert "has voted" in again.text
    assert door.hold(eve).state == State.OPEN
    assert browser.post(path, data={"answer": "approve", "why": "seen"}, headers=ben | OWN).status_code == 303
    assert door.hold(eve).state == State.APPROVED
    assert door.work() == 1
    assert door.standing(eve) is Standing.ACTIVE
    assert "Nobody waits" in browser.get(LIST, headers=ada).text


@pytest.mark.parametrize("form", [{}, {"answer": "approve"}, {"answer": "maybe", "why": "x"}])
def test_an_answer_without_a_choice_or_a_reason_is_none(
    town: Town, door: Door, browser: TestClient, form: dict[str, str]
) -> None:
    eve, _, hold = held(door)
    assert browser.post(f"{LIST}/{hold}", data=form, headers=made(town, "ada") | OWN).status_code == 422
    assert door.hold(eve).state == State.OPEN


def test_markup_in_a_reason_is_text(town: Town, door: Door, browser: TestClient) -> None:
    _, _, hold = held(door)
    ada = made(town, "ada")
    why = '<script>alert("x")</script>'
    browser.post(f"{LIST}/{hold}", data={"answer": "approve", "why": why}, headers=ada | OWN)
    text = browser.get(f"{LIST}/{hold}", headers=ada).text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_an_unknown_or_a_clear_one_is_not_found(town: Town, door: Door, browser: TestClient) -> None:
    clear = door.hold(door.enrolled("ada@example.org")).id
    ada = made(town, "ada")
    for hold in ("x", clear):
        for path in (f"{LIST}/{hold}", f"{LIST}/{hold}/face"):
            assert browser.get(path, headers=ada).status_code == 404
        form = {"answer": "approve", "why": "x"}
        assert browser.post(f"{LIST}/{hold}", data=form, headers=ada | OWN).status_code == 404


@pytest.fixture
def likeness(kek: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command, on the database of the web process."""
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LIKENESS_KEK", kek)
    return lambda *words, **how: CliRunner().invoke(app, ["subject", "review", *words], **how)


def test_the_verb_has_the_same_rules(
    town: Town, door: Door, likeness: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    eve, _, hold = held(door)
    tokens = {}
    for name in ("ada", "ben"):
        with writing(town.engine) as session:
            tokens[name] = operators.add(session, name, "operator:root", utc_now())
    wrong = likeness("--as", "ada", input=tokens["ben"])
    assert isinstance(wrong.exception, OperatorRefused)
    assert json.loads(likeness("--as", "ada", "--json", input=tokens["ada"]).stdout)["holds"][0]["id"] == hold
    monkeypatch.setenv("REVIEW_TOKEN", tokens["ada"])
    listed = likeness("--as", "ada")
    assert hold[:8] in listed.stdout
    assert "eve@example.org" not in listed.stdout
    shown = likeness(hold[:8], "--as", "ada")
    assert "eve@example.org" in shown.stdout
    assert "likeness: 0.9" in shown.stdout
    assert door.actions(eve).count("enrolment.looked_at") == 1
    yes = ("--approve", "--why", "passport seen")
    assert isinstance(likeness(hold, "--as", "ada", "--approve").exception, VoteRefused)
    assert isinstance(likeness(hold, "--as", "ada", "--reject", *yes).exception, ConfigError)
    assert isinstance(likeness("--as", "ada", *yes).exception, ConfigError)
    assert "takes a second operator" in likeness(hold, "--as", "ada", *yes).stdout
    assert isinstance(likeness(hold, "--as", "ada", *yes).exception, VoteRefused)
    monkeypatch.setenv("REVIEW_TOKEN", tokens["ben"])
    assert "lets them in" in likeness(hold, "--as", "ben", *yes).stdout
    assert door.hold(eve).state == State.APPROVED
    assert "Nobody waits" in likeness("--as", "ben").stdout
