"""The operator's pages of feeds, in a real browser: axe, contrast, 320 px, and by keyboard alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from monitor.db import utc_now, writing
from monitor.errors import HostKeyDiffers
from monitor.partners import counting, feeds, places, pull_times
from monitor.partners.feeds import NewFeed
from monitor.partners.places import Place
from monitor.partners.pulling import Pulled
from tests.alerts.mailhost import free_port
from tests.alerts.visitor import Visitor
from tests.operator_pages import is_for_everybody
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "an-operators-token-of-the-tests-0123456789"
ACTOR = "operator:test"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    home, port = tmp_path_factory.mktemp("feeds"), free_port()
    visitor = Visitor.at(home, operator_token=SecretStr(TOKEN), public_url=f"http://127.0.0.1:{port}")
    engine = visitor.engine
    pushes = feeds.add(engine, NewFeed("agency", "An Agency " + "long" * 40, "desk@example.org"), ACTOR)
    feeds.add_key(engine, visitor.keys, "agency", ACTOR)
    fetched = feeds.add(engine, NewFeed("archive", "An Agency", "desk@example.org", way="sftp"), ACTOR)
    place = Place("sftp", "sftp://files.example.org", "watch", "very-secret", host_key="ssh-ed25519 AAAA")
    with writing(engine) as session:
        places.seal(session, visitor.keys, feeds.find(session, "archive"), place)
        day = counting.day_of(utc_now())
        counting.write(
            session, {(pushes.id, day, counting.ACCEPTED): 12_345, (pushes.id, day, "item_key_taken"): 678}
        )
    done = Pulled(seen=7, known=4, taken=1, taken_bytes=9, failed=1, refused={"not_media": 1})
    fault = HostKeyDiffers("the server shows another key", hint="Ask your partner.")
    pull_times.note(engine, fetched.id, done, fault)
    with serving(visitor.app, port):
        yield visitor
    visitor.browser.close()
    engine.dispose()


@pytest.mark.parametrize("path", ["", "/agency", "/archive"])
@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light")])
def test_the_pages_are_for_everybody(
    served: Visitor, chromium: Any, path: str, width: int, scheme: str
) -> None:
    is_for_everybody(chromium, f"{served.links.public_url}/operator/feeds{path}", TOKEN, width, scheme)


def test_a_feed_that_we_fetch_says_how_the_last_round_went_and_never_where_it_stands(served: Visitor) -> None:
    asker = {"authorization": f"Bearer {TOKEN}"}
    page = served.browser.get("/operator/feeds/archive", headers=asker).text
    for said in (
        "1 try in a row failed",
        "host_key_differs",
        "Ask your partner.",
        "7 files seen",
        "not_media",
    ):
        assert said in page
    for secret in ("files.example.org", "very-secret", "watch@"):
        assert secret not in page
    assert "Fetched by us" not in served.browser.get("/operator/feeds/agency", headers=asker).text
    assert "failing" in served.browser.get("/operator/feeds", headers=asker).text
