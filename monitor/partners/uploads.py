"""Large files in pieces: their rows, and the sealed blobs that grow with them.

A piece is one part of sealed_media.py, under a key of its own that is sealed to the workers and kept by
nobody here. So any process goes on where another one ended, and none can open what came.

    1. the blob is locked, and cut off behind what the row knows of
    2. the piece is sealed chunk by chunk as it comes, and written behind that
    3. its digest fits, it is on disk
    4. one transaction: offset, parts and sealed length; the message; with the last piece the item itself

Who is killed before 4 ends leaves a tail that the next one cuts off in 1, and an offset that stands.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlmodel import col, delete, func, or_, select, update

from monitor.blobs import ID_BYTES
from monitor.db import reading, utc_now, writing
from monitor.errors import (
    BlobMissing,
    ChecksumWrong,
    FeedError,
    OffsetWrong,
    TooLarge,
    UploadInUse,
    UploadsBusy,
    UploadUnknown,
)
from monitor.intake import HEAD_BYTES, kind_of
from monitor.partners import entering, tus
from monitor.partners.entering import Given, Push
from monitor.partners.recorder import durable
from monitor.partners.tables import FeedItem, FeedUpload
from monitor.sealed_media import Part
from monitor.values import BlobId

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine
    from sqlmodel import Session

    from monitor.blobs import BlobStore, Growing
    from monitor.crypto import IntakeSealer
    from monitor.partners.admission import Admitted
    from monitor.partners.sandbox import Sandbox

KEPT_FOR: Final = timedelta(hours=24)
"""How long an upload waits for its next piece."""

MOST_PIECE: Final = 64 * 2**20
"""Bytes of one piece. It is not held in memory; but a piece that is cut off is sent again as a whole."""

MOST_UNFINISHED: Final = 100
"""Uploads of one feed that wait for their next piece."""

STATE: Final = struct.Struct(">IQ")
"""`FeedUpload.seal_state`: parts that are written, and their sealed bytes."""


@dataclass(frozen=True, slots=True)
class Uploads:
    """The uploads of one database. `most` is the largest file, in bytes."""

    engine: Engine
    blobs: BlobStore
    sandbox: Sandbox
    most: int

    def create(self, who: Admitted, wish: tus.Wish) -> FeedUpload:
        """Begin an upload. An unfinished one of the same key is forgotten: its sender began anew.

        Raises FeedError.
        """
        now = utc_now()
        row = FeedUpload(
            id=secrets.token_hex(ID_BYTES),
            feed_id=who.feed.id,
            item_key=wish.key,
            size_bytes=wish.size_bytes,
            meta=wish.kept(),
            blob_id=None if who.feed.sandbox else secrets.token_hex(ID_BYTES),
            seal_state=STATE.pack(0, 0),
            created_at=now,
            expires_at=now + KEPT_FOR,
        )
        with durable(self.engine) as session:
            self._note(session, Push(who.feed.id, who.key_id, who.message_id, ()), who)
            _check_key(session, who.feed.id, wish)
            old = _unfinished(session, who.feed.id)
            again = [one for one in old if one.item_key == wish.key]
            if len(old) - len(again) >= MOST_UNFINISHED:
                msg = f"{MOST_UNFINISHED} uploads of this feed are unfinished"
                raise UploadsBusy(msg, hint="Finish or end some of them; what is left expires in a day.")
            for one in again:
                session.delete(one)
            session.add(row)
        for one in again:
            self._forget(one)
        return row

    def find(self, feed_id: str, upload_id: str) -> FeedUpload:
        """Give an upload of a feed. Raises UploadUnknown."""
        with reading(self.engine) as session:
            return _find(session, feed_id, upload_id)

    def end(self, who: Admitted, upload_id: str) -> None:
        """Forget an upload that is not finished. Raises FeedError."""
        with durable(self.engine) as session:
            row = _find(session, who.feed.id, upload_id)
            if row.offset == row.size_bytes:
                msg = "the upload is finished: its item is written down"
                raise UploadUnknown(msg)
            self._note(session, Push(who.feed.id, who.key_id, who.message_id, ()), who)
            session.delete(row)
        self._forget(row)

    def piece(self, who: Admitted, upload_id: str, offset: int, sealer: IntakeSealer) -> Piece:
        """Begin to take a piece; close it in any case. Raises FeedError, StorageError."""
        row = self.find(who.feed.id, upload_id)
        if (row.blob_id is None) != who.feed.sandbox:
            raise _unknown()
        growing = None if row.blob_id is None else self._grow(row)
        try:
            row = self.find(who.feed.id, upload_id)  # once more: nobody changes it now
            if growing is not None:
                growing.cut(STATE.unpack(row.seal_state or b"")[1])
        except BaseException as exc:  # edge: nobody else would close it
            if growing is not None:
                growing.close()
            if isinstance(exc, BlobMissing):
                raise _unknown() from exc
            raise
        piece = Piece(self, who, row, growing, sealer)
        if offset != row.offset or row.offset == row.size_bytes:
            piece.close()
            msg = f"the next piece begins at {row.offset}, and this one at {offset}"
            raise OffsetWrong(msg, hint="Ask for the offset by HEAD, and go on from there.")
        return piece

    def _grow(self, row: FeedUpload) -> Growing:
        try:
            growing = self.blobs.grow(BlobId(row.blob_id or ""), begin=row.offset == 0)
        except BlobMissing as exc:
            raise _unknown() from exc
        if growing is None:
            raise _in_use()
        return growing

    def _note(self, session: Session, push: Push, who: Admitted) -> None:
        """Write a message down, with the item that it finished. Raises FeedError: nothing is written then."""
        if who.feed.sandbox:
            entered = self.sandbox.enter(push)
        else:
            [entered] = entering.enter(session, [push], utc_now())
        if entered.error is not None:
            raise entered.error
        for found in entered.items:
            if isinstance(found, FeedError):
                raise found

    def _commit(self, who: Admitted, row: FeedUpload, came: int, state: bytes) -> FeedUpload:
        """Write down that a piece is there. Raises FeedError: nothing is written then."""
        now, offset = utc_now(), row.offset + came
        wish = tus.Wish.of_row(row.item_key, row.size_bytes, row.meta)
        given = Given(row.item_key, wish.body_sha256, None, wish.url, wish.page_url, wish.title, arrived=True)
        items = (given,) if offset == row.size_bytes else ()
        values = {"offset": offset, "seal_state": state, "expires_at": now + KEPT_FOR}
        mine = (col(FeedUpload.id) == row.id, col(FeedUpload.offset) == row.offset)
        with durable(self.engine) as session:
            self._note(session, Push(who.feed.id, who.key_id, who.message_id, items), who)
            if session.exec(update(FeedUpload).where(*mine).values(values)).rowcount != 1:
                raise _unknown()
        with reading(self.engine) as session:
            return session.get_one(FeedUpload, row.id)

    def _forget(self, row: FeedUpload) -> None:
        if row.blob_id is not None:
            self.blobs.delete(BlobId(row.blob_id))


@dataclass(slots=True)
class Piece:
    """One piece on its way in: `take` its bytes as they come, then `finish`; `close` in any case."""

    uploads: Uploads
    who: Admitted
    row: FeedUpload
    growing: Growing | None
    sealer: IntakeSealer
    came: int = 0
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    _head: bytearray = field(default_factory=bytearray)
    _part: Part | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Held by what writes, so that nobody closes the file under it."""

    def take(self, data: bytes) -> None:
        """Seal and write some bytes. Raises TooLarge, NotMedia, StorageError."""
        with self._lock:
            self._take(data)

    def _take(self, data: bytes) -> None:
        self.came += len(data)
        if self.came > self.room:
            raise self.too_large()
        self._digest.update(data)
        self._judge(data)
        if self.growing is None:
            return
        if self._part is None:
            self._part = Part(self.sealer, self._parts)
            self.growing.write(self._part.head)
        for sealed in self._part.more(data):
            self.growing.write(sealed)

    def finish(self, checksum: bytes) -> FeedUpload:
        """Write the piece down. Raises FeedError, StorageError: the offset stands where it was then."""
        if self._digest.digest() != checksum:
            msg = "the bytes that came are not those of Upload-Checksum"
            raise ChecksumWrong(msg, hint="Send the piece again.")
        with self._lock:
            state = self._written()
        return self.uploads._commit(self.who, self.row, self.came, state)  # noqa: SLF001 - they are one

    def _written(self) -> bytes:
        """Write the rest, wait until it is on disk, and give what is to be known of it."""
        parts, length = self._parts, 0
        if self.growing is not None:
            if self._part is not None:
                for sealed in self._part.last():
                    self.growing.write(sealed)
                parts += 1
            self.growing.sync()
            length = self.growing.length
        return STATE.pack(parts, length)

    def close(self) -> None:
        """Let others at the blob."""
        with self._lock:
            if self.growing is not None:
                self.growing.close()
                self.growing = None

    @property
    def room(self) -> int:
        """Bytes that this piece may have."""
        return min(MOST_PIECE, self.row.size_bytes - self.row.offset)

    def too_large(self) -> TooLarge:
        """Say how much of a piece is taken."""
        left = self.row.size_bytes - self.row.offset
        msg = f"a piece has at most {MOST_PIECE} bytes, and this upload lacks {left}"
        return TooLarge(msg, hint="8 MiB are a good size of a piece.")

    @property
    def _parts(self) -> int:
        parts: int = STATE.unpack(self.row.seal_state or b"")[0]
        return parts

    def _judge(self, data: bytes) -> None:
        """Refuse at once what is no media, by the first bytes, where the first piece holds enough of them."""
        if self.row.offset or len(self._head) >= HEAD_BYTES:
            return
        self._head += data[:HEAD_BYTES]
        if len(self._head) >= min(HEAD_BYTES, self.row.size_bytes):
            kind_of(bytes(self._head))


def expire(engine: Engine, now: datetime) -> None:
    """Forget uploads whose time is over; their blobs are nobody's then, and jobs.sweep takes them.

    One that came whole stays until the worker has taken it over.
    """
    over = (
        col(FeedUpload.expires_at) <= now,
        or_(col(FeedUpload.blob_id).is_(None), col(FeedUpload.offset) < FeedUpload.size_bytes),
    )
    with writing(engine) as session:
        session.exec(delete(FeedUpload).where(*over))


def unfinished(session: Session, feed_id: str, now: datetime) -> tuple[int, int]:
    """Count what waits for its next piece: uploads, and bytes that came of them."""
    found = session.exec(
        select(func.count(), func.coalesce(func.sum(FeedUpload.offset), 0)).where(
            FeedUpload.feed_id == feed_id,
            col(FeedUpload.offset) < FeedUpload.size_bytes,
            col(FeedUpload.expires_at) > now,
        )
    ).one()
    return int(found[0]), int(found[1])


def _unfinished(session: Session, feed_id: str) -> list[FeedUpload]:
    query = select(FeedUpload).where(FeedUpload.feed_id == feed_id)
    return list(session.exec(query.where(col(FeedUpload.offset) < FeedUpload.size_bytes)).all())


def _find(session: Session, feed_id: str, upload_id: str) -> FeedUpload:
    row = session.get(FeedUpload, upload_id) if tus.ID.fullmatch(upload_id) else None
    if row is None or row.feed_id != feed_id or row.expires_at <= utc_now():
        raise _unknown()
    return row


def _check_key(session: Session, feed_id: str, wish: tus.Wish) -> None:
    """Raise ItemKeyTaken early, before anybody sends a large file in vain."""
    query = select(FeedItem.body_sha256).where(FeedItem.feed_id == feed_id, FeedItem.item_key == wish.key)
    known = session.exec(query).first()
    if known is not None and known != wish.body_sha256:
        raise entering.taken()


def _unknown() -> UploadUnknown:
    msg = "this feed has no such upload: it was ended, has expired, or never was"
    return UploadUnknown(msg, hint="Begin a new one.")


def _in_use() -> UploadInUse:
    msg = "another piece of this upload is being taken at this moment"
    return UploadInUse(msg, hint="Wait a second, ask for the offset by HEAD, and go on from there.")
