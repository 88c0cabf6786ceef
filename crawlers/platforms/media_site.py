"""Sites that no module of ours reads, by yt-dlp: the last resort. It finds addresses and fetches nothing.

Names and fields are those of yt-dlp (github.com/yt-dlp/yt-dlp, "Embedding", info dict).
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from crawlers.links import MediaLink
from crawlers.platforms.fields import check_options, rows, text, whole
from crawlers.platforms.interfaces import Basis
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

GOOD_ENOUGH: Final = 720
"""Lines. A face in a larger film is no better recognised."""

LIVE: Final = frozenset({"is_live", "is_upcoming", "post_live"})

CODES: Final = (
    (
        "media_live",
        re.compile(r"\blive event|\blive stream|not currently live|offline|premieres in", re.IGNORECASE),
    ),
    ("media_locked", re.compile(r"\bDRM\b", re.IGNORECASE)),
    ("media_age", re.compile(r"\bage[- ]|confirm your age|mature", re.IGNORECASE)),
    ("media_geo", re.compile(r"your (country|location)|geo.?restrict|in your region", re.IGNORECASE)),
    (
        "media_private",
        re.compile(r"private|log ?in|sign in|registered users|members|password|paid", re.IGNORECASE),
    ),
    (
        "media_removed",
        re.compile(r"removed|deleted|unavailable|not available|no longer|404|410", re.IGNORECASE),
    ),
    (
        "media_unsupported",
        re.compile(r"unsupported url|no suitable extractor|no video formats", re.IGNORECASE),
    ),
)
"""What sites say of what cannot be had. The first that fits counts; the rest is `media_extractor`."""

KINDS: Final = {
    "GeoRestrictedError": "media_geo",
    "UserNotLive": "media_live",
    "UnsupportedError": "media_unsupported",
}
OTHER: Final = "media_extractor"
SEGMENTS: Final = "media_segments_only"


class MediaSite:
    """A page, channel or list that one of the named extractors reads."""

    kind = "media_site"
    basis = Basis.ROBOTS
    sees = "The films and sounds that this page or channel lists, with their preview pictures."
    blind_to = (
        "What is private, live, locked or shown only to some; what comes in segments that we do not "
        "read; older entries of a long list."
    )

    def check(self, url: str, options: Mapping[str, str]) -> None:
        """Raise ConfigError without yt-dlp, without extractors, or for one that there is not."""
        del url
        check_options(options, frozenset({"extractors"}))
        names = names_of(options)
        if not names:
            msg = "extractors are the names of those that may be used, with commas"
            raise ConfigError(msg, hint="For instance --option extractors=vimeo,peertube")
        if find_spec("yt_dlp") is None:
            msg = "this kind of source needs yt-dlp, which is not installed"
            raise ConfigError(msg, hint="pip install 'likeness-watch[downloads]'")
        from crawlers.extracting import known  # noqa: PLC0415 - yt-dlp takes seconds

        try:
            known(names)
        except KeyError as exc:
            msg = f"yt-dlp has no extractor called {str(exc.args[0])[:60]!r}"
            raise ConfigError(msg) from None


def names_of(options: Mapping[str, str]) -> list[str]:
    """Give the extractors that the operator named; nothing is meant unless it is named, `generic` too."""
    return [one.strip().lower() for one in options.get("extractors", "").split(",") if one.strip()]


def code_of(error: str, kind: str) -> str:
    """Give the stable code of what yt-dlp says went wrong."""
    if kind in KINDS:
        return KINDS[kind]
    return next((code for code, pattern in CODES if pattern.search(error)), OTHER)


def files_of(info: dict[str, Any]) -> tuple[list[MediaLink], str | None]:
    """Choose what is fetched of a page, and say with a code where there is no film or sound among it.

    One file with picture and sound comes first, up to GOOD_ENOUGH lines; else the two apart; else a playlist
    of segments (HLS). The preview picture is taken with either.
    """
    title, picture = text(info, "title"), text(info, "thumbnail")
    preview = [MediaLink(picture, title)] if picture.startswith(("http://", "https://")) else []
    if info.get("is_live") or info.get("live_status") in LIVE:
        return [], "media_live"
    formats = rows(info, "formats")
    open_ = [one for one in formats if not one.get("has_drm")]
    if formats and not open_:
        return preview, "media_locked"
    plain = [one for one in open_ if text(one, "protocol") in {"http", "https"} and not one.get("fragments")]
    both = [one for one in plain if "none" not in {one.get("vcodec"), one.get("acodec")}]
    seen = [one for one in plain if one.get("acodec") == "none" and one.get("vcodec") != "none"]
    heard = [one for one in plain if one.get("vcodec") == "none" and one.get("acodec") != "none"]
    chosen = _best(both) or _best(seen) + _best(heard)
    if not chosen:
        chosen = _best([one for one in open_ if text(one, "protocol").startswith("m3u8")])
    found = [MediaLink(text(one, "url"), title) for one in chosen]
    return found + preview, None if found else (SEGMENTS if formats else "media_unsupported")


def _best(formats: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the largest up to GOOD_ENOUGH lines, else the smallest; none of none."""
    sized = [(whole(one, "height") or 0, one) for one in formats if text(one, "url")]
    good = [pair for pair in sized if pair[0] <= GOOD_ENOUGH]
    if good:
        return [max(good, key=lambda pair: pair[0])[1]]
    return [min(sized, key=lambda pair: pair[0])[1]] if sized else []
