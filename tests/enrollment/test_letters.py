"""Letters: sealed until they go, sent at most once, and forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from sqlmodel import select

from alerts.channels.email import SmtpEmail
from alerts.interfaces import Message
from enrollment import letter_words, letters
from enrollment.tables import Letter
from monitor.crypto import IntakeOpener
from monitor.db import reading, utc_now, writing
from monitor.errors import ChannelDown, ChannelRefused, ChannelUncertain
from monitor.jobs import teller
from monitor.settings import Settings
from tests.alerts import scene
from tests.alerts.mailhost import mail_server

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys

NOON = datetime(2026, 5, 3, 12, 0, tzinfo=UTC)
URL = "https://watch.example/enter/abc"


class Office:
    """An outbox of letters and what carries them."""

    def __init__(self, engine: Engine, keys: KeyEncryptionKeys, *mailers: object, sms: int = 5) -> None:
        self.engine, self.keys = engine, keys
        self.mail = scene.spool()
        self.elsewhere = 0
        self.carriers = letters.Carriers(
            mailers or (self.mail,), Message, sms, lambda _session, _now: self.elsewhere
        )

    def write(self, words: letter_words.Words | None = None, **how: object) -> str:
        """Put one letter in."""
        sealer = letters.sealer_of(self.engine, self.keys)
        with writing(self.engine) as session:
            return letters.write(
                session,
                sealer,
                "ana@example.org",
                words or letter_words.way_in(URL, 30, new=True),
                **{"kind": "link", "now": NOON, **how},
            )

    def send(self, **later: float) -> dict[str, int]:
        """Send what is due, so much after noon."""
        return dict(letters.send_due(self.engine, self.keys, self.carriers, NOON + timedelta(**later)))

    def row(self) -> Letter:
        """Give the one letter."""
        with reading(self.engine) as session:
            return session.exec(select(Letter)).one()


@pytest.fixture
def office(engine: Engine, keys: KeyEncryptionKeys) -> Office:
    return Office(engine, keys)


def test_a_letter_goes_out_once_and_its_words_are_gone(office: Office) -> None:
    office.write()
    assert b"ana@example.org" not in office.row().sealed

    assert (office.send(), office.send(hours=1)) == ({"sent": 1}, {})

    [message] = office.mail.sent
    assert (message.to, message.subject) == ("ana@example.org", "A notice is waiting for you")
    assert URL in message.text
    assert f'href="{URL}"' in message.html
    assert (office.row().state, office.row().sealed) == ("sent", b"")


def test_every_letter_is_as_long_as_every_other(sqlite_engine: Engine, keys: KeyEncryptionKeys) -> None:
    office = Office(sqlite_engine, keys)
    for words in (
        letter_words.way_in(URL, 30, new=True),
        letter_words.way_in(URL, 30, new=False),
        letter_words.nothing_here(),
    ):
        office.write(words)

    with reading(sqlite_engine) as session:
        assert len({len(one.sealed) for one in session.exec(select(Letter))}) == 1


def test_a_letter_that_was_moved_to_another_row_is_not_sent(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    office = Office(sqlite_engine, keys)
    office.write()
    office.write()
    with writing(sqlite_engine) as session:
        one, other = session.exec(select(Letter)).all()
        one.sealed = other.sealed

    assert office.send() == {"sent": 1, "refused": 1}


@pytest.mark.parametrize(
    ("fault", "state"), [(ChannelUncertain("?"), "uncertain"), (ChannelRefused("no"), "refused")]
)
def test_what_may_have_arrived_or_never_will_is_not_tried_again(
    office: Office, fault: ChannelUncertain | ChannelRefused, state: str
) -> None:
    office.write()
    office.mail.fail = fault

    assert office.send() == {state: 1}
    office.mail.fail = None
    assert office.send(days=1) == {}
    assert (office.row().state, office.row().sealed) == (state, b"")


def test_a_mail_server_that_was_away_is_asked_again_more_and_more_rarely(office: Office) -> None:
    office.write()
    office.mail.fail = ChannelDown("away")
    tried = [minute for minute in range(60) if office.send(minutes=minute)]
    assert 4 <= len(tried) <= 8
    assert tried[:2] == [0, 1]

    office.mail.fail = None
    assert office.send(hours=3) == {"sent": 1}


def test_a_mail_server_that_never_comes_back_is_given_up(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    office = Office(sqlite_engine, keys)
    office.write()
    office.mail.fail = ChannelDown("away")
    for hours in range(0, 120, 2):
        office.send(hours=hours, seconds=hours)
    assert (office.row().state, office.row().tries) == ("refused", letters.TRIES)


def test_a_link_that_is_too_old_is_not_sent_late(office: Office) -> None:
    office.write(until=NOON + timedelta(minutes=30))

    assert office.send(minutes=30) == {"late": 1}
    assert not office.mail.sent
    assert office.row().sealed == b""


def test_who_dies_while_sending_leaves_a_letter_that_is_not_repeated(office: Office) -> None:
    class PowerCut(Exception):
        """Nothing of ours, so nothing catches it."""

    office.write()
    office.mail.fail = PowerCut()  # type: ignore[assignment]
    with pytest.raises(PowerCut):
        office.send()
    office.mail.fail = None

    assert office.send(minutes=9) == {}
    assert office.send(minutes=11) == {"uncertain": 1}
    assert not office.mail.sent


def test_text_messages_stop_at_the_spend_cap_that_alerts_share(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    sms = scene.spool("sms")
    office = Office(sqlite_engine, keys, sms, sms=5)
    office.elsewhere = 2
    for _ in range(6):
        office.write(letter_words.code("123456", 10), channel="sms")

    assert office.send() == {"sent": 3, "later": 3}
    assert office.send(hours=23) == {"later": 3}
    office.elsewhere = 0
    assert office.send(hours=25) == {"sent": 3}


def test_a_letter_goes_with_its_subject(office: Office) -> None:
    ana = scene.subject(office.engine, office.keys)
    office.write(subject_id=ana)

    scene.erase(office.engine, ana)

    assert office.send() == {}


def test_rows_of_letters_are_forgotten_and_those_that_wait_are_not(office: Office) -> None:
    office.write()
    office.send()
    waiting = office.write()

    with writing(office.engine) as session:
        assert letters.forget_sent(session, NOON + timedelta(days=6)) == 0
        assert letters.forget_sent(session, NOON + timedelta(days=8)) == 1
    assert office.row().id == waiting


def test_who_only_writes_letters_cannot_read_them(sqlite_engine: Engine, keys: KeyEncryptionKeys) -> None:
    Office(sqlite_engine, keys).write()
    assert not isinstance(letters.sealer_of(sqlite_engine, keys), IntakeOpener)
    assert not hasattr(letters.sealer_of(sqlite_engine, keys), "open")


def test_a_real_mail_server_gets_neutral_words_from_a_neutral_sender(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    with mail_server() as (port, kept):
        smtp = SmtpEmail(
            "127.0.0.1", port, "notices@watch.example", tls="none", sender_name="Private notices"
        )
        office = Office(sqlite_engine, keys, smtp)
        office.write()
        assert office.send() == {"sent": 1}

    [mail] = kept.mails
    assert mail["From"] == "Private notices <notices@watch.example>"
    assert mail["Subject"] == letter_words.SUBJECT
    assert kept.recipients == ["ana@example.org"]
    assert URL in mail.get_body(("plain",)).get_content()
    for word in ("face", "voice", "likeness", "deepfake", "enrol"):
        assert word not in mail.as_string().lower().replace("multipart/alternative", "")


def test_the_worker_sends_letters_in_its_rounds_of_telling(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    office = Office(sqlite_engine, keys)
    now = utc_now()
    office.write(now=now, until=now + timedelta(minutes=30))
    with mail_server() as (port, kept):
        settings = Settings(
            smtp_host="127.0.0.1",
            smtp_port=port,
            smtp_tls="none",
            mail_from="notices@watch.example",
            link_secret=SecretStr(scene.SECRET),
        )
        tell = teller(settings, sqlite_engine, keys)
        assert tell is not None
        tell()
        tell()

    assert kept.recipients == ["ana@example.org"]
    assert kept.mails[0]["From"] == "Private notices <notices@watch.example>"
    assert office.row().state == "sent"
