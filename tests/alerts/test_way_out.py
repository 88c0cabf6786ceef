"""Pages of what was found can be left at once, like those of enrolment; their one script does only that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.alerts.visitor import link_in, stop_link_in

if TYPE_CHECKING:
    from tests.alerts.visitor import Visitor

EXIT = 'id="exit" href="https://'
SCRIPT = '<script type="module" src="/static/exit.js"></script>'


def test_every_page_of_what_was_found_has_the_way_out_first(visitor: Visitor) -> None:
    path = visitor.opened()
    for page in (path, f"{path}/not-me"):
        answer = visitor.browser.get(page)
        assert answer.status_code == 200
        assert EXIT in answer.text
        assert answer.text.index(EXIT) < answer.text.index("<h1>"), "before anything that could be read along"
        assert SCRIPT in answer.text
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "connect-src" not in policy, "the script can send nothing anywhere"
    closed = visitor.browser.post(f"{path}/close")
    assert EXIT in closed.text


def test_pages_that_show_nothing_run_no_script(visitor: Visitor) -> None:
    message = visitor.message()
    for page in (link_in(message), stop_link_in(message)):
        answer = visitor.browser.get(page)
        assert "<script" not in answer.text
        assert "script-src" not in answer.headers["content-security-policy"]
