"""How an Ask becomes a request, without a crawl."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from crawlers.eyes import UNGOVERNED
from crawlers.platforms import registry
from crawlers.platforms.interfaces import Ask, Basis, Terms
from crawlers.platforms.wordpress import WordPress
from crawlers.runs import Tally
from crawlers.seen import SeenBook
from crawlers.spiders.platform import PlatformSpider
from crawlers.tables import Source
from monitor.values import SourceId

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrapy import Request

    from crawlers.platforms.interfaces import Watch

HOME = "https://shown.example/"


class Shown(WordPress):
    """A platform that asks for what the test says."""

    def __init__(self, asks: tuple[Ask, ...]) -> None:
        self._asks = asks

    def begin(self, watch: Watch) -> Iterator[Ask]:
        """Give what the test says."""
        del watch
        yield from self._asks


def requests(monkeypatch: pytest.MonkeyPatch, *asks: Ask, basis: Basis = Basis.ROBOTS) -> list[Request]:
    monkeypatch.setitem(registry.PLATFORMS, "shown", Shown(asks))
    source = Source(id="s", name="s", url=HOME, kind="shown", basis=basis, max_pages=10)
    book = SeenBook(SourceId("s"), {}, 0, by_hand=False)
    eyes: Any = SimpleNamespace(source=source, book=book, tally=Tally(), terms=Terms())

    async def collected() -> list[Request]:
        return [request async for request in PlatformSpider(eyes).start()]

    return asyncio.run(collected())


def test_what_goes_with_an_ask_is_for_its_host_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    posted = Ask(f"{HOME}query", "a", (("Authorization", "Bearer x"),), b'{"q": "somebody"}')
    plain = Ask(f"{HOME}list", "b")
    first, second = requests(monkeypatch, posted, plain)
    assert (first.method, first.body, first.headers["Authorization"]) == ("POST", posted.posts, b"Bearer x")
    assert (first.meta["dont_redirect"], second.meta["dont_redirect"]) == (True, False)
    assert (second.method, second.headers["Accept"][:16]) == ("GET", b"application/json")


@pytest.mark.parametrize(
    ("basis", "origin"),
    [
        (Basis.ROBOTS, None),
        (Basis.PUBLIC_API, "https://api.example"),
        (Basis.TERMS, "https://api.example"),
        (Basis.PARTNER, "https://api.example"),
    ],
)
def test_robots_txt_is_set_aside_for_the_host_of_the_api_only(
    monkeypatch: pytest.MonkeyPatch, basis: Basis, origin: str | None
) -> None:
    (request,) = requests(monkeypatch, Ask("https://api.example/v1/list"), basis=basis)
    assert request.meta[UNGOVERNED] == origin


def test_the_same_is_asked_once_and_another_body_is_another_thing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asks = [
        Ask(HOME),
        Ask(HOME, "again"),
        Ask(HOME, posts=b"1"),
        Ask(HOME, posts=b"2"),
        Ask(HOME, posts=b"2"),
    ]
    assert [one.body for one in requests(monkeypatch, *asks)] == [b"", b"1", b"2"]


def test_what_is_asked_for_is_not_shown() -> None:
    ask = Ask(f"{HOME}?q=x", "t", (("Authorization", "secret-1"),), b"secret-2", "secret-3")
    assert "secret" not in repr(ask)
    assert "Ada" not in repr(Terms(("Ada",), ("Ada",), ("Ada",), b"Ada"))
