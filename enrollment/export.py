"""A copy of everything about a person, for the person: one zip file with JSON, a page to read, and the media.

    order    the person asks, with a second factor (web)
    make     the worker puts it together, sealed in parts with the subject's key (`make_due`, a desk step)
    take     the person downloads it once (web, `parts`); the parts are deleted then
    discard  after a day in any case

The web process opens parts of a zip file and looks into none: samples are opened by the worker alone. What
is in it stands in export_contents.py.
"""

from __future__ import annotations

import json
import uuid
import zipfile
from dataclasses import dataclass
from datetime import timedelta
from io import RawIOBase
from typing import TYPE_CHECKING

from sqlalchemy import update
from sqlmodel import col, delete, or_, select

from enrollment import export_contents
from enrollment.desk import JUDGING_STALE_S, MOST_TRIES
from enrollment.tables import Export
from monitor import audit, crypto, subject_keys
from monitor import log as logs
from monitor.db import reading, writing
from monitor.errors import LikenessError, NotFound
from monitor.tables import BlobRow
from monitor.values import BlobId, SubjectId

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import Engine
    from sqlmodel import Session

    from enrollment.desk import Desk
    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys

log = logs.get(__name__)

LASTS = timedelta(hours=24)
"""How long a copy waits to be taken: everything in one place rests no longer than it takes to fetch it."""

PART_BYTES = 4 * 2**20
"""Bytes of one part: what is in memory at a time, of the worker and of the web process."""

BLOB = "export"
ACTOR = "subject"


@dataclass(frozen=True, slots=True)
class ExportView:
    """The newest copy, as the person sees it."""

    export_id: str
    state: str
    size_bytes: int
    expires_at: datetime


def order(session: Session, subject_id: SubjectId, now: datetime) -> str:
    """Ask for a copy, in the caller's transaction, audited; give its id. One that is on its way is enough."""
    query = select(Export).where(
        Export.subject_id == subject_id,
        col(Export.state).in_(("waiting", "making", "ready")),
        col(Export.expires_at) > now,
    )
    there = session.exec(query).first()
    if there is not None:
        return there.id
    row = Export(id=uuid.uuid4().hex, subject_id=subject_id, created_at=now, expires_at=now + LASTS)
    session.add(row)
    audit.record(session, ACTOR, "export.order", subject_id)
    return row.id


def newest(session: Session, subject_id: SubjectId, now: datetime) -> ExportView | None:
    """Give the copy that was asked for last, if it is not gone yet."""
    query = select(Export).where(Export.subject_id == subject_id, col(Export.expires_at) > now)
    row = session.exec(query.order_by(col(Export.created_at).desc(), col(Export.id))).first()
    return None if row is None else ExportView(row.id, row.state, row.size_bytes, row.expires_at)


def take(
    engine: Engine, keks: KeyEncryptionKeys, blobs: BlobStore, who: tuple[SubjectId, str], now: datetime
) -> Iterator[bytes]:
    """Take a copy, once: gives the bytes of the zip file part by part, and deletes them at the end.

    `who` is (subject, export). Raises NotFound, before the first byte, where there is none to be taken.
    """
    subject_id, export_id = who
    with writing(engine) as session:
        taken = session.connection().execute(
            update(Export)
            .where(
                col(Export.id) == export_id,
                col(Export.subject_id) == subject_id,
                col(Export.state) == "ready",
                col(Export.expires_at) > now,
            )
            .values(state="taken")
        )
        if taken.rowcount != 1:
            msg = "there is no such copy, or it was taken already"
            raise NotFound(msg)
        key = subject_keys.key_of(session, keks, subject_id)
        blob_ids = json.loads(session.get_one(Export, export_id).blob_ids)
        audit.record(session, ACTOR, "export.take", subject_id)
    return _parts(engine, blobs, key, who, blob_ids)


def _parts(
    engine: Engine, blobs: BlobStore, key: bytes, who: tuple[SubjectId, str], blob_ids: list[str]
) -> Iterator[bytes]:
    subject_id, export_id = who
    try:
        for number, blob_id in enumerate(blob_ids):
            yield crypto.unseal(key, blobs.get(BlobId(blob_id)), _context(subject_id, export_id, number))
    finally:
        _without_parts(engine, blobs, export_id)


def discard(engine: Engine, blobs: BlobStore, export_id: str) -> None:
    """Delete a copy, parts and row. Idempotent."""
    _without_parts(engine, blobs, export_id)
    with writing(engine) as session:
        session.connection().execute(delete(Export).where(col(Export.id) == export_id))


def _without_parts(engine: Engine, blobs: BlobStore, export_id: str) -> None:
    with writing(engine) as session:
        row = session.get(Export, export_id)
        blob_ids = [] if row is None else json.loads(row.blob_ids)
        if blob_ids:
            session.connection().execute(delete(BlobRow).where(col(BlobRow.id).in_(blob_ids)))
        if row is not None:
            row.blob_ids = "[]"
    for blob_id in blob_ids:
        blobs.delete(BlobId(blob_id))


def make_due(desk: Desk) -> int:
    """Make the copies that were asked for, one after the other; give how many were dealt with."""
    done = 0
    while (claimed := _claim(desk)) is not None:
        done += 1
        subject_id, export_id, tries = claimed
        try:
            _make(desk, subject_id, export_id)
        except LikenessError as exc:
            log.warning("export_not_made", export=export_id, code=exc.code)
            _without_parts(desk.engine, desk.blobs, export_id)
            _settle(desk, export_id, "failed" if tries >= MOST_TRIES else "waiting")
    return done


def _claim(desk: Desk) -> tuple[SubjectId, str, int] | None:
    now = desk.now()
    stale = now - timedelta(seconds=JUDGING_STALE_S)
    free = or_(
        col(Export.state) == "waiting",
        (col(Export.state) == "making") & (col(Export.making_since) < stale),
    )
    query = (
        select(Export).where(free, col(Export.tries) < MOST_TRIES).order_by(col(Export.created_at)).limit(1)
    )
    with reading(desk.engine) as session:
        if session.exec(query).first() is None:
            return None
    with writing(desk.engine) as session:
        row = session.exec(query.with_for_update(skip_locked=True)).first()
        if row is None:
            return None
        row.state, row.making_since, row.tries = "making", now, row.tries + 1
        return SubjectId(row.subject_id), row.id, row.tries


def _make(desk: Desk, subject_id: SubjectId, export_id: str) -> None:
    """Put the copy together, straight into sealed parts. Raises SubjectErased where the person left."""
    _without_parts(desk.engine, desk.blobs, export_id)  # of a worker that died half-way
    with reading(desk.engine) as session:
        key = subject_keys.key_of(session, desk.keks, subject_id)
    sink = _Parts(desk, key, subject_id, export_id)
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in export_contents.everything(desk, subject_id):
            archive.writestr(name, content)
    sink.close()
    with writing(desk.engine) as session:
        row = session.get(Export, export_id)
        if row is not None:
            row.state, row.size_bytes = "ready", sink.size
            audit.record(session, "worker", "export.made", subject_id)


def _settle(desk: Desk, export_id: str, state: str) -> None:
    with writing(desk.engine) as session:
        row = session.get(Export, export_id)
        if row is not None:
            row.state = state


class _Parts(RawIOBase):
    """A file that can only be written to: each PART_BYTES are sealed and stored, and their row is written."""

    def __init__(self, desk: Desk, key: bytes, subject_id: SubjectId, export_id: str) -> None:
        super().__init__()
        self._desk, self._key, self._subject_id, self._export_id = desk, key, subject_id, export_id
        self._held = bytearray()
        self._number = 0
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        """Take bytes in."""
        raw = bytes(memoryview(data))  # type: ignore[arg-type]  # what zipfile gives
        self._held += raw
        self.size += len(raw)
        while len(self._held) >= PART_BYTES:
            self._put(PART_BYTES)
        return len(raw)

    def close(self) -> None:
        """Store what is left."""
        if not self.closed and self._held:
            self._put(len(self._held))
        super().close()

    def _put(self, count: int) -> None:
        plain, self._held = bytes(self._held[:count]), self._held[count:]
        context = _context(self._subject_id, self._export_id, self._number)
        sealed = crypto.seal(self._key, plain, context)
        blob_id = self._desk.blobs.put(sealed)
        self._number += 1
        with writing(self._desk.engine) as session:
            row = session.get(Export, self._export_id, with_for_update=True)
            if row is None:
                self._desk.blobs.delete(blob_id)
                msg = "the person left while the copy was made"
                raise NotFound(msg)
            session.add(BlobRow(id=blob_id, subject_id=self._subject_id, kind=BLOB, size_bytes=len(sealed)))
            row.blob_ids = json.dumps([*json.loads(row.blob_ids), blob_id])


def _context(subject_id: SubjectId, export_id: str, number: int) -> crypto.Context:
    return crypto.Context(subject_id, f"{export_id}.{number}", "export")
