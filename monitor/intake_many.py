"""Many items through the one door in, in one transaction: what `intake.submit` does for one.

Whoever calls has sealed the bytes of every item already, also of those that were seen before. So putting
something in takes as long whatever is known of it, and nobody learns by the clock whether it was seen before.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from sqlalchemy import Insert
from sqlalchemy.dialects.postgresql import insert as insert_on_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_on_sqlite
from sqlmodel import col, select

from monitor.db import utc_now
from monitor.errors import BlobMissing
from monitor.intake import (
    ID_BYTES,
    WHOLE_BYTES,
    Kept,
    keep,
    kind_of,
    look_again,
    look_due,
    seal_info,
)
from monitor.tables import MediaItem, MediaOrigin
from monitor.values import BlobId, Digest, MediaId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmodel import Session

    from monitor.intake import Door
    from monitor.values import Origin


def keep_sealed(data: bytes, door: Door) -> Kept:
    """Judge, digest, seal and store the bytes of one item, whatever is known of it.

    `enter_many` takes it in, or the caller deletes the sealed bytes. `data` is not empty and not more than
    the door takes. Raises NotMedia, StorageFull, StorageError; nothing is stored then.
    """
    if len(data) > WHOLE_BYTES:
        return keep((data,), door)
    kind, digest = kind_of(data), Digest.of(data)
    blob_id = door.blobs.put(door.sealer.seal(data, seal_info(digest)))
    return Kept(digest, kind, len(data), blob_id=blob_id)


def enter_many(
    session: Session, came: Sequence[tuple[Kept, Origin]]
) -> tuple[dict[str, MediaId], list[BlobId]]:
    """Write the rows of sealed items. Gives digest in hex -> item, and the blobs that nothing points to.

    `session` comes from `db.writing`; the blobs are the caller's to delete after its commit.
    """
    if not came:
        return {}, []
    unused = _insert_new(session, came)
    with_lock = select(MediaItem).where(col(MediaItem.sha256).in_({kept.digest.hex for kept, _ in came}))
    rows = {row.sha256: row for row in session.exec(with_lock.order_by(MediaItem.sha256).with_for_update())}
    for kept, _ in came:
        row = rows.get(kept.digest.hex)
        if row is None or kept.blob_id is None:
            msg = "the item went away while a copy of it came in"
            raise BlobMissing(msg, hint="Submit it again.")
        if row.blob_id == kept.blob_id or kept.blob_id in unused:
            continue
        before = look_again(row, kept.blob_id) if look_due(session, row) else kept.blob_id
        unused += [] if before is None else [before]
    ids = {sha256: MediaId(row.id) for sha256, row in rows.items()}
    _add_origins(session, [(ids[kept.digest.hex], origin) for kept, origin in came])
    return ids, unused


def _insert_new(session: Session, came: Sequence[tuple[Kept, Origin]]) -> list[BlobId]:
    """Insert what is not there yet. Gives the blobs of items that came twice in this very lot."""
    first: dict[str, Kept] = {}
    again: list[BlobId] = []
    for kept, _ in came:
        if first.setdefault(kept.digest.hex, kept) is not kept and kept.blob_id is not None:
            again.append(kept.blob_id)
    rows = [
        {
            "id": secrets.token_hex(ID_BYTES),
            "sha256": sha256,
            "kind": kept.kind.value,
            "size_bytes": kept.size_bytes,
            "blob_id": kept.blob_id,
            "state": "received",
            "attempts": 0,
            "received_at": utc_now(),
        }
        for sha256, kept in sorted(first.items())  # one order in all processes: no deadlock
    ]
    session.execute(unless_there(session, MediaItem), rows)
    return again


def _add_origins(session: Session, places: Sequence[tuple[MediaId, Origin]]) -> None:
    """Write down each place once."""
    query = select(MediaOrigin.media_id, MediaOrigin.kind, MediaOrigin.url)
    known = set(session.exec(query.where(col(MediaOrigin.media_id).in_({one for one, _ in places}))).all())
    rows = []
    for media_id, origin in places:
        place = (str(media_id), origin.kind.value, origin.url)
        if place in known:
            continue
        known.add(place)
        rows.append(
            {
                "media_id": media_id,
                "kind": origin.kind.value,
                "url": origin.url,
                "page_url": origin.page_url,
                "title": origin.title,
                "source_id": origin.source_id,
                "seen_at": origin.seen_at,
            }
        )
    if rows:
        session.execute(unless_there(session, MediaOrigin), rows)


def unless_there(session: Session, table: type[Any]) -> Insert:
    """Make an insertion that passes over rows that are there already, be it since a moment ago."""
    if session.get_bind().dialect.name == "postgresql":
        return insert_on_postgresql(table).on_conflict_do_nothing()
    return insert_on_sqlite(table).on_conflict_do_nothing()
