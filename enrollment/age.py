"""Old enough to be enrolled: by what is declared, never by what a face looks like.

To guess an age from a face is to be wrong about many people by years, about some groups more than others, and
to measure a child before anybody allowed it. So somebody says it: the person, by a date of birth, or the
operator, who saw a document.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from monitor.errors import AgeInvalid, AgeNotStated, TooYoung

OLDEST = 125
"""Years; nobody is known to have lived longer, so that an older date of birth is a slip."""


@dataclass(frozen=True, slots=True)
class DeclaredAge:
    """What is known of a person's age. `born` is an ISO date or empty.

    `confirmed` is the age in years that the operator confirmed the person to have reached; 0 for none.
    """

    born: str = ""
    confirmed: int = 0


def declared_age(born: str, *, confirmed: bool, minimum: int, today: date) -> DeclaredAge:
    """Check a declared age against the one from which the operator enrols; a date of birth outweighs a word.

    Raises AgeNotStated when nothing was said and `minimum` is not 0, AgeInvalid when `born` is no possible
    date of birth, TooYoung when it is below `minimum`.
    """
    if born:
        day = _day(born, today)
        if years(day, today) < minimum:
            msg = f"nobody under {minimum} is enrolled here"
            hint = "A child's face and voice need more care than this service can give; nothing was stored."
            raise TooYoung(msg, hint=hint)
        return DeclaredAge(day.isoformat(), minimum if confirmed else 0)
    if not confirmed and minimum:
        msg = f"the person's age is not known, and nobody under {minimum} is enrolled here"
        hint = (
            f"Give --born YYYY-MM-DD, or --age-confirmed when you made sure that they are {minimum} or older."
        )
        raise AgeNotStated(msg, hint=hint)
    return DeclaredAge(confirmed=minimum if confirmed else 0)


def years(born: date, today: date) -> int:
    """Count full years. Who is born on 29 February is a year older on 1 March of other years."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _day(born: str, today: date) -> date:
    hint = "Write year, month and day, like 1990-05-23."
    try:
        day = date.fromisoformat(born.strip())
    except ValueError as exc:
        msg = f"{born!r} is not a date"
        raise AgeInvalid(msg, hint=hint) from exc
    if day > today or years(day, today) > OLDEST:
        msg = f"nobody alive was born on {day.isoformat()}"
        raise AgeInvalid(msg, hint=hint)
    return day
