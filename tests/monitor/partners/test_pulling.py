"""Feeds that we fetch: buckets and folders, what is new in them, and what may be reached at all."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import paramiko
import pytest
from sqlmodel import select
from typer.testing import CliRunner

from crawlers import lease, pulls, retro
from crawlers.tables import RetroScan
from monitor.cli import app
from monitor.crypto import KeyEncryptionKeys, new_key, new_key_line
from monitor.db import reading, utc_now, writing
from monitor.errors import (
    ExtraMissing,
    FeedInvalid,
    FeedPaused,
    FetchFailed,
    FetchRefused,
    HostKeyDiffers,
    KeyMissing,
    LeaseLost,
    QuotaSpent,
)
from monitor.partners import feeds, places, pull_times, pulled_s3, pulling
from monitor.partners.feeds import NewFeed
from monitor.partners.places import Place
from monitor.partners.pulling import Pulled
from monitor.partners.tables import Feed, FeedItem
from monitor.settings import Settings
from monitor.subject_keys import ensure_service_keys, rotate
from monitor.tables import MediaItem
from tests.crawlers.test_retro import enrol, matched
from tests.monitor.partners import servers
from tests.monitor.partners.partner import png

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

ACTOR = "operator:test"
MADE = iter(range(10**6))


class Watch:
    """A service with one feed that it fetches."""

    def __init__(self, engine: Engine, keys: KeyEncryptionKeys, home: Path) -> None:
        ensure_service_keys(engine, keys)
        self.engine, self.keys = engine, keys
        self.settings = Settings(home=home, max_bytes=3_000_000)

    def add(self, place: Place, **how: Any) -> Watch:
        """Set up the feed."""
        new = NewFeed("archive", "An Agency", "desk@example.org", way=place.way, **how)
        feeds.add(self.engine, new, ACTOR)
        self.place(place)
        return self

    def place(self, place: Place) -> None:
        """Seal another place."""
        with writing(self.engine) as session:
            places.seal(session, self.keys, feeds.find(session, "archive"), place)

    def pull(self) -> Pulled:
        """Fetch what is new."""
        with reading(self.engine) as session:
            place = places.opened(session, self.keys, feeds.find(session, "archive"))
        return pulls.pull(self.settings, self.engine, "archive", place)

    def feed(self) -> Feed:
        """Give the feed's row."""
        with reading(self.engine) as session:
            return feeds.find(session, "archive")

    def items(self) -> dict[str, tuple[str, str | None]]:
        """Give state and code by key."""
        with reading(self.engine) as session:
            return {row.item_key: (row.state, row.code) for row in session.exec(select(FeedItem))}

    def media(self) -> int:
        """Count the media that came in."""
        with reading(self.engine) as session:
            return len(session.exec(select(MediaItem)).all())

    def blobs(self) -> int:
        """Count the sealed files."""
        return len(list(pulls.Door.of(self.settings, self.engine).blobs.ids()))


@pytest.fixture
def watch(sqlite_engine: Engine, keys: KeyEncryptionKeys, tmp_path: Path) -> Watch:
    return Watch(sqlite_engine, keys, tmp_path)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with servers.s3() as url:
        yield url


@pytest.fixture
def bucket(s3: str) -> Place:
    name = f"bucket-{next(MADE)}"
    servers.client(s3).create_bucket(Bucket=name)
    return Place("s3", s3, "partner", "theirs", bucket=name, prefix="in/", allow_private=True)


def put(place: Place, name: str, data: bytes) -> None:
    servers.client(place.url).put_object(Bucket=place.bucket, Key=name, Body=data)


def test_what_is_new_in_a_bucket_comes_in_once_and_what_is_no_media_keeps_its_code(
    watch: Watch, bucket: Place
) -> None:
    large = png(1) + bytes(2_000_000)
    for name, data in {
        "in/1.png": png(1),
        "in/large.png": large,
        "in/ä ö.png": png(3),
        "in/notes.txt": b"no media",
        "in/huge.png": png(4) + bytes(3_000_000),
        "out/5.png": png(5),
    }.items():
        put(bucket, name, data)
    watch.add(bucket)
    done = watch.pull()
    assert (done.seen, done.taken, done.taken_bytes) == (5, 3, len(png(1)) + len(large) + len(png(3)))
    assert done.refused == {"not_media": 1, "too_large": 1}
    assert done.is_whole
    found = watch.items()
    assert found["in/1.png"] == found["in/large.png"] == ("taken", None)
    assert found["in/notes.txt"] == ("refused", "not_media")
    assert sum(key.startswith("sha256:") for key in found) == 1
    again = watch.pull()
    assert (again.seen, again.known, again.taken, again.refused) == (5, 5, 0, {})
    put(bucket, "in/1.png", png(6))  # another picture under the same name
    put(bucket, "in/0.png", png(1))  # a copy of a known one, under a name before all others
    assert watch.pull().taken == 2
    assert watch.media() == watch.blobs() == 4
    assert json.loads(watch.feed().cursor)["since"] > 0


def test_a_round_that_was_interrupted_goes_on_where_it_was(
    watch: Watch, bucket: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "LOT", 2)
    for number in range(7):
        put(bucket, f"in/{number}.png", png(number))
    watch.add(bucket)
    real, asked = pulled_s3.Bucket.pieces, []

    def pieces(self: pulled_s3.Bucket, found: places.Found) -> Iterator[bytes]:
        asked.append(found.name)
        if len(asked) == 6:
            raise KeyboardInterrupt
        return real(self, found)

    monkeypatch.setattr(pulled_s3.Bucket, "pieces", pieces)
    with pytest.raises(KeyboardInterrupt):
        watch.pull()
    assert json.loads(watch.feed().cursor)["after"] == "in/3.png"
    done = watch.pull()
    assert (done.seen, done.known, done.taken) == (3, 1, 2)  # 4, 5 and 6; 4 was taken
    assert asked.count("in/5.png") == 2
    assert len(asked) == 8
    assert watch.media() == watch.blobs() == 7
    assert watch.pull().seen == 7  # a new round begins at the beginning


def test_a_file_that_cannot_be_read_now_stops_no_other_and_is_met_again(
    watch: Watch, bucket: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        put(bucket, f"in/{number}.png", png(number))
    watch.add(bucket)
    real = pulled_s3.Bucket.pieces

    def pieces(self: pulled_s3.Bucket, found: places.Found) -> Iterator[bytes]:
        return real(self, replace(found, version='"gone"') if found.name < "in/7" else found)

    with monkeypatch.context() as patched:
        patched.setattr(pulled_s3.Bucket, "pieces", pieces)
        done = watch.pull()
    assert (done.taken, done.failed) == (2, 7)
    assert watch.pull().taken == 7


def test_files_of_a_bucket_are_fetched_again_slice_by_slice(
    watch: Watch, bucket: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retro, "SLICE", 2)
    for number in range(5):
        put(bucket, f"in/{number}.png", png(number))
    feed_id = watch.add(bucket).feed().id
    watch.pull()
    matched(watch.engine)
    enrol(watch.engine, utc_now() - 2 * retro.SETTLE)
    servers.client(bucket.url).delete_object(Bucket=bucket.bucket, Key="in/1.png")
    went = []
    while (found := retro.next_slice(watch.engine, utc_now())) is not None:
        assert (found.name, found.is_place) == ("archive", True)
        for away in (replace(bucket, bucket="no-such-bucket"), bucket):  # it goes on from where it was
            with contextlib.suppress(FetchFailed):
                done = pulls.again(watch.settings, watch.engine, "archive", away, found.scan_id)
                went.append((done.asked, done.fetched, done.failed))
    assert went == [(2, 1, 1), (2, 2, 0), (1, 1, 0)]
    with reading(watch.engine) as session:
        scan = session.exec(select(RetroScan)).one()
        waiting = session.exec(select(MediaItem).where(MediaItem.state == "received")).all()
    assert (scan.state, scan.fetched, scan.failed) == ("done", 4, 1)
    assert scan.after_key == f"~{feed_id}"
    assert len(waiting) == 4


def test_a_feed_gives_no_more_than_was_agreed_and_a_paused_one_nothing(watch: Watch, bucket: Place) -> None:
    for number in range(3):
        put(bucket, f"in/{number}.png", png(number))
    watch.add(bucket, per_day=2)
    with pytest.raises(QuotaSpent):
        watch.pull()
    assert watch.media() == watch.blobs() == 2
    assert pull_times.due(watch.engine, utc_now()) == []
    assert pull_times.due(watch.engine, utc_now() + timedelta(hours=1)) == ["archive"]
    feeds.set_enabled(watch.engine, "archive", ACTOR, enabled=False)
    assert pull_times.due(watch.engine, utc_now() + timedelta(hours=1)) == []
    with pytest.raises(FeedPaused):
        watch.pull()


def test_a_sandbox_lists_and_keeps_nothing(watch: Watch, bucket: Place) -> None:
    put(bucket, "in/1.png", png(1))
    watch.add(bucket, sandbox=True)
    assert (watch.pull().seen, watch.media(), watch.items()) == (1, 0, {})


def test_only_public_addresses_are_entered_unless_the_place_says_otherwise(
    watch: Watch, bucket: Place
) -> None:
    with pytest.raises(FetchRefused):
        watch.add(replace(bucket, allow_private=False)).pull()  # http
    for url in ("https://127.0.0.1", "https://169.254.169.254", "https://[::ffff:10.0.0.1]"):
        watch.place(replace(bucket, url=url, allow_private=False))
        with pytest.raises(FetchRefused):
            watch.pull()
    watch.place(Place("sftp", "sftp://127.0.0.1:22", "watch", "secret", host_key="ssh-ed25519 AAAA"))
    with pytest.raises(FetchRefused):
        watch.pull()
    connect = pulls.dial(bucket)
    with pytest.raises(FetchRefused):
        connect("127.0.0.1", 443)  # another port of the same host is not the place's


def test_a_bucket_that_is_not_there_says_so(watch: Watch, bucket: Place) -> None:
    watch.add(replace(bucket, bucket="no-such-bucket"))
    with pytest.raises(FetchFailed, match="NoSuchBucket"):
        watch.pull()


def test_one_process_fetches_a_feed_at_a_time(watch: Watch, bucket: Place) -> None:
    watch.add(bucket)
    assert lease.take(watch.engine, f"pull:{watch.feed().id}", "elsewhere:1")
    with pytest.raises(LeaseLost):
        watch.pull()


def test_the_place_is_sealed_and_follows_the_change_of_the_key(sqlite_engine: Engine, tmp_path: Path) -> None:
    old, new = new_key(), new_key()
    watch = Watch(sqlite_engine, KeyEncryptionKeys({"k1": old}), tmp_path)
    place = Place("s3", "https://s3.example.org", "partner", "very-secret", bucket="b")
    row = watch.add(place).feed()
    assert row.pull is not None
    assert b"very-secret" not in row.pull
    assert b"partner" not in row.pull
    assert "very-secret" not in repr(place)
    list(rotate(watch.engine, KeyEncryptionKeys({"k2": new, "k1": old})))
    with reading(watch.engine) as session:
        assert places.opened(session, KeyEncryptionKeys({"k2": new}), row) == place
        with pytest.raises(KeyMissing):
            places.opened(session, KeyEncryptionKeys({"k1": old}), row)
    feeds.add(watch.engine, NewFeed("pushed", "An Agency", "desk@example.org"), ACTOR)
    with reading(watch.engine) as session, pytest.raises(FeedInvalid):
        places.opened(session, watch.keys, feeds.find(session, "pushed"))


def test_without_the_extra_it_is_said_what_to_install(
    watch: Watch, bucket: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.add(bucket)
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.setitem(sys.modules, "paramiko", None)
    with pytest.raises(ExtraMissing) as caught:
        watch.pull()
    assert "likeness-watch[pull]" in caught.value.hint
    watch.place(Place("sftp", "sftp://files.example.org", "watch", "secret", host_key="ssh-ed25519 AAAA"))
    with pytest.raises(ExtraMissing):
        watch.pull()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inner = tmp_path / "files" / "in" / "deeper"
    inner.mkdir(parents=True)
    (inner.parent / "1.png").write_bytes(png(1))
    (inner / "2.png").write_bytes(png(2) + bytes(2_500_000))
    (inner / "notes.txt").write_text("no media")
    (inner / "huge.png").write_bytes(png(3) + bytes(3_000_000))
    (inner / "link.png").symlink_to("/etc/passwd")
    return tmp_path / "files"


@pytest.mark.parametrize("by", ["password", "key"])
def test_what_is_new_in_a_folder_comes_in_once(watch: Watch, folder: Path, by: str) -> None:
    key = paramiko.ECDSAKey.generate()
    text = io.StringIO()
    key.write_private_key(text)
    secret = text.getvalue() if by == "key" else "open sesame"
    with servers.sftp(folder, public=key, password="open sesame") as server:
        place = Place("sftp", server.url, "watch", secret, "in", host_key=server.host_key, allow_private=True)
        done = watch.add(place).pull()
        assert (done.seen, done.taken, done.refused) == (4, 2, {"not_media": 1, "too_large": 1})
        assert not [path for path in server.read if "huge" in path or "link" in path]
        (folder / "in" / "0.png").write_bytes(png(7))
        again = watch.pull()
        assert (again.seen, again.known, again.taken) == (5, 4, 1)
        assert len(server.read) == 4
    assert watch.items()["in/deeper/2.png"] == ("taken", None)
    assert watch.media() == watch.blobs() == 3


def test_a_server_with_another_key_is_told_no_secret(watch: Watch, folder: Path) -> None:
    with servers.sftp(folder, password="open sesame") as server:
        other = paramiko.ECDSAKey.generate()
        known = f"{other.get_name()} {other.get_base64()}"
        place = Place("sftp", server.url, "watch", "open sesame", host_key=known, allow_private=True)
        with pytest.raises(HostKeyDiffers):
            watch.add(place).pull()
        watch.place(replace(place, host_key="ssh-ed25519 AAAA"))
        with pytest.raises(HostKeyDiffers):
            watch.pull()
        watch.place(replace(place, host_key=server.host_key, secret="wrong"))
        with pytest.raises(FetchFailed, match="does not let us in"):
            watch.pull()
    assert server.read == []


def test_a_feed_that_is_fetched_is_set_up_and_fetched_by_command(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKENESS_MAX_BYTES", "3000000")
    monkeypatch.setenv("LIKENESS_KEK", new_key_line("k1"))
    secret = tmp_path / "password"
    secret.write_text("open sesame\n")
    run = CliRunner()
    assert run.invoke(app, ["keys", "show"]).exit_code == 0
    with servers.sftp(folder, password="open sesame") as server:
        told = ["--way", "sftp", "--place", server.url, "--prefix", "in", "--user", "watch"]
        who = ["--partner", "An Agency", "--contact", "desk@example.org"]
        asked = ["feed", "add", "archive", *who, *told, "--secret-file", str(secret)]
        assert run.invoke(app, asked, input="y\n").exit_code != 0  # on this machine: refused
        no = run.invoke(app, [*asked, "--allow-private"], input="n\n")
        assert "SHA256:" in no.output
        assert no.exit_code != 0
        added = run.invoke(app, [*asked, "--allow-private"], input="y\n")
        assert added.exit_code == 0, added.output
        assert "open sesame" not in added.output
        pulled = run.invoke(app, ["feed", "pull", "--json"])
        assert pulled.exit_code == 0, pulled.output
        said = json.loads(pulled.stdout)
        assert (said["feed"], said["taken"], said["is_whole"]) == ("archive", 2, True)
        assert run.invoke(app, ["feed", "pull"]).stdout == ""  # nothing is due
        named = run.invoke(app, ["feed", "pull", "archive"])
        assert "4 known, 0 taken" in named.stdout
