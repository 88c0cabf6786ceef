"""Feeds that we fetch: what a pull (monitor/partners/pulling.py) needs of the eyes, the guard and a lease.

`python -m crawlers.pulls NAME` is one round in a process of its own, the way the scheduler starts it: where
to fetch, and how to enter, come as one JSON text on standard input (places.Place). It has no key, so that
whoever takes this process over, by what a strange server sends, gets the credentials of this one feed and no
more.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import sys
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import DBAPIError

from crawlers import lease
from crawlers.fetch_guard import PORTS, Rules, check_url, resolve, rules_of
from monitor import log
from monitor.db import open_engine, reading, writing
from monitor.errors import FeedPaused, FetchFailed, FetchRefused, LeaseLost, LikenessError, StorageFull
from monitor.intake import Door
from monitor.partners import feeds, pull_times, pulling
from monitor.partners.places import SFTP, Place
from monitor.partners.pulled_sftp import PORT, target_of
from monitor.partners.pulling import Pulled
from monitor.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from monitor.partners.places import Dial
    from monitor.settings import Settings

CONNECT_S: Final = 10.0
"""Seconds to get a connection to one address."""

LONGEST_PLACE: Final = 64 * 2**10
"""Characters of a place that are read from standard input."""


def main() -> int:
    """Fetch one feed once. Gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m crawlers.pulls", description="Fetch one feed once.")
    parser.add_argument("name", help="name of the feed; its place is read from standard input")
    asked = parser.parse_args()
    try:
        settings = load_settings()
        log.configure(json=settings.log_json)
        place = Place(**json.loads(sys.stdin.read(LONGEST_PLACE)))
        engine = open_engine(settings.database)
        try:
            done = asdict(pull(settings, engine, asked.name, place))
        finally:
            engine.dispose()
    except LeaseLost as exc:
        sys.stderr.write(f"error[{exc.code}]: {exc.message}\n")
        return 1
    except LikenessError as exc:
        sys.stderr.write(f"error[{exc.code}]: {exc.message}\n")
        done = {"failed_code": exc.code}
    sys.stdout.write(json.dumps({"feed": asked.name, **done}) + "\n")
    return 0 if "failed_code" not in done else 1


def pull(
    settings: Settings,
    engine: Engine,
    name: str,
    place: Place,
    said: Callable[[Pulled], object] = lambda _: None,
) -> Pulled:
    """Fetch what is new of one feed from its place, which the caller has opened. `said` hears how far it is.

    How it ended is written to the feed's row. Raises NotFound, FeedPaused, LeaseLost where another process
    does it, and what pulling.store_of and pulling.pull raise.
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
        so_far = Pulled()

        def heard(done: Pulled) -> None:
            nonlocal so_far
            so_far = done
            said(done)

        try:
            with contextlib.closing(pulling.store_of(place, dial(place))) as store:
                so_far = pulling.pull(feed, store, door, heard)
        except LikenessError as exc:
            pull_times.note(engine, feed_id, so_far, exc)
            raise
        pull_times.note(engine, feed_id, so_far)
        return so_far


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


if __name__ == "__main__":
    sys.exit(main())
