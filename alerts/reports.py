"""What partners told us of removing something, in words for the person who was found in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from alerts.words import moment
from monitor.partners import takedowns

if TYPE_CHECKING:
    from sqlmodel import Session

    from monitor.partners.takedowns import Said

WORDS: Final = {
    "removed": "{partner} told us on {when} that it has removed this from its own pages.",
    "refused": (
        "{partner} told us on {when} that it will not remove this. You can still ask it yourself, or get "
        "help from a counselling service, a lawyer or the police."
    ),
    "restored": "{partner} told us on {when} that it shows this again.",
    takedowns.PENDING: (
        "It came to us from {partner} on {when}. We have not heard whether {partner} has removed it."
    ),
}

ELSEWHERE: Final = "Copies in other places are not meant by that: we keep looking for them."


@dataclass(frozen=True, slots=True)
class Report:
    """One report. `note` is the partner's own sentence, empty where there is none."""

    said: str
    note: str


def reports_of(session: Session, media_id: str) -> tuple[Report, ...]:
    """Put what partners reported about one item into words, the oldest first."""
    return tuple(map(report_of, takedowns.of_media(session, media_id)))


def report_of(said: Said) -> Report:
    """Put one report into words."""
    text = WORDS[said.status].format(partner=said.partner, when=moment(said.at))
    return Report(f"{text} {ELSEWHERE}" if said.status == "removed" else text, said.note)
