"""Mastodon: the public timeline of one instance, and timelines of hashtags.

Written from docs.joinmastodon.org: methods/timelines, entities/Status, entities/MediaAttachment,
api/guidelines (ids are texts, the longer one is the newer) and api/rate-limits (300 requests in five
minutes). The first run reads backwards from the newest post; later ones ask with `min_id` for what came
right after the newest that is known.
"""

from __future__ import annotations

import html
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from crawlers.links import MediaLink, clean
from crawlers.platforms.fields import (
    address,
    at,
    check_look,
    check_options,
    moment,
    parsed,
    root_of,
    rows,
    text,
    whole,
)
from crawlers.platforms.interfaces import Answer, Ask, Basis, Post, Step, Watch
from monitor.errors import ConfigError, FetchWrongType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PER_PAGE: Final = 40
"""Posts in one answer: as many as the API gives at once."""

FIRST_PAGES: Final = 25
"""Answers that the first run reads backwards: the newest 1000 posts with media."""

AHEAD: Final = timedelta(hours=26)
"""A post that is dated further ahead moves no cursor: nothing would ever be new again."""

PUBLIC, STATUS, BACK, ON = "public", "status", "back", "on"
SCOPES: Final[dict[str, dict[str, str | int]]] = {
    "local": {"local": "true"},
    "remote": {"remote": "true"},
    "all": {},
}
LONGEST_WAIT_S: Final = 900.0
"""Seconds: three of the windows that requests are counted in. A reset further away is a wrong clock."""

ID: Final = re.compile(r"[0-9A-Za-z]{1,40}", re.ASCII)
HASHTAG: Final = re.compile(r"\w{1,80}")
MARKUP: Final = re.compile(r"<[^<>]*>")


class Mastodon:
    """Reads one instance, without an account on it."""

    kind = "mastodon"
    basis = Basis.PUBLIC_API
    sees = "Posts with media that the instance shows to everybody, and those under the hashtags looked for."
    blind_to = (
        "Posts that are not public, profile pictures, what servers show only to those signed in, posts found "
        "by name alone (a search needs an account, and we have none), and what was deleted before we looked."
    )

    def check(self, url: str, options: Mapping[str, str]) -> None:
        """Raise ConfigError for an option, a scope or a hashtag that there is not."""
        del url
        check_options(options, frozenset({"look", "scope", "hashtags"}))
        check_look(options)
        if options.get("scope", "local") not in SCOPES:
            msg = "scope is 'local' (posts of this instance), 'remote' (those it received) or 'all'"
            raise ConfigError(msg)
        if not all(HASHTAG.fullmatch(one) for one in _hashtags(options)):
            msg = "a hashtag is letters, digits and underscores"
            raise ConfigError(msg, hint="Write hashtags without their sign, with | between them.")

    def begin(self, watch: Watch) -> Iterator[Ask]:
        """Give the public timeline, unless only terms are looked for, and one timeline for each hashtag."""
        if watch.options.get("look", "all") == "all":
            yield _ask(watch, PUBLIC, "public", SCOPES[watch.options.get("scope", "local")])
        for name in _hashtags(watch.options):
            yield _ask(watch, f"hashtag {name}", f"tag/{quote(name, safe='')}", {})
        for term in watch.terms.hashtags:
            yield _ask(watch, watch.terms.tag(f"#{term}"), f"tag/{quote(term, safe='')}", {})

    def read(self, answer: Answer, watch: Watch) -> Step:
        """Read one page of a timeline, or one post. Raises FetchWrongType where it is neither."""
        if answer.ask.tag == STATUS:
            return _status(answer)
        if answer.status >= 400:
            return Step()
        found = parsed(answer)
        if not isinstance(found, list):
            msg = "Mastodon gives a timeline as a list, and this is none"
            raise FetchWrongType(msg)
        return _timeline(found, answer, watch)

    def wait_s(self, answer: Answer, watch: Watch) -> float | None:
        """Give the seconds until requests are allowed again, once none is left, by the server's clock."""
        if whole(dict(answer.headers), "x-ratelimit-remaining") != 0:
            return None
        until = moment(answer.headers.get("x-ratelimit-reset", ""))
        now = moment(answer.headers.get("date", "")) or watch.now
        left = LONGEST_WAIT_S if until is None else (until - now).total_seconds()
        return min(max(left, 1.0), LONGEST_WAIT_S)


def _hashtags(options: Mapping[str, str]) -> list[str]:
    return [one.strip() for one in options.get("hashtags", "").split("|") if one.strip()]


def _ask(watch: Watch, tag: str, path: str, more: Mapping[str, str | int]) -> Ask:
    """Ask for what came after the cursor, or backwards from the newest where there is none."""
    base = f"{root_of(watch.url)}/api/v1/timelines/{path}"
    asked: dict[str, str | int] = {"only_media": "true", "limit": PER_PAGE, **more}
    known = watch.cursors.get(tag, "")
    if known:
        return Ask(address(base, asked | {"min_id": known}), tag, carry=f"{ON} {known}")
    return Ask(address(base, asked), tag, carry=f"{BACK} 1")


def _timeline(found: list[object], answer: Answer, watch: Watch) -> Step:
    statuses = [one for one in rows(found) if ID.fullmatch(text(one, "id"))]
    posts = tuple(post for post in map(_post, statuses) if post.media)
    unready = tuple(
        Ask(f"{root_of(watch.url)}/api/v1/statuses/{text(one, 'id')}", STATUS, carry=_page_url(one))
        for one in statuses
        if _is_unready(one)
    )
    ids = [text(one, "id") for one in statuses if _is_past(moment(at(one, "created_at")), watch)]
    newest = max(ids, key=_age, default=None)
    way, _, told = answer.ask.carry.partition(" ")
    if way == ON:
        is_on = newest is not None and _age(newest) > _age(told)
        more = (_further(answer, "min_id", str(newest), f"{ON} {newest}"),) if is_on else ()
        return Step(posts, unready + more, cursor=newest if is_on else None)
    number, oldest = int(told or 1), min(ids, key=_age, default=None)
    goes_on = oldest is not None and number < FIRST_PAGES
    more = (_further(answer, "max_id", str(oldest), f"{BACK} {number + 1}"),) if goes_on else ()
    return Step(posts, unready + more, cursor_at_end=newest)


def _further(answer: Answer, name: str, value: str, carry: str) -> Ask:
    kept = re.sub(r"&m(?:in|ax)_id=[^&]*", "", answer.ask.url)
    return Ask(f"{kept}&{name}={value}", answer.ask.tag, carry=carry)


def _status(answer: Answer) -> Step:
    """Read one post whose files were not ready when the timeline showed it; it may be deleted by now."""
    if answer.status >= 400:
        return Step(gone=(answer.ask.carry,) if answer.ask.carry else ())
    post = _post(parsed(answer))
    return Step((post,) if post.media else ())


def _post(status: object) -> Post:
    """Give a post with the instance's copies of its files, or the originals where it keeps no copy."""
    said = text(status, "spoiler_text") or html.unescape(MARKUP.sub(" ", text(status, "content")))
    title = clean(said)
    media = tuple(
        MediaLink(url, clean(text(one, "description")) or title)
        for one in rows(status, "media_attachments")
        if (url := text(one, "url") or text(one, "remote_url") or text(one, "preview_url"))
    )
    return Post(_page_url(status), title, media, moment(at(status, "created_at")))


def _page_url(status: object) -> str:
    return text(status, "url") or text(status, "uri")


def _is_unready(status: Mapping[str, Any]) -> bool:
    """Say whether a post has a file of which nobody gives an address yet: it is still being made."""
    return any(not (text(one, "url") or text(one, "remote_url")) for one in rows(status, "media_attachments"))


def _is_past(when: datetime | None, watch: Watch) -> bool:
    return when is not None and when <= watch.now + AHEAD


def _age(number: str) -> tuple[int, str]:
    """Give what ids are sorted by, the newest last: the longer one, else the later one in the alphabet."""
    return len(number), number
