"""The one door in: what is taken, what is refused, and what a copy does."""

from __future__ import annotations

import errno
import os
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from monitor import subject_keys
from monitor.blobs import BlobStore
from monitor.db import reading, writing
from monitor.errors import EmptyMedia, NotMedia, StorageFull, TooLarge
from monitor.intake import HEAD_BYTES, Door, Submitted, kind_of, seal_info, submit
from monitor.tables import GalleryEvent, MediaItem, MediaOrigin
from monitor.values import BlobId, Digest, MediaKind, Origin, OriginKind
from tests.assets import media

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys


@pytest.fixture
def door(engine: Engine, keys: KeyEncryptionKeys, blobs: BlobStore) -> Door:
    subject_keys.ensure_service_keys(engine, keys)
    return Door(engine, blobs, subject_keys.intake_sealer(engine), max_bytes=1 << 20)


def seen_at(url: str | None, kind: OriginKind = OriginKind.CRAWL) -> Origin:
    return Origin(kind, datetime(2026, 1, 2, tzinfo=UTC), url=url, page_url="https://a.example/", title="A")


def item(door: Door, submitted: Submitted) -> MediaItem:
    with reading(door.engine) as session:
        return session.get_one(MediaItem, submitted.media_id)


def change(door: Door, submitted: Submitted, **values: object) -> None:
    with writing(door.engine) as session:
        row = session.get_one(MediaItem, submitted.media_id)
        for name, value in values.items():
            setattr(row, name, value)


def places(door: Door) -> list[str | None]:
    with reading(door.engine) as session:
        return [row.url for row in session.exec(select(MediaOrigin)).all()]


def enrol(door: Door) -> None:
    with writing(door.engine) as session:
        session.add(GalleryEvent(kind="add", subject_id="s", template_id="t"))


def test_what_comes_in_is_sealed_and_only_the_worker_opens_it(door: Door, keys: KeyEncryptionKeys) -> None:
    data = media.jpeg()

    submitted = submit(data, seen_at("https://a.example/1.jpg"), door)

    row = item(door, submitted)
    assert (submitted.seen_before, submitted.due) == (False, True)
    assert (row.state, row.kind, row.size_bytes) == ("received", "image", len(data))
    assert row.sha256 == Digest.of(data).hex
    sealed = door.blobs.get(BlobId(row.blob_id or ""))
    assert data[:64] not in sealed
    opener = subject_keys.intake_opener(door.engine, keys)
    assert opener.open(sealed, seal_info(row.sha256)) == data
    assert seal_info(Digest.of(data)) == seal_info(row.sha256)


def test_the_same_bytes_elsewhere_add_a_place_and_no_look(door: Door) -> None:
    data = media.png()
    first = submit(data, seen_at("https://a.example/1.png"), door)

    again = submit(data, seen_at("https://a.example/1.png"), door)
    elsewhere = submit(data, seen_at("https://b.example/2.png"), door)

    assert again == elsewhere == Submitted(first.media_id, seen_before=True, due=False)
    assert places(door) == ["https://a.example/1.png", "https://b.example/2.png"]
    assert len(list(door.blobs.ids())) == 1


def test_a_place_without_an_address_is_written_once(door: Door) -> None:
    for _ in range(2):
        submit(media.png(), seen_at(None, OriginKind.PUSH), door)

    assert places(door) == [None]


def test_what_was_looked_at_is_looked_at_again_after_an_enrolment(door: Door) -> None:
    data = media.jpeg()
    first = submit(data, seen_at("https://a.example/1.jpg"), door)
    change(door, first, state="done", blob_id=None, gallery_seq=0, attempts=2)
    assert not submit(data, seen_at("https://a.example/1.jpg"), door).due
    assert item(door, first).blob_id is None
    enrol(door)

    again = submit(data, seen_at("https://a.example/1.jpg"), door)

    row = item(door, again)
    assert again == Submitted(first.media_id, seen_before=True, due=True)
    assert (row.state, row.attempts) == ("received", 0)
    assert row.blob_id is not None


@pytest.mark.parametrize(
    ("code", "due"), [("decoder_killed", True), ("gallery_not_ready", True), ("unreadable", False)]
)
def test_only_a_failure_that_may_pass_is_tried_again(door: Door, code: str, *, due: bool) -> None:
    data = media.jpeg()
    first = submit(data, seen_at("https://a.example/1.jpg"), door)
    change(door, first, state="failed", failed_stage="decode", failed_code=code)

    again = submit(data, seen_at("https://a.example/1.jpg"), door)

    row = item(door, first)
    assert again.due is due
    assert (row.state, row.failed_code) == (("received", None) if due else ("failed", code))
    assert list(door.blobs.ids()) == [row.blob_id]


def test_two_doors_at_once_make_one_item(door: Door) -> None:
    data, came = media.jpeg(), []
    gate = threading.Barrier(4)

    def push(place: int) -> None:
        gate.wait()
        came.append(submit(data, seen_at(f"https://a.example/{place % 2}"), door))

    threads = [threading.Thread(target=push, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({one.media_id for one in came}) == 1
    assert sum(one.due for one in came) == 1
    assert sorted(filter(None, places(door))) == ["https://a.example/0", "https://a.example/1"]
    assert list(door.blobs.ids()) == [item(door, came[0]).blob_id]


def test_a_full_disk_leaves_nothing_behind(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(StorageFull):
        submit(media.jpeg(), seen_at("https://a.example/1.jpg"), door)

    assert list(door.blobs.ids()) == []
    assert places(door) == []


def test_a_failing_database_leaves_no_bytes_behind(
    keys: KeyEncryptionKeys, tmp_path: Path, sqlite_engine: Engine
) -> None:
    subject_keys.ensure_service_keys(sqlite_engine, keys)
    blobs = BlobStore(tmp_path / "b")
    door = Door(sqlite_engine, blobs, subject_keys.intake_sealer(sqlite_engine), max_bytes=1 << 20)
    MediaOrigin.__table__.drop(sqlite_engine)  # type: ignore[attr-defined]  # SQLModel does not declare it

    with pytest.raises(Exception, match="media_origin"):
        submit(media.jpeg(), seen_at("https://a.example/1.jpg"), door)

    assert list(blobs.ids()) == []


def test_zero_bytes_and_too_many_bytes_are_refused(door: Door) -> None:
    with pytest.raises(EmptyMedia):
        submit(b"", seen_at(None), door)
    with pytest.raises(TooLarge):
        submit(b"\xff\xd8\xff" + bytes(1 << 20), seen_at(None), door)
    assert places(door) == []


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (media.jpeg, MediaKind.IMAGE),
        (media.png, MediaKind.IMAGE),
        (media.webp, MediaKind.IMAGE),
        (lambda: media.saved(media.pattern(), "TIFF"), MediaKind.IMAGE),
        (lambda: media.saved(media.pattern(), "BMP"), MediaKind.IMAGE),
        (lambda: media.saved(media.pattern(), "AVIF"), MediaKind.IMAGE),
        (lambda: media.saved(media.pattern(), "JPEG2000"), MediaKind.IMAGE),
        (lambda: media.saved(media.pattern(), "GIF"), MediaKind.IMAGE),
        (media.gif, MediaKind.ANIMATION),
        (lambda: media.animation("WEBP"), MediaKind.ANIMATION),
        (lambda: media.animation("PNG"), MediaKind.ANIMATION),
        (media.mp4, MediaKind.VIDEO),
        (lambda: media.video(container="webm", codec="libvpx-vp9"), MediaKind.VIDEO),
        (lambda: media.video(container="matroska"), MediaKind.VIDEO),
        (lambda: media.video(container="mov"), MediaKind.VIDEO),
        (lambda: media.video(container="mpegts"), MediaKind.VIDEO),
        (lambda: media.video(container="avi", codec="mpeg4"), MediaKind.VIDEO),
        (media.wav, MediaKind.AUDIO),
        (media.mp3, MediaKind.AUDIO),
        (lambda: media.sound(None, 16_000, container="flac", codec="flac"), MediaKind.AUDIO),
        (lambda: media.sound(None, 48_000, container="ogg", codec="libopus"), MediaKind.AUDIO),
        (lambda: media.sound(None, 16_000, container="adts", codec="aac"), MediaKind.AUDIO),
        (lambda: media.sound(None, 16_000, container="aiff", codec="pcm_s16be"), MediaKind.AUDIO),
        (lambda: media.sound(None, 16_000, container="caf", codec="pcm_s16le"), MediaKind.AUDIO),
    ],
)
def test_the_kind_is_read_off_the_first_bytes(make, kind: MediaKind) -> None:  # noqa: ANN001 - any maker
    data = make()

    assert kind_of(data) is kind
    assert kind_of(data[:HEAD_BYTES]) is kind


@pytest.mark.parametrize(
    "data",
    [
        b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        b"<svg><script>alert(1)</script></svg>",
        b"<!doctype html><html><img src=x></html>",
        b"%PDF-1.7\n" + bytes(100),
        b"%!PS-Adobe-3.0 EPSF-3.0\n" + bytes(100),
        b"PK\x03\x04" + bytes(100),
        b"MZ" + bytes(100),
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\nhttp://127.0.0.1/secret.ts\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"MThd" + bytes(20),
        b"plain words",
        b"\xff\xff\xff\xff" * 10,
        b"\x00" * 300,
    ],
)
def test_what_is_not_media_is_refused_whatever_it_is_called(data: bytes) -> None:
    with pytest.raises(NotMedia):
        kind_of(data)
