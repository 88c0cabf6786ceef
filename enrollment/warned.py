"""Who is warned: the one whose face or voice somebody else brought along.

The letter says that somebody came, never who, and looks from outside like every other letter. At most one a
day for one person and one newcomer, and a few a day in all: nobody can be flooded by others' attempts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from enrollment import letters, limits
from enrollment.letter_words import Words, letter
from enrollment.standing import ENROLLED
from enrollment.subjects import profile_of
from enrollment.tables import Account, Subject
from monitor import audit
from monitor import log as logs
from monitor.errors import KeysError, NotFound
from monitor.values import Modality, SubjectId

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlmodel import Session

    from enrollment.arrivals import Near
    from enrollment.desk import Desk
    from monitor.crypto import IntakeSealer

MOST_A_DAY = 3
"""Warnings to one person in a day, whoever came. The next one says nothing that the first did not."""

KIND = "warning"

THINGS = {Modality.FACE: "a face", Modality.VOICE: "a voice"}

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Warner:
    """What warning needs: the desk, what letters are sealed with, and the moment."""

    desk: Desk
    sealer: IntakeSealer
    now: datetime

    def warn(self, session: Session, newcomer: SubjectId, found: Iterable[Near]) -> int:
        """Put a letter to each enrolled one in the outbox, in the caller's transaction; give how many.

        Who is on the way in as well is told nothing: nobody knows yet that they are who they say.
        """
        things: dict[SubjectId, list[Modality]] = {}
        for one in found:
            if one.enrolled:
                things.setdefault(one.subject_id, []).append(one.modality)
        return sum(self._warn_one(session, owner, newcomer, kinds) for owner, kinds in things.items())

    def _warn_one(
        self, session: Session, owner: SubjectId, newcomer: SubjectId, kinds: Sequence[Modality]
    ) -> bool:
        row = session.get(Subject, owner)
        if row is None or row.status not in ENROLLED:
            return False
        audit.record(session, "worker", "enrolment.like_you", owner, by=[str(one) for one in kinds])
        if not self._is_allowed(session, owner, newcomer):
            return False
        try:
            profile = profile_of(session, self.desk.keks, owner)
        except (KeysError, NotFound) as exc:
            log.warning("owner_not_warned", subject_id=owner, code=exc.code)
            return False
        home = self.desk.settings.public_url.rstrip("/")
        own_page = f"{home}/account" if session.get(Account, owner) is not None else ""
        if profile.email:
            words, to, channel = by_mail(kinds, own_page), profile.email, letters.EMAIL
        elif profile.phone:
            words, to, channel = by_text(own_page), profile.phone, letters.SMS
        else:
            log.warning("owner_not_warned", subject_id=owner, code="no_address")
            return False
        letters.write(
            session, self.sealer, to, words, kind=KIND, now=self.now, subject_id=owner, channel=channel
        )
        return True

    def _is_allowed(self, session: Session, owner: SubjectId, newcomer: SubjectId) -> bool:
        def take(kind: str, value: str, most: int) -> bool:
            return limits.take(
                session, self.desk.lookups, kind, value, per=limits.DAY, most=most, now=self.now
            )

        pair = take("warning.pair", f"{owner}.{newcomer}", 1)
        return pair and take("warning.owner", owner, MOST_A_DAY)


NOT_LET_IN = (
    "They were not let in. They see and get nothing of what is found of you, and they were not told that "
    "you are here."
)
WHO = (
    "It may be somebody who looks or sounds like you, a relative for example, or you yourself with another "
    "address. It may also be somebody who wants to follow you."
)
WHAT_NOW = (
    "People who work here look at it now. You need not do anything. If you think that you know who it was, "
    "or if you do not feel safe, write to whoever runs this service: they can look at it again."
)
HELP = (
    "If you feel threatened, the police or an advice centre against stalking can help. You do not need this "
    "letter for that, but keeping it may help them."
)
OWN_PAGE = (
    "You can see what is on record about you and who is signed in as you, and add a passkey, on your own "
    "page:"
)
IN_ORDER = (
    "we have looked at what you gave us, and everything is in order. It took longer than usual; thank you "
    "for your patience."
)
NOT_SURE = (
    "we could not make sure that everything belongs together in what you gave us. So nothing was started, "
    "and the pictures and recordings that you gave are deleted."
)
FAILS_AGAIN = (
    "If it fails again, write to whoever runs this service. They can check in another way that it is you."
)


def by_mail(kinds: Iterable[Modality], own_page: str) -> Words:
    """Write the warning. `own_page` is empty for somebody whom an operator enrolled."""
    thing = " and ".join(THINGS[one] for one in sorted(set(kinds)))
    look = (f"{OWN_PAGE} {own_page}",) if own_page else ()
    return letter(
        (f"somebody tried to enrol {thing} like yours. {NOT_LET_IN}", WHO), after=(WHAT_NOW, *look, HELP)
    )


def by_text(own_page: str) -> Words:
    """Write the warning for a screen that others can see."""
    where = own_page or "Please ask those who added you here."
    return Words("", f"A notice is waiting for you. {where}")


def not_added() -> Words:
    """Write the letter to somebody whose later samples were not taken in. It gives no reason, as above."""
    return letter(
        (
            (
                "you gave us more pictures or recordings. We could not make sure that they are yours, so "
                "they are deleted."
            ),
            "Nothing else has changed: we go on watching for you with those you gave before.",
        ),
        after=("If you did not give any, somebody else may have come in: look at “Safety” on your page.",),
    )


def let_in() -> Words:
    """Write the letter to somebody who was held, and is let in after all, later than they were promised."""
    return letter((IN_ORDER,), after=("You need not do anything. We write when there is something to tell.",))


def sent_back(url: str) -> Words:
    """Write the letter to somebody who was not let in. It gives no reason: that would teach an attacker."""
    honest = "This happens to honest people too: with poor light, an old picture, or a noisy room."
    again = f"You can try again, with new pictures and a new recording: {url}"
    return letter((NOT_SURE, honest), after=(again, FAILS_AGAIN))
