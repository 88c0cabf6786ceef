"""Somebody without mouse and without camera enrols; and what the pages look like while a camera is on.

One service and one browser for all of it. The worker's steps are taken by hand, so that nothing is waited
for; the samples are a real photograph and real speech, judged by the real models.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from enrollment import judging
from enrollment.identity import challenges
from enrollment.standing import Standing
from monitor.blobs import BlobStore
from monitor.db import utc_now
from monitor.values import Modality
from tests.assets import people
from tests.enrollment.newcomer import begun, signed_in
from tests.enrollment.newcomers import Door, door_of
from tests.enrollment.service import DEVICE, Service, running
from tests.serving import browsing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.ml.interfaces import Pack

EMAIL: Final = "keys@example.org"
PERSON: Final = "Adrien_Brody"
MOST_TABS: Final = 60
"""Presses of the key from one end of the longest page to the other."""

SCREENSHOTS: Final = os.environ.get("LIKENESS_SCREENSHOTS", "")
SIZES: Final = {"phone": {"width": 320, "height": 640}, "desktop": {"width": 1280, "height": 800}}

FOCUSED: Final = """() => {
  const now = document.activeElement;
  const label = now.labels && now.labels.length ? now.labels[0].innerText : "";
  return `${label} ${now.innerText || ""}`.trim();
}"""


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, pack: Pack) -> Iterator[tuple[Service, Door]]:
    """Run a service whose worker's steps are taken by hand."""
    with (
        running(tmp_path_factory.mktemp("keys"), works=False, cooling_off_hours=1.0) as service,
        door_of(service.engine, service.keys, BlobStore(service.settings.blobs), pack) as door,
    ):
        yield service, door


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Start a browser whose camera shows Chromium's test picture, and is given without asking."""
    with browsing("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream") as browser:
        yield browser


class Keys:
    """Somebody who has a keyboard and nothing else. No element is ever focused by the test itself."""

    def __init__(self, page: Any) -> None:
        self.page = page
        page.on("filechooser", lambda _: None)  # from here on, not first when a key is pressed already

    def to(self, words: str) -> None:
        """Press Tab until the thing of these words has the focus, and see that it can be seen."""
        for _ in range(MOST_TABS):
            self.page.keyboard.press("Tab")
            if self.page.evaluate(FOCUSED).startswith(words):
                shown = "getComputedStyle(document.activeElement).outlineStyle !== 'none'"
                own = "document.activeElement.type === 'date'"  # the browser marks the part of the date
                assert self.page.evaluate(f"{shown} || {own}"), f"the focus is not seen on {words}"
                return
        pytest.fail(f"no key leads to {words!r} on {self.page.url}")

    def press(self, words: str, key: str = "Enter") -> None:
        """Go to something and press a key on it."""
        self.to(words)
        self.page.keyboard.press(key)

    def write(self, words: str, text: str) -> None:
        """Go to a field and type into it."""
        self.to(words)
        self.page.keyboard.type(text)

    def choose(self, words: str, name: str, content: bytes) -> None:
        """Go to a field for files, open the browser's own window by a key, and choose one there."""
        self.to(words)
        with self.page.expect_file_chooser() as chooser:
            self.page.keyboard.press("Space")
        chooser.value.set_files({"name": name, "mimeType": "application/octet-stream", "buffer": content})

    def arrive(self, path: str) -> None:
        """Wait for a page; the focus starts at its top again."""
        self.page.wait_for_url(f"**{path}")
        self.page.wait_for_load_state()


def judged(door: Door, page: Any) -> None:
    """Let the worker look at what was given, and the page say so by itself."""
    assert judging.judge_due(door.desk) == 1
    page.wait_for_selector("#given li[data-state=usable]")


def speech(data: Path) -> bytes:
    clips = sorted(min((data / people.VOICES).iterdir()).iterdir())
    return people.wav(np.concatenate([people.speech(one) for one in clips])[: 12 * 16_000])


def comes_in(keys: Keys, service: Service, desk: Door) -> None:
    """Come from the mailbox to the questions, and agree."""
    page = keys.page
    # 1  the mailbox
    page.goto(f"{service.url}/enrol")
    keys.write("Your e-mail address", EMAIL)
    keys.press("Send me a link")
    keys.arrive("/enrol/sent")
    [letter] = desk.delivered()
    page.goto(next(word for word in letter.text.split() if "/enter/" in word))
    keys.press("Open my page")
    # 2  about you, what you agree to
    keys.arrive("/enrol/you")
    keys.write("What shall we call you?", "Kai")
    keys.write("When were you born?", "05051990")  # day or month first, as the browser has it
    keys.press("Go on")
    keys.arrive("/enrol/consent")
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.type") != "checkbox":
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    keys.press("Keep my answers")


def gives_files(keys: Keys, desk: Door, data: Path) -> None:
    """Give a picture and a recording."""
    page = keys.page
    # 3  a picture and a recording, from files
    keys.arrive("/enrol/face")
    keys.choose("Pictures of your face", "me.jpg", people.jpeg(people.pictures(data, PERSON)[0]))
    keys.press("Send")
    keys.arrive("/enrol/face#given")
    judged(desk, page)
    keys.press("Go on")
    keys.arrive("/enrol/voice")
    keys.choose("A recording of your voice", "me.wav", speech(data))
    keys.press("Send")
    keys.arrive("/enrol/voice#given")
    judged(desk, page)
    keys.press("Go on")


def shows_that_it_is_them(keys: Keys, service: Service) -> None:
    """Give a recording that was made elsewhere, and be attested."""
    page = keys.page
    # 4  that it is you: a recording that was made elsewhere
    keys.arrive("/enrol/proof")
    keys.press("With a camera of its own")
    keys.press("Show me what to record")
    page.locator("#challenge li").first.wait_for()
    keys.choose("Your recording", "me.mp4", b"what a phone recorded")
    keys.press("Send")
    page.locator("#outcome[data-state=looking]").wait_for()
    assert page.inner_text("#outcome-title") == "We are looking at it"
    who = service.subject(EMAIL)
    # what clips pass has tests of its own; here somebody who runs the service has made sure in person
    challenges.attest(service.engine, service.keys, who, "operator:kim", "passport, in person", utc_now())
    page.locator("#outcome[data-state=done]").wait_for()
    keys.press("Go on")


def test_the_whole_enrolment_by_keyboard_with_files(
    door: tuple[Service, Door], chromium: Any, data: Path
) -> None:
    service, desk = door
    context = chromium.new_context(locale="en-GB", reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(60_000)
    authenticator = context.new_cdp_session(page)
    authenticator.send("WebAuthn.enable")
    authenticator.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    keys = Keys(page)
    comes_in(keys, service, desk)
    gives_files(keys, desk, data)
    shows_that_it_is_them(keys, service)
    who = service.subject(EMAIL)
    # 5  a second thing that only they have, and the last click
    keys.arrive("/enrol/safety")
    keys.press("Make a passkey")
    page.get_by_role("link", name="Go on", exact=True).wait_for()
    keys.press("Go on")
    keys.arrive("/enrol/start")
    keys.press("Start")
    keys.arrive("/enrol/done")
    assert page.inner_text("h1") == "That was all"
    assert "check it now" in page.inner_text("main")
    assert service.standing(who) is Standing.STARTING
    assert desk.work() == 1
    assert service.standing(who) is Standing.ACTIVE
    assert said == []
    context.close()


@pytest.fixture(scope="module")
def cookie(door: tuple[Service, Door]) -> str:
    """Sign somebody in who has given samples and shows now that it is them."""
    service, desk = door
    who = begun(service.engine, service.keys, "camera@example.org")
    for modality in ("face", "voice"):
        kind = Modality(modality)
        desk.sample(who, kind, desk.vectors(kind)[0])
    return signed_in(service.engine, who)


CAMERA_ON: Final = {
    "face": ("/enrol/face", "#start", "#stage video", "#say[data-code]"),
    "voice": ("/enrol/voice", "#start", "#recording meter", "#say-aloud[data-code]"),
    "proof": ("/enrol/proof", "#start", "#stage video", "#begin:not([hidden])"),
}
"""Step -> its page, what turns the device on, what is seen then, and by what it is ready."""


@pytest.mark.parametrize("step", CAMERA_ON)
def test_while_a_camera_or_microphone_is_on_the_page_is_for_everybody(
    door: tuple[Service, Door], chromium: Any, cookie: str, step: str
) -> None:
    service, (path, start, seen, ready) = door[0], CAMERA_ON[step]
    context = chromium.new_context(viewport=SIZES["phone"], reduced_motion="reduce")
    context.add_cookies([{"name": "session", "value": cookie, "url": service.url}])
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(service.url + path)
    page.click(start)
    page.wait_for_selector(ready, state="attached")
    for name, size in SIZES.items():
        page.set_viewport_size(size)
        assert page.locator(seen).is_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        _shot(page, f"{step}-on-{name}")
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [one["id"] for one in found if one["impact"] in {"serious", "critical"}] == []
    context.close()


def _shot(page: Any, name: str) -> None:
    if SCREENSHOTS:
        folder = Path(SCREENSHOTS)
        folder.mkdir(parents=True, exist_ok=True)
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=folder / f"{name}.png", full_page=True)
