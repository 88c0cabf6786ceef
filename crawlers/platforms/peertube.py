"""PeerTube: the videos of one instance, newest first, each with its files.

Written from the REST API reference (docs.joinpeertube.org/api-rest-reference.html: videos, search/videos). A
list shows no files, so each new video is asked for by itself. An instance allows 50 requests in ten
seconds unless it says otherwise, and tells in every answer how many are left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from crawlers.links import MediaLink
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
    with_parameters,
)
from crawlers.platforms.interfaces import Answer, Ask, Basis, Post, Step, Watch
from monitor.errors import ConfigError, FetchWrongType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PER_PAGE: Final = 50
LIST, SEARCH, VIDEO = "videos", "search/videos", "video"
SCOPES: Final = frozenset({"local", "all"})

GOOD_ENOUGH: Final = 720
"""Lines. The largest file up to this is taken: a face in a larger one is no better recognised."""

EMPTY_HANDED_S: Final = 60.0
"""Longest wait for new requests to be allowed, where the instance says when, in seconds."""


class PeerTube:
    """Reads one instance."""

    kind = "peertube"
    basis = Basis.PUBLIC_API
    sees = "Every public video of the instance, with its preview picture, soon after it is published."
    blind_to = (
        "Videos that are private, unlisted or behind a password, live streams while they run, and comments."
    )

    def check(self, url: str, options: Mapping[str, str]) -> None:
        """Raise ConfigError for an option that there is not."""
        del url
        check_options(options, frozenset({"look", "scope"}))
        check_look(options)
        if options.get("scope", "local") not in SCOPES:
            msg = "scope is 'local' (videos of this instance) or 'all' (also those that it follows)"
            raise ConfigError(msg)

    def begin(self, watch: Watch) -> Iterator[Ask]:
        """Give the list of new videos, and a search for each name and handle."""
        asked: dict[str, str | int] = {"sort": "-publishedAt", "count": PER_PAGE, "start": 0, "nsfw": "both"}
        is_local = watch.options.get("scope", "local") == "local"
        if watch.options.get("look", "all") == "all":
            local: dict[str, str | int] = {"isLocal": "true"} if is_local else {}
            yield Ask(_api(watch, LIST, asked | local), LIST)
        for term in (*watch.terms.names, *watch.terms.handles):
            search: dict[str, str | int] = {"search": term, "searchTarget": "local"}
            local = {"isLocal": "true"} if is_local else {}
            yield Ask(_api(watch, SEARCH, asked | search | local), watch.terms.tag(term))
        for tag in watch.terms.hashtags:
            yield Ask(_api(watch, LIST, asked | {"tagsOneOf": tag}), watch.terms.tag(f"#{tag}"))

    def read(self, answer: Answer, watch: Watch) -> Step:
        """Read a list, or one video. Raises FetchWrongType where it is neither."""
        if answer.ask.tag == VIDEO:
            return _video(answer, watch)
        if answer.status >= 400:
            return Step()
        found = parsed(answer)
        if not isinstance(at(found, "data"), list):
            msg = "PeerTube gives videos as a list named data, and there is none"
            raise FetchWrongType(msg)
        return _list(found, answer, watch)

    def wait_s(self, answer: Answer, watch: Watch) -> float | None:
        """Give the seconds until requests are allowed again, once none is left."""
        headers = dict(answer.headers)
        if whole(headers, "x-ratelimit-remaining") != 0:
            return None
        until = whole(headers, "x-ratelimit-reset")
        left = EMPTY_HANDED_S if until is None else until - watch.now.timestamp()
        return min(max(left, 1.0), EMPTY_HANDED_S)


def _api(watch: Watch, path: str, asked: Mapping[str, str | int]) -> str:
    return address(f"{root_of(watch.url)}/api/v1/{path}", asked)


def _list(found: object, answer: Answer, watch: Watch) -> Step:
    """Ask for each video that is newer than the last run's newest, and for more where all of them are."""
    videos = rows(found, "data")
    before = moment(watch.cursors.get(answer.ask.tag))
    dated = [(one, moment(at(one, "publishedAt"))) for one in videos]
    new = [one for one, at_ in dated if before is None or at_ is None or at_ >= before]
    details = tuple(
        Ask(f"{root_of(watch.url)}/api/v1/videos/{uuid}", VIDEO, carry=text(one, "url"))
        for one in new
        if (uuid := text(one, "uuid")).replace("-", "").isalnum()
    )
    start = (whole(answer.ask.carry) or 0) + PER_PAGE
    goes_on = len(new) == len(videos) == PER_PAGE and start < (whole(found, "total") or 0)
    more = Ask(with_parameters(answer.ask.url, {"start": start}), answer.ask.tag, carry=str(start))
    past = [at_ for _, at_ in dated if at_ is not None and at_ <= watch.now]
    newest = max(past).isoformat() if past else None
    return Step(asks=details + ((more,) if goes_on else ()), cursor_at_end=newest)


def _video(answer: Answer, watch: Watch) -> Step:
    """Read one video. One that is not there any more was deleted, or is not public now."""
    if answer.status >= 400:
        return Step(gone=(answer.ask.carry,) if answer.ask.carry else ())
    found = parsed(answer)
    title, root = text(found, "name"), root_of(watch.url)
    preview = text(found, "previewPath") or text(found, "thumbnailPath")
    files = [
        *rows(found, "files"),
        *(one for list_ in rows(found, "streamingPlaylists") for one in rows(list_, "files")),
    ]
    lists = [text(one, "playlistUrl") for one in rows(found, "streamingPlaylists")]
    best = _best(files) or next((one for one in lists if one), "")
    links = [best] if best else []
    links += [f"{root}{preview}"] if preview.startswith("/") else []
    if not links:
        return Step()
    post = Post(
        text(found, "url") or answer.ask.carry,
        title,
        tuple(MediaLink(one, title) for one in links),
        moment(at(found, "publishedAt")),
    )
    return Step((post,))


def _best(files: list[dict[str, Any]]) -> str:
    """Give the largest file up to GOOD_ENOUGH lines, else the smallest; sound alone where that is all."""
    sized = [(whole(one, "resolution", "id") or 0, text(one, "fileUrl")) for one in files]
    seen = [(lines, url) for lines, url in sized if url and lines > 0]
    good = [one for one in seen if one[0] <= GOOD_ENOUGH]
    chosen = max(good, default=None) or min(seen, default=None)
    return chosen[1] if chosen is not None else next((url for _, url in sized if url), "")
