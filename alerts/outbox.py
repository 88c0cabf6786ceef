"""The outbox: every due finding becomes part of an incident, every incident at most one message per channel.

    due ──claim──> sending ──┬─> sent
     ^                       ├─> due again        ChannelDown: nothing was sent, later
     └───────────────────────┤
                             ├─> failed           ChannelRefused, no address, or a day of trying
                             ├─> uncertain        ChannelUncertain, or the sender died while sending
    due ─────────────────────┴─> stopped          the subject wants no messages

Nobody is told before their time: where the address book says "later", incidents are opened and wait.

`sending` is committed before the first byte goes out. Whoever dies after that leaves `sending` behind,
and since nobody can know how far it came, it becomes `uncertain` and is never repeated by itself.
`tell_due` is idempotent and safe to run in several processes at once.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import update
from sqlmodel import Session, col, select

from alerts import incidents, policy
from alerts.drills import end_due, note_told
from alerts.policy import Policy
from alerts.render import Envelope, message_of
from alerts.tables import Alert, Incident
from monitor import findings
from monitor import log as logs
from monitor.db import reading, utc_now, writing
from monitor.errors import (
    ChannelDown,
    ChannelRefused,
    ChannelUncertain,
    DeliveryError,
    KeysError,
    NotFound,
    SubjectErased,
)
from monitor.values import SubjectId

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Engine

    from alerts.interfaces import Channel, Contact, ContactBook, Message
    from alerts.links import Links
    from monitor.crypto import KeyEncryptionKeys

log = logs.get(__name__)

FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=2)
"""A mail server that restarts is back within minutes; one that is away for hours is asked rarely."""

JITTER = 0.2
"""Share by which a wait is stretched or shortened, so that a thousand alerts do not come back at once."""

TRIES = 18
"""1 + 2 + 4 + ... + 64 minutes, then every two hours: about 24 hours, then the operator is told instead."""

SENDING_STALE = timedelta(minutes=10)
"""From when on somebody who is still `sending` is dead: four times the longest conversation that the
channels' own timeouts allow."""

AT_ONCE = 50
"""Findings sorted in one transaction: it holds SQLite's only write lock, for some hundredths of a second."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one round did. `merged` findings joined an incident that was told before; `later` alerts wait."""

    incidents: int = 0
    merged: int = 0
    held: int = 0
    sent: int = 0
    later: int = 0
    failed: int = 0
    uncertain: int = 0
    stopped: int = 0
    unopened: int = 0


@dataclass(frozen=True, slots=True)
class Post:
    """Everything that a round of telling needs."""

    engine: Engine
    keks: KeyEncryptionKeys
    contacts: ContactBook
    channels: Sequence[Channel]
    links: Links
    limits: Policy


def tell_due(  # noqa: PLR0913, PLR0917 - the one place where everything meets
    engine: Engine,
    keks: KeyEncryptionKeys,
    contacts: ContactBook,
    channels: Sequence[Channel],
    links: Links,
    now: datetime,
    *,
    limits: Policy | None = None,
) -> Told:
    """Run the outbox once: sort what is due, send what may go.

    Never raises for one subject or one message: those are counted, logged and tried again. A database
    that is away raises, and nothing is lost.
    """
    post = Post(engine, keks, contacts, channels, links, limits or Policy())
    counts: Counter[str] = Counter()
    # 1  A message whose sender died half-way may have arrived. It is never repeated.
    counts["uncertain"] += _give_up_on_the_dead(engine, now)
    end_due(engine, keks, now)  # fire drills that are over are no findings any more
    # 2  Due findings become incidents; those that want telling get one alert per channel.
    counts += _sort_findings(post, now)
    # 3  Every alert that may go now is claimed, then sent.
    for alert_id in _due_alerts(engine, now):
        counts[_send_one(post, alert_id, now)] += 1
    del counts[""]
    return Told(**counts)


def send_again(session: Session, alert_id: str, now: datetime) -> Alert:
    """Put a failed or uncertain alert back into the outbox, because an operator says so.

    Raises NotFound where there is no such alert in such a state.
    """
    alert = session.get(Alert, alert_id, with_for_update=True)
    if alert is None or alert.state not in {"failed", "uncertain"}:
        msg = "no such alert has failed"
        raise NotFound(msg, hint="`likeness alerts list` shows the state of each.")
    alert.state, alert.attempts, alert.next_at = "due", 0, now
    return alert


def _give_up_on_the_dead(engine: Engine, now: datetime) -> int:
    with writing(engine) as session:
        dead = session.exec(
            update(Alert)
            .where(col(Alert.state) == "sending", col(Alert.sending_since) < now - SENDING_STALE)
            .values(state="uncertain", error_code=ChannelUncertain.code, error_reason="the sender died")
        )
    return int(dead.rowcount)


def _sort_findings(post: Post, now: datetime) -> Counter[str]:
    with reading(post.engine) as session:
        by_subject: dict[str, list[str]] = defaultdict(list)
        for row in findings.due(session):
            by_subject[row.subject_id].append(row.id)
        for incident in incidents.untold(session) if post.channels else ():
            by_subject[incident.subject_id] += []
    counts: Counter[str] = Counter()
    parts = [(one, due[at : at + AT_ONCE]) for one, due in by_subject.items() for at in _starts(due)]
    for subject_id, due in parts:
        try:
            counts += _sort_subject(post, SubjectId(subject_id), due, now)
        except (SubjectErased, NotFound):
            continue  # gone since we looked, and the rows with it
        except KeysError as exc:
            log.warning("findings_do_not_open", subject_id=subject_id, code=exc.code)
            counts["unopened"] += len(due)
    return counts


def _starts(due: Sequence[str]) -> range:
    return range(0, max(1, len(due)), AT_ONCE)


def _sort_subject(post: Post, subject_id: SubjectId, due: Sequence[str], now: datetime) -> Counter[str]:
    contact = post.contacts.contact(subject_id)  # before the write lock: it opens the database itself
    told = _is_told_now(post, subject_id, now)
    reachable = [one.name for one in post.channels if told and one.address_of(contact)]
    with writing(post.engine) as session:
        grouped = incidents.group(session, post.keks, subject_id, due, now)
        wanted = {*grouped.opened, *(one.id for one in incidents.untold(session, subject_id))}
        for incident_id in wanted:
            incidents.ask_for_alerts(session, incident_id, reachable, now)
    return Counter(incidents=len(grouped.opened), merged=grouped.merged, held=grouped.held)


def _is_told_now(post: Post, subject_id: SubjectId, now: datetime) -> bool:
    """Say whether a subject is told yet, and not quiet for now. What waits is told when the time comes."""
    told_from = post.contacts.told_from(subject_id)
    return told_from is not None and now >= told_from


def _due_alerts(engine: Engine, now: datetime) -> list[str]:
    with reading(engine) as session:
        return list(
            session.exec(
                select(Alert.id)
                .where(Alert.state == "due", col(Alert.next_at) <= now)
                .order_by(col(Alert.next_at), Alert.id)
            )
        )


def _send_one(post: Post, alert_id: str, now: datetime) -> str:
    """Send one alert and give what it counts as; empty where somebody else has it."""
    try:
        ready = _prepared(post, alert_id, now)
    except (SubjectErased, NotFound):
        return ""
    except KeysError as exc:
        log.warning("alert_cannot_be_written", alert_id=alert_id, code=exc.code)
        return "unopened"
    except ChannelRefused as exc:
        return _failed(post.engine, alert_id, exc)
    if ready is None:
        return ""  # its channel is off here, the incident was dismissed, or the person is quiet; it waits
    channel, message = ready
    claimed = _claim(post, alert_id, now)
    if claimed != "sending":
        return claimed
    return _deliver(post, alert_id, channel, message, now)


def _prepared(post: Post, alert_id: str, now: datetime) -> tuple[Channel, Message] | None:
    """Write the message before the claim: what cannot be written must not look as if it was being sent."""
    with reading(post.engine) as session:
        alert = session.get(Alert, alert_id)
        incident = session.get(Incident, alert.incident_id) if alert is not None else None
        channel = next((one for one in post.channels if alert and one.name == alert.channel), None)
        if alert is None or incident is None or channel is None or not _is_told(alert, incident):
            return None
    # A link that the person asked for says nothing, and their own sign-in stands before what it opens.
    if alert.kind != "link" and not _is_told_now(post, SubjectId(alert.subject_id), now):
        return None
    with reading(post.engine) as session:
        views = incidents.findings_of(session, post.keks, incident.id)
    contact = post.contacts.contact(SubjectId(alert.subject_id))
    to = _address(channel, contact)
    looked_at = incident.looked_at is not None
    return channel, message_of(Envelope(alert, contact, to), views, post.links, looked_at=looked_at)


def _is_told(alert: Alert, incident: Incident) -> bool:
    """Say whether a message may go: of what the subject called "not me" only the link that they ask for."""
    asked_for = alert.kind == "link" and incident.state == incidents.State.NOT_ME
    return asked_for or incident.state == incidents.State.OPEN


def _address(channel: Channel, contact: Contact) -> str:
    to = channel.address_of(contact)
    if not to:
        msg = f"the person has no address for {channel.name} any more"
        raise ChannelRefused(msg)
    return to


def _claim(post: Post, alert_id: str, now: datetime) -> str:
    """Commit `sending`, or say what the alert counts as instead. After this, at most one process sends."""
    with writing(post.engine) as session:
        alert = session.exec(
            select(Alert).where(Alert.id == alert_id, Alert.state == "due").with_for_update(skip_locked=True)
        ).first()
        if alert is None:
            return ""
        if alert.kind != "link" and policy.is_stopped(session, alert.subject_id, alert.channel):
            alert.state = "stopped"
            return "stopped"
        wait = policy.wait_before(session, alert, post.limits, now)
        if wait is not None:
            alert.next_at = now + wait
            return "later"
        alert.state, alert.sending_since, alert.attempts = "sending", now, alert.attempts + 1
    return "sending"


def _deliver(post: Post, alert_id: str, channel: Channel, message: Message, now: datetime) -> str:
    try:
        reference = channel.send(message)
    except ChannelDown as exc:
        return _later(post.engine, alert_id, exc, now)
    except ChannelUncertain as exc:
        return _settle(post.engine, alert_id, "uncertain", _error(exc))
    except ChannelRefused as exc:
        return _failed(post.engine, alert_id, exc)
    return _settle(post.engine, alert_id, "sent", {"sent_at": now, "reference": reference})


def _later(engine: Engine, alert_id: str, exc: DeliveryError, now: datetime) -> str:
    with reading(engine) as session:
        alert = session.get(Alert, alert_id)
    if alert is None or alert.attempts >= TRIES:
        return _failed(engine, alert_id, exc)
    values = {"next_at": now + wait_after(alert.attempts), **_error(exc)}
    _settle(engine, alert_id, "due", values)
    return "later"


def wait_after(attempts: int) -> timedelta:
    """Give how long to wait after the n-th try (from 1): doubling, capped, with jitter."""
    wait = min(FIRST_WAIT * 2 ** min(attempts - 1, 16), LONGEST_WAIT)
    jitter = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, hides nothing
    return timedelta(seconds=wait.total_seconds() * jitter)


def _failed(engine: Engine, alert_id: str, exc: DeliveryError) -> str:
    return _settle(engine, alert_id, "failed", _error(exc))


def _settle(engine: Engine, alert_id: str, state: str, values: dict[str, object]) -> str:
    """Write how a sending ended. Where the subject was erased meanwhile there is no row, and that is fine."""
    with writing(engine) as session:
        session.exec(
            update(Alert)
            .where(col(Alert.id) == alert_id, col(Alert.state).in_(["due", "sending"]))
            .values(state=state, **values)
        )
        if state == "sent":
            note_told(session, alert_id, utc_now())
    return state


def _error(exc: DeliveryError) -> dict[str, object]:
    return {"error_code": exc.code, "error_reason": exc.message}
