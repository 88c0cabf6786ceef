"""SMS by Twilio's HTTP API. Only to countries that the operator named: SMS costs, and is pumped for money."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

import httpx
import phonenumbers

from monitor.errors import ChannelDown, ChannelRefused, ChannelUncertain, ConfigError

if TYPE_CHECKING:
    from alerts.interfaces import Contact, Message
    from monitor.settings import Settings

TIMEOUT_S = 30.0
"""Seconds for each step of the request; far below outbox.SENDING_STALE."""

NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
"""Failures that come before the first byte of a request: nothing was sent."""

NOT_NOW = frozenset({401, 403, 404, 429})
"""Answers that speak of our account or our pace, not of this message. The operator can put them right in
time, so they are no reason to give up on the reader."""


@dataclass(frozen=True, slots=True)
class TwilioSms:
    """One Twilio account, one sender number, the countries it may send to (ISO codes)."""

    account: str
    token: str = field(repr=False)
    sender: str
    countries: frozenset[str]
    base_url: str = "https://api.twilio.com"
    timeout_s: float = TIMEOUT_S

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make it from the settings. Raises ConfigError where they do not go together."""
        if settings.twilio_token is None or not settings.twilio_from:
            msg = "SMS is on and LIKENESS_TWILIO_TOKEN or LIKENESS_TWILIO_FROM is missing"
            raise ConfigError(msg)
        named = {code.strip().upper() for code in settings.sms_countries.split(",")} - {""}
        if unknown := named - phonenumbers.SUPPORTED_REGIONS:
            msg = f"LIKENESS_SMS_COUNTRIES names no country: {', '.join(sorted(unknown))}"
            raise ConfigError(msg, hint="Two letters each, like DE,FR,US.")
        return cls(
            account=settings.twilio_account,
            token=settings.twilio_token.get_secret_value(),
            sender=settings.twilio_from,
            countries=frozenset(named),
            base_url=settings.twilio_url.rstrip("/"),
        )

    @property
    def name(self) -> str:
        """`sms`."""
        return "sms"

    def address_of(self, contact: Contact) -> str:
        """Pick the telephone number."""
        return contact.phone

    def send(self, message: Message) -> str:
        """Ask Twilio to send it and return Twilio's id of the message.

        Raises ChannelRefused for a country that is not allowed or a request that Twilio rejects,
        ChannelDown where the request never left or the account is at fault, ChannelUncertain where the
        message may have arrived.
        """
        self._check_country(message.to)
        answer = self._post({"To": message.to, "From": self.sender, "Body": message.text})
        _expect(answer)
        return _id_in(answer)

    def _check_country(self, number: str) -> None:
        try:
            country = phonenumbers.region_code_for_number(phonenumbers.parse(number))
        except phonenumbers.NumberParseException as exc:
            msg = "this is not an international telephone number"
            raise ChannelRefused(msg) from exc
        if country not in self.countries:
            msg = f"SMS to {country or 'an unknown country'} is not allowed here"
            raise ChannelRefused(msg, hint="LIKENESS_SMS_COUNTRIES lists the countries that are.")

    def _post(self, form: dict[str, str]) -> httpx.Response:
        url = f"{self.base_url}/2010-04-01/Accounts/{quote(self.account, safe='')}/Messages.json"
        try:
            # No redirects, and no proxy out of the environment: the account's token goes along.
            with httpx.Client(timeout=self.timeout_s, trust_env=False) as client:
                return client.post(url, data=form, auth=(self.account, self.token))
        except NOT_SENT as exc:
            msg = f"the SMS service could not be reached: {type(exc).__name__}"
            raise ChannelDown(msg) from exc
        except httpx.HTTPError as exc:
            msg = f"the SMS service broke off: {type(exc).__name__}"
            raise ChannelUncertain(msg) from exc


def _expect(answer: httpx.Response) -> None:
    """Twilio's API takes no idempotency key, so a server error leaves open whether it was sent."""
    if answer.is_success:
        return
    code = answer.status_code
    if code in NOT_NOW:
        msg = f"the SMS service takes nothing from this account now ({code})"
        raise ChannelDown(msg)
    if answer.is_server_error:
        msg = f"the SMS service failed ({code}) and may have sent it"
        raise ChannelUncertain(msg)
    msg = f"the SMS service refused the message ({code})"
    raise ChannelRefused(msg)


def _id_in(answer: httpx.Response) -> str:
    try:
        sid = answer.json().get("sid", "")
    except (ValueError, AttributeError):
        return ""  # it was accepted; what it is called there matters to nobody but an operator
    return str(sid)
