"""The way in by e-mail: a letter with a link that works once.

The answer to whoever asks is the same, and takes the same work, whether the address has an account or not:
a letter is written either way, and only its reader learns more. Until a link was opened nothing is kept of
an address but that sealed letter: the link itself carries it, sealed.
"""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, delete, select

from enrollment import letter_words, letters, limits, sessions, subjects, tokens
from enrollment.profiles import Profile, checked_email
from enrollment.standing import ENROLLED, Standing
from enrollment.tables import Account, LoginUse, Subject
from monitor import audit
from monitor.db import reading, utc_now, writing
from monitor.errors import ContactInvalid, EnrolmentClosed, LinkInvalid, LinkTooOld, LinkUsed
from monitor.values import SubjectId

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine
    from sqlmodel import Session

    from enrollment.letter_words import Words
    from enrollment.lookups import Lookups
    from enrollment.sessions import Person
    from monitor.crypto import KeyEncryptionKeys

LINK_LASTS = timedelta(minutes=30)
"""How long a link opens. It arrives within a minute; a mailbox that is read by somebody else comes later."""

INVITED_FOR = timedelta(days=7)
"""How long the link of an operator's invitation opens: nobody waits for that letter, and some are away."""

AGAIN_FOR = timedelta(days=7)
"""How long an old link still asks for a fresh one, to the same address."""

PURPOSE = "enter"

PER_ADDRESS_HOUR, PER_ADDRESS_DAY = 5, 12
"""Letters to one address: who mistypes or loses one asks again, and nobody's mailbox is flooded."""

PER_NETWORK_HOUR = 60
"""Letters asked for from one network: a school or an office sits behind one."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a link carries. `invited`: it may begin an account also where only the operator enrols.

    `then` is the page that it leads to, or empty. `subject_id` is whom an operator enrolled before and
    invited: the link opens an account of theirs, and begins nobody new.
    """

    link_id: str
    email: str
    until: datetime
    invited: bool = False
    then: str = ""
    subject_id: str = ""


@dataclass(frozen=True, slots=True)
class Entered:
    """Somebody who came in: the cookie for the browser, whose it is, and the page that was meant, if any."""

    cookie: str
    subject_id: SubjectId
    then: str


@dataclass(frozen=True, slots=True)
class Accounts:
    """What the way in works with. `is_open`: whether people may begin here by themselves."""

    engine: Engine
    keks: KeyEncryptionKeys
    lookups: Lookups
    secret: str = field(repr=False)
    public_url: str
    is_open: bool
    now: Callable[[], datetime] = utc_now

    def ask(self, typed: str, network: str) -> None:
        """Write the letter for an address, unless too many were asked for. Raises ContactInvalid."""
        if not typed.strip():
            msg = "no address was given"
            raise ContactInvalid(msg, hint="It looks like name@example.org.")
        email, now = checked_email(typed.strip()), self.now()
        sealer = letters.sealer_of(self.engine, self.keks)
        url = self.url(email, lasts=LINK_LASTS)
        minutes = int(LINK_LASTS.total_seconds() // 60)
        nobodys = letter_words.way_in(url, minutes, new=True) if self.is_open else letter_words.nothing_here()
        somebodys = letter_words.way_in(url, minutes, new=False)  # written in any case: the same work
        with writing(self.engine) as session:
            allowed = self._is_allowed(session, email, network, now)
            found = self._account_of(session, email)
            if not allowed:
                return
            letters.write(
                session,
                sealer,
                email,
                nobodys if found is None else somebodys,
                kind="link",
                now=now,
                subject_id=found,
                until=now + LINK_LASTS,
            )

    def ask_again(self, token: str, network: str) -> None:
        """Write a letter to the address of an old link. Raises LinkInvalid where it is no link of ours.

        Somebody who was invited and has not come yet is invited again.
        """
        link, now = self.read(token), self.now()
        with reading(self.engine) as session:
            invited = link.subject_id and self._is_invited(session, link)
        if not invited:
            self.ask(link.email, network)
            return
        sealer, words = (
            letters.sealer_of(self.engine, self.keks),
            self.invitation(link.subject_id, link.email),
        )
        with writing(self.engine) as session:
            if self._is_allowed(session, link.email, network, now):
                who = SubjectId(link.subject_id)
                until = now + INVITED_FOR
                letters.write(
                    session, sealer, link.email, words, kind="link", now=now, subject_id=who, until=until
                )

    def invitation(self, subject_id: str, email: str) -> Words:
        """Write the letter to somebody whom an operator enrolled, with a link that opens their account."""
        return letter_words.invitation(
            self.url(email, lasts=INVITED_FOR, subject_id=subject_id), INVITED_FOR.days
        )

    def url(
        self, email: str, *, lasts: timedelta, invited: bool = False, then: str = "", subject_id: str = ""
    ) -> str:
        """Make the address of a link that lets in whoever reads the mail of `email`, once."""
        content = {
            "id": secrets.token_hex(16),
            "email": email,
            "until": int((self.now() + lasts).timestamp()),
            "invited": invited,
            "then": then,
            "subject": subject_id,
        }
        return f"{self.public_url.rstrip('/')}/enter/{tokens.made(self.secret, PURPOSE, content)}"

    def read(self, token: str) -> Link:
        """Open a link's token. Raises LinkInvalid where it is none of ours, or older than `AGAIN_FOR`."""
        found = tokens.read(self.secret, PURPOSE, token)
        until = datetime.fromtimestamp(found["until"], UTC)
        if self.now() >= until + AGAIN_FOR:
            msg = "this link is very old"
            raise LinkTooOld(msg)
        return Link(
            found["id"], found["email"], until, found["invited"], found["then"], found.get("subject", "")
        )

    def enter(self, token: str, browser: str) -> Entered:
        """Use a link up and sign a browser in; at the first link of an address, begin its account.

        Raises LinkTooOld, LinkUsed, LinkInvalid, and EnrolmentClosed where nothing can be begun.
        """
        link = self.read(token)
        if self.now() >= link.until:
            msg = "this link is older than it may be"
            raise LinkTooOld(msg)
        try:
            return self._use(link, browser)
        except IntegrityError:
            # Two links, or the same one twice, in the very same moment: now it is clear which.
            return self._use(link, browser)

    def is_whose(self, token: str, person: Person) -> bool:
        """Say whether a link, used or old, was for this person. Raises LinkInvalid."""
        with reading(self.engine) as session:
            return self._account_of(session, self.read(token).email) == person.subject_id

    def _use(self, link: Link, browser: str) -> Entered:
        now = self.now()
        with writing(self.engine) as session:
            if session.get(LoginUse, link.link_id) is not None:
                msg = "this link was used already"
                raise LinkUsed(msg)
            session.add(LoginUse(id=link.link_id, expires_at=link.until + AGAIN_FOR))
            session.flush()
            subject_id = self._account_of(session, link.email)
            if subject_id is None and link.subject_id:
                subject_id = self._attach(session, link, now)
            elif subject_id is None:
                subject_id = self._begin(session, link, now)
            cookie = sessions.begin(session, subject_id, browser, now)
            audit.record(session, "subject", "account.sign_in", subject_id, how="link")
        return Entered(cookie, subject_id, link.then)

    def _begin(self, session: Session, link: Link, now: datetime) -> SubjectId:
        if not (self.is_open or link.invited):
            msg = "nobody can begin here by themselves"
            raise EnrolmentClosed(msg)
        subject_id = SubjectId(uuid.uuid4().hex)
        profile = Profile(name="", email=link.email)
        subjects.create(session, self.keks, subject_id, profile, standing=Standing.NEW)
        lookup = self.lookups.email(link.email)
        session.add(Account(subject_id=subject_id, email_lookup=lookup, seen_at=now, created_at=now))
        session.flush()
        audit.record(session, "subject", "account.begin", subject_id)
        return subject_id

    def _attach(self, session: Session, link: Link, now: datetime) -> SubjectId:
        """Give an account to somebody whom an operator enrolled. It opens by the first second factor.

        Raises LinkInvalid where nothing is left of what was invited.
        """
        subject_id = SubjectId(link.subject_id)
        session.get(Subject, subject_id, with_for_update=True)
        if not self._is_invited(session, link):
            msg = "nobody is left whom this link is for"
            raise LinkInvalid(msg)
        lookup = self.lookups.email(link.email)
        session.add(Account(subject_id=subject_id, email_lookup=lookup, seen_at=now, created_at=now))
        session.flush()
        audit.record(session, "subject", "account.begin", subject_id)
        return subject_id

    def _is_invited(self, session: Session, link: Link) -> bool:
        """Say whether somebody enrolled still has this address, and no account."""
        subject = session.get(Subject, link.subject_id)
        if subject is None or subject.status not in ENROLLED or session.get(Account, subject.id) is not None:
            return False
        email = subjects.profile_of(session, self.keks, SubjectId(subject.id)).email
        return bool(email) and email.casefold() == link.email.casefold()

    def _account_of(self, session: Session, email: str) -> SubjectId | None:
        query = select(Account.subject_id).where(Account.email_lookup == self.lookups.email(email))
        found = session.exec(query).first()
        return None if found is None else SubjectId(found)

    def _is_allowed(self, session: Session, email: str, network: str, now: datetime) -> bool:
        address = email.casefold()
        counted = (
            ("link", address, limits.HOUR, PER_ADDRESS_HOUR),
            ("link", address, limits.DAY, PER_ADDRESS_DAY),
            ("link-network", network, limits.HOUR, PER_NETWORK_HOUR),
        )
        taken = [
            limits.take(session, self.lookups, kind, value, per=per, most=most, now=now)
            for kind, value, per, most in counted
        ]
        return all(taken)


def forget_used(session: Session, now: datetime) -> None:
    """Delete what is known of links that are too old to be read."""
    session.connection().execute(delete(LoginUse).where(col(LoginUse.expires_at) <= now))
