"""Erasure: nothing of the person matches from the first step on, and nothing opens from then on either.

    1 destroy   one transaction: tombstone for the galleries, the key row deleted, and with it by the
                database's own cascade every row of the subject in every package; audited
    2 files     the sealed files, which nothing opens any more, are deleted
    3 scrub     the database's log is cut off, so that the wrapped key is not left in it
    4 receipt   signed, stored, given

A process killed between two steps leaves an Erasure row that says what is left; `erase` goes on there.
No receipt is signed before everything that it says has happened.
"""

from __future__ import annotations

import json
import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import column, delete, func, inspect, select, table
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from enrollment import receipts
from enrollment.scrubbing import scrub
from enrollment.standing import is_cooling_off
from enrollment.tables import Account, Erasure
from monitor import audit, claims, subject_keys
from monitor import log as logs
from monitor.db import reading, utc_now, writing
from monitor.errors import LikenessError, NotFound, StorageError
from monitor.gallery_rows import tombstone
from monitor.tables import BlobRow, GalleryEvent, Lookalike, SubjectKey
from monitor.values import BlobId, SubjectId

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine

    from enrollment.desk import Desk
    from enrollment.receipts import Receipt
    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys

UNTOLD = frozenset({"template"})
"""What a receipt does not count where the person left during the cooling-off: it would say who was held."""

LOOKS_EVERY_S = 0.005
"""How often `seconds_to_unmatched` looks: a small part of what it measures, and no load by itself."""

log = logs.get(__name__)

SCRUB_WAIT_S = 15
"""How long cutting off the log waits for readers; a gallery's or a page's read takes milliseconds."""


def erase(
    engine: Engine, keks: KeyEncryptionKeys, blobs: BlobStore, subject_id: SubjectId, actor: str
) -> Receipt:
    """Erase a subject and give the signed receipt. Idempotent: a second time gives the same receipt.

    Raises NotFound when there never was such a subject; KeyMissing or KeyWrong before anything is
    touched, when no receipt could be signed; StorageError when the files or the database's log could not
    be cleared in time: the key is destroyed then, and the same call again finishes the rest.
    """
    subject_keys.ensure_service_keys(engine, keks)
    signer = subject_keys.receipt_signer(engine, keks)
    _destroy(engine, subject_id, actor)
    row = _row(engine, subject_id)
    if row.receipt is not None:
        return receipts.verify(row.receipt, signer.public)
    for blob_id in json.loads(row.blobs_left):
        blobs.delete(BlobId(blob_id))
    _scrub(engine)
    statement = receipts.STATEMENT[engine.dialect.name]
    receipt = receipts.sign(signer, subject_id, row.at.isoformat(), json.loads(row.counts), statement)
    with writing(engine) as session:
        kept = session.get_one(Erasure, subject_id)
        kept.receipt, kept.blobs_left = receipt.to_json(), "[]"
    return receipt


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How far an erasure has come. `workers` live, and `forgot` of them have searched and not found.

    `receipt` is the signed file, or empty while the last copies in the database's log are being cleared.
    """

    workers: int
    forgot: int
    receipt: str

    @property
    def by_all(self) -> bool:
        """Whether every worker that runs has forgotten the person."""
        return self.forgot == self.workers


def forgotten(engine: Engine, subject_id: str) -> Forgotten:
    """Say how far an erasure has come. Raises NotFound where nobody of that id was erased.

    A worker's gallery passes the tombstone only when a search with the person's own vector, made in its
    memory the moment after they were taken out, did not find them (monitor/gallery_sets.py).
    """
    row = _row(engine, SubjectId(subject_id))
    with reading(engine) as session:
        gone = select(func.max(col(GalleryEvent.seq))).where(
            col(GalleryEvent.subject_id) == subject_id, col(GalleryEvent.kind) == "erase"
        )
        seq = session.connection().execute(gone).scalar() or 0
        workers, forgot = claims.followed(session, seq)
    return Forgotten(workers, forgot, row.receipt or "")


def seconds_to_unmatched(erase_now: Callable[[], object], finds: Callable[[], bool], most_s: float) -> float:
    """Erase somebody, and give the seconds from the first line of it until a search found them no more.

    `finds` searches as the watch does, and is asked all the time, from another thread. Gives infinity where
    it still finds them after `most_s` seconds. For the bench, and for whoever doubts the second we promise.
    """
    took, began = [math.inf], time.monotonic()

    def look() -> None:
        while time.monotonic() - began < most_s:
            if not finds():
                took[0] = time.monotonic() - began
                return
            time.sleep(LOOKS_EVERY_S)

    looking = threading.Thread(target=look, name="still-found")
    looking.start()
    try:
        erase_now()
    finally:
        looking.join()
    return took[0]


def finish_due(desk: Desk) -> int:
    """Finish erasures that were broken off, or had to wait for the log: a step of the desk. Idempotent."""
    with reading(desk.engine) as session:
        unfinished = select(col(Erasure.subject_id)).where(col(Erasure.receipt).is_(None))
        due = [SubjectId(one) for (one,) in session.connection().execute(unfinished)]
    done = 0
    for subject_id in due:
        try:
            erase(desk.engine, desk.keks, desk.blobs, subject_id, "worker")
        except LikenessError as exc:
            log.warning("erasure_not_finished", subject_id=subject_id, code=exc.code)
        else:
            done += 1
    return done


def is_erased(engine: Engine, subject_id: str) -> bool:
    """Say whether the ledger holds nothing of this subject any more: what a receipt claims."""
    with reading(engine) as session:
        return not sum(_rows_of(session.connection(), subject_id).values())


def _destroy(engine: Engine, subject_id: SubjectId, actor: str) -> None:
    with writing(engine) as session:
        if session.get(SubjectKey, subject_id, with_for_update=True) is None:
            return
        connection = session.connection()
        files = select(col(BlobRow.id)).where(col(BlobRow.subject_id) == subject_id)
        blob_ids = [blob_id for (blob_id,) in connection.execute(files)]
        removed = _rows_of(connection, subject_id)
        at, account = utc_now(), session.get(Account, subject_id)
        told = {
            name: n for name, n in removed.items() if not (name in UNTOLD and is_cooling_off(account, at))
        }
        tombstone(session, subject_id)
        connection.execute(delete(SubjectKey).where(col(SubjectKey.subject_id) == subject_id))
        _refuse_remains(connection, subject_id)
        counts = json.dumps(told | {"files": len(blob_ids)})
        session.add(Erasure(subject_id=subject_id, counts=counts, blobs_left=json.dumps(blob_ids)))
        audit.record(session, actor, "subject.erase", subject_id, rows=sum(removed.values()))


def _row(engine: Engine, subject_id: SubjectId) -> Erasure:
    with reading(engine) as session:
        row = session.get(Erasure, subject_id)
    if row is None:
        msg = f"there is no subject {subject_id}"
        raise NotFound(msg, hint="`likeness subject list` names them all, with their ids.")
    return row


def _rows_of(connection: Connection, subject_id: str) -> dict[str, int]:
    """Count what hangs on a subject's key, in every table of the database that says so itself."""
    counts: dict[str, int] = {}
    for name, owner in _owned(connection):
        count = select(func.count()).select_from(table(name)).where(column(owner) == subject_id)
        counts[name] = counts.get(name, 0) + connection.execute(count).scalar_one()
    return counts


def _owned(connection: Connection) -> list[tuple[str, str]]:
    """List each (table, column) that refers to a subject's key: asked of the database, all at once."""
    every = inspect(connection).get_multi_foreign_keys()
    return sorted(
        (name, key["constrained_columns"][0])
        for (_, name), keys in every.items()
        for key in keys
        if key["referred_table"] == SubjectKey.__tablename__
    )


def _refuse_remains(connection: Connection, subject_id: str) -> None:
    left = {name: count for name, count in _rows_of(connection, subject_id).items() if count}
    if left:  # the cascade is the database's; where it is switched off nothing may be called erased
        msg = f"rows of the subject would stay behind: {', '.join(left)}"
        raise StorageError(msg, hint="The database does not enforce foreign keys; nothing was erased.")


def _scrub(engine: Engine) -> None:
    """Take the wrapped keys out of the database's files; each lookalike has a key of its own."""
    try:
        done = scrub(engine, (SubjectKey, Lookalike), SCRUB_WAIT_S)
    except DBAPIError as exc:
        raise _not_scrubbed() from exc
    if not done:
        raise _not_scrubbed()


def _not_scrubbed() -> StorageError:
    msg = (
        "the subject's key is destroyed, but the database's log could not be cleared: somebody reads from it"
    )
    return StorageError(
        msg, hint="Erase the same subject again: it finishes what is left and gives the receipt."
    )
