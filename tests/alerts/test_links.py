"""Links: signed for one purpose, used once even in a race, and dead when they are too old."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from alerts.links import OPEN_FOR, SESSION_FOR, STOP_FOR, Links, Purpose, redeem, visit_of
from alerts.outbox import tell_due
from alerts.tables import Alert, FindingSession
from monitor.db import reading
from monitor.errors import LinkInvalid
from tests.alerts import scene

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys


def _told(engine: Engine, keys: KeyEncryptionKeys) -> Alert:
    ana = scene.subject(engine, keys)
    scene.finding(engine, keys, ana)
    tell_due(engine, keys, scene.book(ana), [scene.spool()], scene.links(), scene.NOON)
    with reading(engine) as session:
        return session.exec(select(Alert)).one()


def test_of_many_who_open_a_link_at_once_one_gets_in(engine: Engine, keys: KeyEncryptionKeys) -> None:
    links = scene.links()
    token = links.token(Purpose.OPEN, _told(engine, keys).id)
    barrier, came_in, stayed_out = threading.Barrier(4), [], []

    def run() -> None:
        barrier.wait()
        try:
            came_in.append(redeem(engine, links, token))
        except LinkInvalid as exc:
            stayed_out.append(exc)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(came_in), len(stayed_out)) == (1, 3)
    with reading(engine) as session:
        assert len(session.exec(select(FindingSession)).all()) == 1


@pytest.mark.parametrize(("purpose", "lifetime"), [(Purpose.OPEN, OPEN_FOR), (Purpose.STOP, STOP_FOR)])
def test_a_token_gets_old(purpose: Purpose, lifetime: timedelta) -> None:
    clock = scene.Clock()
    links = scene.links(clock)
    token = links.token(purpose, "alert")

    clock.now += lifetime
    assert not links.read(purpose, token).expired
    clock.now += timedelta(seconds=1)
    assert links.read(purpose, token).expired


def test_a_token_is_for_one_purpose_and_one_secret() -> None:
    links = scene.links()
    token = links.token(Purpose.OPEN, "alert")

    with pytest.raises(LinkInvalid):
        links.read(Purpose.STOP, token)
    with pytest.raises(LinkInvalid):
        Links("another-secret-that-is-long-enough-0123", links.public_url).read(Purpose.OPEN, token)
    with pytest.raises(LinkInvalid):
        links.read(Purpose.OPEN, token.replace("alert", "other"))


def test_a_session_ends_by_itself(sqlite_engine: Engine, keys: KeyEncryptionKeys) -> None:
    alert, clock = _told(sqlite_engine, keys), scene.Clock()
    links = scene.links(clock)
    cookie, visit = redeem(sqlite_engine, links, links.token(Purpose.OPEN, alert.id))

    clock.now += SESSION_FOR
    assert visit_of(sqlite_engine, links, cookie, alert.incident_id) == visit
    clock.now += timedelta(seconds=1)
    with pytest.raises(LinkInvalid):
        visit_of(sqlite_engine, links, cookie, alert.incident_id)


def test_the_secret_is_not_in_what_python_prints() -> None:
    assert scene.SECRET not in repr(scene.links())
