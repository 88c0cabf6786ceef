"""From values to sentences that a frightened person can use: what, when, where, how sure, what is not known.

Calm, short, no scores, no jargon, nothing that the media's publisher wrote except the address itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from alerts.synthetic_words import FOR_MAILS
from monitor.dismissals import Reason, State
from monitor.values import Band, MediaKind, OriginKind, SyntheticAssessment, SyntheticStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from monitor.dismissals import Standing
    from monitor.findings import FindingView
    from monitor.values import Origin, Span

KINDS = {
    MediaKind.IMAGE: "a picture",
    MediaKind.ANIMATION: "a moving picture",
    MediaKind.VIDEO: "a video",
    MediaKind.AUDIO: "a sound recording",
}

SPANS_SHOWN = 6
"""Stretches of time named in one sentence; more are counted. A sentence with twenty is not read."""

JOIN_S = 1.5
"""Stretches with a gap below this many seconds are read as one: people pause while they speak."""

ADDRESS_SHOWN = 160
"""Letters of an address that are shown; what comes after is mostly tracking."""

PLAIN = "".join(chr(code) for code in range(ord("!"), ord("~") + 1))
"""Letters that stand for themselves in an exact address; all others are percent-encoded."""


IN_A_MOMENT = (
    "Our program will look at the {thing} once more, so that it knows it. That takes a few minutes; you need "
    "not wait for it."
)

LEARNT = (
    "We know this {thing} now, and do not take it for you. For that we keep numbers made from it, sealed "
    "under a key of their own, until {until}. Then the key is destroyed, and you may hear of the same person "
    "again."
)

NOTHING_LEARNT = (
    "We could not make out the {thing} well enough to learn it. Other pictures or recordings of the same "
    "person may still reach you."
)

NOT_LEARNT = {
    Reason.TOO_CLOSE: (
        "We did not learn this {thing}: it is closer to what you gave us than that of almost anybody else "
        "would be. So that nobody can make us blind to you, we keep watching for it, and write to you if it "
        "appears in something else."
    ),
    Reason.KNOWN: "We know this {thing} already, from something else that you told us is not you.",
    Reason.EXPIRED: (
        "The time is over for which we kept what we learnt from it, and its key is destroyed. You may hear "
        "of the same person again."
    ),
    Reason.CROWDED_OUT: (
        "We keep only the newest that you told us of, and what we learnt from this one is destroyed. You may "
        "hear of the same person again."
    ),
    Reason.NOT_KEPT: (
        "The recording was too large to be kept, so we could not learn the {thing}. Other recordings of the "
        "same person may still reach you."
    ),
}
"""Why a dismissal teaches nothing, for those reasons that mean something to the person."""


@dataclass(frozen=True, slots=True)
class Place:
    """One place where it was seen.

    `address` (the file) and `page` (what shows it) are defanged: they can be read, and not clicked.
    `exact` is the whole address as plain ASCII text, for the page and for whoever is asked to remove it.
    """

    site: str
    address: str
    page: str
    exact: tuple[str, ...]
    when: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """One finding in words. `what` starts with a small letter, the lists hold whole sentences.

    `thing` is what was recognised: face, voice, or face and voice.
    """

    finding_id: str
    what: str
    seen: tuple[str, ...]
    places: tuple[Place, ...]
    sure: str
    synthetic: str
    reasons: tuple[str, ...]
    against: tuple[str, ...]
    not_looked: tuple[str, ...]
    declared: tuple[str, ...]
    sha256: str
    has_face: bool
    thing: str


def sighting_of(view: FindingView, *, looked_at: bool) -> Sighting:
    """Put one finding into words. `looked_at`: an operator looked at it before it was told."""
    detail = view.detail
    return Sighting(
        finding_id=view.finding_id,
        what=KINDS[detail.kind],
        seen=seen(view),
        places=tuple(place_of(origin) for origin in view.origins),
        sure=how_sure(view, looked_at=looked_at),
        synthetic=about_synthetic(detail.synthetic),
        reasons=detail.reasons,
        against=detail.against,
        not_looked=tuple(f"{one.part}: {one.reason}" for one in detail.not_looked),
        declared=tuple(_declared(detail.synthetic)),
        sha256=view.sha256,
        has_face=detail.face_score is not None,
        thing=" and ".join(
            word
            for word, score in (("face", detail.face_score), ("voice", detail.voice_score))
            if score is not None
        ),
    )


def seen(view: FindingView) -> tuple[str, ...]:
    """Say what was recognised, and in a video or a sound at which minutes and seconds."""
    detail = view.detail
    said: list[str] = []
    if detail.face_score is not None:
        when = "" if detail.kind is MediaKind.IMAGE else times(detail.face_spans)
        said.append(f"A face that looks like yours is in it{when and f', {when}'}.")
    if detail.voice_score is not None:
        when = times(detail.voice_spans)
        said.append(f"A voice that sounds like yours speaks in it{when and f', {when}'}.")
    return tuple(said)


def how_sure(view: FindingView, *, looked_at: bool) -> str:
    """Say how sure a comparison is, and that it can be wrong."""
    detail = view.detail
    both = detail.face_score is not None and detail.voice_score is not None
    what = "face and voice are" if both else ("face is" if detail.face_score is not None else "voice is")
    if view.band is Band.ALERT:
        strength = "very" if both else "fairly"
        said = f"We are {strength} sure: the {what} close to what you gave us."
    else:
        said = f"We are not sure: the {what} similar to what you gave us, but not as close as usual."
    if looked_at:
        said += " Somebody on our team has looked at it and thought that you should know."
    return f"{said} A computer makes this comparison, and it can be wrong."


def about_synthetic(assessed: SyntheticAssessment) -> str:
    """Say whether it may be made by a computer, for messages and where nobody looked further.

    Where somebody did, that is all that is said: what was found needs a page (alerts/explained.py).
    """
    if assessed.assessed is not None:
        return FOR_MAILS
    if assessed.status is SyntheticStatus.DECLARED:
        return (
            "The file itself says that it was made or changed by a computer, for example with AI. "
            "Such a note can be added or removed by anybody, so it is a hint and no proof."
        )
    if assessed.status is SyntheticStatus.DECLARED_CAPTURED:
        return (
            "The file itself says that it was recorded with a camera or a microphone. "
            "Such a note can be added by anybody, so it is a hint and no proof."
        )
    return (
        "We have not checked whether it is real or made by a computer, for example with AI. "
        "It could be either."
    )


def about_dismissal(standing: Standing | None, thing: str) -> tuple[str, ...]:
    """Say what became of "this is not me", in sentences. `thing` is face, voice, or face and voice."""
    if standing is None or standing.state is State.DUE:
        said = [IN_A_MOMENT]
    elif standing.state is State.LEARNT:
        close = Reason.TOO_CLOSE in standing.reasons  # of one copy only: it is of a group, say
        said = [LEARNT, *([NOT_LEARNT[Reason.TOO_CLOSE]] if close else [])]
    else:
        said = [words for reason, words in NOT_LEARNT.items() if reason in standing.reasons][:1]
    until = day(standing.until) if standing is not None and standing.until is not None else "it expires"
    return tuple(one.format(thing=thing, until=until) for one in said or [NOTHING_LEARNT])


def day(at: datetime) -> str:
    """Write a day so that nobody mistakes it for the month."""
    return f"{at.day} {at:%B %Y}"


def times(spans: Iterable[Span]) -> str:
    """Say stretches of time, like `from 0:12 to 0:45 and from 1:03 to 1:20 (minutes:seconds)`."""
    joined = _joined(sorted(spans, key=lambda span: span.start_s))
    if not joined:
        return ""
    parts = [f"from {clock(start)} to {clock(math.ceil(end))}" for start, end in joined[:SPANS_SHOWN]]
    if more := len(joined) - SPANS_SHOWN:
        parts += [f"{more} more times"] if more > 0 else []
    text = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"{text} (minutes:seconds)"


def clock(seconds: float) -> str:
    """Write a moment of a clip as `m:ss`, or `h:mm:ss` from an hour on."""
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def place_of(origin: Origin) -> Place:
    """Put a place into words."""
    shown = origin.page_url or origin.url or ""
    return Place(
        site=_site(shown) or _unnamed(origin),
        address=defanged(origin.url or ""),
        page=defanged(origin.page_url or ""),
        exact=tuple(quote(one, safe=PLAIN) for one in (origin.page_url, origin.url) if one),
        when=moment(origin.seen_at),
    )


def moment(at: datetime) -> str:
    """Write a moment so that nobody mistakes the day for the month, in UTC and saying so."""
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def defanged(url: str) -> str:
    """Write an address so that it can be read and retyped, and no program turns it into a link.

    Only printable ASCII comes out, at most ADDRESS_SHOWN characters, whatever a hostile site put in.
    """
    try:
        parts = urlsplit(url)
        rest = f"{parts.path}{'?' if parts.query else ''}{parts.query}"
    except ValueError:
        return "an address that cannot be written"
    if not _site(url):
        return ""
    text = f"{_site(url)}{_printable(rest)}".replace(".", "[.]")
    return text if len(text) <= ADDRESS_SHOWN else f"{text[:ADDRESS_SHOWN]}..."


def _site(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    try:
        name = host.encode("idna").decode()
    except UnicodeError:
        name = _printable(host)
    return f"{name}:{port}" if port is not None and name else name


def _printable(text: str) -> str:
    return "".join(one if "!" <= one <= "~" else "?" for one in text)


def _unnamed(origin: Origin) -> str:
    if origin.kind is OriginKind.SCAN:
        return "a file that was given to us to check"
    return "a place without an address"


def _joined(spans: Sequence[Span]) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for span in spans:
        if joined and span.start_s - joined[-1][1] <= JOIN_S:
            joined[-1] = (joined[-1][0], max(joined[-1][1], span.end_s))
        else:
            joined.append((span.start_s, span.end_s))
    return joined


def _declared(assessed: SyntheticAssessment) -> Iterable[str]:
    for signal in assessed.reasons:
        checked = "signed by somebody we trust" if signal.trusted else "not signed by anybody we know"
        yield f"{signal.says} ({checked})"
