"""From the door to the finding, with the real models: who is found, who is left alone, what is kept."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from sqlmodel import col, select

from monitor import findings
from monitor.db import reading
from monitor.stages.evidence import crop_of
from monitor.tables import BlobRow, Evidence, StageRun
from monitor.values import Band, MediaKind, SyntheticStatus
from tests.assets import media, people

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.story.conftest import Watch

    Pictures = list[NDArray[np.uint8]]

SHE = "Gloria_Macapagal_Arroyo"
OTHER = "Angelina_Jolie"


@pytest.fixture
def hers(data: Path) -> Pictures:
    return people.pictures(data, SHE)


def test_another_picture_of_an_enrolled_person_is_found(watch: Watch, hers: Pictures) -> None:
    subject = watch.enrol("s1", people.jpeg(hers[0]))
    outcome = watch.look(people.jpeg(hers[1]))
    assert outcome.state == "done"
    (view,) = watch.views(outcome)
    assert view.subject_id == subject
    assert view.band is Band.ALERT
    assert view.detail.kind is MediaKind.IMAGE
    assert view.detail.face_score is not None
    assert view.detail.voice_score is None
    assert view.detail.synthetic.status is SyntheticStatus.NOT_ASSESSED
    assert view.origins[0].url == "https://example.org/a"
    with reading(watch.tools.engine) as session:
        crop = crop_of(session, watch.tools.keks, view.finding_id)
        assert findings.verify_chain(session) == 1
        assert len(findings.due(session)) == 1
    assert crop is not None
    assert Image.open(io.BytesIO(crop)).format == "JPEG"


def test_a_stranger_is_nobody(watch: Watch, data: Path, hers: Pictures) -> None:
    watch.enrol("s1", people.jpeg(hers[0]))
    for picture in people.pictures(data, OTHER)[:4]:
        outcome = watch.look(people.jpeg(picture))
        assert (outcome.state, outcome.findings) == ("done", ())
        assert outcome.faces_seen >= 1


def test_she_is_found_in_a_collage_and_bystanders_are_not_in_her_evidence(
    watch: Watch, data: Path, hers: Pictures
) -> None:
    watch.enrol("s1", people.jpeg(hers[0]))
    others = people.pictures(data, OTHER)
    outcome = watch.look(people.jpeg(people.collage([others[0], hers[1], others[1]]), 80))
    assert outcome.faces_seen == 3
    (view,) = watch.views(outcome)
    with reading(watch.tools.engine) as session:
        crop = crop_of(session, watch.tools.keks, view.finding_id)
    assert crop is not None
    seen = watch.tools.pack.faces.detector.detect(np.asarray(Image.open(io.BytesIO(crop))))
    assert len(seen) == 1


def test_she_is_found_in_a_video_at_the_right_seconds(watch: Watch, data: Path, hers: Pictures) -> None:
    watch.enrol("s1", people.jpeg(hers[0]))
    others = people.pictures(data, OTHER)
    slides = [others[0], hers[1], others[1]]
    outcome = watch.look(people.video(slides, seconds_each=2.0))
    (view,) = watch.views(outcome)
    assert view.detail.kind is MediaKind.VIDEO
    (span,) = view.detail.face_spans
    assert span.start_s == pytest.approx(2.0, abs=0.35)
    assert span.end_s == pytest.approx(4.0, abs=0.35)


def test_of_a_match_evidence_and_original_stay_sealed_and_the_bytes_of_the_item_go(
    watch: Watch, hers: Pictures
) -> None:
    watch.enrol("s1", people.jpeg(hers[0]))
    original = people.jpeg(hers[1])
    outcome = watch.look(original)
    with reading(watch.tools.engine) as session:
        kept = session.exec(select(BlobRow)).all()
        evidence = session.exec(select(Evidence)).one()
        opened = json.loads(findings.evidence_of(session, watch.tools.keks, outcome.findings[0]))
    assert [b.id for b in kept] == list(watch.tools.blobs.ids())
    assert watch.item(outcome.media_id).blob_id is None
    assert opened["original"] == kept[0].id
    assert opened["media"]["sha256"] == watch.item(outcome.media_id).sha256
    assert b"jpeg" not in evidence.sealed
    assert original[:64] not in watch.tools.blobs.get(kept[0].id)


def test_of_a_stranger_nothing_stays_but_the_digest(watch: Watch, data: Path, hers: Pictures) -> None:
    watch.enrol("s1", people.jpeg(hers[0]))
    outcome = watch.look(people.jpeg(people.pictures(data, OTHER)[0]))
    assert list(watch.tools.blobs.ids()) == []
    assert watch.item(outcome.media_id).state == "done"


def test_the_same_bytes_again_are_not_looked_at_again_until_somebody_is_enrolled(
    watch: Watch, hers: Pictures
) -> None:
    picture = people.jpeg(hers[1])
    first = watch.look(picture)
    assert first.findings == ()
    watch.submit(picture, "https://example.org/b")
    assert watch.item(first.media_id).state == "done"
    watch.enrol("s1", people.jpeg(hers[0]))
    again = watch.look(picture, "https://example.org/c")
    (view,) = watch.views(again)
    assert [o.url for o in view.origins] == [f"https://example.org/{x}" for x in "abc"]


def test_a_second_look_writes_no_second_finding(watch: Watch, data: Path, hers: Pictures) -> None:
    watch.enrol("s1", people.jpeg(hers[0]))
    picture = people.jpeg(hers[1])
    assert len(watch.look(picture).findings) == 1
    watch.enrol("s2", people.jpeg(people.pictures(data, OTHER)[0]))
    outcome = watch.look(picture)
    assert (outcome.state, outcome.findings) == ("done", ())
    assert len(watch.findings_of(outcome.media_id)) == 1
    assert len(list(watch.tools.blobs.ids())) == 1


def test_each_step_leaves_its_time(watch: Watch, hers: Pictures) -> None:
    outcome = watch.look(people.jpeg(hers[1]))
    with reading(watch.tools.engine) as session:
        steps = [r.stage for r in session.exec(select(StageRun).order_by(col(StageRun.id)))]
    assert steps == ["decode", "detect", "embed", "match", "score", "evidence"]
    assert [t.stage for t in outcome.timings] == steps


@pytest.mark.parametrize(
    ("data_of", "code"),
    [
        (lambda: media.jpeg()[:200], "unreadable"),
        (media.huge_png, "too_many_pixels"),
    ],
)
def test_what_cannot_be_read_is_marked_and_can_be_retried(
    watch: Watch, data_of: Callable[[], bytes], code: str
) -> None:
    outcome = watch.look(data_of())
    row = watch.item(outcome.media_id)
    assert (outcome.state, row.state, row.failed_stage, row.failed_code) == (
        "failed",
        "failed",
        "decode",
        code,
    )
    assert row.blob_id is not None
