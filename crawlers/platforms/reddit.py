"""Reddit: new posts of subreddits and accounts, and a search for people, as the site gives them in JSON.

Written from reddit.com/dev/api (listings: fullnames, `after`, `limit`; /r/NAME/new, /search) and from
Reddit's wiki on its rate limit. Lists give the newest first and about a thousand posts at most. Fullnames are
numbers to the base 36 that only grow. A list is read until the newest post known, not with `before`: once
the post that names is deleted, the answer is empty for good.

Reddit's robots.txt refuses everybody, and its terms ask for an agreement. So on the basis of robots.txt
nothing is read at all, until the operator puts on record what allows it.
"""

from __future__ import annotations

import html
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from crawlers.links import MediaLink, clean, kind_by_ending
from crawlers.platforms.fields import (
    address,
    at,
    check_look,
    check_options,
    moment,
    parsed,
    root_of,
    rows,
    seconds,
    text,
    with_parameters,
)
from crawlers.platforms.interfaces import Answer, Ask, Basis, Post, Step, Watch
from monitor.errors import ConfigError, FetchWrongType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PER_PAGE: Final = 100
"""Posts in one answer: as many as a listing gives at once."""

MOST_PAGES: Final = 10
"""Answers of one line that are read in one run: a listing ends after about a thousand posts."""

AHEAD: Final = timedelta(hours=1)
"""A post that is dated further ahead than this moves no cursor."""

LONGEST_WAIT_S: Final = 900.0
"""Seconds: a window is ten minutes long. A longer wait is a broken header."""

NAME: Final = re.compile(r"[\w-]{2,40}", re.ASCII)
FULLNAME: Final = re.compile(r"t3_([0-9a-z]{1,12})", re.ASCII)
PERMALINK: Final = re.compile(r"/(r|user|u)/[\w-]{2,40}/comments/[0-9a-z]{1,12}(/[^?#\s]{0,300})?")
DELETED: Final = frozenset({"[deleted]", "[removed]"})
"""What Reddit writes in the place of a text that was taken away by its author, or by others."""


class Reddit:
    """Reads subreddits and accounts without one of its own."""

    kind = "reddit"
    basis = Basis.ROBOTS
    sees = "New posts of the subreddits and accounts named, and those that a search for each person finds."
    blind_to = (
        "Everything, while Reddit's robots.txt refuses us and no agreement is on record. Else: comments, "
        "closed subreddits, all beyond the newest thousand posts, and what was removed before we looked."
    )

    def check(self, url: str, options: Mapping[str, str]) -> None:
        """Raise ConfigError for an option, a subreddit or an account that there is not."""
        del url
        check_options(options, frozenset({"look", "subreddits", "users"}))
        check_look(options)
        if not all(
            NAME.fullmatch(one) for name in ("subreddits", "users") for one in _several(options, name)
        ):
            msg = "subreddits and users are named by letters, digits, - and _"
            raise ConfigError(msg, hint="Write names without r/ or u/, with | between them.")

    def begin(self, watch: Watch) -> Iterator[Ask]:
        """Give one line for each subreddit and account, and a search for each name, handle and hashtag."""
        if watch.options.get("look", "all") == "all":
            for name in _several(watch.options, "subreddits"):
                yield _ask(watch, f"r/{name.lower()}", f"r/{name}/new.json", {})
            for name in _several(watch.options, "users"):
                yield _ask(watch, f"u/{name.lower()}", f"user/{name}/submitted.json", {"sort": "new"})
        for term in (*watch.terms.names, *watch.terms.handles, *watch.terms.hashtags):
            query: dict[str, str | int] = {
                "q": '"' + term.replace('"', " ") + '"',
                "sort": "new",
                "type": "link",
            }
            yield _ask(watch, watch.terms.tag(term), "search.json", query | {"include_over_18": "on"})

    def read(self, answer: Answer, watch: Watch) -> Step:
        """Read one page of a listing. Raises FetchWrongType where it is none."""
        if answer.status >= 400:
            return Step()
        found = parsed(answer)
        if not isinstance(at(found, "data", "children"), list):
            msg = "Reddit gives posts as a listing with children, and this is none"
            raise FetchWrongType(msg)
        given = [at(one, "data") for one in rows(found, "data", "children")]
        links = [one for one in given if isinstance(one, dict) and FULLNAME.fullmatch(text(one, "name"))]
        before = _age(watch.cursors.get(answer.ask.tag, ""))
        new = [one for one in links if _age(text(one, "name")) > before]
        lost = [one for one in links if _is_removed(one)]
        posts = tuple(post for one in new if not _is_removed(one) and (post := _post(one, watch)).media)
        names = [text(one, "name") for one in links if _is_past(moment(at(one, "created_utc")), watch)]
        return Step(
            posts,
            _more(found, answer) if new else (),
            cursor_at_end=max((one for one in names if _age(one) > before), key=_age, default=None),
            gone=tuple(url for one in lost if (url := _page_url(one, watch))),
        )

    def wait_s(self, answer: Answer, watch: Watch) -> float | None:
        """Give the seconds until requests are allowed again, once none is left."""
        del watch
        left = seconds(answer.headers.get("x-ratelimit-remaining", ""))
        if left is None or left >= 1:
            return None
        until = seconds(answer.headers.get("x-ratelimit-reset", ""))
        return LONGEST_WAIT_S if until is None else min(max(until, 1.0), LONGEST_WAIT_S)


def _several(options: Mapping[str, str], name: str) -> list[str]:
    return [one.strip() for one in options.get(name, "").split("|") if one.strip()]


def _ask(watch: Watch, tag: str, path: str, more: Mapping[str, str | int]) -> Ask:
    asked: dict[str, str | int] = {"limit": PER_PAGE, "raw_json": 1, **more}
    return Ask(address(f"{root_of(watch.url)}/{path}", asked), tag, carry="1")


def _more(found: object, answer: Answer) -> tuple[Ask, ...]:
    after, number = text(found, "data", "after"), int(answer.ask.carry or 1)
    if not FULLNAME.fullmatch(after) or number >= MOST_PAGES:
        return ()
    url = with_parameters(answer.ask.url, {"after": after, "count": number * PER_PAGE})
    return (Ask(url, answer.ask.tag, carry=str(number + 1)),)


def _post(link: Mapping[str, Any], watch: Watch) -> Post:
    """Give a post with the media of its own, or those of the post that it passes on."""
    title = clean(text(link, "title"))
    urls = [one for one in _shown(link) if one]
    if not urls:
        urls = [one for other in rows(link, "crosspost_parent_list") for one in _shown(other) if one]
    media = tuple(MediaLink(one, title) for one in dict.fromkeys(map(html.unescape, urls)))
    return Post(_page_url(link, watch), title, media, moment(at(link, "created_utc")))


def _shown(link: Mapping[str, Any]) -> Iterator[str]:
    """Give the pictures of a gallery, the video, the picture linked to, or else what the preview shows."""
    order = [text(one, "media_id") for one in rows(link, "gallery_data", "items")]
    gallery = at(link, "media_metadata")
    for name in order or (gallery if isinstance(gallery, dict) else ()):
        one = at(gallery, name, "s")
        yield text(one, "mp4") or text(one, "u") or text(one, "gif")
    for media in (at(link, "secure_media"), at(link, "media"), at(link, "preview", "reddit_video_preview")):
        video = text(media, "reddit_video", "fallback_url") or text(media, "fallback_url")
        if video:
            yield video
            break
    linked = text(link, "url_overridden_by_dest") or text(link, "url")
    if _is_file(linked):
        yield linked
    elif not gallery:
        yield text(link, "preview", "images", 0, "source", "url")


def _is_file(url: str) -> bool:
    try:
        return bool(kind_by_ending(url))
    except ValueError:
        return False


def _is_removed(link: Mapping[str, Any]) -> bool:
    return bool(text(link, "removed_by_category")) or bool(
        {text(link, "selftext"), text(link, "title")} & DELETED
    )


def _page_url(link: Mapping[str, Any], watch: Watch) -> str:
    """Give the page of a post. The API may be asked on another host than people look at."""
    path = text(link, "permalink")
    host = urlsplit(watch.url).hostname or ""
    root = "https://www.reddit.com" if host.endswith("reddit.com") else root_of(watch.url)
    return f"{root}{path}" if PERMALINK.fullmatch(path) else ""


def _age(fullname: str) -> int:
    """Give the number in a fullname: the greater one is newer."""
    found = FULLNAME.fullmatch(fullname)
    return int(found[1], 36) if found is not None else -1


def _is_past(when: datetime | None, watch: Watch) -> bool:
    return when is not None and when <= watch.now + AHEAD
