"""What a person must answer with once: a code that was sent, or a challenge that was given. See OneTimeCode.

There is one of each purpose per person; a new one takes the place of the old one.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from enrollment.tables import OneTimeCode
from monitor import subject_keys
from monitor.crypto import Context, seal, unseal

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel import Session

    from enrollment.lookups import Lookups
    from monitor.crypto import KeyEncryptionKeys
    from monitor.values import SubjectId

MOST_TRIES = 5
"""Five guesses at one of a million numbers: one in 200,000."""


class Answer(StrEnum):
    """What came of a code that somebody typed."""

    RIGHT = "right"
    WRONG = "wrong"
    TOO_LATE = "too_late"
    TOO_MANY = "too_many"


@dataclass(frozen=True, slots=True)
class Codes:
    """Gives codes and takes answers, in the caller's transaction."""

    keks: KeyEncryptionKeys
    lookups: Lookups

    def give(  # noqa: PLR0913, PLR0917 - a code has these parts
        self,
        session: Session,
        subject_id: SubjectId,
        purpose: str,
        about: str,
        until: datetime,
        code: str = "",
    ) -> None:
        """Note that an answer is awaited. `about` is kept sealed; `code` only as a keyed digest."""
        key = subject_keys.key_of(session, self.keks, subject_id)
        row = session.get(OneTimeCode, (subject_id, purpose), with_for_update=True)
        sealed = seal(key, about.encode(), _context(subject_id, purpose))
        lookup = self._digest(subject_id, purpose, code)
        if row is None:
            row = OneTimeCode(
                subject_id=subject_id, purpose=purpose, lookup=lookup, sealed=sealed, expires_at=until
            )
            session.add(row)
        row.lookup, row.sealed, row.expires_at, row.tries = lookup, sealed, until, 0
        session.flush()

    def take(self, session: Session, subject_id: SubjectId, purpose: str, now: datetime) -> str | None:
        """Use up what is awaited, and give what it is about; None where nothing is, or not any more."""
        row = session.get(OneTimeCode, (subject_id, purpose), with_for_update=True)
        if row is None:
            return None
        key = subject_keys.key_of(session, self.keks, subject_id)
        about = unseal(key, row.sealed, _context(subject_id, purpose)).decode()
        session.delete(row)
        session.flush()
        return about if now < row.expires_at else None

    def answer(
        self, session: Session, subject_id: SubjectId, purpose: str, typed: str, now: datetime
    ) -> Answer:
        """Count one try and say what came of it. The caller commits it, and then takes what is right."""
        row = session.get(OneTimeCode, (subject_id, purpose), with_for_update=True)
        if row is None or now >= row.expires_at:
            return Answer.TOO_LATE
        if row.tries >= MOST_TRIES:
            return Answer.TOO_MANY
        row.tries += 1
        right = hmac.compare_digest(row.lookup, self._digest(subject_id, purpose, typed))
        return Answer.RIGHT if right else Answer.WRONG

    def about(self, session: Session, subject_id: SubjectId, purpose: str, now: datetime) -> str | None:
        """Give what is awaited without using it up; None where nothing is, or not any more."""
        row = session.get(OneTimeCode, (subject_id, purpose))
        if row is None or now >= row.expires_at:
            return None
        key = subject_keys.key_of(session, self.keks, subject_id)
        return unseal(key, row.sealed, _context(subject_id, purpose)).decode()

    def _digest(self, subject_id: SubjectId, purpose: str, code: str) -> str:
        return self.lookups.digest(f"code.{purpose}.{subject_id}", code)


def _context(subject_id: SubjectId, purpose: str) -> Context:
    return Context(subject_id, purpose, "one-time-code")
