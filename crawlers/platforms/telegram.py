"""Telegram: public channels, by the previews that t.me shows in a browser without an account.

No API reference covers them. Written from what the pages hold: t.me/s/NAME shows about twenty messages, the
oldest first, `?before=N` those before a number and `?after=N` those after it; each is a `data-post` with its
media as background pictures, video and audio, and a `time`. Numbers of
messages only grow, and a number that was there and is not there now was deleted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from lxml import etree
from lxml import html as lxml_html

from crawlers.links import MediaLink, clean
from crawlers.platforms.fields import address, check_options, moment, root_of
from crawlers.platforms.interfaces import Answer, Ask, Basis, Post, Step, Watch
from monitor.errors import ConfigError, FetchWrongType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FIRST_PAGES: Final = 25
"""Answers that the first run reads backwards: about the newest 500 messages."""

MOST_MESSAGES: Final = 200
"""Messages of one page that are read: ten times as many as Telegram shows."""

LOOKED_BACK: Final = 10
"""Newest messages with media that are shown once more in the next run, on the same page as the new ones:
one that is missing there was deleted. A page has room for about twice as many."""

AHEAD: Final = timedelta(hours=1)
"""A message dated further ahead than this moves no cursor."""

BACK, ON = "back", "on"
CHANNEL: Final = re.compile(r"[A-Za-z]\w{3,31}", re.ASCII)
POST: Final = re.compile(r"([A-Za-z]\w{3,31})/(\d{1,12})", re.ASCII)
BACKGROUND: Final = re.compile(r"background-image:\s{0,8}url\(\s{0,8}['\"]?([^'\")]{1,2000})")
PICTURES: Final = frozenset(
    {
        "tgme_widget_message_photo_wrap",
        "tgme_widget_message_video_thumb",
        "tgme_widget_message_roundvideo_thumb",
        "link_preview_image",
        "link_preview_right_image",
    }
)
"""Classes of what shows a picture as its background."""

TEXT: Final = "tgme_widget_message_text"
HISTORY: Final = "tgme_channel_history"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a channel: its number there, and what it shows."""

    number: int
    post: Post


class Telegram:
    """Reads the previews of public channels."""

    kind = "telegram"
    basis = Basis.ROBOTS
    sees = "Messages of the public channels named, with pictures, and videos where the preview plays them."
    blind_to = (
        "Groups, private chats, channels that show no preview, large videos (of those only a still picture), "
        "comments, and what was deleted before we looked."
    )

    def check(self, url: str, options: Mapping[str, str]) -> None:
        """Raise ConfigError where no channel is named, or one that cannot be."""
        check_options(options, frozenset({"channels"}))
        names = _channels(url, options)
        if not names or not all(CHANNEL.fullmatch(one) for one in names):
            msg = "a public channel is named by 4 to 32 letters, digits and underscores"
            raise ConfigError(msg, hint="The address is https://t.me/s/NAME, or channels is NAME|NAME.")

    def begin(self, watch: Watch) -> Iterator[Ask]:
        """Give one line for each channel, from its newest known messages on."""
        for name in _channels(watch.url, watch.options):
            tag = f"channel {name.lower()}"
            known = _numbers(watch.cursors.get(tag, ""))
            base = f"{root_of(watch.url)}/s/{name}"
            if known:
                yield Ask(address(base, {"after": min(known) - 1}), tag, carry=f"{ON} {max(known)}")
            else:
                yield Ask(base, tag, carry=f"{BACK} 1")

    def read(self, answer: Answer, watch: Watch) -> Step:
        """Read one page of messages. Raises FetchWrongType where it is no preview of a channel."""
        if answer.status >= 400:
            return Step()
        messages = _messages(answer)
        way, _, told = answer.ask.carry.partition(" ")
        kept = _numbers(watch.cursors.get(answer.ask.tag, ""))
        latest = watch.now + AHEAD
        usual = [one for one in messages if one.post.posted_at is None or one.post.posted_at <= latest]
        if way == ON:
            return _on(messages, usual, answer, kept, int(told))
        posts = tuple(one.post for one in messages if one.post.media)
        oldest, number = min((one.number for one in messages), default=0), int(told or 1)
        base = answer.ask.url.partition("?")[0]
        more = Ask(address(base, {"before": oldest}), answer.ask.tag, carry=f"{BACK} {number + 1}")
        goes_on = oldest > 1 and number < FIRST_PAGES
        return Step(posts, (more,) if goes_on else (), cursor_at_end=_cursor(usual, ()))

    def wait_s(self, answer: Answer, watch: Watch) -> float | None:
        """Give None: Telegram's pages say 429 with Retry-After, and nothing of their own."""
        del answer, watch
        return None


def _channels(url: str, options: Mapping[str, str]) -> list[str]:
    path = urlsplit(url).path.strip("/")
    own = [path.removeprefix("s/")] if path.startswith("s/") else []
    named = [one.strip() for one in options.get("channels", "").split("|") if one.strip()]
    return list(dict.fromkeys(own + named))


def _on(
    messages: list[Message], usual: list[Message], answer: Answer, kept: tuple[int, ...], last: int
) -> Step:
    """Go on after the newest message known; what was known and is missing on this page was deleted."""
    base, _, query = answer.ask.url.partition("?")
    asked = int(query.rpartition("=")[2])
    there = {one.number for one in messages if one.number > asked}
    is_shown_again = bool(there) and asked == min(kept, default=0) - 1
    lost = [one for one in kept if one not in there and one < max(there)] if is_shown_again else []
    gone = tuple(f"{messages[0].post.url.rpartition('/')[0]}/{one}" for one in lost)
    posts = tuple(one.post for one in messages if one.number > last and one.post.media)
    newest = max((one.number for one in usual), default=0)
    cursor = _cursor(usual, (last, *(one for one in kept if one not in lost)))
    more = Ask(address(base, {"after": newest}), answer.ask.tag, carry=f"{ON} {newest}")
    return Step(posts, (more,) if newest > last else (), cursor=cursor, gone=gone)


def _cursor(messages: list[Message], kept: tuple[int, ...]) -> str | None:
    """Give the newest number, and those of the newest messages with media that stand near it."""
    newest = max([*(one.number for one in messages), *kept], default=None)
    if newest is None:
        return None
    shown = {one.number for one in messages if one.post.media} | set(kept)
    near = sorted((one for one in shown if newest - LOOKED_BACK < one < newest), reverse=True)
    return " ".join(map(str, [newest, *near]))


def _numbers(cursor: str) -> tuple[int, ...]:
    return tuple(int(one) for one in cursor.split() if one.isdigit())


def _messages(answer: Answer) -> list[Message]:
    parser = lxml_html.HTMLParser(encoding="utf-8", huge_tree=False, no_network=True, remove_comments=True)
    try:
        root = lxml_html.document_fromstring(answer.body, parser=parser)
    except (etree.LxmlError, ValueError):
        root = None
    if root is None or not any(HISTORY in _classes(one) for one in root.iter("section", "div", "main")):
        msg = "this is no preview of a channel: it may be private, or show none"
        raise FetchWrongType(msg)
    name = urlsplit(answer.ask.url).path.rpartition("/")[2].lower()
    elements = islice(root.iterfind(".//*[@data-post]"), MOST_MESSAGES)
    return [found for one in elements if (found := _message(one, name)) is not None]


def _message(element: Any, channel: str) -> Message | None:  # noqa: ANN401 - lxml has no types
    named = POST.fullmatch(element.get("data-post") or "")
    if named is None or named[1].lower() != channel:
        return None
    url = f"https://t.me/{named[1]}/{named[2]}"
    texts = [one for one in element.iter("div") if TEXT in _classes(one)]
    title = clean(" ".join(texts[-1].itertext())) if texts else ""
    times = [one.get("datetime") for one in element.iter("time") if one.get("datetime")]
    links = dict.fromkeys(_absolute(one) for one in _shown(element) if one)
    media = tuple(MediaLink(one, title) for one in links if one)
    return Message(int(named[2]), Post(url, title, media, moment(times[-1]) if times else None))


def _absolute(link: str) -> str:
    """Give an address with its scheme: emoji and small pictures are named without one."""
    return f"https:{link}" if link.startswith("//") else link


def _shown(element: Any) -> Iterator[str]:  # noqa: ANN401 - as above
    for one in element.iter("a", "i", "div", "video", "audio"):
        if one.tag in {"video", "audio"}:
            yield one.get("src") or ""
        elif _classes(one) & PICTURES:
            found = BACKGROUND.search(one.get("style") or "")
            yield found[1] if found is not None else ""


def _classes(element: Any) -> frozenset[str]:  # noqa: ANN401 - as above
    return frozenset((element.get("class") or "").split())
