"""The two kinds of session, moments in UTC, and what hangs on a subject going with the subject."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, StatementError
from sqlmodel import col, delete, select

import alerts.tables
import crawlers.tables
import enrollment.tables
import monitor.tables
from monitor.db import open_engine, reading, writing
from monitor.errors import ConfigError, StorageFull
from monitor.tables import BlobRow, Lease, SubjectKey, Template
from tests.assets.disks import full

if TYPE_CHECKING:
    from sqlalchemy import Engine

DECLARED = (monitor.tables, enrollment.tables, crawlers.tables, alerts.tables)
"""Importing them declares the tables of each package."""

CANARY = b"sealed bytes that must leave the file with their row"


def subject(name: str) -> SubjectKey:
    return SubjectKey(subject_id=name, wrapped=b"w", kek_id="k1")


def template(name: str, subject_id: str, sealed: bytes = b"x") -> Template:
    return Template(id=name, subject_id=subject_id, modality="face", model_id="m", sealed=sealed, quality=1.0)


def test_a_moment_comes_back_in_utc(engine: Engine) -> None:
    noon = datetime(2030, 1, 31, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=5)))
    with writing(engine) as session:
        session.add(Lease(name="x", owner="me", until=noon))
    with reading(engine) as session:
        until = session.get_one(Lease, "x").until
    assert until == noon
    assert until.tzinfo is UTC


def test_a_moment_without_a_time_zone_is_refused(engine: Engine) -> None:
    naive = datetime(2030, 1, 31, 12)  # noqa: DTZ001 - the slip that is tested
    with pytest.raises(StatementError, match="without a time zone"), writing(engine) as session:
        session.add(Lease(name="x", owner="me", until=naive))


def test_what_hangs_on_a_subject_goes_with_the_key(engine: Engine) -> None:
    with writing(engine) as session:
        session.add_all([subject("ana"), subject("ben")])
        session.flush()
        session.add_all([template("t1", "ana"), template("t2", "ben")])
        session.add(BlobRow(id="b1", subject_id="ana", kind="reference", size_bytes=1))
    with writing(engine) as session:
        session.exec(delete(SubjectKey).where(col(SubjectKey.subject_id) == "ana"))
    with reading(engine) as session:
        assert session.exec(select(Template.id)).all() == ["t2"]
        assert session.exec(select(BlobRow.id)).all() == []


def test_a_row_of_nobody_is_refused_and_its_content_is_not_in_the_error(engine: Engine) -> None:
    with pytest.raises(IntegrityError) as refused, writing(engine) as session:
        session.add(template("t1", "nobody", sealed=CANARY))
    assert "sealed bytes" not in str(refused.value)


def test_an_erased_row_leaves_no_bytes_in_the_sqlite_file(sqlite_engine: Engine) -> None:
    with writing(sqlite_engine) as session:
        session.add(subject("ana"))
        session.flush()
        session.add(template("t1", "ana", sealed=CANARY * 20))
    with writing(sqlite_engine) as session:
        session.exec(delete(SubjectKey))
    with sqlite_engine.connect() as connection:
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    assert CANARY not in Path(str(sqlite_engine.url.database)).read_bytes()


def test_writers_that_read_first_do_not_lose_each_others_writes(engine: Engine) -> None:
    with writing(engine) as session:
        session.add(Lease(name="count", owner="0", until=datetime.now(UTC)))

    def count_up() -> None:
        for _ in range(10):
            with writing(engine) as session:
                row = session.exec(select(Lease).where(Lease.name == "count").with_for_update()).one()
                time.sleep(0.0005)
                row.owner = str(int(row.owner) + 1)

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(engine) as session:
        assert session.get_one(Lease, "count").owner == "40"


def test_a_full_disk_has_a_code_and_nothing_half_is_written(engine: Engine) -> None:
    with writing(engine) as session:
        session.add(subject("before"))
    with full(engine), pytest.raises(StorageFull), writing(engine) as session:
        session.add_all([subject("ana"), template("t1", "ana", bytes(300_000))])
    with writing(engine) as session:
        assert [row.subject_id for row in session.exec(select(SubjectKey))] == ["before"]
        session.add_all([subject("ana"), template("t1", "ana", bytes(300_000))])


def test_a_reader_does_not_wait_for_a_writer(engine: Engine) -> None:
    with writing(engine) as session:
        session.add(subject("ana"))
    with writing(engine) as busy:
        busy.add(subject("ben"))
        busy.flush()
        with reading(engine) as session:
            assert session.exec(select(SubjectKey.subject_id)).all() == ["ana"]


@pytest.mark.parametrize(
    "url", ["nonsense", "postgresql+psycopg://u:s3cret@host:port/x", "nodb://u:s3cret@h/x"]
)
def test_an_address_that_is_none_is_one_sentence_and_tells_no_password(url: str) -> None:
    with pytest.raises(ConfigError, match="LIKENESS_DATABASE_URL") as caught:
        open_engine(url)
    assert "s3cret" not in caught.value.message + caught.value.hint
