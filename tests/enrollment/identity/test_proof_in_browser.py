"""The page on which people show that it is them, in a real browser with a made camera and microphone.

Chromium's own test picture is no face and its beeps are no voice: the way of the recording is what is looked
at here, to the answer that the person reads. What clips pass is for test_check.py and the bench.
"""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from enrollment.desk_work import keep_working
from enrollment.identity import challenges
from enrollment.identity.draw import FRESH_FOR
from enrollment.identity.verdict import AGAIN, State
from monitor.db import reading, writing
from monitor.stages.decode import DecodeLimits, Decoder
from tests.enrollment.identity.sitter import give_some, newest
from tests.enrollment.newcomer import Newcomer
from tests.serving import browsing, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.ml.interfaces import Pack

WAIT_MS = 60_000

REFUSE = """
() => {
  navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", "NotAllowedError"));
}
"""
"""What a browser does whose person said no."""

FAKE = ("--use-fake-device-for-media-stream",)


@dataclass
class Site:
    """A running service with somebody whose samples are usable."""

    eva: Newcomer
    url: str

    def page(self, browser: Any, **how: Any) -> Any:
        """Open the page in a fresh window."""
        context = browser.new_context(**how)
        context.add_cookies([{"name": "session", "value": self.eva.cookie, "url": self.url}])
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.goto(f"{self.url}/enrol/proof")
        return page


@pytest.fixture
def site(tmp_path: Path, pack: Pack) -> Iterator[Site]:
    """Serve the pages; nobody works at the desk."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    eva = Newcomer.at(tmp_path / "home", public_url=url, sample_max_bytes=2**25, mail_from="help@example.org")
    give_some(eva.engine, eva.keys, eva.blobs, pack, eva.eva)
    with serving(eva.app, port):
        yield Site(eva, url)
    eva.close()


@pytest.fixture(scope="module")
def allowed() -> Iterator[Any]:
    """Start a browser that gives camera and microphone without asking."""
    with browsing("--use-fake-ui-for-media-stream", *FAKE) as browser:
        yield browser


def test_the_whole_way_by_keyboard_to_an_answer(site: Site, allowed: Any, pack: Pack) -> None:
    page = site.page(allowed, viewport={"width": 320, "height": 640}, reduced_motion="reduce")
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if site.url not in request.url else None)
    # Given somebody without a mouse who turns the camera on
    page.locator("#start").focus()
    page.keyboard.press("Enter")
    page.locator("#begin").wait_for()
    assert page.evaluate("document.activeElement.id") == "begin"
    assert Axe().run(page).violations_count == 0
    # When they begin, the directions come one by one in words that a screen reader speaks, and arrows
    page.keyboard.press("Enter")
    page.locator("#arrow:not(:empty)").wait_for()
    direction = page.locator("#say").inner_text()
    assert page.locator("#aloud").inner_text() == direction
    drawn = challenges.view_of(newest(site.eva.engine, site.eva.eva), site.eva.desk(pack, None).now()).drawn  # type: ignore[arg-type]
    page.locator("#digits:not([hidden])").wait_for()
    shown = page.locator("#digits .digit").all_inner_texts()
    assert "".join(one.strip()[0] for one in shown) == drawn.digits
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("document.activeElement.id") == "said"
    page.keyboard.press("Enter")
    # Then the recording arrives sealed, and the worker's answer is read: it teaches nothing
    page.locator("#outcome[data-state=looking]").wait_for()
    assert newest(site.eva.engine, site.eva.eva).state == State.WAITING
    stop = threading.Event()
    with Decoder(DecodeLimits(memory_mb=1024)) as decoder:
        desk = threading.Thread(target=keep_working, args=(site.eva.desk(pack, decoder), stop))
        desk.start()
        try:
            page.locator("#outcome[data-state=again]").wait_for()
        finally:
            stop.set()
            desk.join()
    assert page.locator("#outcome-title").inner_text() == AGAIN.heading
    assert AGAIN.text in page.locator("#aloud").inner_text()
    assert page.locator("#start").is_visible()
    assert newest(site.eva.engine, site.eva.eva).state == State.REFUSED
    assert said == []


def test_stopping_half_way_sends_nothing(site: Site, allowed: Any) -> None:
    page = site.page(allowed)
    page.locator("#start").click()
    page.locator("#begin").click()
    page.locator("#directions").wait_for()
    page.locator("#stop").click()
    page.locator("#start").wait_for()
    assert page.evaluate("document.getElementById('video').srcObject") is None
    assert newest(site.eva.engine, site.eva.eva).state == State.DRAWN


def test_a_browser_that_was_told_no_says_what_else_there_is(site: Site, allowed: Any) -> None:
    page = site.page(allowed)
    page.evaluate(REFUSE)
    page.locator("#start").click()
    page.locator("#camera-problem").wait_for()
    assert "told not to give" in page.locator("#camera-problem").inner_text()
    page.locator("summary", has_text="If you cannot do this").click()
    text = page.locator("details[open]").inner_text()
    assert "help@example.org" in text
    assert "A photograph alone cannot" in text


def test_without_a_script_a_recording_made_elsewhere_is_taken(site: Site, allowed: Any) -> None:
    page = site.page(allowed, java_script_enabled=False)
    page.locator("summary", has_text="With a camera of its own").click()
    page.get_by_role("button", name="Show me what to record").click()
    assert page.locator("#challenge li").count() == 5
    page.locator("#clip").set_input_files({"name": "me.mp4", "mimeType": "video/mp4", "buffer": b"a clip"})
    page.locator("#challenge button").click()
    assert page.locator("#outcome-title").inner_text() == "We are looking at it"
    assert newest(site.eva.engine, site.eva.eva).state == State.WAITING


def test_a_recording_that_comes_too_late_says_so(site: Site, allowed: Any) -> None:
    page = site.page(allowed, java_script_enabled=False)
    page.locator("summary", has_text="With a camera of its own").click()
    page.get_by_role("button", name="Show me what to record").click()
    row = newest(site.eva.engine, site.eva.eva)
    with writing(site.eva.engine) as session:
        session.get_one(type(row), row.id).expires_at = row.drawn_at - FRESH_FOR - timedelta(seconds=1)
    page.locator("#clip").set_input_files({"name": "me.mp4", "mimeType": "video/mp4", "buffer": b"a clip"})
    page.locator("#challenge button").click()
    assert "The time for this was over" in page.locator("#problem").inner_text()
    with reading(site.eva.engine) as session:
        assert session.get_one(type(row), row.id).blob_id is None
