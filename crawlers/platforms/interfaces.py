"""What a platform's module is: it names what to ask for and reads what comes back. It fetches nothing itself.

The walk (spiders/platform.py) sends every Ask through the same robots.txt, pace and guard as any page, hands
the media of every Post to the same fetcher and door, and keeps a cursor only after all that the step
showed was handed over. So a platform's module is a pure reader, tested on answers in the documented shape.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from crawlers.links import MediaLink


class Basis(StrEnum):
    """Why we may look at a source."""

    ROBOTS = "robots"
    TERMS = "terms"
    PARTNER = "partner"
    PUBLIC_API = "public_api"


@dataclass(frozen=True, slots=True)
class Terms:
    """What people asked us to look for: names, handles and hashtags, each without sign or address.

    They are sealed to the people who gave them and live in memory only, for one crawl; `repr` shows how many.
    """

    names: tuple[str, ...] = field(default=(), repr=False)
    handles: tuple[str, ...] = field(default=(), repr=False)
    hashtags: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Watch:
    """What a platform's module is told. `cursors` are its own of earlier runs, by the tag of an Ask.

    `options` are those of the source row, checked by `Platform.check`; `now` is when the run began, in UTC.
    """

    url: str
    options: Mapping[str, str]
    terms: Terms
    cursors: Mapping[str, str]
    now: datetime


@dataclass(frozen=True, slots=True)
class Ask:
    """One thing to ask for. `tag` comes back with the answer and names the cursor of this line of pages.

    `posts` asks by POST with this body (a token, a query); it is part of what is asked for, so it comes
    into no log. Neither do `headers`.
    """

    url: str
    tag: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    posts: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for an Ask: headers with names in lower case, the body after decompression."""

    ask: Ask
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Post:
    """One post, page or file of a platform: where people look at it, and what it shows."""

    url: str
    title: str = ""
    media: tuple[MediaLink, ...] = ()
    posted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What one answer gave. `cursor` is kept for the answer's tag once `posts` were handed over.

    `gone` are addresses of posts that their platform says were deleted: what was taken of them stays
    evidence, and they are asked for no more.
    """

    posts: tuple[Post, ...] = ()
    asks: tuple[Ask, ...] = ()
    cursor: str | None = None
    gone: tuple[str, ...] = ()


@runtime_checkable
class Platform(Protocol):
    """One kind of source. Modules are stateless; everything they know is in Watch and Answer."""

    @property
    def kind(self) -> str:
        """The word for it in `likeness source add --kind`."""

    @property
    def basis(self) -> Basis:
        """The basis on which it is read unless the operator says otherwise."""

    @property
    def sees(self) -> str:
        """One plain sentence for the coverage map: what of the platform is watched."""

    @property
    def blind_to(self) -> str:
        """One plain sentence for the coverage map: what of it we cannot see."""

    def check(self, url: str, options: Mapping[str, str]) -> None:
        """Raise ConfigError, with a hint, where address or options will not do."""

    def begin(self, watch: Watch) -> Iterable[Ask]:
        """Give the first things to ask for, from the cursors on."""

    def read(self, answer: Answer, watch: Watch) -> Step:
        """Read one answer. A broken one gives an empty Step or raises FetchWrongType; never anything else."""

    def wait_s(self, answer: Answer, watch: Watch) -> float | None:
        """Seconds that the platform asks us to wait, in its own words, beyond Retry-After; None for none."""
