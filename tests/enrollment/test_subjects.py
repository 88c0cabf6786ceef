"""What is stored of a subject, what is opened for whom, and what happens when storing fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy import text, update
from sqlmodel import col, select

from enrollment import subjects
from enrollment.contacts import EnrolledContacts
from enrollment.profiles import Profile, checked_profile
from enrollment.samples import Sample
from enrollment.subjects import Ledger
from enrollment.tables import Reference, Subject
from monitor import audit
from monitor.db import reading, writing
from monitor.errors import ContactInvalid, NotFound, StorageFull, Tampered
from monitor.tables import AuditEvent, SubjectKey
from monitor.values import Modality
from tests.enrollment.people import MODEL, unit_vectors

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.values import SubjectId

ADA = Profile("Ada Ünique", "ada@example.org", "+4930123456", "passport seen by Jo")


@pytest.fixture
def ledger(engine: Engine, keys: KeyEncryptionKeys, blobs: BlobStore) -> Ledger:
    return Ledger(engine, keys, blobs, "operator:test")


def sample(seed: int = 1) -> Sample:
    vector = unit_vectors(np.random.default_rng(seed), 1)[0]
    return Sample("a.jpg", Modality.FACE, MODEL, vector, 0.9, b"a picture of Ada")


def add(ledger: Ledger, profile: Profile = ADA, *, keep: bool = False) -> SubjectId:
    return subjects.add(ledger, profile, [sample()], keep=keep)


def test_what_says_who_they_are_is_in_no_column(ledger: Ledger) -> None:
    subject_id = add(ledger, keep=True)
    with reading(ledger.engine) as session:
        connection = session.connection()
        for table in (
            "subject",
            "reference",
            "template",
            "subject_key",
            "audit_event",
            "gallery_event",
            "blob",
        ):
            for row in connection.execute(text(f"SELECT * FROM {table}")):  # noqa: S608 - names from this test
                said = b"|".join(one if isinstance(one, bytes) else str(one).encode() for one in row)
                for word in ("Ünique", "ada@", "30123456", "passport", "Jo", "picture of"):
                    assert word.encode() not in said, (table, word)
    assert subjects.show(ledger, subject_id).profile == ADA


def test_every_look_at_a_person_is_on_the_record(ledger: Ledger) -> None:
    subject_id = add(ledger, keep=True)
    with reading(ledger.engine) as session:
        reference = session.exec(select(Reference)).one()
    subjects.show(ledger, subject_id)
    subjects.listing(ledger)
    subjects.open_reference(ledger, reference.id)
    with reading(ledger.engine) as session:
        events = session.exec(select(AuditEvent).order_by(col(AuditEvent.seq))).all()
        assert audit.verify(session) == 4
    assert [(one.actor, one.action) for one in events] == [
        ("operator:test", action)
        for action in ("subject.add", "subject.show", "subject.list", "reference.open")
    ]


def test_a_profile_moved_to_another_subject_does_not_open(ledger: Ledger) -> None:
    ada, eve = add(ledger), add(ledger, Profile("Eve", "eve@example.org"))
    with writing(ledger.engine) as session:
        sealed = session.get_one(Subject, eve).sealed_profile
        session.connection().execute(
            update(Subject).where(col(Subject.id) == ada).values(sealed_profile=sealed)
        )
    with pytest.raises(Tampered):
        EnrolledContacts(ledger.engine, ledger.keks, Profile).contact(ada)


def test_a_full_disk_enrols_nobody_and_leaves_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, calls = ledger.blobs.put, 0

    def full(sealed: bytes) -> str:
        nonlocal calls
        calls += 1
        if calls == 2:
            msg = "no room left"
            raise StorageFull(msg)
        return put(sealed)

    monkeypatch.setattr(ledger.blobs, "put", full)
    with pytest.raises(StorageFull):
        subjects.add(ledger, ADA, [sample(1), sample(2)], keep=True)
    assert list(ledger.blobs.ids()) == []
    with reading(ledger.engine) as session:
        assert session.exec(select(SubjectKey)).all() == []


def test_a_transaction_that_fails_takes_its_files_with_it(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subjects, "_audit", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        add(ledger, keep=True)
    assert list(ledger.blobs.ids()) == []
    assert subjects.listing(ledger) == []


def test_ids_may_be_typed_in_part(ledger: Ledger) -> None:
    subject_id = add(ledger)
    assert subjects.resolve(ledger.engine, subject_id) == subject_id
    assert subjects.resolve(ledger.engine, subject_id[:8]) == subject_id
    for wrong in (subject_id[:3], "", "%", "zzzzzz"):
        with pytest.raises(NotFound):
            subjects.resolve(ledger.engine, wrong)


def test_who_gave_an_address_is_found(ledger: Ledger) -> None:
    ada = add(ledger)
    add(ledger, Profile("Eve", "eve@example.org"))
    assert subjects.with_email(ledger.engine, ledger.keks, "ada@example.org") == [ada]
    assert subjects.with_email(ledger.engine, ledger.keks, "") == []


@pytest.mark.parametrize(
    ("email", "phone", "spelt"),
    [
        ("Ada@EXAMPLE.org", "", ("Ada@example.org", "")),
        ("ada@bücher.example", "", ("ada@bücher.example", "")),
        ("", "+1 (650) 253-0000", ("", "+16502530000")),
    ],
)
def test_addresses_have_one_spelling(email: str, phone: str, spelt: tuple[str, str]) -> None:
    profile = checked_profile(" Ada ", email, phone, " seen ")
    assert (profile.name, profile.attested) == ("Ada", "seen")
    assert (profile.email, profile.phone) == spelt


@pytest.mark.parametrize(
    ("name", "email", "phone", "attested"),
    [
        ("", "", "", "seen"),
        ("Ada", "", "", ""),
        ("Ada", "ada@localhost", "", "seen"),
        ("Ada", "ada@example.org, eve@example.org", "", "seen"),
        ("Ada", "", "650 253 0000", "seen"),
        ("Ada", "", "+1 000 000 0000", "seen"),
        ("Ada", "", "call me", "seen"),
    ],
)
def test_what_nothing_can_be_sent_to_is_refused(name: str, email: str, phone: str, attested: str) -> None:
    with pytest.raises(ContactInvalid) as caught:
        checked_profile(name, email, phone, attested)
    assert caught.value.hint
