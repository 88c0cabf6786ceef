"""Passkeys in a real Chromium with its virtual authenticator: made, shown, and of no use to anybody else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import httpx
import pytest
from sqlmodel import select

from enrollment.passkeys import Party, party_of
from enrollment.tables import Passkey
from monitor.db import reading
from monitor.settings import Settings
from tests.alerts.mailhost import free_port
from tests.enrollment.applicant import Town, link_in
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
"""A phone or laptop whose owner unlocks it as soon as it asks."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    port = free_port()
    url = f"http://localhost:{port}"
    # The safe exit leads to a page of this machine: tests reach no other.
    town = Town.at(tmp_path_factory.mktemp("town"), public_url=url, safe_exit_url=f"{url}/health")
    with serving(town.app, port):
        yield town
    town.close()


class Somebody:
    """One person with one device: a browser of their own, with an authenticator in it."""

    def __init__(self, chromium: Any, town: Town, email: str, **device: object) -> None:
        self.town, self.email = town, email
        self.url = town.url
        self.context = chromium.new_context()
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.device = self.context.new_cdp_session(self.page)
        self.device.send("WebAuthn.enable")
        self.device.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE | device})
        self.answers: list[tuple[str, str]] = []
        self.page.on("request", self._keep)

    def _keep(self, request: Any) -> None:
        if request.method == "POST" and "answer=" in (request.post_data or ""):
            self.answers.append((request.url, parse_qs(request.post_data)["answer"][0]))

    def comes_in(self) -> None:
        """Come in by e-mail."""
        self.page.goto(f"{self.url}/enrol")
        self.page.get_by_label("Your e-mail address").fill(self.email)
        self.page.get_by_role("button", name="Send me a link").click()
        self.page.wait_for_url("**/enrol/sent")
        [message] = [one for one in self.town.delivered() if one.to == self.email and "/enter/" in one.text]
        self.page.goto(self.url + link_in(message))
        self.page.get_by_role("button", name="Open my page").click()
        self.page.wait_for_url("**/enrol/you")

    def makes_passkey(self) -> None:
        """Make a passkey on the page "Safety"."""
        self.page.goto(f"{self.url}/account/security")
        self.page.get_by_role("button", name="Make a passkey").click()

    def signs_out(self) -> None:
        """Sign this browser out."""
        self.context.clear_cookies()

    def passkeys(self) -> list[Passkey]:
        """Read what the service keeps of their passkeys."""
        who = self.town.subject(self.email)
        with reading(self.town.engine) as session:
            return list(session.exec(select(Passkey).where(Passkey.subject_id == who)))


@pytest.fixture
def somebody(chromium: Any, town: Town, request: pytest.FixtureRequest) -> Iterator[Somebody]:
    one = Somebody(chromium, town, f"{request.node.name[:40]}@example.org")
    yield one
    one.context.close()


def test_made_once_it_is_the_way_in_and_the_second_factor(somebody: Somebody) -> None:
    somebody.comes_in()
    somebody.makes_passkey()
    somebody.page.get_by_text("Passkey, made with").wait_for()
    [message] = [one for one in somebody.town.delivered() if one.to == somebody.email]
    assert "A passkey was added" in message.text

    somebody.signs_out()
    somebody.page.goto(f"{somebody.url}/enrol")
    somebody.page.get_by_role("button", name="Use my passkey").click()
    somebody.page.wait_for_url("**/enrol/you")
    assert somebody.town.delivered() == [], "nobody had to write a letter"
    [row] = somebody.passkeys()
    assert row.used_at is not None
    assert row.sign_count > 0

    somebody.page.goto(f"{somebody.url}/account/second?then=/account/security")
    somebody.page.wait_for_url(f"{somebody.url}/account/security")

    # Come in by mail: that is one factor only, and the passkey is the second.
    somebody.signs_out()
    somebody.comes_in()
    somebody.page.goto(f"{somebody.url}/account/second?then=/account/security")
    assert somebody.page.locator("h1").inner_text() == "Show that it is you"
    somebody.page.get_by_role("button", name="Use my passkey").click()
    somebody.page.wait_for_url(f"{somebody.url}/account/security")
    assert somebody.page.get_by_role("button", name="Remove this passkey").is_visible()


def test_an_answer_that_was_overheard_opens_nothing_a_second_time(somebody: Somebody) -> None:
    somebody.comes_in()
    somebody.makes_passkey()
    somebody.page.get_by_text("Passkey, made with").wait_for()
    somebody.signs_out()
    somebody.page.goto(f"{somebody.url}/enrol")
    somebody.page.get_by_role("button", name="Use my passkey").click()
    somebody.page.wait_for_url("**/enrol/you")
    address, answer = somebody.answers[-1]
    challenge = {one["name"]: one["value"] for one in somebody.context.cookies()}["passkey"]

    again = httpx.post(address, data={"answer": answer}, cookies={"passkey": challenge}, trust_env=False)
    fresh = httpx.post(f"{address}/options", trust_env=False).cookies["passkey"]
    other = httpx.post(address, data={"answer": answer}, cookies={"passkey": fresh}, trust_env=False)

    assert (again.status_code, other.status_code) == (403, 403)
    assert "session" not in again.cookies
    for broken in (
        "",
        "{}",
        "[]",
        "null",
        json.dumps({"id": "x"}),
        answer.replace('"signature":"', '"signature":"AA'),
    ):
        fresh = httpx.post(f"{address}/options", trust_env=False).cookies["passkey"]
        wrong = httpx.post(address, data={"answer": broken}, cookies={"passkey": fresh}, trust_env=False)
        assert wrong.status_code == 403


def test_a_device_that_does_not_check_its_user_makes_no_passkey_here(chromium: Any, town: Town) -> None:
    one = Somebody(chromium, town, "unlocked@example.org", isUserVerified=False)
    one.comes_in()
    one.makes_passkey()
    said = one.page.locator("[data-said]")
    said.wait_for(state="visible")
    assert "cancelled, or it took too long" in said.inner_text()
    assert one.passkeys() == []
    one.context.close()


def test_the_same_device_is_not_taken_twice_and_says_so(somebody: Somebody) -> None:
    somebody.comes_in()
    somebody.makes_passkey()
    somebody.page.get_by_text("Passkey, made with").wait_for()
    somebody.makes_passkey()
    said = somebody.page.locator("[data-said]")
    said.wait_for(state="visible")
    assert "has a passkey for here already" in said.inner_text()
    assert len(somebody.passkeys()) == 1


def test_without_a_script_the_page_says_what_else_there_is(chromium: Any, town: Town) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{town.url}/enrol")
    assert page.get_by_role("button", name="Send me a link").is_visible()
    assert not page.get_by_role("button", name="Use my passkey").is_visible()
    context.close()


@pytest.mark.parametrize("way", ["click", "keys"])
def test_the_way_out_leaves_at_once_and_back_does_not_lead_here(chromium: Any, town: Town, way: str) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{town.url}/")
    page.get_by_role("link", name="Begin, or come back in").click()
    page.get_by_text("or press Esc twice").wait_for()
    if way == "click":
        page.get_by_role("link", name="Leave this page now").click()
    else:
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
    page.wait_for_url("**/health")
    page.go_back()
    assert page.url == f"{town.url}/"
    context.close()


def test_whom_a_passkey_is_for() -> None:
    party = party_of(Settings(public_url="https://watch.example:8443/", mail_name="Private notices"))
    assert party == Party("watch.example", "https://watch.example:8443", "Private notices")
    assert party_of(Settings(public_url="http://127.0.0.1:8800")) is None
    assert party_of(Settings(public_url="http://[::1]:8800")) is None
