"""Following a link notices a page that does not open, shows nothing, or opens twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor.demo.local_server import Answer, LocalServer
from monitor.demo.visiting import fault_of_link, link_in

if TYPE_CHECKING:
    from monitor.demo.local_server import Posted

DOOR, PAGE = Answer(b"<form method=post>"), Answer(b'<h1>Seen</h1><img src="/face" alt="">')
FACE = Answer(b"\xff\xd8\xff\xe0", "image/jpeg")
GONE = Answer(b"used", status=410)
LEADS = Answer(status=303, location="/page")


def fault(door: Answer, page: Answer, *opened: Answer) -> str:
    left = list(opened)

    def on_post(_posted: Posted) -> Answer:
        return left.pop(0)

    with LocalServer({"/m/t": door, "/page": page, "/face": FACE}, on_post).running() as server:
        return fault_of_link(f"{server.url}/m/t")


def test_a_page_that_opens_once_and_shows_the_face_is_fine() -> None:
    assert not fault(DOOR, PAGE, LEADS, GONE)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ((PAGE, PAGE, LEADS, GONE), "before it was opened"),
        ((DOOR, Answer(b"no", status=403), LEADS, GONE), "answered 403"),
        ((DOOR, Answer(b"<h1>Seen</h1>"), LEADS, GONE), "shows no face"),
        ((DOOR, PAGE, LEADS, LEADS), "opened twice"),
    ],
)
def test_each_fault_is_named(answers: tuple[Answer, ...], said: str) -> None:
    assert said in fault(*answers)


def test_no_answer_and_no_link_are_faults_too() -> None:
    with LocalServer({}).running() as server:
        url = server.url
    assert "did not answer" in fault_of_link(f"{url}/m/t")
    assert fault_of_link("") == "No message carries a link."


def test_the_link_to_the_page_is_told_from_others() -> None:
    text = "See http://elsewhere/m/1 or http://here/stop/2 or http://here/m/3"
    assert link_in(text, "http://here") == "http://here/m/3"
    assert not link_in(text, "http://there")
