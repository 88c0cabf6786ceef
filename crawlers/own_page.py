"""Whether a page of our own is seen where a source looks: asked by a fire drill before it waits in vain."""

from __future__ import annotations

from contextlib import closing
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from crawlers import sources
from crawlers.fetch import Fetcher, Limits
from crawlers.settings import user_agent
from monitor.errors import FetchError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crawlers.tables import Source

LIMITS: Final = Limits(max_bytes=2**20, seconds=15.0)


def shows(source: Source, contact: str, words: str) -> str:
    """Fetch the address of a source once, behind its guard; give why it does not show `words`, or nothing.

    A redirect is not followed. Raises ConfigError where nobody is named as the operator of the crawler.
    """
    fetcher = Fetcher(sources.rules(source), LIMITS, user_agent(contact), _anything, _whole)
    with closing(fetcher):
        try:
            answer = fetcher.get(source.url)
        except FetchError as exc:
            return f"{exc.code}: {exc.message}"
    if answer.status != HTTPStatus.OK:
        return f"it answers {answer.status}"
    return "" if words.encode() in (answer.kept or b"") else "it shows another page"


def _anything(_: bytes) -> None:
    """Take a page as well as media: what comes is searched for our own words and thrown away."""


def _whole(pieces: Iterable[bytes]) -> bytes:
    return b"".join(pieces)
