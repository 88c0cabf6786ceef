"""Somebody whom an operator enrolled is invited: a letter, a button, a second factor, and the page opens."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydantic import SecretStr
from sqlmodel import select
from typer.testing import CliRunner

from enrollment import inviting, sessions, subjects
from enrollment.accounts import INVITED_FOR, LINK_LASTS, Accounts
from enrollment.cli import app
from enrollment.contacts import EnrolledContacts
from enrollment.erasure import erase
from enrollment.profiles import Profile
from enrollment.subjects import Ledger
from enrollment.tables import Account, Passkey, Subject
from monitor.blobs import BlobStore
from monitor.crypto import new_key_line
from monitor.db import reading, utc_now, writing
from monitor.errors import AccountThere, ConfigError, ContactInvalid, NotFound, TooOften
from monitor.gallery import add_template
from monitor.tables import AuditEvent
from monitor.values import Modality, SubjectId
from tests.alerts import scene
from tests.enrollment.applicant import URL, link_in
from tests.enrollment.people import MODEL, unit_vectors
from tests.enrollment.test_gate import Street

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi.testclient import TestClient

IDA = "ida@example.org"
SHUT = ("/account", "/account/looks", "/account/export", "/account/leave", "/account/face", "/sightings")


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    """Open a service where only the operator enrols."""
    there = Street.at(tmp_path / "home", enrolment="closed")
    yield there
    there.close()


def ida(street: Street, email: str = IDA, name: str = "Ida Example") -> SubjectId:
    """Let an operator enrol Ida."""
    who = SubjectId(f"subject-of-{email}")
    [vector] = unit_vectors(np.random.default_rng(5), 1)
    with writing(street.engine) as session:
        subjects.create(session, street.keys, who, Profile(name, email, attested="passport seen"))
        add_template(session, street.keys, who, Modality.FACE, MODEL, vector, 0.9)
    return who


def accounts(street: Street, ahead: timedelta = timedelta()) -> Accounts:
    return Accounts(
        street.engine,
        street.keys,
        street.lookups,
        scene.SECRET,
        URL,
        is_open=False,
        now=lambda: utc_now() + ahead,
    )


def ledger(street: Street) -> Ledger:
    nowhere: object = None
    return Ledger(street.engine, street.keys, nowhere, "operator:kim")  # type: ignore[arg-type]


def invited(street: Street, who: SubjectId) -> str:
    """Invite Ida, and give the path of the link in the one letter that arrives."""
    inviting.invite(accounts(street), ledger(street), who)
    [message] = street.delivered()
    assert message.to == IDA
    return link_in(message)


def has_account(street: Street, who: SubjectId) -> Account | None:
    with reading(street.engine) as session:
        return session.get(Account, who)


def shows_second(street: Street, browser: TestClient, who: SubjectId) -> None:
    with writing(street.engine) as session:
        person = sessions.person_of(session, browser.cookies["session"], utc_now())
        assert person is not None
        session.add(Passkey(id="idas", subject_id=who, public_key=b"k", name="phone"))
        sessions.show_second(session, person, utc_now())


def test_from_the_letter_to_a_page_that_opens_by_a_second_factor_only(street: Street) -> None:
    who = ida(street)
    path = invited(street, who)
    browser = street.browser()
    # looking at the link changes nothing
    assert browser.get(path).status_code == 200
    assert has_account(street, who) is None
    # the button gives an account of the very subject, and nothing is shown yet
    answer = browser.post(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    assert has_account(street, who) is not None
    for shut in SHUT:
        assert browser.get(shut).headers["location"] == "/account/security", shut
    page = browser.get("/account/security")
    assert "One step, then your page opens" in page.text
    assert "Back to my page" not in page.text
    # the first second factor opens it
    shows_second(street, browser, who)
    home = browser.get("/account")
    assert home.status_code == 200
    assert "Ida Example" in home.text
    assert "We watch for you" in home.text
    assert browser.get("/sightings").status_code == 200
    with reading(street.engine) as session:
        done = list(session.exec(select(AuditEvent.action).where(AuditEvent.subject_id == who)))
    assert [one for one in done if one.startswith(("account", "subject"))] == [
        "subject.invite",
        "account.begin",
        "account.sign_in",
        "account.open",
    ]
    assert len(subjects.listing(ledger(street))) == 1, "nobody new was begun"


def test_until_then_her_messages_and_their_links_go_on_as_before(street: Street) -> None:
    who = ida(street)
    book = EnrolledContacts(street.engine, street.keys, lambda *parts: parts)
    before = book.told_from(who)
    browser = street.browser()
    browser.post(invited(street, who))
    assert book.told_from(who) == before
    scene.finding(street.engine, street.keys, who)
    assert street.tell().sent == 1
    path = next(word for word in street.mail.sent[-1].text.split() if "/m/" in word)
    mailbox = street.browser()
    opened = mailbox.post(path.removeprefix(URL))
    assert opened.status_code == 303
    sighting = opened.headers["location"]
    assert mailbox.get(sighting).status_code == 200
    # once the page was opened by a second factor, that is needed for what was found
    shows_second(street, browser, who)
    assert mailbox.get(sighting).headers["location"] == "/enrol"
    assert browser.get(sighting).status_code == 200


def test_an_old_invitation_is_sent_anew_and_a_used_one_is_a_way_in(street: Street) -> None:
    who = ida(street)
    old = accounts(street, ahead=-INVITED_FOR - timedelta(minutes=1))
    token = old.url(IDA, lasts=INVITED_FOR, subject_id=who).rsplit("/", 1)[-1]
    browser = street.browser()
    assert browser.post(f"/enter/{token}").status_code == 410
    assert browser.post(f"/enter/{token}/again").status_code == 303
    [message] = street.delivered()
    assert browser.post(link_in(message)).status_code == 303
    assert has_account(street, who) is not None
    # the same link once more: from now on it is an ordinary way in
    assert browser.post(f"/enter/{token}/again").status_code == 303
    [again] = street.delivered()
    assert f"{int(LINK_LASTS.total_seconds() // 60)} minutes" in again.text


def test_an_invitation_to_somebody_erased_since_begins_nothing(street: Street, tmp_path: Path) -> None:
    who = ida(street)
    path = invited(street, who)
    erase(street.engine, street.keys, BlobStore(tmp_path / "blobs"), who, "operator:kim")
    answer = street.browser().post(path)
    assert answer.status_code == 410
    with reading(street.engine) as session:
        assert session.exec(select(Account)).all() == []
        assert session.exec(select(Subject)).all() == []


def test_a_link_for_an_address_that_changed_since_gives_nobody_the_account(street: Street) -> None:
    who = ida(street)
    path = invited(street, who)
    with writing(street.engine) as session:
        profile = subjects.profile_of(session, street.keys, who)
        subjects.rewrite_profile(session, street.keys, who, Profile(profile.name, "other@example.org"))
    assert street.browser().post(path).status_code == 410
    assert has_account(street, who) is None


def test_who_cannot_be_invited(street: Street) -> None:
    who, mute = ida(street), ida(street, "", "Mute")
    with pytest.raises(ContactInvalid):
        inviting.invite(accounts(street), ledger(street), mute)
    with pytest.raises(NotFound):
        inviting.invite(accounts(street), ledger(street), SubjectId("nobody"))
    for _ in range(inviting.PER_DAY):
        inviting.invite(accounts(street), ledger(street), who)
    with pytest.raises(TooOften):
        inviting.invite(accounts(street), ledger(street), who)
    street.browser().post(link_in(street.delivered()[0]))
    with pytest.raises(AccountThere, match="this person has an account"):
        inviting.invite(accounts(street), ledger(street), who)
    twin = SubjectId("twin")
    with writing(street.engine) as session:
        subjects.create(session, street.keys, twin, Profile("Ida again", IDA.upper()))
    with pytest.raises(AccountThere, match="this address"):
        inviting.invite(accounts(street), ledger(street), twin)


def test_she_is_found_by_her_name_in_any_case_and_two_of_a_name_by_neither(street: Street) -> None:
    who = ida(street)
    assert inviting.find(ledger(street), "ida example") == who
    assert inviting.find(ledger(street), who) == who
    ida(street, "ida2@example.org")
    with pytest.raises(NotFound):
        inviting.find(ledger(street), "Ida Example")


def test_the_verb_writes_the_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kek, home = new_key_line("k1"), tmp_path / "home"
    street = Street.at(home, enrolment="closed", kek=SecretStr(kek))
    who = ida(street)
    for name, value in (("KEK", kek), ("HOME", str(home)), ("PUBLIC_URL", URL)):
        monkeypatch.setenv(f"LIKENESS_{name}", value)
    without = CliRunner().invoke(app, ["invite", "Ida Example"])
    assert isinstance(without.exception, ConfigError)
    monkeypatch.setenv("LIKENESS_LINK_SECRET", scene.SECRET)
    done = CliRunner().invoke(app, ["invite", "Ida Example"])
    assert (done.exit_code, IDA in done.output) == (0, True), done.exception
    [message] = street.delivered()
    assert street.browser().post(link_in(message)).status_code == 303
    assert has_account(street, who) is not None
    street.close()
