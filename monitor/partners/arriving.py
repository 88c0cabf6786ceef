"""The worker's side of uploads: what came whole is opened once, held against its digest, and goes in.

The door takes digests that somebody computed over the bytes; whoever takes pieces in can open none and so
cannot say what all of them together are. The partner said it at the beginning. It counts only here, where the
file can be read: a wrong digest would make the watch pass over the file that it truly belongs to.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from sqlmodel import col, select, update

from monitor import sealed_media
from monitor.db import reading, utc_now, writing
from monitor.errors import BlobMissing, DigestDiffers, LikenessError, StorageError
from monitor.intake import HEAD_BYTES, Kept, kind_of
from monitor.intake_many import enter_many
from monitor.partners import counting, tus
from monitor.partners.entering import ARRIVED, TAKEN
from monitor.partners.tables import FeedItem, FeedUpload
from monitor.values import BlobId, Digest, Origin, OriginKind, SourceId

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlmodel import Session

    from monitor.blobs import BlobStore
    from monitor.crypto import IntakeOpener
    from monitor.values import MediaKind

REFUSED: Final = "refused"


def enter_due(engine: Engine, blobs: BlobStore, opener: IntakeOpener) -> int:
    """Take over what came whole; give how much that was. Any number of workers may do it at once.

    Raises StorageError and SQLAlchemyError: the rest is tried again the next time.
    """
    with reading(engine) as session:
        whole = (col(FeedUpload.offset) == FeedUpload.size_bytes, col(FeedUpload.blob_id).is_not(None))
        due = session.exec(select(FeedUpload).where(*whole)).all()
    return sum(_enter(engine, blobs, opener, row) for row in due)


def _enter(engine: Engine, blobs: BlobStore, opener: IntakeOpener, row: FeedUpload) -> bool:
    wish = tus.Wish.of_row(row.item_key, row.size_bytes, row.meta)
    blob_id = BlobId(row.blob_id or "")
    kept: Kept | None = None
    error: LikenessError | None = None
    try:
        kept = Kept(
            Digest("sha256", wish.sha256),
            _read(wish, blob_id, blobs, opener),
            wish.size_bytes,
            blob_id=blob_id,
        )
    except StorageError as exc:
        if not isinstance(exc, BlobMissing):
            raise
        error = exc
    except LikenessError as exc:
        error = exc
    with writing(engine) as session:
        mine = update(FeedUpload).where(col(FeedUpload.id) == row.id, col(FeedUpload.blob_id) == blob_id)
        if session.exec(mine.values(blob_id=None)).rowcount != 1:
            return False  # another worker was first
        unused = _settle(session, row, kept, error)
        if error is not None:
            counting.write(session, {(row.feed_id, counting.day_of(utc_now()), error.code): 1})
    for one in unused:
        blobs.delete(one)
    return True


def _settle(
    session: Session, row: FeedUpload, kept: Kept | None, error: LikenessError | None
) -> list[BlobId]:
    """Write down what became of an item. Gives the blobs that nothing points to."""
    query = select(FeedItem).where(FeedItem.feed_id == row.feed_id, FeedItem.item_key == row.item_key)
    item = session.exec(query.with_for_update()).first()
    if item is None or item.state != ARRIVED or kept is None:
        if item is not None and item.state == ARRIVED:
            item.state, item.code = REFUSED, None if error is None else error.code
        return [BlobId(row.blob_id or "")]
    origin = Origin(OriginKind.PUSH, utc_now(), item.url, item.page_url, item.title, SourceId(row.feed_id))
    media, unused = enter_many(session, [(kept, origin)])
    item.state, item.sha256 = TAKEN, kept.digest.hex
    item.media_id = media[kept.digest.hex]
    return unused


def _read(wish: tus.Wish, blob_id: BlobId, blobs: BlobStore, opener: IntakeOpener) -> MediaKind:
    """Read the whole file, a chunk at a time. Raises DigestDiffers, NotMedia, Tampered, BlobMissing."""
    digest, head = hashlib.sha256(), bytearray()
    with blobs.open(blob_id) as stream:
        stream.read(len(sealed_media.VERSION))
        for chunk in sealed_media.opened(stream, opener):
            head += chunk[: HEAD_BYTES - len(head)]
            digest.update(chunk)
    if digest.hexdigest() != wish.sha256:
        msg = "the file that came in pieces is not the one whose digest was said"
        raise DigestDiffers(msg)
    return kind_of(bytes(head))
