"""A whole service for tests in a browser: the pages, a worker with the real models, and a mail server."""

from __future__ import annotations

import json
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import SecretStr
from sqlmodel import select

from enrollment.identity import challenges
from enrollment.lookups import Lookups
from enrollment.standing import Standing
from enrollment.tables import Account, Subject
from monitor import subject_keys
from monitor.app import create_app
from monitor.blobs import BlobStore
from monitor.crypto import KeyEncryptionKeys, new_key_line, parse_keys
from monitor.db import reading, utc_now, writing
from monitor.intake import Door, submit
from monitor.jobs import run_worker
from monitor.settings import Settings
from monitor.tables import Finding, MediaItem
from monitor.values import Origin, OriginKind, SubjectId
from tests.alerts import scene
from tests.alerts.mailhost import Kept, free_port, mail_server
from tests.databases import in_place
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import EmailMessage
    from pathlib import Path

    from fastapi import FastAPI
    from sqlalchemy import Engine

    from monitor.values import MediaId

T = TypeVar("T")

PATIENCE_S = 120.0
"""How long anything is waited for: a machine that does much else is slow, and that is no fault."""

DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
"""A phone or laptop whose owner unlocks it as soon as it asks."""


def until(look: Callable[[], T | None], what: str) -> T:
    """Wait until something is there, and give it."""
    end = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < end, f"{what}: not within {PATIENCE_S:.0f} s"
        time.sleep(0.05)
    return found


@dataclass
class Service:
    """One service on this machine."""

    settings: Settings
    app: FastAPI
    engine: Engine
    keys: KeyEncryptionKeys
    mail: Kept

    @property
    def url(self) -> str:
        """Where its pages are."""
        return self.settings.public_url

    def letters(self, email: str) -> list[EmailMessage]:
        """Give what one mailbox holds, oldest first."""
        pairs = zip(self.mail.recipients, self.mail.mails, strict=True)
        return [mail for to, mail in pairs if to == email]

    def told(self, email: str) -> list[EmailMessage]:
        """Give the messages of what was found: they have a link to a private page."""
        return [mail for mail in self.letters(email) if "/m/" in text_of(mail)]

    def link(self, email: str, pattern: str = r"https?://\S+/enter/\S+") -> str:
        """Wait for a letter with a link, and give the newest one's."""

        def look() -> str | None:
            found = [re.search(pattern, text_of(mail)) for mail in self.letters(email)]
            links = [one[0] for one in found if one is not None]
            return links[-1] if links else None

        return until(look, "a letter with a link")

    def subject(self, email: str) -> SubjectId:
        """Say who has an address."""
        lookup = Lookups(self.engine, self.keys).email(email)
        with reading(self.engine) as session:
            return SubjectId(
                session.exec(select(Account.subject_id).where(Account.email_lookup == lookup)).one()
            )

    def standing(self, who: SubjectId) -> Standing:
        """Say where somebody stands."""
        with reading(self.engine) as session:
            return Standing(session.get_one(Subject, who).status)

    def doubts(self, who: SubjectId) -> list[Any]:
        """Say what speaks against somebody's newest challenge: for a test that fails."""
        with reading(self.engine) as session:
            row = challenges.newest(session, who)
            report = b"" if row is None else challenges.report_of(session, self.keys, row) or b""
        signs: list[Any] = json.loads(report or b"{}").get("signs", [])
        return [one for one in signs if one["outcome"] != "pass"]

    def submit(self, data: bytes, name: str) -> MediaId:
        """Hand a media item in, as the door of the watch takes it."""
        door = Door(
            self.engine, BlobStore(self.settings.blobs), subject_keys.intake_sealer(self.engine), 2**28
        )
        return submit(
            data, Origin(OriginKind.PUSH, utc_now(), url=f"https://example.org/{name}"), door
        ).media_id

    def looked_at(self, media_id: MediaId) -> list[str]:
        """Wait until an item was looked at; give whom it was found to show."""

        def look() -> str | None:
            with reading(self.engine) as session:
                state = session.get_one(MediaItem, media_id).state
            assert state != "failed"
            return state if state == "done" else None

        until(look, "an item that was looked at")
        with reading(self.engine) as session:
            return list(session.exec(select(Finding.subject_id).where(Finding.media_id == media_id)))

    def end_cooling_off(self, who: SubjectId) -> None:
        """Put the clock of one person's cooling-off forward to its end."""
        with writing(self.engine) as session:
            session.get_one(Account, who).told_from = utc_now()


@contextmanager
def running(home: Path, *, works: bool = True, **how: Any) -> Iterator[Service]:
    """Run a service until the block ends; `works` says whether a worker is there."""
    port = free_port()
    url = f"http://localhost:{port}"  # passkeys and cameras need a name that browsers trust without https
    with mail_server() as (mail_port, kept):
        chosen: dict[str, Any] = {
            "home": home,
            "kek": SecretStr(new_key_line("k1")),
            "link_secret": SecretStr(scene.SECRET),
            "public_url": url,
            "enrolment": "open",
            "safe_exit_url": f"{url}/health",
            "smtp_host": "127.0.0.1",
            "smtp_port": mail_port,
            "smtp_tls": "none",
            "mail_from": "notes@example.net",
            "sms_countries": "DE,US",
            "threads": 1,
        }
        settings = Settings(**chosen | how)
        assert settings.kek is not None
        keys = KeyEncryptionKeys(parse_keys([settings.kek.get_secret_value()]))
        app = create_app(in_place(settings))
        engine, stop = app.state.engine, threading.Event()
        worker = threading.Thread(target=run_worker, args=(settings,), kwargs={"stop": stop}, name="worker")
        with serving(app, port):
            if works:
                worker.start()
            try:
                yield Service(settings, app, engine, keys, kept)
            finally:
                stop.set()
                if works:
                    worker.join()
        engine.dispose()


def text_of(mail: EmailMessage) -> str:
    """Read the plain part of a letter."""
    part = mail.get_body(("plain",))
    return part.get_content() if part is not None else ""
