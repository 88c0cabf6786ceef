"""Items that come in pieces: judged early, never whole in memory, and the same in every other way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from monitor import subject_keys
from monitor.blobs import BlobStore
from monitor.db import reading
from monitor.errors import EmptyMedia, FetchFailed, NotMedia, Tampered, TooLarge
from monitor.intake import WHOLE_BYTES, Door, keep, opened, submit, submit_kept
from monitor.tables import MediaItem
from monitor.values import BlobId, Digest, MediaKind, Origin, OriginKind
from tests.assets import media

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys

WHERE = Origin(OriginKind.CRAWL, datetime(2026, 1, 2, tzinfo=UTC), url="https://a.example/film")
LARGE = media.jpeg() + bytes(3 * WHOLE_BYTES)


@pytest.fixture
def door(engine: Engine, keys: KeyEncryptionKeys, blobs: BlobStore) -> Door:
    subject_keys.ensure_service_keys(engine, keys)
    return Door(engine, blobs, subject_keys.intake_sealer(engine), max_bytes=8 * WHOLE_BYTES)


def in_pieces(data: bytes, size: int = 50_000) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def test_a_large_item_is_taken_queued_and_opens_again(door: Door, keys: KeyEncryptionKeys) -> None:
    kept = keep(in_pieces(LARGE), door)
    assert (kept.kind, kept.size_bytes, kept.digest) == (MediaKind.IMAGE, len(LARGE), Digest.of(LARGE))
    assert kept.data is None
    submitted = submit_kept(kept, WHERE, door)
    assert submitted.due
    with reading(door.engine) as session:
        row = session.get_one(MediaItem, submitted.media_id)
        assert row.blob_id is not None
        opener = subject_keys.intake_opener(door.engine, keys)
        assert b"".join(opened(BlobId(row.blob_id), row.sha256, door.blobs, opener)) == LARGE


def test_a_small_item_is_the_same_as_one_that_came_whole(door: Door) -> None:
    data = media.jpeg()
    assert (
        submit_kept(keep(in_pieces(data), door), WHERE, door).media_id == submit(data, WHERE, door).media_id
    )


def test_a_copy_leaves_no_bytes_behind(door: Door) -> None:
    first = submit_kept(keep(in_pieces(LARGE), door), WHERE, door)
    second = submit_kept(keep(in_pieces(LARGE), door), WHERE, door)
    assert second.seen_before
    assert first.media_id == second.media_id
    assert len(list(door.blobs.ids())) == 1


def test_another_items_bytes_are_not_taken_for_it(door: Door, keys: KeyEncryptionKeys) -> None:
    one, other = keep(in_pieces(LARGE), door), keep(in_pieces(LARGE + b"x"), door)
    assert one.blob_id is not None
    opener = subject_keys.intake_opener(door.engine, keys)
    with pytest.raises(Tampered):
        list(opened(one.blob_id, other.digest.hex, door.blobs, opener))


def test_what_is_no_media_is_refused_by_its_beginning(door: Door) -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"<html>" * 10_000

    with pytest.raises(NotMedia):
        keep(endless(), door)
    assert read * 60_000 < 2 * WHOLE_BYTES


def test_what_is_empty_too_large_or_breaks_off_stores_nothing(door: Door) -> None:
    def broken() -> Iterator[bytes]:
        yield LARGE
        msg = "the other side went away"
        raise FetchFailed(msg)

    for pieces, error in (
        (iter(()), EmptyMedia),
        (in_pieces(LARGE + bytes(8 * WHOLE_BYTES)), TooLarge),
        (broken(), FetchFailed),
    ):
        with pytest.raises(error):
            keep(pieces, door)
    assert list(door.blobs.ids()) == []
    assert list(door.blobs.folder.rglob(".part-*")) == []
    with reading(door.engine) as session:
        assert session.exec(select(MediaItem)).all() == []
