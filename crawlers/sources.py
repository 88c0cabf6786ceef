"""The sources to watch: added, paused and removed by an operator, each time on the record."""

from __future__ import annotations

import ipaddress
import json
import re
import uuid
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlmodel import col, select

from crawlers.fetch_guard import PORTS, Rules, as_fetched, is_public, rules_of, split
from crawlers.platforms import registry
from crawlers.platforms.interfaces import Basis
from crawlers.platforms.registry import SITE, STREAMS, kind_of
from crawlers.seen import LOOKED
from crawlers.settings import JAVASCRIPT
from crawlers.tables import SeenUrl, Source
from monitor import audit
from monitor.db import utc_now, writing
from monitor.errors import ConfigError, FetchRefused, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Engine
    from sqlmodel import Session

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
"""Names go into commands and logs: small letters, digits, dot, dash and underscore."""

SHORTEST_CADENCE_S: Final = 60
"""Seconds between two looks at one source; more often is not watching but load."""

LONGEST_CADENCE_S: Final = 90 * 86400
"""Seconds. Rarer than this nobody would call it watched; and eight times it must fit into a date."""

POLITE_DELAY_S: Final = 0.25
"""Seconds between two requests to one host, unless the source says otherwise; AutoThrottle may add to it."""

COLLECTED: Final = ("image", "video", "audio")
"""The kinds of media that can be taken; a picture that moves is an image."""

SHORTEST_KEEP_DAYS: Final = 8
"""Days. What is still shown is asked for again after seven (seen.REFETCH), so that it is not forgotten."""

LONGEST_KEEP_DAYS: Final = 3650

LONGEST_OPTION: Final = 500
"""Characters of an option, and of the note on the basis."""

MOST_OPTIONS: Final = 20

WRITTEN_DOWN: Final = frozenset({Basis.TERMS, Basis.PARTNER})
"""Bases that rest on a text: which one has to be noted."""


@dataclass(frozen=True, slots=True)
class NewSource:
    """What an operator says of a source. Times in seconds; `delay_s` None means the polite default.

    `basis` None means the one that its kind is read on. `options` are of its kind alone.
    """

    name: str
    url: str
    cadence_s: int = 6 * 3600
    max_pages: int = 500
    depth: int = 5
    delay_s: float | None = None
    allow_http: bool = False
    allow_private: bool = False
    kind: str = SITE
    options: Mapping[str, str] = field(default_factory=dict)
    basis: str | None = None
    basis_note: str = ""
    collects: str = ",".join(COLLECTED)
    keep_days: int = 90

    def columns(self) -> dict[str, Any]:
        """Give the values for a Source row. Raises ConfigError for a kind that there is not."""
        said = asdict(self)
        said["url"] = self.fetched_url
        said["delay_s"] = self.delay_s if self.delay_s is not None else self._polite_delay_s()
        said["basis"] = self.basis or _basis_of(self.kind)
        said["options"] = json.dumps(dict(self.options), sort_keys=True)
        said["collects"] = ",".join(one for one in COLLECTED if one in self.collects.split(","))
        return said

    @property
    def fetched_url(self) -> str:
        """Its address as https or http, also where it is that of a stream and was given as wss or ws."""
        return as_fetched(self.url) if self.kind in STREAMS else self.url

    def _polite_delay_s(self) -> float:
        return 0.0 if self.allow_private else POLITE_DELAY_S


def add(engine: Engine, new: NewSource, actor: str) -> Source:
    """Add a source, audited. The very same one again changes nothing and gives the row that is there.

    Raises ConfigError when its name, kind or a number will not do, or the name is taken; FetchRefused when
    its URL will not.
    """
    row = as_row(new)
    with writing(engine) as session:
        there = session.exec(select(Source).where(Source.name == new.name)).first()
        if there is not None:
            if said_of(there) != said_of(row):
                msg = f"there is another source named {new.name!r} already"
                raise ConfigError(msg, hint=f"Change it with `likeness source edit {new.name}`.")
            return there
        session.add(row)
        audit.record(
            session,
            actor,
            "source.add",
            source=new.name,
            kind=row.kind,
            basis=row.basis,
            host=split(row.url).host[:255],
            allow_http=new.allow_http,
            allow_private=new.allow_private,
            **_opened(row),
        )
    return row


def as_row(new: NewSource) -> Source:
    """Make the row of a source, which is stored nowhere so far. Raises as `add`."""
    check(new)
    return Source(id=uuid.uuid4().hex, **new.columns())


def edit(engine: Engine, name: str, changes: Mapping[str, Any], actor: str) -> tuple[Source, list[str]]:
    """Change fields of NewSource but name and kind, audited. Gives the row and what is different now.

    A source that is to be read otherwise is looked at again at once. Raises as `add`, and NotFound.
    """
    with writing(engine) as session:
        row = find(session, name)
        after = replace(said_of(row), **changes)
        check(after)
        values = after.columns()
        changed = sorted(one for one, value in values.items() if getattr(row, one) != value)
        for one in changed:
            setattr(row, one, values[one])
        if {"url", "options", "cadence_s"} & set(changed):
            row.due_at, row.interval_s, row.failures = utc_now(), None, 0
        if changed:
            session.add(row)
            audit.record(
                session, actor, "source.edit", source=name, changed=",".join(changed), **_opened(row)
            )
    return row, changed


def said_of(row: Source) -> NewSource:
    """Give what an operator says of a source that is there."""
    said = {one.name: getattr(row, one.name) for one in fields(NewSource)}
    return NewSource(**said | {"options": options_of(row)})


def options_of(row: Source) -> dict[str, str]:
    """Give the options of a source."""
    found: dict[str, str] = json.loads(row.options)
    return found


def _opened(row: Source) -> dict[str, str]:
    """Give the path on this machine that a source reads, for the audit; most read none."""
    path = options_of(row).get("file")
    return {} if path is None else {"file": path}


def kinds() -> list[str]:
    """Give the words for all kinds of sources."""
    return registry.kinds()


def _basis_of(kind: str) -> str:
    return (Basis.ROBOTS if kind == SITE else kind_of(kind).basis).value


def check(new: NewSource) -> None:
    """Judge what is said of a source. Raises ConfigError or FetchRefused."""
    if not NAME.fullmatch(new.name):
        msg = f"{new.name[:80]!r} is no name for a source"
        raise ConfigError(msg, hint="Small letters, digits, dot, dash and underscore; 63 at most.")
    sane = new.cadence_s >= SHORTEST_CADENCE_S and new.max_pages >= 1 and new.depth >= 0
    if not sane or (new.delay_s is not None and not 0 <= new.delay_s <= 3600):
        msg = f"a source is looked at every {SHORTEST_CADENCE_S} seconds at most, and has at least one page"
        raise ConfigError(msg)
    if new.cadence_s > LONGEST_CADENCE_S:
        msg = f"a source is looked at every {LONGEST_CADENCE_S // 86400} days at least"
        raise ConfigError(msg, hint="Pause it instead, with `likeness source pause`.")
    _check_url(new)
    _check_basis(new)
    _check_what(new)
    _check_kind(new)


def _check_url(new: NewSource) -> None:
    target = split(new.fetched_url)
    if target.scheme == "http" and not new.allow_http:
        msg = f"{new.url} is plain http: anybody on the way can change what it shows"
        raise FetchRefused(msg, hint="Use https, or add the source with --allow-http if you know why.")
    if _is_plainly_private(target.host) and not new.allow_private:
        msg = f"{target.host} is not a public address"
        raise FetchRefused(msg, hint="For a site of your own on this machine, add it with --allow-private.")


def _check_basis(new: NewSource) -> None:
    if new.basis is not None and new.basis not in set(Basis):
        msg = f"{new.basis[:40]!r} is no basis to look at a source"
        raise ConfigError(msg, hint=f"One of {', '.join(Basis)}.")
    if new.basis in WRITTEN_DOWN and not new.basis_note.strip():
        msg = f"the basis {new.basis} rests on a text, and it is not said on which"
        raise ConfigError(msg, hint='Say where it is written: --basis-note "contract of 3 May, section 4".')
    if len(new.basis_note) > LONGEST_OPTION:
        msg = f"a note on the basis has {LONGEST_OPTION} characters at most"
        raise ConfigError(msg)


def _check_what(new: NewSource) -> None:
    asked = new.collects.split(",")
    if not set(asked) <= set(COLLECTED):
        msg = f"{new.collects[:80]!r} are no kinds of media"
        raise ConfigError(msg, hint=f"Some of {','.join(COLLECTED)}, with commas.")
    if not SHORTEST_KEEP_DAYS <= new.keep_days <= LONGEST_KEEP_DAYS:
        msg = f"addresses are remembered for {SHORTEST_KEEP_DAYS} to {LONGEST_KEEP_DAYS} days"
        raise ConfigError(msg, hint="What is forgotten sooner would be fetched again and again.")


def _check_kind(new: NewSource) -> None:
    given = new.options.items()
    if len(given) > MOST_OPTIONS or any(len(one) > LONGEST_OPTION for pair in given for one in pair):
        msg = f"a source has {MOST_OPTIONS} options of {LONGEST_OPTION} characters at most"
        raise ConfigError(msg)
    if new.kind != SITE:
        kind_of(new.kind).check(new.url, new.options)
    elif not set(new.options.items()) <= {(JAVASCRIPT, "yes"), (JAVASCRIPT, "no")}:
        msg = "a site has no option but javascript, which is yes or no"
        raise ConfigError(msg, hint=f"Did you mean another --kind? There are {', '.join(kinds())}.")


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
    """Pause a source or go on with it, audited; once is enough. Raises NotFound."""
    with writing(engine) as session:
        row = find(session, name)
        if row.enabled == enabled:
            return
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


def gave_nothing(session: Session, source_id: str, most: int) -> Sequence[SeenUrl]:
    """Give the addresses of a source that gave nothing when they were last asked for, the newest first."""
    failed = select(SeenUrl).where(SeenUrl.source_id == source_id, col(SeenUrl.code).not_in(LOOKED))
    return session.exec(failed.order_by(col(SeenUrl.looked_at).desc()).limit(most)).all()
