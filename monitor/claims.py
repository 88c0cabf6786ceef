"""The queue: MediaItem rows that wait, each held by one worker at a time under a lease.

A worker claims items, keeps its leases alive with `heartbeat`, and ends each with `finish`, `fail` or
`release`. A worker that dies lets its leases run out and somebody else takes the items up again; an item
under which three workers died is poison and is failed with `worker_died`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, insert, or_, update
from sqlmodel import Session, col, select

from monitor.db import UtcDateTime, reading, utc_now, writing
from monitor.errors import BlobMissing, LeaseLost, LikenessError, NotFound
from monitor.neighbours import Hands, hands_of
from monitor.tables import Lease, MediaItem, StageRun
from monitor.values import BlobId, MediaId, MediaKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Engine

MAX_DEATHS = 3
"""Claims that may end with a dead worker. One is an accident, three are the item."""

WORKER_DIED = "worker_died"
"""Code of an item that took its workers with it."""

REASON_CHARS = 500
"""Longest reason stored with a failed item."""

NEXT_STAGE = {
    "received": "decode",
    "decoded": "detect",
    "detected": "embed",
    "embedded": "match",
    "matched": "score",
    "scored": "evidence",
}
"""State (the last finished step) -> the step that comes next. Every other state is an end."""

WAITING = tuple(NEXT_STAGE)

WORKER = "worker:"
"""What the name of a worker's sign of life in Lease begins with; its owner follows."""


@dataclass(frozen=True, slots=True)
class Hold:
    """An item and the worker that holds it. Whoever changes the item shows this first."""

    media_id: MediaId
    owner: str


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker needs to know of the item it holds.

    `attempts` counts this claim too. `hands`: through whose it came; see neighbours.py.
    """

    media_id: MediaId
    sha256: str
    kind: MediaKind
    size_bytes: int
    blob_id: BlobId
    attempts: int
    hands: Hands = frozenset()


@dataclass(frozen=True, slots=True)
class Timing:
    """One step as it went: seconds of wall time and a word on the outcome."""

    stage: str
    seconds: float
    outcome: str
    model_id: str = ""


@dataclass(frozen=True, slots=True)
class Looked:
    """What is written on an item at the end of a look. `copy_of`: the item whose look served for it."""

    gallery_seq: int
    faces_seen: int
    turns_seen: int
    not_looked: str | None
    perceptual_hash: str | None
    copy_of: MediaId | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a look that found nobody: what is written, and the bytes to be forgotten after it."""

    hold: Hold
    blob_id: BlobId
    looked: Looked
    timings: tuple[Timing, ...]


def claim(engine: Engine, owner: str, lease_s: float, limit: int) -> list[Work]:
    """Take up to `limit` waiting items, oldest first, for `lease_s` seconds. Safe between processes."""
    now = utc_now()
    with writing(engine) as session:
        _fail_poison(session, now)
        rows = session.exec(_FREE.limit(limit), params={"now": now}).all()
        hands = hands_of(session, [MediaId(row.id) for row in rows]) if rows else {}
        taken = [_work(row, row.attempts + 1, hands.get(MediaId(row.id), frozenset())) for row in rows]
        values = {
            "lease_owner": owner,
            "lease_until": now + timedelta(seconds=lease_s),
            "attempts": MediaItem.attempts + 1,
        }
        here = col(MediaItem.id).in_([work.media_id for work in taken])
        if taken:
            session.execute(update(MediaItem).where(here).values(**values).execution_options(**_PLAIN))
    return taken


def waiting(engine: Engine) -> int:
    """Count the items that nobody has ended yet, held or not."""
    with reading(engine) as session:
        return session.exec(
            select(func.count()).select_from(MediaItem).where(col(MediaItem.state).in_(WAITING))
        ).one()


def load(engine: Engine, hold: Hold) -> Work:
    """Read an item that is held.

    Raises LeaseLost, NotFound, and BlobMissing where the bytes are gone.
    """
    with reading(engine) as session:
        row = _held(session, hold)
    return _work(row, row.attempts)


def heartbeat(
    engine: Engine, owner: str, lease_s: float, name: str = "", gallery_seq: int | None = None
) -> None:
    """Renew every lease that `owner` holds, and its sign of life: the row `name` in Lease.

    `gallery_seq` is the number up to which the worker's gallery has followed the ledger.
    """
    until = utc_now() + timedelta(seconds=lease_s)
    with writing(engine) as session:
        session.execute(
            update(MediaItem)
            .where(col(MediaItem.lease_owner) == owner, col(MediaItem.state).in_(WAITING))
            .values(lease_until=until)
        )
        if name:
            session.merge(Lease(name=name, owner=owner, until=until, gallery_seq=gallery_seq))


def followed(session: Session, seq: int) -> tuple[int, int]:
    """Count the workers that live, and those of them whose gallery has followed the ledger to `seq`."""
    alive = (col(Lease.name).startswith(WORKER), col(Lease.until) > utc_now())
    reached = session.exec(select(Lease.gallery_seq).where(*alive)).all()
    return len(reached), sum(one is not None and one >= seq for one in reached)


def goodbye(engine: Engine, owner: str, name: str = "") -> None:
    """Hand back everything that `owner` still holds without counting it as a death; drop its row in Lease."""
    with writing(engine) as session:
        session.execute(
            update(MediaItem)
            .where(col(MediaItem.lease_owner) == owner, col(MediaItem.state).in_(WAITING))
            .values(lease_owner=None, lease_until=None, attempts=MediaItem.attempts - 1)
        )
        row = session.get(Lease, name) if name else None
        if row is not None:
            session.delete(row)


def advance(engine: Engine, hold: Hold, state: str) -> None:
    """Write down the last finished step. Raises LeaseLost."""
    with writing(engine) as session:
        _change(session, hold, {"state": state})


def release(engine: Engine, hold: Hold, delay_s: float) -> None:
    """Hand an item back, to be taken up again after `delay_s` seconds at the earliest. Raises LeaseLost."""
    not_before = utc_now() + timedelta(seconds=delay_s)
    values = {"lease_owner": None, "lease_until": not_before, "attempts": MediaItem.attempts - 1}
    with writing(engine) as session:
        _change(session, hold, values)


def finish(session: Session, hold: Hold, looked: Looked, timings: Sequence[Timing]) -> None:
    """End an item as done in the caller's transaction, and let go of its bytes. Raises LeaseLost."""
    _change(session, hold, {**_looked(looked, utc_now()), **_DONE})
    _write_timings(session, [(hold.media_id, t) for t in timings])


def end(engine: Engine, endings: Sequence[Ending]) -> set[MediaId]:
    """End many looks that found nobody in one transaction; give the items that were still held.

    All of one worker. Few items match anybody, so most items end here, at a fraction of the cost.
    """
    by_id = {one.hold.media_id: one for one in endings}
    now = utc_now()
    with writing(engine) as session:
        held = session.exec(
            select(MediaItem.id)
            .where(col(MediaItem.id).in_(by_id), col(MediaItem.lease_owner) == endings[0].hold.owner)
            .with_for_update()
        ).all()
        ended = [by_id[MediaId(one)] for one in held]
        if ended:
            session.connection().execute(_END, [_end_of(one, now) for one in ended])
        _write_timings(session, [(one.hold.media_id, t) for one in ended for t in one.timings])
    return {one.hold.media_id for one in ended}


def fail(
    engine: Engine,
    hold: Hold,
    stage: str,
    error: LikenessError,
    timings: Sequence[Timing] = (),
) -> None:
    """End an item as failed at `stage` with the error's code; its bytes stay. Raises LeaseLost."""
    values = {
        **_CLEAN,
        "state": "failed",
        "failed_stage": stage,
        "failed_code": error.code,
        "failed_reason": error.message[:REASON_CHARS],
        "done_at": utc_now(),
    }
    with writing(engine) as session:
        _change(session, hold, values)
        _write_timings(session, [(hold.media_id, t) for t in timings])


def retry(engine: Engine, media_id: MediaId) -> None:
    """Put a failed item back into the queue.

    Raises NotFound where there is no such failed item, BlobMissing where its bytes are gone.
    """
    with writing(engine) as session:
        row = session.get(MediaItem, media_id)
        if row is None or row.state != "failed":
            msg = f"there is no failed item {media_id}"
            raise NotFound(msg, hint="`likeness item list --failed` lists them.")
        if row.blob_id is None:
            msg = "the bytes of this item are gone"
            raise BlobMissing(msg, hint="Scan or crawl it again.")
        session.execute(
            update(MediaItem).where(col(MediaItem.id) == media_id).values(state="received", **_CLEAN)
        )


def retry_all(engine: Engine, code: str = "") -> int:
    """Put every failed item back into the queue, or every one that failed with `code`; give how many."""
    failed = (col(MediaItem.state) == "failed") & col(MediaItem.blob_id).is_not(None)
    which = failed & (col(MediaItem.failed_code) == code) if code else failed
    with writing(engine) as session:
        done = session.execute(
            update(MediaItem).where(which).values(state="received", **_CLEAN).execution_options(**_PLAIN)
        )
    return int(done.rowcount)  # type: ignore[attr-defined]  # the result of an UPDATE has it


def _work(row: MediaItem, attempts: int, hands: Hands = frozenset()) -> Work:
    if row.blob_id is None:
        msg = "the bytes of this item were forgotten after an earlier look"
        raise BlobMissing(msg)
    kind, blob_id = MediaKind(row.kind), BlobId(row.blob_id)
    return Work(MediaId(row.id), row.sha256, kind, row.size_bytes, blob_id, attempts, hands)


_PLAIN: dict[str, Any] = {"synchronize_session": False}
"""No row of these sessions is used after the statement, so none needs to be brought up to date."""

_CLEAN: dict[str, Any] = {
    "lease_owner": None,
    "lease_until": None,
    "attempts": 0,
    "failed_stage": None,
    "failed_code": None,
    "failed_reason": None,
}

_DONE: dict[str, Any] = {"state": "done", "blob_id": None, **_CLEAN}

_SEEN = ("gallery_seq", "faces_seen", "turns_seen", "not_looked", "perceptual_hash", "copy_of", "done_at")

_END = (
    update(MediaItem.__table__)  # type: ignore[attr-defined]  # SQLModel sets it on every table
    .where(col(MediaItem.id) == bindparam("media_id"))
    .values(**_DONE, **{name: bindparam(f"new_{name}") for name in _SEEN})
)
"""Ends one item; the statement is put together once and sent with many items' values."""


_NOW = bindparam("now", type_=UtcDateTime())

_FREE = (
    select(MediaItem)
    .where(col(MediaItem.state).in_(WAITING), col(MediaItem.blob_id).is_not(None))
    .where(or_(col(MediaItem.lease_until).is_(None), col(MediaItem.lease_until) < _NOW))
    .order_by(col(MediaItem.received_at), col(MediaItem.id))
    .with_for_update(skip_locked=True)
)
_DEAD = (
    select(MediaItem)
    .where(col(MediaItem.state).in_(WAITING), col(MediaItem.lease_owner).is_not(None))
    .where(col(MediaItem.lease_until) < _NOW, col(MediaItem.attempts) >= MAX_DEATHS)
    .with_for_update(skip_locked=True)
)
"""What may be claimed, and what has killed its workers. Put together once: that takes longer than asking."""


def _looked(looked: Looked, now: datetime) -> dict[str, Any]:
    return {
        "gallery_seq": looked.gallery_seq,
        "faces_seen": looked.faces_seen,
        "turns_seen": looked.turns_seen,
        "not_looked": looked.not_looked,
        "perceptual_hash": looked.perceptual_hash,
        "copy_of": looked.copy_of,
        "done_at": now,
    }


def _end_of(ending: Ending, now: datetime) -> dict[str, Any]:
    values = {f"new_{name}": value for name, value in _looked(ending.looked, now).items()}
    return {"media_id": ending.hold.media_id, **values}


def _fail_poison(session: Session, now: datetime) -> None:
    for row in session.exec(_DEAD, params={"now": now}).all():
        row.failed_stage, row.failed_code = NEXT_STAGE[row.state], WORKER_DIED
        row.failed_reason = f"{row.attempts} workers died while they looked at it"
        row.state, row.lease_owner, row.lease_until, row.done_at = "failed", None, None, now
        session.add(row)
    session.flush()


def _held(session: Session, hold: Hold) -> MediaItem:
    row = session.get(MediaItem, hold.media_id)
    if row is None:
        msg = f"there is no item {hold.media_id}"
        raise NotFound(msg)
    if row.lease_owner != hold.owner:
        raise LeaseLost(_LOST)
    return row


_LOST = "another worker has taken this item over"


def _change(session: Session, hold: Hold, values: dict[str, Any]) -> None:
    """Write on an item that is still held; the condition and the write are one statement."""
    changed = session.execute(
        update(MediaItem)
        .where(col(MediaItem.id) == hold.media_id, col(MediaItem.lease_owner) == hold.owner)
        .values(**values)
        .execution_options(**_PLAIN)
    )
    if changed.rowcount != 1:  # type: ignore[attr-defined]  # the result of an UPDATE has it
        raise LeaseLost(_LOST)


def _write_timings(session: Session, timings: Iterable[tuple[MediaId, Timing]]) -> None:
    at = utc_now()
    rows = [
        {
            "media_id": media_id,
            "stage": t.stage,
            "model_id": t.model_id,
            "seconds": t.seconds,
            "outcome": t.outcome,
            "at": at,
        }
        for media_id, t in timings
    ]
    if rows:
        session.connection().execute(insert(StageRun.__table__), rows)  # type: ignore[attr-defined]  # as above
