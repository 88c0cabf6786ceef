"""Who a subject is, in the one spelling in which it is sealed."""

from __future__ import annotations

from dataclasses import dataclass

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from enrollment.age import DeclaredAge
from monitor.errors import ContactInvalid


@dataclass(frozen=True, slots=True)
class Profile:
    """Who a subject is. `email` or `phone` may be empty; `attested` says how identity was checked.

    `born` is an ISO date or empty; `age_confirmed` the age in years that the operator confirmed, or 0.
    """

    name: str
    email: str = ""
    phone: str = ""
    attested: str = ""
    born: str = ""
    age_confirmed: int = 0


def checked_profile(
    name: str, email: str, phone: str, attested: str, age: DeclaredAge | None = None
) -> Profile:
    """Put an address and a number into their one spelling. `age` was checked by age.declared_age.

    Raises ContactInvalid when the e-mail address is not one, or the number is not a valid one in
    international form (+49 ...). Whether mail arrives there is for enrolment to prove, not for this.
    """
    if not name.strip() or not attested.strip():
        msg = "a name, and how identity was checked, are needed"
        raise ContactInvalid(msg, hint='For example: --attest "passport seen in person, J. Weber, 3 May".')
    known = age or DeclaredAge()
    return Profile(
        name.strip(), checked_email(email), _phone(phone), attested.strip(), known.born, known.confirmed
    )


def checked_email(text: str) -> str:
    """Put an address into its one spelling; empty stays empty. Raises ContactInvalid."""
    if not text:
        return ""
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as exc:
        msg = f"the e-mail address is not valid: {exc}"
        raise ContactInvalid(msg, hint="It looks like name@example.org.") from exc


def _phone(text: str) -> str:
    if not text:
        return ""
    hint = "Give it in international form, with + and the country: +49 30 123456."
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException as exc:
        msg = "the phone number is not one in international form"
        raise ContactInvalid(msg, hint=hint) from exc
    if not phonenumbers.is_valid_number(number):
        msg = "no such phone number can exist in that country"
        raise ContactInvalid(msg, hint=hint)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
