"""The queue: MediaItem rows that wait, each held by one worker at a time under a lease.

A worker claims items, keeps its leases alive with `heartbeat`, and ends each with `finish`, `fail` or
`release`. A worker that dies lets its leases run out and somebody else takes the items up again; an item
under which three workers died is poison and is failed with `worker_died`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, or_, update
from sqlmodel import Session, col, select

from monitor.db import reading, utc_now, writing
from monitor.errors import BlobMissing, LeaseLost, LikenessError, NotFound
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


@dataclass(frozen=True, slots=True)
class Hold:
    """An item and the worker that holds it. Whoever changes the item shows this first."""

    media_id: MediaId
    owner: str


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker needs to know of the item it holds. `attempts` counts this claim too."""

    media_id: MediaId
    sha256: str
    kind: MediaKind
    size_bytes: int
    blob_id: BlobId
    attempts: int


@dataclass(frozen=True, slots=True)
class Timing:
    """One step as it went: seconds of wall time and a word on the outcome."""

    stage: str
    seconds: float
    outcome: str
    model_id: str = ""


@dataclass(frozen=True, slots=True)
class Looked:
    """What is written on an item at the end of a look."""

    gallery_seq: int
    faces_seen: int
    turns_seen: int
    not_looked: str | None
    perceptual_hash: str | None


def claim(engine: Engine, owner: str, lease_s: float, limit: int) -> list[MediaId]:
    """Take up to `limit` waiting items, oldest first, for `lease_s` seconds. Safe between processes."""
    now = utc_now()
    with writing(engine) as session:
        _fail_poison(session, now)
        ids = session.exec(
            select(MediaItem.id)
            .where(col(MediaItem.state).in_(WAITING), col(MediaItem.blob_id).is_not(None))
            .where(or_(col(MediaItem.lease_until).is_(None), col(MediaItem.lease_until) < now))
            .order_by(col(MediaItem.received_at), col(MediaItem.id))
            .limit(limit)
            .with_for_update(skip_locked=True)
        ).all()
        session.execute(
            update(MediaItem)
            .where(col(MediaItem.id).in_(ids))
            .values(
                lease_owner=owner,
                lease_until=now + timedelta(seconds=lease_s),
                attempts=MediaItem.attempts + 1,
            )
        )
    return [MediaId(i) for i in ids]


def waiting(engine: Engine) -> int:
    """Count the items that nobody has ended yet, held or not."""
    with reading(engine) as session:
        return len(session.exec(select(MediaItem.id).where(col(MediaItem.state).in_(WAITING))).all())


def load(engine: Engine, hold: Hold) -> Work:
    """Read an item that is held.

    Raises LeaseLost, NotFound, and BlobMissing where the bytes are gone.
    """
    with reading(engine) as session:
        row = _held(session, hold)
    if row.blob_id is None:
        msg = "the bytes of this item were forgotten after an earlier look"
        raise BlobMissing(msg)
    return Work(
        hold.media_id, row.sha256, MediaKind(row.kind), row.size_bytes, BlobId(row.blob_id), row.attempts
    )


def heartbeat(engine: Engine, owner: str, lease_s: float, name: str = "") -> None:
    """Renew every lease that `owner` holds, and its sign of life: the row `name` in Lease."""
    until = utc_now() + timedelta(seconds=lease_s)
    with writing(engine) as session:
        session.execute(
            update(MediaItem)
            .where(col(MediaItem.lease_owner) == owner, col(MediaItem.state).in_(WAITING))
            .values(lease_until=until)
        )
        if name:
            session.merge(Lease(name=name, owner=owner, until=until))


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
    values = {
        "state": "done",
        "blob_id": None,
        "gallery_seq": looked.gallery_seq,
        "faces_seen": looked.faces_seen,
        "turns_seen": looked.turns_seen,
        "not_looked": looked.not_looked,
        "done_at": utc_now(),
        **_CLEAN,
    }
    if looked.perceptual_hash is not None:
        values["perceptual_hash"] = looked.perceptual_hash
    _change(session, hold, values)
    _write_timings(session, hold.media_id, timings)


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
        _write_timings(session, hold.media_id, timings)


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


_CLEAN: dict[str, Any] = {
    "lease_owner": None,
    "lease_until": None,
    "attempts": 0,
    "failed_stage": None,
    "failed_code": None,
    "failed_reason": None,
}


def _fail_poison(session: Session, now: datetime) -> None:
    dead = session.exec(
        select(MediaItem)
        .where(col(MediaItem.state).in_(WAITING), col(MediaItem.lease_owner).is_not(None))
        .where(col(MediaItem.lease_until) < now, col(MediaItem.attempts) >= MAX_DEATHS)
        .with_for_update(skip_locked=True)
    ).all()
    for row in dead:
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
        .execution_options(synchronize_session=False)
    )
    if changed.rowcount != 1:  # type: ignore[attr-defined]  # the result of an UPDATE has it
        raise LeaseLost(_LOST)


def _write_timings(session: Session, media_id: MediaId, timings: Iterable[Timing]) -> None:
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
        for t in timings
    ]
    if rows:
        session.execute(insert(StageRun), rows)
