"""The queue: one holder at a time, dead workers' items come back, poison ends."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from monitor import claims
from monitor.claims import Ending, Hold, Looked, Timing
from monitor.db import reading, utc_now, writing
from monitor.errors import BlobMissing, LeaseLost, NotFound, Unreadable
from monitor.tables import Lease, MediaItem, StageRun
from monitor.values import BlobId, MediaId

if TYPE_CHECKING:
    from sqlalchemy import Engine

NOTHING = Looked(gallery_seq=7, faces_seen=0, turns_seen=0, not_looked=None, perceptual_hash="00ff")


def claim(engine: Engine, owner: str, limit: int) -> list[MediaId]:
    """Claim items for a minute and give their ids."""
    return [work.media_id for work in claims.claim(engine, owner, 60, limit)]


def put(engine: Engine, **values: object) -> MediaId:
    """Queue an item."""
    fields = {"sha256": uuid.uuid4().hex, "kind": "image", "size_bytes": 3, "blob_id": "b", **values}
    row = MediaItem(id=uuid.uuid4().hex, **fields)
    with writing(engine) as session:
        session.add(row)
    return MediaId(row.id)


def item(engine: Engine, media_id: MediaId) -> MediaItem:
    """Read a row."""
    with reading(engine) as session:
        row = session.get(MediaItem, media_id)
    assert row is not None
    return row


def let_run_out(engine: Engine, media_id: MediaId) -> None:
    """Make a lease one second old, as if its worker had died."""
    with writing(engine) as session:
        row = session.get(MediaItem, media_id)
        assert row is not None
        row.lease_until = utc_now() - timedelta(seconds=1)


def test_oldest_first_and_no_more_than_asked(engine: Engine) -> None:
    now = utc_now()
    ids = [put(engine, received_at=now + timedelta(seconds=n)) for n in range(3)]
    assert claim(engine, "a", 2) == ids[:2]
    assert claim(engine, "b", 5) == ids[2:]
    assert claim(engine, "c", 5) == []
    assert claims.waiting(engine) == 3


def test_two_workers_never_hold_the_same_item(engine: Engine) -> None:
    ids = [put(engine) for _ in range(40)]
    taken: dict[str, list[MediaId]] = {"a": [], "b": [], "c": []}

    def work(owner: str) -> None:
        while some := claim(engine, owner, 3):
            taken[owner] += some

    crew = [threading.Thread(target=work, args=(owner,)) for owner in taken]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    together = [one for some in taken.values() for one in some]
    assert sorted(together) == sorted(ids)


def test_a_dead_workers_item_comes_back_and_the_dead_one_cannot_end_it(engine: Engine) -> None:
    media_id = put(engine)
    claim(engine, "dead", 1)
    let_run_out(engine, media_id)
    assert claim(engine, "heir", 1) == [media_id]
    assert claims.load(engine, Hold(media_id, "heir")).attempts == 2
    with pytest.raises(LeaseLost):
        claims.load(engine, Hold(media_id, "dead"))
    with pytest.raises(LeaseLost):
        claims.advance(engine, Hold(media_id, "dead"), "decoded")
    with pytest.raises(LeaseLost), writing(engine) as session:
        claims.finish(session, Hold(media_id, "dead"), NOTHING, ())
    with pytest.raises(LeaseLost):
        claims.fail(engine, Hold(media_id, "dead"), "decode", Unreadable("x"))
    assert item(engine, media_id).state == "received"


def test_an_item_that_killed_three_workers_is_failed_where_it_did(engine: Engine) -> None:
    media_id = put(engine)
    for n in range(claims.MAX_DEATHS):
        assert claim(engine, f"w{n}", 1) == [media_id]
        claims.advance(engine, Hold(media_id, f"w{n}"), "detected")
        let_run_out(engine, media_id)
    assert claim(engine, "next", 1) == []
    row = item(engine, media_id)
    assert (row.state, row.failed_stage, row.failed_code) == ("failed", "embed", "worker_died")
    claims.retry(engine, media_id)
    assert claim(engine, "again", 1) == [media_id]


def test_a_pulse_keeps_the_lease_and_shows_life(engine: Engine) -> None:
    media_id = put(engine)
    claim(engine, "a", 1)
    let_run_out(engine, media_id)
    claims.heartbeat(engine, "a", 60, "worker:a")
    assert claim(engine, "b", 1) == []
    with reading(engine) as session:
        life = session.get(Lease, "worker:a")
    assert life is not None
    assert life.until > utc_now()
    claims.goodbye(engine, "a", "worker:a")
    assert claim(engine, "b", 1) == [media_id]
    assert item(engine, media_id).attempts == 1


def test_released_items_wait_and_are_not_counted_as_deaths(engine: Engine) -> None:
    media_id = put(engine)
    for _ in range(5):
        assert claim(engine, "a", 1) == [media_id]
        claims.release(engine, Hold(media_id, "a"), -1.0)
    claim(engine, "a", 1)
    claims.release(engine, Hold(media_id, "a"), 60.0)
    assert claim(engine, "a", 1) == []
    assert item(engine, media_id).attempts == 0


def test_an_end_is_written_whole(engine: Engine) -> None:
    media_id = put(engine)
    claim(engine, "a", 1)
    with writing(engine) as session:
        claims.finish(session, Hold(media_id, "a"), NOTHING, [Timing("decode", 0.5, "ok")])
    row = item(engine, media_id)
    assert (row.state, row.blob_id, row.lease_owner, row.gallery_seq) == ("done", None, None, 7)
    assert row.perceptual_hash == "00ff"
    with reading(engine) as session:
        assert [r.seconds for r in session.exec(select(StageRun))] == [0.5]
    assert claim(engine, "a", 1) == []


def test_a_failure_keeps_the_bytes_and_can_be_retried(engine: Engine) -> None:
    media_id = put(engine)
    claim(engine, "a", 1)
    claims.fail(engine, Hold(media_id, "a"), "decode", Unreadable("torn"))
    row = item(engine, media_id)
    assert (row.failed_code, row.failed_reason, row.blob_id) == ("unreadable", "torn", "b")
    claims.retry(engine, media_id)
    row = item(engine, media_id)
    assert (row.state, row.failed_code) == ("received", None)


def test_what_cannot_be_retried_says_so(engine: Engine) -> None:
    with pytest.raises(NotFound):
        claims.retry(engine, MediaId("nobody"))
    with pytest.raises(NotFound):
        claims.retry(engine, put(engine))
    gone = put(engine, state="failed", blob_id=None)
    with pytest.raises(BlobMissing):
        claims.retry(engine, gone)


def test_many_ends_are_written_at_once_and_only_of_what_is_still_held(engine: Engine) -> None:
    ids = [put(engine) for _ in range(4)]
    claim(engine, "a", 4)
    let_run_out(engine, ids[2])
    assert claim(engine, "b", 4) == [ids[2]]
    timings = (Timing("decode", 0.5, "ok"), Timing("detect", 0.1, "ok"))
    ended = claims.end(engine, [Ending(Hold(i, "a"), BlobId("b"), NOTHING, timings) for i in ids])
    assert ended == {ids[0], ids[1], ids[3]}
    assert [item(engine, i).state for i in ids] == ["done", "done", "received", "done"]
    assert item(engine, ids[0]).perceptual_hash == "00ff"
    with reading(engine) as session:
        assert len(session.exec(select(StageRun)).all()) == 6
