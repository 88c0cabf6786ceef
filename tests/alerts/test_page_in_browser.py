"""The way of a person through the pages, in a real browser: without a mouse, without scripts, on paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT

from monitor.values import Made, MediaKind, Plate, Span
from tests.alerts import scene
from tests.alerts.mailhost import free_port
from tests.alerts.visitor import Visitor, link_in, stop_link_in
from tests.assets.assessments import assessed, composite
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTRAST = """
() => {
  const light = (rgb) => {
    const part = rgb.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
      .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
  };
  const ground = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!/, 0\\)$/.test(colour)) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const poor = [];
  for (const one of document.querySelectorAll("body *")) {
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own) continue;
    const pair = [light(getComputedStyle(one).color), light(ground(one))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 7) poor.push(`${one.tagName} ${ratio.toFixed(2)}`);
  }
  return poor;
}
"""
"""Lists every element with text whose contrast is below 7:1, the stricter one of WCAG's two bounds."""


FAULTS = "async () => (await axe.run()).violations.map((one) => [one.id, one.nodes[0].html])"


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    port = free_port()
    visitor = Visitor.at(tmp_path_factory.mktemp("browser"), public_url=f"http://127.0.0.1:{port}")
    with serving(visitor.app, port):
        yield visitor
    visitor.browser.close()
    visitor.engine.dispose()


def _page(chromium: Any, **how: Any) -> Any:
    page = chromium.new_context(**how).new_page()
    page.set_default_timeout(10_000)
    return page


def _url(visitor: Visitor, path: str) -> str:
    return f"{visitor.links.public_url}{path}"


def _told(visitor: Visitor, **how: Any) -> Any:
    return visitor.message(kind=MediaKind.VIDEO, voice=0.7, voice_spans=(Span(3, 9),), **how)


def test_from_the_mail_to_the_face_and_away_again_with_the_keyboard_alone(
    visitor: Visitor, chromium: Any
) -> None:
    page = _page(chromium, java_script_enabled=False)
    answers: list[tuple[str, int]] = []
    page.on("response", lambda answer: answers.append((answer.url, answer.status)))
    link = _url(visitor, link_in(_told(visitor)))

    page.goto(link)
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the text"
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Open the private page"
    page.keyboard.press("Enter")
    page.wait_for_url("**/sightings/*")

    assert page.locator("h1").inner_text() == "What we found"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Leave this page now"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Show the face that we compared"
    assert not page.locator("img").is_visible(), "nothing is shown before it is asked for"
    page.keyboard.press("Enter")
    page.locator("img").wait_for(state="visible")
    assert [status for address, status in answers if "/faces/" in address] == [200]

    page.get_by_role("button", name="Close this page now").click()
    assert page.locator("h1").inner_text() == "This page is closed"
    page.go_back()
    assert page.locator("h1").inner_text() == "This page is closed", "nor does the way back show it"


def test_a_link_used_up_leads_to_a_fresh_one(visitor: Visitor, chromium: Any) -> None:
    page = _page(chromium)
    link = _url(visitor, link_in(_told(visitor)))
    for _ in range(2):
        page.goto(link)
        page.get_by_role("button").click()

    page.get_by_role("button", name="Send a fresh link").click()

    assert page.locator("h1").inner_text() == "A fresh link is on its way"
    [message] = visitor.told()
    page.goto(_url(visitor, link_in(message)))
    page.get_by_role("button").click()
    assert page.locator("h1").inner_text() == "What we found"


def test_this_is_not_me_is_asked_said_and_undone_with_the_keyboard_alone(
    visitor: Visitor, chromium: Any
) -> None:
    page = _page(chromium, java_script_enabled=False, viewport={"width": 320, "height": 700})
    page.goto(_url(visitor, link_in(_told(visitor))))
    page.get_by_role("button").click()
    fine = {"wide": False, "headings": 1, "language": "en"}

    page.get_by_role("link", name="This is not me").press("Enter")
    assert page.locator("h1").inner_text() == "Is this not you?"
    assert _shape(page) == fine
    page.get_by_role("button", name="This is not me").press("Enter")
    assert page.locator("h1").inner_text() == "You said that this is not you"
    assert _shape(page) == fine
    page.reload()
    page.get_by_role("button", name="Undo: it may be me").press("Enter")

    assert page.locator("h1").inner_text() == "What we found"
    assert page.get_by_role("link", name="This is not me").is_visible()


def test_messages_are_stopped_and_started_again(visitor: Visitor, chromium: Any) -> None:
    page = _page(chromium)
    page.goto(_url(visitor, stop_link_in(_told(visitor))))

    page.get_by_role("button", name="Stop all messages").click()
    assert page.locator("h1").inner_text() == "Messages are stopped"
    page.get_by_role("button", name="Start messages again").click()
    assert page.locator("h1").inner_text() == "Messages are on again"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1200])
def test_every_page_is_readable_in_every_light_and_on_every_screen(
    visitor: Visitor, chromium: Any, scheme: str, width: int
) -> None:
    page = _page(chromium, color_scheme=scheme, viewport={"width": width, "height": 700})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    message = _told(visitor, url=f"https://long.example/{'a' * 300}.mp4")
    link = _url(visitor, link_in(message))

    seen = []
    page.goto(_url(visitor, stop_link_in(message)))
    seen.append(_checked(page))
    page.goto(link)
    seen.append(_checked(page))
    page.get_by_role("button").click()
    page.locator("summary").click()
    seen.append(_checked(page))
    page.get_by_role("link", name="This is not me").click()
    seen.append(_checked(page))
    page.get_by_role("button", name="This is not me").click()
    seen.append(_checked(page))
    page.get_by_role("link", name="Back to what we found").click()
    page.get_by_role("button", name="Close this page now").click()
    seen.append(_checked(page))

    assert seen == [{"poor": [], "wide": False, "headings": 1, "language": "en"}] * 6
    assert said == [], "nothing that the page asks for is refused by its own rules"


def _checked(page: Any) -> dict[str, object]:
    return {"poor": page.evaluate(CONTRAST), **_shape(page)}


def _shape(page: Any) -> dict[str, object]:
    return {
        "wide": page.evaluate("document.documentElement.scrollWidth > window.innerWidth"),
        "headings": page.locator("h1").count(),
        "language": page.locator("html").get_attribute("lang"),
    }


def test_on_paper_the_buttons_are_gone_and_the_addresses_are_there(
    visitor: Visitor, chromium: Any, tmp_path: Path
) -> None:
    page = _page(chromium)
    page.goto(_url(visitor, link_in(_told(visitor))))
    page.get_by_role("button").click()

    page.emulate_media(media="print")
    page.pdf(path=tmp_path / "page.pdf")

    assert page.get_by_role("button").count() == 0
    assert page.get_by_text("https://pictures.example/a/1.jpg").first.is_visible()
    assert (tmp_path / "page.pdf").stat().st_size > 10_000


def test_what_is_said_of_its_making_is_for_everybody(visitor: Visitor, chromium: Any) -> None:
    page = _page(chromium, viewport={"width": 320, "height": 700}, bypass_csp=True)
    plates = (Plate(scene.jpeg(), "The face at 3.0 seconds."),)
    page.goto(
        _url(visitor, link_in(_told(visitor, synthetic=assessed(Made.LIKELY, composite(plates=plates)))))
    )
    page.get_by_role("button").click()
    check = page.locator("details.check")
    assert not check.locator("svg").is_visible(), "closed until it is asked for"
    check.locator("summary").first.press("Enter")
    check.locator("svg").wait_for(state="visible")
    check.locator("summary", has_text="as a table").press("Enter")
    assert check.get_by_role("row").count() == 13
    assert page.get_by_role("img", name="12 stretches").count() == 1
    assert _checked(page) == {"poor": [], "wide": False, "headings": 1, "language": "en"}
    page.evaluate(AXE_SCRIPT)
    assert page.evaluate(FAULTS) == []
    page.get_by_role("link", name="What these words mean").click()
    assert page.locator("h1").inner_text() == "Real, or made by a computer?"
    assert _checked(page) == {"poor": [], "wide": False, "headings": 1, "language": "en"}
    page.evaluate(AXE_SCRIPT)
    assert page.evaluate(FAULTS) == []
