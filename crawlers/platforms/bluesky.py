"""Bluesky: what single accounts post, and a search for people, through an AppView that asks for no account.

Written from the lexicons app.bsky.feed.getAuthorFeed, app.bsky.feed.searchPosts, app.bsky.feed.defs and
app.bsky.embed.{images,video,external,record,recordWithMedia}, and docs.bsky.app on rate limits. Both lists
give the newest first. Without an account the public AppView gives only the first page of a search, and
at times none: `search_pages` is for an AppView that gives more.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from crawlers.links import MediaLink, clean
from crawlers.platforms.fields import (
    address,
    at,
    check_look,
    check_options,
    check_whole,
    moment,
    parsed,
    root_of,
    rows,
    text,
    whole,
    with_parameters,
)
from crawlers.platforms.interfaces import Answer, Ask, Basis, Post, Step, Watch
from monitor.errors import ConfigError, FetchWrongType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PER_PAGE: Final = 100
"""Posts in one answer: as many as both lexicons allow."""

AUTHOR_PAGES: Final = 20
"""Answers about one account that are read in one run: its newest 2000 posts."""

MOST_SEARCH_PAGES: Final = 20
OVERLAP: Final = timedelta(minutes=10)
"""A list is read again from this long before its newest post: the index of the search lags behind."""

AHEAD: Final = timedelta(minutes=10)
"""`indexedAt` is the AppView's own clock. One that is further ahead moves no cursor."""

LONGEST_WAIT_S: Final = 900.0
"""Seconds: three of the windows of five minutes. A reset that is further away is a wrong clock."""

DEEPEST: Final = 2
"""Posts quoted in posts that are looked into."""

AUTHOR, SEARCH = "author", "search"
FEED: Final = "app.bsky.feed"
SIGNED_IN_ONLY: Final = "!no-unauthenticated"
"""The label of accounts that ask not to be shown to those without an account."""

ACTOR: Final = re.compile(r"(did:[a-z]+:[\w.:%-]{1,200}|[a-z0-9.-]{3,253})", re.ASCII | re.IGNORECASE)
POST_URI: Final = re.compile(
    r"at://(did:[a-z]+:[\w.:%-]{1,200})/app\.bsky\.feed\.post/([\w.~:-]{1,512})", re.ASCII
)


class Bluesky:
    """Reads one AppView, without an account."""

    kind = "bluesky"
    basis = Basis.PUBLIC_API
    sees = "New posts of the accounts named, and the newest 100 that a search for each person finds."
    blind_to = (
        "Whatever the search does not find or shows only to those signed in, accounts that ask not to be "
        "shown to strangers, profile pictures, and what was deleted before we looked."
    )

    def check(self, url: str, options: Mapping[str, str]) -> None:
        """Raise ConfigError for an option or an account that there is not."""
        del url
        check_options(options, frozenset({"look", "authors", "queries", "search_pages"}))
        check_look(options)
        check_whole(options, "search_pages", 1, MOST_SEARCH_PAGES)
        if not all(ACTOR.fullmatch(one) for one in _several(options, "authors")):
            msg = "an account is a handle such as name.bsky.social, or a DID"
            raise ConfigError(msg, hint="Write handles without @, with | between them.")

    def begin(self, watch: Watch) -> Iterator[Ask]:
        """Give one line for each account and query of the source, and one search for each term."""
        for name in _several(watch.options, "authors"):
            asked = {"actor": name, "filter": "posts_with_replies"}
            yield _ask(watch, "getAuthorFeed", f"author {name}", AUTHOR, asked)
        if watch.options.get("look", "all") == "all":
            for query in _several(watch.options, "queries"):
                yield _search(watch, f"query {query}", query)
        for term in (*watch.terms.names, *watch.terms.handles):
            yield _search(watch, watch.terms.tag(term), '"' + term.replace('"', " ") + '"')
        for term in watch.terms.hashtags:
            yield _search(watch, watch.terms.tag(f"#{term}"), f"#{term}")

    def read(self, answer: Answer, watch: Watch) -> Step:
        """Read one page of an account or a search. Raises FetchWrongType where it is none."""
        if answer.status >= 400:
            return Step()
        found = parsed(answer)
        what, _, number = answer.ask.carry.partition(" ")
        name = "feed" if what == AUTHOR else "posts"
        if not isinstance(at(found, name), list):
            msg = f"Bluesky gives posts as a list named {name}, and there is none"
            raise FetchWrongType(msg)
        given = rows(found, name)
        views = [at(one, "post") for one in given] if what == AUTHOR else list(given)
        before = moment(watch.cursors.get(answer.ask.tag))
        dated = [(one, moment(at(one, "indexedAt"))) for one in views if isinstance(one, dict)]
        new = [one for one, when in dated if before is None or when is None or when >= before - OVERLAP]
        own = [
            moment(at(one, "indexedAt")) for row, one in zip(given, views, strict=True) if "reason" not in row
        ]  # what is pinned or passed on stands out of its order
        goes_on = before is None or any(when is not None and when >= before for when in own)
        most = AUTHOR_PAGES if what == AUTHOR else int(watch.options.get("search_pages", "1"))
        more = _more(found, answer, what, int(number or 1)) if goes_on and int(number or 1) < most else ()
        past = [when for when in own if when is not None and when <= watch.now + AHEAD]
        posts = tuple(post for post in map(_post, new) if post is not None and post.media)
        gone = tuple(dict.fromkeys(url for one in given for url in _gone(one)))
        newest = max(past, default=None)
        return Step(posts, more, cursor_at_end=newest.isoformat() if newest else None, gone=gone)

    def wait_s(self, answer: Answer, watch: Watch) -> float | None:
        """Give the seconds until requests are allowed again, once none is left, by the server's clock."""
        headers = dict(answer.headers)
        if whole(headers, "ratelimit-remaining") != 0:
            return None
        until = whole(headers, "ratelimit-reset")
        now = moment(answer.headers.get("date", "")) or watch.now
        left = LONGEST_WAIT_S if until is None else until - now.timestamp()
        return min(max(left, 1.0), LONGEST_WAIT_S)


def _several(options: Mapping[str, str], name: str) -> list[str]:
    return [one.strip() for one in options.get(name, "").split("|") if one.strip()]


def _ask(watch: Watch, method: str, tag: str, what: str, asked: Mapping[str, str | int]) -> Ask:
    base = f"{root_of(watch.url)}/xrpc/{FEED}.{method}"
    return Ask(address(base, {**asked, "limit": PER_PAGE}), tag, carry=f"{what} 1")


def _search(watch: Watch, tag: str, query: str) -> Ask:
    return _ask(watch, "searchPosts", tag, SEARCH, {"q": query, "sort": "latest"})


def _more(found: object, answer: Answer, what: str, number: int) -> tuple[Ask, ...]:
    cursor = text(found, "cursor")
    if not cursor:
        return ()
    url = with_parameters(answer.ask.url, {"cursor": cursor})
    return (Ask(url, answer.ask.tag, carry=f"{what} {number + 1}"),)


def _post(view: Mapping[str, Any]) -> Post | None:
    """Give a post, or None where its author asks not to be shown to us."""
    if any(text(one, "val") == SIGNED_IN_ONLY for one in rows(view, "author", "labels")):
        return None
    title = clean(text(view, "record", "text"))
    media = tuple(MediaLink(url, clean(alt) or title) for url, alt in _shown(at(view, "embed"), 0) if url)
    return Post(_page_url(text(view, "uri")), title, media, moment(at(view, "indexedAt")))


def _shown(embed: object, depth: int) -> Iterator[tuple[str, str]]:
    """Give address and description of all that an embed shows, also in the posts that it quotes."""
    for one in rows(embed, "images"):
        yield text(one, "fullsize") or text(one, "thumb"), text(one, "alt")
    if text(embed, "playlist"):
        yield text(embed, "playlist"), text(embed, "alt")
        yield text(embed, "thumbnail"), text(embed, "alt")
    yield text(embed, "external", "thumb"), text(embed, "external", "title")
    if depth >= DEEPEST:
        return
    if isinstance(at(embed, "media"), dict):
        yield from _shown(at(embed, "media"), depth + 1)
    quoted = at(embed, "record", "record") or at(embed, "record")
    for one in rows(quoted, "embeds"):
        yield from _shown(one, depth + 1)


def _gone(row: Mapping[str, Any]) -> Iterator[str]:
    """Give the posts of which a row says that they are not there any more: answered, or quoted by it."""
    view = at(row, "post") or row
    embed = at(view, "embed")
    places = [at(row, "reply", "parent"), at(row, "reply", "root"), at(embed, "record")]
    places.append(at(embed, "record", "record"))
    for one in places:
        if at(one, "notFound") is True and (url := _page_url(text(one, "uri"))):
            yield url


def _page_url(uri: str) -> str:
    """Give the page of a post, by the account's DID: its handle may change."""
    found = POST_URI.fullmatch(uri)
    return f"https://bsky.app/profile/{found[1]}/post/{found[2]}" if found is not None else ""
