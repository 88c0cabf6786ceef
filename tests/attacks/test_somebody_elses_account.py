"""Ids of other people in one's own browser: every route is tried, so that none is forgotten."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import MetaData, Table, inspect, select
from sqlmodel import select as select_rows

from enrollment import delegates, export
from enrollment.tables import Consent, Delegate, Export, GivenSample, Passkey, WebSession
from monitor.db import reading, writing
from tests.enrollment.applicant import ANA, URL
from tests.enrollment.residents import Residents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.values import SubjectId

EVE = "eve@example.org"

OF_A_TOKEN = frozenset({"token"})
"""Parameters that hold a sealed token and no id: whoever has one was sent it."""

PUBLIC = frozenset({"/enrol/erased/{subject_id}", "/enrol/erased/{subject_id}/receipt.json"})
"""Of somebody who is gone; who is here is not found there."""


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Residents]:
    there = Residents.at(tmp_path / "home")
    yield there
    there.close()


def routes_of(town: Residents) -> list[tuple[str, str]]:
    """List every (method, path) of people's own pages, as the web process serves them."""
    found = []
    for path, methods in _all(town):
        if path.startswith(("/account", "/enrol")):
            found += [(method, path) for method in methods if method in {"GET", "POST"}]
    return sorted(found)


def _all(town: Residents) -> Iterator[tuple[str, set[str]]]:
    waiting: list[Any] = list(town.town.app.routes)
    while waiting:
        route = waiting.pop()
        inner = getattr(route, "routes", None) or getattr(
            getattr(route, "original_router", None), "routes", None
        )
        if inner:
            waiting += inner
        elif hasattr(route, "path") and getattr(route, "methods", None):
            yield route.path, set(route.methods)


def everything_of(town: Residents, who: SubjectId) -> dict[str, list[tuple[Any, ...]]]:
    """Read every row that hangs on a person, in every table: what must not change."""
    rows: dict[str, list[tuple[Any, ...]]] = {}
    with town.town.engine.connect() as connection:
        for name in inspect(connection).get_table_names():
            table = Table(name, MetaData(), autoload_with=connection, resolve_fks=False)
            for key in inspect(connection).get_foreign_keys(name):
                if key["referred_table"] == "subject_key":
                    own = table.c[key["constrained_columns"][0]] == who
                    rows[name] = sorted(map(tuple, connection.execute(select(table).where(own))), key=repr)
    return rows


def ids_of(town: Residents, who: SubjectId) -> list[str]:
    """Give an id of each kind of a person's things that a page could take."""
    engine = town.town.engine
    with writing(engine) as session:
        session.add(Passkey(id="anas-passkey", subject_id=who, public_key=b"k", name="phone"))
        delegates.invite(
            session, town.town.keys, town.town.lookups, who, ("Bea", "b@example.org"), town.clock()
        )
        export.order(session, who, town.clock())
    export.make_due(town.desk)
    ids: list[str] = [who]
    with reading(engine) as session:
        for table in (Consent, Delegate, Export, GivenSample, Passkey, WebSession):
            ids += [
                row.id for row in session.exec(select_rows(table).where(table.subject_id == who).limit(1))
            ]
    return ids


def test_every_route_with_another_person_s_ids_gives_nothing_and_changes_nothing(town: Residents) -> None:
    ana = town.watched()
    ids = ids_of(town, ana)
    town.watched(EVE)
    eve = town.browsers[EVE]
    before = everything_of(town, ana)
    routes = routes_of(town)
    tried = 0
    for method, path in routes:
        names = re.findall(r"{(\w+)(?::\w+)?}", path)
        if not names or set(names) <= OF_A_TOKEN:
            continue
        for one in ids:
            real = re.sub(r"{\w+(?::\w+)?}", one, path)
            data = {"what": "end", "answer": "no", "which": one, "name": "x"}
            answer = eve.get(real) if method == "GET" else eve.post(real, data=data)
            assert answer.status_code in {404, 409, 422, 405} or _leads_nowhere(answer), (method, real)
            tried += 1
    assert tried >= 4 * len(ids), "the routes with ids were not found"
    for one in ids:  # ids in the forms of routes without one in the path
        answer = eve.post("/account/export", data={"what": "take", "which": one})
        assert answer.status_code == 404
    assert everything_of(town, ana) == before


def _leads_nowhere(answer: Any) -> bool:
    """Say whether an answer only leads to a page of one's own: nothing was told, and it is checked after."""
    return answer.status_code == 303 and answer.headers["location"].startswith(("/account", "/enrol"))


def test_the_routes_are_those_that_we_think(town: Residents) -> None:
    """So that a route that is served in another way is not passed over in silence."""
    paths = {path for _, path in routes_of(town)}
    assert {
        "/account",
        "/account/consents/{consent_id}.json",
        "/account/consents/{purpose}",
        "/account/delegates/{invitation_id}",
        "/account/export",
        "/account/leave",
        "/enrol/erased/{subject_id}",
    } <= paths


def test_nothing_of_the_account_is_told_or_done_without_a_session(town: Residents) -> None:
    ana = town.watched()
    ids, stranger = ids_of(town, ana), town.town.browser()
    before = everything_of(town, ana)
    for method, path in routes_of(town):
        if not path.startswith("/account"):
            continue
        real = re.sub(r"{\w+(?::\w+)?}", ids[-1], path)
        answer = stranger.get(real) if method == "GET" else stranger.post(real, data={"what": "end"})
        assert answer.status_code in {303, 401, 404, 422}, (method, real)
        assert answer.headers.get("location", "/enrol") in {"/enrol", "/"}
        assert "Ana" not in answer.text
    assert everything_of(town, ana) == before


def test_no_form_of_another_site_does_anything(town: Residents) -> None:
    ana = town.watched()
    ids = ids_of(town, ana)
    before = everything_of(town, ana)
    browser = town.browsers[ANA]
    with reading(town.town.engine) as session:
        [invitation] = session.exec(select_rows(Delegate.id))
    for method, path in routes_of(town):
        if method != "POST" or not path.startswith("/account"):
            continue
        for one in (ids[-1], invitation, "references"):
            real = re.sub(r"{\w+(?::\w+)?}", one, path)
            data = {"what": "end", "answer": "no", "email": "new@example.org"}
            answer = browser.post(real, data=data, headers={"origin": "https://evil.example"})
            assert answer.status_code in {403, 404, 422}, real
    assert everything_of(town, ana) == before
    assert browser.get("/account", headers={"origin": URL}).status_code == 200
