"""The pages for face and voice in a real browser: its camera and microphone are files, the worker is real.

The picture is a photograph of LFW, the sound real speech; what the browser records of them goes through the
decoder's child process and the models like any other sample.
"""

from __future__ import annotations

import base64
import io
import shutil
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from PIL import Image

from enrollment.desk_work import keep_working
from monitor.stages.decode import DecodeLimits, Decoder
from tests.assets import people
from tests.enrollment.newcomer import Newcomer
from tests.serving import browsing, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.ml.interfaces import Pack

PERSON = "Adrien_Brody"
SPEECH_S = 12
WAIT_MS = 30_000


@dataclass
class Site:
    """A running service: its pages, and a worker at its desk."""

    eva: Newcomer
    port: int

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def page(self, browser: Any, path: str, **how: Any) -> Any:
        """Open a page of hers in a fresh window."""
        context = browser.new_context(**how)
        context.add_cookies([{"name": "session", "value": self.eva.cookie, "url": self.url}])
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.goto(self.url + path)
        return page


@pytest.fixture
def site(tmp_path: Path, pack: Pack) -> Iterator[Site]:
    with running(tmp_path, pack) as found:
        yield found


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory, pack: Pack) -> Iterator[Site]:
    """Give one service to all tests in which nothing is given."""
    with running(tmp_path_factory.mktemp("untouched"), pack) as found:
        yield found


@contextmanager
def running(folder: Path, pack: Pack, **how: Any) -> Iterator[Site]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    eva = Newcomer.at(folder / "home", public_url=f"http://127.0.0.1:{port}", **how)
    stop = threading.Event()
    with Decoder(DecodeLimits(memory_mb=1024)) as decoder, serving(eva.app, port):
        desk = threading.Thread(target=keep_working, args=(eva.desk(pack, decoder), stop))
        desk.start()
        try:
            yield Site(eva, port)
        finally:
            stop.set()
            desk.join()
    eva.close()


@pytest.fixture(scope="module")
def recorded(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make the camera's film, one photograph that stands still, and the microphone's sound."""
    folder = tmp_path_factory.mktemp("recorded")
    square = cv2.resize(people.pictures(data, PERSON)[0], (480, 480), interpolation=cv2.INTER_CUBIC)
    wide = cv2.copyMakeBorder(square, 0, 0, 80, 80, cv2.BORDER_REPLICATE)
    film = folder / "face.mjpeg"
    film.write_bytes(people.jpeg(np.asarray(wide, np.uint8), 95) * 20)
    clips = sorted(min((data / people.VOICES).iterdir()).iterdir())
    speech = np.concatenate([people.speech(one) for one in clips])[: 2 * SPEECH_S * 16_000]
    sound = folder / "voice.wav"
    sound.write_bytes(people.wav(speech))
    return film, sound


@pytest.fixture(scope="module")
def chromium(recorded: tuple[Path, Path]) -> Iterator[Any]:
    film, sound = recorded
    with browsing(
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
        f"--use-file-for-fake-audio-capture={sound}",
    ) as browser:
        yield browser


@contextmanager
def another(chromium: Any, *flags: str) -> Iterator[Any]:
    """Start a second browser beside the first, with other flags."""
    browser = chromium.browser_type.launch(
        executable_path=shutil.which("chromium"), args=["--no-sandbox", *flags]
    )
    yield browser
    browser.close()


@pytest.fixture
def photograph(data: Path, tmp_path: Path) -> Path:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(people.jpeg(people.pictures(data, PERSON)[1]))
    return path


def until(page: Any, holds: str) -> None:
    """Wait until an expression holds; the page's policy forbids the browser to do it by itself."""
    end = time.monotonic() + WAIT_MS / 1000
    while not page.evaluate(holds):
        assert time.monotonic() < end, holds
        page.wait_for_timeout(50)


def must_be_quiet(page: Any) -> list[str]:
    """Collect what the browser complains about: a script that the policy stops, a request to elsewhere."""
    said: list[str] = []
    page.on("console", lambda one: said.append(one.text) if one.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


def test_the_camera_guides_takes_the_picture_by_itself_and_it_is_usable(chromium: Any, site: Site) -> None:
    page = site.page(chromium, "/enrol/face")
    said = must_be_quiet(page)
    page.get_by_role("button", name="Turn the camera on").click()
    page.wait_for_selector("#say[data-code=good]")
    page.wait_for_selector("#taken[src^='blob:']")  # all was well for a second, so it was taken
    page.get_by_role("button", name="Use this picture").click()
    page.wait_for_selector("#given li[data-state=usable]")
    assert "✓" in page.inner_text("#given")
    assert page.inner_text("#start") == "Take another picture"
    page.get_by_role("link", name="Go on").click()
    page.wait_for_url("**/enrol/voice")
    assert said == []
    page.context.close()


def test_by_keyboard_alone_without_the_automatic(chromium: Any, site: Site) -> None:
    page = site.page(chromium, "/enrol/face", reduced_motion="reduce")
    assert not page.is_checked("#auto")
    page.focus("#start")
    page.keyboard.press("Enter")
    page.wait_for_selector("#take:focus")
    page.wait_for_selector("#say[data-ok=yes]")
    until(page, "document.getElementById('say-aloud').textContent.length > 0")
    page.keyboard.press("Enter")
    until(page, "document.getElementById('count').textContent === '2'")
    page.wait_for_selector("#use:focus")
    page.keyboard.press("Enter")
    page.wait_for_selector("#given li[data-state=usable]")
    page.context.close()


def test_what_is_taken_is_not_mirrored(chromium: Any, untouched: Site, data: Path) -> None:
    page = untouched.page(chromium, "/enrol/face", reduced_motion="reduce")
    page.get_by_role("button", name="Turn the camera on").click()
    page.wait_for_selector("#take:focus")
    assert "-1" in page.eval_on_selector("#video", "one => getComputedStyle(one).transform")
    page.get_by_role("button", name="Take the picture").click()
    page.wait_for_selector("#taken[src^='blob:']")
    draw = (
        "async one => { await one.decode(); const c = document.createElement('canvas');"
        "c.width = one.naturalWidth; c.height = one.naturalHeight; c.getContext('2d').drawImage(one, 0, 0);"
        "return c.toDataURL('image/png').split(',')[1]; }"
    )
    raw = base64.b64decode(page.eval_on_selector("#taken", draw))
    taken = np.asarray(Image.open(io.BytesIO(raw)).convert("L"), np.float32)
    height, width = taken.shape
    middle = taken[:, (width - height) // 2 : (width + height) // 2]
    was = cv2.cvtColor(people.pictures(data, PERSON)[0], cv2.COLOR_RGB2GRAY)
    was = cv2.resize(was, (height, height)).astype(np.float32)
    alike, mirrored = (np.corrcoef(middle.ravel(), one.ravel())[0, 1] for one in (was, was[:, ::-1]))
    assert alike > 0.95 > mirrored
    page.context.close()


def test_the_microphone_records_and_what_the_browser_makes_is_usable(
    chromium: Any, site: Site, photograph: Path
) -> None:
    first = site.page(chromium, "/enrol/face")
    first.set_input_files("#files", str(photograph))
    first.get_by_role("button", name="Send").click()
    first.wait_for_selector("#given li[data-state=usable]")
    first.context.close()
    page = site.page(chromium, "/enrol/voice")
    said = must_be_quiet(page)
    page.get_by_role("button", name="Start to record").click()
    until(page, "document.getElementById('level').value > 0.3")
    until(page, "document.getElementById('say-aloud').dataset.code === 'enough'")
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector("#taken[src^='blob:']")
    assert page.eval_on_selector("#taken", "async one => { await one.play(); one.pause(); return true; }")
    page.get_by_role("button", name="Use this recording").click()
    page.wait_for_selector("#given li[data-state=usable]")
    assert said == []
    page.context.close()
    # the tab was closed: what was given is there
    again = site.page(chromium, "/enrol/voice")
    assert again.locator("#given li[data-state=usable]").count() == 1
    again.context.close()


def test_without_javascript_an_upload_does_it_all(chromium: Any, site: Site, photograph: Path) -> None:
    page = site.page(chromium, "/enrol/face", java_script_enabled=False)
    assert not page.is_visible("#camera")
    page.set_input_files("#files", str(photograph))
    page.get_by_role("button", name="Send").click()
    page.wait_for_selector("#given li[data-state=usable]")  # the page loads itself again
    page.get_by_role("button", name="Remove picture 1").click()
    page.wait_for_selector("#given >> text=Nothing yet.")
    page.context.close()


def test_permission_denied_leaves_the_upload(chromium: Any, site: Site, photograph: Path) -> None:
    with another(chromium, "--use-fake-device-for-media-stream", "--deny-permission-prompts") as shy:
        page = site.page(shy, "/enrol/face")
        page.get_by_role("button", name="Turn the camera on").click()
        page.wait_for_selector("#camera-problem:visible")
        assert "was told not to give it" in page.inner_text("#camera-problem")
        page.set_input_files("#files", str(photograph))
        page.get_by_role("button", name="Send").click()
        page.wait_for_selector("#given li[data-state=usable]")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NotFoundError", "None was found"),
        ("NotReadableError", "Another program"),
        ("TypeError", "It stopped"),
    ],
)
def test_no_camera_and_a_busy_one_say_so(chromium: Any, untouched: Site, name: str, words: str) -> None:
    page = untouched.page(chromium, "/enrol/face")
    page.evaluate(
        "name => { const no = async () => { throw new DOMException('', name); };"
        "navigator.mediaDevices.getUserMedia = no; }",
        name,
    )
    page.get_by_role("button", name="Turn the camera on").click()
    page.wait_for_selector("#camera-problem:visible")
    assert words in page.inner_text("#camera-problem")
    assert page.is_visible("#files")
    page.context.close()


def test_a_page_without_https_says_so(chromium: Any, untouched: Site) -> None:
    with another(chromium, "--host-resolver-rules=MAP likeness.test 127.0.0.1") as browser:
        context = browser.new_context()
        url = f"http://likeness.test:{untouched.port}"
        context.add_cookies([{"name": "session", "value": untouched.eva.cookie, "url": url}])
        page = context.new_page()
        page.goto(f"{url}/enrol/face")
        page.wait_for_selector("#camera-problem:visible")
        assert "https only" in page.inner_text("#camera-problem")
        assert not page.is_visible("#start")
        assert page.is_visible("#files")


def test_a_file_that_is_too_large_is_known_before_it_is_sent(
    chromium: Any, site: Site, tmp_path: Path
) -> None:
    huge = tmp_path / "huge.jpg"
    huge.write_bytes(b"\xff\xd8\xff\xe0" + bytes(3 * site.eva.settings.sample_max_bytes))
    page = site.page(chromium, "/enrol/face")
    page.set_input_files("#files", str(huge))
    page.get_by_role("button", name="Send").click()
    assert "larger together" in page.inner_text("#upload-problem:visible")
    page.context.close()
    bare = site.page(chromium, "/enrol/face", java_script_enabled=False)
    bare.set_input_files("#files", str(huge))
    bare.get_by_role("button", name="Send").click()
    bare.wait_for_selector("#problems [data-code=too_large]")  # no script: the server's page says it
    bare.context.close()


def test_narrow_and_large_nothing_runs_out_of_the_page(chromium: Any, untouched: Site) -> None:
    page = untouched.page(chromium, "/enrol/face", viewport={"width": 320, "height": 640})
    page.get_by_role("button", name="Turn the camera on").click()
    page.wait_for_selector("#stage:visible")
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not page.evaluate(wide)
    page.context.close()
