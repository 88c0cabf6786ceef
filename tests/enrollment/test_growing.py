"""More samples of somebody who is watched for: taken in, held, or waiting for a proof; the old ones stay."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy import update
from sqlmodel import col, select

from enrollment import given, growing, holds, judging, operators, sessions
from enrollment.given import Givers, State
from enrollment.holds import Reason, Vote
from enrollment.proofs import needs_proof
from enrollment.standing import Standing
from enrollment.tables import Account, Hold, Passkey, Subject
from monitor.blobs import BlobStore
from monitor.crypto import KeyEncryptionKeys, new_key
from monitor.db import open_engine, reading, utc_now, writing
from monitor.tables import BlobRow, Template
from monitor.values import Modality
from tests.assets import people
from tests.enrollment.applicant import ANA
from tests.enrollment.newcomers import Door, door_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi.testclient import TestClient
    from numpy.typing import NDArray

    from monitor.ml.interfaces import Pack
    from monitor.values import SubjectId
    from tests.enrollment.residents import Residents

ADRIEN, STRANGER = "Adrien_Brody", "Aaron_Peirsol"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, pack: Pack, _sqlite_template: Path) -> Iterator[Door]:
    """Open one door for all tests here: everybody in it is somebody else."""
    folder = tmp_path_factory.mktemp("growing")
    shutil.copyfile(_sqlite_template, folder / "likeness.db")
    engine = open_engine(f"sqlite:///{folder / 'likeness.db'}")
    keys = KeyEncryptionKeys({"k1": new_key()})
    with door_of(engine, keys, BlobStore(folder / "blobs"), pack) as opened:
        yield opened
    engine.dispose()


def grown(door: Door) -> int:
    done = growing.grow_due(door.desk)
    door.gallery.follow()
    return done


def less_like(door: Door, vector: NDArray[np.float32], cosine: float) -> NDArray[np.float32]:
    """Make a vector with this cosine to another one."""
    [other] = door.vectors()
    other -= (other @ vector) * vector
    other /= np.linalg.norm(other)
    return (cosine * vector + np.sqrt(1 - cosine**2) * other).astype(np.float32)


def review(door: Door) -> float:
    assert door.pack.faces is not None
    return door.pack.faces.thresholds.review


def vote(door: Door, hold: Hold, *, approve: bool) -> None:
    with writing(door.engine) as session:
        for name in ("ada", "bob") if approve else ("ada",):
            if name not in operators.live_names(session):
                operators.add(session, name, "operator:test", utc_now())
            holds.vote(session, door.keys, hold.id, Vote(name, approve, "seen"), door.clock())


def model_changed(door: Door, who: SubjectId, *modalities: Modality) -> None:
    """Let what is enrolled be of an older model, and ask for new pictures."""
    with writing(door.engine) as session:
        own = (col(Template.subject_id) == who, col(Template.modality).in_(modalities))
        session.connection().execute(update(Template).where(*own).values(model_id="older@0/512"))
        session.get_one(Subject, who).asked_for_pack = "newer"


def asked(door: Door, who: SubjectId) -> str | None:
    with reading(door.engine) as session:
        return session.get_one(Subject, who).asked_for_pack


@pytest.mark.parametrize("keep", [True, False])
def test_what_is_like_the_person_is_added_and_the_old_ones_stay(door: Door, *, keep: bool) -> None:
    face = door.vectors(count=2)
    who = door.enrolled(f"like-{keep}@example.org", face, keep=keep)
    old = {row.id for row in door.templates(who)}
    door.sample(who, Modality.FACE, door.again(face)[0])
    door.sample(who, Modality.VOICE, door.again(door.vectors(Modality.VOICE))[0])  # and a voice unlike theirs
    held_before = door.hold(who).id
    assert grown(door) == 1
    assert {row.id for row in door.templates(who)} == old, "one of them is in doubt, so a person looks first"
    assert door.hold(who).id != held_before
    vote(door, door.hold(who), approve=True)
    assert grown(door) == 1
    assert old < {row.id for row in door.templates(who)}
    assert len(door.templates(who)) == len(old) + 2
    assert {row.state for row in door.samples(who)} == {State.ENROLLED}
    assert door.files(who) == (5 if keep else 0)
    assert grown(door) == 0


def test_one_that_is_surely_theirs_needs_nobody_to_look(door: Door) -> None:
    face = door.vectors()
    who = door.enrolled("sure@example.org", face)
    door.sample(who, Modality.FACE, door.again(face)[0])
    assert grown(door) == 1
    assert len(door.templates(who)) == 3
    assert door.actions(who)[-1] == "samples.settled"
    assert door.standing(who) is Standing.ACTIVE


def test_what_operators_refuse_is_deleted_and_the_person_reads_it(door: Door) -> None:
    face = door.vectors()
    who = door.enrolled("unlike@example.org", face)
    old = {row.id for row in door.templates(who)}
    door.sample(who, Modality.FACE, less_like(door, face[0], 0.8 * review(door)))
    assert grown(door) == 1
    hold = door.hold(who)
    assert hold.reasons == f"{Reason.MORE},{Reason.SAMPLES_DIFFER}"
    assert grown(door) == 0, "nothing happens while operators look"
    door.delivered()
    vote(door, hold, approve=False)
    assert grown(door) == 1
    assert {row.id for row in door.templates(who)} == old
    assert len(door.samples(who)) == 2
    [letter] = [one for one in door.delivered() if one.to == "unlike@example.org"]
    assert "they are deleted" in letter.text.replace("\n", " ")
    assert door.matches(door.again(face)[0]) == who


def test_after_a_change_of_models_the_clip_says_who_it_is(door: Door) -> None:
    who = door.enrolled("changed@example.org", keep=False)
    model_changed(door, who, Modality.FACE)
    fresh = door.vectors()
    door.sample(who, Modality.FACE, fresh[0])
    assert grown(door) == 0
    with reading(door.engine) as session:
        assert needs_proof(session, who, door.clock())
    assert asked(door, who) == "newer"
    door.prove(who, "refused")
    assert grown(door) == 0
    door.prove(who)
    assert grown(door) == 1
    assert asked(door, who) is None
    assert door.matches(door.again(fresh)[0]) == who
    with reading(door.engine) as session:
        assert not needs_proof(session, who, door.clock())


def test_a_proof_that_was_given_before_the_samples_is_none_of_them(door: Door) -> None:
    who = door.enrolled("before@example.org")
    model_changed(door, who, Modality.FACE)
    door.prove(who)
    door.clock.ahead = timedelta(minutes=1)
    door.sample(who, Modality.FACE, door.vectors()[0])
    assert grown(door) == 0
    door.clock.ahead = timedelta()


def test_where_nothing_is_left_to_compare_with_two_operators_look_even_at_a_proof(door: Door) -> None:
    who = door.enrolled("unbound@example.org")
    model_changed(door, who, Modality.FACE, Modality.VOICE)
    door.sample(who, Modality.FACE, door.vectors()[0])
    door.sample(who, Modality.VOICE, door.vectors(Modality.VOICE)[0])
    door.prove(who)
    assert grown(door) == 1
    assert Reason.UNBOUND in door.hold(who).reasons.split(",")
    assert asked(door, who) == "newer"


def test_a_consent_that_was_taken_back_in_between_deletes_them(door: Door) -> None:
    face = door.vectors()
    who = door.enrolled("back@example.org", face)
    door.sample(who, Modality.FACE, door.again(face)[0])
    door.agree(who, biometrics=False)
    assert grown(door) == 1
    assert len(door.samples(who)) == 2
    assert door.files(who) == 0
    assert len(door.templates(who)) == 2


def test_by_the_real_models_a_strangers_face_is_refused_and_their_own_added(door: Door, data: Path) -> None:
    pictures = people.pictures(data, ADRIEN)
    reader = door.desk.reader
    own = reader.face("one", people.jpeg(pictures[0])).vector
    who = door.enrolled("adrien@example.org", own[None])
    givers = Givers(door.engine, door.blobs, door.desk.lookups, 2**22)
    stranger, mine = people.jpeg(people.pictures(data, STRANGER)[0]), people.jpeg(pictures[1])
    ids = [given.give(givers, who, Modality.FACE, one, door.clock()) for one in (stranger, mine)]
    while judging.judge_due(door.desk):
        pass
    rows = {row.id: row for row in door.samples(who)}
    assert (rows[ids[0]].state, rows[ids[0]].code) == (State.REFUSED, "other_person")
    assert rows[ids[0]].blob_id is None
    with reading(door.engine) as session:
        said = {one.sample_id: one.said for one in given.listing(session, door.keys, who)}
    assert "that you gave before" in said[ids[0]].sentence
    assert "first one" not in said[ids[0]].hint, "what is enrolled cannot be taken out in this way"
    assert grown(door) == 1
    assert len(door.templates(who)) == 3


# The pages


def ana(town: Residents, *, second: bool = True) -> TestClient:
    town.watched()
    browser = town.browsers[ANA]
    with writing(town.town.engine) as session:
        person = sessions.person_of(session, browser.cookies["session"], utc_now())
        assert person is not None
        session.add(Passkey(id="k", subject_id=person.subject_id, public_key=b"k", name="phone"))
        if second:
            sessions.show_second(session, person, utc_now())
    return browser


def give(browser: TestClient, path: str = "/account/face") -> int:
    file = ("me.png", b"\x89PNG\r\n\x1a\n" + bytes(100), "image/png")
    return browser.post(path, files={"sample": file}).status_code


def waiting(town: Residents) -> int:
    with reading(town.town.engine) as session:
        return len(session.exec(select(BlobRow).where(BlobRow.kind == "given")).all())


def test_with_a_second_factor_more_is_given_on_a_page_of_its_own(town: Residents) -> None:
    browser = ana(town)
    assert 'href="/account/face"' in browser.get("/account").text
    page = browser.get("/account/face")
    assert (page.status_code, "More pictures of your face" in page.text) == (200, True)
    assert "remove" not in page.text, "what is enrolled is not taken out one by one"
    assert give(browser) == 303
    assert waiting(town) == 1
    assert "More of your voice" in browser.get("/account/voice").text


def test_without_a_second_factor_nothing_is_taken(town: Residents) -> None:
    browser = ana(town, second=False)
    for path in ("/account/face", "/account/voice"):
        asked_for = f"/account/second?then={path}"
        assert browser.get(path).headers["location"] == asked_for
        assert give(browser, path) == 303
    assert waiting(town) == 0


@pytest.mark.parametrize("standing", [Standing.NEW, Standing.STARTING, Standing.HELD, Standing.PAUSED])
def test_only_who_is_watched_for_gives_more(town: Residents, standing: Standing) -> None:
    browser, who = ana(town), town.town.subject()
    with writing(town.town.engine) as session:
        session.get_one(Subject, who).status = standing
    assert browser.get("/account/face").headers["location"] == "/account"
    assert give(browser) == 303
    assert waiting(town) == 0


def test_during_the_cooling_off_who_was_let_in_is_not_told_from_who_was_held(town: Residents) -> None:
    browser, who = ana(town), town.town.subject()
    answers = []
    for standing in (Standing.ACTIVE, Standing.HELD):
        with writing(town.town.engine) as session:
            session.get_one(Subject, who).status = standing
            session.get_one(Account, who).told_from = utc_now() + timedelta(hours=1)
        page, sent = browser.get("/account/face"), give(browser)
        answers.append((page.status_code, page.headers["location"], page.text, sent))
    assert answers[0] == answers[1]
    assert waiting(town) == 0


def test_who_is_asked_for_new_pictures_reads_it_and_is_led_to_the_clip(town: Residents) -> None:
    browser, who = ana(town), town.town.subject()
    with writing(town.town.engine) as session:
        session.get_one(Subject, who).asked_for_pack = "newer"
        session.get_one(Account, who).proved_until = None
        row = session.exec(select(given.GivenSample)).first()
        assert row is not None
        row.state, row.model_id, row.created_at = State.USABLE, "newer@0/512", utc_now()
    assert "needs new pictures of you" in browser.get("/account").text
    page = browser.get("/account/face").text
    assert "show that it is you" in page
    assert 'href="/account/proof"' in page
    assert browser.get("/account/proof").status_code == 200
    removed = browser.post(f"/enrol/samples/{row.id}/remove")
    assert removed.status_code == 404, "what is taken in already looks the same, so neither is removed here"
