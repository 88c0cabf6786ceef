"""MediaWiki, and Wikimedia Commons: files in the order of their upload, categories, search, and deletions.

Written from mediawiki.org's API pages: API:Allimages, API:Imageinfo, API:Categorymembers, API:Search,
API:Logevents, API:Continue, API:Etiquette and Manual:Maxlag parameter. An answer may be cut anywhere and
says with `continue` how to go on: that is the cursor until the line ends, then a time is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from crawlers.links import MediaLink
from crawlers.platforms.fields import (
    address,
    at,
    check_look,
    check_options,
    moment,
    parsed,
    rows,
    seconds,
    text,
    whole,
    with_parameters,
)
from crawlers.platforms.interfaces import Answer, Ask, Basis, Post, Step, Watch
from monitor.errors import ConfigError, FetchWrongType, RateLimited

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

PER_PAGE: Final = 50
"""Files in one answer: as many as the API gives the details of at once to those who are nobody to it."""

MAX_LAG_S: Final = 5
"""Seconds of database lag from which the wiki may turn us away: what Manual:Maxlag asks crawlers to say."""

THUMB_WIDTH: Final = 1280
LARGEST_ORIGINAL: Final = 8 * 2**20
"""Bytes. Of a larger picture the wiki's own copy, THUMB_WIDTH pixels wide, is taken: faces show in it."""

DECODED: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
"""Pictures whose original is taken. Drawings (SVG) are not, of all others the wiki's copy."""

SEARCH_PAGES: Final = 10
"""Answers to one search that are read in one run: the first 500 files."""

OVERLAP: Final = timedelta(hours=1)
"""A category is read again from this long before the last run: the wiki's replicas may lag behind."""

SLOW_DOWN: Final = frozenset({"maxlag", "ratelimited", "readonly"})
"""Codes of errors that pass, in answers of status 200."""

INFO: Final[dict[str, str | int]] = {
    "prop": "imageinfo",
    "iiprop": "timestamp|url|mime|size|extmetadata",
    "iiurlwidth": THUMB_WIDTH,
    "iiextmetadatafilter": "ObjectName",
    "iiextmetadatalanguage": "en",
}
FILES, CATEGORY, SEARCH, DELETED = "files", "category", "search", "deleted"


@dataclass(frozen=True, slots=True)
class MediaWiki:
    """Reads one wiki. `sort` orders a search by age where the wiki can do that; `look` is the default."""

    kind: str = "mediawiki"
    look: str = "all"
    sort: str = ""
    basis: Basis = Basis.PUBLIC_API
    sees: str = (
        "Every file uploaded to the wiki, or those of the categories that you name, soon after its upload."
    )
    blind_to: str = (
        "Pictures that its pages show from elsewhere, its text, and what was deleted before we looked."
    )

    def check(self, url: str, options: Mapping[str, str]) -> None:
        """Raise ConfigError where the address is not that of api.php, or for options that there are not."""
        if not url.endswith("/api.php"):
            msg = "a wiki is read by its API, and that is not its address"
            raise ConfigError(msg, hint="It ends with /api.php; the wiki's page Special:Version names it.")
        check_options(options, frozenset({"look", "categories"}))
        check_look(options)

    def begin(self, watch: Watch) -> Iterator[Ask]:
        """Give the line of all files or those of the categories, one for each term, and that of deletions."""
        categories = [one.strip() for one in watch.options.get("categories", "").split("|") if one.strip()]
        for name in categories:
            yield _ask(watch, CATEGORY, f"category {name}", _category(name))
        if not categories and watch.options.get("look", self.look) == "all":
            yield _ask(watch, FILES, FILES, _FILES)
        for term in (*watch.terms.names, *watch.terms.handles, *watch.terms.hashtags):
            yield _ask(watch, SEARCH, watch.terms.tag(term), self._search(term))
        yield _ask(watch, DELETED, DELETED, _DELETED)

    def _search(self, term: str) -> dict[str, str | int]:
        quoted = '"' + term.replace('"', " ") + '"'
        sort: dict[str, str | int] = {"gsrsort": self.sort} if self.sort else {}
        found: dict[str, str | int] = {
            "generator": "search",
            "gsrsearch": quoted,
            "gsrnamespace": 6,
            "gsrlimit": PER_PAGE,
        }
        return found | sort | INFO

    def read(self, answer: Answer, watch: Watch) -> Step:
        """Read one answer. Raises RateLimited where the wiki is busy, FetchWrongType for any other error."""
        found = parsed(answer)
        _refuse_errors(found)
        line = answer.ask.carry
        if line == DELETED:
            return _deleted(found, answer, watch)
        files = rows(found, "query", "pages")
        posts = tuple(post for post in (_post(one, watch) for one in files) if post is not None)
        if line.startswith(SEARCH):
            return self._found(found, answer, posts, watch)
        if line == FILES:
            return _step(found, answer, posts, _latest(posts, watch))
        return _step(found, answer, posts, _written(watch.now - OVERLAP))

    def _found(self, found: object, answer: Answer, posts: tuple[Post, ...], watch: Watch) -> Step:
        """Go through a search: from the newest to where the last run began, or else through the best hits."""
        number = 1 + int(answer.ask.carry.partition(" ")[2] or 0)
        before = moment(watch.cursors.get(answer.ask.tag))
        is_known = bool(self.sort) and before is not None and all(_is_before(one, before) for one in posts)
        more = () if is_known or number >= SEARCH_PAGES else _more(found, answer, f"{SEARCH} {number}")
        return Step(posts, more, cursor_at_end=_written(watch.now - OVERLAP))

    def wait_s(self, answer: Answer, watch: Watch) -> float | None:
        """Give what the wiki asks for where its database lags."""
        del watch
        if "x-database-lag" not in answer.headers:
            return None
        return seconds(answer.headers.get("retry-after", "")) or float(MAX_LAG_S)


COMMONS: Final = MediaWiki(
    kind="commons",
    look="terms",
    sort="create_timestamp_desc",
    sees="New files of Wikimedia Commons that name one of the people watched, or stand in a category named.",
    blind_to="Files whose description names nobody, and those beyond the first 500 that fit a name.",
)

_FILES: Final[dict[str, str | int]] = {
    "generator": "allimages",
    "gaisort": "timestamp",
    "gaidir": "ascending",
    "gailimit": PER_PAGE,
    **INFO,
}
_DELETED: Final[dict[str, str | int]] = {
    "list": "logevents",
    "leaction": "delete/delete",
    "lenamespace": 6,
    "ledir": "newer",
    "lelimit": PER_PAGE,
    "leprop": "title|timestamp",
}
_FROM: Final = {FILES: "gaistart", CATEGORY: "gcmstart", DELETED: "lestart"}


def _category(name: str) -> dict[str, str | int]:
    title = name if ":" in name else f"Category:{name}"
    found: dict[str, str | int] = {
        "generator": "categorymembers",
        "gcmtitle": title,
        "gcmtype": "file",
        "gcmlimit": PER_PAGE,
    }
    return found | {"gcmsort": "timestamp", "gcmdir": "newer"} | INFO


def _ask(watch: Watch, line: str, tag: str, what: Mapping[str, str | int]) -> Ask:
    """Ask from the cursor on: either `continue` of the answer before, or a time."""
    kept = watch.cursors.get(tag, _written(watch.now) if line == DELETED else "")
    asked: dict[str, str | int] = {
        "action": "query",
        "format": "json",
        "formatversion": 2,
        "maxlag": MAX_LAG_S,
    }
    asked |= what
    if kept.startswith("{"):
        asked |= _continue(json.loads(kept))
    elif kept and line in _FROM:
        asked[_FROM[line]] = kept
    return Ask(address(watch.url, asked), tag, carry=line)


def _continue(given: object) -> dict[str, str]:
    """Give the parameters that go on, those that a wiki can mean; not those to a file's old versions."""
    pairs = given.items() if isinstance(given, dict) and "iistart" not in given else ()
    return {name: str(value) for name, value in pairs if name.isalpha() and isinstance(value, str | int)}


def _more(found: object, answer: Answer, carry: str) -> tuple[Ask, ...]:
    going_on = _continue(at(found, "continue"))
    if not going_on:
        return ()
    return (Ask(with_parameters(answer.ask.url, going_on), answer.ask.tag, carry=carry),)


def _step(found: object, answer: Answer, posts: tuple[Post, ...], at_end: str | None) -> Step:
    """Go on as the answer says, and keep that as the cursor; at the end of the line, keep a time."""
    more = _more(found, answer, answer.ask.carry)
    going_on = json.dumps(_continue(at(found, "continue")), sort_keys=True)
    return Step(posts, more, cursor=going_on if more else at_end)


def _deleted(found: object, answer: Answer, watch: Watch) -> Step:
    events = rows(found, "query", "logevents")
    gone = tuple(_page_url(text(one, "title"), watch) for one in events if text(one, "title"))
    times = [text(one, "timestamp") for one in events if _is_past(text(one, "timestamp"), watch)]
    kept = watch.cursors.get(DELETED, "")
    last = max(times, default=_written(watch.now) if not kept or kept.startswith("{") else kept)
    step = _step(found, answer, (), last)
    return Step((), step.asks, step.cursor, gone=gone)


def _latest(posts: tuple[Post, ...], watch: Watch) -> str | None:
    """Give the time of the newest upload on this page that is not in the future, or None."""
    times = [one.posted_at for one in posts if one.posted_at is not None]
    return max((_written(one) for one in times if one <= watch.now + OVERLAP), default=None)


def _post(page: Mapping[str, Any], watch: Watch) -> Post | None:
    info = at(page, "imageinfo", 0)
    url = _file_url(info)
    if not url:
        return None
    name = text(info, "extmetadata", "ObjectName", "value") or text(page, "title").partition(":")[2]
    posted_at = moment(at(info, "timestamp"))
    return Post(_page_url(text(page, "title"), watch), name, (MediaLink(url, name),), posted_at)


def _file_url(info: object) -> str:
    """Give the original where it is of a sane size and kind, else the wiki's own smaller copy."""
    mime, size = text(info, "mime"), whole(info, "size") or 0
    if mime == "image/svg+xml":
        return ""
    if mime in DECODED and size <= LARGEST_ORIGINAL:
        return text(info, "url")
    return text(info, "thumburl") if mime.startswith("image/") else text(info, "url")


def _page_url(title: str, watch: Watch) -> str:
    """Give the page of a file. In this form it exists on every wiki, whatever its pages are called."""
    return address(f"{watch.url.removesuffix('api.php')}index.php", {"title": title.replace(" ", "_")})


def _refuse_errors(found: object) -> None:
    code = text(found, "error", "code")
    if code in SLOW_DOWN:
        msg = f"the wiki asks us to come back later: {code}"
        raise RateLimited(msg)
    if code or not isinstance(found, dict):
        msg = f"the wiki answered with an error: {code[:60] or 'no JSON object'}"
        raise FetchWrongType(msg)


def _is_before(post: Post, when: datetime) -> bool:
    return post.posted_at is not None and post.posted_at < when


def _is_past(written: str, watch: Watch) -> bool:
    found = moment(written)
    return found is not None and found <= watch.now + OVERLAP


def _written(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
