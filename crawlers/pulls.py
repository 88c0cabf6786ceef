"""Feeds that we fetch: what a pull (monitor/partners/pulling.py) needs of the eyes, the guard and a lease.

`python -m crawlers.pulls NAME` is one round in a process of its own, the way the scheduler starts it; with
`--again SCAN` it is one slice of a second look (retro.py) at what came before. Where
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
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import DBAPIError

from crawlers import lease, retro
from crawlers.fetch_guard import PORTS, Rules, check_url, resolve, rules_of
from crawlers.tables import RetroScan
from monitor import log
from monitor.db import open_engine, reading, writing
from monitor.errors import (
    FeedPaused,
    FetchFailed,
    FetchRefused,
    LeaseLost,
    LikenessError,
    NotFound,
    StorageFull,
)
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
    from monitor.partners.tables import Feed
    from monitor.settings import Settings

CONNECT_S: Final = 10.0
"""Seconds to get a connection to one address."""

LONGEST_PLACE: Final = 64 * 2**10
"""Characters of a place that are read from standard input."""


def main() -> int:
    """Fetch one feed once. Gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m crawlers.pulls", description="Fetch one feed once.")
    parser.add_argument("name", help="name of the feed; its place is read from standard input")
    parser.add_argument("--again", metavar="SCAN", help="fetch again what came before, for this scan")
    asked = parser.parse_args()
    try:
        settings = load_settings()
        log.configure(json=settings.log_json)
        place = Place(**json.loads(sys.stdin.read(LONGEST_PLACE)))
        engine = open_engine(settings.database)
        try:
            if asked.again:
                done = asdict(again(settings, engine, asked.name, place, asked.again))
            else:
                done = asdict(pull(settings, engine, asked.name, place))
        finally:
            engine.dispose()
    except LikenessError as exc:
        sys.stderr.write(f"error[{exc.code}]: {exc.message}\n")
        if asked.again or isinstance(exc, LeaseLost):
            return 1  # no report: it is tried again
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
        feed = _feed(engine, name)  # its cursor, now that nobody else moves it
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


@dataclass(frozen=True, slots=True)
class Again:
    """What a slice of a second look gave, in items; what is gone or was changed has `failed`."""

    asked: int
    fetched: int
    failed: int


def again(settings: Settings, engine: Engine, name: str, place: Place, scan_id: str) -> Again:
    """Fetch some files of one feed again, for the people whom a scan serves.

    A process that is killed leaves what it took in; the next one asks for the rest. Raises NotFound,
    FeedPaused, LeaseLost, and what pulling.store_of and pulling.again raise.
    """
    with reading(engine) as session:
        feed_id = feeds.find(session, name).id
    door, key = Door.of(settings, engine), retro.FEED + feed_id
    with _alone(engine, f"pull:{feed_id}"):
        _feed(engine, name)
        with reading(engine) as session:
            scan = session.get(RetroScan, scan_id)
            if scan is None:
                msg = "there is no such scan"
                raise NotFound(msg)
            before = retro.files(session, scan, key, retro.SLICE)
        with contextlib.closing(pulling.store_of(place, dial(place))) as store:
            counted = partial(retro.counted, engine, scan_id, 1, 0)  # at once: a kill must lose none
            fetched = pulling.again(feed_id, store, door, before, counted)
        asked = len({one.sha256 for one in before})
        retro.passed(engine, scan_id, retro.up_to(key, before), asked - fetched)
        return Again(asked, fetched, asked - fetched)


def _feed(engine: Engine, name: str) -> Feed:
    """Give a feed as it is now. Raises NotFound, FeedPaused."""
    with reading(engine) as session:
        feed = feeds.find(session, name)
    if not feed.enabled:
        msg = f"the feed {name!r} is paused"
        raise FeedPaused(msg, hint=f"`likeness feed resume {name}` lets it go on.")
    return feed


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
