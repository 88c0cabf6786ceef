"""The sources to watch: added, paused and removed by an operator, each time on the record."""

from __future__ import annotations

import ipaddress
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlmodel import col, select

from crawlers.fetch_guard import PORTS, Rules, is_public, rules_of, split
from crawlers.tables import Source
from monitor import audit
from monitor.db import writing
from monitor.errors import ConfigError, FetchRefused, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine
    from sqlmodel import Session

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
"""Names go into commands and logs: small letters, digits, dot, dash and underscore."""

SHORTEST_CADENCE_S: Final = 60
"""Seconds between two looks at one source; more often is not watching but load."""

POLITE_DELAY_S: Final = 0.25
"""Seconds between two requests to one host, unless the source says otherwise; AutoThrottle may add to it."""


@dataclass(frozen=True, slots=True)
class NewSource:
    """What an operator says of a source. Times in seconds; `delay_s` None means the polite default."""

    name: str
    url: str
    cadence_s: int = 6 * 3600
    max_pages: int = 500
    depth: int = 5
    delay_s: float | None = None
    allow_http: bool = False
    allow_private: bool = False


def add(engine: Engine, new: NewSource, actor: str) -> Source:
    """Add a source, audited.

    Raises ConfigError when its name or a number will not do, FetchRefused when its URL will not.
    """
    _check(new)
    delay_s = new.delay_s if new.delay_s is not None else (0.0 if new.allow_private else POLITE_DELAY_S)
    row = Source(
        id=uuid.uuid4().hex,
        name=new.name,
        url=new.url,
        allow_http=new.allow_http,
        allow_private=new.allow_private,
        cadence_s=new.cadence_s,
        delay_s=delay_s,
        max_pages=new.max_pages,
        depth=new.depth,
    )
    with writing(engine) as session:
        if session.exec(select(Source.id).where(Source.name == new.name)).first() is not None:
            msg = f"there is a source named {new.name!r} already"
            raise ConfigError(msg, hint="Remove it first, or choose another name.")
        session.add(row)
        audit.record(
            session,
            actor,
            "source.add",
            source=new.name,
            host=split(new.url).host[:255],
            allow_http=new.allow_http,
            allow_private=new.allow_private,
        )
    return row


def _check(new: NewSource) -> None:
    if not NAME.fullmatch(new.name):
        msg = f"{new.name[:80]!r} is no name for a source"
        raise ConfigError(msg, hint="Small letters, digits, dot, dash and underscore; 63 at most.")
    sane = new.cadence_s >= SHORTEST_CADENCE_S and new.max_pages >= 1 and new.depth >= 0
    if not sane or (new.delay_s is not None and not 0 <= new.delay_s <= 3600):
        msg = f"a source is looked at every {SHORTEST_CADENCE_S} seconds at most, and has at least one page"
        raise ConfigError(msg)
    target = split(new.url)
    if target.scheme == "http" and not new.allow_http:
        msg = f"{new.url} is plain http: anybody on the way can change what it shows"
        raise FetchRefused(msg, hint="Use https, or add the source with --allow-http if you know why.")
    if _is_plainly_private(target.host) and not new.allow_private:
        msg = f"{target.host} is not a public address"
        raise FetchRefused(msg, hint="For a site of your own on this machine, add it with --allow-private.")


def _is_plainly_private(host: str) -> bool:
    """Say whether the host itself says that it is private; names are judged when they are looked up."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local", ".internal"))
    return not is_public(str(address))


def find(session: Session, name: str) -> Source:
    """Give one source by its name. Raises NotFound, also where there is no table of sources yet."""
    try:
        row = session.exec(select(Source).where(Source.name == name)).first()
    except (OperationalError, ProgrammingError) as exc:
        if "source" not in str(exc.orig):
            raise
        row = None
    if row is None:
        msg = f"no source is named {name[:80]!r}"
        raise NotFound(msg, hint="`likeness source list` shows them; `likeness source add` adds one.")
    return row


def every(session: Session) -> Sequence[Source]:
    """Give all sources by name."""
    return session.exec(select(Source).order_by(col(Source.name))).all()


def set_enabled(engine: Engine, name: str, actor: str, *, enabled: bool) -> None:
    """Pause a source or go on with it, audited. Raises NotFound."""
    with writing(engine) as session:
        row = find(session, name)
        row.enabled = enabled
        session.add(row)
        audit.record(session, actor, "source.resume" if enabled else "source.pause", source=name)


def remove(engine: Engine, name: str, actor: str) -> None:
    """Remove a source with all that was seen of it, audited; items taken from it stay. Raises NotFound."""
    with writing(engine) as session:
        session.delete(find(session, name))
        audit.record(session, actor, "source.remove", source=name)


def rules(source: Source) -> Rules:
    """Give what the crawler may reach for this source. Raises FetchRefused when its URL is none."""
    return rules_of(source.url, allow_http=source.allow_http, allow_private=source.allow_private)


def warnings(source: Source) -> list[str]:
    """Say, in whole sentences, what is less than safe about a source."""
    said = []
    if source.allow_private:
        own = rules(source).own or ("", 0)
        said.append(f"The crawler may reach {own[0]}:{own[1]} though it may be inside your own network.")
    if source.allow_http:
        said.append("Plain http is allowed: anybody on the way can read and change what comes.")
    if split(source.url).port not in PORTS.values():
        said.append("It uses an unusual port.")
    return said
