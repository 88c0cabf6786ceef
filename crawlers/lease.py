"""A name that one process at a time holds: `scheduler`, or `crawl:ID` for a source under crawl.

The row says until when. A holder that lives extends it; one that was killed loses it when the time is
up, or at once where its process can be seen to be gone.
"""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import IntegrityError

from monitor.db import utc_now, writing
from monitor.tables import Lease

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlmodel import Session

LEASE_S: Final = 60.0
"""Seconds that a lease lasts without being extended."""

BEYOND_S: Final = 600.0
"""A lease that is to last longer than this was written by a clock that was wrong: nobody waits for it."""

EXTEND_S: Final = 15.0
"""Seconds between two extensions: three may fail before the lease is lost."""


def owner() -> str:
    """Name this process: host and number, so that another one on this host can see whether it lives."""
    return f"{socket.gethostname()}:{os.getpid()}"


def take(engine: Engine, name: str, who: str) -> bool:
    """Take a free, outlived or orphaned lease. False when somebody else holds it."""
    try:
        with writing(engine) as session:
            return _take(session, name, who)
    except IntegrityError:
        return False  # somebody else made the row in the same moment


def _take(session: Session, name: str, who: str) -> bool:
    row = session.get(Lease, name, with_for_update=True)
    now = utc_now()
    until = now + timedelta(seconds=LEASE_S)
    if row is None:
        session.add(Lease(name=name, owner=who, until=until))
        session.flush()
        return True
    lasts = now < row.until <= now + timedelta(seconds=BEYOND_S)
    if row.owner != who and lasts and not is_gone(row.owner):
        return False
    row.owner, row.until = who, until
    session.add(row)
    return True


def extend(session: Session, name: str, who: str) -> bool:
    """Extend a lease in the caller's transaction. False when it is held by somebody else now."""
    row = session.get(Lease, name, with_for_update=True)
    if row is None or row.owner != who:
        return False
    row.until = utc_now() + timedelta(seconds=LEASE_S)
    session.add(row)
    return True


def release(engine: Engine, name: str, who: str) -> None:
    """Give a lease back; if it is somebody else's by now, leave it."""
    with writing(engine) as session:
        row = session.get(Lease, name, with_for_update=True)
        if row is not None and row.owner == who:
            session.delete(row)


def is_gone(who: str) -> bool:
    """Say whether a holder on this host has no process any more. Holders elsewhere are never called gone."""
    host, _, number = who.rpartition(":")
    if host != socket.gethostname() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
