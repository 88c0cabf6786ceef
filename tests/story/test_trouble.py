"""What can go wrong around an item: the gallery, the disk, a model, an erasure, a crowd."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlmodel import select

from monitor import claims, gallery, subject_keys
from monitor.budget import Dial, halves_of
from monitor.claims import Hold
from monitor.db import reading, writing
from monitor.errors import StorageFull
from monitor.gallery import Gallery, models_of
from monitor.pipeline import begin, look, process
from monitor.tables import BlobRow, Finding, SubjectKey
from monitor.values import Band, Modality, SubjectId
from tests.assets import media, people

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.blobs import BlobStore
    from monitor.ml.interfaces import Thresholds
    from tests.story.conftest import Watch

    Pictures = list[NDArray[np.uint8]]

OWNER = "test:1"


@pytest.fixture
def hers(data: Path) -> Pictures:
    return people.pictures(data, "Gloria_Macapagal_Arroyo")


def test_a_gallery_that_is_not_ready_is_not_found_nothing(watch: Watch, hers: Pictures) -> None:
    subject_keys.ensure_service_keys(watch.tools.engine, watch.tools.keks)
    unready = Gallery(watch.tools.engine, watch.tools.keks, models_of(watch.tools.pack))
    media_id = watch.submit(people.jpeg(hers[1]))
    claims.claim(watch.tools.engine, OWNER, 60.0, 1)
    outcome = process(media_id, dataclasses.replace(watch.tools, gallery=unready), OWNER)
    assert (outcome.state, outcome.code) == ("released", "gallery_not_ready")
    row = watch.item(media_id)
    assert (row.state, row.attempts, row.failed_code) == ("received", 0, None)
    assert row.blob_id is not None


class FullDisk:
    """A blob store whose disk is full: it gives and takes nothing new."""

    def __init__(self, inner: BlobStore) -> None:
        """Stand before a real store."""
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        """Pass everything else on."""
        return getattr(self.inner, name)

    def put(self, _: bytes) -> str:
        """Refuse."""
        msg = "no room left"
        raise StorageFull(msg)


def test_a_full_disk_fails_the_item_and_a_retry_finds_her(watch: Watch, hers: Pictures) -> None:
    watch.enrol("s1", people.jpeg(hers[0]))
    media_id = watch.submit(people.jpeg(hers[1]))
    claims.claim(watch.tools.engine, OWNER, 60.0, 1)
    outcome = process(media_id, dataclasses.replace(watch.tools, blobs=FullDisk(watch.tools.blobs)), OWNER)
    row = watch.item(media_id)
    assert (outcome.state, row.failed_stage, row.failed_code) == ("failed", "evidence", "storage_full")
    assert watch.findings_of(media_id) == []
    claims.retry(watch.tools.engine, media_id)
    (again,) = watch.work()
    assert len(again.findings) == 1


def test_an_unforeseen_error_ends_its_item_and_not_the_crew(
    watch: Watch, hers: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = watch.submit(people.jpeg(hers[0])), watch.submit(people.jpeg(hers[1]))

    def break_once(*_: object) -> object:
        monkeypatch.undo()
        msg = "a secret of a library"
        raise RuntimeError(msg)

    monkeypatch.setattr("monitor.pipeline.embed", break_once)
    outcomes = {o.media_id: o for o in watch.work()}
    assert (outcomes[bad].state, outcomes[bad].stage, outcomes[bad].code) == ("failed", "embed", "error")
    assert outcomes[good].state == "done"
    assert "secret" not in (watch.item(bad).failed_reason or "")


def test_evidence_that_cannot_be_made_whole_fails_the_item_and_a_retry_finds_her(
    watch: Watch, hers: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.enrol("s1", people.jpeg(hers[0]))
    other = people.jpeg(hers[1])

    def broken(*_: object, **__: object) -> None:
        msg = "encoder error -2"
        raise OSError(msg)

    monkeypatch.setattr("monitor.stages.evidence.Image.Image.save", broken)
    outcome = watch.look(other)
    monkeypatch.undo()
    row = watch.item(outcome.media_id)
    assert (row.state, row.failed_stage, row.failed_code) == ("failed", "evidence", "evidence_incomplete")
    assert watch.findings_of(outcome.media_id) == []
    assert [str(one) for one in watch.tools.blobs.ids()] == [row.blob_id]
    claims.retry(watch.tools.engine, outcome.media_id)
    (again,) = watch.work()
    assert len(again.findings) == 1


def test_a_lost_lease_writes_nothing(watch: Watch, hers: Pictures) -> None:
    watch.enrol("s1", people.jpeg(hers[0]))
    media_id = watch.submit(people.jpeg(hers[1]))
    (work,) = claims.claim(watch.tools.engine, OWNER, 60.0, 1)
    begun = begin(Hold(media_id, OWNER), work, watch.tools)
    with writing(watch.tools.engine) as session:
        row = session.merge(watch.item(media_id))
        row.lease_owner = "somebody else"
    before = set(watch.tools.blobs.ids())
    assert look(begun, watch.tools).state == "lost"
    assert watch.findings_of(media_id) == []
    assert set(watch.tools.blobs.ids()) == before


def test_who_is_erased_while_we_look_is_not_found(
    watch: Watch, hers: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.enrol("s1", people.jpeg(hers[0]))

    def erase_then_score(*args: Any) -> Any:
        with writing(watch.tools.engine) as session:
            gallery.tombstone(session, args[0].candidates[0].subject_id)
            session.delete(session.exec(select(SubjectKey)).one())
        monkeypatch.undo()
        from monitor.stages.score import score  # noqa: PLC0415 - the real one

        return score(*args)

    monkeypatch.setattr("monitor.pipeline.score", erase_then_score)
    outcome = watch.look(people.jpeg(hers[1]))
    assert (outcome.state, outcome.findings) == ("done", ())
    with reading(watch.tools.engine) as session:
        assert session.exec(select(Finding)).all() == []
        assert session.exec(select(BlobRow)).all() == []
    assert list(watch.tools.blobs.ids()) == []


class Strict(Dial):
    """A dial under which nothing is told before a human looked."""

    def of(self, modality: Modality, subject_id: SubjectId) -> Thresholds:
        """Give an alert threshold that nothing reaches."""
        return dataclasses.replace(super().of(modality, subject_id), alert=0.99)


def test_a_held_finding_gives_way_to_a_sure_one(watch: Watch, data: Path, hers: Pictures) -> None:
    watch.enrol("s1", people.jpeg(hers[0]))
    sure = watch.tools
    with Strict(watch.tools.engine, halves_of(sure.pack)) as dial:
        watch.tools = dataclasses.replace(sure, dial=dial)
        (held,) = watch.views(watch.look(people.jpeg(hers[1])))
    watch.tools = sure
    watch.enrol("s2", people.jpeg(people.pictures(data, "Angelina_Jolie")[0]))  # so that a look is due
    (told,) = watch.views(watch.look(people.jpeg(hers[1])))
    assert (held.band, told.band) == (Band.REVIEW, Band.ALERT)
    assert watch.findings_of(told.media_id) == [told.finding_id]


def test_five_hundred_faces_are_all_looked_at(watch: Watch, data: Path, hers: Pictures) -> None:
    watch.enrol("s1", people.jpeg(hers[0]))
    others = [p for who in ("Angelina_Jolie", "Colin_Powell") for p in people.pictures(data, who)]
    tiles = [people.resized(p[60:190, 60:190], 0.5) for p in (others * 20)[:499]]
    tiles.insert(250, people.resized(hers[1][60:190, 60:190], 0.5))
    rows = [np.concatenate(tiles[n : n + 25], axis=1) for n in range(0, 500, 25)]
    outcome = watch.look(people.jpeg(np.concatenate(rows)))
    assert outcome.state == "done"
    assert outcome.faces_seen > 400


def test_somebody_sealed_before_an_item_was_taken_is_found_though_nobody_looked_since(
    watch: Watch, hers: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No follower runs beside this crew, and the gallery is not stale: only taking the item makes it look."""
    watch.tools.gallery.stop()
    monkeypatch.setattr(gallery, "STALE_AFTER_S", 3600)
    watch.tools.gallery.follow()
    with monkeypatch.context() as unseen:
        unseen.setattr(watch.tools.gallery, "follow", lambda: None)
        watch.enrol("s1", people.jpeg(hers[0]))
    watch.submit(people.jpeg(hers[1]))

    (outcome,) = watch.work()

    assert [view.subject_id for view in watch.views(outcome)] == ["s1"]


def test_silence_and_stillness_are_nobody(watch: Watch) -> None:
    outcome = watch.look(media.mp4())
    assert (outcome.state, outcome.faces_seen, outcome.turns_seen) == ("done", 0, 0)


def test_what_a_limit_left_out_is_told(watch: Watch, monkeypatch: pytest.MonkeyPatch, hers: Pictures) -> None:
    monkeypatch.setattr("monitor.stages.detect.MOST_TRACKS", 1)
    outcome = watch.look(people.jpeg(people.collage([hers[0], hers[1]])))
    assert outcome.faces_seen == 1
    assert "too_many_faces" in (watch.item(outcome.media_id).not_looked or "")
