"""The letters: messages that are no alerts, such as a link, a code, a warning or a reminder.

    due ──claim──> sending ──┬─> sent
     ^                       ├─> due again        ChannelDown: nothing was sent, later
     └───────────────────────┤
                             ├─> refused          the other side said no for good, or a day of trying
                             └─> uncertain        it may have been sent, or the sender died while sending
    due ─────────────────────┴─> late             what it says is true no more: a link that is too old

Whoever writes one can only put it in: it is sealed to the service (HPKE), and the worker opens it when it
goes. `sending` is committed before the first byte, so a letter goes out once or, in doubt, not again. As
soon as its fate is known, its words and its address are gone.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from sqlalchemy import update
from sqlmodel import col, delete, func, select

from enrollment.letter_words import Words
from enrollment.tables import Letter
from monitor import crypto, subject_keys
from monitor import log as logs
from monitor.db import reading, writing
from monitor.errors import ChannelDown, ChannelRefused, ChannelUncertain, KeysError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Engine
    from sqlmodel import Session

    from monitor.crypto import IntakeOpener, IntakeSealer, KeyEncryptionKeys
    from monitor.values import SubjectId

log = logs.get(__name__)

LABEL = b"likeness-watch/letter/1"

PAD_TO = 4096
"""Bytes to whose multiple a letter is filled up before it is sealed: its length says nothing of its kind."""

FIRST_WAIT = timedelta(seconds=20)
LONGEST_WAIT = timedelta(hours=2)
"""Somebody sits there and waits for a link, so the first tries come soon."""

TRIES = 22
"""20, 40, 80 seconds ... two hours: about 24 hours in all, then it is given up."""

SENDING_STALE = timedelta(minutes=10)
"""From when on somebody who is still `sending` is dead, as alerts/outbox.py has it."""

KEPT = timedelta(days=7)
"""How long the row of a letter without its words stays, so that an operator can see what failed."""

EMAIL, SMS = "email", "sms"

SPENT = ("sending", "sent", "uncertain")
"""States of a text message that has cost money, or may have."""

ENDED = ("sent", "refused", "uncertain", "late")

M = TypeVar("M")
M_contra = TypeVar("M_contra", contravariant=True)


class Mailer(Protocol[M_contra]):
    """Carries one message; a channel of alerts is one."""

    @property
    def name(self) -> str:
        """`email` or `sms`."""

    def send(self, message: M_contra) -> str:
        """Send it. Raises ChannelDown (nothing was sent), ChannelUncertain, ChannelRefused."""


@dataclass(frozen=True, slots=True)
class Carriers(Generic[M]):
    """What carries letters. `make(key, to, subject, text, html)` makes what the mailers take.

    `sms_per_day` is the most text messages in 24 hours, together with those that `sms_elsewhere` counts.
    """

    mailers: Sequence[Mailer[M]]
    make: Callable[[str, str, str, str, str], M]
    sms_per_day: int
    sms_elsewhere: Callable[[Session, datetime], int]


@dataclass(frozen=True, slots=True)
class _Sheet:
    """What is sealed: where to, the words, and until when they are true (ISO; empty: always)."""

    to: str
    subject: str
    text: str
    html: str
    until: str


def sealer_of(engine: Engine, keks: KeyEncryptionKeys) -> IntakeSealer:
    """Get what letters are sealed with; makes the service's keys where there are none yet.

    Whoever has made a Lookups has made them: then this only reads, also within a transaction.
    """
    subject_keys.ensure_service_keys(engine, keks)
    return subject_keys.intake_sealer(engine)


def write(  # noqa: PLR0913 - a letter has these parts
    session: Session,
    sealer: IntakeSealer,
    to: str,
    words: Words,
    *,
    kind: str,
    now: datetime,
    subject_id: SubjectId | None = None,
    channel: str = EMAIL,
    until: datetime | None = None,
) -> str:
    """Put a letter into the outbox, in the caller's transaction; give its id.

    `kind` is a short word for the operator, such as `link`; `until` is from when on it must not be sent
    any more. An erasure of `subject_id` takes the letter along.
    """
    letter_id = secrets.token_hex(16)
    sheet = _Sheet(to, words.subject, words.text, words.html, until.isoformat() if until else "")
    session.add(
        Letter(
            id=letter_id,
            subject_id=subject_id,
            kind=kind,
            channel=channel,
            sealed=sealer.seal(_padded(sheet), _info(letter_id, channel)),
            due_at=now,
            created_at=now,
        )
    )
    return letter_id


def send_due(engine: Engine, keks: KeyEncryptionKeys, carriers: Carriers[M], now: datetime) -> Counter[str]:
    """Send what is due; count what became of it. Safe in several processes at once.

    Never raises for one letter. A letter whose channel is off waits.
    """
    counts: Counter[str] = Counter()
    with writing(engine) as session:
        counts["uncertain"] += _give_up_on_the_dead(session, now)
    by_name = {mailer.name: mailer for mailer in carriers.mailers}
    with reading(engine) as session:
        query = select(Letter.id).where(
            Letter.state == "due", col(Letter.due_at) <= now, col(Letter.channel).in_(by_name)
        )
        due = list(session.exec(query.order_by(col(Letter.due_at), col(Letter.id))))
    opener = subject_keys.intake_opener(engine, keks) if due else None
    for letter_id in due:
        if opener is not None:
            counts[_send_one(engine, opener, carriers, letter_id, now)] += 1
    return +counts


def sms_of_a_day(session: Session, now: datetime) -> int:
    """Count the text messages of the last 24 hours that cost money, or may have."""
    return session.exec(
        select(func.count())
        .select_from(Letter)
        .where(
            Letter.channel == SMS,
            col(Letter.state).in_(SPENT),
            col(Letter.sending_since) > now - timedelta(hours=24),
        )
    ).one()


def forget_sent(session: Session, now: datetime) -> int:
    """Delete the rows of letters whose fate was known long ago; give how many. Idempotent."""
    gone = session.connection().execute(
        delete(Letter).where(col(Letter.state).in_(ENDED), col(Letter.created_at) < now - KEPT)
    )
    return int(gone.rowcount)


def _send_one(
    engine: Engine, opener: IntakeOpener, carriers: Carriers[M], letter_id: str, now: datetime
) -> str:
    with writing(engine) as session:
        row = session.exec(
            select(Letter)
            .where(Letter.id == letter_id, Letter.state == "due")
            .with_for_update(skip_locked=True)
        ).first()
        if row is None:
            return ""  # somebody else has it, or it was erased
        try:
            sheet = _opened(opener, row)
        except KeysError as exc:
            log.warning("letter_does_not_open", letter_id=letter_id, code=exc.code)
            return _end(row, "refused", exc.code)
        if sheet.until and now >= datetime.fromisoformat(sheet.until):
            return _end(row, "late", "")
        if row.channel == SMS and _is_spent(session, carriers, now):
            row.due_at = now + timedelta(minutes=5)
            return "later"
        row.state, row.sending_since, row.tries = "sending", now, row.tries + 1
    return _deliver(engine, carriers, row, sheet, now)


def _is_spent(session: Session, carriers: Carriers[M], now: datetime) -> bool:
    return sms_of_a_day(session, now) + carriers.sms_elsewhere(session, now) >= carriers.sms_per_day


def _deliver(engine: Engine, carriers: Carriers[M], row: Letter, sheet: _Sheet, now: datetime) -> str:
    mailer = next(one for one in carriers.mailers if one.name == row.channel)
    # The other side and every mail program know a letter by this: it tells nothing, and is the same each try.
    message = carriers.make(f"letter.{row.id}", sheet.to, sheet.subject, sheet.text, sheet.html)
    try:
        mailer.send(message)
    except ChannelDown as exc:
        return _later(engine, row, exc.code, now)
    except ChannelUncertain as exc:
        return _settle(engine, row.id, "uncertain", exc.code)
    except ChannelRefused as exc:
        return _settle(engine, row.id, "refused", exc.code)
    return _settle(engine, row.id, "sent", "")


def _later(engine: Engine, row: Letter, code: str, now: datetime) -> str:
    if row.tries >= TRIES:
        return _settle(engine, row.id, "refused", code)
    wait = min(FIRST_WAIT * 2 ** (row.tries - 1), LONGEST_WAIT)
    with writing(engine) as session:
        session.connection().execute(
            update(Letter)
            .where(col(Letter.id) == row.id, col(Letter.state) == "sending")
            .values(state="due", due_at=now + wait, reason=code)
        )
    return "later"


def _settle(engine: Engine, letter_id: str, state: str, reason: str) -> str:
    """Write how it ended, and drop its words. Where its subject was erased meanwhile there is no row."""
    with writing(engine) as session:
        session.connection().execute(
            update(Letter)
            .where(col(Letter.id) == letter_id, col(Letter.state) == "sending")
            .values(state=state, reason=reason, sealed=b"")
        )
    return state


def _end(row: Letter, state: str, reason: str) -> str:
    row.state, row.reason, row.sealed = state, reason, b""
    return state


def _give_up_on_the_dead(session: Session, now: datetime) -> int:
    dead = session.connection().execute(
        update(Letter)
        .where(col(Letter.state) == "sending", col(Letter.sending_since) < now - SENDING_STALE)
        .values(state="uncertain", reason="sender_died", sealed=b"")
    )
    return int(dead.rowcount)


def _padded(sheet: _Sheet) -> bytes:
    plain = json.dumps(asdict(sheet)).encode()
    return plain + b" " * (-len(plain) % PAD_TO)  # JSON does not mind blanks at its end


def _opened(opener: IntakeOpener, row: Letter) -> _Sheet:
    return _Sheet(**json.loads(opener.open(row.sealed, _info(row.id, row.channel))))


def _info(letter_id: str, channel: str) -> bytes:
    return crypto.bind(LABEL, letter_id, channel)
