"""Somebody finds the operator's pages and tries the door. It opens for the token and nothing else."""

from __future__ import annotations

import base64
import io
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from monitor import log as logs
from monitor.app import create_app
from monitor.errors import ConfigError
from tests.alerts.visitor import Visitor, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "an-operators-token-of-the-tests-0123456789"
PATHS = ("/metrics", "/operator/budget", "/operator/sources", "/operator/feeds")


def basic(password: str, name: str = "prometheus") -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@contextmanager
def visiting(home: Path, token: str | None) -> Iterator[Visitor]:
    how = {} if token is None else {"operator_token": SecretStr(token)}
    visitor = Visitor.at(home, **how)
    yield visitor
    visitor.browser.close()
    visitor.engine.dispose()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """Give a web process with a token, one for all who knock: its pages change nothing."""
    with visiting(tmp_path_factory.mktemp("served") / "home", TOKEN) as visitor:
        yield visitor


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """Give a web process without a token."""
    with visiting(tmp_path_factory.mktemp("closed") / "home", None) as visitor:
        yield visitor


@pytest.fixture
def watched(served: Visitor) -> Iterator[Visitor]:
    """Give it to one test; no test gives its cookies to the next."""
    yield served
    served.browser.cookies.clear()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [{}, basic(""), basic(TOKEN), {"authorization": "Bearer "}])
def test_without_the_setting_there_is_no_such_page(
    closed: Visitor, path: str, headers: dict[str, str]
) -> None:
    answer, nothing = closed.browser.get(path, headers=headers), closed.browser.get("/nothing")
    assert answer.status_code == 404
    assert answer.content == nothing.content
    assert dict(answer.headers) == dict(nothing.headers)


def test_an_empty_setting_is_none(tmp_path: Path) -> None:
    visitor = Visitor.at(tmp_path / "home", operator_token=SecretStr(""))
    for path in PATHS:
        assert visitor.browser.get(path, headers=basic("")).status_code == 404
    visitor.browser.close()
    visitor.engine.dispose()


@pytest.mark.parametrize("weak", ["too-weak", "x" * 31, " " * 8])
def test_a_token_that_can_be_guessed_is_refused(tmp_path: Path, weak: str) -> None:
    with pytest.raises(ConfigError, match="OPERATOR_TOKEN") as told:
        create_app(settings(tmp_path, operator_token=SecretStr(weak)))
    assert weak not in str(told.value)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic(""),
        basic(TOKEN[:-1]),
        basic(TOKEN + "x"),
        basic(TOKEN.upper()),
        basic("", name=TOKEN),
        {"authorization": TOKEN},
        {"authorization": "Bearer"},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": f"Digest {TOKEN}"},
        {"authorization": "Basic"},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic " + base64.b64encode(TOKEN.encode()).decode()},
        {"authorization": "Basic " + base64.b64encode(b"\xff\x00:\xff").decode()},
        {"authorization": b"Bearer \xff\xfe"},
        {"authorization": "Bearer " + "a" * 60_000},
        {"cookie": f"token={TOKEN}"},
    ],
)
def test_nothing_but_the_token_opens(watched: Visitor, path: str, headers: dict[str, str]) -> None:
    answer = watched.browser.get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert "likeness_" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", PATHS)
def test_a_token_in_the_address_opens_nothing(watched: Visitor, path: str) -> None:
    """An address is kept by browsers, proxies and logs."""
    assert watched.browser.get(f"{path}?token={TOKEN}&access_token={TOKEN}").status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_the_token_opens_with_any_name_and_as_bearer(watched: Visitor, path: str) -> None:
    for headers in (basic(TOKEN), basic(TOKEN, name=""), {"authorization": f"bearer {TOKEN}"}):
        answer = watched.browser.get(path, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed_there(watched: Visitor, path: str, method: str) -> None:
    assert watched.browser.request(method, path, headers=basic(TOKEN)).status_code == 405


def test_the_token_is_in_no_log(watched: Visitor) -> None:
    stream = io.StringIO()
    logs.configure(json=True, stream=stream)
    for path in PATHS:
        for headers in (basic(TOKEN), basic(TOKEN + "x"), {"authorization": f"Bearer {TOKEN}"}):
            watched.browser.get(path, headers=headers)
    assert TOKEN not in stream.getvalue()
    assert base64.b64encode(TOKEN.encode()).decode()[:40] not in stream.getvalue()


def test_nothing_on_them_is_about_a_subject(watched: Visitor) -> None:
    watched.message()
    for path in PATHS:
        text = watched.browser.get(path, headers=basic(TOKEN)).text
        for secret in (watched.ana, "ana@example.org", "pictures.example"):
            assert secret not in text
