"""Who did what, hash-chained: each event holds the digest of the one before it.

Changing, removing or inserting an event in the middle breaks the chain. Cutting events off the end
does not, so `head` gives the last link for keeping elsewhere and `verify` takes it back.
"""

from __future__ import annotations

import getpass
import hashlib
import json
from typing import TYPE_CHECKING

from sqlmodel import col, select

from monitor.db import one_at_a_time, utc_now
from monitor.errors import Tampered
from monitor.tables import AuditEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmodel import Session

GENESIS = "0" * 64
"""What the first event has before it."""

LOCK = 0x6C696B65_61756469
"""Number of the advisory lock on PostgreSQL ("likeaudi"): one appender at a time, until its commit."""

BATCH = 500
"""Events read at once."""

LONGEST_TEXT = 500
LONGEST_LIST = 50
"""A detail is a fact or two. Anything longer is content, and content is not for this record."""

Detail = str | int | float | bool | None | list[str] | tuple[str, ...] | list[int] | tuple[int, ...]


def record(
    session: Session, actor: str, action: str, subject_id: str | None = None, **detail: Detail
) -> AuditEvent:
    """Append one event, in the caller's transaction: the deed and its record stand or fall together.

    `session` comes from `db.writing`. `actor` is `operator:NAME`, `worker:ID` or the like; `action` is
    `subject.add` or the like. Raises TypeError when a detail is bytes, an array, a list of fractions or
    too long: names, addresses and biometrics have no place here.
    """
    for name, value in detail.items():
        _check_detail(name, value)
    one_at_a_time(session, LOCK)
    last = session.exec(select(AuditEvent).order_by(col(AuditEvent.seq).desc()).limit(1)).first()
    event = AuditEvent(
        seq=1 if last is None else (last.seq or 0) + 1,
        at=utc_now(),
        actor=actor,
        action=action,
        subject_id=subject_id,
        detail=json.dumps(detail, sort_keys=True, ensure_ascii=False),
        previous=GENESIS if last is None else last.link,
        link="",
    )
    event.link = link_of(event)
    session.add(event)
    session.flush()
    return event


def operator() -> str:
    """Name whoever typed the command, as an actor. For verbs: nobody else acts by hand."""
    try:
        return f"operator:{getpass.getuser()}"
    except (KeyError, OSError):  # a container whose user has no name
        return "operator"


def verify(session: Session, *, head: tuple[int, str] | None = None) -> int:
    """Walk the whole chain and give the number of events.

    `head` is a (seq, link) kept from an earlier `head()`: it must still stand in the chain. Raises
    Tampered naming the first event that does not fit.
    """
    previous, seq = GENESIS, 0
    kept = head is None or head == (0, GENESIS)
    for event in _all_events(session):
        seq += 1
        if event.seq != seq:
            msg = f"audit event {seq} was removed"
            raise Tampered(msg, hint=_HINT)
        if event.previous != previous or event.link != link_of(event):
            msg = f"audit event {seq} was changed"
            raise Tampered(msg, hint=_HINT)
        previous = event.link
        kept = kept or head == (seq, previous)
    if not kept:
        msg = "the audit record does not hold the head that was kept: events were cut off or rewritten"
        raise Tampered(msg, hint=_HINT)
    return seq


def _all_events(session: Session) -> Iterator[AuditEvent]:
    last = 0
    while True:
        page = select(AuditEvent).where(col(AuditEvent.seq) > last).order_by(col(AuditEvent.seq)).limit(BATCH)
        events = session.exec(page).all()
        yield from events
        if len(events) < BATCH:
            return
        last = events[-1].seq or 0
        for event in events:
            session.expunge(event)  # a long record is verified in little memory


_HINT = "Compare with a backup of the database; do not write to this one before that."


def head(session: Session) -> tuple[int, str]:
    """Give (seq, link) of the last event, for keeping where this database's writers cannot reach."""
    last = session.exec(select(AuditEvent).order_by(col(AuditEvent.seq).desc()).limit(1)).first()
    return (0, GENESIS) if last is None else (last.seq or 0, last.link)


def link_of(event: AuditEvent) -> str:
    """Digest one event together with the link before it."""
    parts = [event.previous, event.seq, event.at.isoformat(), event.actor, event.action]
    canonical = json.dumps([*parts, event.subject_id, event.detail], ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _check_detail(name: str, value: object) -> None:
    if isinstance(value, str):
        fits = len(value) <= LONGEST_TEXT
    elif isinstance(value, list | tuple):
        fits = len(value) <= LONGEST_LIST and all(
            isinstance(one, int) or (isinstance(one, str) and len(one) <= LONGEST_TEXT) for one in value
        )
    else:
        fits = value is None or isinstance(value, int | float)
    if not fits:
        msg = f"the audit detail {name!r} is not a short fact: {type(value).__name__}"
        raise TypeError(msg)
