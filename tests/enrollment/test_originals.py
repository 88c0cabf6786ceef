"""Originals that a person gives: sealed at once, read by the worker alone, given back, and gone with them."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from sqlmodel import select

from enrollment import erasure, export_contents, originals, registering
from enrollment.desk import MOST_TRIES
from enrollment.given import Givers
from enrollment.originals import State
from enrollment.samples import Reader
from monitor import subject_keys
from monitor.db import reading
from monitor.errors import BlobMissing, SubjectErased, Tampered
from monitor.originals.known import Shelf
from monitor.originals.tables import KnownOriginal
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.tables import AuditEvent, BlobRow
from monitor.values import BlobId, MediaKind
from tests.assets import media
from tests.enrollment.applicant import ANA
from tests.enrollment.residents import Residents, residents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.originals.known import Known
    from monitor.values import SubjectId

BEA = "bea@example.org"


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    """Give a real decoder."""
    with Decoder(DecodeLimits()) as one:
        yield one


@pytest.fixture
def town(tmp_path: Path, decoder: Decoder) -> Iterator[Residents]:
    """Give a town whose desk can decode."""
    for there in residents(tmp_path / "home"):
        there.desk = replace(there.desk, reader=Reader(_no_models(), decoder, 2**24))
        yield there


def _no_models() -> object:
    """Stand for models: an original is looked at without any."""
    return None


def picture(seed: int = 1) -> bytes:
    """Give a picture in which points stand out."""
    coarse = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), np.uint8)
    image = Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)
    kept = io.BytesIO()
    image.save(kept, "JPEG", quality=92)
    return kept.getvalue()


def send(town: Residents, data: bytes, email: str = ANA, name: str = "beach.jpg") -> int:
    files = {"original": (name, data, "application/octet-stream")}
    return town.browsers[email].post("/account/originals", files=files).status_code


def listed(town: Residents, who: SubjectId) -> list[originals.OriginalView]:
    with reading(town.town.engine) as session:
        return originals.listing(session, town.town.keys, who)


def shelf(town: Residents) -> Shelf:
    return Shelf(town.town.engine, town.town.keys, town.blobs)


def only(town: Residents, who: SubjectId) -> Known:
    [known] = shelf(town).known(who)
    return known


def on_disk(town: Residents) -> bytes:
    home = town.desk.settings.home
    return b"".join(one.read_bytes() for one in home.rglob("*") if one.is_file())


def test_what_is_given_is_sealed_then_read_by_the_worker_and_can_be_compared(town: Residents) -> None:
    ana, data = town.watched(), picture()
    assert send(town, data) == 303
    [waiting] = listed(town, ana)
    assert (waiting.name, waiting.kind, waiting.state) == ("beach.jpg", MediaKind.IMAGE, State.WAITING)
    assert shelf(town).known(ana) == ()
    assert registering.register_due(town.desk) == 1

    [ready] = listed(town, ana)
    assert ready.state is State.READY, ready.said
    assert "It is ready" in town.browsers[ANA].get("/account/originals").text
    known = only(town, ana)
    assert shelf(town).data(known) == data
    assert len(known.marks.points[0].xy) > 50
    with reading(town.town.engine) as session:
        kept = session.exec(select(BlobRow.id).where(BlobRow.kind == "known_original")).all()
    assert len(kept) == 1, "the bytes that waited are deleted"


def test_nothing_of_it_lies_open_on_the_disk(town: Residents) -> None:
    ana, data = town.watched(), picture()
    send(town, data)
    while_waiting = on_disk(town)
    registering.register_due(town.desk)
    marks = only(town, ana).marks
    secrets = {
        "the picture": data[200:232],
        "its hash": marks.hashes[0].tobytes(),
        "its hash as hex": marks.hashes[0].tobytes().hex().encode(),
        "its points": marks.points[0].xy[:4].tobytes(),
        "their looks": marks.points[0].looks[0].tobytes(),
        "its name": b"beach.jpg",
    }
    for disk in (while_waiting, on_disk(town)):
        assert ana.encode() in disk, "else the check below says nothing"
        assert [what for what, secret in secrets.items() if secret in disk] == []


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        (b"", 422, "is empty"),
        (b"just words" * 10, 422, "neither a picture"),
        (b"\0\0\0\x18ftypheic" + bytes(40), 422, "HEIC"),
    ],
)
def test_what_is_no_media_is_refused_at_once(town: Residents, data: bytes, status: int, said: str) -> None:
    ana = town.watched()
    answer = town.browsers[ANA].post("/account/originals", files={"original": ("x.jpg", data)})
    assert answer.status_code == status
    assert said in answer.text
    assert listed(town, ana) == []


@pytest.mark.parametrize("data", [picture()[:600], media.huge_png()], ids=["cut off", "huge"])
def test_what_cannot_be_decoded_is_refused_and_its_bytes_go(town: Residents, data: bytes) -> None:
    ana = town.watched()
    before = set(town.blobs.ids())
    assert send(town, data) == 303
    registering.register_due(town.desk)
    [one] = listed(town, ana)
    assert one.state is State.REFUSED
    assert one.said.sentence.startswith("It cannot be used: ")
    assert set(town.blobs.ids()) == before
    assert shelf(town).known(ana) == ()
    assert one.said.sentence.replace("'", "&#39;") in town.browsers[ANA].get("/account/originals").text


def test_what_ends_its_worker_each_time_is_left_alone(town: Residents) -> None:
    ana = town.watched()
    send(town, picture())
    for _ in range(MOST_TRIES):
        assert registering.QUEUE.claim(town.desk) is not None  # taken up by a worker that dies
        town.clock.ahead += timedelta(minutes=5)
    assert registering.register_due(town.desk) == 0
    [one] = listed(town, ana)
    assert (one.state, one.code) == (State.REFUSED, "worker_died")


def test_the_same_file_is_taken_once_and_other_people_cannot_tell(town: Residents) -> None:
    ana, bea = town.watched(), town.watched(BEA)
    assert send(town, picture()) == 303
    assert send(town, picture()) == 422
    assert send(town, picture(), BEA) == 303
    assert len(listed(town, ana)) == len(listed(town, bea)) == 1
    with reading(town.town.engine) as session:
        lookups = session.exec(select(KnownOriginal.lookup)).all()
    assert len(set(lookups)) == 2, "two people with one picture have nothing in common in the database"


def test_it_is_taken_back_by_its_owner_alone(town: Residents) -> None:
    ana = town.watched()
    town.watched(BEA)
    send(town, picture())
    registering.register_due(town.desk)
    known = only(town, ana)
    page = town.browsers[ANA].get("/account/originals").text
    path = re.findall(r'action="(/account/originals/[0-9a-f]{32}/remove)"', page)[0]
    assert town.browsers[BEA].post(path).status_code == 404
    assert town.browsers[ANA].get(path).status_code in {404, 405}, "nothing acts on GET"
    assert len(listed(town, ana)) == 1
    assert town.browsers[ANA].post(path).status_code == 303
    assert listed(town, ana) == []
    with pytest.raises(BlobMissing):
        shelf(town).data(known)
    with reading(town.town.engine) as session:
        acts = session.exec(select(AuditEvent.action).where(AuditEvent.subject_id == ana)).all()
    assert {"original.add", "original.remove"} <= set(acts)


def test_the_copy_of_everything_has_it(town: Residents) -> None:
    ana, data = town.watched(), picture()
    send(town, data)
    send(town, data2 := picture(2), name="garden.jpg")
    registering.register_due(town.desk)
    send(town, waiting := picture(3), name="late.jpg")
    files = dict(export_contents.everything(town.desk, ana))
    given = [content for name, content in files.items() if name.startswith("originals/")]
    assert sorted(given) == sorted([data, data2, waiting])
    told = json.loads(files["everything.json"])["originals"]
    assert [one["name"] for one in told] == ["beach.jpg", "garden.jpg", "late.jpg"]


def test_it_goes_with_its_person(town: Residents) -> None:
    ana = town.watched()
    send(town, picture())
    registering.register_due(town.desk)
    known = only(town, ana)
    with reading(town.town.engine) as session:
        blob_id = session.exec(select(KnownOriginal.blob_id)).one()
    receipt = erasure.erase(town.town.engine, town.town.keys, town.blobs, ana, "subject")
    assert dict(receipt.removed)["known_original"] == 1
    with pytest.raises(SubjectErased):
        shelf(town).data(known)
    assert BlobId(str(blob_id)) not in set(town.blobs.ids())
    with reading(town.town.engine) as session:
        assert session.exec(select(KnownOriginal)).all() == []


def test_it_goes_with_the_first_consent_and_a_copy_of_the_disk_opens_no_more(town: Residents) -> None:
    ana = town.watched()
    send(town, picture())
    registering.register_due(town.desk)
    send(town, picture(2))
    with reading(town.town.engine) as session:
        rows = session.exec(select(KnownOriginal)).all()
        keys = [one.sealed_key for one in rows if one.sealed_key is not None]
    assert len(rows) == 2
    before = on_disk(town)
    assert all(one in before for one in keys), "else the check below says nothing"

    answer = town.browsers[ANA].post("/account/consents/biometrics", data={"answer": "no"})

    assert answer.status_code == 303
    assert listed(town, ana) == []
    assert not any(one in on_disk(town) for one in keys)


def test_a_row_that_was_moved_to_somebody_else_does_not_open(town: Residents) -> None:
    ana, bea = town.watched(), town.watched(BEA)
    send(town, picture())
    registering.register_due(town.desk)
    with town.town.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE known_original SET subject_id = ?", (bea,))
    assert shelf(town).known(ana) == ()
    assert shelf(town).known(bea) == (), "left out, and logged"
    with reading(town.town.engine) as session:
        row = session.exec(select(KnownOriginal)).one()
        key = subject_keys.key_of(session, town.town.keys, bea)
    with pytest.raises(Tampered):
        originals.name_of(key, row)


def test_an_operator_registers_lists_and_removes(town: Residents) -> None:
    ana = town.watched()
    givers = Givers(town.town.engine, town.blobs, town.town.lookups, 2**24)
    given = (givers, town.town.keys, ana, "press.jpg", picture(), "operator:me", town.clock())
    original_id = originals.give(*given)
    with reading(town.town.engine) as session:
        assert originals.owner_of(session, original_id) == ana
    originals.remove(givers, ana, original_id, "operator:me")
    assert listed(town, ana) == []
