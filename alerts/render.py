"""One incident -> one message. The templates hold the words; this file decides what goes into them.

The subject line, the sender and the first line say nothing, since somebody may look over the reader's
shoulder. An SMS holds the link and nothing else, since it shows on a locked screen. No message carries
a picture, a remote image or anything that tells us it was opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from alerts import drills
from alerts.interfaces import Message
from alerts.links import OPEN_FOR
from alerts.words import Sighting, sighting_of
from monitor.values import Band

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alerts.interfaces import Contact
    from alerts.links import Links
    from alerts.tables import Alert
    from monitor.findings import FindingView

SUBJECT = "A notice is waiting for you"
"""The same for everybody and everything."""

DRILL_SUBJECT = "The test message that was asked for"
"""Of a fire drill. It must not frighten even in a list of mails, and says as little of what we do."""

PLACES_SHOWN = 3
"""Places named in a mail; the page has all of them."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Where a message goes: the row of the outbox, the reader, her address on this channel."""

    alert: Alert
    contact: Contact
    to: str


def message_of(envelope: Envelope, views: Sequence[FindingView], links: Links, *, looked_at: bool) -> Message:
    """Write the message of one alert. `views` is everything found in its incident so far, at least one."""
    alert = envelope.alert
    if alert.kind == drills.KIND:
        return _drill(envelope)
    open_url, stop_url = links.open_url(alert.id), links.stop_url(alert.id)
    if alert.channel == "sms":
        return _plain(envelope, _template("sms.txt").render(open_url=open_url).strip())
    words = {
        "name": envelope.contact.name,
        "open_url": open_url,
        "stop_url": stop_url,
        "days": OPEN_FOR.days,
        "places_shown": PLACES_SHOWN,
        "subject": SUBJECT,
    }
    name = "link" if alert.kind == "link" else "notice"
    if name == "notice":
        words["sighting"], words["copies"] = main_sighting(views, looked_at=looked_at), len(views) - 1
    return Message(
        idempotency_key=alert.idempotency_key,
        to=envelope.to,
        subject=SUBJECT,
        text=_template(f"{name}.txt").render(words),
        html=_template(f"{name}.html").render(words),
        headers=(
            ("List-Unsubscribe", f"<{stop_url}>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ),
    )


def _drill(envelope: Envelope) -> Message:
    """Write the message of a fire drill: nothing was found, so there is no link, and nothing to stop."""
    words = {"name": envelope.contact.name, "subject": DRILL_SUBJECT}
    if envelope.alert.channel == "sms":
        return _plain(envelope, _template("drill_sms.txt").render().strip())
    return Message(
        idempotency_key=envelope.alert.idempotency_key,
        to=envelope.to,
        subject=DRILL_SUBJECT,
        text=_template("drill.txt").render(words),
        html=_template("drill.html").render(words),
    )


def main_sighting(views: Sequence[FindingView], *, looked_at: bool) -> Sighting:
    """Put the finding that the incident stands for into words: the surest one, then the first one."""
    best = min(views, key=lambda view: (view.band is not Band.ALERT, view.created_at))
    return sighting_of(best, looked_at=looked_at)


def _plain(envelope: Envelope, text: str) -> Message:
    return Message(idempotency_key=envelope.alert.idempotency_key, to=envelope.to, subject=SUBJECT, text=text)


@cache
def _templates() -> Environment:
    return Environment(
        loader=ChoiceLoader([PackageLoader("alerts"), PackageLoader("monitor", "web")]),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _template(name: str) -> Template:
    return _templates().get_template(name)
