"""The gallery against a brute-force twin, and its promises about fresh, late and erased rows."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy import delete, text, update
from sqlalchemy.exc import OperationalError
from sqlmodel import col

from monitor import gallery_events, gallery_rows, gallery_sets, gallery_shelves
from monitor.crypto import KeyEncryptionKeys, new_key
from monitor.db import reading, writing
from monitor.errors import BadVector, GalleryNotReady, KeyWrong, ModelMismatch, SubjectErased
from monitor.gallery import Compared, Gallery, add_template, alive
from monitor.tables import GalleryEvent, SubjectKey, Template
from monitor.values import Modality, ModelId, SubjectId
from tests.enrollment.people import MODEL, MODELS, SIZE, TwinGallery, enrol, erase_row, unit_vectors

if TYPE_CHECKING:
    from sqlalchemy import Engine

FACE = Modality.FACE


@pytest.fixture
def gallery(engine: Engine, keys: KeyEncryptionKeys) -> Gallery:
    return Gallery(engine, keys, MODELS)


def test_comparing_agrees_with_the_brute_force_twin(
    engine: Engine, keys: KeyEncryptionKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_shelves, "SHELF_ROWS", 16)  # several shelves, and erasures across their edges
    gallery = Gallery(engine, keys, MODELS)
    rng = np.random.default_rng(7)
    twin = TwinGallery()
    people = [enrol(engine, keys, unit_vectors(rng, 3), twin) for _ in range(40)]
    gallery.follow()
    probes = unit_vectors(rng, 25)
    for erased in (None, *people[::7], people[-1]):
        if erased is not None:
            erase_row(engine, erased)
            twin.remove(erased)
            gallery.follow()
        for k in (1, 5, 1000):
            twin.must_agree(gallery.compare(FACE, MODEL, probes, k), probes, k)


def test_planted_distances_come_back_exactly(
    engine: Engine, keys: KeyEncryptionKeys, gallery: Gallery
) -> None:
    rng = np.random.default_rng(8)
    probe, other = np.linalg.qr(rng.standard_normal((SIZE, 2)))[0].T.astype(np.float32)
    planted = {cosine: cosine * probe + np.sqrt(1 - cosine**2) * other for cosine in (0.39, 0.41, 0.48, 0.49)}
    people = {enrol(engine, keys, vector[None]): cosine for cosine, vector in planted.items()}
    gallery.follow()
    (hits,) = gallery.compare(FACE, MODEL, probe[None], 10).nearest
    assert [people[hit.subject_id] for hit in hits] == [0.49, 0.48, 0.41, 0.39]
    assert [hit.score for hit in hits] == pytest.approx([0.49, 0.48, 0.41, 0.39], abs=1e-6)


def test_an_empty_gallery_finds_nobody_and_no_probes_find_nothing(gallery: Gallery) -> None:
    gallery.follow()
    probes = unit_vectors(np.random.default_rng(0), 2)
    assert gallery.compare(FACE, MODEL, probes, 5) == Compared(0, ((), ()))
    assert gallery.compare(FACE, MODEL, np.zeros((0, SIZE), np.float32), 5) == Compared(0, ())
    assert gallery.against(FACE, MODEL, probes, [SubjectId("nobody")]) == {}


def test_a_gallery_never_loaded_is_not_ready(gallery: Gallery) -> None:
    assert not gallery.ready
    with pytest.raises(GalleryNotReady):
        gallery.compare(FACE, MODEL, np.zeros((1, SIZE), np.float32), 1)


def test_vectors_of_another_model_or_size_are_refused(gallery: Gallery) -> None:
    gallery.follow()
    for modality, model, size in (
        (FACE, "other@0/x", SIZE),
        (FACE, MODEL, SIZE + 1),
        (Modality.VOICE, MODEL, SIZE),
    ):
        with pytest.raises(ModelMismatch):
            gallery.compare(modality, ModelId(model), np.eye(1, size, dtype=np.float32), 1)
        with pytest.raises(ModelMismatch):
            gallery.against(modality, ModelId(model), np.eye(1, size, dtype=np.float32), [])


def test_templates_of_another_model_stay_out(
    engine: Engine, keys: KeyEncryptionKeys, gallery: Gallery
) -> None:
    vectors = unit_vectors(np.random.default_rng(1), 1)
    enrol(engine, keys, vectors, model=ModelId("other@0/x"))
    gallery.follow()
    assert gallery.sizes == {FACE: 0}


def test_only_a_vector_of_length_one_becomes_a_template(engine: Engine, keys: KeyEncryptionKeys) -> None:
    for wrong in (np.zeros(SIZE), np.full(SIZE, np.nan), np.ones(SIZE), np.eye(2)):
        with pytest.raises(ModelMismatch):
            enrol(engine, keys, wrong[None].astype(np.float32))


def test_nobody_enrols_into_an_erased_subject(engine: Engine, keys: KeyEncryptionKeys) -> None:
    vectors = unit_vectors(np.random.default_rng(1), 1)
    subject_id = enrol(engine, keys, vectors)
    erase_row(engine, subject_id)
    with pytest.raises(SubjectErased), writing(engine) as session:
        add_template(session, keys, subject_id, FACE, MODEL, vectors[0], 1.0)


def test_follow_is_incremental_and_counts_changes(
    engine: Engine, keys: KeyEncryptionKeys, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_rows, "PAGE", 3)
    monkeypatch.setattr(gallery_events, "EVENTS_AT_ONCE", 2)
    rng = np.random.default_rng(2)
    first = enrol(engine, keys, unit_vectors(rng, 5))
    enrol(engine, keys, unit_vectors(rng, 4))
    assert gallery.follow() == 9
    assert gallery.follow() == 0
    enrol(engine, keys, unit_vectors(rng, 3))
    assert gallery.follow() == 3
    erase_row(engine, first)
    assert gallery.follow() == 5
    assert gallery.sizes == {FACE: 7}
    assert gallery.seq == 13


def test_alive_is_the_ledger_s_word(engine: Engine, keys: KeyEncryptionKeys, gallery: Gallery) -> None:
    vectors = unit_vectors(np.random.default_rng(3), 2)
    kept, erased = (enrol(engine, keys, vector[None]) for vector in vectors)
    gallery.follow()
    erase_row(engine, erased)
    matched = [hit.subject_id for hit in gallery.compare(FACE, MODEL, vectors[1][None], 2).nearest[0]]
    assert erased in matched  # the tombstone has not been followed yet
    with reading(engine) as session:
        assert alive(session, [*matched, SubjectId("never-was")]) == {kept}


def test_a_transaction_that_commits_late_is_not_lost(
    postgres_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    rng = np.random.default_rng(4)
    early, late = (enrol_subject(postgres_engine, keys) for _ in range(2))
    gallery = Gallery(postgres_engine, keys, MODELS)
    gallery.follow()
    with writing(postgres_engine) as slow:
        add_template(slow, keys, late, FACE, MODEL, unit_vectors(rng, 1)[0], 1.0)
        slow.flush()  # it has its number now, and nobody can see it yet
        with writing(postgres_engine) as quick:
            add_template(quick, keys, early, FACE, MODEL, unit_vectors(rng, 1)[0], 1.0)
        assert gallery.follow() == 1
        seen = gallery.seq
        fresh = Gallery(postgres_engine, keys, MODELS)
        assert fresh.follow() == 1
        time.sleep(
            2.5 * gallery_events.HOLE_SETTLES_S
        )  # old enough to be given up, were it not still running
        for one in (gallery, fresh):
            assert one.follow() == 0
            assert one.follow() == 0
            assert one.seq == seen
    for one in (gallery, fresh):
        assert one.follow() == 1
        assert one.sizes == {FACE: 2}
        assert one.seq > seen


def test_a_number_that_was_rolled_back_is_given_up(
    postgres_engine: Engine, keys: KeyEncryptionKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_events, "HOLE_SETTLES_S", 0.0)
    vector = unit_vectors(np.random.default_rng(5), 1)[0]
    subject_id = enrol_subject(postgres_engine, keys)
    gallery = Gallery(postgres_engine, keys, MODELS)
    with reading(postgres_engine) as session:  # which rolls back at its end
        add_template(session, keys, subject_id, FACE, MODEL, vector, 1.0)
        session.flush()
    with writing(postgres_engine) as session:
        add_template(session, keys, subject_id, FACE, MODEL, vector, 1.0)
    gallery.follow()
    for _ in range(3):
        gallery.follow()
    assert gallery.seq == 2


def test_a_database_that_is_away_is_not_an_empty_gallery(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    gallery = Gallery(sqlite_engine, keys, MODELS)
    enrol(sqlite_engine, keys, unit_vectors(np.random.default_rng(6), 1))
    gallery.follow()
    with sqlite_engine.begin() as connection:
        connection.execute(text("ALTER TABLE gallery_event RENAME TO away"))
    with pytest.raises(GalleryNotReady) as caught:
        gallery.follow()
    assert isinstance(caught.value.__cause__, OperationalError)
    gallery._followed_at = time.monotonic() - 60
    assert not gallery.ready
    with pytest.raises(GalleryNotReady):
        gallery.compare(FACE, MODEL, np.zeros((1, SIZE), np.float32), 1)


def test_a_stale_gallery_looks_again_before_it_answers(
    engine: Engine, keys: KeyEncryptionKeys, gallery: Gallery
) -> None:
    gallery.follow()
    vectors = unit_vectors(np.random.default_rng(9), 1)
    subject_id = enrol(engine, keys, vectors)
    gallery._followed_at = time.monotonic() - 60
    assert gallery.compare(FACE, MODEL, vectors, 1).nearest[0][0].subject_id == subject_id
    assert gallery.ready


def test_the_wrong_key_is_an_error_and_not_an_empty_gallery(
    engine: Engine, keys: KeyEncryptionKeys, gallery: Gallery
) -> None:
    enrol(engine, keys, unit_vectors(np.random.default_rng(10), 1))
    other = Gallery(engine, KeyEncryptionKeys({"k1": new_key()}), MODELS)
    with pytest.raises(KeyWrong):
        other.follow()
    with pytest.raises(KeyWrong):
        other.start()
    assert not other.ready
    assert gallery.follow() == 1


def test_one_changed_row_does_not_switch_the_watch_off(
    engine: Engine, keys: KeyEncryptionKeys, gallery: Gallery
) -> None:
    vectors = unit_vectors(np.random.default_rng(11), 3)
    bad_row, bad_key, good = (enrol(engine, keys, vector[None]) for vector in vectors)
    with writing(engine) as session:
        session.connection().execute(
            update(Template)
            .where(col(Template.subject_id) == bad_row)
            .values(sealed=b"\x01" + bytes(SIZE * 4 + 28))
        )
        wrapped = session.get_one(SubjectKey, bad_key).wrapped
        session.get_one(SubjectKey, bad_key).wrapped = wrapped[:-1] + bytes([wrapped[-1] ^ 1])
    assert gallery.follow() == 1
    assert gallery.compare(FACE, MODEL, vectors[2][None], 5).nearest[0][0].subject_id == good


def test_a_sealed_row_that_is_no_vector_does_not_switch_the_watch_off(
    engine: Engine, keys: KeyEncryptionKeys, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = unit_vectors(np.random.default_rng(17), 2)
    good = enrol(engine, keys, vectors[:1])
    with monkeypatch.context() as older:  # one that was sealed before such rows were refused
        older.setattr(gallery_rows, "_checked", lambda vector: vector)
        enrol(engine, keys, np.full((1, SIZE), np.nan, np.float32))
    assert gallery.follow() == 1
    (nearest,) = gallery.compare(FACE, MODEL, vectors[:1], 5).nearest
    assert [one.subject_id for one in nearest] == [good]


@pytest.mark.parametrize("broken", [np.nan, np.inf, 0.0, 1.0])
def test_a_probe_that_is_no_vector_of_length_one_is_refused(gallery: Gallery, broken: float) -> None:
    gallery.follow()
    for ask in (
        lambda probe: gallery.compare(FACE, MODEL, probe, 1),
        lambda probe: gallery.against(FACE, MODEL, probe, []),
    ):
        with pytest.raises(BadVector):
            ask(np.full((1, SIZE), broken, np.float32))


def test_the_quality_of_a_template_weighs_it_in_the_centroid(
    engine: Engine, keys: KeyEncryptionKeys, gallery: Gallery
) -> None:
    good, poor = np.eye(2, SIZE, dtype=np.float32)
    subject_id = enrol(engine, keys, np.zeros((0, SIZE), np.float32))
    with writing(engine) as session:
        add_template(session, keys, subject_id, FACE, MODEL, good, 0.9)
        add_template(session, keys, subject_id, FACE, MODEL, poor, 0.3)
    gallery.follow()
    centroid = gallery._sets[FACE]._centroids.row(0)
    assert centroid[:2] == pytest.approx(np.array([3, 1]) / np.sqrt(10))


def test_the_follower_in_the_background_keeps_up(engine: Engine, keys: KeyEncryptionKeys) -> None:
    rng = np.random.default_rng(12)
    with Gallery(engine, keys, MODELS) as gallery:
        gallery.start(interval=0.02)
        subject_id = enrol(engine, keys, unit_vectors(rng, 2))
        wait_until(lambda: gallery.sizes == {FACE: 2}, 2.0)
        assert gallery.ready
        erase_row(engine, subject_id)
        wait_until(lambda: gallery.sizes == {FACE: 0}, 1.0)
    assert not gallery.ready


def test_the_follower_survives_a_database_that_goes_and_comes_back(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    with Gallery(sqlite_engine, keys, MODELS) as gallery:
        gallery.start(interval=0.02)
        with sqlite_engine.begin() as connection:
            connection.execute(text("ALTER TABLE gallery_event RENAME TO away"))
        wait_until(lambda: gallery.problem == "gallery_not_ready", 2.0)
        with sqlite_engine.begin() as connection:
            connection.execute(text("ALTER TABLE away RENAME TO gallery_event"))
        enrol(sqlite_engine, keys, unit_vectors(np.random.default_rng(13), 1))
        wait_until(lambda: gallery.sizes == {FACE: 1} and not gallery.problem, 2.0)


def test_a_subject_erased_while_a_search_runs_is_not_returned(
    sqlite_engine: Engine, keys: KeyEncryptionKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stop a search in the middle, erase, let it go on: it gives the next person and not the erased one."""
    vectors = unit_vectors(np.random.default_rng(14), 2)
    erased, kept = (enrol(sqlite_engine, keys, vector[None]) for vector in vectors)
    gallery = Gallery(sqlite_engine, keys, MODELS)
    gallery.follow()
    computed, go_on = threading.Event(), threading.Event()
    knn = gallery_sets.faiss.knn

    def slow_knn(*args: object, **kwargs: object) -> object:
        found = knn(*args, **kwargs)
        computed.set()
        assert go_on.wait(10)
        return found

    monkeypatch.setattr(gallery_sets.faiss, "knn", slow_knn)
    found: list[Compared] = []
    search = threading.Thread(target=lambda: found.append(gallery.compare(FACE, MODEL, vectors[:1], 1)))
    search.start()
    assert computed.wait(10)
    erase_row(sqlite_engine, erased)
    follow = threading.Thread(target=gallery.follow)
    follow.start()
    wait_until(lambda: erased in gallery._sets[FACE]._erased, 2.0)
    go_on.set()
    for thread in (search, follow):
        thread.join(10)
    assert [hit.subject_id for hit in found[0].nearest[0]] == [kept]


def test_searches_and_changes_at_once_stay_exact(engine: Engine, keys: KeyEncryptionKeys) -> None:
    """Hammer one gallery: those who stay are always found with their exact score, the erased never after."""
    rng = np.random.default_rng(15)
    steady = unit_vectors(rng, 20)
    ids = [enrol(engine, keys, vector[None]) for vector in steady]
    wrong: list[str] = []
    with Gallery(engine, keys, MODELS) as gallery:
        gallery.start(interval=0.005)
        done = threading.Event()

        def look() -> None:
            while not done.is_set():
                for vector, subject_id, hits in zip(
                    steady, ids, gallery.compare(FACE, MODEL, steady, 1).nearest, strict=True
                ):
                    if hits[0].subject_id != subject_id or abs(hits[0].score - vector @ vector) > 1e-5:
                        wrong.append(subject_id)

        lookers = [threading.Thread(target=look) for _ in range(3)]
        for thread in lookers:
            thread.start()
        for _ in range(15):
            passing = unit_vectors(rng, 2)
            subject_id = enrol(engine, keys, passing)
            wait_until(lambda: gallery.sizes[FACE] == 22, 5.0)
            erase_row(engine, subject_id)
            wait_until(lambda: gallery.sizes[FACE] == 20, 5.0)
            hits = gallery.compare(FACE, MODEL, passing, 22).nearest
            wrong += [hit.subject_id for line in hits for hit in line if hit.subject_id == subject_id]
        done.set()
        for thread in lookers:
            thread.join(10)
    assert wrong == []


def test_events_pruned_by_an_operator_do_not_break_following(engine: Engine, keys: KeyEncryptionKeys) -> None:
    enrol(engine, keys, unit_vectors(np.random.default_rng(16), 3))
    with writing(engine) as session:
        session.connection().execute(delete(GalleryEvent).where(col(GalleryEvent.seq) < 3))
    gallery = Gallery(engine, keys, MODELS)
    assert gallery.follow() == 3
    assert gallery.follow() == 0


def test_a_gallery_does_not_travel(gallery: Gallery) -> None:
    with pytest.raises(TypeError, match="never pickled"):
        gallery.__reduce__()
    assert "0" in repr(gallery)


def enrol_subject(engine: Engine, keys: KeyEncryptionKeys) -> SubjectId:
    return enrol(engine, keys, np.zeros((0, SIZE), np.float32))


def wait_until(true, seconds: float) -> None:  # noqa: ANN001 - a condition
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(0.005)
