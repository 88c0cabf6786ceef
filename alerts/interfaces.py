"""What the voice needs from others: an address book, a gate before the pages, and channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from fastapi import Request

    from monitor.values import SubjectId


@dataclass(frozen=True, slots=True)
class Contact:
    """Where one subject wants to be told. Empty string: not by this channel.

    `email` is an address, `phone` is E.164, `name` is what the person is called in a message.
    """

    name: str
    email: str
    phone: str


class ContactBook(Protocol):
    """Enrolment implements this; `monitor/jobs.py` joins the two."""

    def contact(self, subject_id: SubjectId) -> Contact:
        """Open the contact of one subject. Raises SubjectErased or NotFound."""

    def told_from(self, subject_id: SubjectId) -> datetime | None:
        """Say from when on a subject is told: what is found before waits. None: not for now.

        Somebody new has a time to take it back, and who paused or must prove themselves anew is not told.
        Raises SubjectErased or NotFound.
        """


@dataclass(frozen=True, slots=True)
class Watched:
    """Somebody whose findings a browser may list. `name` is empty where they are the viewer's own."""

    subject_id: SubjectId
    name: str = ""


class Gate(Protocol):
    """Stands before the pages of those who have a sign-in of their own. Enrolment implements it.

    Who has none, since an operator enrolled them, is shown what the link of a message opens.
    """

    def guards(self, subject_id: SubjectId) -> bool:
        """Say whether this subject's own sign-in guards their findings."""

    def admit(self, request: Request, subject_id: SubjectId) -> str:
        """Let a browser see the findings of a guarded subject; give who looks, for the audit.

        That is OWNER for the subject, anything else for a delegate. Raises SignInNeeded, which leads to
        where one signs in or shows a second factor, and NotFound where they may not see.
        """

    def whose(self, request: Request) -> Sequence[Watched]:
        """List whose findings a browser may see, its own first. Raises SignInNeeded."""

    def leave(self, request: Request) -> None:
        """Close the pages for this browser until a second factor is shown again."""


OWNER = "subject"
"""Who looks at their own findings, as the audit names them."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message, ready to go. `idempotency_key` is the same however often it is tried.

    `headers` are for mail programs, for example how to unsubscribe; other channels ignore them.
    """

    idempotency_key: str
    to: str
    subject: str
    text: str
    html: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class Channel(Protocol):
    """Carries one message, or says precisely why not."""

    @property
    def name(self) -> str:
        """`email` or `sms`."""

    def address_of(self, contact: Contact) -> str:
        """Pick this channel's address from a contact; empty: none."""

    def send(self, message: Message) -> str:
        """Send it and return the other side's reference.

        Raises ChannelDown (nothing was sent), ChannelUncertain (it may have been), ChannelRefused.
        """
