"""Every page of enrolment, account and operators, as everybody needs it: axe, 320 px, long words, keyboard.

Each page is opened in a real browser, small and light, then large and dark. Screenshots of all of them go to
the folder LIKENESS_SCREENSHOTS, where it is set.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from fastapi.testclient import TestClient
from sqlmodel import select

from enrollment import operators, sessions, subjects
from enrollment.identity.draw import Drawn
from enrollment.identity.turns import Turn
from enrollment.profiles import Profile
from enrollment.standing import Standing
from enrollment.tables import Account, Challenge
from monitor.blobs import BlobStore
from monitor.db import utc_now, writing
from monitor.values import SubjectId
from tests.enrollment.newcomers import Door, door_of
from tests.enrollment.service import Service, running, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.ml.interfaces import Pack

SCREENSHOTS: Final = os.environ.get("LIKENESS_SCREENSHOTS", "")

PHONE: Final = {"width": 320, "height": 640}
DESKTOP: Final = {"width": 1280, "height": 800}

PAGES: Final = {
    "anybody": (
        "/enrol", "/enrol/sent", "/enter/{link}", "/enter/no-such-link", "/enrol/retention", "/enrol/impact",
        "/enrol/erased/{erased}", "/enrol/contact/no-such-link", "/no-such-page",
    ),
    "fresh": ("/enrol/you", "/account"),
    "nearly": (
        "/enrol/consent", "/enrol/face", "/enrol/voice", "/enrol/proof", "/enrol/safety", "/enrol/start",
    ),
    "owner": (
        "/account", "/account/security", "/account/phone/code", "/account/proof", "/account/looks",
        "/account/pause", "/account/export", "/account/consents", "/account/contact", "/account/delegates",
        "/account/leave", "/account/face", "/account/voice", "/enrol/done", "/sightings", "/account/search",
        "/account/coverage", "/account/drill", "/account/originals",
    ),
    "unsure": ("/account/second", "/enrol/done"),
    "operator": ("/operator/enrolments", "/operator/enrolments/{hold}"),
}  # fmt: skip
"""Who -> the pages that they see."""

CASES: Final = [(who, path) for who, paths in PAGES.items() for path in paths]

ELSEWHERE: Final = frozenset(
    {
        "/operator/enrolments/{hold_id}/face",  # a picture
        "/operator/budget",  # of the watch, tested with it
        "/operator/feeds",  # of partners, tested with them
        "/operator/feeds/{name}",
        "/operator/sources",  # of the eyes, tested with them
        "/operator/sources/{name}",
    }
)

WATCH_CSP: Final = """
window.refused = [];
document.addEventListener("securitypolicyviolation", (one) => window.refused.push(one.violatedDirective));
"""

TOO_WIDE: Final = """() => {
  const page = document.documentElement;
  if (page.scrollWidth <= page.clientWidth) return [];
  const wide = [...document.querySelectorAll("main *, header *, footer *, nav *")];
  const found = wide.filter((one) => one.checkVisibility({ contentVisibilityAuto: true }) &&
    !one.children.length && one.getBoundingClientRect().right > page.clientWidth + 0.5);
  return found.length ? found.slice(0, 5).map((one) => one.outerHTML.slice(0, 120)) : ["the page"];
}"""
"""What runs out of the page on the right."""

DOUBLED: Final = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  for (const one of texts) {
    if (one.parentElement.closest("script, style, noscript, code, bdi")) continue;
    one.textContent = one.textContent.replace(/[A-Za-z]{4,}/g, (word) => word + word.toLowerCase());
  }
}"""
"""Every word of four letters or more twice as long, as German ones come: Aufenthaltsbestimmungsrecht."""

INLINE: Final = """() => [...document.querySelectorAll("[style], style, script:not([src]), [onclick]")]
  .map((one) => one.outerHTML.slice(0, 120))"""

ORDER: Final = """() => {
  const all = [...document.querySelectorAll("*")];
  const now = document.activeElement;
  const style = getComputedStyle(now);
  const own = now.type === "date"; // the browser shows which part of a date has the focus
  const shown = style.outlineStyle !== "none" || style.boxShadow !== "none" || own;
  return [all.indexOf(now), now === document.body ? "" : now.outerHTML.slice(0, 120), shown];
}"""


SERIOUS: Final = """async (options) => (await axe.run(options)).violations
  .filter((one) => ["serious", "critical"].includes(one.impact))
  .map((one) => ({ id: one.id, html: one.nodes[0].html }))"""
"""Runs axe, and gives what is serious."""


@dataclass
class Site:
    """A service with people in every state, and the cookies by which each of them is signed in."""

    service: Service
    cookies: dict[str, str]
    names: dict[str, str]
    operator: tuple[str, str]

    @contextmanager
    def open(self, browser: Any, who: str, path: str, **how: Any) -> Iterator[tuple[Any, list[str]]]:
        """Open a page as somebody; gives it, and what the browser complains about while it is open."""
        if who == "operator":
            how["http_credentials"] = dict(zip(("username", "password"), self.operator, strict=True))
        context = browser.new_context(viewport=PHONE, color_scheme="light", reduced_motion="reduce", **how)
        if who in self.cookies:
            cookie = {"name": "session", "value": self.cookies[who], "url": self.service.url}
            context.add_cookies([cookie])
        page, said = context.new_page(), []
        page.on("pageerror", lambda error: said.append(str(error)))
        home = f"{self.service.url}/"
        page.on("request", lambda one: None if one.url.startswith((home, "blob:")) else said.append(one.url))
        page.add_init_script(WATCH_CSP)
        page.goto(self.service.url + path.format(**self.names))
        try:
            yield page, said
        finally:
            context.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, pack: Pack) -> Iterator[Site]:
    """Fill a service with people. There is no worker: the desk's steps are taken by hand."""
    with (
        running(tmp_path_factory.mktemp("site"), works=False, cooling_off_hours=1.0) as service,
        door_of(service.engine, service.keys, BlobStore(service.settings.blobs), pack) as door,
    ):
        yield _filled(service, door)


def _filled(service: Service, door: Door) -> Site:
    face = door.vectors()
    owner = door.enrolled("owner@example.org", face, keep=True)
    service.end_cooling_off(owner)
    held = door.newcomer("eve@example.org", door.again(face))
    assert door.click(held) is None
    assert door.work() == 1
    nearly = door.newcomer("nearly@example.org")
    gone = door.enrolled("gone@example.org")
    _draw(service)
    cookies = {name: _cookie(service, who) for name, who in (("nearly", nearly), ("owner", owner))}
    cookies["unsure"] = _cookie(service, held, second=False)
    cookies["fresh"] = _cookie(service, _fresh(service, door))
    with TestClient(service.app, base_url=service.url, follow_redirects=False) as client:
        origin = {"origin": service.url, "accept": "text/html"}
        leaving = client.post(
            "/account/leave", headers=origin | {"cookie": f"session={_cookie(service, gone)}"}
        )
        client.post("/enrol", data={"email": "new@example.org"}, headers=origin)
    with writing(service.engine) as session:
        token = operators.add(session, "ada", "operator:test", utc_now())
    names = {"hold": door.hold(held).id, "erased": leaving.headers["location"].rsplit("/", 1)[-1]}
    return Site(service, cookies, names | {"link": _link(door)}, ("ada", token))


def _draw(service: Service) -> None:
    """Let every challenge have asked for something: the rows were made without."""
    with writing(service.engine) as session:
        for row in session.exec(select(Challenge)):
            row.drawn = Drawn((Turn.LEFT, Turn.UP, Turn.RIGHT), "305719", "en").as_json()


def _link(door: Door) -> str:
    messages = until(door.delivered, "a letter")
    [text] = [one.text for one in messages if one.to == "new@example.org"]
    return next(word for word in text.split() if "/enter/" in word).rsplit("/", 1)[-1]


def _fresh(service: Service, door: Door) -> SubjectId:
    who = SubjectId("fresh")
    with writing(service.engine) as session:
        subjects.create(session, service.keys, who, Profile("", "fresh@example.org"), standing=Standing.NEW)
        session.add(Account(subject_id=who, email_lookup=door.desk.lookups.email("fresh@example.org")))
    return who


def _cookie(service: Service, who: SubjectId, *, second: bool = True) -> str:
    now = utc_now()
    with writing(service.engine) as session:
        cookie = sessions.begin(session, who, "Firefox on Linux", now)
        session.flush()
        person = sessions.person_of(session, cookie, now)
        assert person is not None
        if second:
            sessions.show_second(session, person, now)
    return cookie


def _serious(page: Any, **options: Any) -> list[str]:
    found = page.evaluate(SERIOUS, {"resultTypes": ["violations"], **options})
    return [f"{one['id']}: {one['html'][:120]}" for one in found]


@pytest.mark.parametrize(("who", "path"), CASES, ids=[f"{who} {path}" for who, path in CASES])
def test_a_page_is_for_everybody(site: Site, chromium: Any, who: str, path: str) -> None:
    with site.open(chromium, who, path) as (page, said):
        # by keyboard alone, on the page as it came
        _goes_through(page)
        # small and light
        page.evaluate(AXE_SCRIPT)
        assert page.locator("h1").count() == 1
        assert _serious(page) == []
        assert page.evaluate(TOO_WIDE) == []
        # nothing in the page that a strict policy forbids, and nothing that moves
        assert page.evaluate(INLINE) == []
        assert page.evaluate("document.getAnimations().length") == 0
        _shot(page, who, path, "phone")
        # large and dark
        page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        assert _serious(page, runOnly=["color-contrast"]) == []
        page.set_viewport_size(DESKTOP)
        assert _serious(page, runOnly=["color-contrast"]) == []
        assert page.evaluate(TOO_WIDE) == []
        _shot(page, who, path, "desktop")
        # large and light
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        assert _serious(page) == []
        # words of twice the length
        page.set_viewport_size(PHONE)
        page.evaluate(DOUBLED)
        assert page.evaluate(TOO_WIDE) == []
        assert page.evaluate("window.refused") == []
        assert said == []


def _goes_through(page: Any) -> None:
    """Press Tab from the first thing to the last one, in their order, always seeing where one is."""
    assert page.locator("[tabindex]:not([tabindex='0']):not([tabindex='-1'])").count() == 0
    before, seen = -1, 0
    for _ in range(60):
        page.keyboard.press("Tab")
        place, what, shown = page.evaluate(ORDER)
        if not what or place < before:  # out of the page, or round it
            break
        assert shown, f"the focus is not seen on {what}"
        before, seen = place, seen + 1
    assert seen >= 1, "the link past the head of the page is always there"
    links = page.locator("main a:visible, main button:visible, main input:visible:not([type=hidden])")
    assert seen >= min(links.count(), 50)
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")


def test_every_page_is_among_them(site: Site) -> None:
    """A page that is added later must be added here."""
    shown = {path.partition("{")[0] for paths in PAGES.values() for path in paths}
    for path in _paths(site.service.app.router.routes):
        if path.startswith(("/enrol", "/account", "/enter", "/operator")) and path not in ELSEWHERE:
            is_page = not path.endswith(".json")
            assert not is_page or path.partition("{")[0] in shown | {"/enrol/contact/"}, path


def _paths(routes: Any) -> Iterator[str]:
    for route in routes:
        inner = getattr(route, "routes", None) or getattr(
            getattr(route, "original_router", None), "routes", None
        )
        if inner:
            yield from _paths(inner)
        elif "GET" in (getattr(route, "methods", None) or ()):
            yield route.path


def _shot(page: Any, who: str, path: str, width: str) -> None:
    if SCREENSHOTS:
        there = Path(SCREENSHOTS)
        there.mkdir(parents=True, exist_ok=True)
        name = f"{who}{path}".replace("/", "-").replace("{", "").replace("}", "")
        page.screenshot(path=there / f"{name}-{width}.png", full_page=True)
