"""The tables that migrations make are the tables that the code declares, on both databases."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlmodel import SQLModel

import alerts.tables
import crawlers.tables
import enrollment.tables
import monitor.tables
from monitor import migrations
from monitor.db import open_engine, reading, writing
from monitor.errors import ConfigError, StorageError
from monitor.tables import SubjectKey, Template

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.postgres import PostgresServer


DECLARED = (monitor.tables, enrollment.tables, crawlers.tables, alerts.tables)
"""Importing them declares the tables of each package."""


@pytest.fixture(params=["sqlite", "postgres"])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Give a database without any table."""
    if request.param == "sqlite":
        engine = open_engine(f"sqlite:///{tmp_path / 'bare.db'}")
    else:
        server: PostgresServer = request.getfixturevalue("_postgres")
        name = server.create_from("template1")
        engine = open_engine(server.url(name))
    yield engine
    engine.dispose()


def test_migrations_make_what_the_code_declares(bare: Engine) -> None:
    migrations.upgrade(bare)
    with bare.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, SQLModel.metadata)
    assert differences == [], 'run `python -m monitor.migrations "what changed"`'


def test_every_deletion_that_the_code_counts_on_is_in_the_database(bare: Engine) -> None:
    migrations.upgrade(bare)
    with bare.connect() as connection:
        for table in SQLModel.metadata.tables.values():
            declared = {
                (tuple(key.column_keys), key.referred_table.name, key.ondelete)
                for key in table.foreign_key_constraints
            }
            made = {
                (tuple(key["constrained_columns"]), key["referred_table"], key["options"].get("ondelete"))
                for key in inspect(connection).get_foreign_keys(table.name)
            }
            assert made == declared, table.name


def test_the_head_written_down_is_the_head_of_the_scripts(bare: Engine) -> None:
    with bare.connect() as connection:
        scripts = ScriptDirectory.from_config(migrations.config(connection))
    assert scripts.get_heads() == [migrations.HEAD]


def test_upgrading_again_does_nothing(bare: Engine) -> None:
    assert migrations.current(bare) is None
    migrations.upgrade(bare)
    with writing(bare) as session:
        session.add(SubjectKey(subject_id="s1", wrapped=b"w", kek_id="k1"))
    migrations.upgrade(bare)
    assert migrations.current(bare) == migrations.HEAD
    with reading(bare) as session:
        assert session.get(SubjectKey, "s1") is not None


def test_many_processes_that_start_at_once_upgrade_once(bare: Engine) -> None:
    failed: list[BaseException] = []

    def start() -> None:
        engine = open_engine(bare.url.render_as_string(hide_password=False))
        try:
            migrations.upgrade(engine)
        except BaseException as exc:  # noqa: BLE001 - a thread's failure is looked at below
            failed.append(exc)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert migrations.current(bare) == migrations.HEAD


def test_a_database_of_a_newer_version_is_refused_and_left_alone(bare: Engine) -> None:
    migrations.upgrade(bare)
    with bare.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'v9999'"))
    with pytest.raises(ConfigError, match="v9999"):
        migrations.upgrade(bare)
    assert migrations.current(bare) == "v9999"


def test_an_upgrade_that_breaks_changes_nothing(bare: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import command  # noqa: PLC0415 - for this test alone

    upgrade = command.upgrade

    def break_after(config: Config, revision: str) -> None:
        upgrade(config, revision)
        broke = "power cut"
        raise RuntimeError(broke)

    monkeypatch.setattr(command, "upgrade", break_after)
    with pytest.raises(RuntimeError, match="power cut"):
        migrations.upgrade(bare)
    monkeypatch.undo()
    with bare.connect() as connection:
        assert not inspect(connection).has_table("subject_key")
    migrations.upgrade(bare)
    assert migrations.current(bare) == migrations.HEAD


def test_copying_a_table_on_sqlite_keeps_the_rows_that_hang_on_it(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'x.db'}")
    migrations.upgrade(engine)
    with writing(engine) as session:
        session.add(SubjectKey(subject_id="s1", wrapped=b"w", kek_id="k1"))
        session.flush()
        session.add(
            Template(id="t1", subject_id="s1", modality="face", model_id="m", sealed=b"x", quality=1.0)
        )
    with migrations._alone(engine) as connection:
        connection.execute(text("CREATE TABLE copy AS SELECT * FROM subject_key"))
        connection.execute(text("DROP TABLE subject_key"))
        connection.execute(text("CREATE TABLE subject_key (subject_id VARCHAR PRIMARY KEY)"))
        connection.execute(text("INSERT INTO subject_key SELECT subject_id FROM copy"))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM template")).scalar() == 1
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    engine.dispose()


def test_a_database_that_cannot_be_reached_says_so(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'no folder' / 'x.db'}")
    with pytest.raises(StorageError, match="cannot be used"):
        migrations.upgrade(engine)
