"""Bluesky's Jetstream: every public post as it is made, over one websocket, read from a cursor on.

Documented in Jetstream's own README: `/subscribe?wantedCollections=&wantedDids=&cursor=&maxMessageSizeBytes=`
sends one JSON object a message, `{did, time_us, kind: commit|identity|account, commit: {operation:
create|update|delete, collection, rkey, record, cid}}`. `cursor` is a `time_us`; what came after it is sent
again; a few seconds are taken off, for nobody promises that not one is left out at the seam.

This module asks and reads only; spiders/stream.py walks, sockets.py connects.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from crawlers.links import MediaLink, clean
from crawlers.platforms.fields import address, at, check_look, check_options, check_whole, root_of, rows, text
from crawlers.platforms.interfaces import Basis, Post
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from crawlers.platforms.interfaces import Terms, Watch

TAG: Final = "jetstream"
"""The one line that a stream is; its cursor is a `time_us`."""

POSTS: Final = "app.bsky.feed.post"
PROFILES: Final = "app.bsky.actor.profile"

REWIND_US: Final = 5_000_000
"""Microseconds that are read again at a seam; Jetstream's README advises a few seconds."""

KEPT_S: Final = 86_400
"""Seconds of events that a server keeps: the default of its `event-ttl`. One may keep more or fewer."""

ASKED_BYTES: Final = 65_536
"""Larger events are left out by the server on our asking. The lexicon allows a post 3,000 bytes of text."""

STREAM_S: Final = 900
"""Seconds that a run goes on with the present: then it ends, so that others have their turn, and the next one
reads the newest names that people want looked for."""

LONGEST_STREAM_S: Final = 18_000

DEEPEST: Final = 2
DID: Final = re.compile(r"did:(?:plc:[a-z2-7]{1,64}|web:[\w.:%-]{1,200})", re.ASCII)
CID: Final = re.compile(r"[A-Za-z0-9]{20,128}", re.ASCII)
RKEY: Final = re.compile(r"[\w.~:-]{1,512}", re.ASCII)

CDN: Final = "https://cdn.bsky.app"
BLOBS: Final = "https://bsky.social"
"""Who gives films by `com.atproto.sync.getBlob`."""

OPTIONS: Final = frozenset(
    {
        "wanted_dids",
        "look",
        "everything",
        "everything_because",
        "profiles",
        "stream_s",
        "kept_s",
        "cdn",
        "blobs",
    }
)

NEEDLES: Final = ('"$link"', '"delete"', "\\u00")
"""A message with none of these shows no blob and deletes nothing. JSON may spell any letter of the first two
as an escape, and those all begin like the third."""


@dataclass(frozen=True, slots=True)
class Event:
    """What one message gave: when it was, by the server's clock in microseconds, and what it shows."""

    time_us: int
    post: Post | None = None
    gone: str = ""


class Garbage(ValueError):
    """A message that is none in the documented shape."""


class Jetstream:
    """Says what this kind of source is; `Reader` reads it."""

    kind = "jetstream"
    basis = Basis.PUBLIC_API
    sees = (
        "Pictures and films of new Bluesky posts, within seconds: of accounts named, or that name a person."
    )
    blind_to = (
        "Posts that show somebody without naming them, posts made before we began to look, and those of "
        "accounts that nobody named to us."
    )

    def check(self, url: str, options: Mapping[str, str]) -> None:
        """Raise ConfigError for what there is not, and for a stream that is directed at nobody."""
        del url
        check_options(options, OPTIONS)
        check_look(options)
        check_whole(options, "stream_s", 0, LONGEST_STREAM_S)
        check_whole(options, "kept_s", 60, 30 * 86_400)
        if not all(DID.fullmatch(one) for one in wanted(options)):
            msg = "wanted_dids are DIDs such as did:plc:ewvi7nxzyoun6zhxrhs64oiz"
            raise ConfigError(msg, hint="Write | between several. A handle leads to its DID on its profile.")
        if any(urlsplit(options.get(name, CDN)).scheme not in {"http", "https"} for name in ("cdn", "blobs")):
            msg = "cdn and blobs are addresses, beginning with https://"
            raise ConfigError(msg)
        everything = options.get("everything") == "yes" and options.get("everything_because", "").strip()
        if not (wanted(options) or options.get("look") == "terms" or everything):
            msg = "a stream is directed: it is not said whom to look for in it"
            raise ConfigError(
                msg,
                hint="Say wanted_dids=DID|DID, or look=terms for what people asked us to look for; or "
                "everything=yes with everything_because=REASON.",
            )


def wanted(options: Mapping[str, str]) -> tuple[str, ...]:
    """Give the accounts that the operator named."""
    return tuple(one.strip() for one in options.get("wanted_dids", "").split("|") if one.strip())


def seconds_of(options: Mapping[str, str], name: str, otherwise: int) -> int:
    """Give an option that `check` has looked at."""
    return int(options.get(name, otherwise))


def subscription(watch: Watch, cursor: int | None) -> str:
    """Give the address to subscribe at, as http or https. `cursor` is where to begin, None for now.

    Only accounts are named to the server; names are compared here and nowhere else.
    """
    asked: list[tuple[str, str | int]] = [("wantedCollections", POSTS), ("maxMessageSizeBytes", ASKED_BYTES)]
    if watch.options.get("profiles", "yes") == "yes":
        asked.append(("wantedCollections", PROFILES))
    if not _by_terms(watch) and watch.options.get("everything") != "yes":
        asked += [("wantedDids", one) for one in wanted(watch.options)]
    if cursor is not None:
        asked.append(("cursor", max(0, cursor)))
    base = watch.url.partition("?")[0]
    return "&".join(
        address("", {name: value}).removeprefix("?") if number else address(base, {name: value})
        for number, (name, value) in enumerate(asked)
    )


def looks_for_nobody(watch: Watch) -> bool:
    """Say whether the only direction are people's terms, and there are none now."""
    directed = wanted(watch.options) or watch.options.get("everything") == "yes"
    return not directed and not _by_terms(watch)


def _by_terms(watch: Watch) -> bool:
    terms = watch.terms
    return watch.options.get("look") == "terms" and bool(terms.names or terms.handles or terms.hashtags)


class Reader:
    """Reads messages of one subscription, and gives what is looked for."""

    def __init__(self, watch: Watch) -> None:
        """Prepare what messages are compared with."""
        options = watch.options
        self._dids = frozenset(wanted(options))
        self._all = options.get("everything") == "yes"
        self._terms = _Matcher(watch.terms) if _by_terms(watch) else None
        self._cdn = root_of(options.get("cdn", CDN))
        self._blobs = root_of(options.get("blobs", BLOBS))

    def read(self, message: str | bytes) -> Event | None:
        """Read one message; None for one that shows and deletes nothing, told without parsing it.

        Raises Garbage for one that is not in the documented shape. What passes as a JSON object by its first
        and last letter, and holds no needle, is not parsed and so is never found to be broken.
        """
        if isinstance(message, bytes):
            msg = "a message is text"
            raise Garbage(msg)
        braces = message[:2] == '{"' and message[-1:] == "}"
        if braces and not any(needle in message for needle in NEEDLES):
            return None
        return self.parsed(message)

    def parsed(self, message: str) -> Event:
        """Read one message in full. Raises Garbage."""
        try:
            found = json.loads(message)
        except (ValueError, RecursionError) as exc:
            msg = "a message is no JSON"
            raise Garbage(msg) from exc
        time_us, did = at(found, "time_us"), at(found, "did")
        if type(time_us) is not int or time_us <= 0 or not isinstance(did, str) or not DID.fullmatch(did):
            msg = "a message says neither who nor when"
            raise Garbage(msg)
        if at(found, "kind") != "commit":
            return Event(time_us)
        return self._commit(time_us, did, at(found, "commit"))

    def _commit(self, time_us: int, did: str, commit: object) -> Event:
        collection, rkey = text(commit, "collection"), text(commit, "rkey")
        if collection not in {POSTS, PROFILES}:
            return Event(time_us)
        if not RKEY.fullmatch(rkey):
            msg = "a commit names no record"
            raise Garbage(msg)
        page = f"https://bsky.app/profile/{did}" + (f"/post/{rkey}" if collection == POSTS else "")
        if text(commit, "operation") == "delete":
            return Event(time_us, gone=page)
        record = at(commit, "record")
        if not isinstance(record, dict):
            msg = "a commit holds no record"
            raise Garbage(msg)
        found = (
            self._profile(did, record) if collection == PROFILES else self._shown(did, at(record, "embed"), 0)
        )
        media = tuple(found)
        if not media or not self._is_looked_for(did, record, media):
            return Event(time_us)
        title = clean(text(record, "text") or text(record, "displayName"))
        posted_at = datetime.fromtimestamp(time_us / 1e6, UTC) if time_us < 4e15 else None
        return Event(time_us, Post(page, title, media, posted_at))

    def _is_looked_for(self, did: str, record: Mapping[str, Any], media: tuple[MediaLink, ...]) -> bool:
        if self._all or did in self._dids:
            return True
        return self._terms is not None and self._terms.is_in(did, record, [one.title for one in media])

    def _shown(self, did: str, embed: object, depth: int) -> Iterator[MediaLink]:
        """Give what an embed shows: images, a film, the picture of a link, or one of these beside a quote."""
        for one in rows(embed, "images"):
            yield from self._picture("feed_fullsize", did, at(one, "image"), text(one, "alt"))
        if cid := _cid(at(embed, "video")):
            url = f"{self._blobs}/xrpc/com.atproto.sync.getBlob?did={did}&cid={cid}"
            yield MediaLink(url, clean(text(embed, "alt")))
        yield from self._picture(
            "feed_thumbnail", did, at(embed, "external", "thumb"), text(embed, "external", "title")
        )
        if depth < DEEPEST and isinstance(at(embed, "media"), dict):
            yield from self._shown(did, at(embed, "media"), depth + 1)

    def _profile(self, did: str, record: object) -> Iterator[MediaLink]:
        for part in ("avatar", "banner"):
            yield from self._picture(part, did, at(record, part), "")

    def _picture(self, form: str, did: str, blob: object, title: str) -> Iterator[MediaLink]:
        if cid := _cid(blob):
            yield MediaLink(f"{self._cdn}/img/{form}/plain/{did}/{cid}@jpeg", clean(title))


def _cid(blob: object) -> str:
    found = text(blob, "ref", "$link")
    return found if CID.fullmatch(found) else ""


class _Matcher:
    """Compares posts with what people asked us to look for; letters' case and width do not matter."""

    def __init__(self, terms: Terms) -> None:
        words = [_plain(one) for one in (*terms.names, *terms.handles) if one.strip()]
        self._words = (
            re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, words)) + r")(?!\w)") if words else None
        )
        self._tags = frozenset(_plain(one) for one in terms.hashtags if one.strip())
        self._accounts = frozenset(terms.handles)

    def is_in(self, did: str, record: Mapping[str, Any], titles: list[str]) -> bool:
        """Say whether a post, by its text, descriptions, tags and mentions, is about somebody looked for."""
        named = [did, *(text(one, "did") for one in _features(record))]
        if not self._accounts.isdisjoint(named):
            return True
        said = _plain(" \n ".join([text(record, "text"), *_profile_words(record), *titles]))
        if self._words is not None and self._words.search(said):
            return True
        given = at(record, "tags")
        tags = [text(one, "tag") for one in _features(record)]
        tags += [one for one in given if isinstance(one, str)] if isinstance(given, list) else []
        tags += [one.lstrip("#") for one in re.findall(r"[#\uff03]\w+", said)]
        return not self._tags.isdisjoint(_plain(one) for one in tags)


def _features(record: object) -> Iterator[Mapping[str, Any]]:
    for facet in rows(record, "facets"):
        yield from rows(facet, "features")


def _profile_words(record: object) -> list[str]:
    return [text(record, "displayName"), text(record, "description")]


def _plain(given: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", given).casefold().split())
