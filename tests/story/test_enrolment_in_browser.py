"""Somebody enrols in a real Chromium, is found, is told when it is time, and takes everything back.

Pages, scripts, uploads, mail and worker are the real ones. The person is made of photographs and of recorded
speech, camera and microphone are files. One thing is arranged: what the challenge draws is known beforehand,
since a film cannot be made in the second between the drawing and the first direction.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from enrollment.identity import challenges
from enrollment.identity.draw import Drawn
from enrollment.identity.turns import Turn
from enrollment.standing import Standing
from monitor.bench.challenge_digits import SOUNDS
from monitor.bench.enrollment_cast import CAST, guest
from tests.assets import people
from tests.enrollment.before_camera import BEGINS_S, Devices, answers, looks_ahead, reads_aloud
from tests.enrollment.service import DEVICE, PATIENCE_S, Service, running, until
from tests.serving import browsing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.bench.challenge_film import Film
    from monitor.bench.enrollment_cast import Guest
    from monitor.ml.interfaces import Pack

EMAIL = "eva@example.org"
DRAWN = Drawn((Turn.LEFT, Turn.UP, Turn.RIGHT), "305719", "en")
TELLING_ROUNDS_S = 5.0
"""Two rounds of telling, and more."""

MINUTES_FILE = os.environ.get("LIKENESS_MINUTES_FILE", "")
"""Where the bench wants to read how long it took; see monitor/bench/enrollment.py."""

pytestmark = [
    pytest.mark.skipif(not SOUNDS.is_dir(), reason=f"no recorded digits in {SOUNDS}"),
    pytest.mark.timeout(600),  # filming comes on top of what a person takes
]


@pytest.fixture(scope="module")
def eva(data: Path, pack: Pack) -> Guest:
    """Read the person's photographs."""
    assert pack.faces is not None
    return guest(data, CAST[0], pack.faces)


@pytest.fixture(scope="module")
def films(eva: Guest) -> dict[str, Film]:
    """Film everything that the person will do: it takes longer than doing it."""
    return {"face": looks_ahead(eva), "voice": reads_aloud(), "proof": answers(eva, DRAWN)}


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Run the service; the first message may come an hour after the last click."""
    monkeypatch.setattr(challenges, "draw", lambda *_: DRAWN)
    with running(tmp_path / "home", cooling_off_hours=1.0) as there:
        yield there


def press(page: Any, name: str) -> None:
    """Press a button by the keyboard."""
    page.get_by_role("button", name=name, exact=True).focus()
    page.keyboard.press("Enter")


def go_on(page: Any) -> None:
    """Follow the link onward by the keyboard."""
    page.get_by_role("link", name="Go on", exact=True).first.focus()
    page.keyboard.press("Enter")


def test_a_person_enrols_is_found_is_told_in_time_and_leaves(
    service: Service, eva: Guest, films: dict[str, Film], tmp_path: Path
) -> None:
    devices = Devices(tmp_path)
    devices.show(films["face"])
    with browsing(*devices.flags) as browser:
        context = browser.new_context(locale="en-GB")
        page = context.new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        authenticator = context.new_cdp_session(page)
        authenticator.send("WebAuthn.enable")
        authenticator.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
        said: list[str] = []
        page.on("console", lambda one: said.append(one.text) if one.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: said.append(str(error)))

        # Given somebody who enrols in one go
        began = time.monotonic()
        enrols(page, service, devices, films)
        minutes = (time.monotonic() - began) / 60
        who = service.subject(EMAIL)
        until(lambda: service.standing(who) is not Standing.STARTING, "an answer of the worker")
        assert service.standing(who) is Standing.ACTIVE, service.doubts(who)
        assert said == []
        if MINUTES_FILE:
            Path(MINUTES_FILE).write_text(f"{minutes}", encoding="utf-8")

        # When another picture of them is seen, they are found, and not told before the cooling-off is over
        item = service.submit(people.jpeg(eva.shown[len(eva.shown) // 2].rgb), "picture.jpg")
        assert service.looked_at(item) == [who]
        time.sleep(TELLING_ROUNDS_S)
        assert service.told(EMAIL) == []
        service.end_cooling_off(who)
        until(lambda: service.told(EMAIL), "a message of what was found")

        # Then everything can be taken back, and they are found no more
        leaves(page, service)
        item = service.submit(people.jpeg(eva.shown[0].rgb), "another.jpg")
        assert service.looked_at(item) == []
        context.close()


def enrols(page: Any, service: Service, devices: Devices, films: dict[str, Film]) -> None:
    """Go every step from the first page to the last click."""
    # 1  the mailbox
    page.goto(f"{service.url}/enrol")
    page.get_by_label("Your e-mail address").focus()
    page.keyboard.type(EMAIL)
    page.keyboard.press("Enter")
    page.wait_for_url("**/enrol/sent")
    page.goto(service.link(EMAIL))
    press(page, "Open my page")
    # 2  about you, what you agree to
    page.wait_for_url("**/enrol/you")
    page.get_by_label("What shall we call you?").focus()
    page.keyboard.type("Eva 🌻")
    page.get_by_label("When were you born?").fill("1990-05-23")
    press(page, "Go on")
    page.wait_for_url("**/enrol/consent")
    page.locator("input[type=checkbox]").first.focus()
    page.keyboard.press("Space")
    press(page, "Keep my answers")
    # 3  a picture by the camera, which takes it by itself
    page.wait_for_url("**/enrol/face")
    press(page, "Turn the camera on")
    page.wait_for_selector("#taken[src^='blob:']")
    press(page, "Use this picture")
    page.wait_for_selector("#given li[data-state=usable]")
    # 4  a recording by the microphone
    devices.show(films["voice"])
    go_on(page)
    page.wait_for_url("**/enrol/voice")
    press(page, "Start to record")
    page.wait_for_selector("#say-aloud[data-code=enough]", state="attached")
    press(page, "Stop")
    page.wait_for_selector("#taken[src^='blob:']")
    press(page, "Use this recording")
    page.wait_for_selector("#given li[data-state=usable]")
    # 5  the challenge
    devices.show(films["proof"])
    go_on(page)
    page.wait_for_url("**/enrol/proof")
    press(page, "Turn on camera and microphone")
    turned_on = time.monotonic()
    page.locator("#begin").wait_for()
    page.wait_for_timeout(max(0.0, BEGINS_S - (time.monotonic() - turned_on)) * 1000)
    page.keyboard.press("Enter")
    page.wait_for_selector("#outcome[data-state=done], #outcome[data-state=again]", state="attached")
    outcome = page.get_attribute("#outcome", "data-state")
    assert outcome == "done", service.doubts(service.subject(EMAIL))
    # 6  a second thing that only they have, and the last click
    go_on(page)
    page.wait_for_url("**/enrol/safety")
    press(page, "Make a passkey")
    page.get_by_role("link", name="Go on", exact=True).wait_for()
    go_on(page)
    page.wait_for_url("**/enrol/start")
    press(page, "Start")
    page.wait_for_url("**/enrol/done")


def leaves(page: Any, service: Service) -> None:
    """Erase everything from the account's page."""
    page.goto(f"{service.url}/account")
    page.get_by_role("link", name="Erase everything and leave").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/account/leave" in url or "/account/second" in url)
    if "/account/second" in page.url:
        press(page, "Use my passkey")
        page.wait_for_url("**/account/leave")
    press(page, "Erase everything now")
    page.wait_for_url("**/enrol/erased/*")
    assert "Everything is erased" in page.inner_text("h1")
