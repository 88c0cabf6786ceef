"""Erasure as a promise: nothing is left, nothing opens, whoever was killed half-way; the receipt holds."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import event, text
from sqlmodel import col, select

from enrollment import erasure, receipts, subjects
from enrollment.contacts import EnrolledContacts
from enrollment.profiles import Profile
from enrollment.samples import Sample
from enrollment.subjects import Ledger
from enrollment.tables import Erasure, Reference, Subject
from monitor import audit, dismissals, lookalikes, subject_keys
from monitor.crypto import KeyEncryptionKeys, Signer, new_key, new_signing_pair
from monitor.db import open_engine, reading, utc_now, writing
from monitor.errors import KeyWrong, NotFound, StorageError, SubjectErased, Tampered
from monitor.gallery import Gallery, add_template
from monitor.lookalikes import Learnt
from monitor.tables import AuditEvent, BlobRow, Lookalike, SubjectKey, Template
from monitor.values import Modality, SubjectId
from tests.alerts import scene
from tests.enrollment.people import MODEL, MODELS, unit_vectors

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from monitor.blobs import BlobStore

PROFILE = Profile("Ada Example", "ada@example.org", "+493012345678", "passport seen")


@pytest.fixture
def ledger(engine: Engine, keys: KeyEncryptionKeys, blobs: BlobStore) -> Ledger:
    return Ledger(engine, keys, blobs, "operator:test")


def enrolled(ledger: Ledger, seed: int = 1) -> SubjectId:
    vectors = unit_vectors(np.random.default_rng(seed), 2)
    samples = [
        Sample("a.jpg", Modality.FACE, MODEL, vector, 0.9, b"the picture itself") for vector in vectors
    ]
    return subjects.add(ledger, PROFILE, samples, keep=True)


def erase(ledger: Ledger, subject_id: SubjectId) -> receipts.Receipt:
    return erasure.erase(ledger.engine, ledger.keks, ledger.blobs, subject_id, ledger.actor)


def test_nothing_is_left_and_the_receipt_counts_it(ledger: Ledger) -> None:
    subject_id, other = enrolled(ledger, 1), enrolled(ledger, 2)
    receipt = erase(ledger, subject_id)
    removed = {name: count for name, count in receipt.removed if count}
    assert removed == {"files": 2, "template": 2, "subject": 1, "reference": 2, "blob": 2}
    assert erasure.is_erased(ledger.engine, subject_id)
    assert not erasure.is_erased(ledger.engine, other)
    with reading(ledger.engine) as session:
        for table in (SubjectKey, Subject, Template, BlobRow, Reference):
            owner = "id" if table is Subject else "subject_id"
            assert {getattr(row, owner) for row in session.exec(select(table))} == {other}
        left = {row.id for row in session.exec(select(BlobRow))}
    assert set(ledger.blobs.ids()) == left


def test_the_receipt_counts_lookalikes_and_their_keys_go(ledger: Ledger) -> None:
    subject_id = enrolled(ledger)
    finding_id = scene.finding(ledger.engine, ledger.keks, subject_id, model_id=MODEL)
    vector = unit_vectors(np.random.default_rng(9), 1)[0]
    with writing(ledger.engine) as session:
        dismissals.record(session, finding_id, subject_id, "subject")
        learnt = Learnt(subject_id, finding_id, Modality.FACE, MODEL, vector, utc_now())
        lookalikes.keep(session, ledger.keks, learnt)
    removed = dict(erase(ledger, subject_id).removed)
    assert (removed["lookalike"], removed["dismissal"]) == (1, 1)
    with reading(ledger.engine) as session:
        assert session.exec(select(Lookalike)).all() == []


def test_the_receipt_verifies_with_the_service_s_key_alone(ledger: Ledger) -> None:
    receipt = erase(ledger, enrolled(ledger))
    public = subject_keys.receipt_public(ledger.engine)
    assert receipts.verify(receipt.to_json(), public) == receipt
    with pytest.raises(Tampered):
        receipts.verify(receipt.to_json(), new_signing_pair()[0])


@pytest.mark.parametrize(
    "change",
    [
        lambda whole: whole["receipt"].update(subject_id="somebody-else"),
        lambda whole: whole["receipt"]["removed"].update(template=99),
        lambda whole: whole["receipt"].update(erased_at="2020-01-01T00:00:00+00:00"),
        lambda whole: whole["receipt"].update(statement="All is well."),
        lambda whole: whole["receipt"].update(added="something"),
        lambda whole: whole.update(signature="AAAA"),
        lambda whole: whole.pop("signature"),
        lambda whole: whole.update(receipt=[]),
    ],
)
def test_a_changed_receipt_does_not_verify(change: Callable[[dict[str, Any]], object]) -> None:
    signer = Signer(new_signing_pair()[1])
    whole = json.loads(
        receipts.sign(signer, "s", "2026-01-01T00:00:00+00:00", {"template": 1}, "Gone.").to_json()
    )
    change(whole)
    with pytest.raises(Tampered):
        receipts.verify(json.dumps(whole), signer.public)


@pytest.mark.parametrize("text", ["", "no json", "[]", "{}", '{"receipt": 1}', "null"])
def test_what_is_no_receipt_is_refused(text: str) -> None:
    with pytest.raises(Tampered):
        receipts.read(text)


def test_a_receipt_signed_by_another_key_does_not_pass_with_its_own(ledger: Ledger) -> None:
    """The public key in the file belongs to whoever wrote the file."""
    forged = receipts.sign(Signer(new_signing_pair()[1]), "s", "2026-01-01T00:00:00+00:00", {}, "Gone.")
    subject_keys.ensure_service_keys(ledger.engine, ledger.keks)
    with pytest.raises(Tampered):
        receipts.verify(forged.to_json(), subject_keys.receipt_public(ledger.engine))


def test_erasing_twice_gives_the_same_receipt(ledger: Ledger) -> None:
    subject_id = enrolled(ledger)
    assert erase(ledger, subject_id) == erase(ledger, subject_id)
    with reading(ledger.engine) as session:
        erased = select(AuditEvent).where(col(AuditEvent.action) == "subject.erase")
        assert len(session.exec(erased).all()) == 1
        audit.verify(session)


def test_nobody_is_not_erased(ledger: Ledger) -> None:
    with pytest.raises(NotFound):
        erase(ledger, SubjectId("never-was"))


def test_nothing_of_the_erased_opens(ledger: Ledger) -> None:
    subject_id = enrolled(ledger)
    with reading(ledger.engine) as session:
        reference = session.exec(select(Reference)).first()
        assert reference is not None
    assert subjects.open_reference(ledger, reference.id) == b"the picture itself"
    contacts = EnrolledContacts(ledger.engine, ledger.keks, Profile)
    assert contacts.contact(subject_id) == Profile("Ada Example", "ada@example.org", "+493012345678")
    erase(ledger, subject_id)
    with pytest.raises(SubjectErased):
        contacts.contact(subject_id)
    with pytest.raises(SubjectErased):
        subjects.show(ledger, subject_id)
    with pytest.raises(NotFound):
        subjects.open_reference(ledger, reference.id)
    with pytest.raises(NotFound):
        contacts.contact(SubjectId("never-was"))


def test_a_wrong_key_erases_nothing(ledger: Ledger) -> None:
    subject_id = enrolled(ledger)
    subject_keys.ensure_service_keys(ledger.engine, ledger.keks)
    wrong = KeyEncryptionKeys({"k1": new_key()})
    with pytest.raises(KeyWrong):
        erasure.erase(ledger.engine, wrong, ledger.blobs, subject_id, "operator:test")
    assert subjects.show(ledger, subject_id).faces == 2


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@pytest.mark.parametrize("step", ["delete", "_scrub", "sign"])
def test_killed_after_any_step_it_goes_on_there(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    subject_id = enrolled(ledger)
    place = {"delete": ledger.blobs, "_scrub": erasure, "sign": receipts}[step]

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(place, step, die)
        with pytest.raises(Killed):
            erase(ledger, subject_id)
    assert erasure.is_erased(ledger.engine, subject_id)
    receipt = erase(ledger, subject_id)
    assert dict(receipt.removed)["files"] == 2
    assert not list(ledger.blobs.ids())


def test_where_the_cascade_is_off_nothing_is_called_erased(
    sqlite_engine: Engine, keys: KeyEncryptionKeys, blobs: BlobStore
) -> None:
    subject_id = enrolled(Ledger(sqlite_engine, keys, blobs, "operator:test"))
    careless = open_engine(str(sqlite_engine.url))
    event.listen(careless, "connect", lambda raw, _: raw.execute("PRAGMA foreign_keys=OFF"))
    ledger = Ledger(careless, keys, blobs, "operator:test")
    with pytest.raises(StorageError, match="stay behind"):
        erase(ledger, subject_id)
    assert subjects.show(ledger, subject_id).faces == 2
    careless.dispose()


def test_a_reader_in_the_way_of_the_log_is_an_error_and_not_a_false_receipt(
    sqlite_engine: Engine, keys: KeyEncryptionKeys, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "SCRUB_WAIT_S", 0)
    ledger = Ledger(sqlite_engine, keys, blobs, "operator:test")
    subject_id = enrolled(ledger)
    with reading(sqlite_engine) as reader:
        assert reader.exec(select(Subject)).all()
        with pytest.raises(StorageError, match="somebody reads"):
            erase(ledger, subject_id)
    with reading(sqlite_engine) as session:
        assert session.get_one(Erasure, subject_id).receipt is None
    assert erase(ledger, subject_id).subject_id == subject_id


def test_the_gallery_forgets_and_the_wrapped_key_leaves_the_files(
    sqlite_engine: Engine, keys: KeyEncryptionKeys, blobs: BlobStore
) -> None:
    ledger = Ledger(sqlite_engine, keys, blobs, "operator:test")
    subject_id = enrolled(ledger)
    gallery = Gallery(sqlite_engine, keys, MODELS)
    finding_id = scene.finding(sqlite_engine, keys, subject_id, model_id=MODEL)
    vector = unit_vectors(np.random.default_rng(9), 1)[0]
    learnt = Learnt(subject_id, finding_id, Modality.FACE, MODEL, vector, utc_now())
    with writing(sqlite_engine) as session:
        lookalikes.keep(session, keys, learnt)
    assert gallery.follow() == 3
    with reading(sqlite_engine) as session:
        wrapped = session.get_one(SubjectKey, subject_id).wrapped
        sealed = [row.sealed for row in session.exec(select(Template))]
        lookalike = session.exec(select(Lookalike)).one()
        sealed += [lookalike.sealed, lookalike.wrapped]
    erase(ledger, subject_id)
    assert gallery.follow() == 2
    folder = blobs.folder.parent
    held = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    for gone in (wrapped, *sealed):
        assert gone not in held
        assert gone[20:52] not in held


def test_enrolling_and_erasing_at_once_leaves_no_half_subject(ledger: Ledger) -> None:
    """One thread erases while another adds templates: each addition either counts or is refused."""
    subject_id = enrolled(ledger)
    vector = unit_vectors(np.random.default_rng(5), 1)[0]
    refused = threading.Event()

    def keep_adding() -> None:
        while not refused.is_set():
            try:
                with writing(ledger.engine) as session:
                    add_template(session, ledger.keks, subject_id, Modality.FACE, MODEL, vector, 1.0)
            except SubjectErased:
                refused.set()

    adding = threading.Thread(target=keep_adding)
    adding.start()
    erase(ledger, subject_id)
    adding.join(10)
    assert refused.is_set()
    assert erasure.is_erased(ledger.engine, subject_id)
    with reading(ledger.engine) as session:
        assert session.connection().execute(text("SELECT count(*) FROM template")).scalar() == 0
