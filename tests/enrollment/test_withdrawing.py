"""A consent was taken back: the key of the samples is gone, and no file of the database has a measurement."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlmodel import select

from enrollment import references
from enrollment.tables import GivenSample, Subject
from monitor.crypto import IntakeSealer
from monitor.db import reading
from monitor.errors import Tampered
from monitor.tables import BlobRow, Template
from monitor.values import BlobId
from tests.enrollment.applicant import ANA
from tests.enrollment.residents import Residents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine


@pytest.fixture(params=["sqlite", "postgres"])
def town(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Residents]:
    how = {}
    if request.param == "postgres":
        engine: Engine = request.getfixturevalue("postgres_engine")
        how["database_url"] = engine.url.render_as_string(hide_password=False)
    there = Residents.at(tmp_path / "home", **how)
    yield there
    there.close()


def files_of(town: Residents) -> bytes:
    """Read the files in which the database keeps the tables that matter here."""
    engine = town.town.engine
    if engine.dialect.name == "sqlite":
        path = Path(str(engine.url.database))
        log = path.with_name(path.name + "-wal")
        return path.read_bytes() + (log.read_bytes() if log.exists() else b"")
    parts = []
    with engine.connect() as connection:
        connection.execute(text("CHECKPOINT"))
        for table in ("template", "given_sample", "subject", "challenge", "hold"):
            file = text(f"SELECT pg_read_binary_file(pg_relation_filepath('{table}'))")
            parts.append(connection.execute(file).scalar_one())
    return b"".join(parts)


def test_taking_back_the_first_consent_destroys_the_key_of_the_samples(town: Residents) -> None:
    who = town.watched()
    with reading(town.town.engine) as session:
        measured = session.exec(select(Template.sealed)).all()
        subject = session.get_one(Subject, who)
        public, private = subject.reference_public, subject.sealed_reference_private
        blob_id, sample_id = session.exec(select(GivenSample.blob_id, GivenSample.id)).first() or ("", "")
    copied = town.blobs.get(BlobId(str(blob_id)))  # somebody took a copy of the disk before
    before = files_of(town)
    assert all(one in before for one in (*measured, private)), "else the check below says nothing"

    answer = town.browsers[ANA].post("/account/consents/biometrics", data={"answer": "no"})

    assert answer.status_code == 303
    after = files_of(town)
    assert not any(one in after for one in (*measured, private))
    with reading(town.town.engine) as session:
        subject = session.get_one(Subject, who)
        assert subject.reference_public != public
        opener = references.opener(session, town.town.keys, subject)
        assert session.exec(select(BlobRow)).all() == []
    with pytest.raises(Tampered):
        opener.open(copied, references.info(who, sample_id))
    fresh = IntakeSealer(subject.reference_public).seal(b"a new picture", references.info(who, "new"))
    assert opener.open(fresh, references.info(who, "new")) == b"a new picture"
