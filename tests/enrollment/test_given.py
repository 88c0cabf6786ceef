"""What is taken in by the web form, how it rests, and what the person reads."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from sqlmodel import select

from enrollment import given, references
from enrollment.given import Givers, State
from enrollment.lookups import Lookups
from enrollment.standing import Standing
from enrollment.tables import Account, GivenSample, Reference, Subject
from monitor.db import reading, utc_now, writing
from monitor.errors import (
    EmptyMedia,
    GivenBefore,
    HeicPicture,
    NoFace,
    NoSound,
    NotFound,
    NotMedia,
    StorageFull,
    TooLarge,
    TooManySamples,
)
from monitor.tables import BlobRow
from monitor.values import MediaKind, Modality, SubjectId
from tests.enrollment.newcomer import MOST, Newcomer, begun, signed_in

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys

CUT_OFF = b"--x\r\nContent-Disposition: form-data; name=sample; filename=a\r\n\r\nabc"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
WAV = b"RIFF" + struct.pack("<I", 60) + b"WAVEfmt " + bytes(64)
HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(200)
WEBM = b"\x1aE\xdf\xa3" + bytes(32)


@pytest.fixture
def givers(engine: Engine, keys: KeyEncryptionKeys, blobs: BlobStore) -> Givers:
    return Givers(engine, blobs, Lookups(engine, keys), MOST)


def give(givers: Givers, who: SubjectId, data: bytes = PNG, modality: Modality = Modality.FACE) -> str:
    return given.give(givers, who, modality, data, utc_now())


def test_a_sample_rests_sealed_and_opens_with_its_persons_key_alone(
    givers: Givers, keys: KeyEncryptionKeys
) -> None:
    eva, other = begun(givers.engine, keys), begun(givers.engine, keys, "ann@example.org")
    sample_id = give(givers, eva)
    with reading(givers.engine) as session:
        row = session.get_one(GivenSample, sample_id)
        assert (row.state, row.subject_id) == (State.WAITING, eva)
        assert row.blob_id is not None
        assert session.get_one(BlobRow, row.blob_id).kind == references.GIVEN
        sealed = givers.blobs.get(row.blob_id)  # type: ignore[arg-type]
        opener = references.opener(session, keys, session.get_one(Subject, eva))
        stranger = references.opener(session, keys, session.get_one(Subject, other))
    assert PNG not in sealed
    assert opener.open(sealed, references.info(eva, sample_id)) == PNG
    with pytest.raises(Exception, match="open"):
        stranger.open(sealed, references.info(eva, sample_id))


def test_to_keep_it_is_to_add_a_row(givers: Givers, keys: KeyEncryptionKeys) -> None:
    from enrollment.subjects import Ledger, open_reference  # noqa: PLC0415 - only here

    eva = begun(givers.engine, keys)
    sample_id = give(givers, eva)
    with writing(givers.engine) as session:
        references.keep(session, session.get_one(GivenSample, sample_id))
    with reading(givers.engine) as session:
        assert session.exec(select(Reference.id)).all() == [sample_id]
    assert open_reference(Ledger(givers.engine, keys, givers.blobs, "operator:test"), sample_id) == PNG


@pytest.mark.parametrize(
    ("data", "modality", "error"),
    [
        (b"", Modality.FACE, EmptyMedia),
        (PNG + bytes(MOST), Modality.FACE, TooLarge),
        (HEIC, Modality.FACE, HeicPicture),
        (HEIC.replace(b"ftypheic", b"ftypmif1"), Modality.FACE, HeicPicture),
        (b"%PDF-1.7\n" + PNG, Modality.FACE, NotMedia),
        (b"<html><script>alert(1)</script>" + PNG, Modality.FACE, NotMedia),
        (b"PK\x03\x04" + PNG, Modality.VOICE, NotMedia),
        (b"MZ" + bytes(90), Modality.FACE, NotMedia),
        (WAV, Modality.FACE, NoFace),
        (PNG, Modality.VOICE, NoSound),
    ],
)
def test_what_can_be_no_sample_is_refused_by_its_first_bytes(
    givers: Givers, keys: KeyEncryptionKeys, data: bytes, modality: Modality, error: type[Exception]
) -> None:
    eva = begun(givers.engine, keys)
    with pytest.raises(error) as caught:
        give(givers, eva, data, modality)
    assert getattr(caught.value, "hint", "")
    assert "--" not in f"{caught.value} {caught.value.hint}"  # type: ignore[attr-defined]
    assert list(givers.blobs.ids()) == []


@pytest.mark.parametrize(
    ("data", "modality", "kind"),
    [(PNG, "face", "image"), (WEBM, "face", "video"), (WAV, "voice", "audio"), (WEBM, "voice", "video")],
)
def test_a_browser_s_own_recordings_are_taken(data: bytes, modality: str, kind: str) -> None:
    assert given.check_kind(data, Modality(modality), MOST) is MediaKind(kind)


def test_the_same_bytes_again_are_known_within_the_person(givers: Givers, keys: KeyEncryptionKeys) -> None:
    eva, ann = begun(givers.engine, keys), begun(givers.engine, keys, "ann@example.org")
    first = give(givers, eva)
    with pytest.raises(GivenBefore):
        give(givers, eva)
    give(givers, ann)  # that somebody else gave it tells her nothing
    assert given.remove(givers, eva, first)
    give(givers, eva)


def test_nobody_needs_more_than_the_list_holds(
    givers: Givers, keys: KeyEncryptionKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(given, "MOST_SAMPLES", 2)
    eva = begun(givers.engine, keys)
    for number in range(2):
        give(givers, eva, PNG + bytes([number]))
    give(givers, eva, WAV, Modality.VOICE)
    with pytest.raises(TooManySamples):
        give(givers, eva, PNG + b"more")


def test_nothing_half_stored_stays_behind(
    givers: Givers, keys: KeyEncryptionKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    eva = begun(givers.engine, keys)

    def full(*_: object) -> None:
        msg = "no room"
        raise StorageFull(msg)

    monkeypatch.setattr(references, "blob_row", full)
    with pytest.raises(StorageFull):
        give(givers, eva)
    assert list(givers.blobs.ids()) == []
    with pytest.raises(NotFound):
        give(givers, SubjectId("nobody"))


def test_a_sample_is_taken_back_with_its_bytes_by_its_person_alone(
    givers: Givers, keys: KeyEncryptionKeys
) -> None:
    eva, ann = begun(givers.engine, keys), begun(givers.engine, keys, "ann@example.org")
    sample_id = give(givers, eva)
    assert not given.remove(givers, ann, sample_id)
    with writing(givers.engine) as session:
        session.get_one(GivenSample, sample_id).state = State.ENROLLED
    assert not given.remove(givers, eva, sample_id)
    with writing(givers.engine) as session:
        session.get_one(GivenSample, sample_id).state = State.USABLE
    assert given.remove(givers, eva, sample_id)
    assert not given.remove(givers, eva, sample_id)
    with reading(givers.engine) as session:
        assert session.exec(select(GivenSample)).all() == session.exec(select(BlobRow)).all() == []
    assert list(givers.blobs.ids()) == []


def post(eva: Newcomer, *files: tuple[str, bytes], kind: str = "face", accept: str = "text/html") -> Any:
    parts = [("sample", (name, data, "application/octet-stream")) for name, data in files]
    headers = {"accept": accept, "sec-fetch-site": "same-origin"}
    return eva.browser.post(f"/enrol/{kind}", files=parts, headers=headers)


def test_files_come_by_a_plain_form(eva: Newcomer) -> None:
    answer = post(eva, ("a.png", PNG), ("b.png", PNG + b"b"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/enrol/face#given")
    assert [one.state for one in eva.views()] == [State.WAITING] * 2
    page = eva.browser.get("/enrol/face").text
    assert page.count("We are looking at it.") >= 2
    assert re.search(r'<noscript><meta http-equiv="refresh"', page)


def test_each_file_that_is_not_taken_is_named_with_what_to_do(eva: Newcomer) -> None:
    answer = post(eva, ("a.png", PNG), ("holiday.heic", HEIC), ("<b>.pdf", b"%PDF-1.7"))
    assert answer.status_code == 422
    assert len(eva.views()) == 1
    assert 'data-code="heic"' in answer.text
    assert "holiday.heic" in answer.text
    assert "On an iPhone" in answer.text
    assert "&lt;b&gt;.pdf" in answer.text
    assert "<b>.pdf" not in answer.text


def test_a_script_gets_json(eva: Newcomer) -> None:
    answer = post(eva, ("a", PNG), accept="application/json")
    assert answer.status_code == 200
    assert [one["state"] for one in answer.json()["samples"]] == ["waiting"]
    again = post(eva, ("a", PNG), accept="application/json")
    assert again.status_code == 422
    assert again.json()["problems"][0]["code"] == "given_before"
    assert eva.browser.get("/enrol/samples.json").json()["samples"][0]["kind"] == "face"


def test_an_empty_form_says_so(eva: Newcomer) -> None:
    answer = post(eva, ("", b""))
    assert answer.status_code == 422
    assert "No file was chosen." in answer.text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "multipart/form-data; boundary=x"),
        (CUT_OFF, "multipart/form-data; boundary=x"),
        (b"nothing of it", "multipart/form-data; boundary=x"),
        (b"--x--\r\n", "multipart/form-data"),
        (b"sample=a", "application/x-www-form-urlencoded"),
        (b"--x--\r\n", f"multipart/form-data; boundary={'y' * 300}"),
    ],
)  # fmt: skip
def test_a_form_that_is_none_or_cut_off_is_a_clear_page(eva: Newcomer, body: bytes, kind: str) -> None:
    answer = eva.browser.post("/enrol/face", content=body, headers={"content-type": kind})
    assert answer.status_code == 400
    assert "The file did not come through whole. Try again." in answer.text
    assert eva.views() == []


def test_another_person_sees_and_removes_nothing(eva: Newcomer) -> None:
    post(eva, ("a.png", PNG))
    [mine] = eva.views()
    ann = begun(eva.engine, eva.keys, "ann@example.org")
    cookies = {"cookie": f"session={signed_in(eva.engine, ann)}"}
    eva.browser.cookies.clear()
    assert eva.browser.get("/enrol/samples.json", headers=cookies).json() == {"samples": []}
    path = f"/enrol/samples/{mine.sample_id}/remove"
    assert eva.browser.post(path, headers=cookies).status_code == 404
    assert eva.browser.post(path).status_code == 401
    assert eva.browser.get(path, headers=cookies).status_code == 405
    own = {"cookie": f"session={eva.cookie}"}
    assert eva.browser.post(path, headers={**own, "sec-fetch-site": "cross-site"}).status_code == 403
    assert eva.browser.post(path, headers=own).status_code == 303
    assert eva.views() == []


def test_samples_are_given_in_their_turn_only(eva: Newcomer) -> None:
    assert eva.browser.get("/enrol/voice").headers["location"] == "/enrol/face"
    assert post(eva, ("a", WAV), kind="voice").headers["location"] == "/enrol/face"
    with writing(eva.engine) as session:
        session.get_one(Subject, eva.eva).status = Standing.ACTIVE
        session.get_one(Account, eva.eva).told_from = utc_now()
    assert eva.browser.get("/enrol/face").headers["location"] == "/account"
    assert post(eva, ("a", PNG), accept="application/json").status_code == 409
    assert eva.views() == []


def test_nobody_without_a_session_is_read_from(eva: Newcomer) -> None:
    eva.browser.cookies.clear()
    assert post(eva, ("a", PNG), accept="application/json").status_code == 401
    assert post(eva, ("a", PNG)).headers["location"] == "/enrol"


def test_pages_are_there_only_where_enrolment_is_open(tmp_path: Any) -> None:
    closed = Newcomer.at(tmp_path / "closed", enrolment="closed")
    assert closed.browser.get("/enrol/face").status_code == 404
    assert closed.browser.get("/enrol/voice").status_code == 404
    closed.browser.cookies.clear()  # guidance stays, for those who give more later: signed in, like all else
    assert closed.browser.post("/enrol/guide", content=b"x").status_code == 401
    closed.close()


def test_the_web_process_loads_no_decoder_for_it() -> None:
    """What reads pictures and sound is not even imported by what takes them in."""
    code = (
        "import sys; import enrollment.web.samples, enrollment.web.guide;"
        "print(sorted({'PIL','av','cv2','onnxruntime','faster_whisper'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
