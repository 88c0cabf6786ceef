"""The pages behind "made by a computer?": the section, its pictures, its file, and the page for everybody."""

from __future__ import annotations

import base64
import hashlib

from sqlmodel import select

from monitor.db import reading
from monitor.tables import AuditEvent
from monitor.values import Made, MediaKind, Plate
from tests.alerts import scene
from tests.alerts.visitor import Visitor, link_in
from tests.assets.assessments import HOSTILE, assessed, composite, silent


def _plated() -> tuple[Plate, ...]:
    return (Plate(scene.jpeg(), "The face at 3.0 seconds."),)


def test_the_section_says_verdict_reasons_times_words_and_what_is_not_covered(visitor: Visitor) -> None:
    found = visitor.found(kind=MediaKind.VIDEO, synthetic=assessed())
    path = visitor.open(link_in(visitor.told()[0]))
    page = " ".join(visitor.browser.get(path).text.split())
    for part in (
        "We found signs that this was made or changed by a computer.",
        "no proof",
        "The edge of the face is softer than its middle.",
        "says nothing here",
        "The sound is as thin as on a telephone",
        "The same as a table",
        "Look at the hairline.",
        "It misses faces that a program drew as a whole.",
        "heads@12ab/1",
        "only the mouth was changed (lip-sync)",
        "Please send money.",
        'href="/help/real-or-made"',
        f"/reasons/{found}",
    ):
        assert part in page, part
    assert '<details class="check">' in page, "closed until it is asked for"
    assert "<details open" not in page
    assert "<script>alert" not in page
    assert "&lt;/q&gt;&lt;script&gt;" in page, "what is said in it is text"
    assert "style=" not in page


def test_a_picture_comes_from_the_sealed_evidence_on_record_and_for_its_owner_alone(visitor: Visitor) -> None:
    found = visitor.found(synthetic=assessed(Made.LIKELY, silent(), composite(plates=_plated())))
    [message] = visitor.told()
    assert visitor.browser.get(f"/sightings/nonsense/plates/{found}/0").status_code == 404
    path = visitor.open(link_in(message))

    assert f'src="{path}/plates/{found}/0"' in visitor.browser.get(path).text
    answer = visitor.browser.get(f"{path}/plates/{found}/0")
    assert (answer.status_code, answer.content) == (200, scene.jpeg())
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"] == "no-store"
    with reading(visitor.engine) as session:
        events = session.exec(select(AuditEvent).where(AuditEvent.action == "sighting.plate")).all()
    assert [event.subject_id for event in events] == [visitor.ana]

    other = scene.finding(
        visitor.engine,
        visitor.keys,
        scene.subject(visitor.engine, visitor.keys),
        synthetic=assessed(Made.LIKELY, composite(plates=_plated())),
    )
    for wrong in (f"plates/{found}/1", f"plates/{found}/-1", f"plates/{other}/0", f"reasons/{other}"):
        assert visitor.browser.get(f"{path}/{wrong}").status_code == 404, wrong
    visitor.browser.cookies.clear()
    for hidden in (f"plates/{found}/0", f"reasons/{found}"):
        assert visitor.browser.get(f"{path}/{hidden}").status_code == 404, hidden


def test_the_reasons_are_saved_as_a_file_whose_shape_is_told(visitor: Visitor) -> None:
    synthetic = assessed(Made.LIKELY, composite(plates=_plated()), silent())
    found = visitor.found(synthetic=synthetic, copy_of="ab" * 32)
    path = visitor.open(link_in(visitor.told()[0]))

    answer = visitor.browser.get(f"{path}/reasons/{found}")

    assert answer.headers["content-disposition"] == f'attachment; filename="reasons-{found[:8]}.json"'
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert (told["format"], told["finding_id"]) == ("likeness-reasons/1", found)
    assert told["copy_of_sha256"] == "ab" * 32
    assert "no proof" in told["in_words"]
    said = told["explanation"]
    assert (said["format"], said["verdict"], said["llr"]) == (
        "likeness-explanation/1",
        Made.LIKELY.value,
        3.1,
    )
    assert said["thresholds"] == {"possible": 1.5, "likely": 3.0}
    first, second = said["signals"]
    assert first["moments"][0] == {"start_s": 0.0, "end_s": 1.0, "llr": 2.5}
    assert first["heats"][0]["cells"][2] == [0, 255, 0]
    (plate,) = first["plates"]
    assert base64.b64decode(plate["jpeg"]) == scene.jpeg()
    assert plate["sha256"] == hashlib.sha256(scene.jpeg()).hexdigest()
    assert (second["llr"], second["abstains"]) == (None, "narrow_band")
    assert said["transcript"]["said"][1]["text"] == HOSTILE
    with reading(visitor.engine) as session:
        actions = session.exec(select(AuditEvent.action)).all()
    assert "sighting.reasons" in actions


def test_where_nobody_looked_there_is_no_file_and_the_page_says_so(visitor: Visitor) -> None:
    found = visitor.found()
    path = visitor.open(link_in(visitor.told()[0]))
    assert "We have not checked whether it is real" in visitor.browser.get(path).text
    assert visitor.browser.get(f"{path}/reasons/{found}").status_code == 404
    assert visitor.browser.get(f"{path}/plates/{found}/0").status_code == 404


def test_a_message_never_carries_the_verdict(visitor: Visitor) -> None:
    message = visitor.message(synthetic=assessed())
    for text in (message.text, message.html):
        said = " ".join(text.split())
        assert "stands on your private page" in said
        assert "We found signs" not in said
        assert "send money" not in said


def test_the_page_for_everybody_tells_what_the_words_mean(visitor: Visitor) -> None:
    answer = visitor.browser.get("/help/real-or-made")
    page = " ".join(answer.text.split())
    assert answer.status_code == 200
    for part in ("We cannot tell whether", "reenactment", "lip-sync", "text-to-video", "Follow the edge"):
        assert part in page
    assert "<form" not in page
