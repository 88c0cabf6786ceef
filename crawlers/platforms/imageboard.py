"""Imageboards: boards of 4chan, and of sites whose JSON has the same shape (vichan and its kin).

Written from the 4chan API documentation (github.com/4chan/4chan-API: threads.json, the thread endpoint, user
images, and the rules: one request a second, If-Modified-Since) and from vichan-API. The list of a board tells
when each thread changed last; only those that changed since are asked for, the one that waited longest first.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from crawlers.links import MediaLink, clean
from crawlers.platforms.fields import check_options, moment, parsed, root_of, rows, text, whole
from crawlers.platforms.interfaces import Answer, Ask, Basis, Post, Step, Watch
from monitor.errors import ConfigError, FetchWrongType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAUSE_S: Final = 1.0
"""Seconds between two requests: what the rules of the 4chan API ask for."""

MOST_THREADS: Final = 300
"""Threads of one board that are read in one run: half as many again as the largest board holds."""

MOST_POSTS: Final = 2000
"""Posts of one thread that are read. Threads are closed long before, sticky ones excepted."""

OVERLAP: Final = timedelta(minutes=1)
"""Posts of a thread are shown again from this long before the cursor: posting takes a while."""

THREAD: Final = "thread"
FOURCHAN_API: Final = "a.4cdn.org"
BOARD: Final = re.compile(r"\w{1,40}", re.ASCII)
NAME: Final = re.compile(r"[\w-]{1,64}", re.ASCII)
ENDING: Final = re.compile(r"\.[A-Za-z0-9]{1,5}", re.ASCII)
MARKUP: Final = re.compile(r"<[^<>]*>")


@dataclass(frozen=True, slots=True)
class Places:
    """Where an imageboard keeps threads and files, after the root and the board."""

    thread: str
    files: str
    page: str


ENGINES: Final[dict[str, Places]] = {
    "4chan": Places("thread/{no}.json", "{name}", "thread/{no}"),
    "vichan": Places("res/{no}.json", "src/{name}", "res/{no}.html"),
}


class Imageboard:
    """Reads boards of one imageboard."""

    kind = "imageboard"
    basis = Basis.PUBLIC_API
    sees = "Every picture and video that is posted on the boards named, while its thread stands."
    blind_to = (
        "Threads that came and went between two looks, boards that are not named, archives, and files that "
        "were deleted before we looked."
    )

    def check(self, url: str, options: Mapping[str, str]) -> None:
        """Raise ConfigError where no board is named, or for an option or address that will not do."""
        del url
        check_options(options, frozenset({"boards", "engine", "media_base", "page_base"}))
        names = _boards(options)
        if not names or not all(BOARD.fullmatch(one) for one in names):
            msg = "boards names at least one board by letters and digits"
            raise ConfigError(msg, hint="Write boards=g|news, without strokes.")
        if options.get("engine", "4chan") not in ENGINES:
            msg = f"engine is one of {', '.join(ENGINES)}"
            raise ConfigError(msg)
        for name in ("media_base", "page_base"):
            given = options.get(name)
            if given is not None and urlsplit(given).scheme not in {"http", "https"}:
                msg = f"{name} is the address where boards begin"
                raise ConfigError(msg, hint="For instance https://i.4cdn.org.")

    def begin(self, watch: Watch) -> Iterator[Ask]:
        """Give the list of threads of each board."""
        for name in _boards(watch.options):
            yield Ask(f"{root_of(watch.url)}/{name}/threads.json", f"board {name}", carry=name)

    def read(self, answer: Answer, watch: Watch) -> Step:
        """Read a board's list, or one thread. Raises FetchWrongType where it is neither."""
        if answer.ask.tag == THREAD:
            return _thread(answer, watch)
        if answer.status >= 400:
            return Step()
        found = parsed(answer)
        if not isinstance(found, list):
            msg = "an imageboard gives the threads of a board as a list, and this is none"
            raise FetchWrongType(msg)
        return _list(found, answer, watch)

    def wait_s(self, answer: Answer, watch: Watch) -> float | None:
        """Give the second that its rules ask for between two requests, after every answer."""
        del answer, watch
        return PAUSE_S


def _boards(options: Mapping[str, str]) -> list[str]:
    return [one.strip().strip("/") for one in options.get("boards", "").split("|") if one.strip()]


def _list(found: list[object], answer: Answer, watch: Watch) -> Step:
    """Ask for each thread that changed since the cursor. Times from the future are not believed."""
    before = whole(watch.cursors.get(answer.ask.tag)) or 0
    latest = int(watch.now.timestamp())
    threads = {
        number: changed
        for page in rows(found)
        for one in rows(page, "threads")
        if (number := whole(one, "no")) is not None
        and (changed := whole(one, "last_modified")) is not None
        and before <= changed <= latest
    }
    chosen = sorted(threads.items(), key=lambda one: (one[1], one[0]))[:MOST_THREADS]
    asks = tuple(_ask(watch, answer.ask.carry, number, before) for number, _ in chosen)
    return Step(asks=asks, cursor_at_end=str(chosen[-1][1]) if chosen else None)


def _ask(watch: Watch, board: str, number: int, before: int) -> Ask:
    """Ask for a thread. A second is taken off the date, of which the last look may have shown a part."""
    since = format_datetime(datetime.fromtimestamp(max(before - 1, 0), UTC), usegmt=True)
    url = f"{root_of(watch.url)}/{board}/{_places(watch).thread.format(no=number)}"
    headers = (("If-Modified-Since", since),) if before else ()
    return Ask(url, THREAD, headers, carry=f"{board} {number} {before}")


def _thread(answer: Answer, watch: Watch) -> Step:
    """Read what was posted in a thread since the last look; it may be deleted, or have run off the board."""
    board, number, before = answer.ask.carry.split(" ")
    page_url = f"{_page_base(watch)}/{board}/{_places(watch).page.format(no=number)}"
    if answer.status >= 400:
        return Step(gone=(page_url,))
    found = parsed(answer)
    given = rows(found, "posts")[:MOST_POSTS]
    if not given:
        msg = "an imageboard gives the posts of a thread as a list, and there is none"
        raise FetchWrongType(msg)
    since = datetime.fromtimestamp(int(before), UTC) - OVERLAP if int(before) else None
    title = _title(given[0])
    posts = tuple(
        post
        for one in given
        if (post := _post(one, board, page_url, title, watch)).media
        and (since is None or post.posted_at is None or post.posted_at >= since)
    )
    gone = tuple(_post_url(one, page_url) for one in given if whole(one, "filedeleted") == 1)
    return Step(posts, gone=gone)


def _post(row: Mapping[str, Any], board: str, page_url: str, thread: str, watch: Watch) -> Post:
    title = _title(row) or thread
    names = [_name(one) for one in (row, *rows(row, "extra_files")) if whole(one, "filedeleted") != 1]
    base = watch.options.get("media_base", _media_base(watch)).rstrip("/")
    files = _places(watch).files
    media = tuple(MediaLink(f"{base}/{board}/{files.format(name=one)}", title) for one in names if one)
    return Post(_post_url(row, page_url), title, media, moment(whole(row, "time")))


def _name(row: Mapping[str, Any]) -> str:
    """Give the name under which a file is kept, or an empty text where there is none."""
    name, ending = text(row, "tim") or str(whole(row, "tim") or ""), text(row, "ext")
    return f"{name}{ending}" if NAME.fullmatch(name) and ENDING.fullmatch(ending) else ""


def _post_url(row: Mapping[str, Any], page_url: str) -> str:
    """Give the place of a post on its thread's page. That of the first is the thread itself."""
    return page_url if not whole(row, "resto") else f"{page_url}#p{whole(row, 'no') or 0}"


def _title(row: Mapping[str, Any]) -> str:
    said = text(row, "sub") or MARKUP.sub(" ", text(row, "com"))
    return clean(html.unescape(said))


def _places(watch: Watch) -> Places:
    return ENGINES[watch.options.get("engine", "4chan")]


def _media_base(watch: Watch) -> str:
    return "https://i.4cdn.org" if _is_fourchan(watch) else root_of(watch.url)


def _page_base(watch: Watch) -> str:
    given = "https://boards.4chan.org" if _is_fourchan(watch) else root_of(watch.url)
    return watch.options.get("page_base", given).rstrip("/")


def _is_fourchan(watch: Watch) -> bool:
    return urlsplit(watch.url).hostname == FOURCHAN_API
