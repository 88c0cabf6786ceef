"""A web process over a fresh database, one subject with one told incident, and a browser without looks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi.testclient import TestClient
from pydantic import SecretStr

from alerts.links import Links
from alerts.outbox import tell_due
from monitor.app import create_app
from monitor.crypto import KeyEncryptionKeys, new_key_line, parse_keys
from monitor.db import utc_now
from monitor.settings import Settings
from tests.alerts import scene
from tests.databases import in_place

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi import FastAPI
    from sqlalchemy import Engine

    from alerts.interfaces import Message
    from monitor.values import FindingId, SubjectId

URL = "http://testserver"


def settings(home: Path, **how: object) -> Settings:
    """Make the settings of a web process that keeps everything in one folder."""
    return Settings(
        **{
            "home": home,
            "kek": SecretStr(new_key_line("k1")),
            "link_secret": SecretStr(scene.SECRET),
            "public_url": URL,
            **how,
        }
    )


@dataclass
class Visitor:
    """One subject, her mailbox, and her browser."""

    app: FastAPI
    engine: Engine
    keys: KeyEncryptionKeys
    links: Links
    ana: SubjectId
    browser: TestClient

    @classmethod
    def at(cls, home: Path, **how: object) -> Visitor:
        """Start the web process in a folder."""
        chosen = settings(home, **how)
        app = create_app(in_place(chosen))
        assert chosen.kek is not None
        keys = KeyEncryptionKeys(parse_keys([chosen.kek.get_secret_value()]))
        engine = app.state.engine
        return cls(
            app,
            engine,
            keys,
            Links.from_settings(chosen),
            scene.subject(engine, keys),
            TestClient(app, base_url=chosen.public_url, follow_redirects=False),
        )

    def found(self, **how: object) -> FindingId:
        """Find her in something."""
        return scene.finding(self.engine, self.keys, self.ana, **how)

    def told(self, channel: str = "email") -> list[Message]:
        """Run the outbox and give what arrived."""
        spool = scene.spool(channel)
        tell_due(self.engine, self.keys, scene.book(self.ana), [spool], self.links, utc_now())
        return spool.sent

    def message(self, channel: str = "email", **how: object) -> Message:
        """Find her in something and give the one message about it."""
        self.found(**how)
        [message] = self.told(channel)
        return message

    def opened(self, **how: object) -> str:
        """Find her in something, open the link of the message, and give the path of the page."""
        return self.open(link_in(self.message(**how)))

    def open(self, path: str) -> str:
        """Press the button on the door and give the path that it leads to."""
        answer = self.browser.post(path)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]


def link_in(message: Message) -> str:
    """Take the path of the private page out of a message."""
    return re.findall(r"https?://[^/]+(/m/\S+)", message.text)[0]


def stop_link_in(message: Message) -> str:
    """Take the path of the page that stops messages out of a message."""
    return re.findall(r"https?://[^/]+(/stop/\S+)", message.text)[0]
