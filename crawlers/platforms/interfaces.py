"""What a platform's module is: it names what to ask for and reads what comes back. It fetches nothing itself.

The walk (spiders/platform.py) sends every Ask through the same robots.txt, pace and guard as any page, hands
the media of every Post to the same fetcher and door, and keeps a cursor only after all that the step
showed was handed over. So a platform's module is a pure reader, tested on answers in the documented shape.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from monitor.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from crawlers.links import MediaLink


SHORTEST_KEY: Final = 16
"""Bytes of a key for tags: fewer could be tried out."""


class Basis(StrEnum):
    """Why we may look at a source."""

    ROBOTS = "robots"
    TERMS = "terms"
    PARTNER = "partner"
    PUBLIC_API = "public_api"


@dataclass(frozen=True, slots=True)
class Terms:
    """What people asked us to look for: names, handles and hashtags, each without sign or address.

    They are sealed to the people who gave them and live in memory only, for one crawl; `repr` shows none.
    `tag_key` is for `tag`: whoever hands terms to a crawl makes it from a key that the crawl does not have,
    the same for each crawl of a source.
    """

    names: tuple[str, ...] = field(default=(), repr=False)
    handles: tuple[str, ...] = field(default=(), repr=False)
    hashtags: tuple[str, ...] = field(default=(), repr=False)
    tag_key: bytes = field(default=b"", repr=False)

    @classmethod
    def from_json(cls, text: str) -> Terms:
        """Read `{"names": [], "handles": [], "hashtags": [], "tag_key": "hex"}`, each list optional.

        Raises ConfigError, which names no term; also for terms with a key of less than 16 bytes.
        """
        try:
            given = json.loads(text)
            lists = {
                name: tuple(map(_term, given.get(name, []))) for name in ("names", "handles", "hashtags")
            }
            terms = cls(**lists, tag_key=bytes.fromhex(given.get("tag_key", "")))
        except (ValueError, TypeError, AttributeError):
            msg = "the terms on standard input are not the JSON that a crawl takes"
            raise ConfigError(msg) from None
        if any(lists.values()) and len(terms.tag_key) < SHORTEST_KEY:
            msg = "terms came without the key that their tags are made with"
            raise ConfigError(msg)
        return terms

    def to_json(self) -> str:
        """Undo `from_json`. For the standard input of a crawl, and for nothing that is kept."""
        lists = {"names": self.names, "handles": self.handles, "hashtags": self.hashtags}
        return json.dumps(lists | {"tag_key": self.tag_key.hex()})

    def tag(self, term: str) -> str:
        """Give the tag of the line of pages that a term leads to: it is written down, the term must not be.

        HMAC-SHA-256, the first 128 bits in hex.
        """
        return "term-" + hmac.new(self.tag_key, term.encode(), hashlib.sha256).hexdigest()[:32]


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
    """One thing to ask for. `tag` names its line of pages, and the cursor of that line.

    Asks of a Step with the tag of its answer go on with the line. Those with another tag are details of
    the step: its cursor waits until they were read and what they show was handed over. A tag is written
    down, so one for a term is made by `Terms.tag`. The address is not: it may hold what we look for.

    `posts` asks by POST with this body (a token, a query); it comes into no log. Neither do `headers`.
    `carry` comes back with the answer: what the module wants to be told again.
    """

    url: str
    tag: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    posts: bytes | None = field(default=None, repr=False)
    carry: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for an Ask: headers with names in lower case, the body after decompression.

    `status` is 2xx, 404 or 410. The walk itself deals with all others, and with 304, which shows nothing new.
    """

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

    That is right where the oldest comes first. Where the newest comes first, `cursor_at_end` is kept
    instead, once the whole line was read: to its end, or as far as the source may be read in one run.

    `gone` are addresses of posts that their platform says were deleted: what was taken of them stays
    evidence, and they are asked for no more. `faults` are codes of what was wrong in the answer but does
    not spoil the rest; each is counted.
    """

    posts: tuple[Post, ...] = ()
    asks: tuple[Ask, ...] = ()
    cursor: str | None = None
    cursor_at_end: str | None = None
    gone: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


@runtime_checkable
class Kind(Protocol):
    """What is said of one kind of source, however it is walked."""

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


@runtime_checkable
class Platform(Kind, Protocol):
    """One kind of source. Modules are stateless; everything they know is in Watch and Answer."""

    def begin(self, watch: Watch) -> Iterable[Ask]:
        """Give the first things to ask for, from the cursors on."""

    def read(self, answer: Answer, watch: Watch) -> Step:
        """Read one answer. A broken one gives an empty Step or raises FetchWrongType; never anything else.

        RateLimited says that the platform wants us to ask again later, in words that are no status 429.
        """

    def wait_s(self, answer: Answer, watch: Watch) -> float | None:
        """Seconds that the platform asks us to wait, in its own words, beyond Retry-After; None for none."""


def _term(given: object) -> str:
    if not isinstance(given, str):
        raise TypeError
    return given
