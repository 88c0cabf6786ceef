"""`likeness subject`, typed as an operator types it, with real pictures and a real voice."""

from __future__ import annotations

import base64
import json
import shutil
from typing import TYPE_CHECKING

import pytest
from sqlmodel import col, select
from typer.testing import CliRunner

from enrollment.cli import app
from enrollment.cli_samples import _repeated
from enrollment.tables import Reference
from monitor import audit, subject_keys
from monitor.crypto import KeyEncryptionKeys, new_key_line
from monitor.db import open_engine, reading
from monitor.errors import (
    AgeNotStated,
    ConfigError,
    ContactInvalid,
    KeyMissing,
    NotFound,
    SampleError,
    StorageError,
    Tampered,
    TooYoung,
)
from monitor.gallery import Gallery, models_of
from monitor.settings import load_settings
from monitor.tables import AuditEvent, Template
from monitor.values import Modality
from tests.assets import media

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result
    from sqlalchemy import Engine

    from monitor.ml.interfaces import Pack

run = CliRunner()
ATTESTED = ("--attest", "passport seen", "--born", "1990-05-23")


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKENESS_KEK", new_key_line("k1"))


@pytest.fixture
def face(data: Path) -> str:
    return str(data / "faces/lfw-dev/Adrien_Brody/Adrien_Brody_0001.jpg")


@pytest.fixture
def voice(data: Path) -> str:
    return str(data / "voices/real/librispeech-test-other/1688/1688-142285-0000.flac")


@pytest.fixture
def ledger() -> Iterator[Engine]:
    engine = open_engine(load_settings().database)
    yield engine
    engine.dispose()


def typed(*arguments: str, answer: str | None = None) -> Result:
    """Run one verb; an error of ours comes out as it does in `likeness`."""
    return run.invoke(app, list(arguments), catch_exceptions=False, env={"COLUMNS": "200"}, input=answer)


def said(*arguments: str) -> dict:
    done = typed(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_person_is_enrolled_listed_shown_and_erased(
    face: str, voice: str, ledger: Engine, pack: Pack, tmp_path: Path
) -> None:
    """The whole life of one subject, on real input."""
    reach = ("--email", "Ada@Example.ORG", "--phone", "+49 30 123456")
    done = typed(
        "add", "Ada [bold]", "--face", face, "--voice", voice, *reach, *ATTESTED, "--keep-references"
    )
    assert done.exit_code == 0
    assert done.stdout.count("accepted") == 2
    (one,) = said("list")["subjects"]
    assert (one["name"], one["email"], one["phone"]) == ("Ada [bold]", "Ada@example.org", "+4930123456")
    assert (one["faces"], one["voices"], one["references"]) == (1, 1, 2)
    assert said("show", one["id"][:6])["attested"] == "passport seen"
    assert "Ada [bold]" in typed("list").stdout

    keys = KeyEncryptionKeys.from_settings(load_settings())
    gallery = Gallery(ledger, keys, models_of(pack))
    gallery.follow()
    assert gallery.sizes == {Modality.FACE: 1, Modality.VOICE: 1}

    receipt = tmp_path / "receipt.json"
    assert typed("erase", one["id"], "--receipt", str(receipt), answer="Ada [bold]\n").exit_code == 0
    assert "Genuine and true" in typed("verify-receipt", str(receipt)).stdout
    public = base64.b64encode(subject_keys.receipt_public(ledger)).decode()
    assert "Genuine:" in typed("verify-receipt", str(receipt), "--public-key", public).stdout
    gallery.follow()
    assert gallery.sizes == {Modality.FACE: 0, Modality.VOICE: 0}
    assert said("list") == {"subjects": []}
    with reading(ledger) as session:
        actions = [event.action for event in session.exec(select(AuditEvent).order_by(col(AuditEvent.seq)))]
        audit.verify(session)
    assert actions[0] == "subject.add"
    assert {"subject.list", "subject.show", "subject.erase"} <= set(actions)
    again = typed("erase", one["id"], "--receipt", str(receipt))
    assert again.exit_code == 0  # without a question, and with the same receipt


@pytest.mark.usefixtures("pack")
def test_one_bad_sample_and_nothing_is_stored(face: str, tmp_path: Path) -> None:
    bad = tmp_path / "nobody.png"
    bad.write_bytes(media.png())
    text = tmp_path / "notes.jpg"
    text.write_text("no picture at all")
    missing = tmp_path / "missing.jpg"
    files = ("--face", face, str(bad), str(text), str(missing))
    done = typed("add", "Ada", *files, *ATTESTED, "--json")
    assert done.exit_code == 1
    answer = json.loads(done.stdout)
    assert answer["subject_id"] is None
    assert [one.get("code", "ok") for one in answer["files"]] == ["ok", "no_face", "not_media", "sample"]
    with pytest.raises(SampleError, match="3 of 4"):
        typed("add", "Ada", *files, *ATTESTED)
    assert said("list") == {"subjects": []}
    skipped = said("add", "Ada", *files, *ATTESTED, "--skip-bad")
    assert said("show", skipped["subject_id"])["faces"] == 1


@pytest.mark.usefixtures("pack")
def test_a_folder_of_pictures_and_somebody_else_s_among_them(face: str, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ada"
    folder.mkdir()
    for number in ("0001", "0004"):
        shutil.copy(face.replace("0001", number), folder)
    shutil.copy(next((data / "faces/lfw-dev/Adam_Scott").glob("*.jpg")), folder / "z.jpg")
    answer = said("add", "Ada", "--face", str(folder), *ATTESTED, "--skip-bad")
    assert [one.get("code", "ok") for one in answer["files"]] == ["ok", "ok", "other_person"]


@pytest.mark.usefixtures("pack")
def test_the_same_address_twice_is_allowed_and_said(face: str) -> None:
    reach = ("--email", "ada@example.org", *ATTESTED)
    first = said("add", "Ada", "--face", face, *reach)
    second = said("add", "Ada again", "--face", face, *reach)
    assert not any("address" in one for one in first["warnings"])
    assert first["subject_id"][:8] in second["warnings"][0]
    assert len(said("list")["subjects"]) == 2


@pytest.mark.parametrize(
    ("extra", "said_why"),
    [
        (("--email", "not an address"), "e-mail"),
        (("--phone", "030 123456"), "international"),
        (("--phone", "+49 1"), "phone number"),
        (("--email", "ada@example.org"), "face or a voice"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_looked_at(
    extra: tuple[str, ...], said_why: str
) -> None:
    with pytest.raises(ContactInvalid, match=said_why):
        typed("add", "Ada", *extra, *ATTESTED)


def test_identity_must_be_attested(face: str) -> None:
    assert typed("add", "Ada", "--face", face).exit_code == 2
    with pytest.raises(ContactInvalid):
        typed("add", "Ada", "--face", face, "--attest", " ", "--age-confirmed")


def test_a_child_is_not_enrolled_and_an_age_is_asked_for(face: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = ("add", "Ada", "--face", face, "--attest", "seen")
    with pytest.raises(AgeNotStated, match="18"):
        typed(*plain)
    with pytest.raises(TooYoung):
        typed(*plain, "--born", "2015-01-01", "--age-confirmed")
    monkeypatch.setenv("LIKENESS_MINIMUM_AGE", "100")
    with pytest.raises(TooYoung, match="100"):
        typed(*plain, "--born", "1990-05-23")
    assert said("list") == {"subjects": []}


@pytest.mark.usefixtures("pack")
def test_samples_are_added_shown_and_on_the_record(face: str, voice: str, data: Path, ledger: Engine) -> None:
    more = face.replace("0001", "0004")
    subject_id = said("add", "Ada", "--face", face, *ATTESTED)["subject_id"]
    answer = said("add-samples", subject_id, "--face", more, face, "--keep-references")
    assert answer["added"] == 2
    assert "adds nothing" in answer["files"][1]["notes"][-1]
    stranger = str(next((data / "faces/lfw-dev/Adam_Scott").glob("*.jpg")))
    refused = typed("add-samples", subject_id, "--face", stranger, "--voice", voice, "--json")
    assert refused.exit_code == 1
    assert [one["code"] for one in json.loads(refused.stdout)["files"]] == ["other_person"] * 2
    said("add-samples", subject_id, "--voice", voice, "--attest", "heard by Jo")
    shown = said("show", subject_id)
    assert (shown["faces"], shown["voices"], shown["references"]) == (3, 1, 2)
    assert [one["as"] for one in shown["samples"]] == ["face"] * 3 + ["voice"]
    assert shown["samples"][0]["quality"] == "good"
    assert [one["kept"] for one in shown["samples"]].count(True) == 2
    assert shown["attested"] == "passport seen; of later samples: heard by Jo"
    assert shown["born"] == "1990-05-23"
    assert "sample 4  voice" in typed("show", subject_id).stdout
    with reading(ledger) as session:
        events = session.exec(select(AuditEvent).where(AuditEvent.action == "subject.add_samples")).all()
        kept = session.exec(select(Template.reference_id).where(col(Template.reference_id).is_not(None)))
        assert set(kept) == set(session.exec(select(Reference.id)))
    assert len(events) == 2
    assert not any("Jo" in event.model_dump_json() for event in events)


@pytest.mark.usefixtures("pack")
def test_files_are_judged_without_enrolling_anybody(
    face: str, voice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LIKENESS_KEK")
    good = said("check", face, voice)
    assert [(one["as"], one["accepted"]) for one in good["files"]] == [("face", True), ("voice", True)]
    assert good["files"][0]["quality_in_words"] == "good"
    assert good["files"][0]["parts"]["exposure"]["level"] > 40
    assert good["files"][1]["parts"]["net_speech_s"] > 2
    nobody = tmp_path / "nobody.png"
    nobody.write_bytes(media.png())
    bad = typed("check", face, str(nobody), str(tmp_path / "gone.jpg"))
    assert bad.exit_code == 1
    assert "no_face" in bad.stdout
    assert "cannot be read" in bad.stdout


def test_without_a_key_nobody_is_enrolled(face: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIKENESS_KEK")
    with pytest.raises(KeyMissing):
        typed("add", "Ada", "--face", face, *ATTESTED)


@pytest.mark.usefixtures("pack")
def test_the_wrong_name_erases_nobody(face: str) -> None:
    subject_id = said("add", "Ada", "--face", face, *ATTESTED)["subject_id"]
    with pytest.raises(ConfigError, match="nothing was erased"):
        typed("erase", subject_id, answer="Adam\n")
    assert len(said("list")["subjects"]) == 1


@pytest.mark.usefixtures("pack")
def test_a_receipt_is_never_written_over_another_file(face: str, tmp_path: Path) -> None:
    subject_id = said("add", "Ada", "--face", face, *ATTESTED)["subject_id"]
    taken = tmp_path / "taken.json"
    taken.write_text("mine")
    with pytest.raises(StorageError, match="is erased, but"):
        typed("erase", subject_id, "--yes", "--receipt", str(taken))
    assert taken.read_text() == "mine"
    assert typed("erase", subject_id, "--yes", "--receipt", str(tmp_path / "r.json")).exit_code == 0


@pytest.mark.usefixtures("pack")
def test_a_changed_receipt_is_told(face: str, tmp_path: Path) -> None:
    subject_id = said("add", "Ada", "--face", face, *ATTESTED)["subject_id"]
    path = tmp_path / "r.json"
    typed("erase", subject_id, "--yes", "--receipt", str(path))
    path.write_text(path.read_text().replace(subject_id, "0" * 32))
    with pytest.raises(Tampered):
        typed("verify-receipt", str(path))
    with pytest.raises(ConfigError, match="base64"):
        typed("verify-receipt", str(path), "--public-key", "!")
    with pytest.raises(NotFound):
        typed("verify-receipt", str(tmp_path / "none.json"))


@pytest.mark.parametrize("verb", ["show", "erase"])
def test_nobody_is_not_found(verb: str) -> None:
    with pytest.raises(NotFound):
        typed(verb, "abcdef")


def test_an_empty_list_says_what_to_do() -> None:
    assert "likeness subject add" in typed("list").stdout


@pytest.mark.parametrize(
    ("args", "repeated"),
    [
        ("Ada --face a b --voice c d", "Ada --face a --face b --voice c --voice d"),
        ("--face a Ada", "--face a Ada"),
        ("Ada --face=a b --skip-bad c", "Ada --face=a --face b --skip-bad c"),
        ("Ada --face a --email e@f x", "Ada --face a --email e@f x"),
    ],
)
def test_an_option_takes_several_files(args: str, repeated: str) -> None:
    assert _repeated(args.split()) == repeated.split()
