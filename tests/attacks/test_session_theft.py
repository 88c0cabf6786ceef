"""Somebody makes her browser act, takes her cookie, or reads her mail: what they get, and what not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from enrollment import sessions
from enrollment.tables import Account, Passkey, WebSession
from monitor.db import reading, utc_now, writing
from tests.enrollment.applicant import ANA, Town

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVIL = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town.at(tmp_path / "home", twilio_account="AC1", twilio_token="t", twilio_from="+15005550006")
    yield town
    town.close()


def _forms(town: Town) -> list[str]:
    """List every address of enrolment that a form can be sent to."""
    found = set()
    for router in town.app.routes:
        inner = getattr(router, "original_router", None)
        for route in [router, *(inner.routes if inner is not None else ())]:
            path = getattr(route, "path", "")
            if "POST" in (getattr(route, "methods", None) or ()) and path.startswith(
                ("/enrol", "/account", "/enter")
            ):
                found.add(path)
    return sorted(found)


def test_a_form_of_another_site_does_nothing_anywhere(town: Town) -> None:
    browser = town.signed_in()
    forms = _forms(town)
    assert {"/enrol", "/enter/{token}", "/account/sign-out", "/account/passkeys", "/account/phone"} <= set(
        forms
    )
    for path in forms:
        for headers in (
            EVIL,
            {"origin": "https://evil.example"},
            {"sec-fetch-site": "same-site", "origin": "x"},
        ):
            answer = browser.post(
                path.replace("{token}", "x"), headers=headers, data={"email": "a@example.org"}
            )
            assert answer.status_code == 403, (path, headers, answer.status_code)
            assert "set-cookie" not in answer.headers
    assert browser.get("/account/security").status_code == 200, "she is still signed in"


def test_nobody_signs_her_in_as_somebody_else(town: Town) -> None:
    """An attacker's link, posted by her browser, would make her enrol into the attacker's account."""
    link = town.link(town.browser(), "attacker@example.org")
    victim = town.browser()
    assert victim.post(link, headers=EVIL).status_code == 403
    assert "session" not in victim.cookies


def test_the_cookie_is_for_this_host_alone_and_no_script_reads_it(tmp_path: Path) -> None:
    town = Town.at(tmp_path / "home", public_url="https://testserver")
    browser = town.browser()
    browser.headers["origin"] = "https://testserver"
    answer = browser.post(town.link(browser))
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-session=")
    for flag in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"):
        assert flag.lower() in cookie.lower()
    assert "domain" not in cookie.lower()
    town.close()


def test_a_stolen_cookie_is_dead_as_soon_as_she_signs_out_elsewhere(town: Town) -> None:
    hers = town.signed_in()
    link = town.link(hers)
    thief = town.browser()
    thief.post(link)
    stolen = thief.cookies["session"]
    assert thief.get("/account/security").status_code == 200

    hers.post("/account/sessions/end-others")

    answer = town.browser().get("/account/security", headers={"cookie": f"session={stolen}"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/enrol")


def test_a_copy_of_the_database_signs_nobody_in(town: Town) -> None:
    town.signed_in()
    with reading(town.engine) as session:
        row = session.exec(select(WebSession)).one()
    for value in (row.id, row.subject_id):
        answer = town.browser().get("/account/security", headers={"cookie": f"session={value}"})
        assert answer.status_code == 303


def _with_second_factor(town: Town) -> None:
    with writing(town.engine) as session:
        session.add(Passkey(id="her-key", subject_id=town.subject(), public_key=b"x", name="Phone"))


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/account/passkeys/options", {}),
        ("/account/passkeys", {"answer": "{}"}),
        ("/account/passkeys/remove", {"passkey": "her-key"}),
        ("/account/phone", {"number": "0170 1234567", "country": "DE"}),
        ("/account/phone/code", {"code": "123456"}),
        ("/account/phone/remove", {}),
    ],
)
def test_who_only_reads_her_mail_changes_no_way_in(town: Town, path: str, form: dict[str, str]) -> None:
    thief = town.signed_in()
    _with_second_factor(town)

    answer = thief.post(path, data=form)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/account/second?then=")
    with reading(town.engine) as session:
        assert session.get(Passkey, "her-key") is not None
        assert session.exec(select(Account.phone_at)).one() is None
    assert town.delivered(channel="sms") == []


@pytest.mark.parametrize(
    "then",
    [
        "https://evil.example",
        "//evil.example/x",
        "/\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "evil",
        "",
        "/ü",
    ],
)
def test_the_way_on_after_a_second_factor_never_leaves_this_site(town: Town, then: str) -> None:
    browser = town.signed_in()
    _with_second_factor(town)
    assert "evil" not in browser.get("/account/second", params={"then": then}).text
    with writing(town.engine) as session:
        person = sessions.person_of(session, browser.cookies["session"], utc_now())
        sessions.show_second(session, person, utc_now())

    answer = browser.get("/account/second", params={"then": then})

    assert (answer.status_code, answer.headers["location"]) == (303, "/account")


def test_the_last_second_way_in_cannot_be_taken_away(town: Town) -> None:
    browser = town.signed_in()
    _with_second_factor(town)
    with writing(town.engine) as session:
        person = sessions.person_of(session, browser.cookies["session"], utc_now())
        sessions.show_second(session, person, utc_now())

    answer = browser.post("/account/passkeys/remove", data={"passkey": "her-key"})

    assert answer.headers["location"] == "/account/security?fault=last"
    with reading(town.engine) as session:
        assert session.get(Passkey, "her-key") is not None


def test_a_passkey_of_somebody_else_cannot_be_removed(town: Town) -> None:
    town.signed_in()
    _with_second_factor(town)
    ben = town.signed_in("ben@example.org")
    with writing(town.engine) as session:
        for number in range(2):
            row = Passkey(
                id=f"bens-{number}", subject_id=town.subject("ben@example.org"), public_key=b"x", name="Phone"
            )
            session.add(row)
        person = sessions.person_of(session, ben.cookies["session"], utc_now())
        sessions.show_second(session, person, utc_now())

    assert ben.post("/account/passkeys/remove", data={"passkey": "her-key"}).status_code == 404
    with reading(town.engine) as session:
        assert session.get(Passkey, "her-key") is not None
    assert town.subject(ANA) != town.subject("ben@example.org")
