"""Lookalikes: sealed alone, followed by galleries, gone with their key; and a dismissal's states."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy import text
from sqlmodel import col, select

from monitor import audit, dismissals, lookalikes, subject_keys
from monitor.crypto import KeyEncryptionKeys, new_key
from monitor.db import reading, utc_now, writing
from monitor.dismissals import Reason, State
from monitor.errors import KeyMissing, KeyWrong, ModelMismatch, NotFound, SubjectErased
from monitor.gallery import Gallery, add_template, tombstone
from monitor.lookalikes import Learnt
from monitor.tables import AuditEvent, Dismissal, Finding, GalleryEvent, Lookalike, SubjectKey
from monitor.values import FindingId, Modality, ModelId, SubjectId
from tests.alerts import scene
from tests.attacks.test_index_theft import forms
from tests.enrollment.people import MODEL, MODELS, unit_vectors

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from sqlalchemy import Engine

VECTORS = unit_vectors(np.random.default_rng(7), 12)
HERS, THEIRS = VECTORS[0], VECTORS[1]
FOR_A_YEAR = timedelta(days=365)


def enrolled(engine: Engine, keys: KeyEncryptionKeys) -> tuple[SubjectId, FindingId]:
    subject_id = scene.subject(engine, keys)
    with writing(engine) as session:
        add_template(session, keys, subject_id, Modality.FACE, MODEL, HERS, quality=1.0)
    return subject_id, scene.finding(engine, keys, subject_id, model_id=MODEL)


def learn(  # noqa: PLR0917 - the parts of a row
    engine: Engine,
    keys: KeyEncryptionKeys,
    subject_id: SubjectId,
    finding_id: FindingId,
    vector: NDArray[np.float32] = THEIRS,
    model_id: ModelId = MODEL,
) -> str:
    learnt = Learnt(subject_id, finding_id, Modality.FACE, model_id, vector, utc_now() + FOR_A_YEAR)
    with writing(engine) as session:
        return lookalikes.keep(session, keys, learnt)


def nearest_lookalike(gallery: Gallery, vector: NDArray[np.float32] = THEIRS) -> float:
    gallery.follow()
    [[one]] = gallery.compare(Modality.FACE, MODEL, vector[None], 1).nearest
    return one.lookalike


def test_a_lookalike_opens_again_and_its_vector_is_overwritten(
    engine: Engine, keys: KeyEncryptionKeys
) -> None:
    subject_id, finding_id = enrolled(engine, keys)
    learn(engine, keys, subject_id, finding_id)
    [page] = lookalikes.pages(engine, MODELS)
    opening = lookalikes.opened_lookalikes(keys, MODELS, page)

    one = next(opening)

    assert (one.subject_id, one.modality) == (subject_id, Modality.FACE)
    np.testing.assert_array_equal(one.vector, THEIRS)
    assert list(opening) == []
    assert not one.vector.any()


def test_it_is_sealed_under_a_key_of_its_own(engine: Engine, keys: KeyEncryptionKeys) -> None:
    subject_id, finding_id = enrolled(engine, keys)
    learn(engine, keys, subject_id, finding_id)
    with reading(engine) as session:
        row = session.exec(select(Lookalike)).one()
        own = subject_keys.key_of(session, keys, subject_id)
    key = keys.unwrap(row.wrapped, row.kek_id, subject_keys.lookalike_context(subject_id, row.id))

    assert key != own
    assert key not in row.wrapped
    assert THEIRS.tobytes() not in row.sealed


@pytest.mark.parametrize("what", ["wrapped", "sealed", "subject_id"])
def test_a_row_that_was_changed_or_moved_is_passed_over_and_the_others_open(
    engine: Engine, keys: KeyEncryptionKeys, what: str
) -> None:
    subject_id, finding_id = enrolled(engine, keys)
    other, of_other = enrolled(engine, keys)
    changed = learn(engine, keys, subject_id, finding_id)
    learn(engine, keys, other, of_other, VECTORS[2])
    with writing(engine) as session:
        row = session.get_one(Lookalike, changed)
        if what == "subject_id":
            row.subject_id = other
        else:
            setattr(row, what, getattr(row, what)[:-1] + bytes([getattr(row, what)[-1] ^ 1]))

    [page] = lookalikes.pages(engine, MODELS)
    found = [(one.subject_id, one.vector.copy()) for one in lookalikes.opened_lookalikes(keys, MODELS, page)]

    assert [subject for subject, _ in found] == [other]
    np.testing.assert_array_equal(found[0][1], VECTORS[2])


def test_a_wrong_key_is_an_error_and_not_an_empty_list(engine: Engine, keys: KeyEncryptionKeys) -> None:
    subject_id, finding_id = enrolled(engine, keys)
    learn(engine, keys, subject_id, finding_id)
    [page] = lookalikes.pages(engine, MODELS)
    for wrong, error in (({"k1": new_key()}, KeyWrong), ({"k2": new_key()}, KeyMissing)):
        with pytest.raises(error):
            list(lookalikes.opened_lookalikes(KeyEncryptionKeys(wrong), MODELS, page))


@pytest.mark.parametrize("vector", [THEIRS * 2, np.zeros_like(THEIRS), np.full_like(THEIRS, np.nan)])
def test_what_is_no_vector_of_length_1_is_refused(
    sqlite_engine: Engine, keys: KeyEncryptionKeys, vector: NDArray[np.float32]
) -> None:
    subject_id, finding_id = enrolled(sqlite_engine, keys)
    with pytest.raises(ModelMismatch):
        learn(sqlite_engine, keys, subject_id, finding_id, vector)
    with reading(sqlite_engine) as session:
        assert session.exec(select(Lookalike)).all() == []


def test_a_stolen_disk_holds_no_lookalike(
    sqlite_engine: Engine, keys: KeyEncryptionKeys, tmp_path: Path
) -> None:
    subject_id, finding_id = enrolled(sqlite_engine, keys)
    [vector] = unit_vectors(np.random.default_rng(11), 1, size=512)
    learn(sqlite_engine, keys, subject_id, finding_id, vector)
    disk = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"lookalike" in disk
    for how, form in forms(vector):
        assert form not in disk, how


def test_of_the_erased_nothing_is_learnt(engine: Engine, keys: KeyEncryptionKeys) -> None:
    subject_id, finding_id = enrolled(engine, keys)
    scene.erase(engine, subject_id)
    with pytest.raises(SubjectErased):
        learn(engine, keys, subject_id, finding_id)
    with reading(engine) as session:
        assert session.exec(select(GalleryEvent).where(GalleryEvent.kind == "learn")).all() == []


def test_galleries_follow_load_and_forget(engine: Engine, keys: KeyEncryptionKeys) -> None:
    subject_id, finding_id = enrolled(engine, keys)
    with Gallery(engine, keys, MODELS) as running:
        assert nearest_lookalike(running) == -1
        learn(engine, keys, subject_id, finding_id)
        assert nearest_lookalike(running) == pytest.approx(1, abs=1e-5)
        with Gallery(engine, keys, MODELS) as started_later:
            assert nearest_lookalike(started_later) == pytest.approx(1, abs=1e-5)
        with writing(engine) as session:
            lookalikes.forget(session, lookalikes.of_finding(session, finding_id))
        assert nearest_lookalike(running) == -1


def test_an_erased_subjects_lookalikes_are_overwritten_in_memory(
    engine: Engine, keys: KeyEncryptionKeys
) -> None:
    subject_id, finding_id = enrolled(engine, keys)
    learn(engine, keys, subject_id, finding_id)
    with Gallery(engine, keys, MODELS) as gallery:
        gallery.follow()
        held = gallery._sets[Modality.FACE]._sets[subject_id].lookalikes
        memory = held.vectors
        np.testing.assert_array_equal(memory[0], THEIRS)
        with writing(engine) as session:
            tombstone(session, subject_id)
            session.delete(session.get_one(SubjectKey, subject_id))
        gallery.follow()
        assert not memory.any()
    with reading(engine) as session:
        assert session.exec(select(Lookalike)).all() == []


def test_those_of_another_model_stay_sealed(engine: Engine, keys: KeyEncryptionKeys) -> None:
    subject_id, finding_id = enrolled(engine, keys)
    other = ModelId("another@0123456789abcdef/none")
    learn(engine, keys, subject_id, finding_id, model_id=other)
    with Gallery(engine, keys, MODELS) as gallery:
        assert nearest_lookalike(gallery) == -1
        learn(engine, keys, subject_id, finding_id, VECTORS[3], model_id=other)
        assert nearest_lookalike(gallery) == -1
    with reading(engine) as session:
        assert len(lookalikes.of_subject(session, subject_id)) == 2


def test_more_than_so_many_push_the_oldest_out(
    sqlite_engine: Engine, keys: KeyEncryptionKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookalikes, "MOST", 2)
    subject_id, finding_id = enrolled(sqlite_engine, keys)
    ids = [learn(sqlite_engine, keys, subject_id, finding_id, vector) for vector in VECTORS[2:6]]
    with writing(sqlite_engine) as session:
        gone = lookalikes.too_many(session, subject_id, Modality.FACE, MODEL)
        assert [row.id for row in gone] == ids[:2]


def test_rotation_wraps_their_keys_too_and_counts_them(engine: Engine, keys: KeyEncryptionKeys) -> None:
    subject_id, finding_id = enrolled(engine, keys)
    for vector in VECTORS[1:4]:
        learn(engine, keys, subject_id, finding_id, vector)
    assert subject_keys.wrapped_under(engine) == {"k1": 4}
    with pytest.raises(KeyMissing):
        list(subject_keys.rotate(engine, KeyEncryptionKeys({"k2": new_key()})))


def test_a_rotation_that_was_stopped_among_the_lookalikes_goes_on(engine: Engine) -> None:
    one, two = new_key(), new_key()
    before, after = KeyEncryptionKeys({"k1": one}), KeyEncryptionKeys({"k2": two, "k1": one})
    subject_id, finding_id = enrolled(engine, before)
    for vector in VECTORS[1:4]:
        learn(engine, before, subject_id, finding_id, vector)

    rotation = subject_keys.rotate(engine, after, batch=1)
    for _ in range(3):
        next(rotation)
    rotation.close()
    assert subject_keys.wrapped_under(engine) == {"k1": 2, "k2": 2}
    assert list(subject_keys.rotate(engine, after, batch=1))[-1].done == 2

    assert subject_keys.wrapped_under(engine) == {"k2": 4}
    only_new = KeyEncryptionKeys({"k2": two})
    [page] = lookalikes.pages(engine, MODELS)
    assert len([one.vector.any() for one in lookalikes.opened_lookalikes(only_new, MODELS, page)]) == 3


def dismiss(engine: Engine, finding_id: FindingId, subject_id: SubjectId) -> bool:
    with writing(engine) as session:
        return dismissals.record(session, finding_id, subject_id, "subject")


def undo(engine: Engine, finding_id: FindingId, subject_id: SubjectId) -> bool:
    with writing(engine) as session:
        return dismissals.undo(session, finding_id, subject_id, "subject")


def settled(engine: Engine, finding_id: FindingId, state: State, reason: str = "") -> None:
    with writing(engine) as session:
        row = session.get_one(Dismissal, finding_id)
        row.state, row.reason = state, reason


def states(engine: Engine, finding_id: FindingId) -> tuple[str, str]:
    with reading(engine) as session:
        return session.get_one(Finding, finding_id).state, session.get_one(Dismissal, finding_id).state


def test_a_dismissal_is_made_once_and_undone_once_and_both_are_on_record(
    engine: Engine, keys: KeyEncryptionKeys
) -> None:
    subject_id, finding_id = enrolled(engine, keys)
    assert dismiss(engine, finding_id, subject_id)
    assert not dismiss(engine, finding_id, subject_id)
    assert states(engine, finding_id) == ("dismissed", "due")
    learn(engine, keys, subject_id, finding_id)
    settled(engine, finding_id, State.LEARNT)

    assert undo(engine, finding_id, subject_id)
    assert not undo(engine, finding_id, subject_id)

    assert states(engine, finding_id) == ("told", "undone")
    with reading(engine) as session:
        assert session.exec(select(Lookalike)).all() == []
        events = session.exec(select(AuditEvent).order_by(col(AuditEvent.seq))).all()
        audit.verify(session)
    assert [(one.actor, one.action) for one in events] == [
        ("subject", "finding.dismiss"),
        ("subject", "finding.undismiss"),
    ]
    assert dismiss(engine, finding_id, subject_id), "and it can be said again"
    assert states(engine, finding_id) == ("dismissed", "due")


def test_nobody_dismisses_or_restores_what_is_not_theirs(engine: Engine, keys: KeyEncryptionKeys) -> None:
    subject_id, finding_id = enrolled(engine, keys)
    other = scene.subject(engine, keys)
    for act in (dismiss, undo):
        for whose, what in ((other, finding_id), (subject_id, FindingId(uuid.uuid4().hex))):
            with pytest.raises(NotFound):
                act(engine, what, whose)
    with reading(engine) as session:
        assert session.get_one(Finding, finding_id).state == "due"
        assert session.exec(select(Dismissal)).all() == []


def test_when_the_teacher_is_undone_the_copies_teach(engine: Engine, keys: KeyEncryptionKeys) -> None:
    subject_id, teacher = enrolled(engine, keys)
    copy = scene.finding(engine, keys, subject_id, model_id=MODEL)
    for finding_id in (teacher, copy):
        dismiss(engine, finding_id, subject_id)
    learn(engine, keys, subject_id, teacher)
    settled(engine, teacher, State.LEARNT)
    settled(engine, copy, State.NOTHING, Reason.KNOWN)

    undo(engine, teacher, subject_id)

    assert states(engine, copy) == ("dismissed", "due")


def test_how_dismissals_stand_together(engine: Engine, keys: KeyEncryptionKeys) -> None:
    subject_id, first = enrolled(engine, keys)
    second = scene.finding(engine, keys, subject_id, model_id=MODEL)
    with reading(engine) as session:
        assert dismissals.standing(session, [first, second]) is None
        assert dismissals.standing(session, []) is None
    for finding_id in (first, second):
        dismiss(engine, finding_id, subject_id)
    settled(engine, first, State.NOTHING, Reason.TOO_CLOSE)
    with reading(engine) as session:
        assert dismissals.standing(session, [first, second]) == dismissals.Standing(
            State.DUE, frozenset({Reason.TOO_CLOSE}), None
        )
    learn(engine, keys, subject_id, second)
    settled(engine, second, State.LEARNT)
    with reading(engine) as session:
        standing = dismissals.standing(session, [first, second])
    assert standing is not None
    assert standing.state is State.LEARNT
    assert standing.until is not None


def test_an_erasure_takes_dismissals_and_lookalikes(engine: Engine, keys: KeyEncryptionKeys) -> None:
    subject_id, finding_id = enrolled(engine, keys)
    dismiss(engine, finding_id, subject_id)
    learn(engine, keys, subject_id, finding_id)
    scene.erase(engine, subject_id)
    with reading(engine) as session:
        for table in ("lookalike", "dismissal"):
            assert session.connection().execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0  # noqa: S608
