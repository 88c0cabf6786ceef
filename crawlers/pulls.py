"""Feeds that we fetch: what a pull (monitor/partners/pulling.py) needs of the eyes, the guard and a lease."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import DBAPIError

from crawlers import lease
from crawlers.fetch_guard import PORTS, Rules, check_url, resolve, rules_of
from monitor.db import reading, writing
from monitor.errors import FeedPaused, FetchFailed, FetchRefused, LeaseLost, StorageFull
from monitor.intake import Door
from monitor.partners import feeds, pulling
from monitor.partners.places import SFTP
from monitor.partners.pulled_sftp import PORT, target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from monitor.partners.places import Dial, Place
    from monitor.partners.pulling import Pulled
    from monitor.settings import Settings

CONNECT_S: Final = 10.0
"""Seconds to get a connection to one address."""


def pull(
    settings: Settings,
    engine: Engine,
    name: str,
    place: Place,
    said: Callable[[Pulled], object] = lambda _: None,
) -> Pulled:
    """Fetch what is new of one feed from its place, which the caller has opened. `said` hears how far it is.

    Raises NotFound, FeedPaused, LeaseLost where another process does it, and what pulling.store_of and
    pulling.pull raise.
    """
    with reading(engine) as session:
        feed_id = feeds.find(session, name).id
    door = Door.of(settings, engine)
    with _alone(engine, f"pull:{feed_id}"):
        with reading(engine) as session:
            feed = feeds.find(session, name)  # its cursor, now that nobody else moves it
        if not feed.enabled:
            msg = f"the feed {name!r} is paused"
            raise FeedPaused(msg, hint=f"`likeness feed resume {name}` lets it go on.")
        with contextlib.closing(pulling.store_of(place, dial(place))) as store:
            return pulling.pull(feed, store, door, said)


def dial(place: Place) -> Dial:
    """Give what connects for a place: to public addresses, and by TLS or SSH; else only as it says itself.

    What is given connects to the very addresses that were checked. Raises FetchRefused, FeedInvalid.
    """
    rules, usual = _rules(place), PORT if place.way == SFTP else PORTS["https"]

    def connect(host: str, port: int) -> socket.socket:
        if port != usual and (host, port) != rules.own:
            msg = f"port {port} is refused"
            raise FetchRefused(msg)
        for address in resolve(host, port, rules):
            with contextlib.suppress(OSError):
                return socket.create_connection((address, port), CONNECT_S)
        msg = f"{host} does not answer"
        raise FetchFailed(msg)

    return connect


def _rules(place: Place) -> Rules:
    if place.way == SFTP:
        return Rules(allow_private=place.allow_private, own=target_of(place.url))
    rules = rules_of(place.url, allow_http=place.allow_private, allow_private=place.allow_private)
    check_url(place.url, rules)
    return rules


@contextlib.contextmanager
def _alone(engine: Engine, name: str) -> Iterator[None]:
    """Hold a lease and keep it alive. Raises LeaseLost where somebody else holds it."""
    who = lease.owner()
    if not lease.take(engine, name, who):
        msg = "this feed is being fetched by another process"
        raise LeaseLost(msg, hint="Wait for it to end.")
    over = threading.Event()

    def keep() -> None:
        while not over.wait(lease.EXTEND_S):
            with contextlib.suppress(DBAPIError, StorageFull), writing(engine) as session:
                lease.extend(session, name, who)  # two at once would do no harm, but double work

    thread = threading.Thread(target=keep, name="pull-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        lease.release(engine, name, who)
