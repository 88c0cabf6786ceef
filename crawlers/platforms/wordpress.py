"""WordPress: posts and the media library of one site, by its REST API, in the order of their last change.

Written from the REST API Handbook (developer.wordpress.org/rest-api/reference: posts and media;
`modified_after` since WordPress 5.7). The API is a part of the site, so that robots.txt holds for it.
Times are the site's own, without a zone, as it gives them and takes them back: the cursor is one of them.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from crawlers.links import MediaLink, shown_in
from crawlers.platforms.fields import (
    address,
    at,
    check_look,
    check_options,
    moment,
    parsed,
    rows,
    text,
    whole,
)
from crawlers.platforms.interfaces import Answer, Ask, Basis, Post, Step, Watch
from monitor.errors import FetchWrongType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PER_PAGE: Final = 100
"""As many as the API gives at once."""

ALWAYS: Final = "1970-01-01T00:00:00"
CURSOR: Final = "%Y-%m-%dT%H:%M:%S"
AHEAD: Final = timedelta(hours=26)
"""The site's own time is no further ahead of ours than this."""

AFTER: Final = re.compile(r"modified_after=[^&]*")
PAGE: Final = re.compile(r"&page=(?P<page>\d{1,6})")

FIELDS: Final = {
    "posts": "id,link,date_gmt,modified,title,content",
    "media": "id,link,date_gmt,modified,title,source_url,alt_text",
}
"""The two lines of pages, and what of each row is asked for."""

SCALED: Final = re.compile(r"-\d{2,4}x\d{2,4}(?=\.\w{3,4}$)")
"""What WordPress adds to the name of a smaller copy of an uploaded picture."""


class WordPress:
    """Reads one WordPress site."""

    kind = "wordpress"
    basis = Basis.ROBOTS
    sees = (
        "Every post of the site that is public, and every file in its media library, soon after it changes."
    )
    blind_to = "Drafts, posts behind a password, comments, and what was deleted before we looked."

    def check(self, url: str, options: Mapping[str, str]) -> None:
        """Raise ConfigError for an option that there is not."""
        del url
        check_options(options, frozenset({"look"}))
        check_look(options)

    def begin(self, watch: Watch) -> Iterator[Ask]:
        """Give both lines from where they ended, and one for each name that is looked for."""
        for line in FIELDS:
            if watch.options.get("look", "all") == "all":
                yield _ask(watch, line, line, watch.cursors.get(line, ALWAYS))
            for term in (*watch.terms.names, *watch.terms.handles):
                tag = watch.terms.tag(f"{line} {term}")
                yield _ask(watch, line, tag, watch.cursors.get(tag, ALWAYS), search=term)

    def read(self, answer: Answer, watch: Watch) -> Step:
        """Read one page of posts or media. Raises FetchWrongType where it is none."""
        found = parsed(answer)
        if not isinstance(found, list):
            msg = "WordPress gives posts as a list, and this is none"
            raise FetchWrongType(msg)
        posts = tuple(_post(row) for row in rows(found))
        cursor = _cursor(found, watch)
        more = _more(answer, cursor) if len(found) >= PER_PAGE else ()
        return Step(posts, more, cursor)

    def wait_s(self, answer: Answer, watch: Watch) -> float | None:
        """Give None: WordPress has no limit of its own, and its hosts say Retry-After."""
        del answer, watch
        return None


def _ask(watch: Watch, line: str, tag: str, after: str, **search: str) -> Ask:
    asked: dict[str, str | int] = {
        "per_page": PER_PAGE,
        "orderby": "modified",
        "order": "asc",
        "modified_after": after,
        "_fields": FIELDS[line],
        **search,
    }
    return Ask(address(f"{watch.url.rstrip('/')}/wp-json/wp/v2/{line}", asked), tag, carry=after)


def _cursor(found: list[object], watch: Watch) -> str | None:
    """Give the last change on a page, less a second: a second of which only a part was on it is read again.

    Dates from the future are not believed: with one as a cursor, nothing would ever be new again.
    """
    latest = watch.now + AHEAD
    changes = [moment(text(row, "modified")) for row in rows(found)]
    last = max((one for one in changes if one is not None and one <= latest), default=None)
    return None if last is None else (last - timedelta(seconds=1)).strftime(CURSOR)


def _more(answer: Answer, cursor: str | None) -> tuple[Ask, ...]:
    """Go on after the last change; by page number where a whole page changed in one second."""
    ask = answer.ask
    url, page = PAGE.sub("", ask.url), PAGE.search(ask.url)
    if cursor is not None and cursor > ask.carry:
        return (Ask(AFTER.sub("modified_after=" + quote(cursor), url), ask.tag, carry=cursor),)
    number = 1 + (int(page["page"]) if page is not None else 1)
    pages = whole(dict(answer.headers), "x-wp-totalpages") or 0
    return (Ask(f"{url}&page={number}", ask.tag, carry=ask.carry),) if number <= pages else ()


def _post(row: Mapping[str, Any]) -> Post:
    link, title = text(row, "link"), text(row, "title", "rendered")
    inside = tuple(
        MediaLink(_full_size(one.url), one.title) for one in shown_in(text(row, "content", "rendered"), link)
    )
    own = text(row, "source_url")
    media = (MediaLink(own, text(row, "alt_text") or title),) if own else ()
    return Post(link, title, media + inside, moment(at(row, "date_gmt")))


def _full_size(url: str) -> str:
    """Give the address of the picture that was uploaded instead of that of a smaller copy."""
    return SCALED.sub("", url) if "/wp-content/uploads/" in url else url
