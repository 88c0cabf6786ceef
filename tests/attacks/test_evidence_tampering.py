"""Somebody with the database, and even with a key, makes evidence say something else. It is noticed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from sqlmodel import col, delete, select, update

from monitor import findings, subject_keys
from monitor.crypto import Context, seal
from monitor.db import reading, utc_now, writing
from monitor.errors import Tampered
from monitor.findings import Draft, FindingDetail
from monitor.ml.synthetic.declared import declared
from monitor.tables import Evidence, EvidenceLink, MediaItem
from monitor.values import Band, FindingId, MediaId, MediaKind, ModelId, SubjectId

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys

SHE = SubjectId("she")
MODEL = ModelId("model@0/test")
RECORDS = (b'{"number":0}', b'{"number":1}', b'{"number":2}')


@pytest.fixture
def found(engine: Engine, keys: KeyEncryptionKeys) -> list[FindingId]:
    """Write three findings with their evidence, the way the pipeline does."""
    detail = FindingDetail(MediaKind.IMAGE, 0.9, None, (), (), declared(()), (), (), (), ())
    written: list[FindingId | None] = []
    with writing(engine) as session:
        subject_keys.create(session, keys, SHE)
        for number, record in enumerate(RECORDS):
            media_id = MediaId(f"item{number}")
            session.add(MediaItem(id=media_id, sha256=f"{number:064}", kind="image", size_bytes=1))
            session.flush()
            draft = Draft(SHE, media_id, MODEL, Band.ALERT, detail, record)
            written.append(findings.record(session, keys, draft))
    return [one for one in written if one is not None]


def verified(engine: Engine) -> int:
    with reading(engine) as session:
        return findings.verify_chain(session)


def test_untouched_evidence_opens_and_its_chain_is_whole(
    engine: Engine, keys: KeyEncryptionKeys, found: list[FindingId]
) -> None:
    with reading(engine) as session:
        assert tuple(findings.evidence_of(session, keys, one) for one in found) == RECORDS
    assert verified(engine) == 3


def test_a_record_written_anew_with_the_right_key_is_not_the_one_that_was_chained(
    engine: Engine, keys: KeyEncryptionKeys, found: list[FindingId]
) -> None:
    with writing(engine) as session:
        row = session.exec(select(Evidence).where(Evidence.finding_id == found[1])).one()
        key = subject_keys.key_of(session, keys, SHE)
        row.sealed = seal(key, b'{"number":9}', Context(SHE, row.id, "evidence", MODEL))
    with reading(engine) as session, pytest.raises(Tampered, match="not the one that was chained"):
        findings.evidence_of(session, keys, found[1])


def test_a_digest_changed_to_fit_breaks_the_chain(engine: Engine, found: list[FindingId]) -> None:
    other = hashlib.sha256(b'{"number":9}').hexdigest()
    with writing(engine) as session:
        row = session.exec(select(Evidence).where(Evidence.finding_id == found[1])).one()
        session.exec(
            update(EvidenceLink)
            .where(col(EvidenceLink.record_sha256) == row.record_sha256)
            .values(record_sha256=other)
        )
        row.record_sha256 = other
    with pytest.raises(Tampered, match="link 2"):
        verified(engine)


def test_a_link_taken_out_breaks_the_next(engine: Engine, found: list[FindingId]) -> None:
    assert len(found) == 3
    with writing(engine) as session:
        session.exec(delete(EvidenceLink).where(col(EvidenceLink.seq) == 2))
    with pytest.raises(Tampered, match="link 3"):
        verified(engine)


def test_a_link_dated_back_is_named(engine: Engine, found: list[FindingId]) -> None:
    assert len(found) == 3
    with writing(engine) as session:
        session.exec(
            update(EvidenceLink)
            .where(col(EvidenceLink.seq) == 3)
            .values(at=utc_now().replace(year=2020, day=1))
        )
    with pytest.raises(Tampered, match="link 3"):
        verified(engine)
