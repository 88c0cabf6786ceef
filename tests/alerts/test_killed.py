"""The process dies at its worst moments, by SIGKILL, in a real conversation with a mail server."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from alerts.channels.email import SmtpEmail
from alerts.outbox import SENDING_STALE, Told, tell_due
from alerts.tables import Alert
from monitor.crypto import KeyEncryptionKeys, new_key_line, parse_keys
from monitor.db import reading
from tests.alerts import scene
from tests.alerts.mailhost import SILENCE, bad_server, free_port, mail_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from monitor.values import SubjectId

CHILD = """
import sys, time
from alerts.channels.email import SmtpEmail
from alerts.links import Links
from alerts.outbox import tell_due
from alerts.interfaces import Contact
from datetime import datetime
from monitor.crypto import KeyEncryptionKeys, parse_keys
from monitor.db import open_engine
url, key, port, now, dies = sys.argv[1:]

class Book:
    def contact(self, subject_id):
        if dies == "before":
            print("here", flush=True)
            time.sleep(60)
        return Contact("Ana", "ana@example.org", "")

    def told_from(self, subject_id):
        return datetime.fromisoformat(now)

class Channel(SmtpEmail):
    __slots__ = ()
    def send(self, message):
        print("here", flush=True)
        return super().send(message)

tell_due(
    open_engine(url), KeyEncryptionKeys(parse_keys([key])), Book(),
    [Channel("127.0.0.1", int(port), "n@example.net", "none", timeout_s=60)],
    Links("x" * 40, "https://watch.example"), datetime.fromisoformat(now),
)
"""


class Mail:
    """One due finding, and a process of its own that tells it."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.line = engine, new_key_line("k1")
        self.keys = KeyEncryptionKeys(parse_keys([self.line]))
        self.ana: SubjectId = scene.subject(engine, self.keys)
        scene.finding(engine, self.keys, self.ana)

    def killed(self, port: int, dies: str) -> None:
        """Run the outbox in a child and kill it once it is where it shall die."""
        url = self.engine.url.render_as_string(hide_password=False)
        arguments = [url, self.line, str(port), scene.NOON.isoformat(), dies]
        child = subprocess.Popen([sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"here\n"
        time.sleep(0.5)  # the conversation goes on to where the server falls silent
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()

    def tell(self, port: int, after: timedelta) -> Told:
        """Run the outbox here, some time later."""
        channel = SmtpEmail("127.0.0.1", port, "n@example.net", "none")
        now = scene.NOON + after
        return tell_due(self.engine, self.keys, scene.book(self.ana), [channel], scene.links(), now)

    def state(self) -> str:
        """Give the state of the one alert."""
        with reading(self.engine) as session:
            return session.exec(select(Alert)).one().state


@pytest.fixture
def mail(engine: Engine) -> Iterator[Mail]:
    return Mail(engine)


@pytest.mark.parametrize(("step", "arrived"), [("rcpt", 0), ("end", 1)])
def test_killed_between_sending_and_sent_is_uncertain_and_never_repeated(
    mail: Mail, step: str, arrived: int
) -> None:
    with bad_server(**{step: SILENCE}) as (port, bodies):
        mail.killed(port, "while sending")
    state = mail.state()

    with mail_server() as (port, kept):
        soon = mail.tell(port, SENDING_STALE / 2)
        late = mail.tell(port, SENDING_STALE * 2)
        later = mail.tell(port, timedelta(days=2))

    assert (state, len(bodies)) == ("sending", arrived)
    assert (soon, late, later) == (Told(), Told(uncertain=1), Told())
    assert kept.mails == [], "one that may have arrived is never sent twice by itself"
    assert mail.state() == "uncertain"


def test_killed_before_sending_loses_nothing(mail: Mail) -> None:
    mail.killed(free_port(), "before")

    with mail_server() as (port, kept):
        assert mail.tell(port, timedelta(seconds=1)) == Told(incidents=1, sent=1)

    assert len(kept.mails) == 1


def test_a_real_mail_server_that_is_away_for_ten_minutes(
    sqlite_engine: Engine,
) -> None:
    mail, port = Mail(sqlite_engine), free_port()

    away = [mail.tell(port, timedelta(minutes=minute)) for minute in range(10)]
    with mail_server(port=port) as (_, kept):
        back = [mail.tell(port, timedelta(minutes=10 + minute)) for minute in range(10)]

    assert sum(told.sent for told in away) == 0
    assert sum(told.sent for told in back) == 1
    assert len(kept.mails) == 1
    assert mail.state() == "sent"
