"""The channels: each carries one message, or says precisely why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.channels.email import SmtpEmail
from alerts.channels.sms import TwilioSms

if TYPE_CHECKING:
    from alerts.interfaces import Channel
    from monitor.settings import Settings


def channels_from(settings: Settings) -> tuple[Channel, ...]:
    """Make every channel that is switched on. None at all is allowed: then nobody is told anything.

    Raises ConfigError where a channel is switched on and only half set up.
    """
    channels: list[Channel] = []
    if settings.smtp_host:
        channels.append(SmtpEmail.from_settings(settings))
    if settings.twilio_account:
        channels.append(TwilioSms.from_settings(settings))
    return tuple(channels)
