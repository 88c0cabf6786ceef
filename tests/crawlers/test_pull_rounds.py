"""Feeds that we fetch are fetched by the scheduler: when they are due, in a process without a key."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlmodel import select

from crawlers import lease, pulls, schedule
from crawlers.children import Crawls
from crawlers.coverage import Coverage
from crawlers.retro import LOOK_BACK, SETTLE, next_slice
from crawlers.tables import RetroScan
from monitor.db import reading, utc_now, writing
from monitor.errors import FetchFailed, LikenessError
from monitor.partners import feeds, places, pull_times
from monitor.partners.feeds import NewFeed
from monitor.partners.places import Place
from monitor.partners.pull_times import Places
from monitor.partners.pulling import Pulled
from monitor.partners.tables import Feed, FeedItem
from monitor.settings import Settings
from monitor.subject_keys import ensure_service_keys
from monitor.tables import Lease, MediaItem, MediaOrigin
from tests.crawlers.test_retro import enrol, matched
from tests.monitor.partners import servers
from tests.monitor.partners.partner import png

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys

ACTOR = "operator:test"
NOWHERE = Place("s3", "https://s3.example.org", "partner", "theirs", bucket="b")


def add(engine: Engine, keys: KeyEncryptionKeys, place: Place, name: str = "archive") -> str:
    row = feeds.add(engine, NewFeed(name, "An Agency", "desk@example.org", way=place.way), ACTOR)
    with writing(engine) as session:
        places.seal(session, keys, feeds.find(session, name), place)
    return row.id


@contextmanager
def says(garbage: bytes) -> Iterator[int]:
    """Answer whoever connects with the same bytes, and hang up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock, contextlib.suppress(OSError):
                sock.settimeout(1)
                if not garbage.startswith((b"SSH", b"HTTP/1.1 400")):
                    sock.recv(65_536)
                sock.sendall(garbage)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def row_of(engine: Engine, feed_id: str) -> Feed:
    with reading(engine) as session:
        return session.get_one(Feed, feed_id)


def test_the_scheduler_fetches_what_is_due_and_writes_down_how_it_went(
    sqlite_engine: Engine, keys: KeyEncryptionKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = sqlite_engine
    ensure_service_keys(engine, keys)
    url = engine.url.render_as_string(hide_password=False)
    settings = Settings(home=tmp_path, database_url=url, crawl_contact="tests@example.org")
    with servers.s3() as server:
        servers.client(server).create_bucket(Bucket="files")
        servers.client(server).put_object(Bucket="files", Key="in/1.png", Body=png(1))
        place = Place("s3", server, "partner", "theirs", bucket="files", prefix="in/", allow_private=True)
        good = add(engine, keys, place)
        bad = add(engine, keys, replace(place, bucket="no-such-bucket"), "broken")
        started: list[str] = []
        monkeypatch.setenv("LIKENESS_KEK", "k1:this-must-not-reach-it")
        children = Crawls(settings, None, Places(engine, keys))
        assert not [one for one in children._environment if "KEK" in one]
        real = children.pull

        def pull(name: str) -> bool:
            started.append(name)
            return real(name)

        monkeypatch.setattr(children, "pull", pull)
        jobs = schedule.Jobs(engine, children)
        try:
            until = time.monotonic() + 90
            while not (row_of(engine, good).pulled_at and row_of(engine, bad).pulled_at) or jobs._running:
                assert time.monotonic() < until
                jobs.sync()
                time.sleep(0.1)
            jobs.sync()  # nothing is due any more
        finally:
            jobs.close()
            children.close()
    assert sorted(started) == ["archive", "broken"]
    said = pull_times.said_of(row_of(engine, good))
    assert said is not None
    assert (said.seen, said.taken, said.code) == (1, 1, "")
    failed = row_of(engine, bad)
    said = pull_times.said_of(failed)
    assert said is not None
    assert (said.taken, said.code, failed.pull_failures) == (0, FetchFailed.code, 1)
    with reading(engine) as session:
        assert len(session.exec(select(MediaItem)).all()) == 1
        assert not [one.name for one in session.exec(select(Lease)) if one.name.startswith("pull:")]


def test_without_a_key_nothing_is_fetched_and_the_rest_goes_on(
    sqlite_engine: Engine, keys: KeyEncryptionKeys, tmp_path: Path
) -> None:
    feed_id = add(sqlite_engine, keys, NOWHERE)
    children = Crawls(Settings(home=tmp_path))
    jobs = schedule.Jobs(sqlite_engine, children)
    try:
        jobs.sync()
        assert jobs._running == {}
    finally:
        jobs.close()
    row = row_of(sqlite_engine, feed_id)
    assert row.pulled_at is None
    assert not pull_times.is_late(row, utc_now())
    assert pull_times.is_late(row, utc_now() + timedelta(hours=1))


def test_a_place_that_does_not_open_is_written_down_and_waits(
    engine: Engine, keys: KeyEncryptionKeys, tmp_path: Path
) -> None:
    feed_id = add(engine, keys, NOWHERE)
    with writing(engine) as session:
        row = session.get_one(Feed, feed_id)
        assert row.pull is not None
        row.pull = row.pull[:-1] + bytes([row.pull[-1] ^ 1])
    assert Crawls(Settings(home=tmp_path), None, Places(engine, keys)).pull("archive")
    said = pull_times.said_of(row_of(engine, feed_id))
    assert said is not None
    assert said.code == "tampered"
    assert pull_times.due(engine, utc_now()) == []


def test_what_fails_is_asked_less_and_less_often_and_a_good_round_ends_that(
    engine: Engine, keys: KeyEncryptionKeys
) -> None:
    feed_id = add(engine, keys, NOWHERE)
    waits = []
    for _ in range(12):
        pull_times.note(engine, feed_id, Pulled(seen=3), FetchFailed("no answer"))
        waits.append(pull_times.wait_of(row_of(engine, feed_id)).total_seconds())
    assert 300 <= waits[0] <= 330
    assert waits[:9] == sorted(waits[:9])
    assert all(300 * 2**n <= wait <= 330 * 2**n for n, wait in enumerate(waits[:8]))
    assert 86_400 <= waits[-1] <= 86_400 * 1.1
    assert pull_times.due(engine, utc_now() + timedelta(hours=20)) == []
    assert pull_times.due(engine, utc_now() - timedelta(days=3)) == ["archive"]  # the clock was set back
    pull_times.note(engine, feed_id, Pulled(seen=3, is_whole=True))
    assert pull_times.wait_of(row_of(engine, feed_id)) == timedelta(seconds=900)
    assert json.loads(row_of(engine, feed_id).pull_said)["code"] == ""


@pytest.mark.parametrize(
    ("scheme", "garbage"),
    [
        ("http", b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 7\r\n\r\n<html>?"),
        ("http", b"HTTP/1.1 200 OK\r\nContent-Length: 39\r\n\r\n<ListBucketResult><Contents><Key>a</Key>"),
        ("http", b"\x00\xff\r\n\r\n"),
        ("sftp", b"SSH-2.0-x\r\n\x00\x00\x00\x05\xff\xff\xff\xff\xff"),
        ("sftp", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    ],
)
def test_a_place_that_answers_garbage_is_a_failure_of_the_feed_and_no_crash(
    sqlite_engine: Engine, keys: KeyEncryptionKeys, tmp_path: Path, scheme: str, garbage: bytes
) -> None:
    ensure_service_keys(sqlite_engine, keys)
    with says(garbage) as port:
        way = "s3" if scheme == "http" else "sftp"
        place = Place(way, f"{scheme}://127.0.0.1:{port}", "watch", "secret", bucket="b", allow_private=True)
        if way == "sftp":
            place = replace(place, host_key="ssh-ed25519 AAAA")
        feed_id = add(sqlite_engine, keys, place)
        with pytest.raises(LikenessError) as caught:
            pulls.pull(Settings(home=tmp_path), sqlite_engine, "archive", place)
    row = row_of(sqlite_engine, feed_id)
    said = pull_times.said_of(row)
    assert said is not None
    assert (said.code, row.pull_failures) == (caught.value.code, 1)


def test_the_map_says_what_of_a_partners_folder_is_not_seen(engine: Engine, keys: KeyEncryptionKeys) -> None:
    feed_id = add(engine, keys, NOWHERE)
    feeds.add(engine, NewFeed("pushes", "Another", "desk@example.org"), ACTOR)
    book = Coverage[dict[str, object]](engine, dict)
    now = utc_now()
    [place] = book.places(now)
    assert (place["name"], place["seeing"]) == ("An Agency (its own folder)", "not_yet")
    assert "before you gave us your samples, the last 30 days are fetched once more" in str(place["blind_to"])
    pull_times.note(engine, feed_id, Pulled(is_whole=True))
    assert [one["seeing"] for one in book.places(now)] == ["seen"]
    assert [one["seeing"] for one in book.places(now + timedelta(days=1))] == ["not_now"]
    pull_times.note(engine, feed_id, Pulled(), FetchFailed("no answer"))
    assert [one["seeing"] for one in book.places(now)] == ["not_now"]
    feeds.set_enabled(engine, "archive", ACTOR, enabled=False)
    assert [one["seeing"] for one in book.places(now)] == ["paused"]


def test_a_feed_that_is_fetched_by_hand_is_left_alone(
    sqlite_engine: Engine, keys: KeyEncryptionKeys, tmp_path: Path
) -> None:
    feed_id = add(sqlite_engine, keys, NOWHERE)
    ensure_service_keys(sqlite_engine, keys)
    assert lease.take(sqlite_engine, f"pull:{feed_id}", "elsewhere:1")
    url = sqlite_engine.url.render_as_string(hide_password=False)
    children = Crawls(Settings(home=tmp_path, database_url=url), None, Places(sqlite_engine, keys))
    assert not children.pull("archive")  # no report: it is tried again soon, and no failure of the feed
    assert row_of(sqlite_engine, feed_id).pull_failures == 0


def test_files_of_a_folder_are_fetched_again_for_somebody_new_once_each_also_after_a_kill(
    sqlite_engine: Engine, keys: KeyEncryptionKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, folder = sqlite_engine, filled(tmp_path / "files" / "in")
    ensure_service_keys(engine, keys)
    url = engine.url.render_as_string(hide_password=False)
    settings = Settings(home=tmp_path, database_url=url, crawl_contact="tests@example.org")
    held, go_on, real = threading.Event(), threading.Event(), servers._Files.open

    def holds_the_third(self: Any, path: str, flags: int, attr: Any) -> Any:
        if len(self._running.read) == 2 and not go_on.is_set():
            held.set()
            go_on.wait(120)
            return servers.SFTP_NO_SUCH_FILE
        return real(self, path, flags, attr)

    with servers.sftp(tmp_path / "files", password="open sesame") as server:
        place = Place("sftp", server.url, "watch", "open sesame", "in", host_key=server.host_key)
        place = replace(place, allow_private=True)
        add(engine, keys, place)
        assert pulls.pull(settings, engine, "archive", place).taken == 6
        matched(engine)
        before = len(list(pulls.Door.of(settings, engine).blobs.ids()))
        enrol(engine, utc_now() - 2 * SETTLE)
        (folder / "3.png").unlink()
        change(folder / "4.png")
        server.read.clear()
        monkeypatch.setattr(servers._Files, "open", holds_the_third)
        found = next_slice(engine, utc_now())
        assert found is not None
        assert found.is_place
        children, gave = Crawls(settings, None, Places(engine, keys)), list[bool]()
        thread = threading.Thread(target=lambda: gave.append(children.again(found)))
        thread.start()
        assert held.wait(90)
        children._running["pull:archive"].kill()
        thread.join(60)
        go_on.set()
        assert gave == [False]
        assert len(server.read) == 2
        matched(engine)
        scan_to_its_end(engine, children)
        assert [path.rpartition("/")[2] for path in server.read] == ["0.png", "1 ä.png", "2.png", "4.png"]
    scan = scan_of(engine)
    assert (scan.fetched, scan.failed) == (3, 2)  # 3 is gone, 4 is another picture
    with reading(engine) as session:
        states = [one.state for one in session.exec(select(MediaItem))]
        assert sorted(states) == ["done"] * 4 + ["received"]
        assert len(session.exec(select(MediaOrigin)).all()) == 5  # no place more
        assert len(session.exec(select(FeedItem)).all()) == 6
    assert len(list(pulls.Door.of(settings, engine).blobs.ids())) == before + 3


def filled(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for number, name in enumerate(("0.png", "1 ä.png", "2.png", "3.png", "4.png")):
        (folder / name).write_bytes(png(number) + bytes(9))
    (folder / "copy.png").write_bytes(png(0) + bytes(9))
    return folder


def change(file: Path) -> None:
    """Put another picture there that looks the same in a list."""
    when, other = file.stat(), png(40)
    file.write_bytes(other + bytes(when.st_size - len(other)))
    os.utime(file, ns=(when.st_atime_ns, when.st_mtime_ns))


def scan_to_its_end(engine: Engine, children: Crawls) -> None:
    jobs = schedule.Jobs(engine, children)
    try:
        until = time.monotonic() + 90
        while scan_of(engine).state != "done":
            assert time.monotonic() < until
            jobs.sync()
            time.sleep(0.05)
    finally:
        jobs.close()
        children.close()


def scan_of(engine: Engine) -> RetroScan:
    with reading(engine) as session:
        return session.exec(select(RetroScan)).one()


def test_without_a_key_a_second_look_goes_past_a_partners_place_and_counts_what_it_left(
    engine: Engine, keys: KeyEncryptionKeys, tmp_path: Path
) -> None:
    feed_id = add(engine, keys, NOWHERE)
    now = utc_now()
    with writing(engine) as session:
        for number, at in enumerate((now, now - LOOK_BACK / 2, now - 2 * LOOK_BACK)):
            name = f"x{number}"
            session.add(
                MediaItem(id=name, sha256=name, kind="image", size_bytes=1, state="done", gallery_seq=0)
            )
            row = FeedItem(id=name, feed_id=feed_id, item_key=name, body_sha256=name, state="taken", at=at)
            row.media_id = row.sha256 = name
            session.add(row)
    enrol(engine, now - 2 * SETTLE)
    jobs = schedule.Jobs(engine, Crawls(Settings(home=tmp_path)))
    try:
        jobs.sync()
        assert jobs._running == {}
    finally:
        jobs.close()
    scan = scan_of(engine)
    assert (scan.fetched, scan.failed, scan.after_key) == (0, 2, f"~{feed_id}")  # of the last 30 days
    assert next_slice(engine, utc_now()) is None
