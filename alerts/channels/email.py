"""E-mail by SMTP, spoken step by step so that "not sent" and "perhaps sent" are never mixed up.

The line between the two is the full stop that ends the message. Before it the server has nothing to
deliver, so every failure means "not sent". After it, until the server answers, nobody can know.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr, parseaddr
from typing import TYPE_CHECKING, Literal, Self

from monitor.db import utc_now
from monitor.errors import ChannelDown, ChannelRefused, ChannelUncertain, ConfigError

if TYPE_CHECKING:
    from alerts.interfaces import Contact, Message
    from monitor.settings import Settings

TIMEOUT_S = 30.0
"""Seconds for each step of the conversation; far below outbox.SENDING_STALE, so that a sender who waits
here is never taken for dead."""

LONG_LINES = SMTP.clone(max_line_length=998)
"""RFC 5322's limit. A link folded at 78 becomes an encoded word, which no mail program can follow."""

LOCAL_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
"""Where a conversation without TLS never leaves this machine."""


@dataclass(frozen=True, slots=True)
class SmtpEmail:
    """One SMTP server, one sender. A connection per message: alerts are few.

    `sender_name` stands before an address that comes without a name of its own.
    """

    host: str
    port: int
    sender: str
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    sender_name: str = ""
    timeout_s: float = TIMEOUT_S
    tls_context: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make it from the settings. Raises ConfigError where they do not go together."""
        if not parseaddr(settings.mail_from)[1]:
            msg = "e-mail is on and LIKENESS_MAIL_FROM names no address"
            raise ConfigError(msg, hint="Choose a neutral one: other people see it in the reader's inbox.")
        if settings.smtp_tls == "none" and settings.smtp_host not in LOCAL_HOSTS:
            msg = "LIKENESS_SMTP_TLS=none is only for a server on this machine"
            raise ConfigError(msg, hint="Use starttls or tls.")
        return cls(
            host=settings.smtp_host,
            port=settings.smtp_port,
            sender=settings.mail_from,
            tls=settings.smtp_tls,
            user=settings.smtp_user,
            password=settings.smtp_password.get_secret_value() if settings.smtp_password else "",
            sender_name=settings.mail_name,
        )

    @property
    def name(self) -> str:
        """`email`."""
        return "email"

    def address_of(self, contact: Contact) -> str:
        """Pick the e-mail address."""
        return contact.email

    def send(self, message: Message) -> str:
        """Hold the conversation and return the Message-ID that the mail carries.

        Raises ChannelDown before the final full stop, ChannelUncertain between it and the server's answer,
        ChannelRefused where the server says no for good.
        """
        to, mail = _ascii(message.to), self._compose(message)
        with self._connection() as smtp:
            _before_the_full_stop(smtp, self._address(), to)
            _hand_over(smtp, mail.as_bytes(policy=LONG_LINES))
        return str(mail["Message-ID"])

    def _address(self) -> str:
        return parseaddr(self.sender)[1]

    def _compose(self, message: Message) -> EmailMessage:
        mail = EmailMessage(policy=SMTP)
        named, address = parseaddr(self.sender)
        mail["From"] = formataddr((named or self.sender_name, address))
        mail["To"] = _ascii(message.to)
        mail["Subject"] = message.subject
        mail["Date"] = format_datetime(utc_now())
        # The same however often it is tried, so a mail server that got it twice shows it once.
        mail["Message-ID"] = f"<{message.idempotency_key}@{self._address().rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        for name, value in message.headers:
            mail[name] = value
        mail.set_content(message.text, cte="quoted-printable")
        if message.html:
            mail.add_alternative(message.html, subtype="html", cte="quoted-printable")
        return mail

    @contextmanager
    def _connection(self) -> Iterator[smtplib.SMTP]:
        smtp = self._connect()
        try:
            yield smtp
        finally:
            with suppress(OSError, smtplib.SMTPException):  # the message's fate is decided: a bad goodbye
                smtp.quit()
            smtp.close()

    def _connect(self) -> smtplib.SMTP:
        smtp: smtplib.SMTP | None = None
        try:
            if self.tls == "tls":
                smtp = smtplib.SMTP_SSL(
                    self.host, self.port, timeout=self.timeout_s, context=self.tls_context
                )
            else:
                smtp = smtplib.SMTP(self.host, self.port, timeout=self.timeout_s)
            if self.tls == "starttls":
                smtp.starttls(context=self.tls_context)
            if self.user:
                smtp.login(self.user, self.password)
        except (OSError, smtplib.SMTPException) as exc:
            if smtp is not None:
                smtp.close()
            # Not even a wrong password refuses the reader: the operator can put it right within the day.
            msg = f"the mail server could not be used: {_reason(exc)}"
            raise ChannelDown(msg) from exc
        return smtp


def _ascii(address: str) -> str:
    """Spell the address so that every mail server takes it. Raises ChannelRefused where that cannot be."""
    local, _, domain = address.rpartition("@")
    try:
        return f"{local.encode('ascii').decode()}@{domain.encode('idna').decode()}"
    except UnicodeError as exc:
        msg = "the address has letters before the @ that mail servers may not know"
        raise ChannelRefused(msg) from exc


def _before_the_full_stop(smtp: smtplib.SMTP, sender: str, to: str) -> None:
    try:
        smtp.ehlo_or_helo_if_needed()
        _expect(smtp.mail(sender), "the sender")
        _expect(smtp.rcpt(to), "the address")
        _expect(smtp.docmd("DATA"), "the message")
    except (OSError, smtplib.SMTPException) as exc:
        msg = f"the mail server broke off: {_reason(exc)}"
        raise ChannelDown(msg) from exc


def _hand_over(smtp: smtplib.SMTP, content: bytes) -> None:
    try:
        smtp.send(_dot_stuffed(content))
    except (OSError, smtplib.SMTPException) as exc:
        msg = f"the mail server broke off within the message: {_reason(exc)}"
        raise ChannelDown(msg) from exc
    try:
        smtp.send(b".\r\n")
        answer = smtp.getreply()
    except (OSError, smtplib.SMTPException) as exc:
        msg = f"the mail server broke off after the whole message: {_reason(exc)}"
        raise ChannelUncertain(msg) from exc
    _expect(answer, "the message")


def _dot_stuffed(content: bytes) -> bytes:
    """Double a full stop at the start of a line (RFC 5321, 4.5.2) and end with a line's end."""
    ended = content if content.endswith(b"\r\n") else content + b"\r\n"
    stuffed = ended.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed


def _expect(answer: tuple[int, bytes], what: str) -> None:
    """Turn a reply into nothing (2xx, 3xx), ChannelRefused (5xx) or ChannelDown (anything else).

    The server's own words are left out: they may hold the address.
    """
    code = answer[0]
    if 200 <= code < 400:
        return
    if 500 <= code < 600:
        msg = f"the mail server refused {what} for good ({code})"
        raise ChannelRefused(msg)
    msg = f"the mail server did not take {what} now ({code})"
    raise ChannelDown(msg)


def _reason(exc: Exception) -> str:
    """Name a failure without the other side's words, which may hold an address."""
    if isinstance(exc, smtplib.SMTPResponseException):
        return f"{type(exc).__name__} {exc.smtp_code}"
    return type(exc).__name__
