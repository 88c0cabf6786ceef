"""Walks one platform through its module, which names what to ask for and reads what comes back.

1. files that could not be had last time, for a reason that passes;
2. what the module asks for first, each line of pages from its cursor on;
3. an answer is read: its media are asked for, its details and its next page follow;
4. when all that a page showed was handed over, its cursor is kept (spiders/lines.py).

An address that is asked for may hold the name of somebody who wants to be looked for. It is written
down nowhere: what goes wrong is noted under the source's own address, or under a digest.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import scrapy

from crawlers.eyes import ASKED, PART, UNGOVERNED
from crawlers.middlewares import LONGEST_DELAY_S, hold, retry_after_s
from crawlers.outcomes import BUSY, FULL, READER_FAULT, TRAP, outcome_of
from crawlers.platforms.interfaces import Answer, Basis, Watch
from crawlers.platforms.registry import platform_of
from crawlers.seen import GONE, LOOKED, PAGE, TAKEN
from crawlers.spiders.lines import Line, OneStep
from crawlers.spiders.media import MediaSpider, validators
from crawlers.spiders.posts import Posts
from monitor.db import utc_now
from monitor.errors import FetchError, RateLimited

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from scrapy import Request
    from scrapy.http import Response

    from crawlers.eyes import Eyes
    from crawlers.platforms.interfaces import Ask, Platform, Step
    from crawlers.spiders.media import Found

MAX_DETAILS: Final = 500
"""Details that one answer may lead to. No page of a list that we ask for is longer."""

DEEPEST: Final = 3
"""Details of details of details. Deeper ones are a trap, for no platform has them."""

MAX_IDLE: Final = 25
"""Pages of one line, in a row, that show nothing that was not shown in this run. Platforms give empty pages
now and then; a continue token that never ends gives nothing else."""

SAME_AGAIN: Final = 2
"""Times that one thing is asked for again after the platform asked us to wait."""

HANDED_ON: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
ANSWERS: Final = sorted({HTTPStatus.NOT_MODIFIED, *HANDED_ON, *BUSY})
"""Statuses that Scrapy gives to us instead of calling them failures."""

ACCEPT: Final = "application/json, application/xml;q=0.9, text/html;q=0.8, */*;q=0.5"


@dataclass(frozen=True, slots=True)
class Asking:
    """An Ask on its way: the step it will be, and how often it was sent back to wait.

    `first` is the first of its line, with no other page before it; `known` says that an earlier run came to
    the end of the line, so that what is shown now is new.
    """

    ask: Ask
    step: OneStep
    first: bool
    known: bool
    tries: int = 0


class PlatformSpider(MediaSpider):
    """One crawl of one source that is not a web site."""

    name = "platform"

    def __init__(self, eyes: Eyes, **kwargs: Any) -> None:  # noqa: ANN401 - Scrapy's interface
        """Prepare to walk. Raises ConfigError when address or options will not do."""
        super().__init__(eyes, **kwargs)
        source = eyes.source
        options = json.loads(source.options)
        self.platform: Platform = platform_of(source.kind)
        self.platform.check(source.url, options)
        self.watch = Watch(source.url, options, eyes.terms, dict(eyes.book.cursors.known), utc_now())
        self._posts = Posts(eyes, self.watch, self.media)
        self._asks_left = source.max_pages
        self._asked: set[bytes] = set()
        self._lines: dict[str, Line] = {}
        self._idle: dict[str, int] = {}

    async def start(self) -> AsyncIterator[Request]:
        """Begin with what failed last time, then with what the platform's module asks for."""
        for seen in self.eyes.book.unfinished():
            for request in self.media(seen.url, seen.page_url or self.watch.url, seen.title or ""):
                yield request
        for ask in self._first():
            for request in self._ask(ask, None, first=True, known=ask.tag in self.watch.cursors):
                yield request

    def _first(self) -> list[Ask]:
        """Give what is asked for first. Where it is more than may be asked in one run, chance decides."""
        asks = list(self.platform.begin(self.watch))
        if len(asks) > self._asks_left:
            random.shuffle(asks)
            self.eyes.tally.dropped[FULL] += len(asks) - self._asks_left
        asks = asks[: self._asks_left]
        self._asks_left -= len(asks)
        return asks

    def _ask(
        self, ask: Ask, parent: OneStep | None, *, known: bool, first: bool = False
    ) -> Iterator[Request]:
        """Ask for one thing, once in a run. `parent` is the step that waits for it."""
        if _key(ask) in self._asked:
            return
        self._asked.add(_key(ask))
        self._asks_left -= not first
        step = self._line(ask.tag).step(parent)
        yield self._request(Asking(ask, step, first, known))

    def _line(self, tag: str) -> Line:
        if tag not in self._lines:
            self._lines[tag] = Line(lambda value: self._keep(tag, value))
        return self._lines[tag]

    def _keep(self, tag: str, value: str) -> None:
        if not self.eyes.book.cursors.keep(tag, value):
            self.eyes.tally.dropped[TRAP] += 1

    def _request(self, asking: Asking) -> Request:
        ask = asking.ask
        is_repeatable = asking.first and ask.posts is None
        conditions = self.eyes.book.ask(self._name_of(ask), PAGE) if is_repeatable else {}
        return scrapy.Request(
            ask.url,
            self.read_answer,
            method="GET" if ask.posts is None else "POST",
            body=ask.posts,
            headers={"Accept": ACCEPT, **(conditions or {}), **dict(ask.headers)},
            errback=self.ask_failed,
            meta={
                PART: PAGE,
                ASKED: ask.url,
                UNGOVERNED: self._ungoverned(ask.url),
                "handle_httpstatus_list": ANSWERS,
                "dont_redirect": bool(ask.headers)
                or ask.posts is not None,  # what they hold is for that host
            },
            cb_kwargs={"asking": asking},
            priority=-self._idle.get(ask.tag, 0),
            dont_filter=True,  # _asked is the filter
        )

    def _ungoverned(self, url: str) -> str | None:
        """Give the origin that may be asked without its robots.txt, or None: robots.txt is obeyed.

        Only where the operator put on record another basis than robots.txt for this source, only for what
        the platform's module asks for, and for no host that it is sent on to. Media are never among it.
        """
        if self.eyes.source.basis == Basis.ROBOTS:
            return None
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc}"

    def _name_of(self, ask: Ask) -> str:
        """Give the address under which an Ask is remembered: one that does not show what it looks for."""
        return f"{self.watch.url.partition('#')[0]}#{self.watch.terms.tag(ask.url)}"

    def read_answer(self, response: Response, asking: Asking) -> Found:
        """Read one answer, and go on from it."""
        self.eyes.tally.bytes_fetched += len(response.body)
        headers = {
            name.decode("latin-1").lower(): b", ".join(values).decode("latin-1")
            for name, values in response.headers.items()
        }
        answer = Answer(asking.ask, response.url, response.status, headers, response.body)
        if response.status == HTTPStatus.NOT_MODIFIED:
            self.eyes.tally.pages += 1
            self.eyes.tally.pages_unchanged += 1
            asking.step.settled()
            return
        try:
            read = self._read(answer, response)
        except RateLimited:
            yield from self._again(asking, response, self.platform.wait_s(answer, self.watch))
        except FetchError as exc:
            self._give_up(asking, exc.code, exc.message)
        except Exception as exc:  # noqa: BLE001 - edge: strangers' bytes must not end a crawl by a fault of ours
            name = type(exc).__name__
            self.logger.error("a fault of ours in reading %s: %s", self.platform.kind, name)  # noqa: TRY400 - a trace may hold what was asked for
            self._give_up(asking, READER_FAULT, name)
        else:
            yield from self._take(read, asking, response)

    def _read(self, answer: Answer, response: Response) -> Step:
        """Read one answer. Raises RateLimited, and what the platform's module raises."""
        wait_s = self.platform.wait_s(answer, self.watch)
        if wait_s is not None:
            hold(self.crawler, response.request, wait_s)
        if response.status in BUSY:
            msg = "the platform asked us to come back later"
            raise RateLimited(msg)
        return self.platform.read(answer, self.watch)

    def _take(self, read: Step, asking: Asking, response: Response) -> Found:
        if response.status in HANDED_ON and not read.gone:
            self._give_up(asking, f"http_{response.status}", f"the server answered {response.status}")
            return
        ask, step = asking.ask, asking.step
        self.eyes.tally.pages += 1
        self.eyes.tally.dropped.update(read.faults)
        for url in read.gone:
            if self.eyes.book.gone(url):
                self.eyes.tally.dropped[GONE] += 1
        before = self._posts.count + len(self._asked)
        yield from self._posts.take(read.posts, step, known=asking.known)
        for detail in read.asks[:MAX_DETAILS]:
            if detail.tag != ask.tag:
                yield from self._detail(detail, asking)
        shows_new = self._posts.count + len(self._asked) > before
        self._idle[ask.tag] = 0 if shows_new else self._idle.get(ask.tag, 0) + 1
        for more in read.asks[:MAX_DETAILS]:
            if more.tag == ask.tag:
                yield from self._more(more, asking)
        self._settle(read, asking, response)

    def _settle(self, read: Step, asking: Asking, response: Response) -> None:
        line = asking.step.line
        line.at_end = line.at_end if line.at_end is not None else read.cursor_at_end
        asking.step.cursor = read.cursor
        if asking.first:
            found = validators(response)
            line.when_ended.append(lambda: self._remember(asking.ask, found))
        asking.step.settled()

    def _remember(self, ask: Ask, found: dict[str, str | None]) -> None:
        """Keep validators of the first page of a line once all of the line was handed over."""
        if any(found.values()):
            self.eyes.book.looked(self._name_of(ask), PAGE, TAKEN, shows=b"", **found)
        before = self.eyes.book.seen(self.watch.url)
        if before is not None and before.code not in LOOKED and before.looked_at < self.watch.now:
            self.eyes.book.looked(self.watch.url, PAGE, TAKEN)  # what failed in an earlier run is over

    def _detail(self, ask: Ask, asking: Asking) -> Iterator[Request]:
        """Ask for a part of a step. A page that was begun is read to its end, even past the cap."""
        if asking.step.depth >= DEEPEST:
            self.eyes.tally.dropped[TRAP] += 1
            return
        yield from self._ask(ask, asking.step, known=asking.known)

    def _more(self, ask: Ask, asking: Asking) -> Iterator[Request]:
        """Go on with a line, as far as the source may be read in one run."""
        if self._asks_left <= 0:
            self.eyes.tally.dropped[FULL] += 1
        elif self._idle[ask.tag] >= MAX_IDLE or _key(ask) in self._asked:
            self.eyes.tally.dropped[TRAP] += 1
        else:
            yield from self._ask(ask, asking.step.parent, known=asking.known)

    def _again(self, asking: Asking, response: Response, wait_s: float | None) -> Iterator[Request]:
        """Wait as long as the platform asks, and ask the same again; or leave it for the next run."""
        wished = max(wait_s or 0.0, retry_after_s(response) or 0.0)
        if wished > LONGEST_DELAY_S or asking.tries >= SAME_AGAIN:
            self._give_up(asking, RateLimited.code, "the platform asked us to come back later")
            return
        self.eyes.tally.dropped[RateLimited.code] += 1
        hold(self.crawler, response.request, max(wished, 1.0))
        yield self._request(replace(asking, tries=asking.tries + 1))

    def ask_failed(self, failure: Any) -> None:  # noqa: ANN401 - Twisted's Failure
        """Note why an Ask gave nothing."""
        self._give_up(failure.request.cb_kwargs["asking"], *outcome_of(failure.value))

    def _give_up(self, asking: Asking, code: str, reason: str) -> None:
        """Leave a page. Its line stands still; a detail that will never be had holds nothing up."""
        self.eyes.tally.dropped[code] += 1
        name = self.watch.url if asking.first else self._name_of(asking.ask)
        self.eyes.book.failed(name, PAGE, code, reason)
        seen = self.eyes.book.seen(name)
        if asking.step.parent is None or (seen is not None and self.eyes.book.passes(seen)):
            asking.step.fail()
        asking.step.settled()


def _key(ask: Ask) -> bytes:
    return hashlib.sha256(b"\0".join((ask.url.encode(), ask.posts or b""))).digest()
