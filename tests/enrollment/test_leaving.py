"""Leaving: at once, with a signed receipt, seen to be forgotten by every watcher, while the watch goes on."""

from __future__ import annotations

import json
import math
import threading
import time
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlmodel import select

from enrollment import delegates, erasure, export, receipts
from enrollment.erasure import finish_due, forgotten
from enrollment.tables import Account, Erasure, Letter
from monitor import claims, subject_keys
from monitor.crew import Crew
from monitor.db import reading, writing
from monitor.errors import GalleryNotReady, NotFound
from monitor.gallery import Gallery, alive
from monitor.gallery_sets import Entry, FlatSets
from monitor.tables import AuditEvent
from monitor.values import Modality, SubjectId, TemplateId
from tests.enrollment.applicant import ANA
from tests.enrollment.people import MODEL, MODELS, enrol, erase_row, unit_vectors
from tests.enrollment.residents import found

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys
    from tests.enrollment.residents import Residents

BEA = "bea@example.org"


def leave(town: Residents, email: str = ANA) -> str:
    """Press the one button; give the path of the receipt."""
    answer = town.browsers[email].post("/account/leave")
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def test_a_look_erases_nothing_and_says_what_goes_and_what_stays(town: Residents) -> None:
    who = town.watched()
    page = town.browsers[ANA].get("/account/leave").text
    for part in ("Nothing is erased yet", "What goes", "What stays", "Backups"):
        assert part in page
    assert not erasure.is_erased(town.town.engine, who)


def test_one_button_and_everything_is_gone_with_a_receipt_that_verifies(town: Residents) -> None:
    who, other = town.watched(), town.watched(BEA)
    path = leave(town)
    assert path == f"/enrol/erased/{who}"
    assert erasure.is_erased(town.town.engine, who)
    assert not erasure.is_erased(town.town.engine, other)
    page = town.town.browser().get(path)  # nobody is signed in there
    assert "Everything is erased" in page.text
    text = town.town.browser().get(f"{path}/receipt.json").text
    receipt = receipts.verify(text, subject_keys.receipt_public(town.town.engine))
    assert receipt.subject_id == who
    assert dict(receipt.removed)["consent"] == 3
    assert town.browsers[ANA].get("/account").status_code in {303, 401}


def test_the_last_letter_goes_to_the_address_and_its_address_goes_with_it(town: Residents) -> None:
    town.watched()
    path = leave(town)
    [letter] = town.town.delivered()
    assert letter.to == ANA
    assert path in letter.text
    with reading(town.town.engine) as session:
        assert [row.sealed for row in session.exec(select(Letter))] == [b"", b""]  # the way in, and this one


def test_who_never_gave_a_second_factor_can_leave(town: Residents) -> None:
    who = town.begun()
    leave(town)
    assert erasure.is_erased(town.town.engine, who)


def test_of_nobody_there_is_no_receipt(town: Residents) -> None:
    who = town.watched()
    for path in ("/enrol/erased/x", f"/enrol/erased/{who}", f"/enrol/erased/{who}/receipt.json"):
        assert town.town.browser().get(path).status_code == 404
    with pytest.raises(NotFound):
        forgotten(town.town.engine, who)


def test_each_watcher_says_when_it_has_forgotten(town: Residents) -> None:
    who = town.watched()
    engine = town.town.engine
    with town.gallery() as one, town.gallery() as two:
        for name, gallery in (("worker:1", one), ("worker:2", two)):
            claims.heartbeat(engine, name, 60.0, name, gallery.seq)
        claims.heartbeat(engine, "dead", -1.0, "worker:3", 0)
        leave(town)
        assert (forgotten(engine, who).workers, forgotten(engine, who).forgot) == (2, 0)
        assert "0 of 2" in town.town.browser().get(f"/enrol/erased/{who}").text
        one.follow()
        claims.heartbeat(engine, "worker:1", 60.0, "worker:1", one.seq)
        assert forgotten(engine, who).forgot == 1
        assert not forgotten(engine, who).by_all
        two.follow()
        claims.heartbeat(engine, "worker:2", 60.0, "worker:2", two.seq)
        assert forgotten(engine, who).by_all
    assert "2 of 2" in town.town.browser().get(f"/enrol/erased/{who}").text


def test_a_worker_s_pulse_says_at_once_that_it_has_forgotten(town: Residents) -> None:
    who, engine = town.watched(), town.town.engine
    with town.gallery() as gallery:
        gallery.start(interval=0.05)
        tools: Any = SimpleNamespace(
            engine=engine, gallery=gallery, sides=(SimpleNamespace(gallery=gallery),)
        )
        crew = Crew(tools, threads=1, lease_s=3600.0, seen=lambda _: None)
        pulse = threading.Thread(target=crew._pulse)
        pulse.start()
        try:
            until = time.monotonic() + 20
            while claims_of(engine) != (1, 1) and time.monotonic() < until:
                time.sleep(0.05)
            leave(town)  # with leases of an hour the next regular pulse would be a quarter of an hour away
            while not forgotten(engine, who).by_all and time.monotonic() < until:
                time.sleep(0.05)
            assert (forgotten(engine, who).workers, forgotten(engine, who).forgot) == (1, 1)
        finally:
            crew._quiet.set()
            pulse.join()


def claims_of(engine: Engine) -> tuple[int, int]:
    with reading(engine) as session:
        return claims.followed(session, 0)


def test_a_gallery_that_still_finds_somebody_says_so_and_loads_anew(
    sqlite_engine: Engine, keys: KeyEncryptionKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The self-query is a real one: where the vector is left in the index, the tombstone is not passed."""
    vectors = unit_vectors(np.random.default_rng(3), 2)
    who, other = enrol(sqlite_engine, keys, vectors[:1]), enrol(sqlite_engine, keys, vectors[1:])
    with Gallery(sqlite_engine, keys, MODELS) as gallery:
        gallery.follow()
        before = gallery.seq
        with monkeypatch.context() as patch:
            patch.setattr(FlatSets, "_close_gap", lambda *_: None)
            erase_row(sqlite_engine, who)
            with pytest.raises(GalleryNotReady, match="still found"):
                gallery.follow()
            assert gallery.seq < before
            with pytest.raises(GalleryNotReady):
                gallery.compare(Modality.FACE, MODEL, vectors, 1)
        gallery.follow()
        assert gallery.seq > before
        assert found(gallery, vectors[0]) == []
        assert found(gallery, vectors[1]) == [other]


def test_the_self_query_leaves_no_copy_of_the_vector() -> None:
    vector = unit_vectors(np.random.default_rng(3), 1)[0]
    held = FlatSets(len(vector))
    held.add([Entry(SubjectId("s"), TemplateId("t"), vector)])
    assert held.remove(SubjectId("s")) == 1
    assert not held._scratch.any()


def test_erasing_while_a_match_is_running_breaks_nothing_and_finds_nobody_after_the_receipt(
    town: Residents,
) -> None:
    vectors = unit_vectors(town.rng, 12)
    people = [town.watched(f"p{n}@example.org", vectors[n : n + 1]) for n in range(3)]
    engine, stop, failed = town.town.engine, threading.Event(), []
    hits: list[tuple[bool, set[SubjectId]]] = []
    with Gallery(engine, town.town.keys, MODELS) as gallery:
        gallery.start(interval=0.02)

        def match() -> None:
            try:
                while not stop.is_set():
                    erased = {who for who in people if erasure.is_erased(engine, who)}
                    compared = gallery.compare(Modality.FACE, MODEL, vectors[:3], 3)
                    seen = {one.subject_id for line in compared.nearest for one in line if one.score > 0.9}
                    with reading(engine) as session:
                        hits.append((bool(erased), alive(session, seen) & erased))
            except Exception as exc:  # noqa: BLE001 - whatever it is, the test fails by it
                failed.append(exc)

        threads = [threading.Thread(target=match) for _ in range(2)]
        for thread in threads:
            thread.start()
        for number in (0, 1):
            leave(town, f"p{number}@example.org")
        stop.wait(1.0)
        stop.set()
        for thread in threads:
            thread.join()
        assert failed == []
        assert any(after for after, _ in hits)
        assert all(not named for _, named in hits)
        assert found(gallery, vectors[0]) == []
        assert found(gallery, vectors[2]) == [people[2]]


def test_from_the_click_to_unmatched_takes_less_than_a_second(town: Residents) -> None:
    vectors = unit_vectors(town.rng, 2)
    who, other = town.watched(vectors=vectors[:1]), town.watched(BEA, vectors[1:])
    engine, keks = town.town.engine, town.town.keys
    with Gallery(engine, keks, MODELS) as gallery:
        gallery.start()

        def finds(one: SubjectId, vector: int) -> bool:
            seen = found(gallery, vectors[vector])
            with reading(engine) as session:  # as match does before it says a name
                return one in alive(session, seen)

        def erase() -> object:
            return erasure.erase(engine, keks, town.blobs, who, "subject")

        assert erasure.seconds_to_unmatched(erase, lambda: finds(who, 0), 10.0) < 1.0
        assert erasure.seconds_to_unmatched(lambda: None, lambda: finds(other, 1), 0.2) == math.inf


def test_a_reader_in_the_way_does_not_hold_the_person_back_and_the_worker_signs_later(
    town: Residents, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = town.watched()
    monkeypatch.setattr(erasure, "SCRUB_WAIT_S", 0)
    with reading(town.town.engine) as reader:
        assert reader.exec(select(Account)).all()
        path = leave(town)
    assert erasure.is_erased(town.town.engine, who)
    assert "receipt follows" in town.town.browser().get(path).text
    assert town.town.browser().get(f"{path}/receipt.json").status_code == 404
    assert finish_due(town.desk) == 1
    assert finish_due(town.desk) == 0
    assert town.town.browser().get(f"{path}/receipt.json").status_code == 200


def test_during_the_cooling_off_the_receipt_does_not_say_who_was_let_in(town: Residents) -> None:
    town.watched()
    with writing(town.town.engine) as session:
        account = session.exec(select(Account)).one()
        account.told_from = town.clock() + timedelta(hours=1)
    text = town.town.browser().get(f"{leave(town)}/receipt.json").text
    assert "template" not in json.loads(text)["receipt"]["removed"]


def test_nothing_of_any_table_is_left_on_disk_or_in_memory(town: Residents, tmp_path: Path) -> None:
    """Database files, blobs and logs are scanned for what identified her, and the gallery's memory."""
    vectors = unit_vectors(town.rng, 2)
    who = town.watched(vectors=vectors)
    with writing(town.town.engine) as session:
        bea = ("Bea Trusted", BEA)
        delegates.invite(session, town.town.keys, town.town.lookups, who, bea, town.clock())
        export.order(session, who, town.clock())
    export.make_due(town.desk)
    lookup = town.town.lookups.email(ANA)
    folder = tmp_path / "home"
    assert lookup.encode() in _held(folder)  # the scan finds what is there
    with town.gallery() as gallery:
        leave(town)
        gallery.follow()
        town.town.delivered()
        assert sum(gallery.sizes.values()) == 0
    held = _held(folder)
    for gone in (ANA.encode(), b"Bea Trusted", lookup.encode(), *(one.tobytes() for one in vectors)):
        assert gone not in held
    assert set(town.blobs.ids()) == set()
    with reading(town.town.engine) as session:
        left = session.exec(select(Erasure)).one()
        details = " ".join(one.detail for one in session.exec(select(AuditEvent)))
    assert ANA not in f"{left.counts}{left.receipt}{details}"


def _held(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
