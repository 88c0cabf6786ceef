"""What the voice needs from others: an address book, and channels that carry a message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
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
