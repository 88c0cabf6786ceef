"""What every operator's page must be, in a real browser: read, reached by keyboard, and without a script."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.base import AXE_SCRIPT

from tests.alerts.test_page_in_browser import CONTRAST
from tests.enrollment.test_pages_for_everybody import ORDER

TABS = 30
"""Presses of Tab at the most."""

FAULTS = "async () => (await axe.run()).violations.map((one) => [one.id, one.nodes[0].html])"


def is_for_everybody(chromium: Any, url: str, token: str, width: int, scheme: str) -> None:
    """Open a page `width` pixels wide in a colour scheme, `light` or `dark`, and hold it to all of that."""
    context = chromium.new_context(
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
        http_credentials={"username": "me", "password": token},
        bypass_csp=True,  # for axe alone; the pages have no script of their own
    )
    page = context.new_page()
    page.goto(url)
    assert page.locator("h1").count() == 1
    assert page.locator("script").count() == 0
    assert page.evaluate(CONTRAST) == []
    assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    before, places_met = -1, 0
    for _ in range(TABS):
        page.keyboard.press("Tab")
        place, what, shown = page.evaluate(ORDER)
        if not what or place < before:  # out of the page, or round it
            break
        assert shown, what
        before, places_met = place, places_met + 1
    assert places_met > min(page.locator("main a").count(), TABS - 1)
    page.evaluate(AXE_SCRIPT)
    assert page.evaluate(FAULTS) == []
    context.close()
