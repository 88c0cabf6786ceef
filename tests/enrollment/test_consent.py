"""Consent: three boxes, nothing ticked or assumed; signed answers; taking back does what it says, at once."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from sqlmodel import select
from typer.testing import CliRunner

from enrollment import consent, consent_texts, subjects
from enrollment.cli import app
from enrollment.consent_texts import Purpose, current
from enrollment.standing import Standing
from enrollment.steps import Step, progress_of
from enrollment.tables import Challenge, Consent, GivenSample, Reference
from monitor import subject_keys
from monitor.crypto import new_signing_pair
from monitor.db import reading, writing
from monitor.errors import Tampered
from monitor.tables import BlobRow, Template
from tests.enrollment.applicant import ANA
from tests.enrollment.people import unit_vectors
from tests.enrollment.residents import found

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from monitor.values import SubjectId
    from tests.enrollment.residents import Residents

BEA = "bea@example.org"


def answers(town: Residents, who: SubjectId) -> dict[Purpose, bool]:
    with reading(town.town.engine) as session:
        return {one: found.given for one, found in consent.in_force(session, who).items()}


def test_every_text_stands_on_the_page_whole_and_no_box_is_ticked(town: Residents) -> None:
    town.begun(name="Ana")
    page = town.browsers[ANA].get("/enrol/consent").text
    plain = re.sub(r"\s+", " ", page.replace("&#39;", "'"))
    for purpose in Purpose:
        text = current(purpose)
        assert f'name="{purpose}"' in page
        for part in (text.title, *text.paragraphs, text.question, text.withdrawn, text.version):
            assert re.sub(r"\s+", " ", part) in plain
    assert page.count('type="checkbox"') == len(Purpose)
    assert "checked" not in page


def test_each_answer_is_kept_by_itself_and_an_empty_box_is_a_no(town: Residents) -> None:
    who = town.begun(name="Ana")
    answer = town.browsers[ANA].post("/enrol/consent", data={"biometrics": "yes", "scores": "yes"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/enrol/face")
    assert answers(town, who) == {
        Purpose.BIOMETRICS: True,
        Purpose.REFERENCES: False,
        Purpose.SCORES: True,
    }


def test_without_the_first_yes_nothing_is_kept_and_nobody_goes_on(town: Residents) -> None:
    who = town.begun(name="Ana")
    answer = town.browsers[ANA].post("/enrol/consent", data={"references": "yes"})
    assert answer.status_code == 422
    assert "Nothing was kept" in answer.text
    assert answers(town, who) == {}
    assert town.town.progress().ahead is Step.CONSENT


def test_a_form_of_another_site_agrees_to_nothing(town: Residents) -> None:
    who = town.watched()
    browser = town.browsers[ANA]
    for path, data in (
        ("/enrol/consent", {"biometrics": "yes"}),
        ("/account/consents/scores", {"answer": "yes"}),
    ):
        answer = browser.post(path, data=data, headers={"origin": "https://evil.example"})
        assert answer.status_code == 403
    assert not answers(town, who)[Purpose.SCORES]


def test_a_new_text_is_asked_anew_and_the_old_yes_is_not_taken_for_it(
    town: Residents, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = town.begun(name="Ana")
    town.browsers[ANA].post("/enrol/consent", data={"biometrics": "yes"})
    assert town.town.progress().ahead is Step.FACE
    newer = consent_texts.Text("biometrics-later", "Other words", "Yes.", ("New.",), "No longer.")
    texts = consent_texts.TEXTS | {Purpose.BIOMETRICS: (*consent_texts.TEXTS[Purpose.BIOMETRICS], newer)}
    monkeypatch.setattr(consent_texts, "TEXTS", texts)
    assert town.town.progress().ahead is Step.CONSENT
    with reading(town.town.engine) as session:
        assert consent.to_ask(session, who) == (Purpose.BIOMETRICS,)
        assert consent.in_force(session, who)[Purpose.BIOMETRICS].is_old
    assert "Other words" in town.browsers[ANA].get("/enrol/consent").text
    assert "older text" in town.browsers[ANA].get("/account/consents").text


def test_a_watched_person_is_asked_on_their_page(town: Residents, monkeypatch: pytest.MonkeyPatch) -> None:
    town.watched()
    asks = "something to read and to answer"
    assert asks not in town.browsers[ANA].get("/account").text
    newer = consent_texts.Text("scores-later", "Other words", "Yes.", ("New.",), "No longer.")
    texts = consent_texts.TEXTS | {Purpose.SCORES: (*consent_texts.TEXTS[Purpose.SCORES], newer)}
    monkeypatch.setattr(consent_texts, "TEXTS", texts)
    assert asks in town.browsers[ANA].get("/account").text


def record(town: Residents, who: SubjectId) -> str:
    with reading(town.town.engine) as session:
        return session.exec(select(Consent.record).where(Consent.subject_id == who)).all()[0]


def test_a_record_holds_the_words_and_verifies_by_the_public_key(town: Residents) -> None:
    who = town.watched()
    with reading(town.town.engine) as session:
        rows = session.exec(select(Consent).where(Consent.subject_id == who)).all()
    public = subject_keys.receipt_public(town.town.engine)
    assert {row.purpose for row in rows} == set(Purpose)
    for row in rows:
        answer = town.browsers[ANA].get(f"/account/consents/{row.id}.json")
        assert answer.headers["content-type"] == "application/json"
        said = consent.verify(answer.text, public)
        assert said.text == current(Purpose(row.purpose)).whole
        assert (said.subject_id, said.given, said.version) == (who, row.given, row.version)


CHANGES: list[Callable[[dict[str, Any]], object]] = [
    lambda whole: whole["consent"].update(given=True),
    lambda whole: whole["consent"].update(text="I agree to everything."),
    lambda whole: whole["consent"].update(at="2020-01-01T00:00:00+00:00"),
    lambda whole: whole["consent"].update(subject_id="somebody else"),
    lambda whole: whole["consent"].update(version="another"),
    lambda whole: whole["consent"].update(more="something"),
    lambda whole: whole["consent"].pop("text"),
    lambda whole: whole.update(signature="AAAA"),
    lambda whole: whole.pop("signature"),
    lambda whole: whole.update(consent=[]),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_record_does_not_verify(
    town: Residents, change: Callable[[dict[str, Any]], object]
) -> None:
    who = town.begun(name="Ana")
    signer = subject_keys.receipt_signer(town.town.engine, town.town.keys)
    with writing(town.town.engine) as session:
        consent.answer(session, signer, who, {Purpose.SCORES: False}, town.clock())
    whole = json.loads(record(town, who))
    assert not consent.verify(json.dumps(whole), signer.public).given
    change(whole)
    with pytest.raises(Tampered):
        consent.verify(json.dumps(whole), signer.public)


def test_a_record_of_another_service_and_a_receipt_do_not_verify(town: Residents) -> None:
    text = record(town, town.watched())
    with pytest.raises(Tampered):
        consent.verify(text, new_signing_pair()[0])
    with pytest.raises(Tampered):
        consent.verify("not a record", subject_keys.receipt_public(town.town.engine))


def test_taking_back_the_keeping_deletes_the_samples_at_once(town: Residents) -> None:
    who = town.watched()
    other = town.watched(BEA)
    assert (town.references(who), town.references(other)) == (2, 2)
    answer = town.browsers[ANA].post("/account/consents/references", data={"answer": "no"})
    assert answer.status_code == 303
    assert (town.references(who), town.references(other)) == (0, 2)
    with reading(town.town.engine) as session:
        left = {row.id for row in session.exec(select(BlobRow).where(BlobRow.kind == "reference"))}
        templates = session.exec(select(Template).where(Template.subject_id == who)).all()
        assert {row.subject_id for row in session.exec(select(Reference))} == {other}
    assert len(left) == 2
    assert left <= set(town.blobs.ids())
    assert len(set(town.blobs.ids())) == 2 + 2  # and the clips of both
    assert [row.reference_id for row in templates] == [None, None]
    assert town.standing(who) is Standing.ACTIVE


def test_taking_back_the_first_consent_ends_the_watch_and_destroys_the_templates(town: Residents) -> None:
    vectors = unit_vectors(town.rng, 2)
    who = town.watched(vectors=vectors)
    other = town.watched(BEA)
    with town.gallery() as gallery:
        assert found(gallery, vectors[0]) == [who]
        answer = town.browsers[ANA].post("/account/consents/biometrics", data={"answer": "no"})
        assert answer.status_code == 303
        gallery.follow()
        assert found(gallery, vectors[0]) == []
    with town.gallery() as fresh:
        assert found(fresh, vectors[0]) == []
    with reading(town.town.engine) as session:
        for table in (Template, GivenSample, Reference, Challenge, BlobRow):
            assert who not in {row.subject_id for row in session.exec(select(table))}
            assert other in {row.subject_id for row in session.exec(select(table))}
        assert subjects.profile_of(session, town.town.keys, who).name == "Ana"
        assert progress_of(session, town.town.keys, who).ahead is Step.CONSENT
    assert len(set(town.blobs.ids())) == 3
    assert town.standing(who) is Standing.NEW


def test_giving_it_again_after_that_watches_for_nobody_yet(town: Residents) -> None:
    vectors = unit_vectors(town.rng, 1)
    who = town.watched(vectors=vectors)
    for answer in ("no", "yes"):
        town.browsers[ANA].post("/account/consents/biometrics", data={"answer": answer})
    with town.gallery() as gallery:
        assert found(gallery, vectors[0]) == []
    assert town.standing(who) is Standing.NEW
    assert town.town.progress().ahead is Step.FACE


@pytest.mark.parametrize("purpose", list(Purpose))
def test_taking_back_is_as_easy_as_giving(town: Residents, purpose: Purpose) -> None:
    """One button each way, on one page, without a second factor."""
    who = town.watched()
    for answer in ("yes", "no"):
        page = town.browsers[ANA].get("/account/consents").text
        assert f'action="/account/consents/{purpose}"' in page
        sent = town.browsers[ANA].post(f"/account/consents/{purpose}", data={"answer": answer})
        assert sent.status_code == 303
        assert answers(town, who)[purpose] is (answer == "yes")


def test_what_is_no_question_or_answer_changes_nothing(town: Residents) -> None:
    who = town.watched()
    before = answers(town, who)
    for purpose, answer in (("everything", "yes"), ("scores", "maybe"), ("scores", "")):
        sent = town.browsers[ANA].post(f"/account/consents/{purpose}", data={"answer": answer})
        assert sent.status_code == 404
    assert answers(town, who) == before


def test_the_command_line_verifies_a_downloaded_record_and_refuses_a_changed_one(
    town: Residents, tmp_path: Path
) -> None:
    who = town.watched()
    with reading(town.town.engine) as session:
        query = select(Consent.record).where(Consent.subject_id == who, Consent.purpose == "biometrics")
        text = session.exec(query).one()
    public = base64.b64encode(subject_keys.receipt_public(town.town.engine)).decode()
    file = tmp_path / "consent.json"
    file.write_text(text, encoding="utf-8")
    done = CliRunner().invoke(app, ["verify-consent", str(file), "--public-key", public])
    assert done.exit_code == 0, done.output
    assert "Genuine" in done.output
    file.write_text(text.replace('"given": true', '"given": false', 1), encoding="utf-8")
    refused = CliRunner().invoke(app, ["verify-consent", str(file), "--public-key", public])
    assert isinstance(refused.exception, Tampered)
