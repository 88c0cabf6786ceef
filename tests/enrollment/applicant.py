"""A web process over a fresh database with enrolment open, a mailbox, and browsers of people."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlmodel import select

from alerts.interfaces import Message
from enrollment import letters
from enrollment.lookups import Lookups
from enrollment.steps import progress_of
from enrollment.tables import Account
from monitor.app import create_app
from monitor.crypto import KeyEncryptionKeys, new_key_line, parse_keys
from monitor.db import reading, utc_now
from monitor.settings import Settings
from monitor.values import SubjectId
from tests.alerts import scene
from tests.databases import in_place

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from fastapi import FastAPI
    from sqlalchemy import Engine

    from enrollment.steps import Progress

URL = "http://testserver"
ANA = "ana@example.org"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) Version/17.4 Mobile/15E148 Safari/604.1"


@dataclass
class Town:
    """One web process, and everything that people there do."""

    app: FastAPI
    engine: Engine
    keys: KeyEncryptionKeys
    lookups: Lookups
    mail: scene.Spool
    sms: scene.Spool
    url: str = URL
    browsers: list[TestClient] = field(default_factory=list)

    @classmethod
    def at(cls, home: Path, **how: object) -> Town:
        """Start the web process in a folder."""
        chosen = Settings(
            **{
                "home": home,
                "kek": SecretStr(new_key_line("k1")),
                "link_secret": SecretStr(scene.SECRET),
                "public_url": URL,
                "enrolment": "open",
                "sms_countries": "DE,US",
                **how,
            }
        )
        assert chosen.kek is not None
        keys = KeyEncryptionKeys(parse_keys([chosen.kek.get_secret_value()]))
        app = create_app(in_place(chosen))
        engine = app.state.engine
        return cls(
            app, engine, keys, Lookups(engine, keys), scene.spool(), scene.spool("sms"), chosen.public_url
        )

    def browser(self, user_agent: str = SAFARI) -> TestClient:
        """Open a browser without looks."""
        one = TestClient(
            self.app,
            base_url=URL,
            follow_redirects=False,
            headers={"user-agent": user_agent, "accept": "text/html", "origin": URL},
        )
        self.browsers.append(one)
        return one

    def close(self) -> None:
        """Close what is open."""
        for one in self.browsers:
            one.close()
        self.engine.dispose()

    def delivered(self, now: datetime | None = None, channel: str = "email") -> list[Message]:
        """Let the worker send what is due, and give what arrived by one channel."""
        before = len(self.mail.sent), len(self.sms.sent)
        carriers = letters.Carriers((self.mail, self.sms), Message, 200, lambda _session, _now: 0)
        letters.send_due(self.engine, self.keys, carriers, now or utc_now())
        return self.mail.sent[before[0] :] if channel == "email" else self.sms.sent[before[1] :]

    def link(self, browser: TestClient, email: str = ANA) -> str:
        """Ask for a link and give the path of it."""
        answer = browser.post("/enrol", data={"email": email})
        assert (answer.status_code, answer.headers["location"]) == (303, "/enrol/sent")
        [message] = self.delivered()
        return link_in(message)

    def signed_in(self, email: str = ANA) -> TestClient:
        """Come in by e-mail, in a browser of one's own."""
        browser = self.browser()
        answer = browser.post(self.link(browser, email))
        assert answer.status_code == 303, answer.text
        return browser

    def subject(self, email: str = ANA) -> SubjectId:
        """Say who has an address."""
        query = select(Account.subject_id).where(Account.email_lookup == self.lookups.email(email))
        with reading(self.engine) as session:
            return SubjectId(session.exec(query).one())

    def progress(self, email: str = ANA) -> Progress:
        """Say how far somebody came."""
        with reading(self.engine) as session:
            return progress_of(session, self.keys, self.subject(email))


def link_in(message: Message) -> str:
    """Take the path of the page out of a letter."""
    return re.findall(r"https?://[^/]+(/enter/\S+)", message.text)[0]
