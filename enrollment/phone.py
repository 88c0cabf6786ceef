"""A phone number, proved by a code that is sent to it; and later codes to the same number.

Text messages cost money, and attackers earn by making others send them: only mobile numbers of countries
that the operator named, few per person, number and network, and no more in a day than the operator pays for.
"""

from __future__ import annotations

import secrets
import unicodedata
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType
from sqlmodel import col, func, select

from enrollment import letter_words, letters, limits
from enrollment.codes import Answer
from enrollment.country_names import NAMES
from enrollment.subjects import profile_of, rewrite_profile
from enrollment.tables import Account, Letter
from monitor import audit
from monitor.db import reading, utc_now, writing
from monitor.errors import ContactInvalid, NotFound, TooOften

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine
    from sqlmodel import Session

    from enrollment.codes import Codes
    from enrollment.sessions import Person
    from monitor.values import SubjectId

CODE_LASTS = timedelta(minutes=10)
DIGITS = 6

NEW, SECOND = "phone", "second"
"""Purposes of a code: a number that is given, and a second factor by the number that is known."""

PER_PERSON = ((limits.HOUR, 3), (limits.DAY, 6))
PER_NUMBER = ((limits.DAY, 4),)
PER_NETWORK = ((limits.HOUR, 6), (limits.DAY, 20))
"""Codes at most: whoever's first one does not come tries twice more, and nobody's phone rings all day."""

MOBILE = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
"""Kinds of numbers that codes go to. The others cost more, and some pay whoever makes us send to them."""

LONGEST = 60
"""Characters of a number as typed that are looked at."""


@dataclass(frozen=True, slots=True)
class Phones:
    """Sends codes and takes them back. `countries` are ISO codes; `sms_per_day` is the spend cap.

    `sms_elsewhere` counts the text messages of the last 24 hours that are no letters.
    """

    engine: Engine
    codes: Codes
    countries: frozenset[str]
    sms_per_day: int
    sms_elsewhere: Callable[[Session, datetime], int] = field(repr=False)
    now: Callable[[], datetime] = utc_now

    def ask(self, person: Person, typed: str, country: str, network: str) -> None:
        """Send a code to a new number.

        Raises ContactInvalid where no code can go there, TooOften where too many were asked for.
        """
        number = number_of(typed, country, self.countries)
        self._send(person.subject_id, number, NEW, number, network)

    def ask_second(self, person: Person, network: str) -> None:
        """Send a code to the number that is known. Raises NotFound where none is, TooOften."""
        with reading(self.engine) as session:
            number = confirmed(session, self.codes, person.subject_id)
        if not number:
            msg = "no phone number is known"
            raise NotFound(msg)
        self._send(person.subject_id, number, SECOND, "", network)

    def awaited(self, person: Person) -> str:
        """Give the new number whose code is awaited; empty: none."""
        with reading(self.engine) as session:
            return self.codes.about(session, person.subject_id, NEW, self.now()) or ""

    def confirm(self, person: Person, typed: str) -> Answer:
        """Take the code of a new number; where it is right, the number is the person's. Audited."""
        now, subject_id = self.now(), person.subject_id
        with writing(self.engine) as session:
            answer = self.codes.answer(session, subject_id, NEW, digits_of(typed), now)
            number = self.codes.take(session, subject_id, NEW, now) if answer is Answer.RIGHT else None
            if number is not None:
                _set_number(session, self.codes, subject_id, number, now)
                audit.record(session, "subject", "phone.confirm", subject_id)
        return answer

    def confirm_second(self, person: Person, typed: str) -> Answer:
        """Take the code of a second factor."""
        now, subject_id = self.now(), person.subject_id
        with writing(self.engine) as session:
            answer = self.codes.answer(session, subject_id, SECOND, digits_of(typed), now)
            if answer is Answer.RIGHT:
                self.codes.take(session, subject_id, SECOND, now)
        return answer

    def remove(self, session: Session, subject_id: SubjectId) -> None:
        """Forget the number. Audited."""
        _set_number(session, self.codes, subject_id, "", None)
        audit.record(session, "subject", "phone.remove", subject_id)

    def _send(self, subject_id: SubjectId, number: str, purpose: str, about: str, network: str) -> None:
        sealer, now = letters.sealer_of(self.engine, self.codes.keks), self.now()
        code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
        with writing(self.engine) as session:
            within = self._is_within(session, subject_id, number, network, now)
            if within:
                until = now + CODE_LASTS
                self.codes.give(session, subject_id, purpose, about, until, code)
                minutes = int(CODE_LASTS.total_seconds() // 60)
                letters.write(
                    session,
                    sealer,
                    number,
                    letter_words.code(code, minutes),
                    kind="code",
                    now=now,
                    subject_id=subject_id,
                    channel=letters.SMS,
                    until=until,
                )
        if not within:  # counted all the same
            msg = "too many codes were asked for"
            raise TooOften(msg, hint="Try it again in an hour, or use a passkey.")

    def _is_within(
        self, session: Session, subject_id: SubjectId, number: str, network: str, now: datetime
    ) -> bool:
        counted = (
            ("sms-person", str(subject_id), PER_PERSON),
            ("sms-number", number, PER_NUMBER),
            ("sms-network", network, PER_NETWORK),
        )
        taken = [
            limits.take(session, self.codes.lookups, kind, value, per=per, most=most, now=now)
            for kind, value, rules in counted
            for per, most in rules
        ]
        return all(taken) and self._of_a_day(session, now) < self.sms_per_day

    def _of_a_day(self, session: Session, now: datetime) -> int:
        waiting = select(func.count()).select_from(Letter)
        waiting = waiting.where(Letter.channel == letters.SMS, col(Letter.state) == "due")
        spent = letters.sms_of_a_day(session, now) + self.sms_elsewhere(session, now)
        return spent + session.exec(waiting).one()


def confirmed(session: Session, codes: Codes, subject_id: SubjectId) -> str:
    """Give the number that a code came back from; empty: none."""
    account = session.get(Account, subject_id)
    if account is None or account.phone_at is None:
        return ""
    return profile_of(session, codes.keks, subject_id).phone


def number_of(typed: str, country: str, countries: frozenset[str]) -> str:
    """Put a number as people write it into its one spelling, E.164.

    `country` is the ISO code that the person chose, for a number without an international prefix. Raises
    ContactInvalid, in words for the person, where it is no mobile number of one of `countries`.
    """
    if not countries:
        msg = "text messages are not sent from here"
        raise ContactInvalid(msg, hint="Make a passkey.")
    found = [_parsed(spelling, country) for spelling in _spellings(typed[:LONGEST])]
    numbers = [one for one in found if one is not None and phonenumbers.is_valid_number(one)]
    mobile = [one for one in numbers if phonenumbers.number_type(one) in MOBILE]
    if not numbers:
        msg = "this is no telephone number that can exist"
        raise ContactInvalid(msg, hint="Check it, and the country beside it.")
    if not mobile:
        msg = "text messages can go to mobile numbers only"
        raise ContactInvalid(msg, hint="Give a mobile number, or make a passkey.")
    if phonenumbers.region_code_for_number(mobile[0]) not in countries:
        msg = "we cannot send text messages to this country"
        raise ContactInvalid(msg, hint="Give another number, or make a passkey.")
    return phonenumbers.format_number(mobile[0], PhoneNumberFormat.E164)


def countries_of(setting: str) -> frozenset[str]:
    """Read the setting `sms_countries`: ISO codes, comma-separated."""
    return frozenset(code.strip().upper() for code in setting.split(",")) - {""}


def country_names(countries: frozenset[str]) -> list[tuple[str, str]]:
    """Give the countries to choose from, by name: code, and what is shown."""
    prefix = phonenumbers.country_code_for_region
    named = [(code, f"{NAMES.get(code, code)} (+{prefix(code)})") for code in countries]
    return sorted(named, key=lambda one: one[1])


def masked(number: str) -> str:
    """Show a number so that its owner knows it, and nobody else learns it."""
    return f"{number[:3]} … {number[-2:]}" if number else ""


def digits_of(typed: str) -> str:
    """Take the digits out of a code as typed, in whatever script."""
    found = (unicodedata.decimal(one, None) for one in typed[:LONGEST])
    return "".join(str(one) for one in found if one is not None)


def _spellings(typed: str) -> list[str]:
    # Numbers that are copied out of an address book carry invisible marks of direction.
    seen = "".join(one for one in unicodedata.normalize("NFKC", typed) if unicodedata.category(one) != "Cf")
    plain = seen.strip().removeprefix("tel:").replace("(0)", "").strip()
    if plain.startswith("00"):
        return [f"+{plain[2:]}"]
    if plain.startswith(("+", "0", "(")):
        return [plain]
    return [plain, f"+{plain}"]  # the international prefix forgotten


def _parsed(spelling: str, country: str) -> phonenumbers.PhoneNumber | None:
    known = country if country in phonenumbers.SUPPORTED_REGIONS else None
    try:
        return phonenumbers.parse(spelling, known)
    except phonenumbers.NumberParseException:
        return None


def _set_number(
    session: Session, codes: Codes, subject_id: SubjectId, number: str, at: datetime | None
) -> None:
    profile = profile_of(session, codes.keks, subject_id)
    rewrite_profile(session, codes.keks, subject_id, replace(profile, phone=number))
    session.get_one(Account, subject_id).phone_at = at
