"""The copy of everything: all of it, readable, sealed until it is taken, taken once, gone after a day."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import inspect
from sqlmodel import col, select

from enrollment import consent, delegates, export, export_contents
from enrollment.export import make_due
from enrollment.tables import Account, Export, Hold, Reference, Subject
from monitor import subject_keys
from monitor.db import reading, writing
from monitor.tables import BlobRow, SubjectKey
from tests.alerts import scene
from tests.enrollment.applicant import ANA
from tests.enrollment.people import unit_vectors
from tests.enrollment.residents import PICTURE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.values import SubjectId
    from tests.enrollment.residents import Residents

BEA = "bea@example.org"

AS_ROWS = frozenset(
    [
        "account",
        "alert",
        "alert_budget",
        "challenge",
        "dismissal",
        "drill",
        "given_sample",
        "hold",
        "incident",
        "letter",
        "message_stop",
        "not_renewed",
        "passkey",
        "reference",
        "subject_budget",
    ]
)
"""Tables whose rows a person gets as they are, sealed columns and digests left out."""


def ordered(town: Residents, email: str = ANA) -> str:
    """Ask for a copy by the page, and let the worker make it; give its id."""
    answer = town.browsers[email].post("/account/export", data={"what": "order"})
    assert answer.status_code == 303, answer.text
    assert make_due(town.desk) == 1
    with reading(town.town.engine) as session:
        query = select(Export.id).where(Export.state == "ready")
        return session.exec(query.order_by(col(Export.created_at).desc())).first() or ""


def take(town: Residents, export_id: str, email: str = ANA) -> Any:
    return town.browsers[email].post("/account/export", data={"what": "take", "which": export_id})


def opened(content: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Open a copy: what it says, and its files."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(files["everything.json"]), files


def test_everything_is_in_it(town: Residents) -> None:
    vectors = unit_vectors(town.rng, 2)
    who = town.watched(vectors=vectors)
    finding_id = scene.finding(town.town.engine, town.town.keys, who)
    with writing(town.town.engine) as session:
        bea = ("Bea", BEA)
        delegates.invite(session, town.town.keys, town.town.lookups, who, bea, town.clock())
    answer = take(town, ordered(town))
    assert answer.headers["content-type"] == "application/zip"
    said, files = opened(answer.content)
    # who she is, and what she agreed to, signed
    assert (said["profile"]["name"], said["profile"]["email"], said["subject_id"]) == ("Ana", ANA, who)
    public = subject_keys.receipt_public(town.town.engine)
    records = [files[name].decode() for name in files if name.startswith("consents/")]
    assert len(records) == 3
    assert {consent.verify(text, public).subject_id for text in records} == {who}
    # the samples themselves, the clip, and the vectors
    assert [files[name] for name in files if name.startswith("samples/")] == [PICTURE, PICTURE]
    assert [files[name] for name in files if name.startswith("clips/")] == [b"the clip"]
    held = [
        np.frombuffer(base64.b64decode(one["vector_float32_little_endian_base64"]), "<f4")
        for one in said["measurements"]
    ]
    np.testing.assert_array_equal(np.stack(held), vectors)
    # findings with their evidence, delegates, looks
    assert said["findings"][0]["finding_id"] == finding_id
    assert json.loads(files[f"findings/{finding_id}/evidence.json"])["crops"]
    assert said["delegates"][0]["email"] == BEA
    assert {"consent.give", "export.order"} <= {one["action"] for one in said["looks"]}
    # and a page to read
    page = files["READ-ME-FIRST.html"].decode()
    assert "Ana" in page
    assert "https://pictures.example/a/1.jpg" in page


def test_every_table_that_hangs_on_a_person_is_in_it_or_left_out_by_name(town: Residents) -> None:
    """A new table cannot be forgotten: its rows are in `rows` unless somebody said why not."""
    with town.town.engine.connect() as connection:
        for name in inspect(connection).get_table_names():
            keys = inspect(connection).get_foreign_keys(name)
            if not any(one["referred_table"] == SubjectKey.__tablename__ for one in keys):
                continue
            known = export_contents.TOLD_APART | export_contents.NEVER
            assert name in known | AS_ROWS, f"say of {name} whether a person gets it"


def test_nobody_else_s_things_and_no_secrets_are_in_it(town: Residents) -> None:
    town.watched()
    other = town.watched(BEA)
    cookie = town.browsers[ANA].cookies["session"]
    content = take(town, ordered(town)).content
    _, files = opened(content)
    everything = b"".join(files.values())
    for secret in (other, BEA, cookie):
        assert secret.encode() not in everything
    for name in ("wrapped", "sealed", "lookup", "digest"):
        assert f'"{name}'.encode() not in files["everything.json"]


def test_it_rests_sealed_in_parts_and_no_part_opens_elsewhere(
    town: Residents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PART_BYTES", 1000)
    town.watched()
    export_id = ordered(town)
    with reading(town.town.engine) as session:
        parts = session.exec(select(BlobRow).where(BlobRow.kind == "export")).all()
    assert len(parts) > 3
    for row in parts:
        assert b"PK\x03\x04" not in town.blobs.get(row.id)  # type: ignore[arg-type]
        assert PICTURE not in town.blobs.get(row.id)  # type: ignore[arg-type]
    said, _ = opened(take(town, export_id).content)
    assert said["kind"] == export_contents.KIND


def test_it_is_taken_once_and_is_gone_then(town: Residents) -> None:
    town.watched()
    before = set(town.blobs.ids())
    export_id = ordered(town)
    assert take(town, export_id).status_code == 200
    assert take(town, export_id).status_code == 404
    assert set(town.blobs.ids()) == before
    assert "You took the last copy" in town.browsers[ANA].get("/account/export").text


def test_nobody_else_takes_it(town: Residents) -> None:
    town.watched()
    town.watched(BEA)
    export_id = ordered(town)
    assert take(town, export_id, BEA).status_code == 404
    assert take(town, export_id).status_code == 200


def test_after_a_day_it_is_not_to_be_taken_even_before_the_job_ran(town: Residents) -> None:
    who = town.watched()
    export_id = ordered(town)
    with writing(town.town.engine) as session:
        session.get_one(Export, export_id).expires_at = town.clock() - timedelta(minutes=1)
    assert take(town, export_id).status_code == 404
    with reading(town.town.engine) as session:
        assert export.newest(session, who, town.clock()) is None


def test_a_second_order_while_one_is_made_is_the_same_one(town: Residents) -> None:
    who = town.watched()
    with writing(town.town.engine) as session:
        first = export.order(session, who, town.clock())
        assert export.order(session, who, town.clock()) == first


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def test_killed_half_way_it_is_made_again_and_leaves_no_part_behind(
    town: Residents, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = town.watched()
    before = set(town.blobs.ids())
    with writing(town.town.engine) as session:
        export_id = export.order(session, who, town.clock())
    monkeypatch.setattr(export, "PART_BYTES", 500)

    def dies(*_: Any) -> Iterator[tuple[str, bytes]]:
        yield "big", np.random.default_rng(1).bytes(4000)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(export_contents, "everything", dies)
        with pytest.raises(Killed):
            make_due(town.desk)
    assert set(town.blobs.ids()) > before
    assert make_due(town.desk) == 0  # somebody may still be at it
    town.clock.ahead = timedelta(minutes=10)
    assert make_due(town.desk) == 1
    said, _ = opened(take(town, export_id).content)
    assert said["subject_id"] == who
    assert set(town.blobs.ids()) == before


def test_who_leaves_while_it_is_made_leaves_no_copy(town: Residents) -> None:
    town.watched()
    export_id = ordered(town)
    town.browsers[ANA].post("/account/leave")
    assert set(town.blobs.ids()) == set()
    assert take(town, export_id).status_code in {303, 401}


def test_a_sample_that_is_damaged_does_not_keep_the_rest_back(town: Residents) -> None:
    who = town.watched()
    with reading(town.town.engine) as session:
        broken = session.exec(select(Reference).where(Reference.subject_id == who)).first()
    assert broken is not None
    town.blobs.delete(broken.blob_id)  # type: ignore[arg-type]
    said, files = opened(take(town, ordered(town)).content)
    assert len([name for name in files if name.startswith("samples/")]) == 1
    assert said["subject_id"] == who


def copy_of(town: Residents, who: SubjectId) -> dict[str, Any]:
    return export_contents.gathered(town.desk, who)


def test_during_the_cooling_off_it_is_the_same_for_who_was_let_in_and_who_was_held(town: Residents) -> None:
    """Else anybody could learn by the copy whether a face is enrolled already."""
    ana, bea = town.watched(), town.watched(BEA)
    until = town.clock() + timedelta(hours=10)
    with writing(town.town.engine) as session:
        for who, status in ((ana, "active"), (bea, "held")):
            session.get_one(Account, who).told_from = until
            session.get_one(Subject, who).status = status
        session.add(Hold(id="h", subject_id=bea, reasons="face_near", state="open"))
    first, second = copy_of(town, ana), copy_of(town, bea)
    assert first["standing"] == second["standing"] == "starting"
    assert first["measurements"] == second["measurements"] == []
    assert first["rows"].keys() == second["rows"].keys()
    assert "hold" not in second["rows"]
    assert "face_near" not in json.dumps(second)
