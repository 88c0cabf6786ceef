"""Another e-mail address: it counts once its mailbox has opened a link, and the old one is told.

    ask      a letter with a link to the new address, a word to the old one; nothing has changed yet
    confirm  the link's button: the address is changed in profile and account, both are told

The answer to who asks is the same whether the new address has an account here or not; only its reader learns.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError

from enrollment import letters, limits, tokens
from enrollment.letter_words import Button, letter
from enrollment.profiles import checked_email
from enrollment.subjects import profile_of, rewrite_profile
from enrollment.tables import Account, LoginUse
from monitor import audit
from monitor.db import reading, utc_now, writing
from monitor.errors import ContactInvalid, LinkTooOld, LinkUsed, TooOften
from monitor.values import SubjectId

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine
    from sqlmodel import Session

    from enrollment.letter_words import Words
    from enrollment.lookups import Lookups
    from monitor.crypto import KeyEncryptionKeys

PURPOSE = "contact"
LASTS = timedelta(hours=24)
"""How long the link works: the new mailbox may be one that is read in the evening."""

PER_PERSON_DAY, PER_ADDRESS_DAY = 5, 3
"""Letters: enough for a slip of the finger, and nobody's mailbox is flooded."""


@dataclass(frozen=True, slots=True)
class Contacts:
    """What a change of address works with."""

    engine: Engine
    keks: KeyEncryptionKeys
    lookups: Lookups
    secret: str = field(repr=False)
    public_url: str
    now: Callable[[], datetime] = utc_now

    def ask(self, subject_id: SubjectId, typed: str) -> None:
        """Send a link to the new address, and a word to the old one; audited.

        Raises ContactInvalid where it is no address, TooOften.
        """
        if not typed.strip():
            msg = "no address was given"
            raise ContactInvalid(msg, hint="It looks like name@example.org.")
        email, now = checked_email(typed.strip()), self.now()
        sealer = letters.sealer_of(self.engine, self.keks)
        token = tokens.made(
            self.secret,
            PURPOSE,
            {
                "id": secrets.token_hex(16),
                "subject": subject_id,
                "email": email,
                "until": int((now + LASTS).timestamp()),
            },
        )
        url = f"{self.public_url.rstrip('/')}/enrol/contact/{token}"
        with writing(self.engine) as session:
            allowed = self._is_allowed(session, subject_id, email, now)
            if allowed:
                old = profile_of(session, self.keks, subject_id).email
                until = now + LASTS
                letters.write(session, sealer, email, _to_new(url), kind="contact", now=now, until=until)
                letters.write(session, sealer, old, _to_old(), kind="contact", now=now, subject_id=subject_id)
                audit.record(session, "subject", "contact.ask", subject_id)
        if not allowed:
            msg = "the address was changed often today"
            raise TooOften(msg, hint="Try again tomorrow.")

    def confirm(self, token: str) -> None:
        """Use a link up and change the address; audited. A second time says that it was used.

        Raises LinkInvalid, LinkTooOld, LinkUsed, and ContactInvalid where the address has an account here
        already: only who reads its mail gets to know that.
        """
        found, now = tokens.read(self.secret, PURPOSE, token), self.now()
        if now >= datetime.fromtimestamp(found["until"], UTC):
            msg = "this link is older than it may be"
            raise LinkTooOld(msg)
        sealer = letters.sealer_of(self.engine, self.keks)
        try:
            with writing(self.engine) as session:
                self._change(session, SubjectId(found["subject"]), found)
                old, new = found["old"], found["email"]
                for to in (old, new):
                    letters.write(session, sealer, to, _changed(), kind="contact", now=now)
        except IntegrityError as exc:
            msg = "this address has an account here already"
            raise ContactInvalid(msg, hint="Come in with it, and erase that account first.") from exc

    def _change(self, session: Session, subject_id: SubjectId, found: dict[str, str]) -> None:
        account = session.get(Account, subject_id, with_for_update=True)
        if account is None or session.get(LoginUse, found["id"]) is not None:
            msg = "this link was used already"
            raise LinkUsed(msg)
        session.add(LoginUse(id=found["id"], expires_at=self.now() + LASTS))
        profile = profile_of(session, self.keks, subject_id)
        found["old"] = profile.email
        rewrite_profile(session, self.keks, subject_id, replace(profile, email=found["email"]))
        account.email_lookup = self.lookups.email(found["email"])
        session.flush()
        audit.record(session, "subject", "contact.change", subject_id)

    def address_of(self, subject_id: SubjectId) -> str:
        """Give the address in force."""
        with reading(self.engine) as session:
            return profile_of(session, self.keks, subject_id).email

    def _is_allowed(self, session: Session, subject_id: SubjectId, email: str, now: datetime) -> bool:
        counted = (
            ("contact", str(subject_id), PER_PERSON_DAY),
            ("contact-to", email.casefold(), PER_ADDRESS_DAY),
        )
        taken = [
            limits.take(session, self.lookups, kind, value, per=limits.DAY, most=most, now=now)
            for kind, value, most in counted
        ]
        return all(taken)


def _to_new(url: str) -> Words:
    return letter(
        ("somebody gave this address on our page as their new one. If that was you, confirm it below.",),
        button=Button("Confirm this address", url),
        after=("If that was not you, you need not do anything. Nothing changes without the link.",),
    )


def _to_old() -> Words:
    return letter(
        (
            "on our page somebody asked to send our letters to another address. Nothing has changed yet.",
            "If that was not you, come in with this address, look at “Security”, and end all other sessions.",
        )
    )


def _changed() -> Words:
    return letter(
        (
            "the address to which our letters go was changed, as it was asked for on our page.",
            "If that was not you, answer to whoever runs this service, and say so.",
        )
    )
