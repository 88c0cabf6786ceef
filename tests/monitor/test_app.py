"""The web process: alive is not ready, errors tell nothing, every answer carries its headers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from monitor import subject_keys
from monitor.app import HEADERS, create_app, from_environment
from monitor.db import utc_now, writing
from monitor.errors import KeyMissing, KeysError, NotFound
from monitor.tables import Lease
from tests.alerts.scene import SECRET
from tests.alerts.visitor import Visitor, settings, stop_link_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi import FastAPI

PAGE = {"accept": "text/html,*/*"}


def _worker(visitor: Visitor, seconds: float) -> None:
    with writing(visitor.engine) as session:
        session.merge(Lease(name="worker:a", owner="a", until=utc_now() + timedelta(seconds=seconds)))


def test_health_says_what_is_running(visitor: Visitor) -> None:
    said = visitor.browser.get("/health").json()

    assert any(model.startswith("fr_feature") for model in said.pop("models"))
    assert said == {
        "status": "alive",
        "version": "0.1.0",
        "pack": "registry",
        "device": "cpu",
        "provider": "CPUExecutionProvider",
    }


def test_who_comes_without_a_link_learns_what_this_is_and_nothing_else(visitor: Visitor) -> None:
    page = visitor.browser.get("/")
    assert page.status_code == 200
    assert "Follow the link" in page.text
    assert page.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]


def test_ready_only_with_database_keys_and_a_worker_whose_gallery_is_fresh(visitor: Visitor) -> None:
    assert visitor.browser.get("/ready").status_code == 503
    subject_keys.ensure_service_keys(visitor.engine, visitor.keys)
    without = visitor.browser.get("/ready")
    _worker(visitor, 60)
    ready = visitor.browser.get("/ready")
    _worker(visitor, -60)
    stale = visitor.browser.get("/ready")

    assert without.json()["checks"] == {"database": "ok", "keys": "ok", "gallery": "no worker is running"}
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert stale.status_code == 503
    assert "60 s past its lease" in stale.json()["checks"]["gallery"]


def test_alive_without_a_database_but_not_ready(visitor: Visitor) -> None:
    with visitor.engine.connect() as connection:
        connection.execute(text("PRAGMA foreign_keys=OFF"))
        connection.execute(text("ALTER TABLE lease RENAME TO gone"))
        connection.commit()

    assert visitor.browser.get("/health").status_code == 200
    assert visitor.browser.get("/ready").status_code == 503


def test_a_key_that_is_not_the_databases_own_is_seen(tmp_path: Path) -> None:
    first = Visitor.at(tmp_path / "home")
    subject_keys.ensure_service_keys(first.engine, first.keys)
    other = Visitor.at(tmp_path / "home")

    said = other.browser.get("/ready")

    assert said.status_code == 503
    assert said.json()["checks"]["keys"].startswith("key_")
    for one in (first, other):
        one.browser.close()
        one.engine.dispose()


def test_without_a_key_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(KeyMissing):
        create_app(settings(tmp_path, kek=None))


@pytest.mark.parametrize("path", ["/health", "/m/x", "/nothing", "/static/style.css", "/stop/x"])
def test_every_answer_carries_the_headers(visitor: Visitor, path: str) -> None:
    answer = visitor.browser.get(path, headers=PAGE)

    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert "script" not in HEADERS["Content-Security-Policy"]
    assert ("no-store" in answer.headers["cache-control"]) is not path.startswith("/static/")


def test_a_program_gets_problem_json_and_a_person_gets_a_page(visitor: Visitor) -> None:
    program, person = visitor.browser.get("/nothing"), visitor.browser.get("/nothing", headers=PAGE)

    assert program.headers["content-type"] == "application/problem+json"
    assert program.json()["code"] == "not_found"
    assert program.json()["status"] == program.status_code == person.status_code == 404
    assert "<h1>This page is not here</h1>" in person.text


def _failing(visitor: Visitor, error: Exception) -> FastAPI:
    @visitor.app.get("/fail")
    def fail() -> None:
        raise error

    return visitor.app


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound("no such finding"), 404, "not_found"),
        (KeysError("a secret place"), 500, "internal"),
        (RuntimeError("a secret place"), 500, "internal"),
    ],
)
@pytest.mark.parametrize("headers", [PAGE, {}])
def test_errors_of_ours_have_their_code_and_others_only_a_number(
    visitor: Visitor, error: Exception, status: int, code: str, headers: dict[str, str]
) -> None:
    browser = TestClient(_failing(visitor, error), raise_server_exceptions=False)

    answer = browser.get("/fail", headers=headers)

    assert answer.status_code == status
    assert "secret place" not in answer.text
    assert answer.headers["x-frame-options"] == "DENY"
    if not headers:
        body: dict[str, Any] = answer.json()
        assert body["code"] == code
        assert ("id" in body) is (status == 500)
    browser.close()


@pytest.mark.parametrize("content", [b"x" * 20_000, (b"x" * 2_000 for _ in range(10))])
def test_a_body_that_no_form_of_ours_has_is_refused(
    visitor: Visitor, content: bytes | Iterator[bytes]
) -> None:
    link = stop_link_in(visitor.message())
    answer = visitor.browser.post(
        link, content=content, headers={"content-type": "application/x-www-form-urlencoded"}
    )

    assert answer.status_code == 413


def test_a_server_can_make_it_by_name_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(tmp_path)
    assert chosen.kek is not None
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path))
    monkeypatch.setenv("LIKENESS_KEK", chosen.kek.get_secret_value())
    monkeypatch.setenv("LIKENESS_LINK_SECRET", SECRET)

    app = from_environment()

    with TestClient(app) as browser:
        assert browser.get("/health").status_code == 200
