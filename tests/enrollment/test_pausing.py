"""A pause: out of every gallery within a second, no finding; back without samples."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlmodel import select

from enrollment import pausing, subjects
from enrollment.profiles import Profile
from enrollment.standing import Standing
from enrollment.tables import Account, Subject
from monitor import findings, lookalikes
from monitor.crypto import KeyEncryptionKeys, parse_keys
from monitor.db import reading, utc_now, writing
from monitor.gallery import Gallery, add_template, alive
from monitor.lookalikes import Learnt
from monitor.tables import Finding
from monitor.values import Modality, SubjectId
from tests.alerts import scene
from tests.enrollment.applicant import ANA
from tests.enrollment.people import MODEL, MODELS, unit_vectors
from tests.enrollment.residents import found
from tests.monitor.test_gallery_processes import KEY, watching, words

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from sqlalchemy import Engine

    from tests.enrollment.residents import Residents

WITHIN_S = 1.0


def enrolled(engine: Engine, keys: KeyEncryptionKeys, vectors: NDArray[np.float32]) -> SubjectId:
    """Make somebody whom an operator enrolled."""
    subject_id = SubjectId(f"s{abs(hash(vectors.tobytes())):x}")
    with writing(engine) as session:
        subjects.create(session, keys, subject_id, Profile("Ana", "ana@example.org"))
        for vector in vectors:
            add_template(session, keys, subject_id, Modality.FACE, MODEL, vector, 1.0)
    return subject_id


def pause(engine: Engine, who: SubjectId) -> None:
    with writing(engine) as session:
        assert pausing.pause(session, who, utc_now())


def resume(engine: Engine, who: SubjectId) -> None:
    with writing(engine) as session:
        assert pausing.resume(session, who, utc_now())


def test_out_of_a_running_gallery_within_a_second_and_back_without_samples(
    engine: Engine, keys: KeyEncryptionKeys
) -> None:
    vectors = unit_vectors(np.random.default_rng(3), 4)
    who, other = enrolled(engine, keys, vectors[:2]), enrolled(engine, keys, vectors[2:])
    with Gallery(engine, keys, MODELS) as gallery:
        gallery.start()
        assert found(gallery, vectors[0]) == [who]
        pause(engine, who)
        assert _becomes(lambda: found(gallery, vectors[0]) == [])
        assert found(gallery, vectors[2]) == [other]
        with Gallery(engine, keys, MODELS) as fresh:  # a worker that starts during the pause
            fresh.follow()
            assert found(fresh, vectors[0]) == []
            assert fresh.sizes == {Modality.FACE: 2}
        resume(engine, who)
        assert _becomes(lambda: found(gallery, vectors[0]) == [who], within_s=2.0)
        assert gallery.sizes == {Modality.FACE: 4}


def test_from_the_commit_on_nobody_alive_is_paused(engine: Engine, keys: KeyEncryptionKeys) -> None:
    who = enrolled(engine, keys, unit_vectors(np.random.default_rng(3), 1))
    pause(engine, who)
    with reading(engine) as session:
        assert alive(session, [who]) == set()
    resume(engine, who)
    with reading(engine) as session:
        assert alive(session, [who]) == {who}


def test_a_paused_person_s_finding_is_not_made(engine: Engine, keys: KeyEncryptionKeys) -> None:
    who = enrolled(engine, keys, unit_vectors(np.random.default_rng(3), 1))
    pause(engine, who)
    with pytest.raises(AssertionError):  # scene.finding insists on one
        scene.finding(engine, keys, who)
    with reading(engine) as session:
        assert session.exec(select(Finding)).all() == []
    resume(engine, who)
    assert findings.FindingId(scene.finding(engine, keys, who))


def test_pausing_and_going_on_many_times_while_templates_come_ends_right(
    engine: Engine, keys: KeyEncryptionKeys
) -> None:
    vectors = unit_vectors(np.random.default_rng(5), 6)
    who = enrolled(engine, keys, vectors[:1])
    with Gallery(engine, keys, MODELS) as gallery:
        gallery.follow()
        for number in range(1, 6):
            pause(engine, who)
            with writing(engine) as session:
                add_template(session, keys, who, Modality.FACE, MODEL, vectors[number], 1.0)
            if number % 2:
                gallery.follow()
                assert gallery.sizes == {Modality.FACE: 0}
            resume(engine, who)
        gallery.follow()
        assert gallery.sizes == {Modality.FACE: 6}


def test_a_lookalike_is_known_again_after_a_pause(engine: Engine, keys: KeyEncryptionKeys) -> None:
    vectors = unit_vectors(np.random.default_rng(3), 2)
    who = enrolled(engine, keys, vectors[:1])
    finding_id = scene.finding(engine, keys, who, model_id=MODEL)
    until = utc_now() + timedelta(days=1)
    with writing(engine) as session:
        learnt = Learnt(who, finding_id, Modality.FACE, MODEL, vectors[1], until)
        lookalikes.keep(session, keys, learnt)
    with Gallery(engine, keys, MODELS) as gallery:
        gallery.follow()
        before = gallery.compare(Modality.FACE, MODEL, vectors[1:], 1).nearest[0][0].lookalike
        pause(engine, who)
        gallery.follow()
        resume(engine, who)
        gallery.follow()
        after = gallery.compare(Modality.FACE, MODEL, vectors[1:], 1).nearest[0][0].lookalike
    assert before == pytest.approx(1.0)
    assert after == pytest.approx(before)


def test_a_gallery_in_another_process_forgets_within_a_second_and_knows_again_within_two(
    engine: Engine,
) -> None:
    keys = KeyEncryptionKeys(parse_keys([KEY]))
    vectors = unit_vectors(np.random.default_rng(3), 1)
    who = enrolled(engine, keys, vectors)
    with watching(engine) as other:
        assert other.ask(f"search {words(vectors[0])}") == who
        pause(engine, who)
        other.sees(0, within_s=WITHIN_S)
        assert other.ask(f"search {words(vectors[0])}") == "nobody"
        resume(engine, who)
        other.sees(1, within_s=2.0)
        assert other.ask(f"search {words(vectors[0])}") == who


def test_pause_and_go_on_by_the_pages(town: Residents) -> None:
    vectors = unit_vectors(town.rng, 1)
    who = town.watched(vectors=vectors)
    browser = town.browsers[ANA]
    assert "Pause the watch?" in browser.get("/account/pause").text
    assert town.standing(who) is Standing.ACTIVE  # a look changes nothing
    assert browser.post("/account/pause").headers["location"] == "/account/pause"
    assert town.standing(who) is Standing.PAUSED
    assert "The watch is paused" in browser.get("/account").text
    browser.post("/account/resume")
    assert town.standing(who) is Standing.ACTIVE
    with town.gallery() as gallery:
        assert found(gallery, vectors[0]) == [who]


def test_where_the_proof_became_overdue_the_messages_wait_after_the_pause(town: Residents) -> None:
    who = town.watched()
    town.browsers[ANA].post("/account/pause")
    with writing(town.town.engine) as session:
        session.get_one(Account, who).proved_until = utc_now() - timedelta(days=1)
    town.browsers[ANA].post("/account/resume")
    assert town.standing(who) is Standing.LAPSED


@pytest.mark.parametrize("standing", [Standing.ACTIVE, Standing.HELD, Standing.STARTING])
def test_during_the_cooling_off_the_button_is_not_there_and_tells_nothing(
    town: Residents, standing: Standing
) -> None:
    who = town.watched()
    with writing(town.town.engine) as session:
        session.get_one(Account, who).told_from = utc_now() + timedelta(hours=1)
        session.get_one(Subject, who).status = standing
    page = town.browsers[ANA].get("/account/pause").text
    assert "There is nothing to pause" in page
    assert "/account/pause" not in town.browsers[ANA].get("/account").text
    town.browsers[ANA].post("/account/pause")
    assert town.standing(who) is standing


def test_pausing_while_others_search_never_breaks_a_search(engine: Engine, keys: KeyEncryptionKeys) -> None:
    vectors = unit_vectors(np.random.default_rng(3), 8)
    who = enrolled(engine, keys, vectors[:1])
    for number in range(1, 8):
        enrolled(engine, keys, vectors[number : number + 1])
    stop, failed = threading.Event(), []
    with Gallery(engine, keys, MODELS) as gallery:
        gallery.start(interval=0.01)

        def search() -> None:
            try:
                while not stop.is_set():
                    gallery.compare(Modality.FACE, MODEL, vectors, 3)
            except Exception as exc:  # noqa: BLE001 - whatever it is, the test fails by it
                failed.append(exc)

        searching = threading.Thread(target=search)
        searching.start()
        for _ in range(10):
            pause(engine, who)
            resume(engine, who)
        stop.set()
        searching.join()
    assert failed == []


def _becomes(what: Callable[[], bool], within_s: float = WITHIN_S) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if what():
            return True
        time.sleep(0.01)
    return False
