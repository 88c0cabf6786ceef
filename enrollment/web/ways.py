"""The second ways in of a person: what the pages of safety and of the second factor have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from enrollment import passkeys, phone, sessions
from enrollment.codes import MOST_TRIES, Answer, Codes
from enrollment.web.begin import passkeys_of
from monitor.db import writing
from monitor.errors import NotFound

if TYPE_CHECKING:
    from sqlmodel import Session

    from enrollment.passkeys import Passkeys, PasskeyView
    from enrollment.phone import Phones
    from enrollment.sessions import Person
    from enrollment.web.frame import Frame
    from monitor.values import SubjectId

SECURITY = "/account/security"
"""Where the ways in are shown and changed."""

FAULTS = {
    "passkey": (
        "That passkey could not be taken: it took too long, or it was made for another page. "
        "Try it once more."
    ),
    "last": "This is your only second way in. Add another one first; then this one can be removed.",
    "often": "Too many codes were asked for. Try it again in an hour, or use a passkey.",
    "wrong": "That is not the code. Check the newest message, and type its six digits.",
    "too_late": "That code is too old. Have a new one sent.",
    "too_many": f"That were {MOST_TRIES} wrong codes. To be safe, have a new one sent.",
}
"""What went wrong, by the word that stands in the page's address."""

OF_ANSWER = {Answer.WRONG: "wrong", Answer.TOO_LATE: "too_late", Answer.TOO_MANY: "too_many"}


@dataclass(frozen=True, slots=True)
class Ways:
    """The second ways in that a person has. `phone` is the number as it may be shown, or empty."""

    passkeys: list[PasskeyView]
    phone: str

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.passkeys) + bool(self.phone)


@dataclass(frozen=True, slots=True)
class WaysIn:
    """What handles the second ways in. `passkeys` is None where the address of the pages is a number."""

    frame: Frame
    codes: Codes
    phones: Phones
    passkeys: Passkeys | None

    @classmethod
    def of(cls, frame: Frame) -> Self:
        """Make it from what the pages work with."""
        codes, settings = Codes(frame.keks, frame.lookups), frame.settings
        # Without an account for SMS nothing is sent, so no country is one that can be sent to.
        countries = phone.countries_of(settings.sms_countries) if settings.twilio_account else frozenset()
        phones = phone.Phones(
            frame.engine, codes, countries, settings.sms_per_day, frame.sms_elsewhere, frame.now
        )
        return cls(frame, codes, phones, passkeys_of(frame))

    def of_person(self, session: Session, subject_id: SubjectId) -> Ways:
        """Give the ways in of one person."""
        number = phone.confirmed(session, self.codes, subject_id)
        return Ways(passkeys.listing(session, subject_id), phone.masked(number))

    def show_second(self, person: Person) -> None:
        """Note that a second factor was shown."""
        with writing(self.frame.engine) as session:
            sessions.show_second(session, person, self.frame.now())

    def passkeys_here(self) -> Passkeys:
        """Give what handles passkeys. Raises NotFound where there can be none."""
        if self.passkeys is None:
            msg = "passkeys need a name in LIKENESS_PUBLIC_URL, not a number"
            raise NotFound(msg)
        return self.passkeys


def second_path(then: str, **more: str) -> str:
    """Give the page that asks for a second factor, and leads on to `then`."""
    return f"/account/second?then={quote(then)}" + "".join(f"&{name}={word}" for name, word in more.items())
